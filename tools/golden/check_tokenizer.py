"""Compares `m2m tokenize` with transformers' CLIPTokenizer on hard lines, with CLIP's own vocabulary:

    python check_tokenizer.py M2M bpe_simple_vocab_16e6.txt.gz [lines]
    python check_tokenizer.py M2M recipes/emoji-clip [lines]                 a tokenizer's folder alone

The vocabulary is in the PyPI package open_clip_torch (src: open_clip/bpe_simple_vocab_16e6.txt.gz, MIT). Three directories are
checked: vocab.json and merges.txt as OpenAI's, the same with SD 2's special_tokens_map.json (pad "!"), and what
transformers saves of the second. Exit status 1 at the first difference, which is printed."""
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile

from transformers import CLIPTokenizer

from tokenizer_lines import hard


def write_vocabulary(gz, out):
    """OpenAI's text file of merges as vocab.json and merges.txt (the ids as its simple_tokenizer.py gives them)."""
    lines = gzip.open(gz, "rt", encoding="utf-8").read().split("\n")[1:49152 - 256 - 2 + 1]
    prints = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    symbols = [chr(b) for b in prints] + [chr(256 + i) for i in range(256 - len(prints))]
    tokens = symbols + [s + "</w>" for s in symbols] + ["".join(l.split()) for l in lines] + ["<|startoftext|>", "<|endoftext|>"]
    os.makedirs(out, exist_ok=True)
    json.dump({t: i for i, t in enumerate(tokens)}, open(f"{out}/vocab.json", "w", encoding="utf-8"), ensure_ascii=False)
    open(f"{out}/merges.txt", "w", encoding="utf-8").write("\n".join(["#version: 0.2"] + lines) + "\n")
    json.dump({"model_max_length": 77, "tokenizer_class": "CLIPTokenizer", "pad_token": "<|endoftext|>"},
              open(f"{out}/tokenizer_config.json", "w"))


def add_sd2(out):
    token = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
    json.dump({"bos_token": {"content": "<|startoftext|>", **token}, "eos_token": {"content": "<|endoftext|>", **token},
               "unk_token": {"content": "<|endoftext|>", **token}, "pad_token": "!"}, open(f"{out}/special_tokens_map.json", "w"))


def compare(program, where, lines):
    path = f"{where}.txt"
    open(path, "w", encoding="utf-8", newline="").write("\n".join(lines) + "\n")
    oracle = CLIPTokenizer.from_pretrained(where)
    for flags, wanted in (([], [oracle(l)["input_ids"] for l in lines]),
                          (["--padded"], oracle(lines, padding="max_length", truncation=True)["input_ids"])):
        out = subprocess.run([program, "tokenize", where, path, *flags], check=True, capture_output=True, text=True).stdout
        found = [json.loads(l) for l in out.splitlines()]
        if len(found) != len(wanted):
            sys.exit(f"{where} {flags}: {len(found)} lines, wanted {len(wanted)}")
        for line, a, b in zip(lines, found, wanted):
            if a != b:
                sys.exit(f"{where} {flags}: {line!r} ({' '.join(f'{ord(c):04x}' for c in line[:40])})\nfound  {a}\nwanted {b}")
    print(f"{where}: {len(lines)} lines, with and without --padded: equal (pad {oracle.pad_token_id})")


def main():
    program, gz = sys.argv[1:3]
    lines = hard(int(sys.argv[3]) if len(sys.argv) > 3 else 2000)
    with tempfile.TemporaryDirectory() as top:
        if os.path.isdir(gz):
            compare(program, shutil.copytree(gz, os.path.join(top, "own")), lines)
            return
        openai, sd2, saved = (os.path.join(top, n) for n in ("openai", "sd2", "saved"))
        write_vocabulary(gz, openai)
        write_vocabulary(gz, sd2)
        add_sd2(sd2)
        CLIPTokenizer.from_pretrained(sd2).save_pretrained(saved)
        print("transformers saves:", ", ".join(sorted(os.listdir(saved))))
        for where in (openai, sd2, saved):
            compare(program, where, lines)


if __name__ == "__main__":
    main()
