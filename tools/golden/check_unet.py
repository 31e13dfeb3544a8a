"""m2m's text-to-image U-Net against diffusers' at Stable Diffusion 2.1-base's size, float32 arithmetic on the directory's 16-bit weights:

    python check_unet.py build/release/m2m SD_DIR       SD_DIR: such as bench/make_sd21.py writes

One 64x64 latent of noise, two texts' states of noise; fails when the relative L2 error is over 2e-3. diffusers needs 4.5 GiB of memory.
"""
import subprocess
import sys
import tempfile

import diffusers
import torch
from safetensors.torch import load_file, save_file


def main():
    program, sd = sys.argv[1:3]
    torch.manual_seed(1)
    x = {"sample": torch.randn(1, 4, 64, 64).repeat(2, 1, 1, 1), "timestep": torch.tensor([501, 501]), "encoder_hidden_states": torch.randn(2, 77, 1024)}
    with tempfile.TemporaryDirectory() as folder:
        save_file(x, folder + "/in.safetensors")
        subprocess.run([program, "forward", sd, "--component", "unet", "--in", folder + "/in.safetensors", "--out", folder + "/out.safetensors"], check=True)
        mine = load_file(folder + "/out.safetensors")["sample"].double()
    unet = diffusers.UNet2DConditionModel.from_pretrained(sd, subfolder="unet", torch_dtype=torch.float32).eval()
    with torch.no_grad():
        wanted = unet(**x).sample.double()
    error = float((mine - wanted).norm() / wanted.norm())
    print(f"sample {list(mine.shape)}, standard deviation {float(wanted.std()):.3f}: relative L2 {error:.2e}, largest difference "
          f"{float((mine - wanted).abs().max()):.2e} (diffusers {diffusers.__version__}, PyTorch {torch.__version__})")
    sys.exit(error > 2e-3)


main()
