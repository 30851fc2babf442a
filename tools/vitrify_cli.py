"""The vitrify command line as functions: build, run, inspect and bench, with their JSON answers."""

import json
import re
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
DEFAULT = ROOT / "build" / "release" / "bin" / "vitrify"
TIMEOUT = 900  # seconds


class CliError(Exception):
    """The command failed, ran too long or did not print one JSON object."""


def resident_peak(process):
    """The most memory that a live process has held so far, in bytes; 0 where the system does not tell."""
    try:
        found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    except OSError:
        return 0
    return int(found.group(1)) * 1024 if found else 0


def wait(process, command):
    """Waits for the end; returns the exit status and the peak resident memory in bytes."""
    deadline, peak = time.monotonic() + TIMEOUT, 0
    while process.poll() is None:
        peak = max(peak, resident_peak(process))
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise CliError(f"{command} took more than {TIMEOUT} s")
        time.sleep(0.005)
    return process.returncode, peak


def call(binary, *arguments):
    """Runs one command with --json; returns its answer with the peak memory added as "peak_bytes"."""
    command = [str(binary), *map(str, arguments), "--json"]
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        status, peak = wait(subprocess.Popen(command, stdout=output, stderr=errors), arguments[0])
        output.seek(0), errors.seek(0)
        answer, message = output.read(), errors.read()
    if status:
        last = (message.strip() or answer.strip() or "no message").splitlines()[-1]
        raise CliError(f"{arguments[0]} exited with {status}: {last}")
    try:
        return {**json.loads(answer), "peak_bytes": peak}
    except (ValueError, TypeError):
        raise CliError(f"{arguments[0]} did not print a JSON object: {answer[:80]!r}") from None


def shape_text(shape):
    return "x".join(map(str, shape))


def build(binary, model, engine, profiles=(), options=()):
    flags = [part for profile in profiles for part in ("--profile", profile)]
    return call(binary, "build", model, "-o", engine, *flags, *options)


def inspect(binary, path):
    return call(binary, "inspect", path)


def emptied(folder):
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    return folder


def input_flags(inputs, folder):
    """Writes arrays by name into folder/in; returns the flags that give them."""
    given, flags = emptied(Path(folder) / "in"), []
    for name, array in inputs.items():
        np.save(given / f"{file_stem(name)}.npy", array)
        flags += ["--input", f"{name}={given / file_stem(name)}.npy"]
    return flags


def run(binary, path, inputs, folder):
    """Runs once on arrays by name; returns the arrays that it wrote, by file stem."""
    written = emptied(Path(folder) / "out")
    call(binary, "run", path, *input_flags(inputs, folder), "--output-dir", written)
    return {file.stem: np.load(file) for file in written.glob("*.npy")}


def bench(binary, path, inputs, folder, *options):
    """Measures on arrays by name."""
    return call(binary, "bench", path, *input_flags(inputs, folder), *options)


def file_stem(name):
    """The file name that `run --output-dir` gives to an output."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)
