"""Writes the DINOv2 and M2M-DINO part of tests/golden: transformers' Dinov2Model and image processors.

    python tools/golden/make_dino_golden.py                        everything
    python tools/golden/make_dino_golden.py --only preprocess_     cases whose name starts so (models are always rewritten)

As make_golden.py, whose helpers it uses: seeded by name, the reference in float64 and stored as float32. The manifest of
all of tests/golden is written anew.
"""
import argparse
import json
import os

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import Dinov2Config, Dinov2Model
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from make_golden import FORWARD, GENERATOR, OUT, SEED, at, forward_info, make_manifest, rand, randomize, seed, write_case, write_json

IMAGENET = dict(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])


# ----------------------------------------------------------------------------------------------------------- models

ENCODERS = {
    # image_size 18 with patch 4: a grid of 4, the rest of the image is not looked at
    "dinov2": dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, image_size=18, patch_size=4, mlp_ratio=4),
    "dinov2_swiglu": dict(hidden_size=20, num_hidden_layers=2, num_attention_heads=2, image_size=15, patch_size=3, mlp_ratio=4,
                          use_swiglu_ffn=True, qkv_bias=False, use_mask_token=False, layer_norm_eps=1e-5),
}


def make_encoder(name, **config):
    seed(name)
    m = Dinov2Model(Dinov2Config(**config, attn_implementation="eager")).eval()
    randomize(m)
    with torch.no_grad():
        m.embeddings.position_embeddings.copy_(rand(*m.embeddings.position_embeddings.shape))
        for n, p in m.named_parameters():
            if "lambda1" in n:
                p.copy_(0.5 + 0.3 * rand(*p.shape))
    return m


def make_models():
    models = {}
    for name, config in ENCODERS.items():
        models[name] = make_encoder(name, **config)
        models[name].save_pretrained(os.path.join(OUT, "models", name))     # with the names that its files have
    # The names that transformers 5 has in memory: separate gate_proj and up_proj.
    directory = os.path.join(OUT, "models", "dinov2_names")
    os.makedirs(directory, exist_ok=True)
    m = models["dinov2_swiglu"]
    save_file({k: v.contiguous() for k, v in m.state_dict().items()}, os.path.join(directory, "model.safetensors"))
    write_json(os.path.join(directory, "config.json"), m.config.to_dict())
    models["dinov2_names"] = m
    return models


# ------------------------------------------------------------------------------------------------------------ cases

def encoder_case(name, model_name, models, B, H, W):
    seed(name)

    def run(x, dtype):
        with torch.no_grad():
            m = at(models[model_name], dtype)
            if dtype == torch.float64:
                # transformers interpolates positions in float32 whatever the weights are: so does the reference
                m.embeddings.interpolate_pos_encoding = lambda e, h, w: (
                    models[model_name].embeddings.interpolate_pos_encoding(e.float(), h, w).double())
            return {"last_hidden_state": m(x["pixel_values"]).last_hidden_state}

    write_case(name, forward_info("image_encoder", model_name), {"pixel_values": rand(B, 3, H, W)}, run)


def picture(name, width, height, alpha):
    seed(name)
    a = np.random.default_rng(GENERATOR.initial_seed()).integers(0, 256, (height, width, 4 if alpha else 3), dtype=np.uint8)
    if alpha:
        a[: height // 3, :, 3] = 0
        a[-height // 3:, :, 3] = 255
    return Image.fromarray(a)


def preprocess_case(name, model_name, processor, image, config=None):
    """config: preprocessor_config.json where it is not the processor's own (older files)."""
    directory, model = os.path.join(OUT, name), os.path.join(OUT, "models", model_name)
    os.makedirs(directory, exist_ok=True)
    os.makedirs(model, exist_ok=True)
    if config:
        write_json(os.path.join(model, "preprocessor_config.json"), config)
    else:
        processor.save_pretrained(model)
    image.save(os.path.join(directory, "image.png"))
    pixels = processor(images=Image.open(os.path.join(directory, "image.png")), return_tensors="pt")["pixel_values"]
    save_file({"pixel_values": pixels.float().contiguous()}, os.path.join(directory, "out.safetensors"))
    write_json(os.path.join(directory, "case.json"), {"command": "preprocess", "component": "image_encoder", "dir": "models/" + model_name,
                                                      "image": "image.png", "tolerance": FORWARD})
    print(f"{name:32s} {list(pixels.shape)}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    a = parser.parse_args()
    torch.set_num_threads(1)
    models = make_models()
    bit = BitImageProcessorPil(**IMAGENET, size={"shortest_edge": 16}, crop_size={"height": 14, "width": 14})
    small = BitImageProcessorPil(**IMAGENET, size={"shortest_edge": 9}, crop_size={"height": 14, "width": 11})
    free = BitImageProcessorPil(**IMAGENET, size={"height": 21, "width": 10}, do_center_crop=False, resample=2, do_rescale=False)
    clip = CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    old = {"crop_size": 16, "do_center_crop": True, "do_normalize": True, "do_resize": True, "feature_extractor_type": "CLIPFeatureExtractor",
           "image_mean": clip.image_mean, "image_std": clip.image_std, "resample": 3, "size": 16}
    cases = {
        "image_encoder_same_grid": lambda n: encoder_case(n, "dinov2", models, 2, 17, 18),
        "image_encoder_larger_grid": lambda n: encoder_case(n, "dinov2", models, 1, 26, 21),
        "image_encoder_smaller_grid": lambda n: encoder_case(n, "dinov2", models, 2, 12, 8),
        "image_encoder_swiglu": lambda n: encoder_case(n, "dinov2_swiglu", models, 2, 15, 15),
        "image_encoder_swiglu_grid": lambda n: encoder_case(n, "dinov2_swiglu", models, 1, 15, 24),
        "image_encoder_names": lambda n: encoder_case(n, "dinov2_names", models, 1, 15, 15),
        "preprocess_wide": lambda n: preprocess_case(n, "processor_bit", bit, picture(n, 61, 37, False)),
        "preprocess_tall": lambda n: preprocess_case(n, "processor_bit", bit, picture(n, 30, 75, True)),
        "preprocess_enlarged": lambda n: preprocess_case(n, "processor_bit", bit, picture(n, 13, 9, False)),
        "preprocess_padded": lambda n: preprocess_case(n, "processor_padding", small, picture(n, 40, 23, False)),
        "preprocess_padded_tall": lambda n: preprocess_case(n, "processor_padding", small, picture(n, 22, 31, True)),
        "preprocess_stretched": lambda n: preprocess_case(n, "processor_stretching", free, picture(n, 33, 32, False)),
        "preprocess_old_clip": lambda n: preprocess_case(n, "processor_clip", clip, picture(n, 29, 48, False), old),
    }
    for name, case in cases.items():
        if name.startswith(a.only):
            GENERATOR.manual_seed(SEED)
            case(name)
    make_manifest(a)


if __name__ == "__main__":
    main()
