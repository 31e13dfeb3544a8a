#!/usr/bin/env python3
"""A made-up instances_train2017.json of any size, to see how much memory and time its import takes.

usage: make_large_coco.py OUT [--mb 500] [--small]
    OUT/annotations/instances_train2017.json, and OUT/train2017/ with one picture under 64 names (needs Pillow)
    --small: the shortest records that are valid, so as many as such a file can hold

Then: /usr/bin/time -v m2m data check coco OUT --sets 8
"""
import argparse
import io
import os
import random

from PIL import Image


def main():
    p = argparse.ArgumentParser()
    p.add_argument("out")
    p.add_argument("--mb", type=int, default=500)
    p.add_argument("--small", action="store_true")
    a = p.parse_args()
    rng = random.Random(0)
    os.makedirs(f"{a.out}/annotations", exist_ok=True)
    os.makedirs(f"{a.out}/train2017", exist_ok=True)
    f = io.BytesIO()
    Image.new("RGB", (640, 480), (90, 120, 60)).save(f, "JPEG")
    for i in range(64):
        with open(f"{a.out}/train2017/{i:012d}.jpg", "wb") as picture:
            picture.write(f.getvalue())
    total = a.mb * 1000 * 1000
    with open(f"{a.out}/annotations/instances_train2017.json", "w") as f:
        f.write('{"info": {"year": 2017}, "licenses": [{"id": 1, "name": "x", "url": "http://example.org"}], "images": [')
        images = total // 70 if a.small else 118287 * a.mb // 448       # train2017: 118,287 images in 448 MB
        for i in range(images):
            name = f"{i % 64:012d}.jpg"
            f.write(", " if i else "")
            if a.small:
                f.write(f'{{"id":{i},"file_name":"{name}"}}')
            else:
                f.write(f'{{"license": 1, "file_name": "{name}", "coco_url": "http://images.cocodataset.org/train2017/{name}", '
                        f'"height": 480, "width": 640, "date_captured": "2013-11-14 11:18:45", '
                        f'"flickr_url": "http://farm9.staticflickr.com/8186/8119368305_4e622c8349_z.jpg", "id": {i}}}')
        f.write('], "annotations": [')
        n = 0
        while f.tell() < total - 20000:
            f.write(", " if n else "")
            image, category = rng.randrange(images), rng.randrange(80)
            if a.small:
                f.write(f'{{"id":{n},"image_id":{image},"category_id":{category},"area":9}}')
            else:
                points = ", ".join(f"{rng.uniform(0, 640):.2f}" for _ in range(2 * rng.randrange(4, 45)))
                f.write(f'{{"segmentation": [[{points}]], "area": {rng.uniform(10, 90000):.4f}, "iscrowd": 0, "image_id": {image}, '
                        f'"bbox": [1.5, 2.5, 90.25, 64.0], "category_id": {category}, "id": {n}}}')
            n += 1
        f.write('], "categories": [')
        f.write(", ".join(f'{{"supercategory": "thing", "id": {i}, "name": "category {i}"}}' for i in range(80)))
        f.write("]}")
    print(f"{images} images, {n} objects, {os.path.getsize(f.name)} bytes")


if __name__ == "__main__":
    main()
