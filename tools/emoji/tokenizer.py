"""Trains a small vocabulary in the file format of CLIP's tokenizer on captions.

    python tools/emoji/tokenizer.py captions -o recipes/emoji-clip --size 2048 --length 32

SOURCES: folders of shards or shards (their .txt members), folders with a pool's index.jsonl (its captions), text files (a
caption a line). Needs the package tokenizers. As CLIP has it: lower case, words end in </w>, no token for unknown ones (every
byte has one), <|startoftext|> and <|endoftext|> are the last two ids, and texts are filled up with <|endoftext|>.
"""
import argparse
import collections
import glob
import json
import os
import tarfile

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

START, END = "<|startoftext|>", "<|endoftext|>"
WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def captions(source):
    if os.path.isdir(source):
        index = os.path.join(source, "index.jsonl")
        if os.path.exists(index):
            with open(index, encoding="utf-8") as f:
                yield from (json.loads(line).get("caption", "") for line in f)
            return
        for path in sorted(glob.glob(os.path.join(source, "*.tar"))):
            yield from captions(path)
    elif source.endswith(".tar"):
        with tarfile.open(source) as tar:
            for member in tar:
                if member.name.endswith(".txt"):
                    yield tar.extractfile(member).read().decode("utf-8")
    else:
        with open(source, encoding="utf-8") as f:
            yield from (line.rstrip("\n") for line in f)


def bytes_to_unicode():
    """GPT-2's printable stand-ins for the 256 bytes, in its order."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("\u00a1"), ord("\u00ac") + 1), *range(ord("\u00ae"), ord("\u00ff") + 1)]
    rest = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(rest))]


def train(texts, size):
    """The merges, in order, of a byte pair encoding with `size` tokens in all."""
    t = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(WORDS), "removed", invert=True),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    # The trainer knows endings only of letters that it saw; the file has all of them, so it may learn as many more merges.
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, end_of_word_suffix="</w>", min_frequency=2,
                                  show_progress=False)
    t.train_from_iterator(texts, trainer)
    merges = json.loads(t.to_str())["model"]["merges"]
    return [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in merges][:size - 2 * len(alphabet) - 2]


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("sources", nargs="+")
    p.add_argument("-o", "--out", required=True)
    p.add_argument("--size", type=int, default=2048, help="most tokens; 514 are bytes and the two special ones")
    p.add_argument("--length", type=int, default=32, help="model_max_length: the text encoder's positions")
    p.add_argument("--pad", default=END, help="the pad token")
    args = p.parse_args()
    texts = [text for source in args.sources for text in captions(source) if text]
    merges = train(texts, args.size)
    letters = bytes_to_unicode()
    tokens = letters + [c + "</w>" for c in letters] + ["".join(m) for m in merges] + [START, END]
    assert len(set(tokens)) == len(tokens)
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": args.pad}
    os.makedirs(args.out, exist_ok=True)
    write(os.path.join(args.out, "vocab.json"), json.dumps({t: i for i, t in enumerate(tokens)}, ensure_ascii=False) + "\n")
    write(os.path.join(args.out, "merges.txt"), "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    write(os.path.join(args.out, "special_tokens_map.json"), json.dumps(special, indent=2) + "\n")
    write(os.path.join(args.out, "tokenizer_config.json"), json.dumps(
        {"add_prefix_space": False, "do_lower_case": True, "errors": "replace", "model_max_length": args.length,
         "tokenizer_class": "CLIPTokenizer", **special}, indent=2) + "\n")
    words = collections.Counter(len(text.split()) for text in texts)
    print(f"{len(texts)} captions of up to {max(words)} words; {len(tokens)} tokens, {len(merges)} merges: {args.out}")


if __name__ == "__main__":
    main()
