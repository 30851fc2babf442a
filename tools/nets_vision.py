"""Image networks in their exact topology, as the TorchScript exporter writes them; weights random (net_builder.py)."""

from onnx import TensorProto, helper

from net_builder import Net
from samples import sample_inputs

IMAGE = {"dtype": "float32", "kind": "image"}


def image_net(name, seed, sizes, dims, kind=IMAGE, count=2):
    """A net with one image input, calibrated on pictures of the given size."""
    net = Net(name, seed)
    sample = sample_inputs({"inputs": {"input": kind}}, {"input": [count, 3, *sizes]}, seed)["input"]
    return net, net.input("input", dims, sample)


def classify(net, x, classes=1000):
    x = net.op("Flatten", net.op("GlobalAveragePool", x), axis=1)
    net.output(net.gemm(x, classes), "output", ["batch", classes])
    return net


def resnet50(seed=1):
    """BatchNormalization folded into the convolutions."""
    net, x = image_net("resnet50", seed, (224, 224), ["batch", 3, "height", "width"])
    with net.scope("conv1"):
        x = net.max_pool(net.relu(net.conv_bn(x, 64, 7, 2)), 3, 2, 1)
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for block in range(blocks):
            with net.scope(f"layer{stage + 1}.{block}"):
                x = bottleneck(net, x, width, 2 if stage and not block else 1, first=not block)
    return classify(net, x)


def bottleneck(net, x, width, stride, first):
    y = net.relu(net.conv_bn(x, width, 1))
    y = net.relu(net.conv_bn(y, width, 3, stride))
    y = net.conv_bn(y, 4 * width, 1)
    return net.relu(net.op("Add", y, net.conv_bn(x, 4 * width, 1, stride) if first else x))


def mobilenetv2(seed=2):
    """BatchNormalization left as nodes of its own; ReLU6 as Clip."""
    net, x = image_net("mobilenetv2", seed, (224, 224), ["batch", 3, "height", "width"])
    x = net.relu6(net.conv_bn(x, 32, 3, 2, fold=False))
    settings = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
                (6, 320, 1, 1))
    for expand, channels, count, stride in settings:
        for k in range(count):
            with net.scope(net.unique("block")):
                x = inverted_residual(net, x, expand, channels, stride if k == 0 else 1)
    return classify(net, net.relu6(net.conv_bn(x, 1280, 1, fold=False)))


def inverted_residual(net, x, expand, channels, stride):
    width = net.values[x].shape[1]
    hidden, y = width * expand, x
    if expand > 1:
        y = net.relu6(net.conv_bn(y, hidden, 1, fold=False))
    y = net.relu6(net.conv_bn(y, hidden, 3, stride, groups=hidden, fold=False))
    y = net.conv_bn(y, channels, 1, fold=False)
    return net.op("Add", x, y) if stride == 1 and width == channels else y


def efficientnet_b0(seed=3):
    """SiLU as Sigmoid and Mul, squeeze-and-excitation gates."""
    net, x = image_net("efficientnet_b0", seed, (224, 224), ["batch", 3, "height", "width"])
    x = net.silu(net.conv_bn(x, 32, 3, 2))
    settings = ((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3),
                (6, 5, 2, 192, 4), (6, 3, 1, 320, 1))
    for expand, kernel, stride, channels, count in settings:
        for k in range(count):
            with net.scope(net.unique("block")):
                x = mbconv(net, x, expand, kernel, stride if k == 0 else 1, channels)
    return classify(net, net.silu(net.conv_bn(x, 1280, 1)))


def mbconv(net, x, expand, kernel, stride, channels):
    width = net.values[x].shape[1]
    hidden, y = width * expand, x
    if expand > 1:
        y = net.silu(net.conv_bn(y, hidden, 1))
    y = net.silu(net.conv_bn(y, hidden, kernel, stride, groups=hidden))
    gate = net.silu(net.conv(net.op("GlobalAveragePool", y), max(1, width // 4), 1))
    y = net.op("Mul", net.op("Sigmoid", net.conv(gate, hidden, 1)), y)
    y = net.conv_bn(y, channels, 1)
    return net.op("Add", y, x) if stride == 1 and width == channels else y


def densenet121(seed=4):
    """Dense blocks: BatchNormalization and Relu in front of every convolution, long concatenations."""
    net, x = image_net("densenet121", seed, (224, 224), ["batch", 3, 224, 224])
    x = net.max_pool(net.relu(net.conv_bn(x, 64, 7, 2)), 3, 2, 1)
    for block, layers in enumerate((6, 12, 24, 16)):
        features = [x]
        for layer in range(layers):
            with net.scope(f"denseblock{block + 1}.denselayer{layer + 1}"):
                joined = net.op("Concat", *features, axis=1) if len(features) > 1 else x
                y = net.relu(net.conv_bn(net.relu(net.batch_norm(joined)), 128, 1))
                features.append(net.conv(y, 32, 3, bias=False))
        x = net.op("Concat", *features, axis=1)
        if block < 3:
            x = net.conv(net.relu(net.batch_norm(x)), net.values[x].shape[1] // 2, 1, bias=False)
            x = net.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2], pads=[0] * 4, ceil_mode=0,
                       count_include_pad=1)
    return classify(net, net.relu(net.batch_norm(x)))


def convnext_tiny(seed=5):
    """Depthwise 7x7, channels-last LayerNormalization and GELU between transposes, layer scale."""
    net, x = image_net("convnext_tiny", seed, (224, 224), ["batch", 3, 224, 224])
    x = norm_channels(net, net.conv(x, 96, 4, 4, pad=0))
    for stage, (channels, blocks) in enumerate(((96, 3), (192, 3), (384, 9), (768, 3))):
        if stage:
            x = net.conv(norm_channels(net, x), channels, 2, 2, pad=0)
        for block in range(blocks):
            with net.scope(f"stages.{stage}.{block}"):
                x = convnext_block(net, x, channels)
    x = norm_channels(net, net.op("GlobalAveragePool", x))
    net.output(net.gemm(net.op("Flatten", x, axis=1), 1000), "output", ["batch", 1000])
    return net


def norm_channels(net, x):
    x = net.layer_norm(net.op("Transpose", x, perm=[0, 2, 3, 1]), 1e-6, decomposed=False)
    return net.op("Transpose", x, perm=[0, 3, 1, 2])


def convnext_block(net, x, channels):
    y = net.op("Transpose", net.conv(x, channels, 7, groups=channels), perm=[0, 2, 3, 1])
    y = net.layer_norm(y, 1e-6, decomposed=False)
    y = net.linear(net.gelu(net.linear(y, 4 * channels)), channels)
    y = net.op("Mul", net.weight(0.5 + net.normal(channels, scale=0.1), "gamma"), y)
    return net.op("Add", x, net.op("Transpose", y, perm=[0, 3, 1, 2]))


def repvgg(seed=6):
    """RepVGG blocks as they are trained: 3x3, 1x1 and identity branches, each with its BatchNormalization."""
    net, x = image_net("repvgg", seed, (96, 96), ["batch", 3, "height", "width"])
    for channels, blocks in ((32, 1), (32, 2), (64, 3), (128, 3)):
        for block in range(blocks):
            with net.scope(net.unique("block")):
                x = repvgg_block(net, x, channels, 1 if block else 2)
    return classify(net, x, 100)


REPVGG_BLOCKS = 9


def repvgg_block(net, x, channels, stride):
    y = net.op("Add", net.conv_bn(x, channels, 3, stride, fold=False), net.conv_bn(x, channels, 1, stride, fold=False))
    if stride == 1 and net.values[x].shape[1] == channels:
        y = net.op("Add", y, net.batch_norm(x))
    return net.relu(y)


def vit_b16(seed=7):
    """LayerNormalization as one op, one matrix product for q, k and v, scaled_dot_product_attention's scale chain."""
    net, image = image_net("vit_b16", seed, (224, 224), ["batch", 3, 224, 224])
    x = net.conv(image, 768, 16, 16, pad=0)
    x = net.op("Transpose", net.reshape(x, net.dim(x, 0), net.ints(768), net.ints(-1)), perm=[0, 2, 1])
    token = expand(net, net.weight(net.normal(1, 1, 768), "class_token"), net.dim(image, 0), 1, 768)
    x = net.op("Concat", token, x, axis=1)
    x = net.op("Add", x, net.weight(net.normal(1, 197, 768, scale=0.5), "pos_embedding"))
    for layer in range(12):
        with net.scope(f"blocks.{layer}"):
            x = net.op("Add", x, vit_attention(net, net.layer_norm(x, 1e-6, decomposed=False), 12, 64))
            y = net.layer_norm(x, 1e-6, decomposed=False)
            x = net.op("Add", x, net.linear(net.gelu(net.linear(y, 3072)), 768))
    x = net.op("Gather", net.layer_norm(x, 1e-6, decomposed=False), net.constant(0, "int64"), axis=1)
    net.output(net.gemm(x, 1000), "output", ["batch", 1000])
    return net


def expand(net, x, batch, *dims):
    """x.expand(batch, -1, ...): the exporter replaces -1 by 1 at run time."""
    shape = net.op("Concat", batch, *[net.ints(-1)] * len(dims), axis=0)
    count = net.op("Shape", shape)
    ones = net.op("ConstantOfShape", count, value=helper.make_tensor("value", TensorProto.INT64, [1], [1]))
    minus = net.op("Mul", ones, net.constant(-1, "int64"))
    return net.op("Expand", x, net.op("Where", net.op("Equal", shape, minus), ones, shape))


def vit_attention(net, x, heads, size):
    batch, length = net.dim(x, 0), net.dim(x, 1)
    qkv = net.reshape(net.linear(x, 3 * heads * size), batch, length, net.ints(3), net.ints(heads), net.ints(size))
    qkv = net.op("Transpose", qkv, perm=[2, 0, 3, 1, 4])
    q, k, v = (net.op("Gather", qkv, net.constant(i, "int64"), axis=0) for i in range(3))
    last = net.op("Slice", net.op("Shape", q), net.ints(-1), net.ints(2**63 - 1))
    scale = net.op("Div", net.constant(1.0), net.op("Sqrt", net.op("Cast", last, to=1)))
    k = net.op("Transpose", k, perm=[0, 1, 3, 2])
    scores = net.op("MatMul", net.op("Mul", q, net.op("Sqrt", scale)), net.op("Mul", k, net.op("Sqrt", scale)))
    y = net.op("Transpose", net.op("MatMul", net.op("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
    return net.linear(net.reshape(y, batch, length, net.ints(heads * size)), heads * size)
