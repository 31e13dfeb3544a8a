#!/usr/bin/env python3
"""A trained model directory -> one to ship: float16, and what another shipped model has too is a link to it.

usage: export.py RUN/model models/NAME [--base models/OTHER] [--own attn2,condition_embedder]

The U-Net is written as two shards: 00001 has the tensors with a word of --own in their names, 00002 all others. With --base, a shard or VAE that equals the
base's byte for byte becomes a symbolic link: models that were fine-tuned with `train_only` then cost what was trained. Needs numpy and safetensors.
"""
import argparse
import json
import os
import shutil

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

NAME = "diffusion_pytorch_model"


def tensors(folder):
    out = {}
    for file in sorted(f for f in os.listdir(folder) if f.endswith(".safetensors")):
        with safe_open(os.path.join(folder, file), "np") as f:
            out.update((k, f.get_tensor(k).astype(np.float16)) for k in f.keys())
    for name, t in out.items():
        assert np.isfinite(t).all(), f"{name} does not fit float16"
    return out


def same(a, b):
    return os.path.exists(b) and open(a, "rb").read() == open(b, "rb").read()


def write(values, path, base):
    save_file(values, path, metadata={"format": "pt"})
    other = base and os.path.join(base, os.path.relpath(path, os.path.dirname(os.path.dirname(path))))
    if other and same(path, other):
        os.remove(path)
        os.symlink(os.path.relpath(os.path.realpath(other), os.path.dirname(path)), path)
    if not os.path.islink(path):
        os.chmod(path, 0o644)
    print(path, "->", os.readlink(path) if os.path.islink(path) else f"{os.path.getsize(path):,} bytes")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("source")
    p.add_argument("target")
    p.add_argument("--base")
    p.add_argument("--own", default="attn2,condition_embedder")
    a = p.parse_args()
    for folder in ("unet", "vae", "scheduler"):
        shutil.rmtree(os.path.join(a.target, folder), ignore_errors=True)
        os.makedirs(os.path.join(a.target, folder))
    for file in ("model_index.json", "unet/config.json", "vae/config.json", "scheduler/scheduler_config.json"):
        shutil.copyfile(os.path.join(a.source, file), os.path.join(a.target, file))
    write(tensors(os.path.join(a.source, "vae")), os.path.join(a.target, "vae", NAME + ".safetensors"), a.base)
    unet, words = tensors(os.path.join(a.source, "unet")), a.own.split(",")
    parts = [{}, {}]
    for name, t in unet.items():
        parts[0 if any(w in name for w in words) else 1][name] = t
    index = {"metadata": {"total_size": sum(t.nbytes for t in unet.values())}, "weight_map": {}}
    for i, part in enumerate(parts, 1):
        file = f"{NAME}-{i:05d}-of-00002.safetensors"
        write(part, os.path.join(a.target, "unet", file), a.base)
        index["weight_map"].update((name, file) for name in sorted(part))
    with open(os.path.join(a.target, "unet", NAME + ".safetensors.index.json"), "w") as f:
        json.dump(index, f, indent=1)
        f.write("\n")


main()
