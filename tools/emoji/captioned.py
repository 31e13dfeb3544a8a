"""Writes captioned shards from a pool of drawings (make.py): one set for each drawing, with a caption.

    python tools/emoji/captioned.py --pool /work/pool --out captions --size 64 --grounds 4

OUT/train, OUT/val_subject, OUT/val_style: WebDataset shards. A set is KEY.00.png … (the drawing on white, then on other plain
grounds), KEY.txt "red apple, noto style", KEY.json with arrays styles and subjects. A function of pool and options alone.
"""
import argparse
import colorsys
import io
import json
import os
import random
import tarfile

from PIL import Image


def caption(entry):
    return f"{entry.get('caption') or entry['name'].replace('-', ' ')}, {entry['style'].replace('-', ' ')} style"


def grounds(key, n):
    """White, then light and dark plain colours."""
    draw = random.Random("m2m captioned " + key)
    yield 255, 255, 255
    for _ in range(n - 1):
        rgb = colorsys.hsv_to_rgb(draw.random(), draw.uniform(0.05, 0.5), draw.choice((draw.uniform(0.75, 1), draw.uniform(0.15, 0.4))))
        yield tuple(round(255 * c) for c in rgb)


def png(drawing, size, ground):
    small = drawing.convert("RGBa").resize((size, size), Image.LANCZOS).convert("RGBA")
    image = Image.new("RGBA", (size, size), ground + (255,))
    image.alpha_composite(small)
    out = io.BytesIO()
    image.convert("RGB").save(out, "PNG")
    return out.getvalue()


def add(tar, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def write(entries, drawings, folder, args):
    os.makedirs(folder)
    for at in range(0, len(entries), args.shard):
        with tarfile.open(os.path.join(folder, f"captions-{at // args.shard:05d}.tar"), "w") as tar:
            for i, e in enumerate(entries[at:at + args.shard], at):
                for k, ground in enumerate(grounds(e["key"], args.grounds)):
                    add(tar, f"{i:08d}.{k:02d}.png", png(drawings(e), args.size, ground))
                about = {"drawing": e["key"], "group": e.get("group"), "styles": [e["style"]] * args.grounds,
                         "subjects": [e["subject"]] * args.grounds}
                add(tar, f"{i:08d}.json", json.dumps(about).encode())
                add(tar, f"{i:08d}.txt", caption(e).encode())


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--pool", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--size", type=int, default=64)
    p.add_argument("--grounds", type=int, default=4, help="images of a set; the first is on white")
    p.add_argument("--shard", type=int, default=1000)
    args = p.parse_args()
    with open(os.path.join(args.pool, "index.jsonl"), encoding="utf-8") as f:
        index = [json.loads(line) for line in f]
    tars = {name: tarfile.open(os.path.join(args.pool, name)) for name in {e["tar"] for e in index}}

    def drawings(e):
        return Image.open(io.BytesIO(tars[e["tar"]].extractfile(e["file"]).read()))

    for split in ("train", "val_subject", "val_style"):
        entries = sorted((e for e in index if e["split"] == split), key=lambda e: e["key"])
        write(entries, drawings, os.path.join(args.out, split), args)
        print(f"{split}: {len(entries)} captions, {len({caption(e) for e in entries})} of them different")


if __name__ == "__main__":
    main()
