"""Writes coupling.json beside it: what POT and SciPy find for points that tests/golden_coupling.rs makes again.

    python3 -m venv v && v/bin/pip install POT==0.9.7.post1 scipy numpy && v/bin/python tests/golden/coupling.py
"""

import json
from pathlib import Path

import numpy as np
import ot
import scipy
from scipy.optimize import linear_sum_assignment

CASES = [(256, 2), (1024, 2), (256, 8), (1024, 8)]
REG = 0.05


def points(n, d, side):
    """[n, d] numbers in [0, 1): murmur's last steps on a counter, exact in f64."""
    h = (np.arange(n * d, dtype=np.uint64) * 2 + side + 1) * 0x9E3779B1 % 2**32
    for shift, factor in [(16, 0x85EBCA6B), (13, 0xC2B2AE35)]:
        h = (h ^ (h >> shift)) * factor % 2**32
    h ^= h >> 16
    return (h.astype(np.float64) / 2**32).reshape(n, d)


cases = []
for n, d in CASES:
    a, b = points(n, d, 0), points(n, d, 1) ** 2
    squares = ((a[:, None, :] - b[None, :, :]) ** 2).sum(-1)
    mass = np.full(n, 1 / n)
    exact = ot.emd2(mass, mass, squares, numItermax=10_000_000)
    rows, columns = linear_sum_assignment(squares)
    assigned = squares[rows, columns].sum() / n
    assert abs(exact - assigned) < 1e-12, (exact, assigned)
    plan = ot.bregman.sinkhorn_log(mass, mass, squares, REG, numItermax=100_000, stopThr=1e-12)
    error = np.abs(plan.sum(0) - 1 / n).sum()
    cases.append({"n": n, "d": d, "exact": exact, "permutation": columns.tolist(), "reg": REG,
                  "entropic": float((plan * squares).sum()), "marginal_error": float(error)})

document = {"made_by": f"POT {ot.__version__}, SciPy {scipy.__version__}, NumPy {np.__version__}", "cases": cases}
Path(__file__).with_suffix(".json").write_text(json.dumps(document) + "\n")
