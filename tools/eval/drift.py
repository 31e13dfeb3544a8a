#!/usr/bin/env python3
"""How far long image sets drift away from the given images: a table over folders that `m2m eval sets --clip DIR -n N` made.

usage: drift.py [--sets N] DATA OUT…

DATA is the folder of shards that the images were made from; --sets takes the first sets only. Per OUT, over its sets, each measure
against the given images of the same set, for the first and the last ten images (means) and the change with its standard error over sets: image-given (100 x cosine of CLIP features, from OUT/features), histogram (1 - intersection of
4x4x4 RGB histograms; 0 is equal), and contrast (standard deviation of luminance), saturation (mean of max - min of RGB) and edges (mean
gradient of luminance), each divided by the given images'; alike: 100 x cosine with the ten images around it, which rises where a set
collapses. The first two lines say what to compare with: given images of one set with each other, and with those of the next set.
"""
import argparse
import io
import pathlib
import tarfile

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

LUMINANCE = np.array([0.299, 0.587, 0.114])
SPAN = 10
MEASURES = ["image-given", "histogram", "contrast", "saturation", "edges", "alike"]


def histogram(x):
    bins = (x // 64).astype(int) @ np.array([16, 4, 1])
    return np.bincount(bins.ravel(), minlength=64) / bins.size


def facts(image):
    """[contrast, saturation, edges], histogram."""
    x = np.asarray(image.convert("RGB"), np.float64)
    y = x @ LUMINANCE
    edges = np.mean(np.hypot(np.diff(y, axis=0)[:, 1:], np.diff(y, axis=1)[1:]))
    return np.array([y.std(), np.ptp(x, axis=2).mean(), edges]), histogram(x)


def unit(f):
    return f / np.linalg.norm(f, axis=1, keepdims=True)


def measure(images, features, given, given_features):
    """[images, MEASURES]: images against given ones."""
    have = [facts(x) for x in given]
    plain, colours = (np.mean([h[i] for h in have], axis=0) for i in (0, 1))
    rows = []
    for image, f in zip(images, features):
        x, h = facts(image)
        rows.append([100 * np.mean(given_features @ f), 1 - np.minimum(h, colours).sum(), *(x / np.maximum(plain, 1e-3))])
    return np.array(rows)


def alike(features):
    """[images]: 100 x mean cosine of each image with the SPAN around it."""
    out = []
    for i, f in enumerate(features):
        near = np.r_[features[max(0, i - SPAN // 2):i], features[i + 1:i + SPAN // 2 + 1]]
        out.append(100 * np.mean(near @ f))
    return np.array(out)


def read_sets(folder, count):
    """The first sets' images, in the order of `m2m eval sets`: shard by shard."""
    sets = {}
    for shard in sorted(pathlib.Path(folder).glob("*.tar")):
        with tarfile.open(shard) as tar:
            for member in sorted(tar.getmembers(), key=lambda m: m.name):
                if member.name.endswith(".png"):
                    data = tar.extractfile(member).read()
                    sets.setdefault((shard.name, member.name.split(".")[0]), []).append(Image.open(io.BytesIO(data)))
        if len(sets) >= count:
            break
    return list(sets.values())[:count]


def read_out(out):
    """The images' folders and the features of each set that is complete: [(folder, made features, given features)]."""
    made = next(out.glob("features/clip-*/k*"), None)
    if made is None:
        raise SystemExit(f"{out}: no features of images; m2m eval sets --clip makes them")
    return [(out / "images" / made.name / f.stem, unit(load_file(f)["features"].astype(np.float64)),
             unit(load_file(made.parent / "given" / f.name)["features"].astype(np.float64))) for f in sorted(made.glob("*.safetensors"))]


def line(label, values, spans=(slice(0, SPAN), slice(-SPAN, None))):
    """values: [sets, images, MEASURES]."""
    cells = []
    for k in range(len(MEASURES)):
        parts = [values[:, s, k].mean(1) for s in spans]
        cell = " → ".join(f"{p.mean():.3g}" for p in parts)
        if len(parts) == 2:
            change = parts[1] - parts[0]
            error = change.std(ddof=1) / np.sqrt(len(change))
            cell += f" ({100 * change.mean() / parts[0].mean():+.0f} ± {100 * error / parts[0].mean():.0f} %)"
        cells.append(cell.replace("nan", ""))
    print(f"| {label} | {len(values)} | " + " | ".join(cells) + " |")


def among(given, runs, a, b):
    """Given images of set a against those of set b; of one set, each against the others."""
    rows = []
    for i, image in enumerate(given[a]):
        others = [k for k in range(len(given[b])) if a != b or k != i]
        row = measure([image], runs[a][2][i:i + 1], [given[b][k] for k in others], runs[b][2][others])[0]
        rows.append([*row, np.nan])
    return rows


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("data")
    p.add_argument("out", nargs="+", type=pathlib.Path)
    p.add_argument("--sets", type=int)
    args = p.parse_args()
    print("| | sets | " + " | ".join(MEASURES) + " |\n|" + "---|" * (len(MEASURES) + 2))
    for i, out in enumerate(args.out):
        runs = read_out(out)[:args.sets]
        sets = read_sets(args.data, len(runs))
        given = [s[:len(r[2])] for s, r in zip(sets, runs)]
        if i == 0 and len(runs) > 1 and len(given[0]) > 1:
            for label, step in (("given, of one set", 0), ("given, of two sets", 1)):
                line(label, np.array([among(given, runs, k, (k + step) % len(runs)) for k in range(len(runs))]), [slice(None)])
        values = []
        for (folder, features, own), images in zip(runs, given):
            made = [Image.open(folder / f"{n:03d}.png") for n in range(len(features))]
            values.append(np.column_stack([measure(made, features, images, own), alike(features)]))
        line(out.name, np.array(values))


if __name__ == "__main__":
    main()
