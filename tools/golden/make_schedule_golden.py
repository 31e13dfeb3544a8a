#!/usr/bin/env python3
"""Writes tests/golden/sampler: whole sampling trajectories of diffusers' schedulers on a synthetic model.

usage: make_schedule_golden.py [OUT]

cases.json lists the cases: {name, scheduler, steps, config}; NAME.safetensors holds of each: timesteps [steps],
inputs [steps,n] (what the model is shown; with PNDM there is one call more than steps), outputs [steps,n] (what it answers), samples [steps+1,n] (row 0: noise times
init_noise_sigma). abar.safetensors holds alphas_cumprod of each config by name.
"""
import json
import os
import sys

import torch
from diffusers import (DDIMScheduler, DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler, EulerDiscreteScheduler,
                       PNDMScheduler)
from safetensors.torch import save_file

OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "../../tests/golden/sampler")
N = 12

SD = dict(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
          set_alpha_to_one=False, steps_offset=1, prediction_type="epsilon")
CONFIGS = {
    "sd": dict(SD, timestep_spacing="leading"),
    # SD 2.1-base's own file: made for PNDMScheduler, without timestep_spacing.
    "pndm": dict(SD, _class_name="PNDMScheduler", skip_prk_steps=True, trained_betas=None),
    "cosine_v": dict(num_train_timesteps=400, beta_schedule="squaredcos_cap_v2", clip_sample=False, set_alpha_to_one=True,
                     prediction_type="v_prediction", timestep_spacing="trailing"),
    "linear_sample": dict(beta_schedule="linear", clip_sample=False, prediction_type="sample", timestep_spacing="linspace"),
}
SCHEDULERS = {"ddim": DDIMScheduler, "euler": EulerDiscreteScheduler, "dpmpp_2m": DPMSolverMultistepScheduler,
              "pndm": PNDMScheduler, "euler_ancestral": EulerAncestralDiscreteScheduler}
CASES = [("sd", s, k) for s in ("ddim", "euler") for k in (1, 10, 20, 50)] + \
        [(c, s, k) for c, k in (("pndm", 20), ("cosine_v", 10), ("cosine_v", 7), ("linear_sample", 9)) for s in ("ddim", "euler")] + \
        [(c, "dpmpp_2m", k) for c, k in (("sd", 1), ("sd", 10), ("sd", 20), ("pndm", 20), ("cosine_v", 7), ("linear_sample", 9))] + \
        [(c, "pndm", k) for c, k in (("sd", 1), ("sd", 2), ("sd", 4), ("pndm", 10), ("cosine_v", 7))] + \
        [(c, "euler_ancestral", k) for c, k in (("sd", 10), ("pndm", 7), ("cosine_v", 7))]


def trajectory(scheduler, steps, seed):
    g = torch.Generator().manual_seed(seed)
    scheduler.set_timesteps(steps)
    x = torch.randn(N, generator=g) * float(scheduler.init_noise_sigma)
    inputs, outputs, samples, noises = [], [], [x.clone()], []
    for t in scheduler.timesteps:
        shown = scheduler.scale_model_input(x, t)
        answer = 0.6 * torch.tanh(shown) + 0.4 * torch.randn(N, generator=g)
        if isinstance(scheduler, EulerAncestralDiscreteScheduler):
            noises.append(torch.randn(N, generator=g.clone_state()))
            x = scheduler.step(answer, t, x, generator=g).prev_sample
        else:
            x = scheduler.step(answer, t, x).prev_sample
        inputs.append(shown.clone()), outputs.append(answer), samples.append(x.clone())
    more = {"noise": torch.stack(noises)} if noises else {}
    return dict(**more, timesteps=scheduler.timesteps.float(), inputs=torch.stack(inputs), outputs=torch.stack(outputs),
                samples=torch.stack(samples))


def main():
    os.makedirs(OUT, exist_ok=True)
    listed, abar = [], {}
    for seed, (config, kind, steps) in enumerate(CASES):
        scheduler = SCHEDULERS[kind].from_config(CONFIGS[config], **{"ddim": {"clip_sample": False}, "pndm": {"skip_prk_steps": True}}.get(kind, {}))
        name = f"{kind}_{config}_{steps}"
        save_file(trajectory(scheduler, steps, seed), os.path.join(OUT, name + ".safetensors"))
        abar[config] = scheduler.alphas_cumprod
        listed.append(dict(name=name, scheduler=kind, steps=steps, config=config))
    save_file(abar, os.path.join(OUT, "abar.safetensors"))
    with open(os.path.join(OUT, "cases.json"), "w") as f:
        json.dump({"script": "tools/golden/make_schedule_golden.py", "configs": CONFIGS, "cases": listed}, f, indent=1)
        f.write("\n")


main()
