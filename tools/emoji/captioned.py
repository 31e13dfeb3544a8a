"""Writes captioned shards from a pool of drawings (make.py): one set for each drawing, with a caption.

    python tools/emoji/captioned.py --pool /work/pool --out captions --size 64 --grounds 4

OUT/train, OUT/val_subject, OUT/val_style: WebDataset shards. A set is KEY.00.png … (the drawing on white, then on other plain
grounds), KEY.txt "red apple, noto style", KEY.json with arrays styles and subjects. With --reworded 0.3 that share of the sets
says it in other words. OUT/train.tsv, OUT/val_subject.tsv: captions for `m2m data mis`, NAME<TAB>caption, of all names of that
split in each of the training styles, drawn so or not. A function of pool and options alone: neither words nor grounds
depend on what else is in the pool.
"""
import argparse
import colorsys
import io
import json
import os
import random
import tarfile

from PIL import Image


WORDINGS = ("a {style} style drawing of {name}", "{style} emoji: {name}", "{name}, drawn in {style} style", "{name} by {style}")


def name_of(entry):
    return entry.get("caption") or entry["name"].replace("-", " ")


def plain_caption(name, style):
    return f"{name}, {style.replace('-', ' ')} style"


def caption(entry, reworded=0.0):
    draw = random.Random("m2m wording " + entry["key"])
    if draw.random() >= reworded:
        return plain_caption(name_of(entry), entry["style"])
    return draw.choice(WORDINGS).format(name=name_of(entry), style=entry["style"].replace("-", " "))


def write_tsv(index, split, path):
    """Held-out styles never, the names of one split only: names of one subject are all in the same one. In an order by
    chance, so that the first few are a fair choice."""
    styles = sorted({e["style"] for e in index if e["split"] != "val_style"})
    names = sorted({name_of(e) for e in index if e["split"] == split})
    lines = [f"{name.replace(' ', '-')}/{style}\t{plain_caption(name, style)}\n" for name in names for style in styles]
    random.Random("m2m captions " + split).shuffle(lines)
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(lines)
    return len(lines)


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
                add(tar, f"{i:08d}.txt", caption(e, args.reworded).encode())


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--pool", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--size", type=int, default=64)
    p.add_argument("--grounds", type=int, default=4, help="images of a set; the first is on white")
    p.add_argument("--reworded", type=float, default=0, help="share of sets with another wording of the caption")
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
        print(f"{split}: {len(entries)} captions, {len({caption(e, args.reworded) for e in entries})} of them different")
    for split in ("train", "val_subject"):
        path = os.path.join(args.out, split + ".tsv")
        print(f"{path}: {write_tsv(index, split, path)} captions")


if __name__ == "__main__":
    main()
