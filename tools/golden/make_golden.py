"""Writes tests/golden: tiny random model directories, inputs and the outputs PyTorch/diffusers gives for them.

    python tools/golden/make_golden.py                 everything
    python tools/golden/make_golden.py --only vae_     cases whose name starts so (models are always rewritten)

Everything is seeded by name, so a case doesn't depend on which others are made. The reference is computed in float64
(where diffusers allows it) and stored as float32; the distance of PyTorch's own float32 run is in case.json.
"""
import argparse
import copy
import hashlib
import json
import os
import shutil
import sys
import zlib

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel
from diffusers.models.embeddings import get_timestep_embedding
from diffusers.utils import logging as diffusers_logging
from safetensors.torch import save_file

from m2m_oracle import (SD_SCHEDULE, M2MSelf, add_noise, ddim_scheduler, euler_scheduler, generate, optimize, training_loss, vae_loss)

diffusers_logging.set_verbosity_error()
HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.normpath(os.path.join(HERE, "..", "..", "tests", "golden"))
SEED = 20240403
GENERATOR = torch.Generator()


def seed(name):
    GENERATOR.manual_seed(SEED + zlib.crc32(name.encode()))


def rand(*shape):
    return torch.randn(*shape, generator=GENERATOR)


@torch.no_grad()
def randomize(module):
    """Every parameter random, norms, biases and attn2.to_out included, so that no error can hide behind a 0 or a 1."""
    for name, p in module.named_parameters():
        if p.dim() == 1 and name.endswith("weight"):
            p.copy_(1 + 0.3 * rand(*p.shape))
        elif p.dim() == 1:
            p.copy_(0.2 * rand(*p.shape))
        else:
            gain = 1.5 if "attn2.to_" in name else 1.0
            p.copy_(rand(*p.shape) * gain / (p[0].numel() ** 0.5))


# ---------------------------------------------------------------------------------------------------------- configs

def unet_config(channels, types, heads, layers, groups, cross, linear):
    return dict(
        _class_name="UNet2DConditionModel", _diffusers_version="0.42.1", act_fn="silu", attention_head_dim=heads,
        block_out_channels=channels, center_input_sample=False, cross_attention_dim=cross, down_block_types=types,
        downsample_padding=1, dual_cross_attention=False, flip_sin_to_cos=True, freq_shift=0, in_channels=4,
        layers_per_block=layers, mid_block_scale_factor=1, norm_eps=1e-5, norm_num_groups=groups, out_channels=4,
        sample_size=16, up_block_types=[t.replace("Down", "Up") for t in reversed(types)], use_linear_projection=linear)


CA, D = "CrossAttnDownBlock2D", "DownBlock2D"
UNET_TEXT = unet_config([8, 16], [CA, D], [2, 4], 2, 4, 20, True)
UNET_CONV = unet_config([8, 12, 16], [CA, CA, D], [1, 3, 2], 1, 4, 12, False)     # three levels, conv projections


def m2m_config(clean_timestep):
    if clean_timestep == "same":                        # two levels
        c = unet_config([8, 16], [CA, D], [1, 2], 2, 4, None, True)
    else:                                               # three levels; cross_attention_dim has no meaning here: as in SD 2.1
        c = unet_config([8, 8, 16], [CA, CA, D], [2, 1, 2], 1, 4, 1024, True)
    c["_class_name"] = "M2MUNet"
    c["image_set_attention"] = {"variant": "self", "clean_timestep": clean_timestep, "condition": None}
    return c


def vae_config(channels, layers, groups, attention=True, quant=True):
    n = len(channels)
    return dict(
        _class_name="AutoencoderKL", _diffusers_version="0.42.1", act_fn="silu", block_out_channels=channels,
        down_block_types=["DownEncoderBlock2D"] * n, in_channels=3, latent_channels=4, layers_per_block=layers,
        norm_num_groups=groups, out_channels=3, sample_size=32, up_block_types=["UpDecoderBlock2D"] * n,
        use_quant_conv=quant, use_post_quant_conv=quant, mid_block_add_attention=attention)


VAE = vae_config([8, 8, 12], 2, 4)
VAE_NOATTN = vae_config([8, 16], 1, 4, attention=False, quant=False)
VAE_TINY = vae_config([4, 8], 1, 2)
# As SD 2.1-base has it: the mid attention and the quant convs are there because those are the defaults of absent keys.
for _c in (VAE, VAE_TINY):
    for _k in ("use_quant_conv", "use_post_quant_conv", "mid_block_add_attention"):
        del _c[_k]

SCHEDULER = dict(_class_name="DDIMScheduler", _diffusers_version="0.42.1", beta_end=0.012, beta_schedule="scaled_linear",
                 beta_start=0.00085, clip_sample=False, num_train_timesteps=1000, prediction_type="epsilon",
                 set_alpha_to_one=False, steps_offset=1, timestep_spacing="leading", trained_betas=None)


def plain(config):
    return {k: v for k, v in config.items() if not k.startswith("_")}


def write_json(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        json.dump(value, f, indent=2)
        f.write("\n")


def write_model(name, config, module, dtype=torch.float32, filename="diffusion_pytorch_model.safetensors", shards=0):
    directory = os.path.join(OUT, "models", name)
    os.makedirs(directory, exist_ok=True)
    write_json(os.path.join(directory, "config.json"), config)
    state = {k: v.to(dtype).contiguous() for k, v in module.state_dict().items()}
    if not shards:
        save_file(state, os.path.join(directory, filename), metadata={"format": "pt"})
        return
    parts, index = [{} for _ in range(shards)], {}
    for i, k in enumerate(sorted(state)):
        n = i * shards // len(state)
        parts[n][k] = state[k]
        index[k] = f"diffusion_pytorch_model-{n + 1:05d}-of-{shards:05d}.safetensors"
    for n, part in enumerate(parts):
        save_file(part, os.path.join(directory, f"diffusion_pytorch_model-{n + 1:05d}-of-{shards:05d}.safetensors"),
                  metadata={"format": "pt"})
    total = sum(v.numel() * v.element_size() for v in state.values())
    write_json(os.path.join(directory, "diffusion_pytorch_model.safetensors.index.json"),
               {"metadata": {"total_size": total}, "weight_map": index})


def make_models():
    """Returns {name: float32 module}. Modules of 16-bit directories hold the rounded weights."""
    models = {}
    for name, config in (("unet_text", UNET_TEXT), ("unet_conv", UNET_CONV)):
        seed(name)
        m = UNet2DConditionModel(**plain(config))
        randomize(m)
        write_model(name, config, m)
        models[name] = m
    for name, dtype, filename in (("unet_f16", torch.float16, "diffusion_pytorch_model.fp16.safetensors"),
                                  ("unet_bf16", torch.bfloat16, "diffusion_pytorch_model.safetensors")):
        m = copy.deepcopy(models["unet_text"]).to(dtype).float()
        write_model(name, UNET_TEXT, m, dtype, filename)
        models[name] = m
    write_model("unet_sharded", UNET_TEXT, models["unet_text"], torch.bfloat16, shards=3)
    models["unet_sharded"] = models["unet_bf16"]
    for name, config in (("vae", VAE), ("vae_noattn", VAE_NOATTN)):
        seed(name)
        m = AutoencoderKL(**plain(config))
        randomize(m)
        write_model(name, config, m)
        models[name] = m
    for name, clean_timestep in (("m2m_self", 0), ("m2m_self_same", "same")):
        seed(name)
        m = M2MSelf(m2m_config(clean_timestep))
        randomize(m.unet)
        write_model(name + "/unet", m2m_config(clean_timestep), m.unet)
        models[name] = m
        v = AutoencoderKL(**plain(VAE_TINY))
        randomize(v)
        write_model(name + "/vae", VAE_TINY, v)
        models[name + "/vae"] = v
        write_json(os.path.join(OUT, "models", name, "scheduler", "scheduler_config.json"), SCHEDULER)
        write_json(os.path.join(OUT, "models", name, "model_index.json"),
                   {"_class_name": "M2MPipeline", "_diffusers_version": "0.42.1", "scheduler": ["diffusers", "DDIMScheduler"],
                    "unet": ["m2m", "M2MUNet"], "vae": ["diffusers", "AutoencoderKL"]})
    return models


# ------------------------------------------------------------------------------------------------------------ cases

FORWARD = {"kind": "max_abs", "value": 2e-4, "of": "max(1, max|reference|)"}
# Some gradients are zero in exact arithmetic (the VAE's attention to_k.bias: a softmax doesn't see it), hence a floor.
GRADIENT = {"kind": "relative_l2", "value": 1e-3, "per": "tensor", "floor": 1e-6,
            "rule": "|a - ref|_2 <= value * |ref|_2 + floor * |all references of the group together|_2"}
TRAJECTORY = {"kind": "relative_l2", "value": 1e-3, "per": "tensor"}


def distance(a, b):
    a, b = a.double(), b.double()
    return {"max_abs": float((a - b).abs().max()), "relative_l2": float((a - b).norm() / b.norm().clamp_min(1e-300))}


def to64(v):
    return v.double() if v.dtype == torch.float32 else v


def write_case(name, info, inputs, run, names=("in", "out")):
    """run(inputs, dtype) -> outputs; called in float64 (the reference) and float32 (how far PyTorch itself is off)."""
    out64 = {k: v.detach() for k, v in run({k: to64(v) for k, v in inputs.items()}, torch.float64).items()}
    out32 = {k: v.detach() for k, v in run(inputs, torch.float32).items()}
    worst = {"max_abs": 0.0, "relative_l2": 0.0}
    largest_norm = max(float(v.norm()) for v in out64.values())
    zero = []
    for k in out64:
        for kind, d in distance(out32[k], out64[k]).items():
            if kind == "relative_l2" and float(out64[k].norm()) < 1e-9 * largest_norm:
                zero.append(k)
                continue
            worst[kind] = max(worst[kind], d)
        assert torch.isfinite(out64[k]).all(), k
    directory = os.path.join(OUT, name)
    os.makedirs(directory, exist_ok=True)
    if isinstance(names[0], str):
        save_file({k: v.contiguous() for k, v in inputs.items()}, os.path.join(directory, names[0] + ".safetensors"))
    else:                                               # {"file": [tensor, ...]}
        for file, keys in names[0].items():
            save_file({k: inputs[k].contiguous() for k in keys}, os.path.join(directory, file + ".safetensors"))
    save_file({k: v.float().contiguous() for k, v in out64.items()}, os.path.join(directory, names[1] + ".safetensors"))
    if zero:
        info = {**info, "zero_in_exact_arithmetic": zero}
    biggest = max(float(v.abs().max()) for v in out64.values())
    write_json(os.path.join(directory, "case.json"),
               {**info, "pytorch_float32_against_float64": worst, "largest_value": biggest})
    print(f"{name:32s} largest {biggest:9.3g}   float32 off by max {worst['max_abs']:.2e}, relative L2 {worst['relative_l2']:.2e}")
    sys.stdout.flush()


def at(module, dtype):
    return copy.deepcopy(module).to(dtype)


def forward_info(component, directory, backward=False, **more):
    return {"command": "forward", "component": component, "dir": "models/" + directory, "backward": backward,
            "tolerance": {"sample": FORWARD, "moments": FORWARD, "loss": {"kind": "relative", "value": 1e-4}, "grad.*": GRADIENT}
            if backward else FORWARD, **more}


def unet_case(name, model_name, models, B, H, W, timestep, tokens, backward=False):
    seed(name)
    cross = models[model_name].config.cross_attention_dim
    inputs = {"sample": rand(B, 4, H, W), "timestep": timestep, "encoder_hidden_states": rand(B, tokens, cross)}
    if backward:
        inputs["noise"] = rand(B, 4, H, W)

    def run(x, dtype):
        m = at(models[model_name], dtype)
        with torch.set_grad_enabled(backward):
            y = m(x["sample"], x["timestep"], x["encoder_hidden_states"]).sample
            if not backward:
                return {"sample": y}
            loss = ((x["noise"] - y) ** 2).mean()
            loss.backward()
        return {"sample": y, "loss": loss, **{"grad." + n: p.grad for n, p in m.named_parameters()}}

    info = forward_info("unet", model_name, backward)
    if backward:
        info["loss"] = "mean((noise - sample)^2) over everything"
    write_case(name, info, inputs, run)


def unet_optimize_case(name, model_name, models, T, B, H, W, tokens, lr):
    """T steps of AdamW and EMAModel as m2m_oracle.optimize takes them, on a plain text-conditioned U-Net."""
    from diffusers.training_utils import EMAModel
    seed(name)
    cross = models[model_name].config.cross_attention_dim
    inputs = {"sample": rand(T, B, 4, H, W), "timestep": torch.randint(0, 1000, (T, B), generator=GENERATOR),
              "encoder_hidden_states": rand(T, B, tokens, cross), "noise": rand(T, B, 4, H, W)}

    def run(x, dtype):
        m = at(models[model_name], dtype)
        params, names = list(m.parameters()), [n for n, _ in m.named_parameters()]
        optimizer = torch.optim.AdamW(params, lr=lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
        ema, losses = EMAModel(params, decay=0.9999), []
        for t in range(T):
            optimizer.zero_grad()
            loss = ((x["noise"][t] - m(x["sample"][t], x["timestep"][t], x["encoder_hidden_states"][t]).sample) ** 2).mean()
            loss.backward()
            optimizer.step()
            ema.step(params)
            losses.append(loss.detach())
        return {"losses": torch.stack(losses), **{"param." + n: p.detach() for n, p in zip(names, params)},
                **{"ema." + n: p for n, p in zip(names, ema.shadow_params)}}

    write_case(name, {"command": "optimize", "component": "unet", "dir": "models/" + model_name, "args": ["--lr", repr(lr)], "lr": lr,
                      "steps": T, "tolerance": {"losses": {"kind": "relative", "value": 1e-4}, "param.*": GRADIENT, "ema.*": GRADIENT}},
               inputs, run)


def m2m_case(name, model_name, models, S, N, H, W, timesteps, dropped=None, backward=False, given_noisy=True, sub=""):
    seed(name)
    inputs = {"clean": rand(S, N, 4, H, W), "timesteps": timesteps}
    if given_noisy:
        inputs["noisy"] = rand(S, N, 4, H, W)
    if dropped is not None:
        inputs["dropped"] = dropped
    if backward:
        inputs["noise"] = rand(S, N, 4, H, W)

    def run(x, dtype):
        m = at(models[model_name], dtype)
        with torch.set_grad_enabled(backward):
            if not backward:
                return {"sample": m(x["clean"], x["noisy"], x["timesteps"], x.get("dropped"))}
            loss, y = training_loss(m, x["clean"], x["noise"], x["timesteps"], x.get("dropped"), x.get("noisy"))
            loss.backward()
        return {"sample": y, "loss": loss, **{"grad." + n: p.grad for n, p in m.unet.named_parameters()}}

    info = forward_info("m2m", model_name + sub, backward)
    if backward:
        info["loss"] = "mean((noise - sample)^2) over everything"
    write_case(name, info, inputs, run)


def vae_case(name, which, model_name, models, B, H, W):
    seed(name)
    inputs = {"sample": rand(B, 3, H, W).clamp(-1, 1) if which == "vae_encoder" else rand(B, 4, H, W)}

    def run(x, dtype):
        m = at(models[model_name], dtype)
        with torch.no_grad():
            if which == "vae_encoder":
                return {"moments": m.encode(x["sample"]).latent_dist.parameters}
            return {"sample": m.decode(x["sample"]).sample}

    write_case(name, forward_info(which, model_name), inputs, run)


def vae_grad_case(name, model_name, models, B, H, W):
    seed(name)
    model = models[model_name]
    factor = 2 ** (len(model.config.block_out_channels) - 1)
    inputs = {"sample": rand(B, 3, H, W).clamp(-1, 1), "noise": rand(B, 4, H // factor, W // factor)}

    def run(x, dtype):
        m = at(model, dtype)
        loss, l1, kl, y = vae_loss(m, x["sample"], x["noise"])
        loss.backward()
        return {"sample": y, "loss": loss, "l1": l1, "kl": kl, **{"grad." + n: p.grad for n, p in m.named_parameters()}}

    info = forward_info("vae", model_name, True,
                        loss="l1 + 1e-6 * kl; l1 = mean|decode(z) - sample|; z = mean + exp(0.5 logvar) * noise; "
                             "kl = 0.5 * sum_{C,H,W}(mean^2 + exp(logvar) - 1 - logvar), mean over the batch; logvar is "
                             "clamped to [-30, 20] (never reached here)")
    write_case(name, info, inputs, run)


def optimize_case(name, model_name, models, T, S, N, H, W, lr, per_image):
    seed(name)
    clean = rand(T, S, N, 4, H, W)
    inputs = {"clean": clean, "noise": rand(T, S, N, 4, H, W),
              "timesteps": torch.randint(0, 1000, (T, S, N) if per_image else (T, S), generator=GENERATOR),
              "dropped": torch.tensor([[(t + s) % 3 == 1 for s in range(S)] for t in range(T)]).long()}

    def run(x, dtype):
        m = at(models[model_name], dtype)
        losses, params, ema = optimize(m, [{k: v[t] for k, v in x.items()} for t in range(T)], lr)
        return {"losses": losses, **{"param." + k: v for k, v in params.items()}, **{"ema." + k: v for k, v in ema.items()}}

    write_case(name, {"command": "optimize", "component": "m2m", "dir": "models/" + model_name, "args": ["--lr", repr(lr)],
                      "lr": lr, "steps": T, "tolerance": {"losses": {"kind": "relative", "value": 1e-4}, "param.*": GRADIENT, "ema.*": GRADIENT},
                      "note": "AdamW betas 0.9 0.999, eps 1e-8, weight decay 0.01 on every parameter; EMAModel(decay=0.9999): decay of "
                              "step k (0-based) is 0 for k = 0, else min(0.9999, (1+k)/(10+k)). The same relative L2 should also hold "
                              "for the change of a parameter, param - start, to about 1e-2 (Adam divides by the gradient's size)."},
               inputs, run)


def generate_case(name, model_name, models, scheduler, K, n, H, W, window, steps=50, guidance=7.5, deepcache=1):
    seed(name.replace("_euler", "").replace("_ddim", ""))
    inputs = {"latents": rand(K, 4, H, W), "noise": rand(n, 4, H, W)}

    def run(x, dtype):
        latents, trajectory = generate(at(models[model_name], dtype), x["latents"], x["noise"], scheduler, steps, guidance, window, deepcache)
        return {"latents": latents, "trajectory": trajectory}

    write_case(name, {"command": "generate", "dir": "models/" + model_name, "n": n, "steps": steps, "guidance": guidance,
                      "scheduler": scheduler, "window": window,
                      "args": ["--latents", "latents.safetensors", "--noise", "noise.safetensors", "-n", str(n), "--steps", str(steps),
                               "--guidance", str(guidance), "--scheduler", scheduler, "--window", str(window)] + (["--deepcache", str(deepcache)] if deepcache > 1 else []),
                      "note": "trajectory[:,0] = noise * init_noise_sigma (DDIM: 1), trajectory[:,k] = the scheduler's sample after k steps, "
                              "latents = trajectory[:,steps]. Latents are in the U-Net's space (VAE latents times scaling_factor). "
                              "The context is the last `window` of given + generated images.",
                      "tolerance": TRAJECTORY}, inputs, run, ({"latents": ["latents"], "noise": ["noise"]}, "out"))


# ------------------------------------------------------------------------------------- schedules and single operators

def make_schedules():
    tensors, info = {}, {}
    tensors["alphas_cumprod"] = ddim_scheduler().alphas_cumprod
    for steps in (1, 3, 4, 7, 10, 20, 25, 30, 50, 100, 999, 1000):
        s = ddim_scheduler()
        s.set_timesteps(steps)
        tensors[f"ddim.{steps}.timesteps"] = s.timesteps.long()
        previous = s.timesteps - 1000 // steps
        tensors[f"ddim.{steps}.alpha"] = s.alphas_cumprod[s.timesteps.clamp(max=999)]
        tensors[f"ddim.{steps}.alpha_prev"] = torch.where(previous >= 0, s.alphas_cumprod[previous.clamp(min=0)], s.final_alpha_cumprod)
        if int(s.timesteps.max()) > 999:                # leading + offset 1 at 1000 steps: diffusers itself can't run it
            del tensors[f"ddim.{steps}.alpha"], tensors[f"ddim.{steps}.alpha_prev"]
        e = euler_scheduler()
        e.set_timesteps(steps)
        tensors[f"euler.{steps}.timesteps"] = e.timesteps.float()
        tensors[f"euler.{steps}.sigmas"] = e.sigmas.float()
        info[str(steps)] = {"euler_init_noise_sigma": float(e.init_noise_sigma)}
        e = EulerDiscreteScheduler(**{**SD_SCHEDULE, "timestep_spacing": "linspace"})
        e.set_timesteps(steps)
        tensors[f"euler_linspace.{steps}.timesteps"] = e.timesteps.float()
        tensors[f"euler_linspace.{steps}.sigmas"] = e.sigmas.float()
        info[str(steps)]["euler_linspace_init_noise_sigma"] = float(e.init_noise_sigma)
    t = torch.tensor([0.0, 1.0, 2.0, 37.0, 500.0, 981.0, 999.0, 123.5])
    tensors["embedding.timesteps"] = t
    for dim in (8, 16, 32, 320):
        tensors[f"embedding.{dim}"] = get_timestep_embedding(t, dim, flip_sin_to_cos=True, downscale_freq_shift=0)
    tensors["embedding.256_noflip_shift1"] = get_timestep_embedding(t, 256, flip_sin_to_cos=False, downscale_freq_shift=1)
    seed("add_noise")
    tensors["add_noise.clean"], tensors["add_noise.noise"] = rand(5, 2, 3), rand(5, 2, 3)
    tensors["add_noise.timesteps"] = torch.tensor([0, 1, 500, 998, 999])
    tensors["add_noise.noisy"] = ddim_scheduler().add_noise(tensors["add_noise.clean"], tensors["add_noise.noise"], tensors["add_noise.timesteps"])
    from diffusers.training_utils import EMAModel
    ema = EMAModel([torch.nn.Parameter(torch.zeros(1))], decay=0.9999)
    tensors["ema_decay"] = torch.tensor([ema.get_decay(k) for k in range(1, 21)], dtype=torch.float64)
    tensors["ema_decay_late"] = torch.tensor([ema.get_decay(k) for k in (1000, 10000, 89992, 89993, 10 ** 6)], dtype=torch.float64)
    os.makedirs(os.path.join(OUT, "schedule"), exist_ok=True)
    save_file({k: v.contiguous() for k, v in tensors.items()}, os.path.join(OUT, "schedule", "tables.safetensors"))
    write_json(os.path.join(OUT, "schedule", "case.json"), {
        "command": None, "steps": info, "init_noise_sigma_ddim": 1.0,
        "note": "float32 arithmetic of diffusers. ddim.K.alpha / alpha_prev: alphas_cumprod at a step and at the one after it. euler sigmas end with 0. "
                "euler_linspace.*: what diffusers makes of a scheduler_config.json without timestep_spacing (SD 2.1-base's own). "
                "embedding.*: get_timestep_embedding(embedding.timesteps, dim, flip_sin_to_cos, freq_shift 0); its argument is rounded to "
                "float32, so at t near 1000 it is off by up to 6e-5 from exact arithmetic. ema_decay: decay of optimizer steps 1..20; "
                "ema_decay_late: of steps 1000, 10000, 89992, 89993, 1000000.",
        "tolerance": {"kind": "max_abs", "value": 1e-4, "of": "max(1, |reference|)"}})
    print("schedule")


def make_ops():
    """ops/<name>.safetensors: inputs, y, and gradients dx.. for the upstream gradient dy; attributes in index.json."""
    index = {}

    def op(name, fn, tensors, **attributes):
        seed("op_" + name)
        x = {k: (rand(*v) if isinstance(v, tuple) else v) for k, v in tensors.items()}
        x64 = {k: v.double().requires_grad_(True) if v.is_floating_point() else v for k, v in x.items()}
        y = fn(**x64)
        dy = rand(*y.shape)
        y.backward(dy.double())
        out = {**x, "y": y.detach().float(), "dy": dy}
        for k, v in x64.items():
            if v.is_floating_point():
                out["d" + k] = v.grad.float()
        os.makedirs(os.path.join(OUT, "ops"), exist_ok=True)
        save_file({k: v.detach().contiguous() for k, v in out.items()}, os.path.join(OUT, "ops", name + ".safetensors"))
        index[name] = {"inputs": list(x), "attributes": attributes}

    op("group_norm", lambda x, weight, bias: F.group_norm(x, 4, weight, bias, 1e-5),
       dict(x=(2, 12, 5, 7), weight=(12,), bias=(12,)), groups=4, eps=1e-5)
    op("group_norm_eps6_one_channel", lambda x, weight, bias: F.group_norm(x, 6, weight, bias, 1e-6),
       dict(x=(2, 6, 3, 4), weight=(6,), bias=(6,)), groups=6, eps=1e-6)
    op("layer_norm", lambda x, weight, bias: F.layer_norm(x, (20,), weight, bias, 1e-5), dict(x=(2, 9, 20), weight=(20,), bias=(20,)), eps=1e-5)
    for name, x, w, stride, pad in (("conv3x3", (2, 5, 7, 9), (6, 5, 3, 3), 1, 1), ("conv1x1", (2, 5, 4, 6), (7, 5, 1, 1), 1, 0),
                                    ("conv3x3_stride2", (2, 5, 7, 9), (6, 5, 3, 3), 2, 1),
                                    ("conv3x3_stride2_even", (2, 5, 8, 6), (6, 5, 3, 3), 2, 1)):
        op(name, lambda x, weight, bias, s=stride, p=pad: F.conv2d(x, weight, bias, stride=s, padding=p),
           dict(x=x, weight=w, bias=(w[0],)), stride=stride, padding=[pad] * 4, padding_order="top bottom left right")
    for name, size in (("conv3x3_vae_downsample", (8, 6)), ("conv3x3_vae_downsample_odd", (7, 9))):
        op(name, lambda x, weight, bias: F.conv2d(F.pad(x, (0, 1, 0, 1)), weight, bias, stride=2),
           dict(x=(2, 5) + size, weight=(6, 5, 3, 3), bias=(6,)), stride=2, padding=[0, 1, 0, 1], padding_order="top bottom left right")
    op("linear", F.linear, dict(input=(2, 7, 12), weight=(9, 12), bias=(9,)))
    op("matmul", torch.matmul, dict(input=(2, 3, 5, 6), other=(2, 3, 6, 4)))
    wide = torch.cat([torch.linspace(-12, 12, 97), torch.tensor([0.0, -0.0, 1e-4, -1e-4, 30.0, -30.0])])
    op("gelu", lambda x: F.gelu(x), dict(x=wide), approximate="none")
    op("silu", lambda x: F.silu(x), dict(x=wide))
    op("softmax", lambda x: torch.softmax(x * 5, -1), dict(x=(3, 4, 11)), note="softmax(5 x)")
    op("geglu", lambda x: x.chunk(2, -1)[0] * F.gelu(x.chunk(2, -1)[1]), dict(x=(2, 5, 24)), note="first half * gelu(second half)")
    op("upsample_nearest_2x", lambda x: F.interpolate(x, scale_factor=2.0, mode="nearest"), dict(x=(2, 3, 4, 5)), size=[8, 10])
    op("upsample_nearest_size", lambda x: F.interpolate(x, size=(5, 7), mode="nearest"), dict(x=(2, 3, 3, 4)), size=[5, 7])
    op("attention", lambda q, k, v: F.scaled_dot_product_attention(q, k, v),
       dict(q=(2, 3, 7, 8), k=(2, 3, 11, 8), v=(2, 3, 11, 8)), layout="B heads L d", scale="1/sqrt(d)")
    op("attention_d64", lambda q, k, v: F.scaled_dot_product_attention(q, k, v),
       dict(q=(1, 2, 33, 64), k=(1, 2, 70, 64), v=(1, 2, 70, 64)), layout="B heads L d", scale="1/sqrt(d)")

    def set_attention(q, k, v):                         # [S, N, heads, L, d]
        S, N, H, L, d = q.shape
        rows = []
        for i in range(N):
            if i == 0:
                rows.append(torch.zeros_like(q[:, 0]))
                continue
            kk, vv = torch.cat([k[:, j] for j in range(i)], -2), torch.cat([v[:, j] for j in range(i)], -2)
            rows.append(torch.softmax(q[:, i] @ kk.transpose(-1, -2) / d ** 0.5, -1) @ vv)
        return torch.stack(rows, 1)

    op("image_set_attention", set_attention, dict(q=(2, 4, 2, 6, 8), k=(2, 4, 2, 6, 8), v=(2, 4, 2, 6, 8)), layout="S N heads L d",
       note="noisy image i attends clean images j < i; image 0 gives zero; gradients of k, v of the last image are zero")
    write_json(os.path.join(OUT, "ops", "index.json"), index)
    print("ops:", len(index))


def make_manifest(arguments):
    import diffusers
    import safetensors
    import transformers
    files = {}
    for root, directories, names in os.walk(OUT):
        directories.sort()
        for n in sorted(names):
            path = os.path.join(root, n)
            rel = os.path.relpath(path, OUT)
            if rel not in ("MANIFEST.json", "README.md"):
                files[rel] = hashlib.sha256(open(path, "rb").read()).hexdigest()
    write_json(os.path.join(OUT, "MANIFEST.json"), {
        "script": "tools/golden/make_golden.py", "oracle": "tools/golden/m2m_oracle.py", "seed": SEED,
        "versions": {"python": sys.version.split()[0], "torch": torch.__version__, "diffusers": diffusers.__version__,
                     "safetensors": safetensors.__version__, "transformers": transformers.__version__},
        "bytes": sum(os.path.getsize(os.path.join(OUT, f)) for f in files), "sha256": files})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    a = parser.parse_args()
    torch.set_num_threads(1)
    models = make_models()
    L = lambda *v: torch.tensor(v)
    cases = {
        "unet_text_16x16": lambda n: unet_case(n, "unet_text", models, 2, 16, 16, L(981, 1), 7),
        "unet_text_24x16": lambda n: unet_case(n, "unet_text", models, 2, 24, 16, L(421), 5),
        "unet_text_10x14": lambda n: unet_case(n, "unet_text", models, 1, 10, 14, torch.tensor([333.0]), 77),
        "unet_conv_16x16": lambda n: unet_case(n, "unet_conv", models, 2, 16, 16, L(0, 999), 7),
        "unet_conv_24x16": lambda n: unet_case(n, "unet_conv", models, 1, 24, 16, L(21), 9),
        "unet_conv_odd_10x14": lambda n: unet_case(n, "unet_conv", models, 1, 10, 14, L(500), 3),
        "unet_f16_24x16": lambda n: unet_case(n, "unet_f16", models, 1, 24, 16, L(700), 7),
        "unet_bf16_16x16": lambda n: unet_case(n, "unet_bf16", models, 1, 16, 16, L(700), 7),
        "unet_sharded_16x16": lambda n: unet_case(n, "unet_sharded", models, 1, 16, 16, L(100), 7),
        "vae_encoder_32x32": lambda n: vae_case(n, "vae_encoder", "vae", models, 2, 32, 32),
        "vae_encoder_48x32": lambda n: vae_case(n, "vae_encoder", "vae", models, 1, 48, 32),
        "vae_encoder_odd_29x35": lambda n: vae_case(n, "vae_encoder", "vae", models, 1, 29, 35),
        "vae_decoder_8x8": lambda n: vae_case(n, "vae_decoder", "vae", models, 2, 8, 8),
        "vae_decoder_7x9": lambda n: vae_case(n, "vae_decoder", "vae", models, 1, 7, 9),
        "vae_noattn_encoder": lambda n: vae_case(n, "vae_encoder", "vae_noattn", models, 1, 24, 16),
        "vae_noattn_decoder": lambda n: vae_case(n, "vae_decoder", "vae_noattn", models, 1, 12, 8),
        "vae_pipeline_decoder": lambda n: vae_case(n, "vae_decoder", "m2m_self/vae", models, 1, 8, 8),
        "m2m_self_s": lambda n: m2m_case(n, "m2m_self", models, 2, 3, 8, 8, L(981, 20)),
        "m2m_self_sn_dropped": lambda n: m2m_case(n, "m2m_self", models, 3, 4, 12, 8,
                                                  torch.randint(0, 1000, (3, 4), generator=GENERATOR), torch.tensor([0.0, 1.0, 0.0])),
        "m2m_self_16x16": lambda n: m2m_case(n, "m2m_self", models, 1, 5, 16, 16, L(601), sub="/unet"),
        "m2m_self_one_image": lambda n: m2m_case(n, "m2m_self", models, 2, 1, 8, 8, L(5, 900)),
        "m2m_same_s": lambda n: m2m_case(n, "m2m_self_same", models, 2, 3, 8, 8, L(700, 3), L(0, 1)),
        "m2m_same_sn_24x16": lambda n: m2m_case(n, "m2m_self_same", models, 1, 3, 24, 16, torch.tensor([[999, 0, 500]])),
        "m2m_self_grad": lambda n: m2m_case(n, "m2m_self", models, 2, 3, 8, 8, L(741, 120), L(0, 1), True, False),
        "m2m_same_grad": lambda n: m2m_case(n, "m2m_self_same", models, 2, 3, 8, 12,
                                            torch.tensor([[900, 2, 341], [77, 650, 999]]), L(0, 1), True, True),
        "unet_text_grad": lambda n: unet_case(n, "unet_text", models, 2, 12, 8, L(321, 870), 5, True),
        "unet_conv_optimize": lambda n: unet_optimize_case(n, "unet_conv", models, 3, 2, 8, 8, 4, 1e-3),
        "vae_grad": lambda n: vae_grad_case(n, "vae", models, 2, 16, 24),
        "m2m_self_optimize": lambda n: optimize_case(n, "m2m_self", models, 3, 2, 3, 8, 8, 1e-3, False),
        "generate_ddim": lambda n: generate_case(n, "m2m_self", models, "ddim", 2, 3, 8, 8, 2),
        "generate_euler": lambda n: generate_case(n, "m2m_self", models, "euler", 2, 3, 8, 8, 2),
        "generate_same_ddim": lambda n: generate_case(n, "m2m_self_same", models, "ddim", 1, 2, 8, 6, 4),
        "generate_same_euler": lambda n: generate_case(n, "m2m_self_same", models, "euler", 1, 2, 8, 6, 4),
        "generate_deepcache": lambda n: generate_case(n, "m2m_self", models, "ddim", 2, 2, 8, 12, 3, 10, 7.5, 4),
    }
    for name, case in cases.items():
        if name.startswith(a.only):
            GENERATOR.manual_seed(SEED)
            case(name)
    if "schedule".startswith(a.only):
        make_schedules()
    if "ops".startswith(a.only):
        make_ops()
    make_manifest(a)


if __name__ == "__main__":
    main()
