"""Proves the oracle against spec.md by perturbation. Run: python self_check.py (seconds; exits non-zero on failure)."""
import torch

from make_golden import GENERATOR, m2m_config, randomize, rand
from m2m_oracle import M2MSelf, ImageSetAttention, add_noise, generate, guided, training_loss

torch.set_num_threads(1)


def check(name, ok):
    print("ok  " if ok else "FAIL", name)
    if not ok:
        raise SystemExit(1)


@torch.no_grad()
def main():
    for clean_timestep in (0, 37, "same"):
        GENERATOR.manual_seed(5)
        model = M2MSelf(m2m_config(clean_timestep)).double()
        randomize(model.unet)
        S, N = 2, 4
        clean, noisy = rand(S, N, 4, 8, 8).double(), rand(S, N, 4, 8, 8).double()
        t = torch.tensor([[900, 20, 333, 500], [1, 700, 42, 999]])
        out = model(clean, noisy, t)
        for j in range(N):
            c2 = clean.clone()
            c2[0, j] += 0.5
            d = (model(c2, noisy, t) - out).abs().amax(dim=(2, 3, 4))
            check(f"{clean_timestep}: clean image {j} changes the noisy images after it, no other", bool(
                (d[1] == 0).all() and (d[0, :j + 1] == 0).all() and (d[0, j + 1:] > 1e-6).all()))
            n2 = noisy.clone()
            n2[0, j] += 0.5
            d = (model(clean, n2, t) - out).abs().amax(dim=(2, 3, 4))
            keep = torch.ones(N, dtype=torch.bool)
            keep[j] = False
            check(f"{clean_timestep}: noisy image {j} changes itself only", bool((d[1] == 0).all() and (d[0, keep] == 0).all() and d[0, j] > 1e-3))
        # image 0: its prediction is that of a U-Net whose attn2 result is to_out(0)
        alone = model(clean[:, :1], noisy[:, :1], t[:, :1])
        check(f"{clean_timestep}: image 0 alone is the same", bool((alone[:, 0] - out[:, 0]).abs().max() < 1e-12))
        for name, m in model.unet.named_modules():
            if name.endswith("attn2"):
                m.set_processor(lambda attn, h, **kw: attn.to_out[0](torch.zeros_like(h)))
        plain = model.unet(noisy[:, 0], t[:, 0], encoder_hidden_states=None).sample
        check(f"{clean_timestep}: image 0 = plain U-Net with attn2 -> bias of to_out", bool((plain - out[:, 0]).abs().max() < 1e-12))
        for name, m in model.unet.named_modules():
            if name.endswith("attn2"):
                m.set_processor(ImageSetAttention(model.layout))
        # an independent formulation of the mask: one softmax with -inf over all clean tokens
        for name, m in model.unet.named_modules():
            if name.endswith("attn2"):
                m.set_processor(Masked(model.layout))
        check(f"{clean_timestep}: loops = additive -inf mask", bool((model(clean, noisy, t) - out).abs().max() < 1e-12))
        for name, m in model.unet.named_modules():
            if name.endswith("attn2"):
                m.set_processor(ImageSetAttention(model.layout))
        # dropped
        dropped = torch.tensor([1, 0])
        zeroed = clean.clone()
        zeroed[0] = 0
        check(f"{clean_timestep}: dropped = clean latents zero", torch.equal(model(clean, noisy, t, dropped), model(zeroed, noisy, t)))
        _, p = training_loss(model, clean, noisy, t, dropped)
        check(f"{clean_timestep}: dropped leaves zt alone", torch.equal(p, model(zeroed, add_noise(clean, noisy, t), t)))
        # 10.2: one zero image = several
        x = noisy[0, 0]
        a = guided(model, torch.zeros(1, 4, 8, 8).double(), x, t[0, 0], 1.0)
        b = guided(model, torch.zeros(3, 4, 8, 8).double(), x, t[0, 0], 1.0)
        check(f"{clean_timestep}: one zero image = three", bool((a - b).abs().max() < 1e-12))
        if clean_timestep != "same":                    # 10.1: clean stream doesn't depend on t
            streams = []
            handle = model.unet.mid_block.attentions[0].transformer_blocks[0].norm2.register_forward_hook(
                lambda m, i, o: streams.append(o[:S * N].clone()))
            model(clean, noisy, t)
            model(clean, noisy * 2, t * 0 + 3)
            handle.remove()
            check(f"{clean_timestep}: clean hidden states do not depend on t nor on noisy images", torch.equal(*streams))
        # timesteps [S] = [S,N] broadcast
        check(f"{clean_timestep}: [S] = [S,N]", torch.equal(model(clean, noisy, t[:, 0]), model(clean, noisy, t[:, :1].expand(S, N))))
        # window: images before the window change nothing
        g = rand(3, 4, 8, 8).double()
        z = rand(2, 4, 8, 8).double()
        g2 = g.clone()
        g2[0] += 1
        r, tr = generate(model, g, z, "ddim", 3, 7.5, 2)
        r2, _ = generate(model, g2, z, "ddim", 3, 7.5, 2)
        check(f"{clean_timestep}: image outside the window has no effect", torch.equal(r, r2))
        g2 = g.clone()
        g2[1] += 1
        r2, _ = generate(model, g2, z, "ddim", 3, 7.5, 2)
        check(f"{clean_timestep}: image inside the window has", not torch.equal(r, r2))
        check(f"{clean_timestep}: trajectory ends at the latents, starts at the noise", torch.equal(tr[:, -1], r) and torch.equal(tr[:, 0], z))
    # eq. 7 of DDIM by hand, independent of diffusers' scheduler
    GENERATOR.manual_seed(6)
    model = M2MSelf(m2m_config(0)).double()
    randomize(model.unet)
    g, z = rand(2, 4, 8, 8).double(), rand(1, 4, 8, 8).double()
    r, _ = generate(model, g, z, "ddim", 5, 7.5, 4)
    betas = torch.linspace(0.00085 ** 0.5, 0.012 ** 0.5, 1000, dtype=torch.float64) ** 2
    ac = torch.cumprod(1 - betas, 0)
    x = z[0]
    for t in (801, 601, 401, 201, 1):
        e = guided(model, g, x, torch.tensor(t), 7.5)
        prev = ac[t - 200] if t - 200 >= 0 else ac[0]
        x0 = (x - (1 - ac[t]).sqrt() * e) / ac[t].sqrt()
        x = prev.sqrt() * x0 + (1 - prev).sqrt() * e
    check("DDIM by hand", bool((x - r[0]).abs().max() / r.abs().max() < 1e-5))
    r, _ = generate(model, g, z, "euler", 5, 7.5, 4)
    sigma = ((1 - ac) / ac).sqrt()
    ts = [801, 601, 401, 201, 1]
    x = z[0] * (sigma[801] ** 2 + 1).sqrt()
    for i, t in enumerate(ts):
        s, s1 = sigma[t], (sigma[ts[i + 1]] if i < 4 else 0.0)
        e = guided(model, g, x / (s ** 2 + 1).sqrt(), torch.tensor(float(t)), 7.5)
        x = x + (s1 - s) * e
    check("Euler by hand", bool((x - r[0]).abs().max() / r.abs().max() < 1e-5))
    print("all checks passed")


class Masked(ImageSetAttention):
    def __call__(self, attn, h, **kw):
        S, N = self.layout["S"], self.layout["N"]
        _, L, C = h.shape
        H = attn.heads
        f = lambda x: x.reshape(S, N * L, H, C // H).transpose(1, 2)
        q, k, v = f(attn.to_q(h[S * N:])), f(attn.to_k(h[:S * N])), f(attn.to_v(h[:S * N]))
        image = torch.arange(N).repeat_interleave(L)
        allowed = image[None, :] < image[:, None]       # [query, key]
        scores = (q @ k.transpose(-1, -2) / (C // H) ** 0.5).masked_fill(~allowed, float("-inf"))
        p = torch.nan_to_num(torch.softmax(scores, -1), nan=0.0)
        r = (p @ v).transpose(1, 2).reshape(S * N, L, C)
        return torch.cat([torch.zeros_like(r), attn.to_out[0](r)])


if __name__ == "__main__":
    main()
