"""Runs the program on random single-file checkpoints, SD 1 and SD 2 in small, and compares with diffusers.

    python check_ldm.py build/release/m2m CHECKOUT      CHECKOUT: see make_ldm_golden.py

The checkpoints' own code makes the models; diffusers' functions convert their weights. `m2m init` must keep every tensor
of U-Net and VAE but attn2, bit for bit, and `m2m forward` on the file must agree with diffusers' U-Net and VAE.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from make_ldm_golden import import_ldm

UNET = dict(in_channels=4, out_channels=4, layers_per_block=1, block_out_channels=[64, 128], norm_num_groups=32,
            down_block_types=["CrossAttnDownBlock2D", "DownBlock2D"], up_block_types=["UpBlock2D", "CrossAttnUpBlock2D"])
VAE = dict(in_channels=3, out_channels=3, latent_channels=4, layers_per_block=1, block_out_channels=[32, 64],
           down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2)


def build(version):
    from ldm.modules.diffusionmodules.model import Decoder, Encoder
    from ldm.modules.diffusionmodules.openaimodel import UNetModel
    from ldm.modules.ema import LitEma

    heads = dict(num_heads=8, context_dim=768) if version == 1 else dict(
        num_head_channels=64, context_dim=1024, use_linear_in_transformer=True)
    whole = nn.Module()
    whole.model = nn.Module()
    whole.model.diffusion_model = UNetModel(
        image_size=32, in_channels=4, model_channels=64, out_channels=4, num_res_blocks=1, attention_resolutions=[1],
        channel_mult=[1, 2], use_spatial_transformer=True, transformer_depth=1, legacy=False, **heads)
    parts = dict(double_z=True, z_channels=4, resolution=32, in_channels=3, out_ch=3, ch=32, ch_mult=[1, 2],
                 num_res_blocks=1, attn_resolutions=[], dropout=0.0)
    vae = whole.first_stage_model = nn.Module()
    vae.encoder, vae.decoder = Encoder(**parts), Decoder(**parts)
    vae.quant_conv, vae.post_quant_conv = nn.Conv2d(8, 8, 1), nn.Conv2d(4, 4, 1)
    if version == 1:
        whole.model_ema = LitEma(whole.model)
    state = {name: t.clone() for name, t in whole.state_dict().items()}
    for t in state.values():   # zero convolutions and averages, too
        if t.is_floating_point() and t.dim():
            t.copy_(torch.randn(t.shape) * (0.4 / max(1, t[0].numel()) ** 0.5) + (1 if t.dim() == 1 else 0))
    return state


def run(*args):
    subprocess.run([str(a) for a in args], check=True, stdout=subprocess.DEVNULL)


def close(what, ours, theirs):
    error = float((ours - theirs).abs().max() / theirs.abs().max())
    print(f"{what}: {error:.2e}")
    assert error < 1e-4, what


def check(program, version, folder):
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from diffusers.loaders import single_file_utils as single

    state = build(version)
    file = folder / f"sd{version}.safetensors"
    save_file(state, file)
    context = 768 if version == 1 else 1024
    unet = UNet2DConditionModel(**UNET, cross_attention_dim=context, use_linear_projection=version == 2,
                                attention_head_dim=8 if version == 1 else [1, 2])
    theirs = single.convert_ldm_unet_checkpoint(dict(state), unet.config, extract_ema=True)
    unet.load_state_dict(theirs)
    vae = AutoencoderKL(**VAE)
    of_vae = single.convert_ldm_vae_checkpoint(dict(state), vae.config)
    vae.load_state_dict(of_vae)

    out = folder / f"m2m{version}"
    run(program, "init", "--from", file, "-o", out)
    for name, wanted in (("unet", theirs), ("vae", of_vae)):
        ours = load_file(out / name / "diffusion_pytorch_model.safetensors")
        assert ours.keys() == wanted.keys(), name
        kept = [n for n in ours if ".attn2." not in n]
        assert all(torch.equal(ours[n], wanted[n]) for n in kept)
        print(f"sd{version} {name}: {len(kept)} of {len(ours)} tensors kept, equal")

    x = {"sample": torch.randn(2, 4, 16, 16), "timestep": torch.tensor([3.0, 700.0]),
         "encoder_hidden_states": torch.randn(2, 7, context)}
    save_file(x, folder / "x.safetensors")
    run(program, "forward", file, "--component", "unet", "--in", folder / "x.safetensors", "--out", folder / "y.safetensors")
    with torch.no_grad():
        close(f"sd{version} unet", load_file(folder / "y.safetensors")["sample"], unet(**x).sample)
    run(program, "forward", file, "--component", "vae_decoder", "--in", folder / "x.safetensors", "--out",
        folder / "y.safetensors")
    with torch.no_grad():
        close(f"sd{version} vae", load_file(folder / "y.safetensors")["sample"], vae.decode(x["sample"]).sample)


if __name__ == "__main__":
    import_ldm(sys.argv[2])
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as scratch:
        for v in (1, 2):
            check(Path(sys.argv[1]).resolve(), v, Path(scratch))
