"""Tests the command line's contract from outside: .npy files of every type, large models, bad input, profiles, knobs.

usage: cli_test.py [--vitrify FILE]. Closes with "N passed, N failed"; exit 1 when one failed.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h

import vitrify_cli

TESTS = []


def test(function):
    TESTS.append(function)
    return function


class Bench:
    """A folder to work in, and the command."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder

    def at(self, name):
        return self.folder / name

    def call(self, *words, env=None):
        return subprocess.run([str(self.binary), *map(str, words)], capture_output=True, text=True, cwd=self.folder,
                              env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, timeout=300)

    def good(self, *words, env=None):
        done = self.call(*words, env=env)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done

    def refuses(self, part, *words, env=None):
        done = self.call(*words, env=env)
        assert done.returncode == 1, f"{words}: exit {done.returncode}: {done.stderr}"
        assert part in done.stderr, f"{words}: '{part}' is not in: {done.stderr}"
        assert not done.stdout, f"{words}: {done.stdout}"

    def save(self, name, nodes, inputs, outputs, weights=(), opset=21, check=True):
        graph = h.make_graph(nodes, "g", inputs, outputs, list(weights))
        model = h.make_model(graph, opset_imports=[h.make_opsetid("", opset)], ir_version=10)
        if check:
            onnx.checker.check_model(model)
        onnx.save(model, self.at(name))
        return name

    def run(self, model, inputs, outputs):
        """Arrays by name through .npy files."""
        flags = []
        for i, (name, array) in enumerate(inputs.items()):
            np.save(self.at(f"in{i}.npy"), array)
            flags += ["--input", f"{name}=in{i}.npy"]
        self.good("run", model, *flags, "--output-dir", "out")
        return [np.load(self.at("out") / f"{vitrify_cli.file_stem(name)}.npy") for name in outputs]


def value(name, dtype, shape):
    return h.make_tensor_value_info(name, dtype, shape)


def identity(b, dtype, shape, name="id.onnx", opset=21):
    node = h.make_node("Reshape", ["x", "s"], ["y"])
    return b.save(name, [node], [value("x", dtype, shape)], [value("y", dtype, ["n"])],
                  [h.make_tensor("s", T.INT64, [1], [-1])], opset)


@test
def arrays_of_every_type_go_in_and_out(b):
    cases = {T.FLOAT: np.float32, T.DOUBLE: np.float64, T.FLOAT16: np.float16, T.BFLOAT16: np.uint16, T.BOOL: np.bool_,
             T.FLOAT8E4M3FN: np.uint8, T.INT64: np.int64, T.INT32: np.int32, T.INT16: np.int16, T.INT8: np.int8,
             T.UINT64: np.uint64, T.UINT32: np.uint32, T.UINT16: np.uint16, T.UINT8: np.uint8}
    for dtype, numpy_type in cases.items():
        for shape in ([2, 3], [0, 3]):
            x = np.arange(np.prod(shape)).reshape(shape).astype(numpy_type)
            (y,) = b.run(identity(b, dtype, shape), {"x": x}, ["y"])
            assert y.dtype == x.dtype and np.array_equal(y, x.reshape(-1)), (dtype, x, y)


@test
def four_bit_integers_are_one_value_a_byte(b):
    for dtype, numpy_type, low, high in ((T.INT4, np.int8, -8, 7), (T.UINT4, np.uint8, 0, 15)):
        x = np.array([low, high, 3, 1, 0], numpy_type)
        (y,) = b.run(identity(b, dtype, [5]), {"x": x}, ["y"])
        assert y.dtype == x.dtype and np.array_equal(y, x), y
        np.save(b.at("big.npy"), np.array([0, 0, high + 1, 0, 0], numpy_type))
        b.refuses(str(high + 1), "run", "id.onnx", "--input", "x=big.npy")


@test
def strings_are_unicode_arrays(b):
    x = np.array([["grün", "a\0b"], ["a b", "日本"], ["", "\0c"]])
    (y,) = b.run(identity(b, T.STRING, [3, 2]), {"x": x}, ["y"])
    assert y.dtype.kind == "U" and list(y) == ["grün", "a\0b", "a b", "日本", "", "\0c"], y


@test
def orders_of_axes_and_bytes(b):
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    identity(b, T.FLOAT, [2, 3])
    for array in (np.asfortranarray(x), x.astype(">f4")):
        np.save(b.at("odd.npy"), array)
        done = b.call("run", "id.onnx", "--input", "x=odd.npy", "--output-dir", "out")
        if done.returncode:  # refused with a reason, or read right
            assert done.returncode == 1 and "odd.npy" in done.stderr, done.stderr
        else:
            assert np.array_equal(np.load(b.at("out/y.npy")), x.reshape(-1))


@test
def file_names_of_outputs(b):
    nodes = [h.make_node("Relu", ["x"], ["a/b:c"]), h.make_node("Neg", ["x"], ["ä.b-c_1"])]
    b.save("names.onnx", nodes, [value("x", T.FLOAT, [2])], [value(n, T.FLOAT, [2]) for n in ("a/b:c", "ä.b-c_1")])
    b.run("names.onnx", {"x": np.ones(2, np.float32)}, ["a/b:c"])
    assert b.at("out/a_b_c.npy").exists() and b.at("out/_.b-c_1.npy").exists(), os.listdir(b.at("out"))
    nodes = [h.make_node("Relu", ["x"], ["a/b"]), h.make_node("Neg", ["x"], ["a:b"])]
    b.save("same.onnx", nodes, [value("x", T.FLOAT, [2])], [value(n, T.FLOAT, [2]) for n in ("a/b", "a:b")])
    b.refuses("a_b.npy", "run", "same.onnx", "--output-dir", "out2")
    nodes = [h.make_node("SequenceConstruct", ["x", "x"], ["s"]), h.make_node("Neg", ["x"], ["s.0"])]
    b.save("items.onnx", nodes, [value("x", T.FLOAT, [2])],
           [h.make_tensor_sequence_value_info("s", T.FLOAT, None), value("s.0", T.FLOAT, [2])])
    b.refuses("s.0.npy", "run", "items.onnx", "--output-dir", "out2")
    assert not b.at("out2").exists()


@test
def models_above_two_gigabytes(b):
    rows, columns = 1_200_000, 512  # a table of 2.4 GB, of which three rows are not zero
    size, last = rows * columns * 4, 4096 + (rows - 1) * columns * 4
    with open(b.at("weights.bin"), "wb") as file:
        file.truncate(4096 + size + 4096)
        for row in (0, 700_000, rows - 1):
            file.seek(4096 + row * columns * 4)
            file.write(np.full(columns, row + 1, np.float32).tobytes())
        file.seek(4096 + size)
        file.write(np.arange(4, dtype=np.float32).tobytes())
    assert last > 2**31 and os.stat(b.at("weights.bin")).st_blocks * 512 < 2**20

    def external(name, dims, offset, length):
        t = T(name=name, data_type=T.FLOAT, dims=dims, data_location=T.EXTERNAL)
        for key, text in (("location", "weights.bin"), ("offset", str(offset)), ("length", str(length))):
            t.external_data.add(key=key, value=text)
        return t

    nodes = [h.make_node("Gather", ["table", "rows"], ["picked"]), h.make_node("ReduceMean", ["picked", "axes"], ["m"]),
             h.make_node("Add", ["m", "tail"], ["y"])]
    b.save("large.onnx", nodes, [value("rows", T.INT64, [4])], [value("y", T.FLOAT, [4, 4])],
           [external("table", [rows, columns], 4096, size), external("tail", [4], 4096 + size, 16),
            h.make_tensor("axes", T.INT64, [1], [1])], check=False)
    (y,) = b.run("large.onnx", {"rows": np.array([0, 5, 700_000, rows - 1])}, ["y"])
    want = np.array([[1], [0], [700_001], [rows]], np.float32) + np.arange(4, dtype=np.float32)
    assert np.array_equal(y, want), y


def small(b, name="m.onnx"):
    weights = [h.make_tensor("w", T.FLOAT, [3, 4], np.arange(12, dtype=np.float32))]
    return b.save(name, [h.make_node("MatMul", ["x", "w"], ["h"], name="product"), h.make_node("Relu", ["h"], ["y"])],
                  [value("x", T.FLOAT, ["n", 3])], [value("y", T.FLOAT, ["n", 4])], weights)


def nested_model(levels):
    """A model of Ifs inside of each other, deeper than protobuf itself would write: made of raw bytes."""

    def field(number, data):
        size, length = len(data), b""
        while size > 127:
            length, size = length + bytes([size & 127 | 128]), size >> 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + data

    graph = h.make_graph([h.make_node("Relu", ["x"], ["z"])], "g", [], [value("z", T.FLOAT, [1])]).SerializeToString()
    tail = h.make_graph([], "g", [], [value("z", T.FLOAT, [1])]).SerializeToString()
    head = h.make_node("If", ["c"], ["z"]).SerializeToString()
    for _ in range(levels):  # NodeProto.attribute = 5; AttributeProto.name = 1, g = 6, type = 20
        branches = [field(5, field(1, name) + field(6, graph) + b"\xa0\x01\x05") for name in (b"then_branch",)]
        graph = field(1, head + b"".join(branches)) + tail
    inputs = h.make_graph([], "g", [value("x", T.FLOAT, [1]), value("c", T.BOOL, [])], []).SerializeToString()
    model = h.make_model(h.make_graph([], "g", [], []), opset_imports=[h.make_opsetid("", 21)])
    model.ClearField("graph")
    return model.SerializeToString() + field(7, graph + inputs)


@test
def bad_models(b):
    small(b)
    data = b.at("m.onnx").read_bytes()
    b.at("empty.onnx").write_bytes(b"")
    b.at("cut.onnx").write_bytes(data[:-20])
    b.at("noise.onnx").write_bytes(bytes(range(256)) * 8)
    cycle = [h.make_node("Relu", ["b"], ["a"], name="first"), h.make_node("Neg", ["a"], ["b"], name="second")]
    b.save("cycle.onnx", cycle, [], [value("a", T.FLOAT, [1])], check=False)
    mixed = [h.make_node("Add", ["x", "i"], ["y"], name="mixed")]
    b.save("types.onnx", mixed, [value("x", T.FLOAT, [1]), value("i", T.INT64, [1])], [value("y", T.FLOAT, [1])],
           check=False)
    lost = T(name="lost", data_type=T.FLOAT, dims=[2], data_location=T.EXTERNAL)
    lost.external_data.add(key="location", value="nowhere.bin")
    b.save("lost.onnx", [h.make_node("Add", ["x", "lost"], ["y"])], [value("x", T.FLOAT, [2])],
           [value("y", T.FLOAT, [2])], [lost], check=False)
    for name, dims in (("huge", [10**9, 10**9, 10]), ("wide", [2**40, 2**40]), ("negative", [-5, 2])):
        b.save(f"{name}.onnx", [h.make_node("Relu", ["x"], ["y"])], [value("x", T.FLOAT, dims)],
               [value("y", T.FLOAT, None)], check=False)
    big = T(name="big", data_type=T.FLOAT, dims=[10**9, 10**9], raw_data=b"\0\0\0\0")
    b.save("initializer.onnx", [h.make_node("Relu", ["big"], ["y"])], [], [value("y", T.FLOAT, None)], [big],
           check=False)
    b.at("deep.onnx").write_bytes(nested_model(300))
    b.at("kept.engine").write_text("what was there")
    for part, name in (("empty", "empty.onnx"), ("cut.onnx", "cut.onnx"), ("noise.onnx", "noise.onnx"),
                       ("topological order", "cycle.onnx"), ("mixed", "types.onnx"), ("nowhere.bin", "lost.onnx"),
                       ("'x'", "huge.onnx"), ("'x'", "wide.onnx"), ("'x'", "negative.onnx"),
                       ("big", "initializer.onnx"), ("nested", "deep.onnx"), ("absent.onnx", "absent.onnx")):
        b.refuses(part, "build", name, "-o", "kept.engine")
        assert b.at("kept.engine").read_text() == "what was there", name
    assert not [f for f in os.listdir(b.folder) if f.startswith("kept.engine.")]


@test
def bad_runs(b):
    small(b)
    b.good("build", "m.onnx", "-o", "m.engine", "--profile", "x=1x3:2x3:4x3")
    for name, array in (("good", np.ones((2, 3), np.float32)), ("type", np.ones((2, 3))),
                        ("rank", np.ones(3, np.float32)), ("inner", np.ones((2, 5), np.float32)),
                        ("many", np.ones((9, 3), np.float32))):
        np.save(b.at(f"{name}.npy"), array)
    b.good("run", "m.engine", "--input", "x=good.npy")
    b.refuses("an engine", "build", "m.engine", "-o", "other.engine")
    done = b.call("run", "m.engine", "--input", "x=type.npy", "--json")
    assert done.returncode == 1 and "holds float64, the input takes float32" in json.loads(done.stdout)["error"]
    for part, words in (("z", ["--input", "z=good.npy"]), ("type.npy", ["--input", "x=type.npy"]),
                        ("rank", ["--input", "x=rank.npy"]), ("'x'", ["--input", "x=inner.npy"]),
                        ("profile", ["--input", "x=many.npy"]), ("absent.npy", ["--input", "x=absent.npy"]),
                        ("'x'", [])):
        b.refuses(part, "run", "m.engine", *words)


@test
def outputs_destroy_nothing(b):
    small(b)
    before = b.at("m.onnx").read_bytes()
    b.refuses("overwrite", "build", "m.onnx", "-o", "m.onnx")
    b.refuses("overwrite", "build", "m.onnx", "-o", "e", "--explain", "m.onnx")
    b.refuses("overwrite", "build", "m.onnx", "-o", "e", "--explain", "./e")
    b.refuses("no file", "build", "m.onnx", "-o", "/dev/null")
    b.refuses("empty", "build", "m.onnx", "-o", "")
    b.refuses("nowhere", "build", "m.onnx", "-o", "e", "--explain", "/nowhere/e.json")
    b.at("folder").mkdir()
    b.at("dangling").symlink_to("e")
    b.refuses("no file", "build", "m.onnx", "-o", "e", "--explain", "folder")
    b.refuses("overwrite", "build", "m.onnx", "-o", "e", "--explain", "dangling")
    b.good("build", "m.onnx", "-o", "r.json.part", "--explain", "r.json")
    b.good("run", "r.json.part", "--shape", "x=2x3")
    b.at("r.json").chmod(0o600)
    piped = b.good("build", "m.onnx", "-o", "p.engine", "--explain", "/dev/stdout")
    assert json.loads(piped.stdout)["plans"]
    with open(b.at("log"), "a") as log:
        log.write("kept\n")
        log.flush()
        words = [str(b.binary), "build", "m.onnx", "-o", "p.engine", "--explain", "/dev/stdout"]
        subprocess.run(words, cwd=b.folder, stdout=log, check=True)
    assert b.at("log").read_text().startswith("kept\n{")
    b.good("build", "m.onnx", "-o", "p.engine", "--explain", "r.json")
    assert b.at("r.json").stat().st_mode & 0o777 == 0o600
    b.at("p.engine").unlink()
    assert b.at("m.onnx").read_bytes() == before and not b.at("e").exists()
    assert Path("/dev/null").is_char_device()
    b.at("real").mkdir()
    b.at("real/e.engine").write_text("old")
    b.at("link.engine").symlink_to("real/e.engine")
    b.good("build", "m.onnx", "-o", "link.engine")
    assert b.at("link.engine").is_symlink() and b.at("real/e.engine").stat().st_size > 4096


@test
def interrupted_builds_leave_nothing(b):
    nodes, last = [], "x"
    rng = np.random.default_rng(0)
    weights = []
    for i in range(150):
        weights.append(h.make_tensor(f"w{i}", T.FLOAT, [256, 256, 3, 3], rng.random(256 * 256 * 9, np.float32).tobytes(),
                                     raw=True))
        nodes.append(h.make_node("Conv", [last, f"w{i}"], [f"c{i}"], pads=[1, 1, 1, 1]))
        last = f"c{i}"
    b.save("slow.onnx", nodes, [value("x", T.FLOAT, [1, 256, 20 , 20])], [value(last, T.FLOAT, None)], weights, check=False)
    interrupted = 0
    for seconds in (0.5, 1.5, 3):
        build = subprocess.Popen([str(b.binary), "build", "slow.onnx", "-o", "slow.engine"], cwd=b.folder,
                                 stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        build.send_signal(signal.SIGINT)
        build.wait(60)
        left = [f for f in os.listdir(b.folder) if f.startswith("slow.engine.")]
        assert not left, left
        assert build.returncode in (0, 1) and (build.returncode == 0) == b.at("slow.engine").exists(), build.returncode
        b.at("slow.engine").unlink(missing_ok=True)
        interrupted += build.returncode
    assert interrupted > 0


@test
def several_profiles(b):
    product = h.make_node("MatMul", ["a", "b"], ["y"])
    b.save("two.onnx", [product], [value("a", T.FLOAT, ["m", "k"]), value("b", T.FLOAT, ["k", "n"])],
           [value("y", T.FLOAT, ["m", "n"])])
    b.good("build", "two.onnx", "-o", "two.engine", "--profile", "a=1x4:2x4:2x4", "--profile", "b=4x1:4x2:4x2",
           "--profile", "a=8x4:8x4:16x4", "--profile", "b=4x8:4x8:4x16")
    profiles = json.loads(b.good("inspect", "two.engine", "--json").stdout)["profiles"]
    assert len(profiles) == 2, profiles
    plans = json.loads(b.good("inspect", "two.engine", "--json").stdout)["plans"]
    assert [(p["index"], p["profile"]) for p in plans] == list(enumerate(profiles)), plans
    for m, n in ((1, 2), (8, 16), (16, 8)):
        x, w = np.random.rand(m, 4).astype(np.float32), np.random.rand(4, n).astype(np.float32)
        (y,) = b.run("two.engine", {"a": x, "b": w}, ["y"])
        assert np.allclose(y, x @ w, atol=1e-5)
    for m, n in ((4, 4), (2, 16), (17, 8)):
        for part in ("a [1, 4] to [2, 4], b [4, 1] to [4, 2]", "a [8, 4] to [16, 4], b [4, 8] to [4, 16]"):
            b.refuses(part, "run", "two.engine", "--shape", f"a={m}x4", "--shape", f"b=4x{n}")


@test
def flags_take_one_value(b):
    small(b)
    b.good("build", "--profile", "x=1x3:2x3:4x3", "--disable-pass", "simplify", "-o", "e.engine", "m.onnx")
    b.good("run", "--shape", "x=2x3", "e.engine")
    b.refuses("nosuch", "build", "m.onnx", "-o", "e2.engine", "--disable-pass", "nosuch")
    b.refuses("threads", "build", "m.onnx", "-o", "e2.engine", "--threads", "-3")


@test
def knobs(b):
    small(b)
    b.refuses("nosuch", "build", "m.onnx", "-o", "e.engine", env={"VITRIFY_DISABLE_PASSES": "nosuch"})
    b.refuses("nosuch", "build", "m.onnx", "-o", "e.engine", env={"VITRIFY_DISABLE_RULES": "nosuch"})
    b.refuses("VITRIFY_MAX_ISA", "build", "m.onnx", "-o", "e.engine", env={"VITRIFY_MAX_ISA": "quantum"})
    b.refuses("there is no tactic 'nosuch'", "build", "m.onnx", "-o", "e.engine",
              env={"VITRIFY_DISABLE_TACTICS": "cpu.matmul;nosuch"})
    b.good("build", "m.onnx", "-o", "slow.engine", env={"VITRIFY_DISABLE_TACTICS": "cpu.matmul"})
    b.good("build", "m.onnx", "-o", "fused.engine")
    b.good("build", "m.onnx", "-o", "apart.engine", env={"VITRIFY_DISABLE_PASSES": "fuse_epilogues;fuse_pointwise"})
    steps = [len(json.loads(b.good("inspect", f"{n}.engine", "--json").stdout)["steps"]) for n in ("fused", "apart")]
    assert steps == [1, 2], steps
    b.good("build", "m.onnx", "-o", "base.engine", env={"VITRIFY_MAX_ISA": "baseline"})
    for isa in ("baseline", "avx2"):
        b.good("run", "base.engine", "--shape", "x=2x3", env={"VITRIFY_MAX_ISA": isa})
    features = [f for f in ("avx512", "avx2") if f.encode() in b.at("fused.engine").read_bytes()[:4096]]
    if features:
        b.refuses(features[0], "run", "fused.engine", "--shape", "x=2x3", env={"VITRIFY_MAX_ISA": "baseline"})
    text = (vitrify_cli.ROOT / "README.md").read_text()
    told = set(re.findall(r"VITRIFY_[A-Z_]+", b.good("--help").stdout))
    assert told and told == set(re.findall(r"^\| `(VITRIFY_[A-Z_]+)`", text, re.M)), told


@test
def malformed_numbers_in_the_environment(b):
    small(b)
    b.good("build", "m.onnx", "-o", "m.engine")
    for name, text in (("THREADS", "abc"), ("THREADS", "-1"), ("THREADS", "2x"), ("VERBOSE", "loud")):
        for words in (("build", "m.onnx", "-o", "e.engine"), ("run", "m.onnx", "--shape", "x=2x3"),
                      ("run", "m.engine", "--shape", "x=2x3"), ("inspect", "m.onnx"), ("inspect", "m.engine"),
                      ("inspect", "m.onnx", "--graph", "imported"), ("ops",)):
            b.refuses(f"VITRIFY_{name} must be a whole number from 0 on, not '{text}'", *words,
                      env={f"VITRIFY_{name}": text})
    empty = {"VITRIFY_THREADS": "", "VITRIFY_VERBOSE": "", "VITRIFY_MAX_ISA": ""}
    b.good("run", "m.engine", "--shape", "x=2x3", env=empty)


@test
def commands_and_choices_are_named(b):
    b.refuses("json", "inspect", "m.onnx", "--json=1")
    small(b)
    for words in (["foo"], ["foo", "--json-ish"], ["--bar", "foo"], []):
        b.refuses("build, run, bench, inspect, ops", *words)
    b.refuses("'foo'", "foo")
    b.good("build", "m.onnx", "-o", "m.engine")
    for file in ("m.onnx", "m.engine"):
        for words in (["run", file, "--shape", "x=2x3"], ["bench", file, "--shape", "x=2x3"], ["inspect", file]):
            b.refuses("write full or lazy, not 'bogus'", *words, "--verify", "bogus")
    done = b.call("run", "m.onnx", "--verify", "bogus", "--json")
    assert done.returncode == 1 and "bogus" in json.loads(done.stdout)["error"], done.stdout
    text = b.good("--help").stdout
    for part in ("THREADS", "MAX_ISA", "VERBOSE", "DISABLE_PASSES", "DISABLE_RULES", "DISABLE_TACTICS"):
        assert f"VITRIFY_{part}" in text, text
    assert "Exit status: 0 good, 1 a mistake in what was given" in text, text
    assert "VITRIFY" not in b.good("run", "--help").stdout


@test
def runs_tell_of_their_outputs(b):
    nodes = [h.make_node("Neg", ["x"], ["minus"]), h.make_node("Cast", ["x"], ["half"], to=T.FLOAT16),
             h.make_node("Cast", ["x"], ["brain"], to=T.BFLOAT16), h.make_node("Cast", ["x"], ["whole"], to=T.INT64),
             h.make_node("SplitToSequence", ["x"], ["parts"], axis=0)]
    types = {"minus": T.FLOAT, "half": T.FLOAT16, "brain": T.BFLOAT16, "whole": T.INT64}
    outputs = [value(name, dtype, ["n"]) for name, dtype in types.items()]
    b.save("five.onnx", nodes, [value("x", T.FLOAT, ["n"])], outputs + [h.make_tensor_sequence_value_info(
        "parts", T.FLOAT, None)])
    np.save(b.at("x.npy"), np.array([1, -2.5, 4, np.nan], np.float32))
    done = b.good("run", "five.onnx", "--input", "x=x.npy", "--output-dir", "out")
    rows = {line.split()[0]: line for line in done.stderr.splitlines()}
    assert "{" not in done.stderr and not done.stdout, done
    for name, parts in {"minus": ["f32[4]", "min -4", "mean -0.833333", "max 2.5", "1 NaN", "-> out/minus.npy"],
                        "half": ["f16[4]", "min -2.5", "max 4"], "brain": ["bf16[4]", "min -2.5", "max 4"],
                        "whole": ["i64[4]", "max 4"],
                        "parts": ["sequence of 4", "out/parts.0.npy", "out/parts.3.npy"]}.items():
        assert all(part in rows[name] for part in parts), (name, parts, rows)
    np.save(b.at("x.npy"), np.array([1, 2], np.float32))
    done = b.good("run", "five.onnx", "--input", "x=x.npy", "--output-dir", "out", "--json")
    assert "'out/parts.2.npy' is older than this run" in done.stderr and b.at("out/parts.3.npy").exists(), done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)["outputs"]}
    assert {name: rows[name]["dtype"] for name in types} == {"minus": "f32", "half": "f16", "brain": "bf16",
                                                             "whole": "i64"}, rows
    assert rows["parts"]["size"] == 2 and rows["parts"]["files"] == ["out/parts.0.npy", "out/parts.1.npy"], rows
    assert (rows["minus"]["min"], rows["minus"]["mean"], rows["minus"]["max"]) == (-2, -1.5, -1), rows


@test
def arrays_of_other_kinds_are_refused(b):
    small(b)
    for part, array in (("it holds Python objects ('|O')", np.array(["a", 3], dtype=object)),
                        ("it holds byte strings ('|S3')", np.array([b"abc"])),
                        ("element type '<M8[D]' is not supported", np.array(["2020-01-01"], "M8[D]")),
                        ("structured arrays are not supported", np.zeros(2, [("a", "f4")]))):
        np.save(b.at("odd.npy"), array, allow_pickle=True)
        b.refuses(part, "run", "m.onnx", "--input", "x=odd.npy")
        assert "fortran" not in b.call("run", "m.onnx", "--input", "x=odd.npy").stderr


def npy(header, data=b""):
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


@test
def damaged_arrays_are_refused(b):
    identity(b, T.STRING, ["n"])
    small(b)
    for descr, shape, model, part in (("<U0", "(4611686018427387904,)", "id.onnx", "empty strings"),
                                      ("<U0", "(17179869184,)", "id.onnx", "empty strings"),
                                      ("<f4", "(2.9, 3e0)", "m.onnx", "shape"), ("<f4", "(2 9, 3)", "m.onnx", "shape")):
        header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
        b.at("odd.npy").write_bytes(npy(header, bytes(24)))
        b.refuses(part, "run", model, "--input", "x=odd.npy")


@test
def options_that_say_nothing_are_refused(b):
    small(b)
    for words in (("--explain", ""), ("--output-dir", ""), ("--shape", "")):
        command = "build" if words[0] == "--explain" else "run"
        b.refuses(f"{words[0]}: is empty", command, "m.onnx", *(("-o", "m.engine") if command == "build" else ()), *words)
    b.refuses("--shape x is given twice", "run", "m.onnx", "--shape", "x=2x3", "--shape", "x=3x3")
    np.save(b.at("x.npy"), np.ones((2, 3), np.float32))
    b.refuses("both --input and --shape", "run", "m.onnx", "--shape", "x=2x3", "--input", "x=x.npy")
    b.refuses("--verify is for engines", "run", "m.onnx", "--shape", "x=2x3", "--verify", "lazy")
    b.refuses("input 'x': no memory", "run", "m.onnx", "--shape", "x=4000000000000x3")
    b.refuses("VITRIFY_DISABLE_PASSES: there is no pass 'a'", "run", "m.onnx", "--shape", "x=2x3",
              env={"VITRIFY_DISABLE_PASSES": "a;b"})
    b.good("build", "m.onnx", "-o", "m.engine", "--profile", "x=1x3:99999999999x3:99999999999x3")  # too large to time


@test
def headers_quoted_as_json_are_read(b):
    x = np.arange(3, dtype=np.float32)
    identity(b, T.FLOAT, [3])
    b.at("x.npy").write_bytes(npy('{"descr": "<f4", "fortran_order": False, "shape": (3,), }', x.tobytes()))
    b.good("run", "id.onnx", "--input", "x=x.npy", "--output-dir", "out")
    assert np.array_equal(np.load(b.at("out/y.npy")), x)


@test
def text_of_files_leaves_the_terminal_alone(b):
    name = "\x1b[2Jboo\u009b2J日本"
    b.save("esc.onnx", [h.make_node("Relu", ["x"], [name], name=name)], [value("x", T.FLOAT, [2])],
           [value(name, T.FLOAT, [2])])
    attribute = h.make_node("Relu", ["x"], ["y"], name=name)
    attribute.attribute.append(h.make_attribute("a" * 100_000, 1))
    b.save("bad.onnx", [attribute], [value("x", T.FLOAT, [2])], [value("y", T.FLOAT, [2])], check=False)
    shown = [b.good("inspect", "esc.onnx"), b.good("run", "esc.onnx"), b.call("run", "bad.onnx"),
             b.call("inspect", "bad.onnx"), b.good("inspect", "esc.onnx", "--graph", "imported")]
    for done in shown:
        text = done.stdout + done.stderr
        assert "\x1b" not in text and "\u009b" not in text and "\\x1b[2Jboo\\xc2\\x9b2J日本" in text and len(text) < 5000, text[:300]
    assert json.loads(b.good("inspect", "esc.onnx", "--json").stdout)["outputs"][0]["name"] == name


@test
def extents_of_long_chains_stay_small(b):
    """Shapes that grow with every op must not make builds slow, nor engines that cannot be loaded."""
    x = value("x", T.FLOAT, ["b", 3, "h", "w"])
    scale = h.make_tensor("s", T.FLOAT, [4], [1, 1, 2, 2])
    nodes, levels = [], ["x"]
    for i in range(1, 4):
        nodes.append(h.make_node("MaxPool", [levels[-1]], [f"l{i}"], kernel_shape=[2, 2], strides=[2, 2]))
        levels.append(f"l{i}")
    for layer in range(5):  # as feature pyramids do: from the coarsest to the finest and back
        for i in (2, 1, 0):
            nodes += [h.make_node("Resize", [levels[i + 1], "", "s"], [f"u{layer}_{i}"], mode="nearest",
                                  coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
                      h.make_node("Add", [levels[i], f"u{layer}_{i}"], [f"t{layer}_{i}"])]
            levels[i] = f"t{layer}_{i}"
        for i in (1, 2, 3):
            nodes += [h.make_node("MaxPool", [levels[i - 1]], [f"m{layer}_{i}"], kernel_shape=[2, 2], strides=[2, 2]),
                      h.make_node("Add", [levels[i], f"m{layer}_{i}"], [f"b{layer}_{i}"])]
            levels[i] = f"b{layer}_{i}"
    b.save("pyramid.onnx", nodes, [x], [value(levels[0], T.FLOAT, None)], [scale], check=False)
    steps = [h.make_node("Slice", ["x" if i == 0 else f"c{i - 1}", "from", "to", "axis"], [f"c{i}"]) for i in range(80)]
    b.save("slices.onnx", steps, [x], [value("c79", T.FLOAT, None)],
           [h.make_tensor(n, T.INT64, [1], [v]) for n, v in (("from", 1), ("to", -1), ("axis", 2))], check=False)
    chain = [h.make_node("Shape", ["x"], ["n0"])]
    for i in range(3000):
        chain += [h.make_node("Add", [f"n{i}", "one"], [f"a{i}"]), h.make_node("Div", [f"a{i}", "two"], [f"n{i + 1}"])]
    b.save("chain.onnx", chain, [x], [value("n3000", T.INT64, None)],
           [h.make_tensor(n, T.INT64, [], [v]) for n, v in (("one", 1), ("two", 2))], check=False)
    for name, size in (("pyramid", 64), ("slices", 200), ("chain", 16)):
        b.good("build", f"{name}.onnx", "-o", f"{name}.engine", "--no-timing")
        outputs = json.loads(b.good("run", f"{name}.engine", "--shape", f"x=1x3x{size}x16", "--json").stdout)["outputs"]
        assert outputs[0]["shape"] == {"pyramid": [1, 3, 64, 16], "slices": [1, 3, 40, 16], "chain": [4]}[name], outputs


@test
def only_regular_files_are_read(b):
    small(b)
    os.mkfifo(b.at("pipe"))
    for path in ("pipe", "/dev/zero", "/dev/null", "."):
        for words in (["inspect", path], ["run", path], ["bench", path], ["build", path, "-o", "e.engine"],
                      ["run", "m.onnx", "--input", f"x={path}"]):
            b.refuses(f"'{path}'", *words)


@test
def graphs_after_every_stage(b):
    small(b)
    done = b.call("inspect", "m.onnx", "--graph", "nosuch")
    assert done.returncode == 1 and "fuse_epilogues" in done.stderr, done.stderr
    for stage in ("imported", "fold_constants", "simplify", "push_transposes", "fuse_epilogues", "fuse_pointwise"):
        assert "matmul" in b.good("inspect", "m.onnx", "--graph", stage).stdout, stage


def rewritten(b):
    """A model in which every pass finds something to do; its nodes."""
    rng = np.random.default_rng(0)

    def weight(name, *dims):
        return h.make_tensor(name, T.FLOAT, dims, rng.standard_normal(dims).astype(np.float32).reshape(-1))

    nodes = [h.make_node("Identity", ["x"], ["i"], name="nothing"),
             h.make_node("Conv", ["i", "w1"], ["c"], name="conv", pads=[1, 1, 1, 1]),
             h.make_node("BatchNormalization", ["c", "s", "s", "s", "v"], ["n"], name="norm"),
             h.make_node("Relu", ["n"], ["r"], name="relu"),
             h.make_node("Sigmoid", ["r"], ["g1"], name="twin_1"), h.make_node("Sigmoid", ["r"], ["g2"], name="twin_2"),
             h.make_node("Mul", ["g1", "g2"], ["q"], name="square"),
             h.make_node("Concat", ["q", "r"], ["k"], name="concat", axis=1),
             h.make_node("Add", ["half", "half"], ["one"], name="folded"),
             h.make_node("Mul", ["k", "one"], ["y"], name="scale")]
    b.save("all.onnx", nodes, [value("x", T.FLOAT, [1, 3, 8, 8])], [value("y", T.FLOAT, [1, 8, 8, 8])],
           [weight("w1", 4, 3, 3, 3), weight("s", 4), h.make_tensor("v", T.FLOAT, [4], [1, 2, 3, 4]),
            h.make_tensor("half", T.FLOAT, [1], [0.5])])
    return nodes


@test
def every_rewrite_is_explained(b):
    nodes = rewritten(b)
    b.good("build", "all.onnx", "-o", "all.engine", "--explain", "why.json")
    why = json.loads(b.at("why.json").read_text())
    seen = {(d["pass"], name) for d in why["decisions"] for name in d["where"]}
    for what in (("fold_constants", "folded"), ("push_transposes", "concat"), ("fold_affine", "norm"),
                 ("fuse_epilogues", "relu"), ("simplify", "scale")):
        assert any(p.startswith(what[0]) and n == what[1] for p, n in seen), (what, sorted(seen))
    rules = " ".join(d["rule"] for d in why["decisions"])
    for rule in ("Conv-1 -> transpose, conv, transpose", "equal sigmoids -> one", "op(constants) -> constant"):
        assert rule in rules, (rule, rules)
    assert any(d["pass"] == "add_aliases" for d in why["decisions"])
    known = {n.name for n in nodes} | {name for n in nodes for name in n.output}
    for d in why["decisions"]:
        assert d["pass"] and d["rule"] and d["effect"] and d["where"], d
        assert set(d["where"]) <= known, d
    plan = why["plans"][0]
    assert plan["index"] == 0 and plan["profile"][0]["input"] == "x", plan
    assert plan["profile"][0]["max"] == [1, 3, 8, 8], plan
    for step in plan["steps"]:
        assert step["origin"] and step["outputs"] and all(step["inputs"]), step
    assert "y" in [name for step in plan["steps"] for name in step["outputs"]], plan["steps"]


def decisions(b, *words, env=None):
    b.good("build", "all.onnx", "-o", "some.engine", "--no-timing", "--explain", "some.json", *words, env=env)
    return json.loads(b.at("some.json").read_text())["decisions"]


@test
def every_decision_of_a_pass_can_be_left_out(b):
    rewritten(b)
    x = np.random.default_rng(1).standard_normal((1, 3, 8, 8)).astype(np.float32)
    (want,) = b.run("all.onnx", {"x": x}, ["y"])
    made = decisions(b)
    names = {d["rule"]: d["pass"] for d in made if d["pass"] not in ("import", "split_refused", "store_constants")}
    assert {"push_transposes", "fold_affine", "fuse_epilogues", "add_aliases"} <= set(names.values()), names
    for name, where in names.items():
        left = [d for d in decisions(b, "--disable-pass", name) if d["rule"] == name]
        assert all(d["effect"] == "left out" for d in left), (where, left)
        (y,) = b.run("some.engine", {"x": x}, ["y"])
        assert np.allclose(y, want, rtol=1e-4, atol=1e-5), (where, name)
    name = next(name for name, where in names.items() if where == "push_transposes")
    left = decisions(b, env={"VITRIFY_DISABLE_RULES": name})
    assert [d["effect"] for d in left if d["pass"] == "push_transposes"] == ["left out"], left
    assert not [d for d in decisions(b, "--disable-pass", "add_aliases") if d["pass"] == "add_aliases"]
    name = next(d["rule"] for d in made if d["pass"] == "import")
    b.refuses("is a decision of 'import', which cannot be left out", "build", "all.onnx", "-o", "no.engine",
              "--disable-pass", name)
    b.refuses("nor does a pass decide so in this model", "build", "all.onnx", "-o", "no.engine", "--disable-pass",
              "lstm -> gold")
    assert not b.at("no.engine").exists()


@test
def bodies_and_plans_are_shown(b):
    yes = h.make_graph([h.make_node("MatMul", ["x", "x"], ["m"]), h.make_node("Relu", ["m"], ["a"])],
                       "yes", [], [value("a", T.FLOAT, None)])
    no = h.make_graph([h.make_node("Neg", ["x"], ["n"])], "no", [], [value("n", T.FLOAT, None)])
    pick = h.make_node("If", ["c"], ["z"], name="pick", then_branch=yes, else_branch=no)
    b.save("if.onnx", [pick], [value("x", T.FLOAT, [4, 4]), value("c", T.BOOL, [])], [value("z", T.FLOAT, [4, 4])])
    b.good("build", "if.onnx", "-o", "if.engine", "--explain", "why.json")
    for file in ("if.onnx", "if.engine"):
        about = json.loads(b.good("inspect", file, "--json").stdout)
        (step,) = about["steps"]
        assert (step["tactic"], step["bodies"]) == ("planned bodies", [0, 1]), step
        bodies = [(body["index"], body["graph"], [s["label"] for s in body["steps"]]) for body in about["bodies"]]
        assert bodies == [(0, "yes", ["matmul"]), (1, "no", ["neg"])] or bodies[0][2][0].startswith("matmul"), bodies
        text = b.good("inspect", file).stdout
        for part in ("z = if : f32[4, 4] on planned bodies 0, 1", "body 0 (yes)", "body 1 (no)", "a = matmul",
                     "pick/then_branch", "n = neg"):
            assert part in text, (part, text)
        assert "on reference " not in text.replace("on reference kernels", ""), text
    why = json.loads(b.at("why.json").read_text())
    assert why["plans"][0]["steps"][0]["tactic"] == "planned bodies" and why["reference_steps"] == 0, why["plans"]
    product = h.make_node("MatMul", ["a", "b"], ["y"])
    b.save("two.onnx", [product], [value("a", T.FLOAT, ["m", 4]), value("b", T.FLOAT, [4, "n"])],
           [value("y", T.FLOAT, ["m", "n"])])
    b.good("build", "two.onnx", "-o", "two.engine", "--profile", "a=1x4:2x4:2x4", "--profile", "a=8x4:8x4:16x4")
    text = b.good("inspect", "two.engine").stdout
    assert "plan 0: 1 steps" in text and "plan 1: 1 steps" in text and text.count("y = matmul") == 2, text
    plans = json.loads(b.good("inspect", "two.engine", "--json").stdout)["plans"]
    assert [(len(plan["steps"]), plan["reference_steps"]) for plan in plans] == [(1, 0), (1, 0)], plans


@test
def dims_that_inputs_share_are_given_once(b):
    b.save("sum.onnx", [h.make_node("Add", ["a", "b"], ["y"])],
           [value("a", T.FLOAT, ["batch", 4]), value("b", T.FLOAT, ["batch", 4])], [value("y", T.FLOAT, ["batch", 4])])
    np.save(b.at("two.npy"), np.ones((2, 4), np.float32))
    np.save(b.at("three.npy"), np.ones((3, 4), np.float32))
    shared = "the dim 'batch' is axis 0 of input 'a' and axis 0 of input 'b', but they are given as "
    for command in (["run", "sum.onnx"], ["bench", "sum.onnx"]):
        b.refuses(shared + "2 and 3", *command, "--shape", "a=2x4", "--shape", "b=3x4")
        b.refuses("input 'b' has extent 3", *command, "--shape", "a=2x4", "--input", "b=three.npy")
    for command in (["build", "sum.onnx", "-o", "no.engine"], ["inspect", "sum.onnx"],
                    ["inspect", "sum.onnx", "--graph", "imported"]):
        b.refuses(shared + "1:1:4 and 1:1:8", *command, "--profile", "a=1x4:1x4:4x4", "--profile", "b=1x4:1x4:8x4")
        b.refuses(shared + "4 and 1:1:8", *command, "--profile", "a=4x4", "--profile", "b=1x4:1x4:8x4")
    assert not b.at("no.engine").exists()
    b.good("run", "sum.onnx", "--shape", "a=2x4", "--input", "b=two.npy")
    for unknown in ("?", "None"):  # written for each unknown extent: not one dim
        b.save("open.onnx", [h.make_node("Relu", ["x"], ["y"]), h.make_node("Relu", ["z"], ["u"])],
               [value("x", T.FLOAT, [unknown, 3, unknown]), value("z", T.FLOAT, [unknown])],
               [value("y", T.FLOAT, [unknown, 3, unknown]), value("u", T.FLOAT, [unknown])])
        b.good("run", "open.onnx", "--shape", "x=1x3x48", "--shape", "z=7")
        b.good("build", "open.onnx", "-o", "open.engine", "--profile", "x=1x3x8:1x3x48:2x3x99", "--profile", "z=1:7:9")
        b.good("run", "open.engine", "--shape", "x=2x3x50", "--shape", "z=8")
    b.good("build", "sum.onnx", "-o", "sum.engine", "--profile", "a=1x4:1x4:4x4", "--profile", "b=1x4:1x4:4x4",
           "--profile", "a=8x4", "--profile", "b=8x4")


@test
def inputs_are_all_given_or_none(b):
    b.save("sum.onnx", [h.make_node("Add", ["a", "b"], ["y"])],
           [value("a", T.FLOAT, [4]), value("b", T.FLOAT, [4])], [value("y", T.FLOAT, [4])])
    np.save(b.at("a.npy"), np.ones(4, np.float32))
    b.good("run", "sum.onnx")
    b.refuses("input 'b' is not given: --input b=FILE.npy, or --shape b=", "run", "sum.onnx", "--input", "a=a.npy")
    b.good("run", "sum.onnx", "--input", "a=a.npy", "--shape", "b=4")
    b.refuses("--input a is given twice", "run", "sum.onnx", "--input", "a=a.npy", "--input", "a=a.npy")


@test
def output_that_cannot_be_written_is_an_error(b):
    with open("/dev/full", "w") as full:
        done = subprocess.run([str(b.binary), "ops", "--json"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "standard output" in done.stderr, done


@test
def bad_indices_are_named(b):
    x, i = value("x", T.FLOAT, [3, 4]), value("i", T.INT64, [1, 2])
    np.save(b.at("x.npy"), np.zeros((3, 4), np.float32))
    np.save(b.at("i.npy"), np.array([[0, -9]]))
    nodes = {"gather": h.make_node("Gather", ["x", "i"], ["y"], name="pick", axis=1),
             "gather_elements": h.make_node("GatherElements", ["x", "i"], ["y"], name="pick", axis=1),
             "gather_nd": h.make_node("GatherND", ["x", "i"], ["y"], name="pick"),
             "scatter_elements": h.make_node("ScatterElements", ["x", "i", "u"], ["y"], name="pick", axis=1),
             "scatter_nd": h.make_node("ScatterND", ["x", "i", "v"], ["y"], name="pick")}
    constants = [h.make_tensor("u", T.FLOAT, [1, 2], [1, 2]), h.make_tensor("v", T.FLOAT, [1], [1])]
    for op, node in nodes.items():
        b.save("bad.onnx", [node], [x, i], [value("y", T.FLOAT, None)], constants, check=False)
        b.refuses(f"pick: {op}: index -9 is out of range for axis 1 of extent 4", "run", "bad.onnx",
                  "--input", "x=x.npy", "--input", "i=i.npy")


@test
def builds_from_two_folders_are_identical(b):
    for name in ("one", "two"):
        b.at(name).mkdir()
        small(b, f"{name}/{name}.onnx")
        b.good("build", f"{name}/{name}.onnx", "-o", f"{name}/{name}.engine", "--no-timing")
    assert b.at("one/one.engine").read_bytes() == b.at("two/two.engine").read_bytes()


@test
def the_list_of_operators_is_written_down(b):
    stored = (vitrify_cli.ROOT / "docs" / "operators.md").read_text()
    assert stored == b.good("ops").stdout, "docs/operators.md: write it again with `vitrify ops`"
    rows = {row["op"]: row["kernels"] for row in json.loads(b.good("ops", "--json").stdout)["operators"]}
    assert rows["Conv"]["cpu"]["f32"] == "fast" and rows["Conv"]["cpu"]["f64"] == "reference", rows["Conv"]
    assert set(rows["ScatterND"]["cpu"].values()) == {"reference"} and rows["LSTM"] is None, rows["ScatterND"]
    assert all(kind == "reference" for row in rows.values() if row for kind in row["null"].values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--vitrify", type=lambda p: Path(p).resolve(), default=vitrify_cli.DEFAULT, metavar="FILE")
    options, failed, ran = parser.parse_args(), 0, 0
    for function in TESTS:
        if options.names and function.__name__ not in options.names:
            continue
        ran += 1
        with tempfile.TemporaryDirectory(prefix="vitrify-") as folder:
            try:
                function(Bench(options.vitrify, Path(folder)))
            except Exception:
                failed += 1
                print(f"FAIL {function.__name__}\n{traceback.format_exc(limit=-2)}", flush=True)
    print(f"{ran - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
