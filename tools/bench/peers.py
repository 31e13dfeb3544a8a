#!/usr/bin/env python3
"""One guided step (a U-Net forward of batch 2) of m2m beside its peers, on the same weights, turn by turn: every round times one
step of each, so what disturbs the machine disturbs all. Prints medians, versions and ratios.

    python tools/bench/peer_pytorch.py --make-random /tmp/sd21          once: a random U-Net of SD 2.1-base's size
    python tools/bench/peers.py /tmp/sd21 --rounds 5 [--peers m2m,pytorch,pytorch-cl,pytorch-bf16,openvino,openvino-bf16]

Needs torch and diffusers (and openvino) from PyPI in the Python that runs it, and a built m2m.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
KINDS = {
    "m2m": None,
    "m2m-exact": None,
    "pytorch": ["peer_pytorch.py", "--wait"],
    "pytorch-cl": ["peer_pytorch.py", "--wait", "--channels-last"],
    "pytorch-bf16": ["peer_pytorch.py", "--wait", "--channels-last", "--dtype", "bf16"],
    "openvino": ["peer_openvino.py"],
    "openvino-bf16": ["peer_openvino.py", "--precision", "bf16"],
}


class Resident:
    """A peer that stays loaded: a line in, a step's seconds out."""

    def __init__(self, args, script):
        command = [sys.executable, str(HERE / script[0]), args.dir, "--size", args.size, "--threads", str(args.threads)] + script[1:]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("ready "):
            sys.exit(f"{' '.join(command)}: did not start: {line.strip()}")
        self.version = line[6:].strip()

    def step(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def memory(self):
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1048576


class M2M:
    """m2m bench, started anew for each step (it warms up by itself)."""

    def __init__(self, args, more):
        self.command = [args.program, "bench", args.dir, "--component", "unet", "--size", args.size, "--batch", "2", "--runs", "1", "--threads",
                        str(args.threads)] + more
        self.version = subprocess.run([args.program, "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[1]
        self.peak = 0

    def step(self):
        with tempfile.NamedTemporaryFile(suffix=".json") as out:
            subprocess.run(self.command + ["--json", out.name], check=True, capture_output=True)
            figures = json.load(open(out.name))
        self.peak = figures.get("peak_resident_bytes", 0) / 2**30
        return figures["seconds"]

    def memory(self):
        return self.peak


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("dir")
    p.add_argument("--peers", default="m2m,pytorch,pytorch-cl,openvino")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--size", default="64x64")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--program", default=str(HERE.parents[1] / "build/release/m2m"))
    args = p.parse_args()
    peers = {}
    for name in args.peers.split(","):
        if name not in KINDS:
            sys.exit(f"{name}: no such peer; there are {', '.join(KINDS)}")
        peers[name] = Resident(args, KINDS[name]) if KINDS[name] else M2M(args, ["--exact"] if name == "m2m-exact" else [])
    seconds = {name: [] for name in peers}
    for _ in range(args.rounds):
        for name, peer in peers.items():
            seconds[name].append(peer.step())
            print(f"{name} {seconds[name][-1]:.3f} s", file=sys.stderr, flush=True)
    cpu = next(line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    print(f"{cpu}, {args.threads} threads, latent {args.size}, batch 2, median of {args.rounds} rounds\n")
    print("| peer | s a step | min..max | over m2m | peak GiB | version |\n|---|---|---|---|---|---|")
    first = statistics.median(next(iter(seconds.values())))
    for name, peer in peers.items():
        s = seconds[name]
        print(f"| {name} | {statistics.median(s):.2f} | {min(s):.2f}..{max(s):.2f} | {statistics.median(s) / first:.2f} | {peer.memory():.2f} | {peer.version} |")


if __name__ == "__main__":
    main()
