"""Writes groups.tsv (name, Unicode group, Unicode subgroup) from Unicode's emoji-test.txt (Debian: unicode-data).

usage: groups.py /usr/share/unicode/emoji/emoji-test.txt > groups.tsv
"""
import re
import sys
import unicodedata

seen = set()
group = sub = ""
for line in open(sys.argv[1], encoding="utf-8"):
    if line.startswith("# group:"):
        group = line.split(":")[1].strip()
    elif line.startswith("# subgroup:"):
        sub = re.sub(r"[^a-z]+", "-", line.split(":")[1].strip())
    m = re.search(r"# \S+ E[\d.]+ (.*)$", line)
    if not m or "skin tone" in m.group(1):
        continue
    n = unicodedata.normalize("NFKD", m.group(1)).encode("ascii", "ignore").decode().lower()
    n = re.sub(r"[’'.“”!(),:]", "", n.replace("&", "and"))
    n = re.sub(r"[^a-z0-9#*]+", "-", n).strip("-")
    if n and n not in seen:
        seen.add(n)
        print(n, group, sub, sep="\t")
