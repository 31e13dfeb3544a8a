#!/usr/bin/env python3
"""Writes share/demo three sets of four held-out drawings, at 128x128. usage: demo.py [FOLDER OF SVG] [OUT]"""
import io
import os
import sys

from PIL import Image

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import make  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
SVG = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "../../../shared/data/emoji")
OUT = sys.argv[2] if len(sys.argv) > 2 else os.path.join(HERE, "../../share/demo")
SETS = [("", "noto", ["dog-face", "elephant", "penguin", "lion"]),
        ("food", "fluent-flat", ["pancakes", "green-apple", "honey-pot", "baguette-bread"]),
        ("pixels", "noto-blob", ["airplane", "automobile", "oncoming-bus", "fire-engine"])]


def pixels(images, grid=16, colours=8):
    """Pixel art: the four of a set on one grid, in one palette."""
    small = [im.convert("RGBa").resize((grid, grid), Image.BOX).convert("RGBA") for im in images]
    strip = Image.new("RGB", (grid * len(small), grid), "white")
    for i, s in enumerate(small):
        mask = s.getchannel("A").point(lambda a: 255 if a >= 128 else 0)
        strip.paste(s.convert("RGB"), (i * grid, 0), mask)
    strip = strip.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).convert("RGB")
    return [strip.crop((i * grid, 0, (i + 1) * grid, grid)).resize(images[0].size, Image.NEAREST)
            for i in range(len(small))]


kept = {(d["style"], d["name"]): d for d in make.choose(make.read(SVG))[0]}
for folder, style, names in SETS:
    images = []
    for name in names:
        d = kept[style, name]
        if style in make.VAL_STYLES or not make.held(d["subject"]):
            sys.exit(f"{style}/{name}: its subject {d['subject']} is not held out")
        images.append(Image.open(io.BytesIO(make.raster((d, 128)))).convert("RGBA"))
    white = [Image.alpha_composite(Image.new("RGBA", im.size, "white"), im).convert("RGB") for im in images]
    for i, im in enumerate(pixels(images) if folder == "pixels" else white):
        path = os.path.join(OUT, folder, f"{i + 1}-{names[i]}.png")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        im.save(path, optimize=True)
