"""stable-diffusion.cpp as a peer of peers.py: its program is started anew for each line of input, samples 2 guided steps of 512x512 (cfg 7.5,
Euler; its U-Net runs once for the prompt and once for the negative one) and is ended before it decodes; the second step's seconds and
the program's peak GiB are a line of output.

    python peer_sdcpp.py --size 64x64 --threads 2 --sdcpp PROGRAM CHECKPOINT [--flags "--diffusion-fa"]
    python peer_sdcpp.py --make SD_DIR CHECKPOINT       the weights of a text-to-image directory (make_sd21.py writes one) as one file

Left out, --sdcpp is $SDCPP_PROGRAM and $SDCPP_MODEL. The program is sd-cli, built with ggml's matrix products for CPUs (its default has them off):

    git clone --recursive https://github.com/leejet/stable-diffusion.cpp && cd stable-diffusion.cpp
    cmake -B build -G Ninja -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DGGML_LLAMAFILE=ON -DSD_WEBM=OFF -DSD_WEBP=OFF
    ninja -C build sd-cli                               PROGRAM is build/bin/sd-cli
"""
import argparse
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

LISTING = Path(__file__).parents[2] / "tests/golden/ldm/sd2.tsv"
PROGRESS = re.compile(r"\| (\d+)/(\d+) - ([0-9.]+)(s/it|it/s)")
STEPS = 2


def make(sd, path):
    """Under the latent-diffusion names of LISTING; OpenCLIP's last block, which no component uses, stays out."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file
    have, out = {}, {}
    for part in ("unet", "vae", "text_encoder"):
        file, = (Path(sd) / part).glob("*.safetensors")
        with safe_open(file, "pt") as f:
            for name in f.keys():
                short = part == "text_encoder" and not name.startswith("text_model.")
                have["text_model." + name if short else name] = f.get_tensor(name)
    for line in LISTING.read_text().splitlines():
        name, shape, targets = (line.split("\t") + [""])[:3]
        parts = [have[t] for t in targets.split(",") if t]
        if parts:
            out[name] = torch.cat(parts).reshape([int(n) for n in shape.split(",")]).contiguous()
    save_file(out, path)


def step_seconds(command):
    """The program's own figure for the last step; it ends a progress line with a carriage return, so lines are universal."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    last = []
    sampling = False
    try:
        for line in process.stdout:
            last = (last + [line.strip()])[-8:]
            sampling = sampling or "generating image" in line
            found = PROGRESS.search(line)
            if sampling and found and int(found[1]) == int(found[2]) == STEPS:
                value = float(found[3])
                return value if found[4] == "s/it" else 1 / value
    finally:
        process.kill()
        process.wait()
    sys.exit(f"{' '.join(command)}: no step was timed\n" + "\n".join(last))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("dir", nargs="?", help="not read: the checkpoint has the weights")
    p.add_argument("--size", default="64x64", help="latent")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--sdcpp", nargs=2, metavar=("PROGRAM", "CHECKPOINT"), default=[os.environ.get("SDCPP_PROGRAM"), os.environ.get("SDCPP_MODEL")])
    p.add_argument("--flags", default="--diffusion-fa", help="more of the program's own")
    p.add_argument("--make", nargs=2, metavar=("SD_DIR", "CHECKPOINT"))
    a = p.parse_args()
    if a.make:
        return make(*a.make)
    program, model = a.sdcpp
    if not program or not model:
        return print("give --sdcpp PROGRAM CHECKPOINT, or SDCPP_PROGRAM and SDCPP_MODEL in the environment")
    if not os.access(program, os.X_OK) or not os.path.isfile(model):
        return print(f"{program}: not a program, or {model}: not a file")
    width, height = (8 * int(v) for v in a.size.split("x"))
    command = [program, "-m", model, "-p", "a red fox in the snow", "-n", "blurry", "-W", str(width), "-H", str(height), "--steps", str(STEPS),
               "--sampling-method", "euler", "--cfg-scale", "7.5", "--seed", "1", "-t", str(a.threads), "-o", os.devnull, *a.flags.split()]
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"ready {version.replace(' version', '')}", flush=True)
    for _ in sys.stdin:
        print(step_seconds(command), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20, flush=True)


if __name__ == "__main__":
    main()
