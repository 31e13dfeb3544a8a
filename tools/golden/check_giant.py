"""m2m's image encoder against transformers' Dinov2Model at DINOv2-giant's size (1.1 billion parameters), random weights:

    python check_giant.py build/release/m2m [--dir /tmp/giant]

Writes the directory once (4.6 GB, float32), runs both on one 224x224 picture of noise, and fails when the 257x1536 features differ by more than 2e-3
(relative L2). transformers needs 6 GiB of memory.
"""
import argparse
import os
import resource
import subprocess
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import Dinov2Config, Dinov2Model

GIANT = dict(hidden_size=1536, num_hidden_layers=40, num_attention_heads=24, use_swiglu_ffn=True, image_size=518, patch_size=14)


def make(folder):
    torch.manual_seed(1)
    model = Dinov2Model(Dinov2Config(**GIANT)).eval()
    with torch.no_grad():                       # what transformers starts at 0 or 1 must count, too
        for p in model.parameters():
            if p.dim() == 1 or float(p.abs().max()) == 0:
                p.add_(0.1 * torch.randn_like(p))
        pixels = torch.randn(1, 3, 224, 224)
        features = model(pixels).last_hidden_state
    model.save_pretrained(folder, max_shard_size="10GB")
    save_file({"pixel_values": pixels}, folder + "/in.safetensors")
    save_file({"last_hidden_state": features}, folder + "/wanted.safetensors")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program")
    p.add_argument("--dir", default="/tmp/giant")
    a = p.parse_args()
    if not os.path.exists(a.dir + "/wanted.safetensors"):
        make(a.dir)
    subprocess.run([a.program, "forward", a.dir, "--component", "image_encoder", "--in", a.dir + "/in.safetensors", "--out", a.dir + "/out.safetensors"],
                   check=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2 ** 20
    mine, wanted = (load_file(f"{a.dir}/{n}.safetensors")["last_hidden_state"].double() for n in ("out", "wanted"))
    error = float((mine - wanted).norm() / wanted.norm())
    print(f"features {list(mine.shape)}: relative L2 {error:.2e}, largest difference {float((mine - wanted).abs().max()):.2e}; peak {peak:.2f} GiB")
    sys.exit(error > 2e-3)


main()
