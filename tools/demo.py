"""Reads the text in a picture with two trained models, PP-OCR's detector and recogniser.

usage: demo.py [--vitrify FILE] [--picture FILE] [--engines DIR]

Builds an engine for each model (once), finds the lines of text, reads them, prints what it read, and compares the
latency of both models with ONNX Runtime's on the same inputs.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort
from PIL import Image, ImageDraw, ImageFont

import vitrify_cli
from zoo import ZOO

ROOT = vitrify_cli.ROOT
LINES = ("Vitrify: from a model to an engine", "Invoice 2026-1122", "3 x glass pane 40 x 60     18.75", "1 x putty 500 g             6.20",
         "Total EUR 24.95", "Thank you for your visit!")
PROFILES = {"ppocr_det": ["x=1x3x32x32:1x3x640x640:1x3x1280x1280"], "ppocr_rec": ["x=1x3x48x32:1x3x48x320:8x3x48x1600"]}


def draw_picture(path):
    """A receipt to read, for whoever brings no picture of his own."""
    image = Image.new("RGB", (640, 400), (250, 248, 240))
    draw = ImageDraw.Draw(image)
    for i, line in enumerate(LINES):
        draw.text((40, 30 + 58 * i), line, fill=(20, 20, 30), font=ImageFont.load_default(30 if i == 0 else 26))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


# ---- around the detector: Differentiable Binarization, https://arxiv.org/abs/1911.08947 ----

def detector_input(image):
    """1x3xHxW with both sides multiples of 32, normalised as PP-OCR was trained."""
    scale = min(1.0, 960 / max(image.size))
    width, height = (max(32, round(side * scale / 32) * 32) for side in image.size)
    pixels = np.asarray(image.resize((width, height)), np.float32)[:, :, ::-1] / 255
    pixels = (pixels - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)


def components(mask):
    """Bounding boxes (x0, y0, x1, y1) of the connected regions of a boolean map."""
    seen, boxes = np.zeros(mask.shape, bool), []
    for y, x in zip(*np.nonzero(mask)):
        if seen[y, x]:
            continue
        seen[y, x], stack, x0, y0, x1, y1 = True, [(y, x)], x, y, x, y
        while stack:
            b, a = stack.pop()
            x0, y0, x1, y1 = min(x0, a), min(y0, b), max(x1, a), max(y1, b)
            for v, u in ((b - 1, a), (b + 1, a), (b, a - 1), (b, a + 1)):
                if 0 <= v < mask.shape[0] and 0 <= u < mask.shape[1] and mask[v, u] and not seen[v, u]:
                    seen[v, u] = True
                    stack.append((v, u))
        boxes.append((x0, y0, x1 + 1, y1 + 1))
    return boxes


def text_boxes(probability, size, threshold=0.3, unclip=1.6):
    """Lines of text in the picture's pixels, top to bottom. The map marks shrunken regions; they grow back."""
    height, width = probability.shape
    boxes = []
    for x0, y0, x1, y1 in components(probability > threshold):
        w, h = x1 - x0, y1 - y0
        if min(w, h) < 3 or probability[y0:y1, x0:x1].mean() < 0.5:
            continue
        grow = w * h * unclip / (2 * (w + h))
        x0, y0, x1, y1 = max(0, x0 - grow), max(0, y0 - grow), min(width, x1 + grow), min(height, y1 + grow)
        boxes.append((x0 * size[0] / width, y0 * size[1] / height, x1 * size[0] / width, y1 * size[1] / height))
    return sorted(boxes, key=lambda box: (round(box[1] / 16), box[0]))


# ---- around the recogniser: CTC ----

def recogniser_input(image, box):
    crop = image.crop(tuple(round(v) for v in box))
    width = max(32, min(1600, round(crop.width * 48 / crop.height)))
    pixels = np.asarray(crop.resize((width, 48)), np.float32)[:, :, ::-1] / 127.5 - 1
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)


def decode(scores, alphabet):
    """The best path of CTC: repeats collapse, class 0 is blank."""
    best = scores[0].argmax(axis=1)
    kept = [c for i, c in enumerate(best) if c and (i == 0 or c != best[i - 1])]
    return "".join(alphabet[c - 1] for c in kept if c - 1 < len(alphabet))


def alphabet_of(model):
    text = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"]).get_modelmeta().custom_metadata_map["character"]
    return text.splitlines() + [" "]


# ---- the two runners ----

def build_engine(options, name):
    """The engine's path; built when missing or older than the model, with a progress bar on a terminal."""
    model, engine = ZOO / f"{name}.onnx", options.engines / f"{name}.engine"
    if not engine.exists() or engine.stat().st_mtime < max(model.stat().st_mtime, options.vitrify.stat().st_mtime):
        engine.parent.mkdir(parents=True, exist_ok=True)
        print(f"building {engine.name} …", flush=True)
        flags = [part for profile in PROFILES[name] for part in ("--profile", profile)]
        subprocess.run([str(options.vitrify), "build", str(model), "-o", str(engine), *flags], check=True)
    return engine


def latency(options, engine, model, array):
    """(ONNX Runtime, Vitrify) medians in ms on this input's shape, in alternating turns."""
    settings = ort.SessionOptions()
    settings.log_severity_level = 3
    session = ort.InferenceSession(str(model), settings, providers=["CPUExecutionProvider"])
    theirs, ours = [], []
    for _ in range(3):
        for _ in range(6):
            start = time.perf_counter()
            session.run(None, {"x": array})
            theirs.append(1e3 * (time.perf_counter() - start))
        with tempfile.TemporaryDirectory(prefix="vitrify-") as folder:
            found = vitrify_cli.bench(options.vitrify, engine, {"x": array}, folder, "--iterations", 6, "--warmup", 2)
        ours.append(found["latency_ms"]["median"])
    return statistics.median(theirs), statistics.median(ours)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vitrify", type=Path, default=vitrify_cli.DEFAULT)
    parser.add_argument("--picture", type=Path, help="a picture to read; without it, one is drawn")
    parser.add_argument("--engines", type=Path, default=ROOT / "build" / "demo")
    options = parser.parse_args()
    subprocess.run([sys.executable, str(ROOT / "tools" / "zoo.py"), *PROFILES], check=True)
    picture = options.picture or options.engines / "receipt.png"
    if not options.picture:
        draw_picture(picture)
    image = Image.open(picture).convert("RGB")
    engines = {name: build_engine(options, name) for name in PROFILES}
    with tempfile.TemporaryDirectory() as folder:
        read = lambda name, array: next(iter(vitrify_cli.run(options.vitrify, engines[name], {"x": array}, folder).values()))
        page = detector_input(image)
        boxes = text_boxes(read("ppocr_det", page)[0, 0], image.size)
        alphabet = alphabet_of(ZOO / "ppocr_rec.onnx")
        lines = [recogniser_input(image, box) for box in boxes]
        print(f"\n{picture} says:\n")
        for line in lines:
            print("   ", decode(read("ppocr_rec", line), alphabet))
    if not lines:
        sys.exit("no text found")
    print(f"\n{'model':<12} {'input':<14} {'ONNX Runtime':>13} {'Vitrify':>10} {'speed':>7}")
    for name, array in (("ppocr_det", page), ("ppocr_rec", lines[0])):
        theirs, ours = latency(options, engines[name], ZOO / f"{name}.onnx", array)
        print(f"{name:<12} {vitrify_cli.shape_text(array.shape):<14} {theirs:>10.2f} ms {ours:>7.2f} ms {theirs / ours:>6.2f}x")


if __name__ == "__main__":
    main()
