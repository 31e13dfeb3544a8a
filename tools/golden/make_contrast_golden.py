"""Writes the cases of tests/golden about contrastive training: CLIPModel(return_loss=True) and Dinov2Model under a
supervised contrastive loss, with gradients and AdamW steps.

    python make_contrast_golden.py

Models are those of make_clip_golden.py and make_dino_golden.py. As make_golden.py, whose helpers it uses.
"""
import argparse
import os

import torch
import torch.nn.functional as F
from diffusers.training_utils import EMAModel
from transformers import CLIPModel, Dinov2Model

from make_golden import FORWARD, GENERATOR, GRADIENT, OUT, at, forward_info, make_manifest, rand, seed, write_case

TEMPERATURE = 0.1
STEPS = {"losses": {"kind": "relative", "value": 1e-4},
         # Its gradient is 0 in exact arithmetic, and Adam makes a step of up to lr of whatever noise is there instead: three
         # steps of 3e-3 here, and as many there.
         "*k_proj.bias": {"kind": "max_abs", "value": 1.81e-2}, "*key.bias": {"kind": "max_abs", "value": 1.81e-2},
         "param.*": GRADIENT, "ema.*": GRADIENT}


def file_name(name):
    """transformers 5 has Dinov2's attention under other names in memory than in files."""
    for here, there in ((".attention.q_proj.", ".attention.attention.query."), (".attention.k_proj.", ".attention.attention.key."),
                        (".attention.v_proj.", ".attention.attention.value."), (".attention.o_proj.", ".attention.output.dense.")):
        name = name.replace(here, there)
    return name


def clip_loss(model, pixel_values, input_ids):
    out = model(input_ids=input_ids, pixel_values=pixel_values, return_loss=True)
    return out.loss, {"image_embeds": out.image_embeds, "text_embeds": out.text_embeds}


def alike_loss(model, pixel_values, labels):
    """L_out of Khosla et al. 2020, mean over the rows that have positives; a negative label has none."""
    states = model(pixel_values).last_hidden_state
    z = F.normalize(torch.cat([states[:, 0], states[:, 1:].mean(1)], 1), dim=1)
    n = len(z)
    logits = (z @ z.T / TEMPERATURE).masked_fill(torch.eye(n, dtype=torch.bool), float("-inf"))
    log_p = F.log_softmax(logits, 1).masked_fill(torch.eye(n, dtype=torch.bool), 0)
    positive = (labels[:, None] == labels[None]) & (labels[:, None] >= 0) & ~torch.eye(n, dtype=torch.bool)
    rows = positive.any(1)
    return -((log_p * positive).sum(1)[rows] / positive.sum(1)[rows]).mean(), {}


def gradients(model, loss, inputs):
    value, more = loss(model, **inputs)
    value.backward()
    grads = {"grad." + file_name(n): torch.zeros_like(p) if p.grad is None else p.grad for n, p in model.named_parameters()}
    return {"loss": value, **more, **grads}


def steps(model, loss, inputs, lr):
    params = list(model.parameters())
    optimizer = torch.optim.AdamW(params, lr=lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
    ema = EMAModel(params, decay=0.9999)
    losses = []
    for t in range(len(inputs["pixel_values"])):
        optimizer.zero_grad()
        value, _ = loss(model, **{k: v[t] for k, v in inputs.items()})
        value.backward()
        for p in params:                                # m2m decays parameters that the loss does not see, too
            p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        optimizer.step()
        ema.step(params)
        losses.append(value.detach())
    out = {"losses": torch.stack(losses)}
    for (n, p), e in zip(model.named_parameters(), ema.shadow_params):
        out["param." + file_name(n)], out["ema." + file_name(n)] = p.detach().clone(), e.detach().clone()
    return out


def case(name, component, directory, cls, loss, inputs):
    model = cls.from_pretrained(os.path.join(OUT, "models", directory), attn_implementation="eager").eval()
    info = forward_info(component, directory, backward=True)
    info["tolerance"] = {"image_embeds": FORWARD, "text_embeds": FORWARD, **info["tolerance"]}
    write_case(name + "_grad", info, {k: v[0] for k, v in inputs.items()},
               lambda x, dtype: gradients(at(model, dtype), loss, x))
    lr = 3e-3
    write_case(name + "_optimize", {"command": "optimize", "component": component, "dir": "models/" + directory, "args": ["--lr", repr(lr)],
                                    "lr": lr, "steps": len(inputs["pixel_values"]), "tolerance": STEPS}, inputs,
               lambda x, dtype: steps(at(model, dtype), loss, x, lr))




def main():
    seed("clip_contrast")
    ids = [[[1, 5, 7, 59, 0, 0, 0], [1, 30, 31, 32, 33, 34, 59], [1, 59, 59, 59, 59, 59, 59], [1, 2, 30, 59, 0, 0, 0]],
           [[1, 8, 59, 0, 0, 0, 0], [1, 30, 31, 59, 0, 0, 0], [1, 12, 13, 14, 59, 0, 0], [1, 58, 57, 59, 0, 0, 0]],
           [[1, 9, 5, 59, 0, 0, 0], [1, 22, 31, 59, 0, 0, 0], [1, 40, 41, 42, 43, 59, 0], [1, 3, 59, 0, 0, 0, 0]]]
    for name in ("clip", "clip_old_end"):
        case(name, "clip", name, CLIPModel, clip_loss, {"pixel_values": rand(3, 4, 3, 15, 15), "input_ids": torch.tensor(ids)})
    seed("encoder_contrast")
    labels = torch.tensor([[0, 0, 1, 1, 1, -1, 2], [4, 4, 4, 4, 0, 0, 0], [3, 2, 3, 2, 3, 2, -1]])
    case("image_encoder", "image_encoder", "dinov2", Dinov2Model, alike_loss, {"pixel_values": rand(3, 7, 3, 16, 16), "labels": labels})
    make_manifest(argparse.Namespace(only="clip"))


if __name__ == "__main__":
    main()
