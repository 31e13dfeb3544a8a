"""PyTorch/diffusers as a peer: time and memory of one guided U-Net step, or of one M2M-Self training step. Prints JSON.

    python peer_pytorch.py --make-random DIR                    an SD 2.1-base-sized U-Net directory (random weights, 3.46 GB)
    python peer_pytorch.py --make-random DIR --variant self     the same with image-set attention (M2MUNet)
    python peer_pytorch.py DIR --size 64x64 --threads 2         one guided step = one forward of batch 2, median of --runs
    python peer_pytorch.py DIR --save PREFIX                    also PREFIX.in.safetensors and PREFIX.out.safetensors
    python peer_pytorch.py DIR --mode train --sets 1 --images 4 M2M-Self: forward, backward, AdamW

DIR holds a config.json as diffusers writes it (or is a pipeline directory with a unet/); without weights there, random ones
are used. Memory: peak_rss_mib is the peak of the whole process, steps_peak_rss_mib that since the model was loaded,
imports_rss_mib what Python with torch and diffusers takes before any model.
"""
import argparse
import glob
import json
import os
import platform
import resource
import statistics
import sys
import time

SD21 = {
    "_class_name": "UNet2DConditionModel", "_diffusers_version": "0.10.0.dev0", "act_fn": "silu",
    "attention_head_dim": [5, 10, 20, 20], "block_out_channels": [320, 640, 1280, 1280], "center_input_sample": False,
    "cross_attention_dim": 1024,
    "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "downsample_padding": 1, "dual_cross_attention": False, "flip_sin_to_cos": True, "freq_shift": 0, "in_channels": 4,
    "layers_per_block": 2, "mid_block_scale_factor": 1, "norm_eps": 1e-05, "norm_num_groups": 32, "num_class_embeds": None,
    "only_cross_attention": False, "out_channels": 4, "sample_size": 64,
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
    "use_linear_projection": True,
}


def memory(field):
    for line in open("/proc/self/status"):
        if line.startswith(field + ":"):
            return round(int(line.split()[1]) / 1024, 1)


def reset_peak():
    try:
        open("/proc/self/clear_refs", "w").write("5")
        return True
    except OSError:
        return False


def cpu_name():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def build(config):
    """(U-Net on the meta device, wrapper or None)"""
    import torch
    with torch.device("meta"):
        if "image_set_attention" in config:
            sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
            from m2m_oracle import M2MSelf
            model = M2MSelf(config)
            return model.unet, model
        from diffusers import UNet2DConditionModel
        return UNet2DConditionModel(**{k: v for k, v in config.items() if not k.startswith("_")}), None


def fast_attention(wrapper):
    """M2M-Self's image-set attention as people would write it in PyTorch: one scaled_dot_product_attention with a mask."""
    import torch
    F = torch.nn.functional

    class SetAttention:
        def __init__(self, layout):
            self.layout = layout

        def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, **kwargs):
            S, N = self.layout["S"], self.layout["N"]
            _, L, C = hidden_states.shape
            clean, noisy = hidden_states[:S * N], hidden_states[S * N:]
            split = lambda x: x.reshape(S, N * L, attn.heads, C // attn.heads).transpose(1, 2)
            image = torch.arange(N).repeat_interleave(L)
            mask = image[L:, None] > image[None, :]     # image 0 sees nothing: it is left out
            y = F.scaled_dot_product_attention(split(attn.to_q(noisy))[:, :, L:], split(attn.to_k(clean)), split(attn.to_v(clean)), attn_mask=mask)
            y = y.transpose(1, 2).reshape(S, (N - 1) * L, C)
            y = attn.to_out[0](torch.cat([torch.zeros(S, L, C, dtype=y.dtype), y], 1).reshape(S * N, L, C))
            return torch.cat([torch.zeros_like(clean), y])

    for name, module in wrapper.unet.named_modules():
        if name.endswith("attn2"):
            module.set_processor(SetAttention(wrapper.layout))


def random_state(unet, seed):
    """Weights small enough that nothing overflows, large enough that every layer counts."""
    import torch
    g = torch.Generator().manual_seed(seed)
    state = {}
    for name, p in unet.state_dict().items():
        x = torch.randn(p.shape, generator=g)
        if p.dim() > 1:
            x *= 0.7 / p[0].numel() ** 0.5
        elif name.endswith("weight"):
            x = x.mul_(0.1).add_(1)
        else:
            x *= 0.05
        state[name] = x
    return state


def make_random(directory, config, seed, dtype):
    import torch
    from safetensors.torch import save_file
    unet, _ = build(config)
    state = {k: v.to(dtype) for k, v in random_state(unet, seed).items()}
    os.makedirs(directory, exist_ok=True)
    json.dump(config, open(os.path.join(directory, "config.json"), "w"), indent=2)
    save_file(state, os.path.join(directory, "diffusion_pytorch_model.safetensors"), metadata={"format": "pt"})
    print(json.dumps({"directory": directory, "parameters": sum(v.numel() for v in state.values()),
                      "bytes": os.path.getsize(os.path.join(directory, "diffusion_pytorch_model.safetensors"))}))


def load(directory, dtype, seed):
    from safetensors.torch import load_file
    config = json.load(open(os.path.join(directory, "config.json")))
    unet, wrapper = build(config)
    files = [f for f in sorted(glob.glob(os.path.join(directory, "diffusion_pytorch_model*.safetensors")))]
    state = {}
    for f in files:
        state.update(load_file(f))
    if not files:
        state = random_state(unet, seed)
    unet.load_state_dict({k: v.to(dtype) for k, v in state.items()}, strict=True, assign=True)
    return config, unet, wrapper, bool(files)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("dir", nargs="?")
    p.add_argument("--make-random", metavar="DIR")
    p.add_argument("--variant", choices=["text", "self"], default="text")
    p.add_argument("--config", help="config.json for --make-random instead of SD 2.1-base's")
    p.add_argument("--mode", choices=["step", "m2m", "image", "train"], default="step",
                   help="step: one forward of --batch; m2m: eq. 6 with --images context images, all computed again, as the paper writes it; "
                        "image: 50 such DDIM steps and the VAE's decoder; train")
    p.add_argument("--size", default="64x64", help="latent width x height")
    p.add_argument("--batch", type=int, default=2)
    p.add_argument("--tokens", type=int, default=77)
    p.add_argument("--sets", type=int, default=1)
    p.add_argument("--images", type=int, default=4)
    p.add_argument("--dtype", choices=["f32", "bf16", "f16"], default="f32")
    p.add_argument("--channels-last", action="store_true")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--warmup", type=int, default=1)
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--save", metavar="PREFIX")
    p.add_argument("--wait", action="store_true", help="for peers.py: a step for each line of input, its seconds a line of output")
    a = p.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(a.threads)
    import diffusers
    import torch
    from safetensors.torch import save_file
    diffusers.utils.logging.set_verbosity_error()
    torch.set_num_threads(a.threads)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[a.dtype]
    if a.make_random:
        config = json.load(open(a.config)) if a.config else dict(SD21)
        if a.variant == "self":
            config.update(_class_name="M2MUNet", image_set_attention={"variant": "self", "clean_timestep": 0, "condition": None})
        return make_random(a.make_random, config, a.seed, dtype)
    if not a.dir:
        p.error("a directory or --make-random is needed")
    if os.path.isdir(os.path.join(a.dir, "unet")):
        a.dir = os.path.join(a.dir, "unet")
    imports = memory("VmRSS")
    start = time.perf_counter()
    config, unet, wrapper, from_file = load(a.dir, dtype, a.seed)
    if a.channels_last:
        unet.to(memory_format=torch.channels_last)
    if wrapper is not None:
        fast_attention(wrapper)
    load_seconds = time.perf_counter() - start
    width, height = (int(v) for v in a.size.split("x"))
    g = torch.Generator().manual_seed(a.seed + 1)
    rand = lambda *shape: torch.randn(*shape, generator=g)
    c = config["in_channels"]
    inputs, step, save_outputs = {}, None, None
    if a.mode == "step":
        if wrapper is not None:
            p.error("--mode step wants a text-conditioned U-Net; this one has image-set attention: --mode m2m or train")
        inputs = {"sample": rand(a.batch, c, height, width), "timestep": torch.tensor([500] * a.batch),
                  "encoder_hidden_states": rand(a.batch, a.tokens, config["cross_attention_dim"])}
        x, e = inputs["sample"].to(dtype), inputs["encoder_hidden_states"].to(dtype)
        if a.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        unet.eval()

        def step():
            with torch.inference_mode():
                return {"sample": unet(x, inputs["timestep"], e).sample}
    elif wrapper is None:
        p.error(f"--mode {a.mode} wants a config.json with image_set_attention")
    elif a.mode in ("m2m", "image"):
        from m2m_oracle import generate, guided
        context, x = rand(a.images, c, height, width).to(dtype), rand(c, height, width).to(dtype)
        unet.eval()
        vae = None
        if a.mode == "image":
            vae = diffusers.AutoencoderKL.from_pretrained(os.path.join(os.path.dirname(a.dir.rstrip("/")), "vae"), torch_dtype=dtype)

        def step():
            with torch.inference_mode():
                if vae is None:
                    return {"sample": guided(wrapper, context, x, torch.tensor(500), 7.5)}
                z, _ = generate(wrapper, context, x[None], "ddim", 50, 7.5, a.images)
                return {"sample": vae.decode(z / vae.config.scaling_factor).sample}
    else:
        from m2m_oracle import training_loss
        shape = (a.sets, a.images, c, height, width)
        inputs = {"clean": rand(*shape), "noise": rand(*shape), "timesteps": torch.randint(0, 1000, (a.sets,), generator=g)}
        params = list(unet.parameters())
        for q in params:
            q.requires_grad_(True)
        optimizer = torch.optim.AdamW(params, lr=1e-5, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
        batch = {k: (v.to(dtype) if v.is_floating_point() else v) for k, v in inputs.items()}

        def step():
            optimizer.zero_grad()
            loss, _ = training_loss(wrapper, **batch)
            loss.backward()
            optimizer.step()
            return {"loss": loss.detach().reshape(1)}
    loaded = memory("VmRSS")
    was_reset = reset_peak()
    out = None
    if a.save:                                          # before any optimizer step has changed the weights
        out = step()
        save_file({k: v.float().contiguous() for k, v in out.items()}, a.save + ".out.safetensors")
        save_file({k: v.contiguous() for k, v in inputs.items()}, a.save + ".in.safetensors")
    for _ in range(a.warmup):
        step()
    if a.wait:
        print(f"ready PyTorch {torch.__version__}", flush=True)
        for _ in sys.stdin:
            start = time.perf_counter()
            step()
            print(time.perf_counter() - start, flush=True)
        return
    seconds = []
    for i in range(a.runs):
        start = time.perf_counter()
        out = step()
        seconds.append(time.perf_counter() - start)
        print(f"run {i + 1}/{a.runs}: {seconds[-1]:.4f} s", file=sys.stderr)
    value = next(iter(out.values())).float()
    print(json.dumps({
        "peer": "pytorch", "mode": a.mode, "directory": a.dir, "weights": "file" if from_file else "random", "dtype": a.dtype,
        "parameters": sum(q.numel() for q in unet.parameters()), "latent": [height, width],
        **({"batch": a.batch, "tokens": a.tokens} if a.mode == "step" else {"sets": a.sets, "images": a.images} if a.mode == "train" else {"context": a.images}),
        "channels_last": a.channels_last, "threads": torch.get_num_threads(), "median_seconds": statistics.median(seconds),
        "min_seconds": min(seconds), "seconds": [round(s, 5) for s in seconds], "load_seconds": round(load_seconds, 3),
        "imports_rss_mib": imports, "loaded_rss_mib": loaded, "steps_peak_rss_mib": memory("VmHWM") if was_reset else None,
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "finite": bool(torch.isfinite(value).all()), "output_rms": float(value.pow(2).mean().sqrt()),
        "torch": torch.__version__, "diffusers": diffusers.__version__, "python": platform.python_version(), "cpu": cpu_name()}, indent=2))


if __name__ == "__main__":
    main()
