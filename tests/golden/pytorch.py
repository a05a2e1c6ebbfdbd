"""Writes pytorch.json, beside this file: what PyTorch computes on a CPU in float64, for tests/golden.rs.

    pip install torch && python tests/golden/pytorch.py

The same PyTorch on the same CPU writes the same bytes again; others may change last digits. All lists are flat,
matrices row after row. Whatever is put in (parameters, points, times) is a multiple of 1/64, so that it is exact in
f32 too and has few digits.
"""

import json
import math
import platform
import random
from pathlib import Path

import torch
from torch import nn

HIDDEN = [7, 5]
ROWS = 6
ACTIVATIONS = {
    "silu": nn.SiLU,
    "gelu": nn.GELU,  # the exact one, by erf
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "selu": nn.SELU,
    "softplus": nn.Softplus,
}


def short(number):
    return round(64 * number) / 64


def drawn(draw, rows, cols):
    return torch.tensor([[short(draw()) for _ in range(cols)] for _ in range(rows)])


def flat(tensor):
    return tensor.detach().flatten().tolist()


class Velocity(nn.Module):
    """u(t, x): an MLP of x and then the features of t, its last layer linear."""

    def __init__(self, dim, activation, frequencies):
        super().__init__()
        self.frequencies = frequencies
        widths = [dim + (2 * frequencies or 1), *HIDDEN]
        layers = []
        for inputs, outputs in zip(widths, HIDDEN):
            layers += [nn.Linear(inputs, outputs), ACTIVATIONS[activation]()]
        self.layers = nn.Sequential(*layers, nn.Linear(HIDDEN[-1], dim))

    def features(self, t):
        t = t.unsqueeze(-1)
        if self.frequencies == 0:
            return t
        angles = [math.pi * k * t for k in range(1, self.frequencies + 1)]
        return torch.cat([torch.sin(a) for a in angles] + [torch.cos(a) for a in angles], -1)

    def forward(self, t, x):
        return self.layers(torch.cat([x, self.features(t)], -1))

    def linears(self):
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    def draw_parameters(self, rng):
        with torch.no_grad():
            for layer in self.linears():
                bound = math.sqrt(3 / layer.in_features)
                for parameter in (layer.weight, layer.bias):
                    number = lambda: rng.uniform(-bound, bound)
                    parameter.copy_(drawn(number, parameter.numel(), 1).reshape(parameter.shape))

    def flat(self, of=lambda parameter: parameter):
        """The parameters layer by layer, each weight as [inputs, outputs], then its bias."""
        numbers = []
        for layer in self.linears():
            numbers += flat(of(layer.weight).T) + flat(of(layer.bias))
        return numbers

    def gradient(self):
        return self.flat(lambda parameter: parameter.grad)

    def divergence(self, t, x):
        one = lambda t, x: torch.func.jacrev(self, argnums=1)(t, x).trace()
        return torch.func.vmap(one)(t, x)

    def kink_distance(self, t, x):
        """The smallest |z| that enters an activation."""
        h, least = torch.cat([x, self.features(t)], -1), math.inf
        for layer in self.layers[:-1]:
            if isinstance(layer, nn.Linear):
                h = layer(h)
                least = min(least, h.abs().min().item())
            else:
                h = layer(h)
        return least


class Case:
    """A network and a batch."""

    def __init__(self, seed, dim, activation, frequencies):
        self.words = (dim, activation, f"fourier:{frequencies}" if frequencies else "raw")
        self.rng = random.Random(seed)
        self.u = Velocity(dim, activation, frequencies)
        self.u.draw_parameters(self.rng)
        self.theta_0 = [p.detach().clone() for p in self.u.parameters()]
        normal = lambda: self.rng.gauss(0.0, 1.0)
        self.x_0, self.x_1, self.w, self.tangent = (drawn(normal, ROWS, dim) for _ in range(4))
        self.t = drawn(self.rng.random, ROWS, 1).squeeze(-1)
        self.t[0], self.t[-1] = 0.0, 1.0
        t = self.t.unsqueeze(-1)
        self.x_t = t * self.x_1 + (1 - t) * self.x_0
        # A derivative at a kink would be a matter of taste and of the last bit.
        assert self.u.kink_distance(self.t, self.x_t) > 1e-4

    def loss(self):
        return (self.u(self.t, self.x_t) - (self.x_1 - self.x_0)).square().sum(-1).mean()

    def start_again(self):
        with torch.no_grad():
            for parameter, theta in zip(self.u.parameters(), self.theta_0):
                parameter.copy_(theta)

    def network(self):
        dim, activation, time_embedding = self.words
        self.u.zero_grad()
        loss = self.loss()
        loss.backward()
        gradient = self.u.gradient()
        x = self.x_t.clone().requires_grad_()
        u = self.u(self.t, x)
        (vjp,) = torch.autograd.grad((self.w * u).sum(), x)
        _, jvp = torch.func.jvp(lambda x: self.u(self.t, x), (self.x_t,), (self.tangent,))
        return {
            "dim": dim,
            "hidden": HIDDEN,
            "activation": activation,
            "time_embedding": time_embedding,
            "parameters": self.u.flat(),
            "t": flat(self.t),
            "x_0": flat(self.x_0),
            "x_1": flat(self.x_1),
            "x_t": flat(self.x_t),
            "u": flat(u),
            "loss": loss.item(),
            "gradient": gradient,
            "w": flat(self.w),
            "vjp": flat(vjp),
            "tangent": flat(self.tangent),
            "jvp": flat(jvp),
            "divergence": flat(self.u.divergence(self.t, self.x_t)),
        }


LR, WEIGHT_DECAY, CLIP, STEPS = 1e-2, 0.1, 0.5, 3
CLIP_EPSILON = 1e-6  # what clip_grad_norm_ adds to the norm that it divides by


def adam(index, case):
    """AdamW on the same batch at each step."""

    def steps(clip):
        case.start_again()
        parameters = list(case.u.parameters())
        optimizer = torch.optim.AdamW(parameters, lr=LR, weight_decay=WEIGHT_DECAY, foreach=False)
        theta, norms = [case.u.flat()], []
        for _ in range(STEPS):
            optimizer.zero_grad()
            case.loss().backward()
            norm = torch.nn.utils.get_total_norm([p.grad for p in parameters])
            norms.append(norm.item())
            if clip is not None:
                assert norm > CLIP
                nn.utils.clip_grad_norm_(parameters, clip(norm))
            optimizer.step()
            theta.append(case.u.flat())
        return theta, norms

    def averaged(theta, ema):
        """What is in use after each step n: the average of theta_0 ... theta_{n-1}, and theta_n once more."""
        decay = lambda n: min(ema, n / (9 + n))
        theta = [torch.tensor(t) for t in theta]
        average, used = theta[0], []
        for n in range(1, STEPS + 1):
            average = decay(n) * average + (1 - decay(n)) * theta[n - 1]
            used.append(flat(decay(n + 1) * average + (1 - decay(n + 1)) * theta[n]))
        return {"ema": ema, "theta": used}

    group = torch.optim.AdamW([torch.zeros(1)]).param_groups[0]
    theta, norms = steps(None)
    clipped, _ = steps(lambda norm: CLIP)
    exactly, clipped_norms = steps(lambda norm: CLIP * (norm + CLIP_EPSILON) / norm)
    case.start_again()
    return {
        "network": index,
        "lr": LR,
        "beta_1": group["betas"][0],
        "beta_2": group["betas"][1],
        "epsilon": group["eps"],
        "weight_decay": WEIGHT_DECAY,
        "theta": theta[1:],
        "norms": norms,
        "averages": [averaged(theta, ema) for ema in (0.9, 0.15)],  # 0.15: the second step has n / (9 + n) above it
        "clip": CLIP,
        "clipped": clipped[1:],
        "clipped_exactly": exactly[1:],
        "clipped_norms": clipped_norms,
    }


def activation(word):
    z = torch.linspace(-12.0, 12.0, 49).requires_grad_()
    value = ACTIVATIONS[word]()(z)
    (slope,) = torch.autograd.grad(value.sum(), z)
    return {"activation": word, "z": flat(z), "value": flat(value), "slope": flat(slope)}


def likelihood(index, case, steps=20):
    """The midpoint rule from t = 1 back to 0, the divergence at its inner stage."""
    u, h = case.u, -1.0 / steps
    x_1 = case.x_1[:4]
    x, integral = x_1, torch.zeros(len(x_1))
    at = lambda t: torch.full((len(x_1),), t)
    for step in range(steps):
        t, half = 1 - step / steps, 1 - (step + 0.5) / steps
        middle = x + 0.5 * h * u(at(t), x)
        integral = integral + h * u.divergence(at(half), middle)
        x = x + h * u(at(half), middle)
    source = torch.distributions.Normal(0.0, 1.0)
    log_density = source.log_prob(x).sum(-1) + integral
    return {"network": index, "steps": steps, "x_1": flat(x_1), "x_0": flat(x), "log_density": flat(log_density)}


def written(value, indent=0):
    """JSON with a line for each entry of an object and for each list of numbers."""
    pad, inner = " " * indent, " " * (indent + 1)
    if isinstance(value, dict):
        lines = [f"{inner}{json.dumps(key)}: {written(item, indent + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{pad}}}"
    if isinstance(value, list) and value and isinstance(value[0], (dict, list)):
        return "[\n" + ",\n".join(inner + written(item, indent + 1) for item in value) + f"\n{pad}]"
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def main():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    shapes = [(dim, word, k) for dim in (2, 3) for k in (0, 2) for word in ACTIVATIONS]
    cases = [Case(seed, *shape) for seed, shape in enumerate(shapes)]
    optimised, scored = shapes.index((3, "silu", 2)), shapes.index((3, "gelu", 2))
    golden = {
        "made_by": f"PyTorch {torch.__version__} in float64 on a CPU, Python {platform.python_version()}",
        "networks": [case.network() for case in cases],
        "adam": adam(optimised, cases[optimised]),
        "activations": [activation(word) for word in ACTIVATIONS],
        "likelihood": likelihood(scored, cases[scored]),
    }
    Path(__file__).with_suffix(".json").write_text(written(golden) + "\n")


if __name__ == "__main__":
    main()
