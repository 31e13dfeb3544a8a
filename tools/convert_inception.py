"""Converts the Inception-v3 of FID from pytorch-fid's (or torch-fidelity's) file to safetensors, under the same names.

    python tools/convert_inception.py pt_inception-2015-12-05-6726825d.pth DIR

The file is https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth (91 MB); it
begins its SHA-256 with the eight digits in its name. DIR/model.safetensors is then what `--inception DIR` of `m2m eval` and
`m2m forward DIR --component inception` read. Needs torch and safetensors.
"""
import hashlib
import os
import sys

import torch
from safetensors.torch import save_file


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, folder = sys.argv[1:]
    with open(source, "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    if not digest.startswith("6726825d"):
        print(f"note: {source} has SHA-256 {digest}, the known file begins with 6726825d")
    state = torch.load(source, map_location="cpu", weights_only=True)
    kept = {k: v.contiguous() for k, v in state.items() if not k.endswith("num_batches_tracked")}
    for name, shape in {"Conv2d_1a_3x3.conv.weight": (32, 3, 3, 3), "Mixed_7c.branch_pool.conv.weight": (192, 2048, 1, 1),
                        "fc.weight": (1008, 2048)}.items():
        found = tuple(kept[name].shape) if name in kept else None
        if found != shape:
            sys.exit(f"{source}: {name} is {found}, wanted {shape}: not the Inception-v3 of FID")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "model.safetensors")
    save_file(kept, path, metadata={"format": "pt", "source": os.path.basename(source), "source_sha256": digest})
    print(f"{path}: {len(kept)} tensors")


if __name__ == "__main__":
    main()
