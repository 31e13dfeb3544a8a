"""OpenVINO as a peer of peers.py: a U-Net directory converted once from diffusers (kept in DIR/openvino), then a forward
of batch 2 for each line of input, its seconds a line of output.

    python peer_openvino.py DIR --size 64x64 --precision f32|bf16|f16
"""
import argparse
import os
import subprocess
import sys
import time


def convert(directory, path, batch, height, width):
    """In a process of its own, so that PyTorch's copy of the weights is gone afterwards."""
    import openvino as ov
    import torch
    import peer_pytorch
    config, unet, _, _ = peer_pytorch.load(directory, torch.float32, 0)
    unet.eval()

    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.unet = unet

        def forward(self, sample, timestep, states):
            return self.unet(sample, timestep, states, return_dict=False)[0]

    inputs = (torch.randn(batch, config["in_channels"], height, width), torch.tensor([500] * batch),
              torch.randn(batch, 77, config["cross_attention_dim"]))
    with torch.no_grad():
        model = ov.convert_model(Plain(), example_input=inputs, input=[tuple(i.shape) for i in inputs])
    ov.save_model(model, path, compress_to_fp16=False)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("dir")
    p.add_argument("--size", default="64x64")
    p.add_argument("--batch", type=int, default=2)
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--precision", choices=["f32", "bf16", "f16"], default="f32")
    p.add_argument("--convert-only", action="store_true")
    a = p.parse_args()
    width, height = (int(v) for v in a.size.split("x"))
    path = os.path.join(a.dir, "openvino", f"unet-{a.size}-{a.batch}.xml")
    if a.convert_only:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return convert(a.dir, path, a.batch, height, width)
    if not os.path.exists(path):
        subprocess.run([sys.executable, __file__, a.dir, "--size", a.size, "--batch", str(a.batch), "--convert-only"], check=True,
                       stdout=subprocess.DEVNULL)
    import numpy as np
    import openvino as ov
    core = ov.Core()
    model = core.compile_model(path, "CPU", {"INFERENCE_NUM_THREADS": a.threads, "INFERENCE_PRECISION_HINT": a.precision,
                                             "PERFORMANCE_HINT": "LATENCY"})
    request = model.create_infer_request()
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal(tuple(i.shape)).astype(np.float32) if "f32" in str(i.element_type) else
              np.full(tuple(i.shape), 500, np.int64) for i in model.inputs]
    request.infer(inputs)
    print(f"ready OpenVINO {ov.__version__}", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        request.infer(inputs)
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
