"""PyTorch on one side, pushforward on the other: files in both directions.

    pip install torch safetensors numpy
    python tests/golden/exchange.py              writes torch-*.safetensors and safetensors.json, beside this file
    python tests/golden/exchange.py PROGRAM      lets PROGRAM (target/release/pushforward) import those files and export
                                                    them again, and train and export a model of its own, and
                                                    compares what PyTorch computes with what it should be

The same PyTorch on the same CPU writes the same bytes again. Velocities are computed in float64.
"""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

HERE = Path(__file__).parent
ACTIVATIONS = {"silu": nn.SiLU, "gelu": nn.GELU, "tanh": nn.Tanh, "relu": nn.ReLU, "selu": nn.SELU, "softplus": nn.Softplus}
CASES = {
    "raw": {"dim": 2, "hidden": [7, 5], "activation": "silu", "time_embedding": "raw"},
    "fourier": {"dim": 3, "hidden": [5, 4], "activation": "softplus", "time_embedding": "fourier:4"},
}


class Velocity(nn.Module):
    """u(t, x) as the metadata describe it: what somebody would write who has read `pushforward help export` alone."""

    def __init__(self, about):
        super().__init__()
        kind, _, count = about["time_embedding"].partition(":")
        self.frequencies = about.get("frequencies", [math.pi * k for k in range(1, int(count or 0) + 1)])
        widths = [about["dim"] + (1 if kind == "raw" else 2 * len(self.frequencies)), *about["hidden"], about["dim"]]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))
        self.activation = ACTIVATIONS[about["activation"]]()

    def forward(self, t, x):
        t = t[:, None]
        w = torch.tensor(self.frequencies, dtype=t.dtype)
        h = torch.cat([x, torch.sin(w * t), torch.cos(w * t)] if self.frequencies else [x, t], dim=1)
        for layer in self.layers[:-1]:
            h = self.activation(layer(h))
        return self.layers[-1](h)


def load(path):
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["pushforward"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    network = Velocity(about)
    network.load_state_dict(tensors)  # strict: every name and every shape
    return network.double(), about, tensors


def points(dim):
    generator = torch.Generator().manual_seed(1)
    # In steps of 1/64: exact in f32.
    t = torch.randint(0, 65, (8,), generator=generator).double() / 64
    x = torch.randint(-128, 129, (8, dim), generator=generator).double() / 64
    return t, x


def write():
    found = {}
    for name, about in CASES.items():
        torch.manual_seed(0)
        network = Velocity(about)
        path = HERE / f"torch-{name}.safetensors"
        save_file(network.state_dict(), path, metadata={"pushforward": json.dumps(about)})
        t, x = points(about["dim"])
        u = network.double()(t, x)
        found[name] = {"t": t.tolist(), "x": x.flatten().tolist(), "u": u.detach().flatten().tolist()}
    (HERE / "safetensors.json").write_text(json.dumps(found, indent=1) + "\n")


def check(program):
    program = Path(program).resolve()

    def run(*arguments):
        subprocess.run([program, *map(str, arguments)], check=True)

    found = json.loads((HERE / "safetensors.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        model, file = Path(folder, "m.pf"), Path(folder, "m.safetensors")
        for name, about in CASES.items():
            original = HERE / f"torch-{name}.safetensors"
            run("import", original, "-o", model)
            run("export", model, "-o", file)
            network, described, tensors = load(file)
            assert all(described[key] == value for key, value in about.items()), described
            assert all(torch.equal(tensors[key], value) for key, value in load(original)[2].items())
            t, x = points(about["dim"])
            u = network(t, x).flatten()
            assert torch.equal(u, torch.tensor(found[name]["u"], dtype=torch.float64)), u
            print(f"{name}: PyTorch -> pushforward -> PyTorch gives the same tensors and velocities to the bit")
        # A trained model: PyTorch integrates its ODE and must end where the program does. Midpoint steps, float64 beside float32.
        for flags in [[], ["--activation", "gelu", "--time-embedding", "fourier:3"]]:
            samples, steps = Path(folder, "s.npy"), 50
            run("train", "toy:moons:5000", "-o", model, "--steps", 300, "--batch", 256, "--hidden", "32,32", *flags)
            run("export", model, "-o", file)
            network, about, _ = load(file)
            start = sources(8, about["dim"])
            z = start
            for i in range(steps):
                t, h = torch.full((8,), i / steps, dtype=torch.float64), 1 / steps
                with torch.no_grad():
                    z = z + h * network(t + h / 2, z + h / 2 * network(t, z))
            x = torch.tensor(about["mean"]) + torch.tensor(about["std"]) * z
            given = Path(folder, "x0.csv")
            given.write_text("".join(",".join(map(repr, row)) + "\n" for row in start.tolist()))
            if run_sample(program, model, given, samples, steps):
                import numpy

                ours = torch.tensor(numpy.load(samples)).double()
                error = (ours - x).abs().max().item()
                print(f"samples of a trained model, flags {flags}: largest difference to PyTorch's {error:.1e}")
                assert error < 1e-4  # f32 beside f64 over 100 evaluations
            else:
                print("this program has no `sample --source`: samples were not compared")


def sources(rows, dim):
    generator = torch.Generator().manual_seed(2)
    return torch.randint(-128, 129, (rows, dim), generator=generator).double() / 64


def run_sample(program, model, given, output, steps):
    arguments = ["sample", model, "--source", given, "--solver", "midpoint", "--steps", str(steps), "-o", output]
    return subprocess.run([program, *map(str, arguments)], stderr=subprocess.DEVNULL).returncode == 0


if __name__ == "__main__":
    if len(sys.argv) > 1:
        check(sys.argv[1])
    else:
        write()
