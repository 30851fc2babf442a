"""Builds an ONNX graph node by node, evaluating every node on sample data on the way.

Each op runs at once through ONNX Runtime, so that a layer with random weights can be scaled on the data that really
reaches it: every convolution and matrix product leaves the builder with about unit variance. Node and value names
follow the TorchScript exporter ("/layer1/conv1/Conv", "/layer1/conv1/Conv_output_0").
"""

import contextlib

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8
BN_EPSILON = 1e-5


class Evaluator:
    """Runs single ops; one ONNX Runtime session per (op, attributes, input types), shapes free."""

    def __init__(self):
        self.sessions = {}

    def run(self, op, inputs, outputs, attributes):
        key = (op, outputs, repr(sorted(attributes.items())), tuple(x is not None and str(x.dtype) for x in inputs))
        session = self.sessions.get(key)
        if session is None:
            session = self.sessions[key] = self.make(op, inputs, outputs, attributes)
        feeds = {f"i{k}": x for k, x in enumerate(inputs) if x is not None}
        return session.run(None, feeds)

    @staticmethod
    def make(op, inputs, outputs, attributes):
        names = [f"i{k}" if x is not None else "" for k, x in enumerate(inputs)]
        results = [f"o{k}" for k in range(outputs)]
        node = helper.make_node(op, names, results, **attributes)
        types = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), None)
            for name, x in zip(names, inputs) if x is not None
        ]
        graph = helper.make_graph([node], op, types, [onnx.ValueInfoProto(name=name) for name in results])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


class Net:
    """A graph under construction. Values are named by strings; `values` holds what they are on the sample data."""

    def __init__(self, name, seed):
        self.name = name
        self.rng = np.random.default_rng(seed)
        self.evaluator = Evaluator()
        self.values = {}
        self.nodes, self.initializers, self.inputs, self.outputs = [], [], [], []
        self.scopes, self.counts = [], {}

    # -- names -------------------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def scope(self, name):
        self.scopes.append(name)
        yield
        self.scopes.pop()

    def unique(self, name):
        count = self.counts.get(name, 0)
        self.counts[name] = count + 1
        return f"{name}_{count}" if count else name

    # -- graph -------------------------------------------------------------------------------------------------
    def input(self, name, dims, value):
        """Declares an input; dims holds numbers and symbols, value is the sample that calibrates the weights."""
        self.inputs.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), dims))
        self.values[name] = value
        return name

    def output(self, value, name, dims):
        dtype = helper.np_dtype_to_tensor_dtype(self.values[value].dtype)
        for node in self.nodes:
            node.input[:] = [name if x == value else x for x in node.input]
            node.output[:] = [name if x == value else x for x in node.output]
        self.values[name] = self.values[value]
        self.outputs.append(helper.make_tensor_value_info(name, dtype, dims))

    def weight(self, array, name):
        """An initializer."""
        array = np.ascontiguousarray(array)
        name = self.unique(".".join([*self.scopes, name]))
        self.initializers.append((name, array))
        self.values[name] = array
        return name

    def constant(self, value, dtype=np.float32):
        """A Constant node, the exporter's form of numbers that stand in the program."""
        array = np.array(value, dtype)
        name = self.emit("Constant", [], 1, {"value": numpy_helper.from_array(array)}, [array])
        return name[0]

    def ints(self, *values):
        return self.constant(values, np.int64)

    def emit(self, op, inputs, outputs, attributes, values):
        node_name = self.unique("/" + "/".join([*self.scopes, op]))
        names = [f"{node_name}_output_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=node_name, **attributes))
        self.values.update(zip(names, values))
        return names

    def ops(self, op, *inputs, outputs=1, **attributes):
        """Adds a node and evaluates it; None is an input left out. Returns the names of its outputs."""
        arrays = [None if x is None else self.values[x] for x in inputs]
        values = self.evaluator.run(op, arrays, outputs, attributes)
        return self.emit(op, [x or "" for x in inputs], outputs, attributes, values)

    def op(self, op, *inputs, **attributes):
        return self.ops(op, *inputs, **attributes)[0]

    def model(self):
        tensors = [numpy_helper.from_array(array, name) for name, array in self.initializers]
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
                                 producer_name="vitrify-zoo")

    # -- random weights, scaled on the data --------------------------------------------------------------------
    def normal(self, *shape, scale=1.0):
        return self.rng.standard_normal(shape, np.float32) * np.float32(scale)

    def scaled(self, op, x, weight, **attributes):
        """Returns (weight, op(x, weight)) with the weight scaled so that the result has unit variance."""
        result = self.evaluator.run(op, [self.values[x], weight], 1, attributes)[0]
        factor = np.float32(1.0 / max(float(result.std()), 1e-6))
        weight *= factor
        return weight, result * factor

    def random_conv(self, x, channels, kernel, stride, groups, pad):
        attributes = conv_attributes(kernel, stride, groups, pad)
        weight = self.normal(channels, self.values[x].shape[1] // groups, kernel, kernel)
        return *self.scaled("Conv", x, weight, **attributes), attributes

    def add_conv(self, x, weight, bias, result, attributes):
        inputs = [x, self.weight(weight, "weight")]
        if bias is not None:
            inputs.append(self.weight(bias, "bias"))
            result = result + bias.reshape(1, -1, 1, 1)
        return self.emit("Conv", inputs, 1, attributes, [result])[0]

    def conv(self, x, channels, kernel, stride=1, groups=1, bias=True, pad=None):
        """Conv; a bias centres every channel on the data."""
        weight, result, attributes = self.random_conv(x, channels, kernel, stride, groups, pad)
        shift = self.normal(channels, scale=0.2) - result.mean(axis=(0, 2, 3)) if bias else None
        return self.add_conv(x, weight, shift, result, attributes)

    def batch_norm_parameters(self, value):
        """Scale, shift, mean and variance per channel of a BatchNormalization trained on this value."""
        channels = value.shape[1]
        scale = self.rng.uniform(0.8, 1.2, channels).astype(np.float32)
        shift = self.normal(channels, scale=0.2)
        mean = value.mean(axis=(0, 2, 3))
        variance = np.maximum(value.var(axis=(0, 2, 3)), np.float32(1e-2))
        return scale, shift, mean, variance

    def batch_norm(self, x):
        names = ("weight", "bias", "running_mean", "running_var")
        parameters = self.batch_norm_parameters(self.values[x])
        weights = [self.weight(p, name) for name, p in zip(names, parameters)]
        return self.op("BatchNormalization", x, *weights, epsilon=BN_EPSILON, momentum=0.9, training_mode=0)

    def conv_bn(self, x, channels, kernel, stride=1, groups=1, fold=True, pad=None):
        """Conv and BatchNormalization: one Conv with a bias, as the exporter folds them, or both nodes."""
        if not fold:
            return self.batch_norm(self.conv(x, channels, kernel, stride, groups, bias=False, pad=pad))

        weight, result, attributes = self.random_conv(x, channels, kernel, stride, groups, pad)
        scale, shift, mean, variance = self.batch_norm_parameters(result)
        factor = scale / np.sqrt(variance + np.float32(BN_EPSILON))
        result = result * factor.reshape(1, -1, 1, 1)
        return self.add_conv(x, weight * factor.reshape(-1, 1, 1, 1), shift - mean * factor, result, attributes)

    def linear(self, x, features, bias=True):
        """torch.nn.Linear on more than two axes: MatMul, then Add with the bias as first operand."""
        weight, result = self.scaled("MatMul", x, self.normal(self.values[x].shape[-1], features))
        y = self.emit("MatMul", [x, self.weight(weight, "weight")], 1, {}, [result])[0]
        return self.op("Add", self.weight(self.normal(features, scale=0.1), "bias"), y) if bias else y

    def gemm(self, x, features, transposed=True):
        """torch.nn.Linear on two axes: Gemm with transB, or without (GPT-2's Conv1D)."""
        columns = self.values[x].shape[1]
        weight = self.normal(features, columns) if transposed else self.normal(columns, features)
        attributes = {"alpha": 1.0, "beta": 1.0, "transB": int(transposed)}
        weight, result = self.scaled("Gemm", x, weight, **attributes)
        bias = self.normal(features, scale=0.1)
        inputs = [x, self.weight(weight, "weight"), self.weight(bias, "bias")]
        return self.emit("Gemm", inputs, 1, attributes, [result + bias])[0]

    # -- what the exporter writes for common modules -----------------------------------------------------------
    def relu(self, x):
        return self.op("Relu", x)

    def relu6(self, x):
        return self.op("Clip", x, self.constant(0.0), self.constant(6.0))

    def silu(self, x):
        return self.op("Mul", x, self.op("Sigmoid", x))

    def gelu(self, x):
        y = self.op("Erf", self.op("Div", x, self.constant(np.sqrt(2.0))))
        y = self.op("Mul", x, self.op("Add", y, self.constant(1.0)))
        return self.op("Mul", y, self.constant(0.5))

    def max_pool(self, x, kernel, stride, pad):
        return self.op("MaxPool", x, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4, ceil_mode=0)

    def layer_norm(self, x, epsilon, decomposed, weights=None):
        """LayerNormalization over the last axis, or the nine nodes that opsets below 17 need."""
        features = self.values[x].shape[-1]
        scale, shift = weights or (1.0 + self.normal(features, scale=0.1), self.normal(features, scale=0.1))
        scale, shift = self.weight(scale, "weight"), self.weight(shift, "bias")
        if not decomposed:
            return self.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=epsilon)
        centred = self.op("Sub", x, self.op("ReduceMean", x, axes=[-1]))
        variance = self.op("ReduceMean", self.op("Pow", centred, self.constant(2.0)), axes=[-1])
        deviation = self.op("Sqrt", self.op("Add", variance, self.constant(epsilon)))
        return self.op("Add", self.op("Mul", self.op("Div", centred, deviation), scale), shift)

    def dim(self, x, axis, dims=1):
        """The size of an axis as a tensor of rank 1 (Shape, Gather, Unsqueeze), or as a scalar with dims=0."""
        size = self.op("Gather", self.op("Shape", x), self.constant(axis, np.int64), axis=0)
        return self.op("Unsqueeze", size, self.ints(0)) if dims else size

    def reshape(self, x, *dims):
        """Reshape to dims: numbers, or names of rank-1 tensors from dim()."""
        parts = [d if isinstance(d, str) else self.ints(d) for d in dims]
        shape = self.op("Concat", *parts, axis=0) if any(isinstance(d, str) for d in dims) else self.ints(*dims)
        return self.op("Reshape", x, shape, allowzero=0)


def conv_attributes(kernel, stride, groups, pad):
    return {"dilations": [1, 1], "group": groups, "kernel_shape": [kernel] * 2, "strides": [stride] * 2,
            "pads": [kernel // 2 if pad is None else pad] * 4}
