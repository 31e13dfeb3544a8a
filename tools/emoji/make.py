#!/usr/bin/env python3
"""Emoji SVGs -> a pool of RGBA PNGs for `m2m data compose`. See README.md.

usage: make.py [--in DIR] [--out DIR] [--size 128] [--jobs 2] [--reuse] [--list]
"""
import argparse
import collections
import gzip
import hashlib
import io
import json
import multiprocessing
import os
import re
import sys
import tarfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import names  # noqa: E402

STYLES = ["noto", "noto-blob", "twemoji", "fluent", "fluent-flat", "emojione", "fxemoji", "streamline"]
VAL_STYLES = {"fxemoji", "streamline"}
HELD_PERCENT = 8
MARGIN = 0.05     # of the side, on each side
MAX_ZOOM = 1.6    # small drawings (a stud, a droplet) are enlarged no more than this
CAP = 6           # drawings of one subject in one style
CAPS = {"family": 2, "couple-with-heart": 2, "kiss": 2, "people-holding-hands": 2, "heart": 6, "person": 4, "clock-face": 4}


def held(subject):
    """True for about HELD_PERCENT % of all subjects; depends on the subject's name alone."""
    h = int.from_bytes(hashlib.sha256(("m2m emoji " + subject).encode()).digest()[:8], "big")
    return h % 10000 < HELD_PERCENT * 100


def read(folder):
    out = []
    for style in STYLES:
        with gzip.open(os.path.join(folder, style + ".jsonl.gz"), "rt", encoding="utf-8") as f:
            out += [json.loads(line) for line in f]
    return out


def choose(drawings):
    """-> kept drawings with subject, category, group; Counter of (style, reason) of the dropped ones."""
    std, cat = {}, {}
    for line in open(os.path.join(names.HERE, "groups.tsv"), encoding="utf-8"):
        name, category, group = line.rstrip("\n").split("\t")
        std[name], cat[name] = group, category
    known = {}
    for n in std:
        known.setdefault(names.squeeze(n), n)
    for d in drawings:  # names newer than emoji-test.txt, if two styles share them
        d["base"] = d["name"]
    many = collections.Counter(d["name"] for d in drawings)
    for n, k in many.items():
        if n.endswith("-face") and names.squeeze(n[:-5]) in known:
            continue  # "bear-face" is what "bear" was called before
        if k > 1 and not names.TONE.search(n) and not names.TONE_FLUENT.search(n):
            known.setdefault(names.squeeze(n), n)
    dropped, kept = collections.Counter(), []
    for d in drawings:
        style, name = d["style"], d["name"]
        why = names.drop_reason(style, name, d.get("category"), std.get(name))
        if not why:
            d["subject"] = names.subject_of(style, name, known)
            why = names.drop_reason("", d["subject"], None, std.get(d["subject"])) if d["subject"] != "clock-face" else None
        if why:
            dropped[style, why] += 1
        else:
            kept.append(d)
    # One category and one group a subject: Unicode's of the subject, else that of most of its drawings.
    by = collections.defaultdict(list)
    for d in kept:
        by[d["subject"]].append(d)
    for subject, ds in by.items():
        g = collections.Counter(std[d["name"]] for d in ds if d["name"] in std)
        c = collections.Counter(cat[d["name"]] for d in ds if d["name"] in cat) or \
            collections.Counter(d["category"] for d in ds if d["category"])
        group = std.get(subject) or (g.most_common(1)[0][0] if g else "other")
        category = cat.get(subject) or (c.most_common(1)[0][0] if c else "Objects")
        for d in ds:
            d["group"], d["category"] = group, category
    # No more than a few of one subject in one style; of people, the woman and the man rather than the neutral one.
    cells, out = collections.defaultdict(list), []
    for d in kept:
        cells[d["style"], d["subject"]].append(d)
    for (style, subject), ds in cells.items():
        people = [d for d in ds if re.match(r"(wo)?m[ae]n(-|$)", d["name"])]
        cap = CAPS.get(subject, CAP)
        if len(people) > 1 and subject != "person":
            cap = min(cap, 2)
            ds = sorted(ds, key=lambda d: (0 if d["name"].startswith("wom") else 1 if d["name"].startswith("m") else 2,
                                           d["name"]))
            first = [d for d in ds if d["name"].startswith("wom")][:1] + [d for d in people if d["name"].startswith("m")][:1]
            ds = first + [d for d in ds if d not in first]
        elif subject == "person":
            order = {"woman": 0, "man": 1, "woman-1": 0, "man-1": 1, "person": 2}
            ds = sorted(ds, key=lambda d: (order.get(d["name"], 3), d["name"]))
        out += ds[:cap]
        dropped[style, "more of the same subject"] += len(ds) - len(ds[:cap])
    out.sort(key=lambda d: (STYLES.index(d["style"]), d["name"]))
    return out, dropped


def svg(d, n, box):
    inner = f'x="{d["left"]}" y="{d["top"]}" width="{d["width"]}" height="{d["height"]}" ' \
            f'viewBox="{d["left"]} {d["top"]} {d["width"]} {d["height"]}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{n}" height="{n}" ' \
           f'viewBox="{box[0]:.4f} {box[1]:.4f} {box[2]:.4f} {box[2]:.4f}"><svg {inner}>{d["body"]}</svg></svg>'


def raster(job):
    """(drawing, size) -> PNG bytes or None if it is empty. Straight alpha, as resvg writes it."""
    import resvg_py
    from PIL import Image
    d, size = job
    if d.get("png"):
        return d["png"]
    side = max(d["width"], d["height"])
    box = (d["left"] - (side - d["width"]) / 2, d["top"] - (side - d["height"]) / 2, side)
    probe = 64
    small = Image.open(io.BytesIO(resvg_py.svg_to_bytes(svg_string=svg(d, probe, box), skip_system_fonts=True)))
    bounds = small.getchannel("A").point(lambda a: 255 if a > 12 else 0).getbbox()
    if bounds is None:
        return None
    scale = side / probe
    w, h = (bounds[2] - bounds[0]) * scale, (bounds[3] - bounds[1]) * scale
    cx, cy = box[0] + (bounds[0] + bounds[2]) / 2 * scale, box[1] + (bounds[1] + bounds[3]) / 2 * scale
    fit = max(max(w, h) / (1 - 2 * MARGIN), side / MAX_ZOOM)
    png = resvg_py.svg_to_bytes(svg_string=svg(d, size, (cx - fit / 2, cy - fit / 2, fit)), skip_system_fonts=True)
    im = Image.open(io.BytesIO(png)).convert("RGBA")
    buf = io.BytesIO()
    im.save(buf, "PNG", compress_level=6)
    return buf.getvalue()


def fingerprints(pngs):
    import numpy
    from PIL import Image
    out = numpy.empty((len(pngs), 16 * 16 * 4), numpy.float32)
    for i, p in enumerate(pngs):
        a = numpy.asarray(Image.open(io.BytesIO(p)).convert("RGBa").resize((16, 16), Image.BOX), numpy.float32) / 255
        out[i] = a.reshape(-1)
    return out


def twins(kept, pngs, limit):
    """Pairs (i, j), i < j, in one style, whose 16x16 thumbnails differ by less than `limit` (RMS)."""
    import numpy
    f, pairs = fingerprints(pngs), []
    for style in STYLES:
        at = numpy.array([i for i, d in enumerate(kept) if d["style"] == style])
        x = f[at]
        s = (x * x).sum(1)
        dist = numpy.sqrt(numpy.maximum(s[:, None] + s[None] - 2 * x @ x.T, 0) / x.shape[1])
        for i, j in zip(*numpy.nonzero(numpy.triu(dist < limit, 1))):
            pairs.append((int(at[i]), int(at[j]), float(dist[i, j])))
    return pairs


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--in", dest="src", default=os.path.join(here, "../../../shared/data/emoji"))
    ap.add_argument("--out", default="/work/pool")
    ap.add_argument("--size", type=int, default=128)
    ap.add_argument("--jobs", type=int, default=2)
    ap.add_argument("--reuse", action="store_true", help="take pictures that are in --out already as they are")
    ap.add_argument("--list", action="store_true", help="print the subjects, make nothing")
    ap.add_argument("--twins", type=float, default=0, help="also list pairs of near-equal drawings with unequal subjects")
    o = ap.parse_args()
    drawings = read(o.src)
    kept, dropped = choose(drawings)
    if o.list:
        by = collections.defaultdict(list)
        for d in kept:
            by[d["subject"]].append(d)
        for s in sorted(by, key=lambda s: (len({d["style"] for d in by[s]}), s)):
            print(len({d["style"] for d in by[s]}), s, by[s][0]["category"], by[s][0]["group"],
                  " ".join(sorted({d["name"] for d in by[s]})), "/".join(sorted({d["style"] for d in by[s]})), sep="\t")
        return
    if o.reuse:
        have = {}
        for style in STYLES:
            with tarfile.open(os.path.join(o.out, style + ".tar")) as tar:
                have.update((m.name, tar.extractfile(m).read()) for m in tar)
        for d in kept:
            d["png"] = have.get(f'{d["style"]}/{d["name"]}.png')
    t0 = time.time()
    pngs = []
    with multiprocessing.Pool(o.jobs) as pool:
        for i, p in enumerate(pool.imap(raster, [(d, o.size) for d in kept], 16)):
            pngs.append(p)
            if sys.stderr.isatty() and i % 50 == 0:
                print(f"\r{i + 1}/{len(kept)}", end="", file=sys.stderr)
    t1 = time.time()
    for d, p in zip(kept, pngs):
        if p is None:
            dropped[d["style"], "empty"] += 1
    kept, pngs = [d for d, p in zip(kept, pngs) if p], [p for p in pngs if p]
    # Near-equal drawings of one subject in one style: one is enough.
    gone = set()
    for i, j, _ in twins(kept, pngs, 0.03):
        if kept[i]["subject"] == kept[j]["subject"] and i not in gone:
            gone.add(j)
    for j in gone:
        dropped[kept[j]["style"], "near-equal drawing"] += 1
    pngs = [p for i, p in enumerate(pngs) if i not in gone]
    kept = [d for i, d in enumerate(kept) if i not in gone]
    if o.twins:
        for i, j, x in sorted(twins(kept, pngs, o.twins), key=lambda p: p[2]):
            if kept[i]["subject"] != kept[j]["subject"] and kept[i]["style"] not in VAL_STYLES:
                print("twins", kept[i]["style"], kept[i]["subject"], kept[j]["subject"], f"{x:.3f}")
    os.makedirs(o.out, exist_ok=True)
    rows = []
    for style in STYLES:
        with tarfile.open(os.path.join(o.out, style + ".tar.tmp"), "w", format=tarfile.USTAR_FORMAT) as tar:
            for d, p in zip(kept, pngs):
                if d["style"] != style:
                    continue
                key = f'{style}/{d["name"]}'
                info = tarfile.TarInfo(key + ".png")
                info.size, info.mode, info.uname, info.gname = len(p), 0o444, "bigdata", "bigdata"
                tar.addfile(info, io.BytesIO(p))
                h = held(d["subject"])
                rows.append({"key": key, "style": style, "name": d["name"], "subject": d["subject"],
                             "category": d["category"], "group": d["group"], "caption": d.get("caption") or "",
                             "file": key + ".png", "tar": style + ".tar",
                             "split": "val_style" if style in VAL_STYLES else "val_subject" if h else "train",
                             "subject_split": "held" if h else "train"})
    with open(os.path.join(o.out, "index.jsonl.tmp"), "w", encoding="utf-8") as f:
        for r in rows:
            f.write(json.dumps(r, ensure_ascii=False) + "\n")
    for f in [style + ".tar" for style in STYLES] + ["index.jsonl"]:
        os.replace(os.path.join(o.out, f + ".tmp"), os.path.join(o.out, f))
    report(rows, dropped, len(drawings), t1 - t0)


def table(title, cells, cols, rows):
    print(f"\n{title}\n| |" + "".join(f" {c} |" for c in cols) + " all |\n|---|" + "---|" * (len(cols) + 1))
    for r in rows:
        v = [cells[c, r] for c in cols]
        print(f"| {r} |" + "".join(f" {x} |" for x in v) + f" {sum(v)} |")


def report(rows, dropped, total, seconds):
    print(f"{total} drawings read, {len(rows)} kept; rasterized in {seconds:.0f} s")
    cells = collections.Counter((r["style"], r["category"]) for r in rows)
    for r in rows:
        cells[r["style"], "all"] += 1
    table("Kept", cells, STYLES, sorted({r["category"] for r in rows}) + ["all"])
    why = collections.Counter()
    for (style, reason), n in dropped.items():
        why[style, reason] += n
        why[style, "all"] += n
    table("Dropped", why, STYLES, sorted({r for _, r in dropped}) + ["all"])
    of = collections.defaultdict(set)
    for r in rows:
        of[r["subject"]].add(r["style"])
    print(f"\n{len(of)} subjects; in at least n styles: " +
          ", ".join(f"{n}: {sum(len(s) >= n for s in of.values())}" for n in range(1, 9)))
    held_ = [s for s in of if held(s)]
    trained = [s for s in of if of[s] - VAL_STYLES]
    print(f"subjects held out: {len(held_)} of {len(of)}; of those in a training style: "
          f"{sum(held(s) for s in trained)} of {len(trained)}; in >= 4 styles: {sum(len(of[s]) >= 4 for s in held_)}")
    print("split:", dict(collections.Counter(r["split"] for r in rows)),
          "val_style with a held subject:", sum(r["split"] == "val_style" and r["subject_split"] == "held" for r in rows))


if __name__ == "__main__":
    main()
