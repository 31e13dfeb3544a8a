"""M2M-DINO, and task conditions for both variants (spec 4-7), on diffusers' U-Net and transformers' Dinov2Model.

As m2m_oracle.py an oracle in the plainest way: explicit loops over sets and images, every guidance branch computed on its
own, nothing kept between steps. The condition is added to the residual stream by the processor of attn1, whose result
diffusers' BasicTransformerBlock adds to that stream just before norm2.
"""
import math

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from diffusers.models.embeddings import get_timestep_embedding
from PIL import Image

from m2m_oracle import add_noise, ddim_scheduler, euler_scheduler


class Embedder(torch.nn.Module):
    """linear_1 -> SiLU -> linear_2."""

    def __init__(self, numbers, hidden, out):
        super().__init__()
        self.linear_1 = torch.nn.Linear(numbers, hidden)
        self.linear_2 = torch.nn.Linear(hidden, out)

    def forward(self, x):
        return self.linear_2(torch.nn.functional.silu(self.linear_1(x)))


class AddsCondition:
    """attn1's processor: diffusers' own, and then the condition of each row. attn2 holds cond_proj."""

    def __init__(self, state, attn2):
        self.state, self.attn2 = state, attn2

    def __call__(self, attn, hidden_states, **kwargs):
        out = AttnProcessor()(attn, hidden_states, **kwargs)
        return out + self.attn2.cond_proj(self.state["embedded"])[:, None]


class SetAttention:
    """attn2's processor. state: S, N, and v [S, N, L, D] for M2M-DINO or None for M2M-Self."""

    def __init__(self, state):
        self.state = state

    def __call__(self, attn, hidden_states, **kwargs):
        S, N, v = self.state["S"], self.state["N"], self.state["v"]
        C, d = hidden_states.shape[-1], hidden_states.shape[-1] // attn.heads
        noisy = hidden_states if v is not None else hidden_states[S * N:]
        clean = v if v is not None else hidden_states[:S * N].unflatten(0, (S, N))

        def heads(x):                                   # [L, C] -> [heads, L, d]
            return x.unflatten(-1, (attn.heads, d)).transpose(0, 1)

        rows = []
        for s in range(S):
            for i in range(N):
                if i == 0:
                    rows.append(torch.zeros_like(noisy[0]))
                    continue
                q = heads(attn.to_q(noisy[s * N + i]))
                k = torch.cat([heads(attn.to_k(clean[s, j])) for j in range(i)], dim=1)
                w = torch.cat([heads(attn.to_v(clean[s, j])) for j in range(i)], dim=1)
                p = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(d), dim=-1)
                rows.append((p @ w).transpose(0, 1).reshape(-1, C))
        result = attn.to_out[0](torch.stack(rows))
        return result if v is not None else torch.cat([torch.zeros_like(result), result])


class M2M(torch.nn.Module):
    """config: the dictionary of unet/config.json."""

    def __init__(self, config):
        super().__init__()
        isa = config["image_set_attention"]
        self.self_variant = isa["variant"] == "self"
        self.clean_timestep, self.condition = isa["clean_timestep"], isa["condition"]
        plain = {k: v for k, v in config.items() if not k.startswith("_") and k != "image_set_attention"}
        channels = list(plain["block_out_channels"])
        if self.self_variant:
            plain["cross_attention_dim"] = channels
        self.unet = UNet2DConditionModel(**plain)
        self.width, self.state = 4 * channels[0], {}
        numbers = {None: 0, "camera": 12, "position": 256}[self.condition]
        for block in self.blocks():
            block.attn2.set_processor(SetAttention(self.state))
            if self.condition:
                block.attn2.cond_proj = torch.nn.Linear(self.width, block.attn2.to_q.out_features)
                block.attn1.set_processor(AddsCondition(self.state, block.attn2))
        if self.condition:
            self.unet.condition_embedder = Embedder(numbers, self.width, self.width)
            if not self.self_variant:
                self.unet.condition_embedder_dino = Embedder(numbers, self.width, plain["cross_attention_dim"])

    def blocks(self):
        return [m for m in self.unet.modules() if type(m).__name__ == "BasicTransformerBlock"]

    def embed(self, name, condition, present, S, N):
        """[S*N, ...]: zero where the condition is dropped or absent."""
        embedder = getattr(self.unet, name)
        if condition is None:
            return torch.zeros(S * N, embedder.linear_2.out_features, dtype=embedder.linear_2.weight.dtype)
        x = condition.reshape(S * N, -1)
        if self.condition == "position":
            x = get_timestep_embedding(x[:, 0], 256, flip_sin_to_cos=True, downscale_freq_shift=0)
        return embedder(x.to(embedder.linear_1.weight.dtype)) * present.reshape(S * N, 1)

    def forward(self, context, noisy, timesteps, dropped=None, condition=None, absent=None):
        """context [S,N,C,H,W] or [S,N,L,D]; condition [S,N,12] or [S,N,1]; absent [S,N]: nonzero = without condition."""
        S, N = noisy.shape[:2]
        t = torch.as_tensor(timesteps)
        t = t[:, None].expand(S, N) if t.dim() == 1 else t
        kept = torch.ones(S) if dropped is None else 1 - torch.as_tensor(dropped).float()
        present = kept[:, None].expand(S, N) * (1 if absent is None else 1 - torch.as_tensor(absent).float())
        kept, present = kept.to(noisy.dtype), present.to(noisy.dtype)
        context = context * kept.reshape(S, *[1] * (context.dim() - 1))
        self.state.update(S=S, N=N, v=None)
        embedded = self.embed("condition_embedder", condition, present, S, N) if self.condition else None
        if self.self_variant:
            clean_t = t if self.clean_timestep == "same" else torch.full_like(t, self.clean_timestep)
            self.state["embedded"] = torch.cat([embedded, embedded]) if self.condition else None
            sample = torch.cat([context.flatten(0, 1), noisy.flatten(0, 1)])
            out = self.unet(sample, torch.cat([clean_t.flatten(), t.flatten()]), encoder_hidden_states=None).sample
            return out[S * N:].reshape(noisy.shape)
        if self.condition:
            e = self.embed("condition_embedder_dino", condition, present, S, N)
            context = context + e.reshape(S, N, 1, -1)
        self.state.update(v=context, embedded=embedded)
        return self.unet(noisy.flatten(0, 1), t.flatten(), encoder_hidden_states=None).sample.reshape(noisy.shape)


def training_loss(model, x):
    """x: the tensors of `m2m forward --component m2m --backward`."""
    noisy = x["noisy"] if "noisy" in x else add_noise(x["clean"], x["noise"], x["timesteps"])
    context = x["clean"] if model.self_variant else x["features"]
    prediction = model(context, noisy, x["timesteps"], x.get("dropped"), x.get("condition"))
    return ((x["noise"] - prediction) ** 2).mean(), prediction


def optimize(model, batches, lr):
    from diffusers.training_utils import EMAModel
    names, params = zip(*model.unet.named_parameters())
    optimizer = torch.optim.AdamW(params, lr=lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
    ema = EMAModel(params, decay=0.9999)
    losses = []
    for batch in batches:
        optimizer.zero_grad()
        loss, _ = training_loss(model, batch)
        loss.backward()
        optimizer.step()
        ema.step(params)
        losses.append(loss.detach())
    return (torch.stack(losses), {n: p.detach().clone() for n, p in zip(names, params)},
            {n: p.detach().clone() for n, p in zip(names, ema.shadow_params)})


# ---------------------------------------------------------------------------------------------------------- sampling

def predict(model, context, conditions, x, condition, t, zeroed, conditioned):
    """The new image as the last of a set of K+1. zeroed: the context is zero; conditioned: conditions are given."""
    K = len(context)
    content = torch.stack(list(context) + [torch.zeros_like(context[0])])[None]
    if zeroed:
        content = torch.zeros_like(content)
    noisy = torch.cat([torch.zeros(K, *x.shape, dtype=x.dtype), x[None]])[None]
    c = None
    absent = None
    if conditioned and condition is not None:
        known = [e if e is not None else torch.zeros_like(condition) for e in conditions]
        c = torch.stack(known + [condition])[None]
        absent = torch.tensor([[e is None for e in conditions] + [False]]).float()
    return model(content, noisy, torch.as_tensor(t).reshape(1), condition=c, absent=absent)[0, K]


def guided(model, context, conditions, x, condition, t, s_i, s_c):
    """Eq. 7; s_c None: eq. 6, both dropped together."""
    none = predict(model, context, conditions, x, condition, t, True, False)
    full = predict(model, context, conditions, x, condition, t, False, True)
    if s_c is None:
        return none + s_i * (full - none)
    images = predict(model, context, conditions, x, condition, t, False, False)
    return none + s_i * (images - none) + s_c * (full - images)


def see(vision, latent):
    """Features of a generated image: decoded, rounded to 8 bits, the encoder's own preprocessing, the encoder."""
    vae, processor, encoder = vision
    image = vae.decode(latent[None] / vae.config.scaling_factor).sample[0]
    bytes_ = (image * 127.5 + 127.5).clamp(0, 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    pixels = processor(images=Image.fromarray(np.ascontiguousarray(bytes_)), return_tensors="pt")["pixel_values"]
    return encoder(pixels.to(latent.dtype)).last_hidden_state[0]


@torch.no_grad()
def generate(model, context, noise, conditions, scheduler_name, steps, s_i, s_c, window, vision=None):
    """context: [K, ...]; conditions [K+n, ...] or None."""
    context = list(context)
    conditions = [None] * (len(context) + len(noise)) if conditions is None else list(conditions)
    K, out, trajectories = len(context), [], []
    for n in range(len(noise)):
        scheduler = {"ddim": ddim_scheduler, "euler": euler_scheduler}[scheduler_name]()
        scheduler.set_timesteps(steps)
        x = noise[n] * float(scheduler.init_noise_sigma)
        trajectory = [x]
        first = max(0, K + n - window)
        for t in scheduler.timesteps:
            x_in = scheduler.scale_model_input(x, t)
            eps = guided(model, context[first:], conditions[first:K + n], x_in, conditions[K + n], t, s_i, s_c)
            x = scheduler.step(eps, t, x).prev_sample.to(x.dtype)
            trajectory.append(x)
        out.append(x)
        trajectories.append(torch.stack(trajectory))
        context.append(x if model.self_variant else see(vision, x))
    return torch.stack(out), torch.stack(trajectories)
