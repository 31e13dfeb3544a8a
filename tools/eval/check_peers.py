"""Compares `m2m eval` with pytorch-fid, torch-fidelity, clean-fid, torchmetrics and transformers on the same PNGs and weights.

    pip install pytorch-fid==0.3.0 torch-fidelity==0.4.0 clean-fid==0.1.35 torchmetrics torchvision scipy transformers
    python tools/eval/check_peers.py [--m2m build/release/m2m] [--images 12] [--work DIR]

The weights are random, made here, and go through files as real ones do; the images are smooth noise, smaller and larger than
Inception's 299 x 299. Prints a line for each figure, and ends with status 1 if one is further than 1e-3 (relative) from the
peer's.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../golden"))
from make_inception_golden import value  # noqa: E402

LIMIT = 1e-3
WORDS = "a the cat dog house tree red blue small large under over sun moon sleeping running".split()


def make_images(folder, n, size, seed):
    rng = np.random.default_rng(seed)
    os.makedirs(folder, exist_ok=True)
    for i in range(n):
        rough = Image.fromarray(rng.integers(0, 256, (6 + i % 5, 7, 3), dtype=np.uint8))
        rough.resize(size, Image.BICUBIC).save(os.path.join(folder, f"{i:04d}.png"))
        with open(os.path.join(folder, f"{i:04d}.txt"), "w") as f:
            f.write(" ".join(rng.choice(WORDS, 3 + i % 6)))


def make_inception(work):
    import pytorch_fid.inception
    import torchvision
    shapes = torchvision.models.inception_v3(num_classes=1008, aux_logits=False, init_weights=False).state_dict()
    state = {k: v if k.endswith("tracked") else value(k, tuple(v.shape)) for k, v in shapes.items()}
    state["fc.weight"] *= 3
    torch.save(state, f"{work}/inception.pth")
    subprocess.run([sys.executable, os.path.join(HERE, "../convert_inception.py"), f"{work}/inception.pth", f"{work}/inception"],
                   check=True, stdout=subprocess.DEVNULL)
    pytorch_fid.inception.load_state_dict_from_url = lambda *_, **__: state
    return pytorch_fid.inception.fid_inception_v3().eval()


def make_clip(work):
    from transformers import CLIPConfig, CLIPModel, CLIPProcessor, CLIPTokenizer
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    torch.manual_seed(1)
    tokenizer = CLIPTokenizer.from_pretrained(os.path.join(HERE, "../../tests/golden/models/tokenizer_sd2/tokenizer"))
    sides = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4}
    text = {**sides, "vocab_size": len(tokenizer), "max_position_embeddings": 77, "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config={**sides, "image_size": 64, "patch_size": 16}, projection_dim=32))
    images = CLIPImageProcessorPil(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
    for part in (model, tokenizer, images):
        part.save_pretrained(f"{work}/clip")
    return model.eval(), CLIPProcessor(images, tokenizer)


def make_dino(work):
    from transformers import Dinov2Config, Dinov2Model
    from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
    torch.manual_seed(2)
    model = Dinov2Model(Dinov2Config(hidden_size=64, num_hidden_layers=3, num_attention_heads=4, image_size=56, patch_size=14))
    images = BitImageProcessorPil(size={"shortest_edge": 60}, crop_size={"height": 56, "width": 56},
                                  image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
    for part in (model, images):
        part.save_pretrained(f"{work}/dino")
    return model.eval(), images


class Check:
    def __init__(self, m2m, work):
        self.m2m, self.work, self.bad = m2m, work, 0

    def run(self, metric, *words):
        out = f"{self.work}/result.json"
        done = subprocess.run([self.m2m, "eval", metric, *words, "--json", out], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"m2m eval {metric} {' '.join(words)}: {done.stderr}")
        with open(out) as f:
            return json.load(f)

    def forward(self, component, directory, **tensors):
        """`m2m forward` of a component on tensors: what it writes."""
        paths = f"{self.work}/in.safetensors", f"{self.work}/out.safetensors"
        save_file({k: v.contiguous() for k, v in tensors.items()}, paths[0])
        subprocess.run([self.m2m, "forward", directory, "--component", component, "--in", paths[0], "--out", paths[1]],
                       check=True, stdout=subprocess.DEVNULL)
        return load_file(paths[1])

    def compare(self, what, ours, theirs, scale=None):
        off = np.abs(np.asarray(ours) - np.asarray(theirs)).max() / (np.abs(theirs).max() if scale is None else scale)
        self.bad += not off <= LIMIT
        shown = "" if np.ndim(ours) else f"{float(ours):.8g}  {float(theirs):.8g}  "
        print(f"{what}: {shown}{off:.1e}{'' if off <= LIMIT else '  TOO FAR'}", flush=True)


def images_of(folder):
    return [Image.open(os.path.join(folder, n)).convert("RGB") for n in sorted(os.listdir(folder)) if n.endswith(".png")]


def check_inception(c, net, a):
    with torch.no_grad():
        x = torch.cat([torch.from_numpy(np.array(i)).permute(2, 0, 1)[None] / 255. for i in images_of(a)[:4]])
        x = 2 * torch.nn.functional.interpolate(x, (299, 299), mode="bilinear", align_corners=False) - 1
        kept = {}
        hook = net.avgpool.register_forward_hook(lambda _m, _i, out: kept.update(out=out.flatten(1)))
        logits = net(x)
        hook.remove()
    found = c.forward("inception", f"{c.work}/inception", pixel_values=x)
    c.compare("pytorch-fid: features", found["features"], kept["out"])
    c.compare("pytorch-fid: logits", found["logits"], logits)


def check_pytorch_fid(c, a, b):
    from pytorch_fid import fid_score
    from pytorch_fid.inception import InceptionV3
    inception, stats, theirs = f"--inception={c.work}/inception", f"{c.work}/ours.npz", f"{c.work}/theirs.npz"
    model = InceptionV3([3])
    score = fid_score.calculate_fid_given_paths([a, b], 4, "cpu", 2048, num_workers=0)
    c.compare("pytorch-fid: fid", c.run("fid", a, b, inception)["fid"], score)
    if os.path.exists(theirs):
        os.remove(theirs)
    fid_score.save_fid_stats([a, theirs], 4, "cpu", 2048, num_workers=0)
    c.compare("pytorch-fid: fid from its .npz", c.run("fid", theirs, b, inception)["fid"], score)
    c.run("fid", a, inception, "--save-stats", stats)
    (mu, sigma), (m, s) = (fid_score.compute_statistics_of_path(p, model, 4, 2048, "cpu", num_workers=0) for p in (a, stats))
    c.compare("pytorch-fid: mu that it reads from our .npz", m, mu)
    c.compare("pytorch-fid: sigma that it reads from our .npz", s, sigma)
    c.compare("pytorch-fid: fid of our .npz and its own", fid_score.calculate_frechet_distance(m, s, mu, sigma), 0, score)


def check_torch_fidelity(c, a, b, n):
    import torch_fidelity
    score = torch_fidelity.calculate_metrics(
        input1=a, input2=b, cuda=False, fid=True, isc=True, kid=True, kid_subsets=2, kid_subset_size=n, batch_size=4, verbose=False,
        cache=False, feature_extractor_weights_path=f"{c.work}/inception.pth")
    words = [f"--inception={c.work}/inception", "--resize=torch-fidelity"]
    c.compare("torch-fidelity: fid", c.run("fid", a, b, *words)["fid"], score["frechet_inception_distance"])
    c.compare("torch-fidelity: kid", c.run("kid", a, b, *words)["kid"], score["kernel_inception_distance_mean"])
    ours = c.run("is", a, *words)
    c.compare("torch-fidelity: is", ours["inception_score_mean"], score["inception_score_mean"])
    c.compare("torch-fidelity: is, deviation", ours["inception_score_std"], score["inception_score_std"])


def check_clean_fid(c, net, a, b):
    from cleanfid import fid
    kept = {}
    net.avgpool.register_forward_hook(lambda _m, _i, out: kept.update(out=out.flatten(1)))

    def model(x):
        net((x - 128) / 128)
        return kept["out"]

    features = [fid.get_folder_features(p, model, num_workers=0, batch_size=4, device=torch.device("cpu"), verbose=False)
                for p in (a, b)]
    moments = [v for f in features for v in (f.mean(0), np.cov(f, rowvar=False))]
    words = [f"--inception={c.work}/inception", "--resize=clean-fid"]
    c.compare("clean-fid: fid", c.run("fid", a, b, *words)["fid"], fid.frechet_distance(*moments))
    theirs = fid.kernel_distance(*features, num_subsets=1)
    c.compare("clean-fid: kid", c.run("kid", a, b, *words)["kid"], theirs)
    np.savez(f"{c.work}/clean.npz", mu=moments[0], sigma=moments[1])
    c.run("fid", a, *words, "--save-stats", f"{c.work}/ours.npz")
    with np.load(f"{c.work}/ours.npz") as f:
        c.compare("clean-fid: sigma", f["sigma"], moments[1])


class Embeds:
    """CLIPModel as torchmetrics 1.9 expects it: since transformers 5 these two give an output that holds the tensor."""
    def __init__(self, model):
        self.model, self.config = model, model.config

    def get_image_features(self, *args, **kwargs):
        return self.model.get_image_features(*args, **kwargs).pooler_output

    def get_text_features(self, *args, **kwargs):
        return self.model.get_text_features(*args, **kwargs).pooler_output

    def to(self, *_):
        return self

    def eval(self):
        return self


def check_clip(c, model, processor, a, b):
    from torchmetrics.multimodal import CLIPScore
    texts = [open(os.path.join(a, n)).read() for n in sorted(os.listdir(a)) if n.endswith(".txt")]
    score = CLIPScore(model_name_or_path=lambda: (Embeds(model), processor))
    for image, text in zip(images_of(a), texts):
        score.update(torch.from_numpy(np.array(image)).permute(2, 0, 1), text)
    inputs = processor(text=texts, images=images_of(a), return_tensors="pt", padding="max_length")
    with torch.no_grad():
        wanted = model(**inputs)
    embeds = c.forward("clip", f"{c.work}/clip", pixel_values=inputs["pixel_values"], input_ids=inputs["input_ids"])
    for name in ("image_embeds", "text_embeds"):
        c.compare(f"transformers: clip, {name}", embeds[name], wanted[name])
    words = [f"--clip={c.work}/clip"]
    found = c.run("clip", a, *words)["clip_text_image"]
    c.compare("torchmetrics: clip, text-image", found, float(score.score / score.n_samples), 100)
    with torch.no_grad():
        embeds = [model.get_image_features(**processor.image_processor(images_of(p), return_tensors="pt")).pooler_output for p in (a, b)]
    theirs = 100 * torch.cosine_similarity(*embeds).mean().item()
    c.compare("transformers: clip, image-image", c.run("clip", a, b, *words)["clip_image_image"], theirs)


def check_dino(c, model, images, a, b):
    with torch.no_grad():
        tokens = [model(**images(images_of(p), return_tensors="pt")).pooler_output for p in (a, b)]
    found = c.run("dino", a, b, f"--dino={c.work}/dino")["dino_image_image"]
    c.compare("transformers: dino", found, 100 * torch.cosine_similarity(*tokens).mean().item())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--m2m", default=os.path.join(HERE, "../../build/release/m2m"))
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--work")
    parser.add_argument("--only", default="clip,dino,pytorch-fid,torch-fidelity,clean-fid")
    o = parser.parse_args()
    work = o.work or tempfile.mkdtemp()
    a, b = f"{work}/a", f"{work}/b"
    make_images(a, o.images, (120, 90), 1)
    make_images(b, o.images, (400, 333), 2)
    net = make_inception(work)
    c = Check(o.m2m, work)
    only = o.only.split(",")
    if "clip" in only:
        check_clip(c, *make_clip(work), a, b)
    if "dino" in only:
        check_dino(c, *make_dino(work), a, b)
    if "pytorch-fid" in only:
        check_inception(c, net, a)
        check_pytorch_fid(c, a, b)
    if "torch-fidelity" in only:
        check_torch_fidelity(c, a, b, o.images)
    if "clean-fid" in only:
        check_clean_fid(c, net, a, b)
    print("all within", LIMIT) if not c.bad else sys.exit(f"{c.bad} figures are too far off")


if __name__ == "__main__":
    main()
