"""Writes the results of `cargo bench` into benches/README.md, between its two marks.

Criterion leaves two files for each bench: what was measured, and what one pass of it is (`throughput`). Shown are the medians;
rows and columns stand in the order in which they were measured. It needs Python 3.10 and nothing else.
"""

import datetime
import json
import os
import pathlib
import platform
import re
import subprocess

HERE = pathlib.Path(__file__).parent
RESULTS = HERE.parent / "target" / "criterion"
MARKS = "<!-- results -->\n", "<!-- end of results -->\n"
PEERS = "matrixmultiply", "gemm"


def gigaflop(ns, work):
    return f"{work / ns:.0f}"


def passes(ns, work):
    return f"{1e9 / ns:,.0f} ({work / ns:.0f})"


def ns_each(ns, work):
    return f"{ns / work:.3f}"


def seconds(ns, work):
    return f"{ns / 1e9:.2f} ({ns / work:.2f})"


def us_each(ns, work):
    return f"{ns / 1e3:,.1f}"


# What a cell of each group says; the groups in the order of their tables.
CELLS = {
    "peak": ("GFLOP/s", gigaflop),
    "matmul": ("GFLOP/s", gigaflop),
    "d_w": ("GFLOP/s", gigaflop),
    "d_x": ("GFLOP/s", gigaflop),
    "copy": ("ns a number", ns_each),
    "activation": ("ns a number", ns_each),
    "normals": ("ns a number", ns_each),
    "adam": ("ns a parameter", ns_each),
    "train_step": ("steps/s (GFLOP/s)", passes),
    "derivatives": ("µs for a block of 128 rows", us_each),
    "exact_field": ("seconds (ns for a row and a point)", seconds),
    "solver_step": ("steps/s (GFLOP/s)", passes),
}


def measured():
    """{group: {row: {column: (median in ns, work of a pass)}}}"""
    found = {}
    files = RESULTS.glob("**/new/benchmark.json")
    for file in sorted(files, key=lambda file: file.stat().st_mtime_ns):
        bench = json.loads(file.read_text())
        median = json.loads((file.parent / "estimates.json").read_text())["median"]["point_estimate"]
        rows = found.setdefault(bench["group_id"], {})
        row = rows.setdefault(bench["value_str"], {})
        row[bench["function_id"]] = median, bench["throughput"]["Elements"]
    return found


def table(group, rows):
    unit, cell = CELLS[group]
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    head = [f"`{group}`, {unit}"] + [f"`{column}`" for column in columns]
    compared = set(PEERS) <= set(columns)
    if compared:
        head.append(f"`{columns[0]}` against the better peer")
    lines = [head, ["---"] + ["---:"] * (len(head) - 1)]
    for name, row in rows.items():
        line = [name] + [cell(*row[column]) if column in row else "" for column in columns]
        if compared:
            ratio = min(row[peer][0] for peer in PEERS) / row[columns[0]][0]
            line.append(f"{ratio:.2f}")
        lines.append(line)
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def machine():
    info = pathlib.Path("/proc/cpuinfo").read_text()
    model, family, number = (
        re.search(rf"^{key}\s*: (.*)$", info, re.MULTILINE)[1] for key in ("model name", "cpu family", "model")
    )
    levels = [level for level in ("avx2", "avx512f") if re.search(rf"\b{level}\b", info)]
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    rustc = subprocess.run(["rustc", "--version"], check=True, capture_output=True, text=True).stdout.strip()
    return (
        f"{datetime.date.today()}, {model} (family {family}, model {number}; {', '.join(levels)}), "
        f"{os.cpu_count()} cores, {system}, {rustc}:\n"
    )


def main():
    readme = HERE / "README.md"
    before, rest = readme.read_text().split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    found = measured()
    tables = [table(group, found.pop(group)) for group in CELLS if group in found]
    assert not found, f"groups without a line in CELLS: {list(found)}"
    readme.write_text(before + MARKS[0] + "\n".join([machine()] + tables) + MARKS[1] + after)


main()
