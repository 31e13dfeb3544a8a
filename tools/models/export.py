#!/usr/bin/env python3
"""A trained model directory -> one to ship: float16, and what another shipped model has too is a link to it.

usage: export.py RUN/model models/NAME [--base models/OTHER]

The U-Net is written as four shards: set attention and task conditions; self-attention; the rest of the transformers, time and norms; the convolutions.
With --base, a shard or VAE that equals the base's byte for byte becomes a symbolic link: models that were fine-tuned with `train_only` then cost what was trained. A
text-to-image model's tokenizer is copied, its text_encoder a link to the text tower of --base's ../clip where that is the same; an M2M-DINO's encoder is
copied as it is. Of a CLIP: its two towers as two shards. Needs numpy and safetensors.
"""
import argparse
import json
import os
import shutil

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

NAME = "diffusion_pytorch_model"
PARTS = [("attn2", "condition_embedder"), ("attn1",), ("transformer_blocks", "proj_", "time_emb", "norm")]      # words in a parameter's name; then all others


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


def save(values, path):
    save_file(values, path, metadata={"format": "pt"})
    os.chmod(path, 0o644)


def write(values, path, base):
    save(values, path)
    other = base and os.path.join(base, os.path.relpath(path, os.path.dirname(os.path.dirname(path))))
    if other and same(path, other):
        os.remove(path)
        os.symlink(os.path.relpath(os.path.realpath(other), os.path.dirname(path)), path)
    print(path, "->", os.readlink(path) if os.path.islink(path) else f"{os.path.getsize(path):,} bytes")


def write_index(path, weight_map, values):
    with open(path, "w") as f:
        json.dump({"metadata": {"total_size": sum(t.nbytes for t in values.values())}, "weight_map": weight_map}, f, indent=1)
        f.write("\n")


def export_clip(source, target):
    """The text tower is a shard of its own, so that a text-to-image model's text_encoder can be a link to it."""
    os.makedirs(target, exist_ok=True)
    for file in os.listdir(source):
        if file.endswith((".json", ".txt")):
            shutil.copyfile(os.path.join(source, file), os.path.join(target, file))
    values, weight_map = tensors(source), {}
    for i, text in enumerate((True, False), 1):
        file = f"model-{i:05d}-of-00002.safetensors"
        part = {k: t for k, t in values.items() if k.startswith("text_model.") == text}
        save(part, os.path.join(target, file))
        weight_map.update((k, file) for k in sorted(part))
    write_index(os.path.join(target, "model.safetensors.index.json"), weight_map, values)


def copy_text(source, target, base):
    for folder in ("text_encoder", "tokenizer"):
        shutil.rmtree(os.path.join(target, folder), ignore_errors=True)
        shutil.copytree(os.path.join(source, folder), os.path.join(target, folder))
    path = os.path.join(target, "text_encoder/model.safetensors")
    values, clip = tensors(os.path.join(source, "text_encoder")), base and os.path.join(base, "../clip/model-00001-of-00002.safetensors")
    os.remove(path)
    if clip and os.path.exists(clip) and equal(values, clip):
        os.symlink(os.path.relpath(clip, os.path.dirname(path)), path)
    else:
        save(values, path)


def equal(values, path):
    """The same numbers, whether the names begin with text_model. or not."""
    with safe_open(path, "np") as f:
        other = {k.removeprefix("text_model."): f.get_tensor(k) for k in f.keys()}
    mine = {k.removeprefix("text_model."): t for k, t in values.items()}
    return mine.keys() == other.keys() and all(np.array_equal(t, other[k]) for k, t in mine.items())


def main():
    p = argparse.ArgumentParser()
    p.add_argument("source")
    p.add_argument("target")
    p.add_argument("--base")
    a = p.parse_args()
    if os.path.exists(os.path.join(a.source, "config.json")):
        return export_clip(a.source, a.target)
    for folder in ("unet", "vae", "scheduler"):
        shutil.rmtree(os.path.join(a.target, folder), ignore_errors=True)
        os.makedirs(os.path.join(a.target, folder))
    for file in ("model_index.json", "unet/config.json", "vae/config.json", "scheduler/scheduler_config.json"):
        shutil.copyfile(os.path.join(a.source, file), os.path.join(a.target, file))
    if os.path.isdir(os.path.join(a.source, "text_encoder")):
        copy_text(a.source, a.target, a.base)
    for folder in ("image_encoder", "feature_extractor"):
        if os.path.isdir(os.path.join(a.source, folder)):
            shutil.copytree(os.path.join(a.source, folder), os.path.join(a.target, folder), dirs_exist_ok=True)
    write(tensors(os.path.join(a.source, "vae")), os.path.join(a.target, "vae", NAME + ".safetensors"), a.base)
    unet = tensors(os.path.join(a.source, "unet"))
    parts = [{} for _ in range(len(PARTS) + 1)]
    for name, t in unet.items():
        parts[next((i for i, words in enumerate(PARTS) if any(w in name for w in words)), len(PARTS))][name] = t
    weight_map = {}
    for i, part in enumerate(parts, 1):
        file = f"{NAME}-{i:05d}-of-{len(parts):05d}.safetensors"
        write(part, os.path.join(a.target, "unet", file), a.base)
        weight_map.update((name, file) for name in sorted(part))
    write_index(os.path.join(a.target, "unet", NAME + ".safetensors.index.json"), weight_map, unet)


if __name__ == "__main__":
    main()
