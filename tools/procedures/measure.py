#!/usr/bin/env python3
"""The next step of held-out drawings, made with its true position and, as a control, with wrong ones.

usage: measure.py MODEL SHARD [--sets 60] [--given 2] [--guidance 2] [--steps 50] [--program build/release/m2m]

SHARD: `m2m data import vgsi` of tools/procedures/split.py's val/. Given are the first --given steps; the next one is made from the same noise with its own
position, with that of the first step, and with that of three steps later. PSNR in dB and mean absolute error (of 255) against the true next step; below, those of the last
given step, and how much of the picture is not white.
"""
import argparse
import io
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/emoji"))
from held_out import read_sets  # noqa: E402


def read(source):
    return np.asarray(Image.open(source).convert("RGB"), np.float64)


def figures(made, true):
    e = made - true
    return [10 * np.log10(255.0 ** 2 / max(np.mean(e ** 2), 1e-9)), np.mean(np.abs(e)), np.mean(made.min(-1) < 235)]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("model")
    p.add_argument("shard")
    p.add_argument("--sets", type=int, default=60)
    p.add_argument("--given", type=int, default=2)
    p.add_argument("--guidance", type=float, default=2)
    p.add_argument("--steps", type=int, default=50)
    p.add_argument("--program", default=str(ROOT / "build/release/m2m"))
    a = p.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp())
    sets = [s for s in read_sets(a.shard) if len(s) > a.given][:a.sets]
    ways = {"true position": a.given, "first position": 0, "three later": a.given + 3}
    rows = {name: [] for name in [*ways, "last given step", "true next step"]}
    for number, images in enumerate(sets):
        command = [a.program, "generate", a.model, "-n", "1", "--steps", str(a.steps), "--guidance", str(a.guidance), "--seed", str(number), "-o", str(folder / "out")]
        for i in range(a.given):
            (folder / f"{i}.png").write_bytes(images[i])
            command += ["-i", str(folder / f"{i}.png")]
        true = read(io.BytesIO(images[a.given]))
        for name, position in ways.items():
            subprocess.run([*command, "--position", str(position)], check=True, capture_output=True)
            rows[name].append(figures(read(folder / "out/000.png"), true))
        rows["last given step"].append(figures(read(io.BytesIO(images[a.given - 1])), true))
        rows["true next step"].append(figures(true, true))
    print(f"{len(sets)} drawings, {a.given} steps given; mean and standard error of PSNR, mean absolute error, share of painted pixels")
    for name, values in rows.items():
        v = np.array(values)
        print(f"{name:15}", "  ".join(f"{m:.3f} +- {s:.3f}" for m, s in zip(v.mean(0), v.std(0) / len(v) ** 0.5)))
    for name in ("first position", "three later"):
        print(f"true position nearer than {name} in {100 * np.mean(np.array(rows['true position'])[:, 0] > np.array(rows[name])[:, 0]):.0f} %")


main()
