"""Runs every model of the zoo through the vitrify command line and compares with ONNX Runtime.

usage: check_models.py [--vitrify FILE] [--zoo DIR] [--timing] [NAME...]

One engine per model, built for its profile, runs all test shapes. Outputs agree when shape and type are the same, NaN
and Inf stand in the same places, integers and strings are equal, and max|a-b| <= 1e-3 * max|b| in each output. The
plan is judged too: no arithmetic step on a reference tactic, no transpose where channels-last must cancel them all,
one convolution per RepVGG block, an arena within 2 % of its lower bound. A build may take twice the model plus 300 MB of memory. Closes with "N passed, N
failed"; exit 1 when one failed.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import vitrify_cli
from samples import sample_inputs
from zoo import MODELS, ZOO, runner, session

TOLERANCE = 1e-3
ARENA_EXCESS = 1.02  # the planned arena may exceed its lower bound by so much
MEMORY_ALLOWANCE = 300e6  # a build may take this and twice the model at its peak
# Steps that must run on a kernel of their own: convolution, matrix product, pool, norm, softmax, pointwise.
FAST_OPS = {"conv", "conv_transpose", "matmul", "pool", "normalize", "lrn", "softmax", "pointwise", "unary", "binary",
            "select", "cast", "region", "attention"}


def compare(ours, theirs):
    """None when the arrays agree, else what is wrong; with the relative error where there is one."""
    if ours.shape != theirs.shape:
        return f"shape {list(ours.shape)}, expected {list(theirs.shape)}", 0.0
    if theirs.dtype.kind in "OUS":
        same = np.array_equal(ours.astype(str), theirs.astype(str))
        return (None if same else "strings differ"), 0.0
    if ours.dtype != theirs.dtype:
        return f"type {ours.dtype}, expected {theirs.dtype}", 0.0
    if theirs.dtype.kind not in "fc":
        wrong = int((ours != theirs).sum())
        return (f"{wrong} of {theirs.size} integers differ" if wrong else None), 0.0
    return compare_floats(ours, theirs)


def compare_floats(ours, theirs):
    finite = np.isfinite(theirs)
    odd = ~finite
    if not np.array_equal(finite, np.isfinite(ours)) or not np.array_equal(ours[odd], theirs[odd], equal_nan=True):
        return "NaN or Inf in other places", float("inf")
    if not finite.any():
        return None, 0.0
    ours, theirs = ours[finite].astype(np.float64), theirs[finite].astype(np.float64)
    difference, scale = np.abs(ours - theirs).max(), np.abs(theirs).max()
    error = float(difference / scale) if scale else float(difference > 0)
    return (None if error <= TOLERANCE else f"differs by {error:.1e} of the largest value"), error


def compare_outputs(ours, theirs):
    """The problems of all outputs, and the worst relative error."""
    problems, worst = [], 0.0
    for name, expected in theirs.items():
        stem = vitrify_cli.file_stem(name)
        if stem not in ours:
            problems.append(f"{name}: missing")
            continue
        problem, error = compare(ours[stem], expected)
        worst = max(worst, error)
        if problem:
            problems.append(f"{name}: {problem}")
    return problems, worst


def read_steps(binary, engine):
    """(op, tactic, name) of every step of the engine's plan."""
    steps = vitrify_cli.inspect(binary, engine)["steps"]
    return [(re.match(r"[a-z_]*", s["op"].lower()).group(), s["tactic"], s["name"]) for s in steps]


def plan_problems(steps, expect):
    """What the plan of an engine must not hold."""
    if not steps:
        return ["the engine lists no steps"]
    problems = []
    slow = [(op, name) for op, tactic, name in steps if op in FAST_OPS and tactic.startswith("reference")]
    if slow:
        ops = ", ".join(sorted({op for op, _ in slow}))
        problems.append(f"{len(slow)} steps on reference tactics ({ops}), as {slow[0][1]}")
    transposes = [name for op, _, name in steps if op == "transpose"]
    if expect.get("no_transpose") and transposes:
        problems.append(f"{len(transposes)} transposes, as {transposes[0]}")
    convolutions = sum(op == "conv" for op, _, _ in steps)
    if expect.get("conv_steps", convolutions) != convolutions:
        problems.append(f"{convolutions} convolutions, expected {expect['conv_steps']}")
    return problems


class Table:
    """Prints a row per check and counts."""

    def __init__(self):
        self.passed = self.failed = 0

    def row(self, model, what, problems, note, seconds):
        self.passed, self.failed = self.passed + (not problems), self.failed + bool(problems)
        verdict = "FAIL" if problems else "ok"
        line = f"{verdict:4} {model:16} {what:30} {note:10} {seconds:6.1f} s  {'; '.join(problems)}"
        print(line.rstrip(), flush=True)


def attempt(function, *arguments):
    """(result, problems, seconds) of a call that may fail as a command or by an answer that lacks a field."""
    start = time.time()
    try:
        return function(*arguments), [], time.time() - start
    except (vitrify_cli.CliError, KeyError, TypeError, OSError, ValueError) as error:
        return None, [f"{type(error).__name__}: {error}"], time.time() - start


def build_engine(options, spec, folder):
    engine, explain = folder / "model.engine", folder / "explain.json"
    flags = ["--explain", explain] + ([] if options.timing else ["--no-timing"])
    model = options.zoo / spec["model"]
    peak = vitrify_cli.build(options.vitrify, model, engine, spec["profile"], flags)["peak_bytes"]
    if not json.loads(explain.read_text()):
        raise ValueError("--explain wrote no decisions")
    return engine, peak, memory_problems(peak, model.stat().st_size)


def memory_problems(peak, model_bytes):
    limit = 2 * model_bytes + MEMORY_ALLOWANCE
    return [f"peak memory {peak / 1e6:.0f} MB, limit {limit / 1e6:.0f} MB"] if peak > limit else []


def check_model(options, name, folder, table):
    spec = json.loads((options.zoo / f"{name}.json").read_text())
    built, problems, seconds = attempt(build_engine, options, spec, folder)
    engine, peak, too_much = built or (None, 0, [])
    table.row(name, "build", problems or too_much, f"{peak / 1e6:.0f} MB", seconds)
    if engine is None:
        table.failed += 1 + len(spec["shapes"])  # the plan and every shape stay unproved
        return
    steps, problems, seconds = attempt(read_steps, options.vitrify, engine)
    table.row(name, "plan", problems or plan_problems(steps, spec["expect"]), f"{len(steps or ())} steps", seconds)
    expected = runner(session(options.zoo / spec["model"]))
    for shapes, seed in zip(spec["shapes"], spec["seeds"]):
        check_shape(options, name, engine, expected, sample_inputs(spec, shapes, seed), folder, table)


def arena_problems(options, engine, inputs, folder):
    """What is wrong with the memory planned for these shapes, workspaces included."""
    found = vitrify_cli.bench(options.vitrify, engine, inputs, folder, "--iterations", 1, "--warmup", 0)
    planned, least = found["arena_bytes"], found["arena_lower_bound_bytes"]
    return [f"arena of {planned} bytes, lower bound {least}"] if planned > ARENA_EXCESS * least else []


def check_shape(options, name, engine, expected, inputs, folder, table):
    theirs = expected(inputs)
    ours, problems, seconds = attempt(vitrify_cli.run, options.vitrify, engine, inputs, folder)
    worst = 0.0
    if ours is not None:
        problems, worst = compare_outputs(ours, theirs)
    planned, failures, _ = attempt(arena_problems, options, engine, inputs, folder)
    problems += planned or failures
    label = " ".join(sorted({vitrify_cli.shape_text(x.shape) for x in inputs.values()}))
    table.row(name, label, problems, f"{worst:.0e}", seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--vitrify", type=Path, default=vitrify_cli.DEFAULT, metavar="FILE")
    parser.add_argument("--zoo", type=Path, default=ZOO, metavar="DIR")
    parser.add_argument("--timing", action="store_true", help="let the builder time its tactics")
    options = parser.parse_args()
    table, names = Table(), options.names or list(MODELS)
    missing = [name for name in names if not (options.zoo / f"{name}.json").exists()]
    if missing:
        raise SystemExit(f"not in {options.zoo}: {' '.join(missing)}; run tools/zoo.py")
    for name in names:
        with tempfile.TemporaryDirectory(prefix="vitrify-") as folder:
            check_model(options, name, Path(folder), table)
    print(f"{table.passed} passed, {table.failed} failed")
    return 1 if table.failed else 0


if __name__ == "__main__":
    sys.exit(main())
