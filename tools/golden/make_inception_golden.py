"""Writes tests/golden/inception: pixels are made by a formula, features and logits by pytorch-fid's fid_inception_v3.

    pip install pytorch-fid==0.3.0 torchvision        (besides requirements.txt)
    python make_inception_golden.py [--weights DIR]

The weights (96 MB) are made by the formula below, which tests/models/inception_test.c knows too; --weights also writes them as
DIR/model.safetensors, for `m2m forward DIR --component inception`.
"""
import argparse
import os

import numpy as np
import pytorch_fid.inception
import torch
from safetensors.torch import save_file

from make_golden import OUT, make_manifest

HERE = os.path.join(OUT, "inception")
CASES = {"usual": (2, 299, 299), "small_odd": (1, 78, 91)}


def uniform(name, shape):
    """In [-1, 1): SplitMix64 of FNV-1a(name) + i."""
    h = 0xCBF29CE484222325
    for c in name.encode():
        h = (h ^ c) * 0x100000001B3 % 2 ** 64
    with np.errstate(over="ignore"):
        z = np.uint64(h) + np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(40)).astype(np.float64) / 2 ** 23 - 1).reshape(shape)


def value(name, shape):
    u = uniform(name, shape)
    if name.endswith("conv.weight"):
        u = u * np.sqrt(6 / np.prod(shape[1:]))
    elif name == "fc.weight":
        u = u / np.sqrt(shape[1])
    elif name.endswith(("bn.weight", "running_var")):
        u = 1 + 0.3 * u
    else:
        u = 0.1 * u
    return torch.from_numpy(u.astype(np.float32))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights")
    a = parser.parse_args()
    made = {}

    def weights(*_, **__):
        import torchvision
        shapes = torchvision.models.inception_v3(num_classes=1008, aux_logits=False, init_weights=False).state_dict()
        made.update({k: v if k.endswith("tracked") else value(k, tuple(v.shape)) for k, v in shapes.items()})
        return made

    pytorch_fid.inception.load_state_dict_from_url = weights
    model = pytorch_fid.inception.fid_inception_v3().eval()
    if a.weights:
        os.makedirs(a.weights, exist_ok=True)
        save_file(made, os.path.join(a.weights, "model.safetensors"))
    model.double()
    os.makedirs(HERE, exist_ok=True)
    for name, (batch, height, width) in CASES.items():
        pixels = torch.from_numpy(uniform(name, (batch, 3, height, width)).astype(np.float32))
        kept = {}
        hook = model.avgpool.register_forward_hook(lambda _m, _i, out: kept.update(features=out.flatten(1)))
        with torch.no_grad():
            logits = model(pixels.double())
        hook.remove()
        save_file({"features": kept["features"].float(), "logits": logits.float()}, os.path.join(HERE, name + ".safetensors"))
        print(name, kept["features"].mean().item(), kept["features"].std().item(), logits.std().item())
    make_manifest(argparse.Namespace(only="inception"))


if __name__ == "__main__":
    main()
