"""Writes log_density.json, beside this file: log-densities in five dimensions by PyTorch in float64, for tests/golden_density.rs.

    pip install torch && python tests/golden/log_density.py

The classic Runge-Kutta method with fixed steps carries the rows and the integral of the divergence, which is the trace of the Jacobian
by automatic differentiation, from t = 1 back to 0. Twice the steps change no log-density by more than `error`, which is written too.
The network and its numbers are those of pytorch.py: multiples of 1/64, exact in f32.
"""

import json
import platform
import random
from pathlib import Path

import torch

from pytorch import Velocity, drawn, flat, written

DIM, ROWS, STEPS = 5, 12, 400
CASES = [("silu", 0), ("tanh", 3)]


def log_density(u, x_1, steps):
    """log p_1 of each row, and where it comes from."""
    h = -1.0 / steps
    rate = lambda t, x: (u(torch.full((ROWS,), t), x), u.divergence(torch.full((ROWS,), t), x))
    x, integral = x_1, torch.zeros(ROWS)
    for step in range(steps):
        t = 1.0 + step * h
        k_1, d_1 = rate(t, x)
        k_2, d_2 = rate(t + h / 2, x + h / 2 * k_1)
        k_3, d_3 = rate(t + h / 2, x + h / 2 * k_2)
        k_4, d_4 = rate(1.0 + (step + 1) * h, x + h * k_3)
        x = x + h / 6 * (k_1 + 2 * k_2 + 2 * k_3 + k_4)
        integral = integral + h / 6 * (d_1 + 2 * d_2 + 2 * d_3 + d_4)
    return torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(-1) + integral, x


def case(seed, activation, frequencies):
    rng = random.Random(seed)
    u = Velocity(DIM, activation, frequencies)
    u.draw_parameters(rng)
    x_1 = drawn(lambda: rng.gauss(0.0, 1.0), ROWS, DIM)
    with torch.no_grad():
        (once, x_0), (twice, _) = log_density(u, x_1, STEPS), log_density(u, x_1, 2 * STEPS)
    return {
        "activation": activation,
        "time_embedding": f"fourier:{frequencies}" if frequencies else "raw",
        "parameters": u.flat(),
        "x_1": flat(x_1),
        "x_0": flat(x_0),
        "log_density": flat(once),
        "error": (once - twice).abs().max().item(),
    }


def main():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    golden = {
        "made_by": f"PyTorch {torch.__version__} in float64 on a CPU, Python {platform.python_version()}",
        "dim": DIM,
        "hidden": [7, 5],
        "cases": [case(seed, *words) for seed, words in enumerate(CASES)],
    }
    Path(__file__).with_suffix(".json").write_text(written(golden) + "\n")


if __name__ == "__main__":
    main()
