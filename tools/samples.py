"""Sample inputs of the zoo's models: smooth random pictures, rendered text, tokens, masks, file contents.

sample_inputs(spec, shapes, seed) follows the "inputs" of a zoo/NAME.json; equal arguments give equal arrays.
"""

import zlib

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

WORDS = ("glass engine tensor river 2024 morning ALPHA market 37.5 window letter north Invoice total garden "
         "station ORDER 8812 signal paper copper light Street").split()
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def smooth_image(rng, channels, height, width):
    """Noise on several scales with its own level and contrast: unlike plain noise, its averages tell images apart."""
    planes = []
    for _ in range(channels):
        plane = rng.standard_normal() * np.ones((height, width), np.float32)
        for grid in (2, 4, 8, 32):
            noise = Image.fromarray(rng.standard_normal((grid, grid), np.float32))
            plane += np.asarray(noise.resize((width, height), Image.Resampling.BILINEAR))
        planes.append(plane * rng.uniform(0.4, 1.0) + 0.1 * rng.standard_normal((height, width), np.float32))
    return np.stack(planes).astype(np.float32)


def scene(rng, channels, height, width):
    """A smooth image whose planes have mean 0 and deviation 1: only where things are differs between scenes."""
    planes = smooth_image(rng, channels, height, width)
    return (planes - planes.mean((1, 2), keepdims=True)) / planes.std((1, 2), keepdims=True)


def colours(rng):
    paper = rng.integers(190, 255, 3)
    ink = rng.integers(0, 90, 3)
    return tuple(map(int, paper)), tuple(map(int, ink))


def text_page(rng, height, width):
    """A page with words of several sizes, RGB in 0..255."""
    paper, ink = colours(rng)
    page = Image.new("RGB", (width, height), paper)
    draw = ImageDraw.Draw(page)
    y = int(rng.integers(4, 24))
    while y < height - 30:
        size = int(rng.integers(16, 44))
        x = int(rng.integers(4, max(5, width // 3)))
        draw.text((x, y), " ".join(rng.choice(WORDS, 3)), ink, ImageFont.load_default(size))
        y += size + int(rng.integers(8, 40))
    return np.asarray(page.filter(ImageFilter.GaussianBlur(0.7)), np.float32)


def text_line(rng, height, width, upside_down):
    """One line of text that fills the picture, RGB in 0..255."""
    paper, ink = colours(rng)
    line = Image.new("RGB", (width, height), paper)
    draw, font, x = ImageDraw.Draw(line), ImageFont.load_default(int(height * 0.7)), 6
    while x < width:
        word = str(rng.choice(WORDS))
        draw.text((x, height * 0.08), word, ink, font)
        x += int(draw.textlength(word + " ", font))
    return np.asarray(line.rotate(180) if upside_down else line, np.float32)


def sample_images(rng, spec, shape):
    return np.stack([smooth_image(rng, *shape[1:]) for _ in range(shape[0])])


def sample_scenes(rng, spec, shape):
    return np.stack([scene(rng, *shape[1:]) for _ in range(shape[0])])


def sample_pages(rng, spec, shape):
    pages = np.stack([text_page(rng, *shape[2:]) for _ in range(shape[0])])
    return ((pages / 255.0 - np.array(MEAN)) / np.array(DEVIATION)).transpose(0, 3, 1, 2)


def sample_lines(rng, spec, shape):
    first = int(rng.integers(2)) if spec.get("rotate") else 0
    turned = [bool(spec.get("rotate")) and (first + k) % 2 == 1 for k in range(shape[0])]
    lines = np.stack([text_line(rng, *shape[2:], upside_down) for upside_down in turned])
    return (lines / 127.5 - 1.0).transpose(0, 3, 1, 2)


def sample_ints(rng, spec, shape):
    return rng.integers(spec["low"], spec["high"], shape)


def sample_mask(rng, spec, shape):
    """Ones, then padding; the first row is full."""
    lengths = rng.integers(max(1, shape[1] // 3), shape[1] + 1, shape[0])
    lengths[0] = shape[1]
    return (np.arange(shape[1])[None] < lengths[:, None]).astype(np.int64)


def file_text(rng):
    words = list(rng.choice(WORDS, 600))
    forms = (
        lambda: "\n".join(f"def {w.lower()}_{k}(x):\n    return x + {k}" for k, w in enumerate(words) if w.isalpha()),
        lambda: "<html><body>" + "".join(f"<p class='{w}'>{w}</p>\n" for w in words) + "</body></html>",
        lambda: "{" + ", ".join(f'"{w}_{k}": [{k}, {k * 7}]' for k, w in enumerate(words)) + "}",
        lambda: "#include <vector>\n" + "".join(f"int f{k}(int a) {{ return a * {k}; }}\n" for k in range(300)),
    )
    return forms[int(rng.integers(len(forms)))]().encode()


def sample_files(rng, spec, shape):
    """First and last half of a file's bytes, as file-type models read them."""
    half = shape[1] // 2
    files = [file_text(rng) for _ in range(shape[0])]
    return np.array([list(f[:half]) + list(f[-half:]) for f in files])


KINDS = {"image": sample_images, "scene": sample_scenes, "page": sample_pages, "line": sample_lines, "int": sample_ints,
         "mask": sample_mask, "file": sample_files}


def sample_inputs(spec, shapes, seed):
    """Arrays by input name; shapes maps input names to shapes."""
    arrays = {}
    for name, entry in spec["inputs"].items():
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        array = KINDS[entry["kind"]](rng, entry, shapes[name])
        arrays[name] = np.ascontiguousarray(array, dtype=entry["dtype"])
    return arrays
