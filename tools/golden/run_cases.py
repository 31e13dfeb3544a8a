"""Runs the program on every case of tests/golden and compares: python run_cases.py build/release/m2m [--only PREFIX] [--keep DIR]

What a case asks for, as the command line of design.md: forward, forward --backward, optimize, generate (replay), preprocess.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.normpath(os.path.join(HERE, "..", "..", "tests", "golden"))


def command(program, case, info, out, work):
    d = os.path.join(GOLDEN, info["dir"])
    inside = os.path.join(GOLDEN, case)
    if info["command"] == "forward":
        return [program, "forward", d, "--component", info["component"], "--in", inside + "/in.safetensors", "--out", out] + \
            (["--backward"] if info["backward"] else [])
    if info["command"] == "optimize":
        return [program, "optimize", d, "--in", inside + "/in.safetensors", "--out", out] + info["args"]
    if info["command"] == "preprocess":
        return [program, "preprocess", d, "--component", info["component"], "--out", out, inside + "/" + info["image"]]
    args = [inside + "/" + a if a.endswith(".safetensors") else a for a in info["args"]]
    return [program, "generate", d, "-o", os.path.join(work, case + ".images"), "--save-latents", out] + args


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("program")
    p.add_argument("--only", default="")
    p.add_argument("--keep", help="keep the outputs here")
    a = p.parse_args()
    work = a.keep or tempfile.mkdtemp(prefix="m2m-golden-")
    os.makedirs(work, exist_ok=True)
    failed = []
    cases = sorted(c for c in os.listdir(GOLDEN) if c.startswith(a.only) and os.path.exists(os.path.join(GOLDEN, c, "case.json")))
    for case in cases:
        info = json.load(open(os.path.join(GOLDEN, case, "case.json")))
        if info["command"] is None:
            continue
        out = os.path.join(work, case + ".safetensors")
        if os.path.exists(out):
            os.remove(out)
        r = subprocess.run(command(a.program, case, info, out, work), capture_output=True, text=True)
        if r.returncode:
            print(f"FAIL {case}: exit {r.returncode}: {r.stderr.strip().splitlines()[-1] if r.stderr.strip() else ''}")
            failed.append(case)
            continue
        c = subprocess.run([sys.executable, HERE + "/compare.py", out, f"{GOLDEN}/{case}/out.safetensors", "--case", f"{GOLDEN}/{case}/case.json"],
                           capture_output=True, text=True)
        lines = c.stdout.strip().splitlines()
        print(("ok   " if c.returncode == 0 else "FAIL ") + f"{case}: {lines[0] if lines else c.stderr[-300:]}")
        if c.returncode:
            print("\n".join("       " + l for l in lines[1:6] + lines[-1:]))
            failed.append(case)
    print(f"{len(cases)} cases, {len(failed)} failed", *failed)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
