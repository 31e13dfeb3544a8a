"""A text-to-image directory and the same weights as one checkpoint file must make the same picture:

    python check_single_file.py build/release/m2m SD_DIR        SD_DIR: of Stable Diffusion 2's size, such as bench/make_sd21.py writes

The file is written beside SD_DIR under the latent-diffusion names that tests/golden/ldm/sd2.tsv lists (from the checkpoints' own code and diffusers'
converter), with the directory's tokenizer in its folder. 256x256 pixels, 2 steps.
"""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

LISTING = Path(__file__).parent.parent.parent / "tests/golden/ldm/sd2.tsv"


def components(sd):
    out = {}
    for part in ("unet", "vae", "text_encoder"):
        file, = (sd / part).glob("*.safetensors")
        with safe_open(file, "pt") as f:
            for name in f.keys():
                name_in_listing = "text_model." + name if part == "text_encoder" and not name.startswith("text_model.") else name
                out[name_in_listing] = f.get_tensor(name)
    return out


def write(sd, path):
    have, out = components(sd), {}
    for line in LISTING.read_text().splitlines():
        name, shape, targets = (line.split("\t") + [""])[:3]
        parts = [have[t] for t in targets.split(",") if t]
        if not parts:
            continue
        sizes = [int(n) for n in shape.split(",")]
        out[name] = torch.cat(parts).reshape(sizes).contiguous()
    save_file(out, path)
    return len(out)


def generate(program, model, out):
    shutil.rmtree(out, ignore_errors=True)
    command = [program, "generate", str(model), "--prompt", "a red fox in the snow", "-n", "1", "--steps", "2", "--size", "256x256", "-o", str(out)]
    subprocess.run(command, check=True)

    return Image.open(out / "000.png").tobytes()


def main():
    program, sd = sys.argv[1], Path(sys.argv[2])
    work = sd.parent / (sd.name + "-one-file")
    os.makedirs(work, exist_ok=True)
    shutil.copytree(sd / "tokenizer", work / "tokenizer", dirs_exist_ok=True)
    print(write(sd, work / "checkpoint.safetensors"), "tensors written")
    subprocess.run([program, "info", str(work / "checkpoint.safetensors"), "--no-sums"], check=True)
    same = generate(program, sd, work / "a") == generate(program, work / "checkpoint.safetensors", work / "b")
    print(json.dumps({"same": same}))
    sys.exit(not same)


main()
