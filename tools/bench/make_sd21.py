"""Writes a random Stable Diffusion 2.1-base in diffusers' layout, to measure loading, memory and time without its weights:

    python make_sd21.py OUT TOKENIZER_DIR

16-bit weights (about 2.6 GB), names and shapes from diffusers' and transformers' own modules; norms are 1 and 0, the rest is
small noise, so that activations stay finite. TOKENIZER_DIR is copied (tests/golden/models/tokenizer_sd2/tokenizer will do).
"""
import json
import os
import shutil
import sys

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

CA, D = "CrossAttnDownBlock2D", "DownBlock2D"
UNET = dict(attention_head_dim=[5, 10, 20, 20], block_out_channels=[320, 640, 1280, 1280], cross_attention_dim=1024, sample_size=64,
            down_block_types=[CA, CA, CA, D], up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3, use_linear_projection=True)
VAE = dict(block_out_channels=[128, 256, 512, 512], down_block_types=["DownEncoderBlock2D"] * 4, layers_per_block=2, latent_channels=4,
           up_block_types=["UpDecoderBlock2D"] * 4, sample_size=768)
TEXT = dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=23, num_attention_heads=16, hidden_act="gelu", vocab_size=49408,
            max_position_embeddings=77, eos_token_id=2, bos_token_id=0, pad_token_id=1)
SCHEDULER = dict(_class_name="PNDMScheduler", beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000,
                 set_alpha_to_one=False, skip_prk_steps=True, steps_offset=1, clip_sample=False, prediction_type="epsilon")


def write_json(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    json.dump(value, open(path, "w"), indent=2)


def weights(module):
    noise = torch.randn(1 << 22, generator=torch.Generator().manual_seed(1)).half()
    state = {}
    for i, (name, p) in enumerate(module.state_dict().items()):
        if p.dim() == 1:
            state[name] = torch.full(p.shape, 1.0 if name.endswith("weight") else 0.0, dtype=torch.float16)
            continue
        start = i * 7919 % 100000
        row = noise[start:]
        row = row.repeat(p.numel() // row.numel() + 1)[:p.numel()]
        state[name] = (row * (0.5 / (p.numel() // p.shape[0]) ** 0.5)).reshape(p.shape).contiguous()
    return state


def main():
    out, tokenizer = sys.argv[1:3]
    with torch.device("meta"):
        parts = [("unet", UNet2DConditionModel(**UNET), UNET, "diffusion_pytorch_model", {"_class_name": "UNet2DConditionModel"}),
                 ("vae", AutoencoderKL(**VAE), VAE, "diffusion_pytorch_model", {"_class_name": "AutoencoderKL"}),
                 ("text_encoder", CLIPTextModel(CLIPTextConfig(**TEXT)), TEXT, "model", {"model_type": "clip_text_model"})]
    for name, module, config, file, more in parts:
        write_json(f"{out}/{name}/config.json", {**more, **config})
        save_file(weights(module), f"{out}/{name}/{file}.safetensors", metadata={"format": "pt"})
        print(name, sum(p.numel() for p in module.parameters()))
    shutil.copytree(tokenizer, out + "/tokenizer", dirs_exist_ok=True)
    write_json(out + "/scheduler/scheduler_config.json", SCHEDULER)
    write_json(out + "/model_index.json", {"_class_name": "StableDiffusionPipeline"})


main()
