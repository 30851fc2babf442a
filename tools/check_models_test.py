"""Holds check_models.py to account: a stand-in for vitrify with one fault at a time must be found out.

The stand-in answers through ONNX Runtime. Usage: check_models_test.py [--zoo DIR]; needs the zoo's small models.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from zoo import ZOO

TOOLS = Path(__file__).resolve().parent
STAND_IN = '''#!{python}
import json, os, shutil, sys
import numpy as np, onnxruntime as ort
fault, words = os.environ.get("FAULT", ""), sys.argv[1:]
values = {{}}
for flag, value in zip(words, words[1:]):
    values.setdefault(flag, []).append(value)
if fault == words[0]:
    sys.exit("broken on purpose")
if words[0] == "build":
    assert len(values["--profile"][0].split(":")) == 3
    shutil.copy(words[1], values["-o"][0])
    open(values["--explain"][0], "w").write('[{{"rule": "none"}}]')
    waste = np.ones(400_000_000 if fault == "memory" else 1, np.uint8)
    print("{{}}")
elif words[0] == "inspect":
    steps = [dict(name="a", op="conv", tactic="cpu.conv", origin=["a"])] * (10 if fault == "conv" else 9)
    steps += [dict(name="t", op="transpose", tactic="cpu.transpose", origin=["t"])] * (fault == "transpose")
    steps += [dict(name="p", op="pointwise", tactic="reference", origin=["p"])] * (fault == "reference")
    print(json.dumps(dict(steps=steps)))
elif words[0] == "bench":
    print(json.dumps(dict(arena_bytes=1000, arena_lower_bound_bytes=900 if fault == "arena" else 990)))
elif words[0] == "run":
    session = ort.InferenceSession(words[1], providers=["CPUExecutionProvider"])
    inputs = {{n: np.load(f) for n, f in (x.split("=", 1) for x in values["--input"])}}
    if fault == "ignore":
        inputs = {{n: np.ones_like(x) for n, x in inputs.items()}}
    for k, (output, array) in enumerate(zip(session.get_outputs(), session.run(None, inputs))):
        if fault == "missing":
            continue
        if fault == "type":
            array = array.astype(np.float64)
        if fault == "value":
            array.flat[-1] += 2e-3 * np.abs(array).max()
        if fault == "nan":
            array.flat[0] = np.nan
        if fault == "shape":
            array = array[None]
        np.save(os.path.join(values["--output-dir"][0], output.name + ".npy"), array)
    print("{{}}")
'''
FAULTS = ("build", "inspect", "run", "conv", "transpose", "reference", "ignore", "missing", "type", "value", "nan",
          "shape", "memory", "arena")


def check(binary, zoo, fault):
    command = [sys.executable, TOOLS / "check_models.py", "--vitrify", binary, "--zoo", zoo, "repvgg"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "FAULT": fault})
    return done.returncode, done.stdout + done.stderr


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--zoo", type=Path, default=ZOO)
    zoo, failed = parser.parse_args().zoo, []
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder) / "vitrify"
        binary.write_text(STAND_IN.format(python=sys.executable))
        binary.chmod(0o755)
        for fault in ("", *FAULTS):
            status, output = check(binary, zoo, fault)
            if status != (1 if fault else 0) or ("FAIL" in output) != bool(fault):
                failed.append(fault)
                print(f"fault '{fault}': exit {status}\n{output}")
    print(f"{1 + len(FAULTS) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
