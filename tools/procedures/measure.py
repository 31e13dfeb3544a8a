#!/usr/bin/env python3
"""Steps of held-out drawings, each made from the given ones with its true position and, as a control, with the positions of the others.

usage: measure.py MODEL SHARD [--sets 60] [--given 1] [--guidance 2] [--steps 25] [--program build/release/m2m]

SHARD: `m2m data import vgsi` of tools/procedures/split.py's val/. Given are the first --given steps of a drawing with S steps; from them an image is made for
every later position, from the same noise, and compared with every later true step. PSNR in dB:

- true position: image at p against true step p; wrong: image at p against true steps other than p, and images at others against step p, averaged. Both hold
  the same images and the same true steps, so that neither easy steps nor cautious images favour one;
- how often the image at p is nearest to step p among all later steps, and what chance would give;
- next step: image at its own position, the same at the other positions, and the last given step unchanged, against the true next one.
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


def psnr(a, b):
    return 10 * np.log10(255.0 ** 2 / max(np.mean((a - b) ** 2), 1e-9))


def painted(image):
    return np.mean(image.min(-1) < 235)


def make(a, folder, images, number):
    """An image for every later position, each alone and from the same noise."""
    command = [a.program, "generate", a.model, "-n", "1", "--steps", str(a.steps), "--guidance", str(a.guidance), "--seed", str(number), "-o", str(folder / "out")]
    for i in range(a.given):
        (folder / f"{i}.png").write_bytes(images[i])
        command += ["-i", str(folder / f"{i}.png")]
    made = []
    for position in range(a.given, len(images)):
        subprocess.run([*command, "--given-position", "0", "--position", str(position)], check=True, capture_output=True)
        made.append(read(folder / "out/000.png"))
    return made


def line(name, values):
    v = np.array(values)
    print(f"{name:42} {v.mean():.3f} +- {v.std(ddof=1) / len(v) ** 0.5:.3f}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("model")
    p.add_argument("shard")
    p.add_argument("--sets", type=int, default=60)
    p.add_argument("--given", type=int, default=1)
    p.add_argument("--guidance", type=float, default=2)
    p.add_argument("--steps", type=int, default=25)
    p.add_argument("--program", default=str(ROOT / "build/release/m2m"))
    a = p.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp())
    sets = [s for s in read_sets(a.shard) if len(s) > a.given + 1][:a.sets]
    right, wrong, nearest, chance, area = [], [], [], [], {}
    following, elsewhere, unchanged = [], [], []
    for number, images in enumerate(sets):
        made, true = make(a, folder, images, number), [read(io.BytesIO(i)) for i in images[a.given:]]
        table = np.array([[psnr(m, t) for t in true] for m in made])
        n = len(true)
        right.append(np.trace(table) / n)
        wrong.append((table.sum() - np.trace(table)) / (n * (n - 1)))
        nearest.append(np.mean(table.argmax(1) == np.arange(n)))
        chance.append(1 / n)
        following.append(table[0, 0])
        elsewhere.append(table[1:, 0].mean())
        unchanged.append(psnr(read(io.BytesIO(images[a.given - 1])), true[0]))
        for i in range(n):
            area.setdefault(i + a.given, []).append((painted(made[i]), painted(true[i])))
    print(f"{len(sets)} drawings, {a.given} steps given; mean and standard error over drawings")
    line("true position, dB", right)
    line("wrong position, dB", wrong)
    line("true less wrong, dB", np.array(right) - np.array(wrong))
    line("nearest to its own step, share", nearest)
    line("  by chance", chance)
    line("next step, true position, dB", following)
    line("next step, other positions, dB", elsewhere)
    line("  true less others, dB", np.array(following) - np.array(elsewhere))
    line("next step, last given one unchanged, dB", unchanged)
    print("painted share by position, made and true: " + ", ".join(f"{q}: {np.mean([x[0] for x in v]):.2f} {np.mean([x[1] for x in v]):.2f}" for q, v in sorted(area.items())))


main()
