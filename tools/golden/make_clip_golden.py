"""Writes the CLIPModel cases of tests/golden: transformers' own model, tiny and random, in float64.

    python make_clip_golden.py

image_embeds and text_embeds are those of CLIPModel's forward: unit vectors. As make_golden.py, whose helpers it uses.
"""
import argparse
import os

import torch
from transformers import CLIPConfig, CLIPModel

from make_golden import FORWARD, GENERATOR, OUT, SEED, forward_info, make_manifest, rand, randomize, write_case


def make_model(name, act, end):
    GENERATOR.manual_seed(SEED)
    tower = {"intermediate_size": 28, "num_hidden_layers": 2, "hidden_act": act}
    config = CLIPConfig(
        text_config=tower | {"hidden_size": 16, "num_attention_heads": 2, "vocab_size": 60, "max_position_embeddings": 9,
                             "eos_token_id": end, "bos_token_id": 1, "pad_token_id": 0},
        vision_config=tower | {"hidden_size": 20, "num_attention_heads": 4, "image_size": 15, "patch_size": 7},
        projection_dim=12)
    model = CLIPModel(config).eval()
    randomize(model.text_model)
    randomize(model.vision_model)
    randomize(model.text_projection)
    randomize(model.visual_projection)
    model.save_pretrained(os.path.join(OUT, "models", name))
    return model


def case(name, act, end):
    model = make_model(name, act, end)
    ids = torch.tensor([[1, 5, 7, 59, 0, 0, 0], [1, 30, 31, 32, 33, 34, 59], [1, 59, 59, 59, 59, 59, 59]])

    def run(inputs, dtype):
        out = model.to(dtype)(input_ids=inputs["input_ids"], pixel_values=inputs["pixel_values"])
        return {"image_embeds": out.image_embeds, "text_embeds": out.text_embeds}

    with torch.no_grad():
        write_case(name, forward_info("clip", name), {"pixel_values": rand(3, 3, 15, 15), "input_ids": ids}, run)


def main():
    case("clip", "quick_gelu", 59)
    case("clip_old_end", "gelu", 2)
    make_manifest(argparse.Namespace(only="clip"))


if __name__ == "__main__":
    main()
