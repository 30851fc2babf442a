"""Vitrify against ONNX Runtime on the rows of bench/models.txt.

usage: bench.py [--vitrify FILE] [--zoo DIR] [--threads N] [--rounds N] [--output FILE.md] [NAME...]

Both run in one process tree on the same input with the same number of threads, and turns alternate, so that what else
the machine does hits both alike. Each row gives the median over the rounds of each round's median latency, how far the
rounds lie apart, and the speed ratio (above 1: Vitrify is faster). Engines are built for the row's shape with timed
tactics; ONNX Runtime gets the shape fixed, too, and all its optimisations.
"""

import argparse
import json
import math
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

import onnxruntime as ort

import vitrify_cli
from samples import sample_inputs
from zoo import ZOO

ROWS = vitrify_cli.ROOT / "bench" / "models.txt"
TURN_SECONDS = 0.6  # about how long one turn measures
WARMUP = 3


def read_rows(path, names):
    """(model, shape) of every row, or of those with the given models."""
    lines = (line.split("#")[0].split() for line in path.read_text().splitlines())
    rows = [(name, [int(d) for d in shape.split("x")]) for name, shape in filter(None, lines)]
    return [row for row in rows if not names or row[0] in names]


def onnxruntime_session(path, threads, shapes):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    probe = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    sizes = {}
    for value in probe.get_inputs():
        for dim, size in zip(value.shape, shapes[value.name]):
            if isinstance(dim, str):
                sizes.setdefault(dim, set()).add(size)
    for dim, known in sizes.items():  # some models give extents that differ one name
        if len(known) == 1:
            options.add_free_dimension_override_by_name(dim, known.pop())
    del probe
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def onnxruntime_turn(inference, inputs, iterations):
    """Median latency in ms."""
    times = []
    for k in range(WARMUP + iterations):
        start = time.perf_counter()
        inference.run(None, inputs)
        if k >= WARMUP:
            times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def vitrify_turn(options, engine, inputs, folder, iterations):
    flags = ("--iterations", iterations, "--warmup", WARMUP, "--threads", options.threads)
    return vitrify_cli.bench(options.vitrify, engine, inputs, folder, *flags)["latency_ms"]["median"]


def spread(values):
    return (max(values) - min(values)) / statistics.median(values)


def measure(options, name, shape, folder):
    """One row of the result: medians in ms, spreads and the ratio."""
    spec = json.loads((options.zoo / f"{name}.json").read_text())
    shapes = {value: shape for value in spec["inputs"]}
    text = vitrify_cli.shape_text(shape)
    engine, model = Path(folder) / "model.engine", options.zoo / spec["model"]
    profiles = [f"{value}={text}:{text}:{text}" for value in shapes]
    vitrify_cli.build(options.vitrify, model, engine, profiles, ("--threads", options.threads))
    inputs = sample_inputs(spec, shapes, 0)
    inference = onnxruntime_session(model, options.threads, shapes)
    one = onnxruntime_turn(inference, inputs, 3)
    iterations = max(5, min(200, round(1e3 * TURN_SECONDS / one)))
    ours, theirs = [], []
    for _ in range(options.rounds):
        ours.append(vitrify_turn(options, engine, inputs, folder, iterations))
        theirs.append(onnxruntime_turn(inference, inputs, iterations))
    return {"model": name, "shape": text, "vitrify": statistics.median(ours), "onnxruntime": statistics.median(theirs),
            "vitrify_spread": spread(ours), "onnxruntime_spread": spread(theirs),
            "ratio": statistics.median(theirs) / statistics.median(ours)}


HEADER = ("model", "input", "ONNX Runtime ms", "spread", "Vitrify ms", "spread", "speed ratio")


def cells(row):
    return (row["model"], row["shape"], f"{row['onnxruntime']:.2f}", f"{row['onnxruntime_spread']:.0%}",
            f"{row['vitrify']:.2f}", f"{row['vitrify_spread']:.0%}", f"{row['ratio']:.2f}")


def machine():
    """The machine in words: processor, cores, instruction sets, memory, system."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    found = re.search(r"model name\s*: (.*)", info)
    flags = set(info.split())
    sets = [name for name in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile") if name in flags]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (f"{found.group(1) if found else platform.machine()}, {len(os.sched_getaffinity(0))} cores visible "
            f"({', '.join(sets) or 'no wide SIMD'}), {memory:.0f} GiB, {platform.system()}")


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def summary(rows):
    ratios = [row["ratio"] for row in rows]
    return f"geometric mean {geometric_mean(ratios):.2f}, lowest {min(ratios):.2f}"


def report(options, rows):
    lines = ["# Performance", "",
             f"Vitrify against ONNX Runtime {ort.__version__}, float32, {options.threads} threads each. "
             "Latency is the median over alternating turns of each turn's median; the spread is how far the turns' "
             "medians lie apart. A ratio above 1 means that Vitrify is faster.", "",
             f"Speed ratios: {summary(rows)}.", "",
             "| " + " | ".join(HEADER) + " |", "|---|---|" + "---:|" * (len(HEADER) - 2)]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    lines += ["", f"Machine: {machine()}.", "",
              f"Repeat with `make bench` ({options.rounds} rounds; the rows are in `bench/models.txt`, the models are "
              "made by `make zoo`). Networks other than PP-OCR, magika and MiniLM have random weights in their exact "
              "topology.", ""]
    return "\n".join(lines)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--vitrify", type=Path, default=vitrify_cli.DEFAULT, metavar="FILE")
    parser.add_argument("--zoo", type=Path, default=ZOO, metavar="DIR")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path, metavar="FILE.md", help="write the report there")
    return parser.parse_args()


def main():
    options, rows, failed = parse(), [], 0
    layout = "{:16} {:13} {:>15} {:>6} {:>10} {:>6} {:>11}"
    print(layout.format(*HEADER))
    for name, shape in read_rows(ROWS, options.names):
        with tempfile.TemporaryDirectory(prefix="vitrify-") as folder:
            try:
                rows.append(measure(options, name, shape, folder))
                print(layout.format(*cells(rows[-1])), flush=True)
            except vitrify_cli.CliError as error:
                failed += 1
                print(f"{name:16} {vitrify_cli.shape_text(shape):13} FAILED: {error}", flush=True)
    if not rows:
        return 1
    print(summary(rows))
    if options.output and not failed:
        options.output.write_text(report(options, rows))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
