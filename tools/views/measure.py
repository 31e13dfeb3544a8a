#!/usr/bin/env python3
"""Generated against true views of held-out objects, with the true camera and, as a control, with another view's.

usage: measure.py MODEL DIR [--objects 40] [--targets 3] [--guidance 2] [--condition-guidance S] [--steps 50]
                  [--program build/release/m2m] [--encoder DIR] [--ring [--window W --anchors A]]

DIR is tools/views/make.py's val/. View 0 is given; of each object --targets other views are made from it alone, from the same noise with the true camera
and with the wrong one (the camera of the view after the target). PSNR in dB and 1 - SSIM against the true view; below, the same for the given view itself,
and the mean of true minus wrong, pair by pair.
--encoder adds 1 - cosine of the mean tokens of a model directory's image_encoder.
--ring instead makes all eleven other views of an object one after another, each looking at those before it, and tells how they get worse on the way.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]


def psnr(a, b):
    return 10 * np.log10(255.0 ** 2 / max(np.mean((a - b) ** 2), 1e-9))


def blur(x, size=7):
    k = np.exp(-0.5 * (np.arange(size) - size // 2) ** 2 / 1.5 ** 2)
    k /= k.sum()
    x = np.apply_along_axis(lambda r: np.convolve(r, k, "valid"), 0, x)
    return np.apply_along_axis(lambda r: np.convolve(r, k, "valid"), 1, x)


def dissimilarity(a, b):
    """1 - SSIM of the luminance (Wang et al. 2004, Gaussian window)."""
    a, b = (x @ np.array([0.299, 0.587, 0.114]) for x in (a, b))
    ma, mb = blur(a), blur(b)
    va, vb, ab = blur(a * a) - ma ** 2, blur(b * b) - mb ** 2, blur(a * b) - ma * mb
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return 1 - np.mean((2 * ma * mb + c1) * (2 * ab + c2) / ((ma ** 2 + mb ** 2 + c1) * (va + vb + c2)))


def read(path):
    return np.asarray(Image.open(path).convert("RGB"), np.float64)


class Measure:
    def __init__(self, args):
        self.args, self.folder = args, pathlib.Path(tempfile.mkdtemp())

    def run(self, *command):
        subprocess.run([self.args.program, *map(str, command)], check=True, capture_output=True)

    def make(self, given, poses, seed):
        """The views of all poses but the first, which is the given one's."""
        np.save(self.folder / "poses.npy", poses)
        context = [x for name in ("window", "anchors") if getattr(self.args, name) is not None for x in (f"--{name}", getattr(self.args, name))]
        self.run("generate", self.args.model, "-i", given, "-n", len(poses) - 1, "--camera", self.folder / "poses.npy", "--seed", seed,
                 "--steps", self.args.steps, "--guidance", self.args.guidance, "--condition-guidance", self.args.condition_guidance, *context,
                 "-o", self.folder / "out")
        return [self.folder / f"out/{k:03d}.png" for k in range(len(poses) - 1)]

    def features(self, path):
        from safetensors.numpy import load_file
        self.run("preprocess", self.args.encoder, "--component", "image_encoder", "--out", self.folder / "x.safetensors", path)
        self.run("forward", self.args.encoder, "--component", "image_encoder", "--in", self.folder / "x.safetensors", "--out", self.folder / "y.safetensors")
        v = load_file(self.folder / "y.safetensors")["last_hidden_state"][0].mean(0)
        return v / np.linalg.norm(v)

    def distances(self, path, true):
        out = [psnr(read(path), read(true)), dissimilarity(read(path), read(true))]
        return out + [1 - float(self.features(path) @ self.features(true))] if self.args.encoder else out


def ring(m, objects):
    """objects: (paths, poses) of each one's twelve views."""
    rows = []
    for view, pose in objects:
        rows.append([m.distances(made, true) for made, true in zip(m.make(view[0], np.stack(pose), 0), view[1:])])
    print(f"{len(rows)} rings of {len(rows[0])} made views; mean and standard error over the rings of PSNR, 1 - SSIM")
    for name, part in (("all", slice(None)), ("first three", slice(3)), ("last three", slice(-3, None))):
        v = np.array(rows)[:, part].mean(1)
        print(f"{name:13}", "  ".join(f"{a:.4f} +- {b:.4f}" for a, b in zip(v.mean(0), v.std(0) / len(v) ** 0.5)))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("model")
    p.add_argument("data", type=pathlib.Path)
    p.add_argument("--objects", type=int, default=40)
    p.add_argument("--targets", type=int, default=3)
    p.add_argument("--guidance", type=float, default=2)
    p.add_argument("--condition-guidance", type=float, default=-1)
    p.add_argument("--steps", type=int, default=50)
    p.add_argument("--program", default=str(ROOT / "build/release/m2m"))
    p.add_argument("--encoder")
    p.add_argument("--ring", action="store_true")
    p.add_argument("--window", type=int)
    p.add_argument("--anchors", type=int)
    args = p.parse_args()
    m, rows = Measure(args), {"true camera": [], "wrong camera": [], "given view": []}
    views = [[args.data / uid / f"{k:03d}.png" for k in range(12)] for uid in json.load(open(args.data / "valid_paths.json"))[:args.objects]]
    objects = [(view, [np.load(v.with_suffix(".npy")) for v in view]) for view in views]
    if args.ring:
        return ring(m, objects)
    for number, (view, pose) in enumerate(objects):
        for target in list(range(1, 12, 11 // args.targets))[:args.targets]:
            for name, camera in (("true camera", target), ("wrong camera", target % 11 + 1)):
                made = m.make(view[0], np.stack([pose[0], pose[camera]]), 100 * number + target)[0]
                rows[name].append(m.distances(made, view[target]))
            rows["given view"].append(m.distances(view[0], view[target]))
    print(f"{len(rows['true camera'])} views; mean and standard error of PSNR, 1 - SSIM" + (", 1 - cosine" if args.encoder else ""))
    rows["true - wrong"] = np.subtract(rows["true camera"], rows["wrong camera"])
    for name, values in rows.items():
        v = np.array(values)
        print(f"{name:13}", "  ".join(f"{a:.4f} +- {b:.4f}" for a, b in zip(v.mean(0), v.std(0) / len(v) ** 0.5)))
    better = np.mean(rows["true - wrong"][:, 0] > 0)
    print(f"the true camera's image has the higher PSNR in {100 * better:.0f} %")


main()
