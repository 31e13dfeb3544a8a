"""M2M-Self (spec.md, sections 3-7) on top of diffusers' UNet2DConditionModel, in the plainest way that could be found.

This is an oracle: it is slow on purpose. There is no cache, no batching trick and no fused attention; loops and masks
are explicit. All 2*S*N images (first the S*N clean ones, then the S*N noisy ones) run through one diffusers U-Net; only
the attention processor of every attn2 is replaced. diffusers' BasicTransformerBlock then computes h = h + attn2(norm2(h)),
so a processor that returns 0 for the clean images lets them pass unchanged.
"""
import json
import math
import os

import torch
from diffusers import AutoencoderKL, DDIMScheduler, EulerDiscreteScheduler, UNet2DConditionModel
from safetensors.torch import load_file

from deepcache_oracle import DeepCache

# Stable Diffusion's schedule, spec 5.
SD_SCHEDULE = dict(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                   timestep_spacing="leading", steps_offset=1, prediction_type="epsilon")


def ddim_scheduler():
    return DDIMScheduler(**SD_SCHEDULE, set_alpha_to_one=False, clip_sample=False)


def euler_scheduler():
    return EulerDiscreteScheduler(**SD_SCHEDULE)


class ImageSetAttention:
    """Attention processor of attn2. `layout` is shared by all layers and holds S and N of the pass that is running."""

    def __init__(self, layout):
        self.layout = layout

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, **kwargs):
        S, N = self.layout["S"], self.layout["N"]
        B, L, C = hidden_states.shape
        assert B == 2 * S * N and encoder_hidden_states is None and attention_mask is None
        heads = attn.heads
        clean, noisy = hidden_states[:S * N], hidden_states[S * N:]

        def split(x):                                   # [S*N, L, C] -> [S, N, heads, L, C/heads]
            return x.reshape(S, N, L, heads, C // heads).permute(0, 1, 3, 2, 4)

        q, k, v = split(attn.to_q(noisy)), split(attn.to_k(clean)), split(attn.to_v(clean))
        per_set = []
        for s in range(S):
            per_image = []
            for i in range(N):
                if i == 0:                              # no keys: zero before to_out
                    result = torch.zeros_like(q[s, 0])
                else:                                   # one softmax over the tokens of clean images j < i
                    keys = torch.cat([k[s, j] for j in range(i)], dim=1)
                    values = torch.cat([v[s, j] for j in range(i)], dim=1)
                    scores = q[s, i] @ keys.transpose(-1, -2) / math.sqrt(C // heads)
                    result = torch.softmax(scores, dim=-1) @ values
                per_image.append(result.permute(1, 0, 2).reshape(L, C))
            per_set.append(torch.stack(per_image))
        result = attn.to_out[0](torch.stack(per_set).reshape(S * N, L, C))
        assert attn.residual_connection is False and attn.rescale_output_factor == 1.0
        return torch.cat([torch.zeros_like(clean), result])


class M2MSelf(torch.nn.Module):
    """config: the dictionary of unet/config.json (diffusers' plus "image_set_attention")."""

    def __init__(self, config):
        super().__init__()
        isa = config["image_set_attention"]
        assert isa["variant"] == "self" and isa.get("condition") is None
        self.clean_timestep = isa.get("clean_timestep", 0)
        assert self.clean_timestep == "same" or isinstance(self.clean_timestep, int)
        plain = {k: v for k, v in config.items() if not k.startswith("_") and k != "image_set_attention"}
        # to_k / to_v of M2M-Self are C x C at each layer: diffusers builds them so if cross_attention_dim is, level by
        # level, the width of the level. The value in the file has no meaning for this variant.
        plain["cross_attention_dim"] = list(plain["block_out_channels"])
        self.unet = UNet2DConditionModel(**plain)
        self.layout = {}
        for name, module in self.unet.named_modules():
            if name.endswith("attn2"):
                module.set_processor(ImageSetAttention(self.layout))

    @staticmethod
    def from_pretrained(directory, dtype=torch.float32):
        config = json.load(open(os.path.join(directory, "config.json")))
        model = M2MSelf(config)
        model.unet.load_state_dict(load_file(os.path.join(directory, "diffusion_pytorch_model.safetensors")), strict=True)
        return model.to(dtype)

    def forward(self, clean, noisy, timesteps, dropped=None):
        """clean, noisy [S,N,C,H,W]; timesteps [S] or [S,N]; dropped [S]: nonzero = the clean latents are zeroed.
        Returns the prediction for the noisy half, [S,N,C,H,W]."""
        S, N = noisy.shape[:2]
        t = torch.as_tensor(timesteps)
        if t.dim() == 1:
            t = t[:, None].expand(S, N)
        if dropped is not None:
            clean = clean * (1 - torch.as_tensor(dropped).to(clean.dtype)).reshape(S, 1, 1, 1, 1)
        clean_t = t if self.clean_timestep == "same" else torch.full_like(t, self.clean_timestep)
        self.layout.update(S=S, N=N)
        sample = torch.cat([clean.flatten(0, 1), noisy.flatten(0, 1)])
        out = self.unet(sample, torch.cat([clean_t.flatten(), t.flatten()]), encoder_hidden_states=None).sample
        return out[S * N:].reshape(noisy.shape)


def add_noise(clean, noise, timesteps):
    """diffusers' add_noise for sets; timesteps [S] or [S,N]."""
    S, N = clean.shape[:2]
    t = torch.as_tensor(timesteps).long()
    if t.dim() == 1:
        t = t[:, None].expand(S, N)
    return ddim_scheduler().add_noise(clean.flatten(0, 1), noise.flatten(0, 1), t.flatten()).reshape(clean.shape)


def training_loss(model, clean, noise, timesteps, dropped=None, noisy=None):
    """Spec 7: zt is made of the true clean latents even where the condition is dropped; mean over everything."""
    if noisy is None:
        noisy = add_noise(clean, noise, timesteps)
    prediction = model(clean, noisy, timesteps, dropped)
    return ((noise - prediction) ** 2).mean(), prediction


def guided(model, context, x, t, guidance):
    """Eq. 6 for one new image. context [K,C,H,W], x [C,H,W] (as the U-Net shall see it), t a scalar tensor.
    A set of N = K+1 images whose last one is the new one; the noisy images before it and the last clean image can't
    reach it, so they are filled with zeros."""
    K = context.shape[0]
    zero = torch.zeros_like(x)
    clean = torch.cat([context, zero[None]])[None]
    noisy = torch.cat([torch.zeros_like(context), x[None]])[None]
    ts = torch.as_tensor(t).reshape(1)
    conditional = model(clean, noisy, ts)[0, K]
    unconditional = model(torch.zeros_like(clean), noisy, ts)[0, K]
    return unconditional + guidance * (conditional - unconditional)


@torch.no_grad()
def generate(model, latents, noise, scheduler_name, steps=50, guidance=7.5, window=4, deepcache=1):
    """latents [K,C,H,W] given images, noise [n,C,H,W] unit normal. Returns latents [n,C,H,W] and
    trajectory [n,steps+1,C,H,W] in the scheduler's own sample space (its row 0 = noise * init_noise_sigma). deepcache 1: every step is whole."""
    context = [z for z in latents]
    out, trajectories = [], []
    cache = DeepCache(model.unet, deepcache, 2)
    for n in range(noise.shape[0]):
        cache.begin()
        scheduler = {"ddim": ddim_scheduler, "euler": euler_scheduler}[scheduler_name]()
        scheduler.set_timesteps(steps)
        x = noise[n] * float(scheduler.init_noise_sigma)
        trajectory = [x]
        window_context = torch.stack(context[-window:])
        for t in scheduler.timesteps:
            x_in = scheduler.scale_model_input(x, t)
            eps = guided(model, window_context, x_in, t, guidance)
            dtype = x.dtype
            x = scheduler.step(eps, t, x).prev_sample.to(dtype)
            trajectory.append(x)
        out.append(x)
        trajectories.append(torch.stack(trajectory))
        context.append(x)                               # as it is: never decoded and encoded again
    cache.end()
    return torch.stack(out), torch.stack(trajectories)


def optimize(model, batches, lr):
    """batches: list of dicts (clean, noise, timesteps, dropped, perhaps noisy). AdamW and EMAModel as spec 7 has them."""
    from diffusers.training_utils import EMAModel
    params = list(model.unet.parameters())
    optimizer = torch.optim.AdamW(params, lr=lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
    ema = EMAModel(params, decay=0.9999)                # decay of step k: 0, 2/11, 3/12, ... (1+k)/(10+k), at most 0.9999
    losses = []
    for batch in batches:
        optimizer.zero_grad()
        loss, _ = training_loss(model, **batch)
        loss.backward()
        optimizer.step()
        ema.step(params)
        losses.append(loss.detach())
    names = [n for n, _ in model.unet.named_parameters()]
    return (torch.stack(losses), {n: p.detach().clone() for n, p in zip(names, params)},
            {n: p.detach().clone() for n, p in zip(names, ema.shadow_params)})


def vae_loss(vae, sample, noise, kl_weight=1e-6):
    """L1 mean + kl_weight * KL (summed over C,H,W of the latent, mean over the batch), z = mean + std * noise."""
    posterior = vae.encode(sample).latent_dist
    z = posterior.mean + posterior.std * noise
    reconstruction = vae.decode(z).sample
    l1 = (reconstruction - sample).abs().mean()
    kl = posterior.kl().mean()
    return l1 + kl_weight * kl, l1, kl, reconstruction
