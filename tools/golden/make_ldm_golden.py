"""Writes tests/golden/ldm: every tensor of single-file Stable Diffusion 1 and 2 checkpoints, its shape, and what
diffusers makes of it.

    python make_ldm_golden.py CHECKOUT      CHECKOUT: github.com/Stability-AI/stablediffusion, from which the names are

The checkpoints' own code builds the models (on the meta device: no weights), LitEma names the averages, and diffusers'
conversion functions say where each tensor goes; tensors are single numbers spread over the shape, so that a target tells
its source. OpenCLIP's text tower is written out here (its package needs torchvision): MultiheadAttention names its own.

A line: name, shape, and diffusers' name or names (q,k,v: thirds of the rows), empty where it is no part of a component.
"""
import hashlib
import json
import sys
import types
from pathlib import Path

import torch
from torch import nn


def import_ldm(checkout):
    """The code's imports that are not needed to name tensors are empty modules."""
    sys.path.insert(0, checkout)
    for name, members in (("einops", ("rearrange", "repeat")), ("omegaconf", ()),
                          ("omegaconf.listconfig", ("ListConfig",))):
        module = types.ModuleType(name)
        for member in members:
            setattr(module, member, nn.Module)
        sys.modules[name] = module


def open_clip_text(width, layers, vocabulary=49408, positions=77):
    def block():
        b = nn.Module()
        b.attn = nn.MultiheadAttention(width, width // 64)
        b.ln_1, b.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        b.mlp = nn.Module()
        b.mlp.c_fc, b.mlp.c_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        return b

    t = nn.Module()
    t.transformer = nn.Module()
    t.transformer.resblocks = nn.ModuleList(block() for _ in range(layers))
    t.token_embedding, t.ln_final = nn.Embedding(vocabulary, width), nn.LayerNorm(width)
    t.positional_embedding = nn.Parameter(torch.empty(positions, width))
    t.text_projection = nn.Parameter(torch.empty(width, width))
    t.logit_scale = nn.Parameter(torch.empty([]))
    return t


def build(version):
    """Modules under the names that LatentDiffusion gives them."""
    from ldm.modules.diffusionmodules.model import Decoder, Encoder
    from ldm.modules.diffusionmodules.openaimodel import UNetModel
    from ldm.modules.ema import LitEma
    from transformers import CLIPTextConfig, CLIPTextModel

    heads = dict(num_heads=8, context_dim=768) if version == 1 else dict(
        num_head_channels=64, context_dim=1024, use_linear_in_transformer=True)
    unet = UNetModel(image_size=32, in_channels=4, model_channels=320, out_channels=4, num_res_blocks=2,
                     attention_resolutions=[4, 2, 1], channel_mult=[1, 2, 4, 4], use_spatial_transformer=True,
                     transformer_depth=1, legacy=False, **heads)
    parts = dict(double_z=True, z_channels=4, resolution=256, in_channels=3, out_ch=3, ch=128, ch_mult=[1, 2, 4, 4],
                 num_res_blocks=2, attn_resolutions=[], dropout=0.0)
    vae = nn.Module()
    vae.encoder, vae.decoder = Encoder(**parts), Decoder(**parts)
    vae.quant_conv, vae.post_quant_conv = nn.Conv2d(8, 8, 1), nn.Conv2d(4, 4, 1)
    whole = nn.Module()
    whole.model = nn.Module()
    whole.model.diffusion_model = unet
    whole.first_stage_model = vae
    whole.cond_stage_model = nn.Module()
    if version == 1:
        whole.cond_stage_model.transformer = CLIPTextModel(CLIPTextConfig(
            hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12))
        whole.model_ema = LitEma(whole.model)
    else:
        whole.cond_stage_model.model = open_clip_text(1024, 24)
    shapes = {name: tuple(t.shape) for name, t in whole.state_dict().items()}
    if version == 1:   # as transformers 4 wrote it
        prefix = "cond_stage_model.transformer."
        text = [n for n in shapes if n.startswith(prefix) and not n.startswith(prefix + "text_model.")]
        for name in text:
            shapes[prefix + "text_model." + name[len(prefix):]] = shapes.pop(name)
        shapes[prefix + "text_model.embeddings.position_ids"] = (1, 77)
    for name in ("betas", "alphas_cumprod", "sqrt_alphas_cumprod"):
        shapes[name] = (1000,)
    return shapes


def spread(shapes):
    """Number i all over tensor i; its thirds along the rows are i, i + 1/4, i + 1/2."""
    out = {}
    for i, (name, shape) in enumerate(shapes.items()):
        if "in_proj" in name:
            column = torch.repeat_interleave(torch.tensor([0, 0.25, 0.5]) + i, shape[0] // 3)
            out[name] = column.reshape(-1, *[1] * (len(shape) - 1)).expand(shape)
        else:
            out[name] = torch.tensor(float(i)).expand(shape)
    return out


def converted(version, checkpoint):
    from diffusers.loaders import single_file_utils as single

    unet = single.convert_ldm_unet_checkpoint(dict(checkpoint), {"layers_per_block": 2}, extract_ema=True)
    vae = single.convert_ldm_vae_checkpoint(dict(checkpoint), {"down_block_types": [0] * 4, "up_block_types": [0] * 4})
    if version == 1:
        text = single.convert_ldm_clip_checkpoint(dict(checkpoint))
        text.pop("text_model.embeddings.position_ids")
    else:
        model = types.SimpleNamespace(config=types.SimpleNamespace(hidden_size=1024))
        text = single.convert_open_clip_checkpoint(model, dict(checkpoint))
    return {**unet, **vae, **text}


def main():
    import_ldm(sys.argv[1])
    out = Path(__file__).resolve().parents[2] / "tests/golden/ldm"
    out.mkdir(exist_ok=True)
    for version in (1, 2):
        with torch.device("meta"):
            shapes = build(version)
        targets = {i: [None] * 3 for i in range(len(shapes))}
        for name, tensor in converted(version, spread(shapes)).items():
            value = float(tensor.flatten()[0])
            assert float(tensor.flatten()[-1]) == value, name
            targets[int(value)][int(value % 1 * 4)] = name
        with open(out / f"sd{version}.tsv", "w") as f:
            for i, (name, shape) in enumerate(shapes.items()):
                f.write(f"{name}\t{','.join(map(str, shape))}\t{','.join(t for t in targets[i] if t)}\n")
    add_sums(out)


def add_sums(folder):
    manifest = folder.parent / "MANIFEST.json"
    content = json.loads(manifest.read_text())
    for file in folder.iterdir():
        content["sha256"][f"{folder.name}/{file.name}"] = hashlib.sha256(file.read_bytes()).hexdigest()
    content["sha256"] = dict(sorted(content["sha256"].items()))
    manifest.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
