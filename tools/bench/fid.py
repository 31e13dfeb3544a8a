#!/usr/bin/env python3
"""Seconds and memory for the FID statistics of a folder: m2m and pytorch-fid, turn by turn, on the same PNGs and random weights.

    pip install pytorch-fid==0.3.0 torchvision
    python tools/bench/fid.py [--m2m build/release/m2m] [--images 1000] [--size 512] [--rounds 3]

Each run is a process of its own, from the PNGs to the .npz. The tenth part of the images goes through m2m first: its memory should not differ.
"""
import argparse
import os
import pathlib
import statistics
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "eval"))
from check_peers import make_images, make_inception  # noqa: E402

PEER = """
import sys, torch
import pytorch_fid.inception
pytorch_fid.inception.load_state_dict_from_url = lambda *_, **__: torch.load(sys.argv[3])
from pytorch_fid import fid_score
fid_score.save_fid_stats([sys.argv[1], sys.argv[2]], 50, "cpu", 2048, num_workers=1)
"""


def timed(command):
    """Seconds and peak GiB of a process."""
    start = time.perf_counter()
    null = os.open(os.devnull, os.O_WRONLY)
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, null, 2)])
    _, status, usage = os.wait4(pid, 0)
    if status:
        sys.exit(f"{' '.join(command)}: status {status}")
    return time.perf_counter() - start, usage.ru_maxrss / 2**20


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--m2m", default=str(HERE.parents[1] / "build/release/m2m"))
    p.add_argument("--images", type=int, default=1000)
    p.add_argument("--size", type=int, default=512)
    p.add_argument("--rounds", type=int, default=3)
    o = p.parse_args()
    with tempfile.TemporaryDirectory() as work:
        for name, n in (("few", o.images // 10), ("all", o.images)):
            make_images(f"{work}/{name}", n, (o.size, o.size), 1)
        make_inception(work)

        def ours(folder):
            return timed([o.m2m, "eval", "fid", f"{work}/{folder}", "--inception", f"{work}/inception", "--save-stats", f"{work}/ours.npz"])

        def theirs():
            pathlib.Path(f"{work}/theirs.npz").unlink(missing_ok=True)
            return timed([sys.executable, "-c", PEER, f"{work}/all", f"{work}/theirs.npz", f"{work}/inception.pth"])

        print(f"m2m, {o.images // 10} images: {ours('few')[1]:.3f} GiB")
        rows = []
        for _ in range(o.rounds):
            rows.append((ours("all"), theirs()))
            print("m2m {:.1f} s {:.3f} GiB, pytorch-fid {:.1f} s {:.3f} GiB".format(*rows[-1][0], *rows[-1][1]), flush=True)
        a, b = (statistics.median(r[k][0] for r in rows) for k in (0, 1))
        print(f"{o.images} images of {o.size}x{o.size}, medians of {o.rounds}: m2m {a:.1f} s, pytorch-fid {b:.1f} s, ratio {b / a:.2f}")


if __name__ == "__main__":
    main()
