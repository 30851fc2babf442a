"""YOLOv8n's topology with box decoding and NonMaxSuppression in the graph, any picture size that 32 divides."""

import numpy as np
from onnx import TensorProto, helper

from nets_vision import image_net

SCENE = {"dtype": "float32", "kind": "scene"}
CLASSES, BINS = 80, 16
SCORE_THRESHOLD, IOU_THRESHOLD, BOXES_PER_CLASS = 0.5, 0.45, 20
CANDIDATES = 1e-4  # share of all (anchor, class) scores that pass the threshold on the sample data


def conv_silu(net, x, channels, kernel, stride=1):
    return net.silu(net.conv_bn(x, channels, kernel, stride))


def c2f(net, x, channels, blocks, shortcut):
    with net.scope(net.unique("c2f")):
        half = channels // 2
        parts = net.ops("Split", conv_silu(net, x, channels, 1), net.ints(half, half), outputs=2, axis=1)
        for _ in range(blocks):
            y = conv_silu(net, conv_silu(net, parts[-1], half, 3), half, 3)
            parts.append(net.op("Add", parts[-1], y) if shortcut else y)
        return conv_silu(net, net.op("Concat", *parts, axis=1), channels, 1)


def sppf(net, x, channels):
    pooled = [conv_silu(net, x, channels // 2, 1)]
    for _ in range(3):
        pooled.append(net.max_pool(pooled[-1], 5, 1, 2))
    return conv_silu(net, net.op("Concat", *pooled, axis=1), channels, 1)


def upsample(net, x):
    return net.op("Resize", x, None, net.constant([1.0, 1.0, 2.0, 2.0]), mode="nearest", nearest_mode="floor",
                  coordinate_transformation_mode="asymmetric", cubic_coeff_a=-0.75)


def yolov8n(seed=21):
    net, image = image_net("yolov8n", seed, (320, 320), ["batch", 3, "height", "width"], SCENE, 8)
    x = conv_silu(net, conv_silu(net, image, 16, 3, 2), 32, 3, 2)
    x = c2f(net, x, 32, 1, True)
    p3 = c2f(net, conv_silu(net, x, 64, 3, 2), 64, 2, True)
    p4 = c2f(net, conv_silu(net, p3, 128, 3, 2), 128, 2, True)
    p5 = sppf(net, c2f(net, conv_silu(net, p4, 256, 3, 2), 256, 1, True), 256)
    n4 = c2f(net, net.op("Concat", upsample(net, p5), p4, axis=1), 128, 1, False)
    n3 = c2f(net, net.op("Concat", upsample(net, n4), p3, axis=1), 64, 1, False)
    m4 = c2f(net, net.op("Concat", conv_silu(net, n3, 64, 3, 2), n4, axis=1), 128, 1, False)
    m5 = c2f(net, net.op("Concat", conv_silu(net, m4, 128, 3, 2), p5, axis=1), 256, 1, False)
    boxes, scores = decode(net, [n3, m4, m5], net.dim(image, 0))
    suppress(net, boxes, scores)
    return net


def head(net, x):
    """The box bins and class scores of one level, joined on the channel axis."""
    with net.scope(net.unique("head")):
        boxes = net.conv(conv_silu(net, conv_silu(net, x, 64, 3), 64, 3), 4 * BINS, 1)
        classes = conv_silu(net, conv_silu(net, x, CLASSES, 3), CLASSES, 3)
        return net.op("Concat", boxes, net.conv(classes, CLASSES, 1), axis=1)


def decode(net, levels, batch):
    """Boxes (batch, 4, anchors) as centre and size in pixels, and class scores (batch, classes, anchors)."""
    heads = [head(net, x) for x in levels]
    flat = [net.reshape(h, batch, net.ints(4 * BINS + CLASSES), net.ints(-1)) for h in heads]
    bins, classes = net.ops("Split", net.op("Concat", *flat, axis=2), net.ints(4 * BINS, CLASSES), outputs=2, axis=1)
    bins = net.op("Transpose", net.reshape(bins, batch, net.ints(4), net.ints(BINS), net.ints(-1)), perm=[0, 2, 1, 3])
    projection = net.weight(np.arange(BINS, dtype=np.float32).reshape(1, BINS, 1, 1), "dfl.weight")
    sides = net.op("Conv", net.op("Softmax", bins, axis=1), projection, kernel_shape=[1, 1])
    sides = net.reshape(sides, batch, net.ints(4), net.ints(-1))
    centres, strides = anchors(net, heads)
    low, high = net.ops("Split", sides, net.ints(2, 2), outputs=2, axis=1)
    first, last = net.op("Sub", centres, low), net.op("Add", centres, high)
    middle = net.op("Div", net.op("Add", first, last), net.constant(2.0))
    boxes = net.op("Concat", middle, net.op("Sub", last, first), axis=1)
    shift = np.log(SCORE_THRESHOLD / (1 - SCORE_THRESHOLD)) - np.quantile(net.values[classes], 1 - CANDIDATES)
    classes = net.op("Add", classes, net.constant(shift))
    return net.op("Mul", boxes, strides), net.op("Sigmoid", classes)


def anchors(net, heads):
    """Cell centres (1, 2, anchors) in cells and the stride of each (1, anchors)."""
    centres, strides = [], []
    for h, stride in zip(heads, (8.0, 16.0, 32.0)):
        rows, columns = net.dim(h, 2), net.dim(h, 3)
        shape = net.op("Concat", rows, columns, axis=0)
        y = net.op("Unsqueeze", cell_centres(net, h, 2), net.ints(1))
        x = net.op("Unsqueeze", cell_centres(net, h, 3), net.ints(0))
        grid = [net.op("Unsqueeze", net.op("Expand", a, shape), net.ints(-1)) for a in (x, y)]
        centres.append(net.op("Reshape", net.op("Concat", *grid, axis=-1), net.ints(-1, 2), allowzero=0))
        fill = helper.make_tensor("value", TensorProto.FLOAT, [1], [stride])
        count = net.op("Concat", net.op("Mul", rows, columns), net.ints(1), axis=0)
        strides.append(net.op("ConstantOfShape", count, value=fill))
    centres = net.op("Unsqueeze", net.op("Transpose", net.op("Concat", *centres, axis=0), perm=[1, 0]), net.ints(0))
    return centres, net.op("Transpose", net.op("Concat", *strides, axis=0), perm=[1, 0])


def cell_centres(net, x, axis):
    end = net.op("Cast", net.dim(x, axis, dims=0), to=1)
    return net.op("Add", net.op("Range", net.constant(0.0), end, net.constant(1.0)), net.constant(0.5))


def suppress(net, boxes, scores):
    """NonMaxSuppression and the chosen boxes: (chosen, 4), their scores, and (batch, class, anchor) of each."""
    rows = net.op("Transpose", boxes, perm=[0, 2, 1])
    chosen = net.op("NonMaxSuppression", rows, scores, net.ints(BOXES_PER_CLASS), net.constant([IOU_THRESHOLD]),
                    net.constant([SCORE_THRESHOLD]), center_point_box=1)
    places = net.op("Gather", chosen, net.ints(0, 2), axis=1)
    net.output(net.op("GatherND", rows, places), "boxes", ["chosen", 4])
    net.output(net.op("GatherND", scores, chosen), "scores", ["chosen"])
    net.output(chosen, "selected", ["chosen", 3])
