"""Lines that are hard for a tokenizer, always the same ones: tokenizer_lines.hard(count, seed) -> list of str without
newlines. Used by make_tokenizer_golden.py and check_tokenizer.py."""
import random

FIXED = [
    "", " ", "   ", "\t", "a photo of a cat", "A Photo Of A CAT!!!", "hello!! world!", "it's they'RE we'Ve I'm I'll he'd don't",
    "&amp; &lt;b&gt; &#39;x&#39; &quot; &nbsp; &eacute; &amp;amp;", "<|startoftext|>", "<|endoftext|> a <|endoftext|>",
    "<|StartOfText|> x", "a<|startoftext|>b", "!<|endoftext|>!", "!!!<|startoftext|>", "caf\u00e9 cafe\u0301 CAFE\u0301",
    "\u0130stanbul I\u0307", "\u01c5 \u01c4 \u01c6", "\u1e9e \u00df \u03a3\u03c3\u03c2", "\u212b \u00c5 A\u030a",
    "\uac00 \u1100\u1161 \u1100\u1161\u11a8", "x\u00a0y\u2003z\u3000w\u202fv\u205fu\u1680t\u2028s\u2029r\u0085q",
    "a\u200bb\u200cc\u200dd\ufeffe", "\u0000\u0001\u0002 \u001b[31m \u007f \u009f", "\rcarriage\rreturn\r", "\u0308alone",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \u2764\ufe0f \U0001f44d\U0001f3fd", "1234567890 3.14 1,000 \u00bd \u2167 \u0663 \u4e09 \u2460",
    "\u4e2d\u6587\u5b57\u7b26 \u65e5\u672c\u8a9e \ud55c\uad6d\uc5b4 \u0420\u0443\u0441\u0441\u043a\u0438\u0439 \u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u05e2\u05d1\u05e8\u05d9\u05ea \u0939\u093f\u0928\u094d\u0926\u0940",
    "\u2018quoted\u2019 \u201cdouble\u201d \u2014 dash\u2026", "''''s 's's 'S 'T 're're", "\uff01\uff1f \uff21\uff22\uff23", "\u0344 \u0958 \ufb1d \u2126 \U0001d15e",
    "word " * 100, "a" * 500, "!" * 200, "\U0001f600" * 60, "x" * 76, "\u0301" * 40, "e\u0316\u0301 e\u0301\u0316", "http://example.com/a?b=c&d=e#f",
    "C++ #hashtag @user $5.00 100% a_b-c/d\\e|f^g~h`i", "\ud7a3\u11a8", "\U00010400\U00010428 \U0001e900", "\U000e0001\U0010ffff\ue000",
]

RANGES = [(0x20, 0x7e), (0x20, 0x7e), (0x61, 0x7a), (0x61, 0x7a), (0x01, 0x09), (0x0b, 0x1f), (0x7f, 0xff), (0x100, 0x24f), (0x300, 0x36f), (0x370, 0x3ff),
          (0x400, 0x4ff), (0x5d0, 0x5ea), (0x621, 0x64a), (0x900, 0x97f), (0xe01, 0xe3a), (0x1100, 0x11ff), (0x1e00, 0x1fff),
          (0x2000, 0x206f), (0x2070, 0x218b), (0x2190, 0x2bff), (0x3040, 0x30ff), (0x4e00, 0x9fff), (0xac00, 0xd7a3),
          (0xf900, 0xfaff), (0xff00, 0xffef), (0x1d400, 0x1d7ff), (0x1f300, 0x1faff), (0x10000, 0x10ffff)]
WORDS = ["a", "photo", "of", "the", "dog's", "CAT", "&amp;", "&#128512;", "Painting", "oil", "!", "!!", "don't", "8k", "trending", "<PERSON>",
         "<|endoftext|>", "\U0001f436", "na\u00efve", "\u00c9COLE", "2021", "\u00a9", "...", "--", "\t", "  ", "(((", ")))", "masterpiece", "\u2019s"]


def hard(count, seed=7):
    r = random.Random(seed)
    lines = list(FIXED)
    while len(lines) < count:
        if r.random() < 0.5:
            line = r.choice(["", " "]).join(r.choice(WORDS) for _ in range(r.choice([1, 3, 10, 30, 120])))
        else:
            some = r.sample(RANGES, r.randint(1, 4))
            line = "".join(chr(r.randint(*r.choice(some))) for _ in range(r.choice([1, 2, 5, 20, 100])))
        line = "".join(c for c in line if c != "\n" and not 0xD800 <= ord(c) < 0xE000)
        lines.append(line)
    return lines[:count]
