#!/usr/bin/env python3
"""A picture of what a model makes of held-out sets: a set a row, left the given images, right the generated ones.

    tools/emoji/held_out.py data/val_subject/sets-00000.tar -o docs/images/held-out.png [--model models/emoji]

Takes every STEP-th set of the shard, so that the rows show different families. Needs Pillow and a built m2m.
"""
import argparse
import io
import pathlib
import subprocess
import tarfile
import tempfile

from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]


def read_sets(path):
    """{key: [PNG bytes in order]} of a WebDataset shard; a key ends at the first dot of a member's name."""
    sets = {}
    with tarfile.open(path) as tar:
        for member in sorted((m for m in tar if m.name.endswith(".png")), key=lambda m: m.name):
            sets.setdefault(member.name.split(".")[0], []).append(tar.extractfile(member).read())
    return [images for _, images in sorted(sets.items())]


def generate(args, given, folder, seed):
    command = [args.program, "generate", args.model, "-n", str(args.made), "--seed", str(seed), "-o", str(folder / "out"),
               "--guidance", str(args.guidance)]
    for i, png in enumerate(given):
        (folder / f"given{i}.png").write_bytes(png)
        command += ["-i", str(folder / f"given{i}.png")]
    subprocess.run(command, check=True, capture_output=True)
    made = [p for p in sorted((folder / "out").glob("*.png")) if "contact" not in p.name]
    return [Image.open(p).convert("RGB") for p in made[:args.made]]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("shard")
    p.add_argument("-o", "--out", required=True)
    p.add_argument("--model", default=str(ROOT / "models/emoji"))
    p.add_argument("--program", default=str(ROOT / "build/release/m2m"))
    p.add_argument("--sets", type=int, default=12)
    p.add_argument("--step", type=int, default=1)
    p.add_argument("--given", type=int, default=4)
    p.add_argument("--made", type=int, default=4)
    p.add_argument("--guidance", type=float, default=3)
    p.add_argument("--side", type=int, default=64)
    args = p.parse_args()
    gap, side = 8, args.side
    sheet = Image.new("RGB", ((args.given + args.made) * side + 3 * gap, args.sets * (side + gap) + gap), "white")
    for row, images in enumerate(read_sets(args.shard)[::args.step][:args.sets]):
        y = gap + row * (side + gap)
        given = images[:args.given]
        with tempfile.TemporaryDirectory() as folder:
            made = generate(args, given, pathlib.Path(folder), row)
        for i, png in enumerate(given):
            sheet.paste(Image.open(io.BytesIO(png)).convert("RGB").resize((side, side), Image.LANCZOS), (gap + i * side, y))
        for i, image in enumerate(made):
            sheet.paste(image, (2 * gap + (args.given + i) * side, y))
    sheet.save(args.out)


if __name__ == "__main__":
    main()
