"""Writes tests/golden/eval.safetensors: what pytorch-fid, torch-fidelity and clean-fid make of images before Inception sees
them, NumPy's permutation that torch-fidelity shuffles by, and its inception score of shuffled logits.

    pip install pytorch-fid==0.3.0 torch-fidelity==0.4.0 clean-fid==0.1.35        (besides requirements.txt)
    python make_eval_golden.py

Images are made by the formula `image`, which tests/models/inception_pixels_test.c knows too; of the 3 x 299 x 299 numbers
every STEP-th is kept.
"""
import argparse
import os

import numpy as np
import torch
from cleanfid.resize import build_resizer
from pytorch_fid.inception import InceptionV3
from safetensors.torch import save_file
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
from torch_fidelity.metric_isc import isc_features_to_metric

from make_golden import OUT, make_manifest
from make_inception_golden import uniform

STEP = 199
SIZES = {"small": (31, 23), "tall": (200, 641), "large": (512, 480), "same": (299, 299)}     # width, height


def image(width, height):
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return ((x * 7 + y * 13 + c * 29 + x * y // 11 + (x // 8 + y // 8) % 2 * 90) % 256).astype(np.uint8)


def pytorch_fid(rgb):
    model = InceptionV3.__new__(InceptionV3)
    torch.nn.Module.__init__(model)
    model.resize_input = model.normalize_input = True
    model.blocks = torch.nn.ModuleList([torch.nn.Identity()])
    model.last_needed_block, model.output_blocks = 0, [0]
    return model(torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255)[0]


def torch_fidelity(rgb):
    x = torch.from_numpy(rgb).permute(2, 0, 1)[None].float()
    return (interpolate_bilinear_2d_like_tensorflow1x(x, size=(299, 299), align_corners=False) - 128) / 128


def clean_fid(rgb):
    return (torch.from_numpy(build_resizer("clean")(rgb)).permute(2, 0, 1) - 128) / 128


def main():
    t = {}
    for name, size in SIZES.items():
        for way, f in {"pytorch-fid": pytorch_fid, "torch-fidelity": torch_fidelity, "clean-fid": clean_fid}.items():
            t[f"{way}.{name}"] = f(image(*size)).flatten()[::STEP].contiguous()
    t["permutation"] = torch.from_numpy(np.random.RandomState(2020).permutation(1000).astype(np.int32))
    logits = torch.from_numpy((4 * uniform("logits", (50, 12))).astype(np.float32))
    score = isc_features_to_metric(logits, splits=10, shuffle=True, rng_seed=2020)
    t["logits"] = logits
    t["inception_score"] = torch.tensor([score["inception_score_mean"], score["inception_score_std"]], dtype=torch.float64)
    save_file(t, os.path.join(OUT, "eval.safetensors"))
    make_manifest(argparse.Namespace(only="eval"))


if __name__ == "__main__":
    main()
