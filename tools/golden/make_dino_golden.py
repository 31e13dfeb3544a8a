"""Writes the part of tests/golden about DINOv2, M2M-DINO and task conditions.

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

from diffusers import AutoencoderKL

from condition_oracle import M2M, generate, optimize, training_loss
from make_golden import (CA, D, FORWARD, GENERATOR, GRADIENT, OUT, SCHEDULER, SEED, TRAJECTORY, VAE_TINY, at, forward_info, make_manifest, plain,
                         rand, randomize, seed, unet_config, write_case, write_json, write_model)

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
    for name, (variant, clean_timestep, condition, pipeline) in M2MS.items():
        make_m2m(models, name, variant, clean_timestep, condition, pipeline)
    return models


# Of both variants: with a camera and with a position; one pipeline of each kind of guidance.
M2MS = {"m2m_dino": ("dino", 0, None, True), "m2m_dino_camera": ("dino", 0, "camera", False), "m2m_dino_position": ("dino", 0, "position", True),
        "m2m_self_camera": ("self", 0, "camera", True), "m2m_self_position": ("self", "same", "position", False)}


def make_m2m(models, name, variant, clean_timestep, condition, pipeline):
    dino = variant == "dino"
    config = unet_config([8, 8], [CA, D], [2, 1], 1, 4, models["dinov2"].config.hidden_size if dino else 1024, True)
    config["_class_name"] = "M2MUNet"
    config["image_set_attention"] = {"variant": variant, "clean_timestep": clean_timestep, "condition": condition}
    seed(name)
    m = M2M(config)
    randomize(m.unet)
    write_model(name + "/unet", config, m.unet)
    models[name] = m
    write_json(os.path.join(OUT, "models", name, "scheduler", "scheduler_config.json"), SCHEDULER)
    index = {"_class_name": "M2MPipeline", "_diffusers_version": "0.42.1", "scheduler": ["diffusers", "DDIMScheduler"],
             "unet": ["m2m", "M2MUNet"], "vae": ["diffusers", "AutoencoderKL"]}
    if pipeline:
        seed(name + "/vae")
        v = AutoencoderKL(**plain(VAE_TINY))
        randomize(v)
        write_model(name + "/vae", VAE_TINY, v)
        models[name + "/vae"] = v
    if pipeline and dino:
        index.update(image_encoder=["transformers", "Dinov2Model"], feature_extractor=["transformers", "BitImageProcessor"])
        models["dinov2"].save_pretrained(os.path.join(OUT, "models", name, "image_encoder"))
        models[name + "/processor"] = BitImageProcessorPil(**IMAGENET, size={"shortest_edge": 18}, crop_size={"height": 16, "width": 16})
        models[name + "/processor"].save_pretrained(os.path.join(OUT, "models", name, "feature_extractor"))
    write_json(os.path.join(OUT, "models", name, "model_index.json"), index)


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


# ------------------------------------------------------------------------------------------------- M2M and conditions

TOKENS = 17


def conditions(kind, *shape):
    """Cameras are any 12 numbers to the network; positions whole numbers."""
    return rand(*shape, 12) if kind == "camera" else torch.randint(0, 12, (*shape, 1), generator=GENERATOR).float()


def m2m_inputs(model, lead, S, N, H, W, timesteps, given_noisy, backward, condition=True):
    x = {"timesteps": timesteps}
    if not model.self_variant:
        x["features"] = rand(*lead, S, N, TOKENS, model.unet.config.cross_attention_dim)
    if model.self_variant or not given_noisy:
        x["clean"] = rand(*lead, S, N, 4, H, W)
    if given_noisy:
        x["noisy"] = rand(*lead, S, N, 4, H, W)
    if backward:
        x["noise"] = rand(*lead, S, N, 4, H, W)
    if model.condition and condition:
        x["condition"] = conditions(model.condition, *lead, S, N)
    return x


def m2m_case(name, model_name, models, S, N, H, W, timesteps, dropped=None, backward=False, given_noisy=True, condition=True):
    seed(name)
    inputs = m2m_inputs(models[model_name], (), S, N, H, W, timesteps, given_noisy, backward, condition)
    if dropped is not None:
        inputs["dropped"] = dropped

    def run(x, dtype):
        m = at(models[model_name], dtype)
        with torch.set_grad_enabled(backward):
            if not backward:
                context = x["clean"] if m.self_variant else x["features"]
                return {"sample": m(context, x["noisy"], x["timesteps"], x.get("dropped"), x.get("condition"))}
            loss, y = training_loss(m, x)
            loss.backward()
        return {"sample": y, "loss": loss, **{"grad." + n: p.grad for n, p in m.unet.named_parameters()}}

    write_case(name, forward_info("m2m", model_name, backward), inputs, run)


def optimize_case(name, model_name, models, T, S, N, H, W, lr):
    seed(name)
    inputs = m2m_inputs(models[model_name], (T,), S, N, H, W, torch.randint(0, 1000, (T, S), generator=GENERATOR), False, True)
    inputs["dropped"] = torch.tensor([[(t + s) % 3 == 1 for s in range(S)] for t in range(T)]).long()

    def run(x, dtype):
        losses, params, ema = optimize(at(models[model_name], dtype), [{k: v[t] for k, v in x.items()} for t in range(T)], lr)
        return {"losses": losses, **{"param." + k: v for k, v in params.items()}, **{"ema." + k: v for k, v in ema.items()}}

    write_case(name, {"command": "optimize", "component": "m2m", "dir": "models/" + model_name, "args": ["--lr", repr(lr)], "lr": lr,
                      "steps": T, "tolerance": {"losses": {"kind": "relative", "value": 1e-4}, "param.*": GRADIENT, "ema.*": GRADIENT}},
               inputs, run)


def generate_case(name, model_name, models, scheduler, K, n, window, s_c=None, condition=True, steps=10, s_i=4.0):
    seed(name)
    model = models[model_name]
    key = "latents" if model.self_variant else "features"
    inputs = {key: rand(K, 4, 8, 8) if model.self_variant else rand(K, TOKENS, model.unet.config.cross_attention_dim), "noise": rand(n, 4, 8, 8)}
    files = {"latents": [key], "noise": ["noise"]}
    if model.condition and condition:
        inputs["condition"] = conditions(model.condition, K + n)
        files["latents"].append("condition")

    def run(x, dtype):
        vision = None
        if not model.self_variant:
            vision = at(models[model_name + "/vae"], dtype), models[model_name + "/processor"], at(models["dinov2"], dtype)
        latents, trajectory = generate(at(model, dtype), x[key], x["noise"], x.get("condition"), scheduler, steps, s_i, s_c, window, vision)
        return {"latents": latents, "trajectory": trajectory}

    args = ["--latents", "latents.safetensors", "--noise", "noise.safetensors", "-n", str(n), "--steps", str(steps), "--guidance", str(s_i),
            "--scheduler", scheduler, "--window", str(window)] + ([] if s_c is None else ["--condition-guidance", str(s_c)])
    write_case(name, {"command": "generate", "dir": "models/" + model_name, "n": n, "steps": steps, "guidance": s_i, "condition_guidance": s_c,
                      "scheduler": scheduler, "window": window, "args": args, "tolerance": TRAJECTORY}, inputs, run, (files, "out"))


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
    L = lambda *v: torch.tensor(v)
    cases.update({
        "m2m_dino_s": lambda n: m2m_case(n, "m2m_dino", models, 2, 3, 8, 8, L(981, 20)),
        "m2m_dino_sn_dropped": lambda n: m2m_case(n, "m2m_dino", models, 2, 4, 12, 8, torch.tensor([[0, 500, 3, 999], [7, 1, 20, 300]]), L(0.0, 1.0)),
        "m2m_dino_grad": lambda n: m2m_case(n, "m2m_dino", models, 2, 3, 8, 8, L(741, 120), L(0, 1), True, False),
        "m2m_dino_position_optimize": lambda n: optimize_case(n, "m2m_dino_position", models, 3, 2, 3, 8, 8, 1e-3),
        "m2m_dino_camera_dropped": lambda n: m2m_case(n, "m2m_dino_camera", models, 2, 3, 8, 8, L(600, 20), L(0, 1)),
        "m2m_dino_position_absent": lambda n: m2m_case(n, "m2m_dino_position", models, 1, 3, 8, 8, L(600), condition=False),
        "m2m_dino_position_grad": lambda n: m2m_case(n, "m2m_dino_position", models, 2, 3, 8, 8, L(300, 21), L(0, 1), True, True),
        "m2m_self_camera_grad": lambda n: m2m_case(n, "m2m_self_camera", models, 2, 3, 8, 8, L(300, 21), L(1, 0), True, False),
        "m2m_self_position_grad": lambda n: m2m_case(n, "m2m_self_position", models, 2, 3, 8, 8, L(410, 33), L(0, 1), True, True),
        "m2m_dino_camera_grad": lambda n: m2m_case(n, "m2m_dino_camera", models, 2, 3, 8, 8, L(650, 5), L(1, 0), True, False),
        "m2m_dino_camera_optimize": lambda n: optimize_case(n, "m2m_dino_camera", models, 3, 2, 3, 8, 8, 1e-3),
        "m2m_self_camera_optimize": lambda n: optimize_case(n, "m2m_self_camera", models, 3, 2, 3, 8, 8, 1e-3),
        "m2m_self_position_optimize": lambda n: optimize_case(n, "m2m_self_position", models, 3, 2, 3, 8, 8, 1e-3),
        "m2m_self_camera_absent": lambda n: m2m_case(n, "m2m_self_camera", models, 1, 3, 8, 8, L(40), condition=False),
        "m2m_self_position_dropped": lambda n: m2m_case(n, "m2m_self_position", models, 2, 3, 8, 12, L(800, 21), L(0, 1)),
        "generate_dino": lambda n: generate_case(n, "m2m_dino", models, "ddim", 2, 3, 2),
        "generate_dino_position_dual": lambda n: generate_case(n, "m2m_dino_position", models, "ddim", 2, 2, 2, 2.5),
        "generate_self_camera_dual": lambda n: generate_case(n, "m2m_self_camera", models, "ddim", 2, 3, 2, 2.5),
        "generate_self_camera_joint": lambda n: generate_case(n, "m2m_self_camera", models, "euler", 1, 2, 4),
        "generate_self_camera_absent": lambda n: generate_case(n, "m2m_self_camera", models, "ddim", 1, 2, 4, 2.5, condition=False),
    })
    for name, case in cases.items():
        if name.startswith(a.only):
            GENERATOR.manual_seed(SEED)
            case(name)
    make_manifest(a)


if __name__ == "__main__":
    main()
