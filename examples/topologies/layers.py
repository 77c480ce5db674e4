# SPDX-License-Identifier: Apache-2.0
"""Builds quantized networks layer by layer as QONNX, with random weights from a seed: the same script writes the same bytes."""

import math

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

QONNX = "qonnx.custom_op.general"


class Network:
    """Tensors are named by the strings that the methods take and give; `shape` knows their [N, C, ...]."""

    def __init__(self, name, input_shape, seed=1):
        self.name, self.random = name, np.random.default_rng(seed)
        self.nodes, self.constants, self.shape = [], {}, {"global_in": list(input_shape)}
        self.input = "global_in"

    def constant(self, value):
        name = f"constant_{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name

    def node(self, kind, operands, shape, domain="", **attributes):
        result = f"{kind}_{len(self.nodes)}_out"
        self.nodes.append(helper.make_node(kind, operands, [result], f"{kind}_{len(self.nodes)}", domain=domain, **attributes))
        self.shape[result] = list(shape)
        return result

    def quant(self, x, bits, scale, signed=0, narrow=0):
        """Integers of `bits` bits times `scale`."""
        operands = [x, *(self.constant(np.float32(value)) for value in (scale, 0, bits))]
        shape = self.shape.get(x) or list(self.constants[x].shape)
        return self.node("Quant", operands, shape, QONNX, signed=signed, narrow=narrow, rounding_mode="ROUND")

    def bipolar(self, x, scale=1):
        """-scale or +scale."""
        shape = self.shape.get(x) or list(self.constants[x].shape)
        return self.node("BipolarQuant", [x, self.constant(np.float32(scale))], shape, QONNX)

    def weights(self, shape, bits):
        values = self.constant(self.random.normal(0, 0.5, shape).astype(np.float32))
        return self.bipolar(values) if bits == 1 else self.quant(values, bits, 2.0 ** (1 - bits), signed=1, narrow=1)

    def conv(self, x, channels, kernel, bits, stride=1, pad=0):
        """Kernel, stride and padding are the same along every axis."""
        batch, inner, *size = self.shape[x]
        axes = len(size)
        places = [(n + 2 * pad - kernel) // stride + 1 for n in size]
        return self.node("Conv", [x, self.weights([channels, inner] + [kernel] * axes, bits)], [batch, channels, *places],
                         kernel_shape=[kernel] * axes, strides=[stride] * axes, pads=[pad] * 2 * axes)

    def matmul(self, x, channels, bits):
        batch, inner = self.shape[x]
        return self.node("MatMul", [x, self.weights([inner, channels], bits)], [batch, channels])

    def batch_norm(self, x, variance):
        """`variance` is about that of the operand, so that the result's is about one."""
        channels = self.shape[x][1]
        draw = lambda low, high: self.constant(self.random.uniform(low, high, channels).astype(np.float32))
        deviation = math.sqrt(variance)
        operands = [x, draw(0.5, 1.5), draw(-0.5, 0.5), draw(-deviation / 2, deviation / 2), draw(variance / 2, variance * 2)]
        return self.node("BatchNormalization", operands, self.shape[x], epsilon=1e-5)

    def relu(self, x):
        return self.node("Relu", [x], self.shape[x])

    def add(self, a, b):
        return self.node("Add", [a, b], self.shape[a])

    def max_pool(self, x, kernel, stride=None, pad=0):
        batch, channels, *size = self.shape[x]
        stride = stride or kernel
        places = [(n + 2 * pad - kernel) // stride + 1 for n in size]
        return self.node("MaxPool", [x], [batch, channels, *places], kernel_shape=[kernel] * len(size),
                         strides=[stride] * len(size), pads=[pad] * 2 * len(size))

    def global_average_pool(self, x):
        batch, channels, *size = self.shape[x]
        return self.node("GlobalAveragePool", [x], [batch, channels] + [1] * len(size))

    def flatten(self, x):
        batch, *rest = self.shape[x]
        return self.node("Flatten", [x], [batch, math.prod(rest)], axis=1)

    def save(self, output, path):
        info = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, self.shape[name])
        constants = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, self.name, [info(self.input)], [info(output)], constants)
        imports = [helper.make_opsetid("", 13), helper.make_opsetid(QONNX, 1)]
        save(helper.make_model(graph, opset_imports=imports, ir_version=8), path)
