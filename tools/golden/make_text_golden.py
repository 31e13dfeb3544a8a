"""Writes the text-to-image part of tests/golden: tokenizers and what transformers' CLIPTokenizer makes of hard lines,
CLIPTextModels and their states, and whole text-to-image runs of diffusers' StableDiffusionPipeline.

    python tools/golden/make_text_golden.py [--only PREFIX]

The vocabularies are small ones, learned here from a few captions; check_tokenizer.py compares with CLIP's own.
"""
import argparse
import collections
import json
import os
import shutil

import torch
from diffusers import AutoencoderKL, DDIMScheduler, EulerDiscreteScheduler, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from deepcache_oracle import DeepCache
from make_golden import (GENERATOR, OUT, SCHEDULER, TRAJECTORY, UNET_TEXT, VAE_TINY, at, forward_info, make_manifest, plain, rand,
                         randomize, seed, write_case, write_json, write_model)
from tokenizer_lines import hard

CAPTIONS = """a photo of a dog. a photo of a cat. an oil painting of a dog in the snow. the dog's smiling face, drawn in the style of
noto emoji. a red car, 3d render, highly detailed. two cats don't sleep. a cartoon of an airplane in the sky. the lion's head, flat
colors. a green apple on a white background. pancakes with honey and butter. a portrait of a woman, digital art, masterpiece.
an elephant in the water. a penguin in the snow. photo of the moon over the sea at night. they're drawn with black lines. baaa, baaa, aaaa, aaah, aaah."""


def byte_symbols():
    prints = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    symbol = {b: chr(b) for b in prints}
    for b in range(256):
        symbol.setdefault(b, chr(256 + len(symbol) - len(prints)))
    return symbol, prints


def learn_merges(count):
    """Plain byte-pair encoding of the captions' words; ties by the pair itself, so that it is the same everywhere."""
    symbol, _ = byte_symbols()
    words = collections.Counter(CAPTIONS.lower().replace(",", " ").replace(".", " ").split())
    split = {w: [symbol[b] for b in w.encode()] for w in words}
    for s in split.values():
        s[-1] += "</w>"
    merges = []
    while len(merges) < count:
        pairs = collections.Counter()
        for w, s in split.items():
            for pair in zip(s, s[1:]):
                pairs[pair] += words[w]
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        for w, s in split.items():
            i, out = 0, []
            while i < len(s):
                pair = tuple(s[i:i + 2]) == best
                out.append("".join(best) if pair else s[i])
                i += 2 if pair else 1
            split[w] = out
    return merges


def write_tokenizer(out, merges, symbols, config=None, special_map=None):
    tokens = list(dict.fromkeys(symbols + [s + "</w>" for s in symbols] + ["".join(m) for m in merges])) + ["<|startoftext|>", "<|endoftext|>"]
    os.makedirs(out, exist_ok=True)
    write_json(out + "/vocab.json", {t: i for i, t in enumerate(tokens)})
    open(out + "/merges.txt", "w", encoding="utf-8").write("\n".join(["#version: 0.2"] + [" ".join(m) for m in merges]) + "\n")
    write_json(out + "/tokenizer_config.json", {"model_max_length": 77, "tokenizer_class": "CLIPTokenizer", **(config or {})})
    if special_map:
        write_json(out + "/special_tokens_map.json", special_map)
    return len(tokens)


ADDED = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
SD2_MAP = {"bos_token": {"content": "<|startoftext|>", **ADDED}, "eos_token": {"content": "<|endoftext|>", **ADDED}, "pad_token": "!",
           "unk_token": {"content": "<|endoftext|>", **ADDED}, "additional_special_tokens": ["<Big>"]}


def sd2_tokenizer(out, length=77):
    """Files as SD 2.1-base has them: tokenizer_config.json says that the pad token is the end token, the map says "!"."""
    symbol, prints = byte_symbols()
    symbols = [chr(b) for b in prints] + [chr(256 + i) for i in range(256 - len(prints))]
    return write_tokenizer(out, learn_merges(150), symbols, {"pad_token": "<|endoftext|>", "do_lower_case": True, "model_max_length": length}, SD2_MAP)


def make_tokenizers():
    models = os.path.join(OUT, "models")
    sd2_tokenizer(os.path.join(models, "tokenizer_sd2", "tokenizer"))
    # What transformers 5 writes: tokenizer.json and tokenizer_config.json alone; with tokens added, one of them normalized.
    added = CLIPTokenizer.from_pretrained(os.path.join(models, "tokenizer_sd2", "tokenizer"))
    added.add_tokens(["<My-Style>", "dog"])
    added.add_tokens(["<S*>"], special_tokens=True)
    shutil.rmtree(os.path.join(models, "tokenizer_saved"), ignore_errors=True)
    added.save_pretrained(os.path.join(models, "tokenizer_saved"))
    # Few symbols, no special_tokens_map.json, no length: what is unknown becomes the unknown token.
    few = [c for c in "abcdefghilmnoprst'!3"]
    merges = [m for m in learn_merges(60) if all(c in few for c in "".join(m).replace("</w>", ""))]
    small = os.path.join(models, "tokenizer_small")
    write_tokenizer(small, merges, few)
    os.remove(small + "/tokenizer_config.json")
    lines = hard(160, seed=11) + ["a <My-Style> DOG dog", "<my-style><S*> <s*>dogs", "hotdog!", "<Big> <big>x<Big>", "aaaaa aaaaaaa baaaaa"]
    os.makedirs(os.path.join(OUT, "tokenizer"), exist_ok=True)
    open(os.path.join(OUT, "tokenizer", "lines.txt"), "w", encoding="utf-8", newline="").write("\n".join(lines) + "\n")
    for name in ("tokenizer_sd2", "tokenizer_saved", "tokenizer_small"):
        where = os.path.join(models, name)
        t = CLIPTokenizer.from_pretrained(where + "/tokenizer" if name == "tokenizer_sd2" else where)
        answers = {"ids": [t(line)["input_ids"] for line in lines], "pad": t.pad_token_id,
                   "padded": [t(line, padding="max_length", truncation=True, max_length=12)["input_ids"] for line in lines]}
        path = os.path.join(OUT, "tokenizer", name[10:] + ".json")
        open(path, "w").write(json.dumps(answers, separators=(",", ":")) + "\n")
        print(f"{name:32s} {len(lines)} lines, {os.path.getsize(path)} bytes, pad {t.pad_token_id}")


# ----------------------------------------------------------------------------------------------------- text encoders

def text_encoder(name, **config):
    """Two directories: as transformers 5 saves it, and as older files are (text_model. before every name, position_ids)."""
    seed(name)
    m = CLIPTextModel(CLIPTextConfig(attention_dropout=0.0, **config)).eval()
    m.set_attn_implementation("eager")
    randomize(m)
    return m


def text_case(name, model, directory, ids):
    def run(x, dtype):
        with torch.no_grad():
            y = at(model, dtype)(input_ids=x["input_ids"])
        return {"last_hidden_state": y.last_hidden_state, "pooler_output": y.pooler_output}

    write_case(name, forward_info("text_encoder", directory), {"input_ids": ids}, run)


def make_text_encoders():
    models = os.path.join(OUT, "models")
    gelu = text_encoder("text_encoder_gelu", vocab_size=60, hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=4,
                        max_position_embeddings=11, hidden_act="gelu", eos_token_id=59, bos_token_id=58, pad_token_id=0, projection_dim=8)
    gelu.save_pretrained(os.path.join(models, "text_encoder_gelu"))
    quick = text_encoder("text_encoder_quick", vocab_size=50, hidden_size=18, intermediate_size=30, num_hidden_layers=2, num_attention_heads=3,
                         max_position_embeddings=77, hidden_act="quick_gelu", eos_token_id=2, bos_token_id=0, pad_token_id=1, layer_norm_eps=1e-4)
    where = os.path.join(models, "text_encoder_quick", "text_encoder")
    quick.save_pretrained(where)
    quick = quick.half().float()                        # 16-bit weights under the names of transformers 4
    state = {"text_model." + k: v.half() for k, v in quick.state_dict().items()}
    state["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    save_file(state, where + "/model.safetensors", metadata={"format": "pt"})
    seed("ids")
    ids = torch.randint(1, 58, (3, 11), generator=GENERATOR)
    ids[:, 0], ids[0, 7], ids[0, 8:], ids[1, 10], ids[2, 3], ids[2, 5] = 58, 59, 0, 59, 59, 59
    text_case("text_encoder_gelu", gelu, "text_encoder_gelu", ids)
    text_case("text_encoder_short", gelu, "text_encoder_gelu", ids[2:, :6])
    ids = torch.randint(3, 48, (2, 77), generator=GENERATOR)
    ids[0, 20], ids[1, 76] = 49, 49
    text_case("text_encoder_quick", quick, "text_encoder_quick", ids)


# ----------------------------------------------------------------------------------------------------- text to image

def make_pipeline():
    """models/text_to_image: files as SD 2.1-base has them, PNDM's scheduler_config.json and 16-bit weights included."""
    where = os.path.join(OUT, "models", "text_to_image")
    words = sd2_tokenizer(where + "/tokenizer", 16)
    text = text_encoder("text_to_image", vocab_size=words, hidden_size=20, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
                        max_position_embeddings=16, hidden_act="gelu", eos_token_id=2, bos_token_id=words - 2, pad_token_id=0).half()
    text.save_pretrained(where + "/text_encoder")
    config = {**UNET_TEXT, "sample_size": 16}
    unet, vae = UNet2DConditionModel(**plain(config)), AutoencoderKL(**plain(VAE_TINY))
    randomize(unet)
    randomize(vae)
    write_model("text_to_image/unet", config, unet, torch.float16)
    write_model("text_to_image/vae", VAE_TINY, vae, torch.float16)
    pndm = {k: v for k, v in SCHEDULER.items() if k != "timestep_spacing"}
    write_json(where + "/scheduler/scheduler_config.json", {**pndm, "_class_name": "PNDMScheduler", "skip_prk_steps": True})
    write_json(where + "/model_index.json", {
        "_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.42.1", "feature_extractor": [None, None],
        "requires_safety_checker": False, "safety_checker": [None, None], "scheduler": ["diffusers", "PNDMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]})
    return text.float(), unet.half().float(), vae.half().float(), CLIPTokenizer.from_pretrained(where + "/tokenizer"), pndm


def painting_case(name, parts, kind, kind_name, n, H, W, prompt, negative, steps, guidance, rescale=0.0, deepcache=1):
    seed(name.replace("_" + kind_name, ""))
    text, unet, vae, tokenizer, config = parts
    inputs = {"noise": rand(n, 4, H, W)}

    def run(x, dtype):
        rows = []
        for i in range(n):                              # the pipeline wants latents of unit variance, and scales them itself
            pipe = StableDiffusionPipeline(vae=at(vae, dtype), text_encoder=at(text, dtype), tokenizer=tokenizer, unet=at(unet, dtype),
                                           scheduler=kind.from_config(config, skip_prk_steps=True), safety_checker=None, feature_extractor=None,
                                           requires_safety_checker=False)
            pipe.set_progress_bar_config(disable=True)
            cache = DeepCache(pipe.unet, deepcache, 1)
            steps_of = []

            def keep(pipeline, step, t, values):
                steps_of.append(values["latents"].clone())
                return values

            pipe(prompt, negative_prompt=negative, height=H * 2, width=W * 2, num_inference_steps=steps, guidance_scale=guidance, guidance_rescale=rescale,
                 latents=x["noise"][i:i + 1], output_type="latent", callback_on_step_end=keep)
            cache.end()
            start = x["noise"][i:i + 1] * pipe.scheduler.init_noise_sigma
            rows.append(torch.cat([start] + steps_of))
        trajectory = torch.stack(rows)
        return {"latents": trajectory[:, -1], "trajectory": trajectory}

    args = ["--prompt", prompt, "--noise", "noise.safetensors", "-n", str(n), "--steps", str(steps), "--guidance", str(guidance),
            "--scheduler", kind_name, "--size", f"{W * 2}x{H * 2}"] + (["--negative-prompt", negative] if negative else []) + (
                ["--guidance-rescale", str(rescale)] if rescale else []) + (["--deepcache", str(deepcache)] if deepcache > 1 else [])
    write_case(name, {"command": "generate", "dir": "models/text_to_image", "n": n, "steps": steps, "guidance": guidance,
                      "scheduler": kind_name, "args": args, "tolerance": TRAJECTORY,
                      "note": "trajectory[:,0] = noise * init_noise_sigma, trajectory[:,k] = the latents after k steps"},
               inputs, run, ({"noise": ["noise"]}, "out"))


def make_text_to_image():
    parts = make_pipeline()
    prompt = "An oil painting of a dog's face, two cats & a car!! caf\u00e9 \U0001f436"
    painting_case("text_to_image_euler", parts, EulerDiscreteScheduler, "euler", 2, 8, 12, prompt, "red car, 3d", 50, 7.5)
    painting_case("text_to_image_ddim", parts, DDIMScheduler, "ddim", 1, 8, 12, prompt, "red car, 3d", 12, 7.5)
    painting_case("text_to_image_pndm", parts, PNDMScheduler, "pndm", 1, 8, 12, prompt, "red car, 3d", 9, 7.5)
    painting_case("text_to_image_rescaled", parts, DDIMScheduler, "ddim", 1, 8, 8, prompt, None, 6, 7.5, 0.7)
    painting_case("text_to_image_unguided", parts, EulerDiscreteScheduler, "euler", 1, 8, 8, "a lion", None, 6, 1.0)
    painting_case("text_to_image_deepcache", parts, DDIMScheduler, "ddim", 1, 8, 12, prompt, None, 8, 5.0, 0.0, 3)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    a = parser.parse_args()
    torch.set_num_threads(1)
    parts = {"tokenizer": make_tokenizers, "text_encoder": make_text_encoders, "text_to_image": make_text_to_image}
    for name, make in parts.items():
        if name.startswith(a.only):
            make()
    make_manifest(a)


if __name__ == "__main__":
    main()
