"""Writes tests/golden/metrics: features and logits, and what scipy, pytorch-fid and torch-fidelity make of them.

    pip install scipy==1.17.1 pytorch-fid==0.3.0 torch-fidelity==0.4.0      (and torchvision, which pytorch-fid imports)
    python make_metrics_golden.py

fid: pytorch-fid's formula with scipy.linalg.sqrtm; where its covariances have no full rank, sqrtm is given twice the digits'
room by being applied to S1^(1/2) S2 S1^(1/2) instead, by eigh. KID: torch-fidelity's mmd2 on all rows; its standard error by
leaving out each row, one after another. prdc: by the definitions, row by row.
"""
import argparse
import json
import os

import numpy as np
import torch
from safetensors.numpy import save_file
from scipy import linalg
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import mmd2

from make_golden import OUT, make_manifest

HERE = os.path.join(OUT, "metrics")


def features(rng, n, d, shift, offset=0.0):
    mix = np.eye(d) + 0.5 * rng.standard_normal((d, d)) / np.sqrt(d)
    return (np.abs(rng.standard_normal((n, d)) @ mix) * 0.4 + shift + offset).astype(np.float32)


def statistics(x):
    x = x.astype(np.float64)
    return x.mean(axis=0), np.cov(x, rowvar=False)


def symmetric_root(s):
    w, v = np.linalg.eigh(s)
    return (v * np.sqrt(np.clip(w, 0, None))) @ v.T


def fid(a, b):
    (m1, s1), (m2, s2) = statistics(a), statistics(b)
    d = len(m1)
    if min(len(a), len(b)) > d:
        root = np.trace(linalg.sqrtm(s1 @ s2)).real
    else:
        r = symmetric_root(s1)
        w = np.linalg.eigvalsh(r @ s2 @ r)
        root = np.sqrt(w[w > w.max() * d * 2.0 ** -52]).sum()
        loose = np.trace(linalg.sqrtm(s1 @ s2)).real
        assert abs(root - loose) < 1e-4 * abs(root), (root, loose)
    return float(((m1 - m2) ** 2).sum() + np.trace(s1) + np.trace(s2) - 2 * root)


def kid(a, b):
    k = lambda x, y: (x @ y.T / x.shape[1] + 1) ** 3
    x, y = a.astype(np.float64), b.astype(np.float64)
    if len(x) == len(y):
        return float(mmd2(k(x, x), k(x, y), k(y, y)))
    kx, ky, m, n = k(x, x), k(y, y), len(x), len(y)
    return float((kx.sum() - np.trace(kx)) / (m * (m - 1)) + (ky.sum() - np.trace(ky)) / (n * (n - 1)) - 2 * k(x, y).mean())


def kid_error(a, b):
    left = lambda values: (len(values) - 1) / len(values) * ((values - values.mean()) ** 2).sum()
    return float(np.sqrt(left(np.array([kid(np.delete(a, i, 0), b) for i in range(len(a))])) +
                         left(np.array([kid(a, np.delete(b, i, 0)) for i in range(len(b))]))))


def prdc(real, fake, k):
    far = lambda x, y: np.linalg.norm(x[:, None].astype(np.float64) - y[None].astype(np.float64), axis=2)
    radius = lambda x: np.sort(far(x, x), axis=1)[:, k]
    d, rr, rf = far(real, fake), radius(real), radius(fake)
    return {"precision": float((d < rr[:, None]).any(0).mean()), "recall": float((d < rf[None]).any(1).mean()),
            "density": float((d < rr[:, None]).sum(0).mean() / k), "coverage": float((d.min(1) < rr).mean())}


def main():
    os.makedirs(HERE, exist_ok=True)
    rng = np.random.default_rng(8)
    pairs = {
        "full_rank": (features(rng, 90, 20, 0.1), features(rng, 70, 20, 0.2)),
        "fewer_rows": (features(rng, 30, 64, 0.1), features(rng, 41, 64, 0.12)),
        "one_deficient": (features(rng, 12, 32, 0.1), features(rng, 150, 32, 0.3)),
        "far_from_zero": (features(rng, 60, 12, 0.1, 4000.0), features(rng, 60, 12, 0.1, 4001.0)),
        "two_rows": (features(rng, 2, 5, 0.1), features(rng, 3, 5, 0.4)),
    }
    same = features(rng, 25, 40, 0.1)
    pairs["equal"] = (same, same.copy())
    cases = {}
    for name, (a, b) in pairs.items():
        save_file({"features_a": a, "features_b": b}, os.path.join(HERE, name + ".safetensors"))
        cases[name] = {"fid": fid(a, b), "kid": kid(a, b)}
        if len(a) > 8:
            cases[name] |= {"kid_error": kid_error(a, b), "prdc": prdc(a, b, 5)}
    logits = (rng.standard_normal((47, 30)) * 4).astype(np.float32)
    logits[3] *= 60                                    # probabilities that underflow to 0
    logits[40:44] = 0
    save_file({"logits": logits}, os.path.join(HERE, "logits.safetensors"))
    cases["logits"] = isc_features_to_metric(torch.from_numpy(logits), 10, shuffle=False)
    a = pairs["full_rank"][0]
    mu, sigma = statistics(a)
    np.savez(os.path.join(HERE, "float64.npz"), mu=mu, sigma=sigma)
    np.savez_compressed(os.path.join(HERE, "float32.npz"), mu=mu.astype(np.float32), sigma=sigma.astype(np.float32))
    with open(os.path.join(HERE, "cases.json"), "w") as f:
        json.dump(cases, f, indent=1)
        f.write("\n")
    make_manifest(argparse.Namespace(only="metrics"))
    print(json.dumps(cases, indent=1))


if __name__ == "__main__":
    main()
