#!/usr/bin/env python3
"""Renderings in zero123's layout -> two such folders, train/ and val/, for `m2m data import objaverse --split all`.

usage: make.py --in DIR --out DIR [--val 40] [--variants 8] [--size 64]

DIR holds valid_paths.json and UID/NNN.png + UID/NNN.npy, or tars of these. The last --val objects are held out. A training object is written
--variants times: as it is; then mirrored (every second one), its colour channels permuted, the world turned about +z by a random angle, so that
only what the cameras say of each other counts. The held-out ones are written as they are. Everything is seeded by the object's name.
"""
import argparse
import glob
import hashlib
import io
import json
import os
import tarfile

import numpy as np
from PIL import Image

ORDERS = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]


def read(folder):
    """path inside the folder -> bytes, of the files and of the members of its tars"""
    files = {}
    for path in glob.glob(os.path.join(folder, "*", "*.*")):
        files[os.path.relpath(path, folder)] = open(path, "rb").read()
    for path in sorted(glob.glob(os.path.join(folder, "*.tar"))):
        with tarfile.open(path) as tar:
            files.update((m.name, tar.extractfile(m).read()) for m in tar if m.isfile())
    return files


def turned(pose, angle, mirror):
    """The camera of the object turned by `angle` about +z, after the world was mirrored in x."""
    c, s = np.cos(angle), np.sin(angle)
    out = pose.copy()
    if mirror:  # the picture is mirrored too: x_cam changes its sign, and so does x_world
        flip = np.diag([-1.0, 1.0, 1.0])
        out = flip @ out
        out[:, :3] = out[:, :3] @ flip
    out[:, :3] = out[:, :3] @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    return out


def picture(data, order, mirror, size):
    image = Image.open(io.BytesIO(data)).convert("RGBA")
    pixels = np.asarray(image)[:, ::-1] if mirror else np.asarray(image)
    pixels = pixels[..., list(order) + [3]].astype(np.float32)
    alpha = pixels[..., 3:] / 255
    flat = Image.fromarray(np.round(pixels[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8))
    out = io.BytesIO()
    flat.resize((size, size), Image.BICUBIC).save(out, "PNG")
    return out.getvalue()


def write(folder, uid, variant, files, size):
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(f"{uid} {variant}".encode()).digest()[:8], "big"))
    mirror, angle, order = variant % 2 == 1, 0.0, ORDERS[0]
    if variant:
        angle, order = rng.uniform(0, 2 * np.pi), ORDERS[rng.integers(6)]
    name = f"{uid}-{variant}" if variant else uid
    os.makedirs(os.path.join(folder, name), exist_ok=True)
    for k in range(12):
        at = os.path.join(folder, name, f"{k:03d}")
        with open(at + ".png", "wb") as f:
            f.write(picture(files[f"{uid}/{k:03d}.png"], order, mirror, size))
        np.save(at + ".npy", turned(np.load(io.BytesIO(files[f"{uid}/{k:03d}.npy"])), angle, mirror))
    return name


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--in", dest="source", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--val", type=int, default=40)
    p.add_argument("--variants", type=int, default=8)
    p.add_argument("--size", type=int, default=64)
    a = p.parse_args()
    objects = json.load(open(os.path.join(a.source, "valid_paths.json")))
    files = read(a.source)
    for part, uids, variants in (("train", objects[:-a.val], a.variants), ("val", objects[-a.val:], 1)):
        folder = os.path.join(a.out, part)
        names = [write(folder, uid, v, files, a.size) for uid in uids for v in range(variants)]
        json.dump(names, open(os.path.join(folder, "valid_paths.json"), "w"))
        print(f"{folder}: {len(names)} objects")


main()
