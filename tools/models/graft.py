#!/usr/bin/env python3
"""Puts parameters of one model's U-Net into another's, so that both can share a shard (export.py) after training the rest again.

usage: graft.py MODEL DONOR OUT [--keep WORDS]

What has one of WORDS (comma separated) in its name stays MODEL's, all else is the DONOR's. Left out: all but the convolutions stays. Then, for example:

    graft.py runs/t2i/model models/emoji START        m2m train with "from": START and "train_only": "transformer_blocks,proj_,time_emb,norm,condition_embedder"
    graft.py runs/dino-start models/emoji START --keep attn2        M2M-DINO on the embedded model's U-Net, with set attention of its own
"""
import argparse
import glob
import os
import shutil

from safetensors.numpy import load_file, save_file

from export import PARTS


def unet(folder):
    out = {}
    for file in sorted(glob.glob(os.path.join(folder, "unet", "*.safetensors"))):
        out.update(load_file(file))
    return out


def main():
    p = argparse.ArgumentParser()
    p.add_argument("model")
    p.add_argument("donor")
    p.add_argument("out")
    p.add_argument("--keep", default=",".join(word for words in PARTS for word in words))
    a = p.parse_args()
    values, other, keep = unet(a.model), unet(a.donor), a.keep.split(",")
    for name in values:
        if not any(word in name for word in keep):
            assert values[name].shape == other[name].shape, f"{name}: {values[name].shape}, the donor has {other[name].shape}"
            values[name] = other[name]
    shutil.copytree(a.model, a.out)
    for file in glob.glob(os.path.join(a.out, "unet", "*.safetensors*")):
        os.remove(file)
    save_file(values, os.path.join(a.out, "unet", "diffusion_pytorch_model.safetensors"), metadata={"format": "pt"})


main()
