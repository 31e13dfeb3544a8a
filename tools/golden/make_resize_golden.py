#!/usr/bin/env python3
"""Writes tests/golden/resize.safetensors: what Pillow's Image.resize makes of small random images.

usage: make_resize_golden.py [OUT]

rgb and rgba are the inputs [height,width,channels]; INPUT.FILTER.WIDTHxHEIGHT the results in 8 bits, and
float.FILTER.WIDTHxHEIGHT those of rgb's channels in Pillow's mode F, neither clamped nor rounded.

Pillow 13: it begins along y where the height loses more than twice what the width loses (found by trying, it is not
documented); 12 and older always begin along x, which changes bytes by 1.
"""
import os
import sys

import numpy as np
import PIL
from PIL import Image
from safetensors.numpy import save_file

OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "../../tests/golden/resize.safetensors")
assert int(PIL.__version__.split(".")[0]) >= 13, PIL.__version__
FILTERS = dict(nearest=Image.NEAREST, box=Image.BOX, bilinear=Image.BILINEAR, bicubic=Image.BICUBIC, lanczos=Image.LANCZOS)
SIZES = [(8, 8), (30, 5), (19, 7), (7, 23), (1, 1), (40, 33), (17, 18), (17, 19)]        # of inputs 19 wide and 23 high

random = np.random.default_rng(20240403)
rgb = random.integers(0, 256, (23, 19, 3), dtype=np.uint8)
rgba = random.integers(0, 256, (23, 19, 4), dtype=np.uint8)
rgba[:5, :, 3] = 0                                                   # parts without and with full alpha
rgba[-5:, :, 3] = 255
tensors = dict(rgb=rgb, rgba=rgba)
for name, image in (("rgb", rgb), ("rgba", rgba)):
    for how, code in FILTERS.items():
        for size in SIZES[:3] if name == "rgba" else SIZES:
            tensors[f"{name}.{how}.{size[0]}x{size[1]}"] = np.array(Image.fromarray(image).resize(size, code))
for how in ("bilinear", "bicubic", "lanczos"):
    for size in SIZES[:2]:
        planes = [Image.fromarray(rgb[:, :, c].astype(np.float32)).resize(size, FILTERS[how]) for c in range(3)]
        tensors[f"float.{how}.{size[0]}x{size[1]}"] = np.stack([np.array(p) for p in planes], -1)
save_file(tensors, OUT, {"pillow": PIL.__version__})
