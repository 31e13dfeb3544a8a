#!/usr/bin/env python3
"""m2m beside its peers on the same weights, turn by turn: every round times one run of each, so what disturbs the machine disturbs all,
and each begins with another.
Prints medians, versions and ratios.

    python tools/bench/peer_pytorch.py --make-random /tmp/sd21          once: a random U-Net of SD 2.1-base's size
    python tools/bench/peers.py /tmp/sd21 --rounds 5 [--peers m2m,pytorch,pytorch-cl,pytorch-bf16,openvino,openvino-bf16,openvino-f16]
    python tools/bench/peers.py /tmp/sd21 --peers m2m,sdcpp --sdcpp SD-CLI CHECKPOINT      stable-diffusion.cpp: peer_sdcpp.py tells how to get both
    python tools/bench/peers.py models/emoji --what image               an image with --context 4 images before it, 50 guided steps, to the PNG
    python tools/bench/peers.py models/emoji --what train --sets 8      forward, backward, AdamW of sets of 5
    python tools/bench/peers.py DIR --what m2m --context 4              a guided step of an M2M-Self (--make-random DIR --variant self)

--what step (the default) is a guided step of an image: of a peer a forward of its latent twice, with a text and a negative one; of m2m what m2m generate
computes for it (what both have in common once, a text's keys and values once per image). Peer m2m-forward is m2m with a forward of any two rows. PyTorch runs an M2M as the paper writes it, all context images again at each step, and
set attention as one scaled_dot_product_attention. Needs torch and diffusers (and openvino) from PyPI in the Python that runs it, and a built m2m.
"""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
OURS = {"m2m": [], "m2m-exact": ["--exact"], "m2m-fast": ["--fast"], "m2m-int8": ["--int8"], "m2m-forward": ["--component", "unet"]}
KINDS = {
    "pytorch": ["peer_pytorch.py", "--wait"],
    "pytorch-cl": ["peer_pytorch.py", "--wait", "--channels-last"],
    "pytorch-bf16": ["peer_pytorch.py", "--wait", "--channels-last", "--dtype", "bf16"],
    "pytorch-f16": ["peer_pytorch.py", "--wait", "--channels-last", "--dtype", "f16"],
    "openvino": ["peer_openvino.py"],
    "openvino-bf16": ["peer_openvino.py", "--precision", "bf16"],
    "openvino-f16": ["peer_openvino.py", "--precision", "f16"],
    "sdcpp": ["peer_sdcpp.py"],
}


class Resident:
    """A peer that stays loaded: a line in, a step's seconds out, with its peak GiB if another process did the work."""

    def __init__(self, args, script):
        command = [sys.executable, str(HERE / script[0]), args.dir, "--size", args.size, "--threads", str(args.threads)] + script[1:]
        if script == KINDS["sdcpp"]:
            command += ["--sdcpp", *args.sdcpp] if args.sdcpp else []
        elif args.what != "step":
            images = 5 if args.what == "train" else args.context
            command += ["--mode", args.what, "--images", str(images), "--sets", str(args.sets)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("ready "):
            sys.exit(f"{' '.join(command)}: did not start: {line.strip()}")
        self.version, self.peak = line[6:].strip(), None

    def step(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        seconds, *peak = map(float, self.process.stdout.readline().split())
        if peak:   # of a program that it started
            self.peak = peak[0]
        return seconds

    def memory(self):
        if self.peak:
            return self.peak
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1048576


class M2M:
    """m2m bench, started anew for each step (it warms up by itself)."""

    def __init__(self, args, more):
        what = {"step": ["--component", "guided", "--batch", "2"], "m2m": ["--component", "m2m", "--context", str(args.context)],
                "train": ["--component", "train", "--batch", str(args.sets)]}[args.what]
        self.command = [args.program, "bench", args.dir, "--size", args.size, "--runs", "1", "--threads", str(args.threads)] + what + more
        self.version = version_of(args)
        self.peak = 0

    def step(self):
        with tempfile.NamedTemporaryFile(suffix=".json") as out:
            subprocess.run(self.command + ["--json", out.name], check=True, capture_output=True)
            figures = json.load(open(out.name))
        self.peak = figures.get("peak_resident_bytes", 0) / 2**30
        return figures["seconds"]

    def memory(self):
        return self.peak


class Generate:
    """m2m generate as people run it, from start to PNG: the seconds of each of its 8 images."""
    IMAGES = 8

    def __init__(self, args, more):
        self.folder = tempfile.TemporaryDirectory()
        given = sorted((HERE.parents[1] / "share/demo").rglob("*.png"))[:args.context]
        if len(given) < args.context:
            sys.exit(f"share/demo has {len(given)} pictures, --context wants {args.context}")
        self.command = [args.program, "generate", args.dir, "-n", str(self.IMAGES), "--steps", "50", "--guidance", "7.5", "--window", str(args.context),
                        "--threads", str(args.threads), "-o", self.folder.name] + [w for g in given for w in ("-i", str(g))] + more
        self.version, self.peak = version_of(args), 0

    def step(self):
        start = time.perf_counter()
        subprocess.run(self.command, check=True, capture_output=True)
        return (time.perf_counter() - start) / self.IMAGES

    def memory(self):
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20


def version_of(args):
    return subprocess.run([args.program, "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[1]


def latent_of(folder):
    folder = pathlib.Path(folder)
    config = json.load(open(folder / "unet/config.json" if (folder / "unet").is_dir() else folder / "config.json"))
    return f"{config['sample_size']}x{config['sample_size']}"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("dir")
    p.add_argument("--peers", help="left out: m2m,pytorch,pytorch-cl, and openvino for step")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--what", choices=["step", "m2m", "image", "train"], default="step")
    p.add_argument("--context", type=int, default=4)
    p.add_argument("--sets", type=int, default=8)
    p.add_argument("--size", help="latent; left out: the model's own")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--sdcpp", nargs=2, metavar=("PROGRAM", "CHECKPOINT"), help="left out: $SDCPP_PROGRAM and $SDCPP_MODEL")
    p.add_argument("--program", default=str(HERE.parents[1] / "build/release/m2m"))
    args = p.parse_args()
    args.size = args.size or latent_of(args.dir)
    peers, ours = {}, Generate if args.what == "image" else M2M
    names = args.peers or "m2m,pytorch,pytorch-cl" + (",openvino" if args.what == "step" else "")
    for name in names.split(","):
        if name not in KINDS and name not in OURS:
            sys.exit(f"{name}: no such peer; there are {', '.join([*OURS, *KINDS])}")
        if name in ("sdcpp", "m2m-forward") and args.what != "step":
            sys.exit(f"{name}: times --what step alone, not {args.what}")
        peers[name] = ours(args, OURS[name]) if name in OURS else Resident(args, KINDS[name])
    seconds = {name: [] for name in peers}
    order = list(peers)
    for r in range(args.rounds):
        for name in order[r % len(order):] + order[:r % len(order)]:   # who ran just before counts, too
            seconds[name].append(peers[name].step())
            print(f"{name} {seconds[name][-1]:.3f} s", file=sys.stderr, flush=True)
    cpu = next(line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    print(f"{cpu}, {args.threads} threads, {args.what}, latent {args.size}, median of {args.rounds} rounds\n")
    print("| peer | s | min..max | over m2m | peak GiB | version |\n|---|---|---|---|---|---|")
    first = statistics.median(next(iter(seconds.values())))
    for name, peer in peers.items():
        s = seconds[name]
        print(f"| {name} | {statistics.median(s):.3g} | {min(s):.3g}..{max(s):.3g} | {statistics.median(s) / first:.2f} | {peer.memory():.2f} | {peer.version} |")


if __name__ == "__main__":
    main()
