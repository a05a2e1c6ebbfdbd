"""Writes ode_accuracy.json, beside this file: error and evaluations of SciPy's solve_ivp, for tests/ode_accuracy.rs.

    pip install scipy && python tests/golden/ode_accuracy.py

Then runs that test for the same of ours, and writes both into benches/ACCURACY.md. The problems are those of the test, each
for some rows; SciPy solves each row by itself. The error is the root mean square of x - exact at the end, over all numbers
of all rows; the evaluations (nfev) are the mean over the rows. It takes a minute.
"""

import json
import math
import pathlib
import subprocess

import numpy as np
import scipy
from scipy.integrate import solve_ivp

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
TABLE = ROOT / "benches" / "ACCURACY.md"
DIGITS = range(3, 11)
PEERS = {"bosh3": "RK23", "dopri5": "RK45", "tsit5": "RK45", "dop853": "DOP853"}


def exponential():
    x_0 = [[0.25 + i / 8] for i in range(16)]
    return lambda t, x: -x, (0.0, 4.0), x_0, [[x[0] * math.exp(-4)] for x in x_0]


def rotation():
    x_0 = [[0.25 + i / 8, 0.0] for i in range(16)]
    field = lambda t, x: np.array([-3 * x[1], 3 * x[0]])
    return field, (0.0, 2.0), x_0, [[x[0] * math.cos(6), x[0] * math.sin(6)] for x in x_0]


def logistic():
    x_0 = [[(i + 1) / 32] for i in range(16)]
    exact = [[1 / (1 + (1 / x[0] - 1) * math.exp(-8))] for x in x_0]
    return lambda t, x: 4 * x * (1 - x), (0.0, 2.0), x_0, exact


def arenstorf():
    # Hairer, Norsett, Wanner, "Solving Ordinary Differential Equations I", section II.0: a periodic orbit.
    mu, x_0 = 0.012277471, [0.994, 0.0, 0.0, -2.00158510637908252240537862224]

    def field(t, x):
        d_1 = ((x[0] + mu) ** 2 + x[1] ** 2) ** 1.5
        d_2 = ((x[0] - (1 - mu)) ** 2 + x[1] ** 2) ** 1.5
        return np.array([
            x[2],
            x[3],
            x[0] + 2 * x[3] - (1 - mu) * (x[0] + mu) / d_1 - mu * (x[0] - (1 - mu)) / d_2,
            x[1] - 2 * x[2] - (1 - mu) * x[1] / d_1 - mu * x[1] / d_2,
        ])

    return field, (0.0, 17.0652165601579625588917206249), [x_0], [x_0]


def flow(mean, covariance):
    """The flow N(0, I) -> N(m, S) along X_t = t X_1 + (1 - t) X_0: E18 of the documentation."""
    m, s = np.array(mean), np.array(covariance)
    d, identity = len(m), np.eye(len(m))
    x_0 = [[((7 * i + 11 * j) % 33 - 16) / 8 for j in range(d)] for i in range(16)]

    def field(t, x):
        c = t * t * s + (1 - t) ** 2 * identity
        return m + (t * s - (1 - t) * identity) @ np.linalg.solve(c, x - t * m)

    values, vectors = np.linalg.eigh(s)
    root = vectors @ np.diag(np.sqrt(values)) @ vectors.T
    return field, (0.0, 1.0), x_0, [(m + root @ np.array(x)).tolist() for x in x_0]


PROBLEMS = {
    "exponential": exponential(),
    "rotation": rotation(),
    "logistic": logistic(),
    "arenstorf": arenstorf(),
    "flow": flow([1.0, -2.0, 0.5], [[1.5, 0.5, 0.25], [0.5, 0.5, -0.125], [0.25, -0.125, 0.25]]),
    "narrow flow": flow([2.0, -1.0], [[0.5, 0.484375], [0.484375, 0.5]]),
}


def measured(problem, method, tolerance):
    field, t, x_0, exact = PROBLEMS[problem]
    squares, evaluations = [], 0
    for start, end in zip(x_0, exact):
        found = solve_ivp(field, t, start, method=method, rtol=tolerance, atol=tolerance)
        assert found.success, found.message
        squares.extend((found.y[:, -1] - end) ** 2)
        evaluations += found.nfev
    return {"error": float(math.sqrt(sum(squares) / len(squares))), "nfe": evaluations / len(x_0)}


def scipys():
    runs = []
    for problem in PROBLEMS:
        for method in ["RK23", "RK45", "DOP853"]:
            for digits in DIGITS:
                run = measured(problem, method, float(f"1e-{digits}"))
                runs.append({"problem": problem, "method": method, "digits": digits} | run)
    return {"made_by": f"SciPy {scipy.__version__}", "runs": runs}


def ours():
    command = ["cargo", "test", "--release", "--locked", "--test", "ode_accuracy", "--", "--nocapture"]
    lines = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return [json.loads(line) for line in lines if line.startswith('{"problem"')]


def tables(scipy_runs, our_runs):
    key = lambda run: (run["problem"], run["method"], run["digits"])
    runs = {key(run): run for run in scipy_runs + our_runs}
    for problem in PROBLEMS:
        yield f"\n## {problem}\n\n| tolerance |"
        columns = ["bosh3", "RK23", "dopri5", "tsit5", "RK45", "dop853", "DOP853"]
        yield " | ".join([""] + columns)[2:] + " |\n|---|" + "---|" * len(columns) + "\n"
        for digits in DIGITS:
            cells = [runs[problem, method, digits] for method in columns]
            row = [f"{run['error']:.1e} / {run['nfe']:.0f}" for run in cells]
            yield f"| 1e-{digits} | " + " | ".join(row) + " |\n"


if __name__ == "__main__":
    theirs = scipys()
    lines = ",\n    ".join(json.dumps(run) for run in theirs["runs"])
    text = f'{{\n  "made_by": "{theirs["made_by"]}",\n  "runs": [\n    {lines}\n  ]\n}}\n'
    (HERE / "ode_accuracy.json").write_text(text)
    head = TABLE.read_text().split("<!-- results -->\n")[0]
    TABLE.write_text(head + "<!-- results -->\n" + "".join(tables(theirs["runs"], ours())))
