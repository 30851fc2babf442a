"""The vitrify command line as functions: build, run, inspect and bench, with their JSON answers."""

import json
import re
import subprocess
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
DEFAULT = ROOT / "build" / "release" / "bin" / "vitrify"
TIMEOUT = 900  # seconds


class CliError(Exception):
    """The command failed, ran too long or did not print one JSON object."""


def call(binary, *arguments):
    """Runs one command with --json and returns its answer."""
    command = [str(binary), *map(str, arguments), "--json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        raise CliError(f"{arguments[0]} took more than {TIMEOUT} s") from None
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise CliError(f"{arguments[0]} exited with {done.returncode}: {last}")
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise CliError(f"{arguments[0]} did not print JSON: {done.stdout[:80]!r}") from None


def shape_text(shape):
    return "x".join(map(str, shape))


def build(binary, model, engine, profiles=(), options=()):
    flags = [part for profile in profiles for part in ("--profile", profile)]
    return call(binary, "build", model, "-o", engine, *flags, *options)


def inspect(binary, path):
    return call(binary, "inspect", path)


def run(binary, path, inputs, folder):
    """Runs once on arrays by name; returns the arrays that it wrote, by file stem."""
    folder = Path(folder)
    given, written = folder / "in", folder / "out"
    for place in (given, written):
        place.mkdir(exist_ok=True)
        for old in place.iterdir():
            old.unlink()
    flags = []
    for name, array in inputs.items():
        np.save(given / f"{file_stem(name)}.npy", array)
        flags += ["--input", f"{name}={given / file_stem(name)}.npy"]
    call(binary, "run", path, *flags, "--output-dir", written)
    return {file.stem: np.load(file) for file in written.glob("*.npy")}


def bench(binary, path, shapes, *options):
    flags = [part for name, shape in shapes.items() for part in ("--shape", f"{name}={shape_text(shape)}")]
    return call(binary, "bench", path, *flags, *options)


def file_stem(name):
    """The file name that `run --output-dir` gives to an output."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)
