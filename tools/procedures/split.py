#!/usr/bin/env python3
"""Step-by-step drawings in VGSI's layout -> OUT/train and OUT/val with the articles' records, for `m2m data import vgsi`.

usage: split.py --in DIR --out DIR

DIR holds WikihowText_data.json and sources.json. Held out are the subjects that tools/emoji/make.py holds out of the emoji, so that the base model
has not seen them either. The pictures stay in DIR: `m2m data import vgsi OUT/train --images DIR -o sets --size 64`.
"""
import argparse
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "emoji"))
from make import held  # noqa: E402


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--in", dest="source", required=True)
    p.add_argument("--out", required=True)
    a = p.parse_args()
    sources = json.load(open(os.path.join(a.source, "sources.json"), encoding="utf-8"))
    parts = {"train": [], "val": []}
    for line in open(os.path.join(a.source, "WikihowText_data.json"), encoding="utf-8"):
        parts["val" if held(sources[json.loads(line)["file_id"]]["subject"]) else "train"].append(line)
    for part, lines in parts.items():
        os.makedirs(os.path.join(a.out, part), exist_ok=True)
        with open(os.path.join(a.out, part, "WikihowText_data.json"), "w", encoding="utf-8") as f:
            f.writelines(lines)
        print(f"{part}: {len(lines)} articles")


main()
