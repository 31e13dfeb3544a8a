"""Compares two safetensors files tensor by tensor: python compare.py mine.safetensors reference.safetensors [--case case.json]

With --case, the tolerance in a case.json of tests/golden decides the exit status; without, only names and shapes do.
"""
import argparse
import fnmatch
import json
import sys

import torch
from safetensors.torch import load_file


def tolerance_of(tolerance, name):
    if tolerance is None or "kind" in tolerance:
        return tolerance, None
    for pattern, t in tolerance.items():
        if fnmatch.fnmatchcase(name, pattern):
            return t, pattern
    return None, None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mine")
    parser.add_argument("reference")
    parser.add_argument("--case")
    parser.add_argument("--all", action="store_true", help="a line for every tensor, not only the worst 12")
    a = parser.parse_args()
    mine, ref = load_file(a.mine), load_file(a.reference)
    tolerance = json.load(open(a.case))["tolerance"] if a.case else None
    bad = [f"missing in {a.mine}: {k}" for k in ref if k not in mine] + [f"only in {a.mine}: {k}" for k in mine if k not in ref]
    group_norm = {}
    for k in ref:
        _, pattern = tolerance_of(tolerance, k)
        group_norm[pattern] = group_norm.get(pattern, 0.0) + float(ref[k].double().norm()) ** 2
    rows = []
    for k in ref:
        if k not in mine:
            continue
        if mine[k].shape != ref[k].shape:
            bad.append(f"{k}: shape {list(mine[k].shape)}, wanted {list(ref[k].shape)}")
            continue
        x, r = mine[k].double(), ref[k].double()
        d = x - r
        max_abs, norm = float(d.abs().max()) if d.numel() else 0.0, float(r.norm())
        rel = float(d.norm()) / max(norm, 1e-300)
        t, pattern = tolerance_of(tolerance, k)
        ok = bool(torch.isfinite(x).all())
        if t is not None and ok:
            if t["kind"] == "max_abs":
                ok = max_abs <= t["value"] * max(1.0, float(r.abs().max()))
            else:                                       # relative_l2, relative
                ok = float(d.norm()) <= t["value"] * norm + t.get("floor", 0.0) * group_norm[pattern] ** 0.5
        rows.append((rel, max_abs, float(r.abs().max()), ok, k))
    rows.sort(key=lambda r: (r[3], -r[0]))
    for rel, max_abs, big, ok, k in rows if a.all else rows[:12]:
        print(f"{'ok  ' if ok else 'FAIL'} max abs {max_abs:9.3e}  relative L2 {rel:9.3e}  largest {big:9.3e}  {k}")
    if len(rows) > 12 and not a.all:
        print(f"     … {len(rows) - 12} more, none worse")
    for b in bad:
        print("FAIL", b)
    failed = len(bad) + sum(not r[3] for r in rows)
    print(f"{len(rows)} tensors compared, {failed} failures")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
