"""Text networks as the TorchScript exporter writes them: BERT, MiniLM, GPT-2, an LSTM tagger."""

import json
import struct
from pathlib import Path

import numpy as np

from net_builder import Net
from samples import sample_inputs

BERT_INPUTS = {
    "input_ids": {"dtype": "int64", "kind": "int", "low": 1000, "high": 30000},
    "attention_mask": {"dtype": "int64", "kind": "mask"},
    "token_type_ids": {"dtype": "int64", "kind": "int", "low": 0, "high": 2},
}


def text_net(name, seed, inputs, batch=3, length=40):
    net = Net(name, seed)
    samples = sample_inputs({"inputs": inputs}, {n: [batch, length] for n in inputs}, seed)
    return net, [net.input(n, ["batch", "sequence"], samples[n]) for n in inputs]


class RandomWeights:
    """Gives a transformer's layers random weights that are scaled on the data."""

    def __init__(self, net):
        self.net = net

    def embedding(self, name, rows, columns):
        return self.net.weight(self.net.normal(rows, columns), name)

    def linear(self, x, name, features):
        return self.net.linear(x, features)

    def layer_norm(self, x, name, epsilon, decomposed):
        return self.net.layer_norm(x, epsilon, decomposed)


class TrainedWeights:
    """Gives a transformer's layers the tensors of a checkpoint, by their names there."""

    def __init__(self, net, tensors):
        self.net, self.tensors = net, tensors

    def embedding(self, name, rows, columns):
        table = self.tensors[f"{name}.weight"]
        if table.shape != (rows, columns):
            raise SystemExit(f"{name}: expected {rows}x{columns}, the checkpoint has {table.shape}")
        return self.net.weight(table, "weight")

    def linear(self, x, name, features):
        weight = self.net.weight(self.tensors[f"{name}.weight"].T, "weight")
        bias = self.net.weight(self.tensors[f"{name}.bias"], "bias")
        return self.net.op("Add", bias, self.net.op("MatMul", x, weight))

    def layer_norm(self, x, name, epsilon, decomposed):
        weights = [self.tensors[f"{name}.{part}"] for part in ("weight", "bias")]
        return self.net.layer_norm(x, epsilon, decomposed, weights)


def read_safetensors(path):
    """Tensors by name: a 64-bit header size, a JSON header with type, shape and byte range, then the bytes."""
    data = np.memmap(path, np.uint8, "r")
    (size,) = struct.unpack("<Q", data[:8].tobytes())
    header = json.loads(data[8:8 + size].tobytes())
    types, tensors = {"F32": np.float32, "I64": np.int64}, {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = (8 + size + offset for offset in entry["data_offsets"])
            tensors[name] = np.frombuffer(data[start:end].tobytes(), types[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def bert_encoder(net, weights, inputs, config, decomposed):
    """The last hidden state of a BERT with dynamic batch and sequence."""
    ids, mask, types = inputs
    hidden, layers, heads, intermediate = config
    x = bert_embeddings(net, weights, ids, types, hidden, decomposed)
    bias = net.op("Unsqueeze", net.op("Unsqueeze", mask, net.ints(1)), net.ints(2))
    bias = net.op("Sub", net.constant(1.0), net.op("Cast", bias, to=1))
    bias = net.op("Mul", bias, net.constant(np.finfo(np.float32).min))
    for k in range(layers):
        name = f"encoder.layer.{k}"
        with net.scope(name):
            y = weights.linear(bert_attention(net, weights, name, x, bias, hidden, heads),
                               f"{name}.attention.output.dense", hidden)
            x = weights.layer_norm(net.op("Add", y, x), f"{name}.attention.output.LayerNorm", 1e-12, decomposed)
            y = net.gelu(weights.linear(x, f"{name}.intermediate.dense", intermediate))
            y = net.op("Add", weights.linear(y, f"{name}.output.dense", hidden), x)
            x = weights.layer_norm(y, f"{name}.output.LayerNorm", 1e-12, decomposed)
    return x


def bert_embeddings(net, weights, ids, types, hidden, decomposed):
    with net.scope("embeddings"):
        positions = net.weight(np.arange(512, dtype=np.int64)[None], "position_ids")
        positions = net.op("Slice", positions, net.ints(0), net.dim(ids, 1), net.ints(1), net.ints(1))
        tables = [weights.embedding(f"embeddings.{name}_embeddings", rows, hidden)
                  for name, rows in (("word", 30522), ("token_type", 2), ("position", 512))]
        words, kinds, places = (net.op("Gather", t, i, axis=0) for t, i in zip(tables, (ids, types, positions)))
        x = net.op("Add", net.op("Add", words, kinds), places)
        return weights.layer_norm(x, "embeddings.LayerNorm", 1e-12, decomposed)


def bert_attention(net, weights, name, x, bias, hidden, heads):
    size = hidden // heads
    q, k, v = (split_heads(net, weights.linear(x, f"{name}.attention.self.{part}", hidden), heads, size)
               for part in ("query", "key", "value"))
    q, v = (net.op("Transpose", y, perm=[0, 2, 1, 3]) for y in (q, v))
    k = net.op("Transpose", k, perm=[0, 2, 3, 1])
    scores = net.op("Div", net.op("MatMul", q, k), net.constant(np.sqrt(size)))
    scores = net.op("Softmax", net.op("Add", scores, bias), axis=-1)
    y = net.op("Transpose", net.op("MatMul", scores, v), perm=[0, 2, 1, 3])
    return net.reshape(y, net.dim(y, 0), net.dim(y, 1), net.ints(hidden))


def split_heads(net, x, heads, size):
    return net.reshape(x, net.dim(x, 0), net.dim(x, 1), net.ints(heads), net.ints(size))


def bert_base(seed=11):
    """LayerNorm as nine nodes."""
    net, inputs = text_net("bert_base", seed, BERT_INPUTS)
    x = bert_encoder(net, RandomWeights(net), inputs, (768, 12, 12, 3072), decomposed=True)
    pooled = net.op("Tanh", net.gemm(net.op("Gather", x, net.constant(0, np.int64), axis=1), 768))
    net.output(x, "last_hidden_state", ["batch", "sequence", 768])
    net.output(pooled, "pooler_output", ["batch", 768])
    return net


def minilm(package):
    """all-MiniLM-L6-v2 with its trained weights: encoder, mean over the tokens, unit length."""
    net, inputs = text_net("minilm", 12, BERT_INPUTS)
    tensors = read_safetensors(Path(package) / "model" / "model.safetensors")
    x = bert_encoder(net, TrainedWeights(net, tensors), inputs, (384, 6, 12, 1536), decomposed=False)
    mask = net.op("Expand", net.op("Cast", net.op("Unsqueeze", inputs[1], net.ints(-1)), to=1), net.op("Shape", x))
    total = net.op("ReduceSum", net.op("Mul", x, mask), net.ints(1), keepdims=0)
    count = net.op("Clip", net.op("ReduceSum", mask, net.ints(1), keepdims=0), net.constant(1e-9), None)
    mean = net.op("Div", total, count)
    length = net.op("Clip", net.op("ReduceL2", mean, axes=[1], keepdims=1), net.constant(1e-12), None)
    unit = net.op("Div", mean, net.op("Expand", length, net.op("Shape", mean)))
    net.output(x, "token_embeddings", ["batch", "sequence", 384])
    net.output(unit, "sentence_embedding", ["batch", 384])
    return net


GPT2_INPUTS = {"input_ids": {"dtype": "int64", "kind": "int", "low": 0, "high": 50257}}


def gpt2(seed=13):
    """GPT-2 small: causal mask cut from a buffer, Conv1D as Gemm, tanh GELU, output tied to the embedding."""
    net, (ids,) = text_net("gpt2", seed, GPT2_INPUTS, batch=2, length=24)
    table = net.weight(net.normal(50257, 768, scale=768 ** -0.5), "wte")
    places = net.weight(net.normal(1024, 768, scale=0.01), "wpe")
    batch, length = net.dim(ids, 0), net.dim(ids, 1)
    positions = net.op("Range", net.constant(0, np.int64), net.dim(ids, 1, dims=0), net.constant(1, np.int64))
    positions = net.op("Unsqueeze", positions, net.ints(0))
    x = net.op("Add", net.op("Gather", table, ids, axis=0), net.op("Gather", places, positions, axis=0))
    causal = net.weight(np.tril(np.ones((1024, 1024), bool))[None, None], "bias")
    for k in range(12):
        with net.scope(f"h.{k}"):
            x = gpt2_block(net, x, causal, batch, length)
    x = net.layer_norm(x, 1e-5, decomposed=False)
    net.output(net.op("MatMul", x, net.op("Transpose", table, perm=[1, 0])), "logits", ["batch", "sequence", 50257])
    return net


def gpt2_block(net, x, causal, batch, length):
    qkv = conv1d(net, net.layer_norm(x, 1e-5, decomposed=False), 2304)
    q, k, v = (split_heads(net, y, 12, 64) for y in net.ops("Split", qkv, net.ints(768, 768, 768), outputs=3, axis=2))
    q, v = (net.op("Transpose", y, perm=[0, 2, 1, 3]) for y in (q, v))
    scores = net.op("MatMul", q, net.op("Transpose", k, perm=[0, 2, 3, 1]))
    scores = net.op("Div", scores, net.constant(8.0))
    start = net.op("Sub", length, length)
    mask = net.op("Slice", causal, start, length, net.ints(2), net.ints(1))
    mask = net.op("Slice", mask, net.ints(0), length, net.ints(3), net.ints(1))
    scores = net.op("Where", mask, scores, net.constant(np.finfo(np.float32).min))
    y = net.op("MatMul", net.op("Softmax", scores, axis=-1), v)
    y = net.reshape(net.op("Transpose", y, perm=[0, 2, 1, 3]), batch, length, net.ints(768))
    x = net.op("Add", conv1d(net, y, 768), x)
    y = gelu_tanh(net, conv1d(net, net.layer_norm(x, 1e-5, decomposed=False), 3072))
    return net.op("Add", x, conv1d(net, y, 768))


def conv1d(net, x, features):
    """transformers' Conv1D: Gemm over flattened rows."""
    rows = net.reshape(x, -1, net.values[x].shape[-1])
    return net.reshape(net.gemm(rows, features, transposed=False), net.dim(x, 0), net.dim(x, 1), net.ints(features))


def gelu_tanh(net, x):
    cube = net.op("Mul", net.constant(0.044715), net.op("Pow", x, net.constant(3.0)))
    inner = net.op("Mul", net.constant(np.sqrt(2.0 / np.pi)), net.op("Add", x, cube))
    half = net.op("Mul", net.constant(0.5), x)
    return net.op("Mul", half, net.op("Add", net.constant(1.0), net.op("Tanh", inner)))


TAGGER_INPUTS = {"tokens": {"dtype": "int64", "kind": "int", "low": 0, "high": 8000}}


def lstm_tagger(seed=14):
    """Embedding, two bidirectional LSTM layers, a score per token and tag."""
    net, (tokens,) = text_net("lstm_tagger", seed, TAGGER_INPUTS)
    x = net.op("Gather", net.weight(net.normal(8000, 128), "embedding.weight"), tokens, axis=0)
    x = net.op("Transpose", x, perm=[1, 0, 2])
    for layer in range(2):
        with net.scope(f"lstm.{layer}"):
            x = bidirectional_lstm(net, x, net.dim(tokens, 0), 192)
    net.output(net.linear(net.op("Transpose", x, perm=[1, 0, 2]), 17), "scores", ["batch", "sequence", 17])
    return net


def bidirectional_lstm(net, x, batch, hidden):
    columns = net.values[x].shape[2]
    weights = [net.weight(array, name) for array, name in (
        (net.normal(2, 4 * hidden, columns, scale=1.5 * columns ** -0.5), "weight_ih"),
        (net.normal(2, 4 * hidden, hidden, scale=hidden ** -0.5), "weight_hh"),
        (net.normal(2, 8 * hidden, scale=0.1), "bias"))]
    shape = net.op("Concat", net.ints(2), batch, net.ints(hidden), axis=0)
    state = net.op("Expand", net.constant(0.0), shape)
    y = net.ops("LSTM", x, *weights, None, state, state, outputs=3, hidden_size=hidden, direction="bidirectional")[0]
    return net.op("Reshape", net.op("Transpose", y, perm=[0, 2, 1, 3]), net.ints(0, 0, -1), allowzero=0)
