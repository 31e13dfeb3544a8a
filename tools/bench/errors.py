#!/usr/bin/env python3
"""How far each mode of m2m and of its peers is from PyTorch in float32: one forward of a U-Net directory, as peers.py times it.

    python tools/bench/errors.py /tmp/sd21 [--peers m2m,m2m-exact,m2m-fast,m2m-int8,pytorch-bf16,openvino,openvino-bf16,openvino-f16]

Prints the largest difference over the largest value, and the relative L2 error. The directory is one of peers.py's.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from safetensors.numpy import load_file, save_file

HERE = pathlib.Path(__file__).resolve().parent


def pytorch(a, folder, dtype):
    """In a process of its own: two copies of the weights would not fit."""
    code = f"""
import sys, torch
sys.path.insert(0, {str(HERE)!r})
import peer_pytorch
from safetensors.torch import load_file, save_file
torch.set_num_threads({a.threads})
unet = peer_pytorch.load({a.dir!r}, torch.{dtype}, 0)[1].eval()
x = load_file({folder + "/in.safetensors"!r})
with torch.no_grad():
    y = unet(x["sample"].to(torch.{dtype}), x["timestep"], x["encoder_hidden_states"].to(torch.{dtype})).sample
save_file({{"sample": y.float().contiguous()}}, {folder + "/out.safetensors"!r})
"""
    subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)


def openvino(a, folder, precision):
    code = f"""
import numpy as np, openvino as ov
from safetensors.numpy import load_file, save_file
x = load_file({folder + "/in.safetensors"!r})
m = ov.Core().compile_model({str(pathlib.Path(a.dir) / "openvino" / f"unet-{a.size}-2.xml")!r}, "CPU",
                            {{"INFERENCE_NUM_THREADS": {a.threads}, "INFERENCE_PRECISION_HINT": {precision!r}}})
y = m([x["sample"], x["timestep"], x["encoder_hidden_states"]])[0]
save_file({{"sample": np.ascontiguousarray(y, np.float32)}}, {folder + "/out.safetensors"!r})
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def m2m(a, folder, flags):
    subprocess.run([a.program, "forward", a.dir, "--component", "unet", "--in", folder + "/in.safetensors", "--out", folder + "/out.safetensors",
                    "--threads", str(a.threads)] + flags, check=True)


WAYS = {
    "m2m": lambda a, f: m2m(a, f, []),
    "m2m-exact": lambda a, f: m2m(a, f, ["--exact"]),
    "m2m-fast": lambda a, f: m2m(a, f, ["--fast"]),
    "m2m-int8": lambda a, f: m2m(a, f, ["--int8"]),
    "pytorch-bf16": lambda a, f: pytorch(a, f, "bfloat16"),
    "openvino": lambda a, f: openvino(a, f, "f32"),
    "openvino-bf16": lambda a, f: openvino(a, f, "bf16"),
    "openvino-f16": lambda a, f: openvino(a, f, "f16"),
}


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("dir")
    p.add_argument("--peers", default=",".join(WAYS))
    p.add_argument("--size", default="64x64")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--program", default=str(HERE.parents[1] / "build/release/m2m"))
    a = p.parse_args()
    width, height = (int(v) for v in a.size.split("x"))
    config = json.load(open(pathlib.Path(a.dir) / "config.json"))
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        save_file({"sample": rng.standard_normal((2, config["in_channels"], height, width)).astype(np.float32), "timestep": np.array([500, 500]),
                   "encoder_hidden_states": rng.standard_normal((2, 77, config["cross_attention_dim"])).astype(np.float32)}, folder + "/in.safetensors")
        pytorch(a, folder, "float32")
        want = load_file(folder + "/out.safetensors")["sample"].astype(np.float64)
        print("| mode | largest error over largest value | relative L2 |\n|---|---|---|")
        for name in a.peers.split(","):
            WAYS[name](a, folder)
            d = load_file(folder + "/out.safetensors")["sample"] - want
            print(f"| {name} | {abs(d).max() / abs(want).max():.1e} | {np.linalg.norm(d) / np.linalg.norm(want):.1e} |", flush=True)


if __name__ == "__main__":
    main()
