#!/usr/bin/env python3
"""Puts the convolutions of one model's U-Net into another's, so that both can share that shard (export.py) after training the rest again.

usage: graft.py MODEL DONOR OUT        then: m2m train with "from": OUT and "train_only": "transformer_blocks,proj_,time_emb,norm,condition_embedder"
"""
import glob
import os
import shutil
import sys

from safetensors.numpy import load_file, save_file

from export import PARTS


def unet(folder):
    out = {}
    for file in sorted(glob.glob(os.path.join(folder, "unet", "*.safetensors"))):
        out.update(load_file(file))
    return out


def main():
    model, donor, out = sys.argv[1:4]
    values, other = unet(model), unet(donor)
    for name in values:
        if not any(word in name for words in PARTS for word in words):
            assert values[name].shape == other[name].shape, f"{name}: {values[name].shape}, the donor has {other[name].shape}"
            values[name] = other[name]
    shutil.copytree(model, out)
    for file in glob.glob(os.path.join(out, "unet", "*.safetensors*")):
        os.remove(file)
    save_file(values, os.path.join(out, "unet", "diffusion_pytorch_model.safetensors"), metadata={"format": "pt"})


main()
