#!/usr/bin/env python3
"""Small data sets in their owners' layouts, for tests/data/import_test.c: made-up pictures, true structure.

usage: make_layouts.py [--out tests/data/layouts]        needs numpy and Pillow; the same bytes with the same versions
"""
import argparse
import io
import json
import os
import shutil
import tarfile

import numpy as np
from PIL import Image


def picture(seed, size=(16, 16), alpha=False):
    rng = np.random.default_rng(seed)
    a = np.zeros((size[1], size[0], 4 if alpha else 3), np.uint8)
    a[..., :3] = rng.integers(0, 256, 3)
    x, y = rng.integers(2, 8, 2)
    a[y : y + 6, x : x + 6, :3] = rng.integers(0, 256, 3)
    if alpha:
        a[y : y + 6, x : x + 6, 3] = 255
    return Image.fromarray(a)


def encoded(image, kind):
    f = io.BytesIO()
    image.save(f, kind)
    return f.getvalue()


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())


def camera(rng, dtype):
    """[R|t], world to Blender camera, looking at the origin from a distance of 1.5 to 2.2, +z up."""
    z = rng.normal(size=3)
    z /= np.linalg.norm(z)
    x = np.cross([0, 0, 1], z)
    x /= np.linalg.norm(x)
    r = np.stack([x, np.cross(z, x), z])
    t = -r @ (z * rng.uniform(1.5, 2.2))
    return np.concatenate([r, t[:, None]], 1).astype(dtype)


def objaverse(out):
    uids = ["0a1b2c3d4e5f60718293a4b5c6d7e8f9", "692db5f2d3a04bb286cb977a7dba903e_1", "ffeeddccbbaa99887766554433221100"]
    for o, uid in enumerate(uids):
        rng = np.random.default_rng(o)
        for v in range(12):
            base = f"{out}/{uid}/{v:03d}"
            write(base + ".png", encoded(picture(100 * o + v, alpha=True), "PNG"))
            np.save(base + ".npy", camera(rng, np.float32 if o == 2 else np.float64))
    write(f"{out}/valid_paths.json", json.dumps(uids))


def vgsi(out):
    def step(article, method, number, image=True):
        step_id = f"{article}_{method}_{number}"
        url = f"https://www.wikihow.com/images/thumb/{step_id}.jpg" if image else None
        if image:
            write(f"{out}/wiki_images/{step_id}.png", encoded(picture(hash_of(step_id)), "PNG"))
        return {"headline": f"Do part {number + 1} of it.", "description": "Like “this”.\nThen wait.", "img": url,
                "img_license": "CC BY-NC-SA 3.0" if image else None, "step_id": step_id}

    def article(number, goal, methods):
        return {"file_id": str(number), "goal": goal, "goal_description": "", "category_hierarchy": ["Hobbies", "Drawing"],
                "methods": [{"name": f"Way {m + 1}", "steps": [step(number, m, i, have) for i, have in enumerate(images)]}
                            for m, images in enumerate(methods)]}

    lines = [article(100002, "How to Fold a Hat", [[1, 1, 1], [1, 0, 1, 1]]), article(100017, "How to Wait", [[0, 0]]),
             article(100020, "How to Dämpfen", [[1, 1]]), article(100031, "How to Wave", [[1, 1, 1, 1]])]
    write(f"{out}/WikihowText_data.json", "".join(json.dumps(a) + "\n" for a in lines))


def hash_of(text):
    h = 0
    for c in text.encode():
        h = (h * 31 + c) % 2**31
    return h


def coco(out):
    # Two images a category at least; image 9 has two cats (one image of the set all the same); 31 has a crowd.
    shows = {9: [17, 17], 25: [17], 30: [17, 18], 31: [1], 34: [1, 18], 36: [1], 42: [90, 18], 49: [90], 61: [44]}
    images, annotations = [], []
    for i, (image, cats) in enumerate(shows.items()):
        name = f"{image:012d}.jpg"
        write(f"{out}/train2017/{name}", encoded(picture(image, (20, 16)), "JPEG"))
        images.append({"license": 1 + i % 3, "file_name": name, "coco_url": f"http://images.cocodataset.org/train2017/{name}",
                       "height": 16, "width": 20, "date_captured": "2013-11-14 11:18:45",
                       "flickr_url": f"http://farm9.staticflickr.com/8186/{name}", "id": image})
        for k, cat in enumerate(cats):
            crowd = image == 31
            w, h = (4.5, 6) if k else (10, 8.25)
            seg = {"counts": [272, 2, 4, 4, 38], "size": [16, 20]} if crowd else [[1.0, 2.5, w, 2.5, w, h, 1.0, h]]
            annotations.append({"segmentation": seg, "area": w * h * 0.8, "iscrowd": int(crowd), "image_id": image,
                                "bbox": [1.0, 2.5, w, h], "category_id": cat, "id": 900000 + len(annotations)})
    cats = [(1, "person", "person"), (17, "cat", "animal"), (18, "dog", "animal"), (44, "bottle", "kitchen"),
            (90, "toothbrush", "indoor")]
    write(f"{out}/annotations/instances_train2017.json", json.dumps({
        "info": {"description": "made up, in COCO 2017's structure", "version": "1.0", "year": 2017},
        "licenses": [{"url": "http://creativecommons.org/licenses/by/2.0/", "id": i, "name": f"Licence {i}"} for i in (1, 2, 3)],
        "images": images, "annotations": annotations,
        "categories": [{"supercategory": s, "id": i, "name": n} for i, n, s in cats]}))
    write(f"{out}/annotations/captions_train2017.json", json.dumps({
        "images": images, "annotations": [{"image_id": 9, "id": 1, "caption": "A square."}]}))


def cc12m(out):
    rows = [(f"https://example.org/{i}/picture.jpg?w={i}", c) for i, c in enumerate([
        "a red square", "<PERSON> walks a dog , in the park", "Ein “blaues” Quadrat", "two cats & a bird", "a house!",
        "The sea at night.", "green hills", "an old clock", "bread on a table", "a yellow boat"])]
    write(f"{out}/cc12m.tsv", "".join(f"{u}\t{c}\n" for u, c in rows))


def add_member(tar, name, data):
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.uname, info.gname = len(data), 0o444, "bigdata", "bigdata"
    tar.addfile(info, io.BytesIO(data))


def shards(out):
    os.makedirs(out, exist_ok=True)
    for shard in range(2):
        with tarfile.open(f"{out}/mis-{shard:05d}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
            for s in range(2):
                caption = 2 * shard + s
                key = f"{caption:09d}"
                for i in range(4):
                    add_member(tar, f"{key}.{i:02d}.jpg", encoded(picture(10 * caption + i), "JPEG"))
                about = {"seed": 7 + caption, "model_sha256": "0" * 64, "sampler": "euler", "steps": 50, "guidance": 7.5}
                add_member(tar, f"{key}.json", json.dumps(about).encode())
                latents = io.BytesIO()
                np.save(latents, np.zeros((4, 4, 2, 2), np.float16))
                add_member(tar, f"{key}.latents.npy", latents.getvalue())
                add_member(tar, f"{key}.txt", f"caption {caption}".encode())


def folders(out):
    for name, count in (("beach", 3), ("forest.old", 2), ("städte", 4)):
        for i in range(count):
            kind, end = (("PNG", "png"), ("JPEG", "JPG"), ("WEBP", "webp"))[i % 3]
            write(f"{out}/{name}/{i + 1}.{end}", encoded(picture(hash_of(name) + i), kind))
    write(f"{out}/beach/notes.txt", "not a picture\n")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--out", default=os.path.join(os.path.dirname(__file__), "../../tests/data/layouts"))
    out = p.parse_args().out
    shutil.rmtree(out, ignore_errors=True)
    for kind in (objaverse, vgsi, coco, cc12m, shards, folders):
        kind(f"{out}/{kind.__name__}")


if __name__ == "__main__":
    main()
