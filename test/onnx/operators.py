# SPDX-License-Identifier: Apache-2.0
"""Random small models of every operator, executed by the qonnx package (which runs ONNX's own operators by onnxruntime) and here:
equal bit for bit, except for the operators named in LOOSE."""

import sys

from common import Probe, TensorProto, arguments, helper, model_of, np, reference, same_bits

rng = np.random.default_rng(2026)
f32 = np.float32

# exp, tanh and erf: onnxruntime approximates them, we round the exact value. Gelu is largely 1 + one of them, where that is
# nearly -1. By operator the absolute difference that is taken for equal, beside a relative one of 1e-6.
LOOSE = dict.fromkeys(["Sigmoid", "Tanh", "Softmax", "LogSoftmax", "Elu", "Selu", "Erf", "Softplus", "Mish"], 1e-7) | {"Gelu": 1e-6}


def values(shape, scale=1.0):
    """Random values with ties, ends and zeros of both signs among them."""
    x = (rng.normal(size=shape) * 4 * np.max(scale)).astype(f32)
    flat = x.reshape(-1)
    pick = rng.random(flat.size)
    halves = rng.integers(-24, 25, flat.size).astype(f32) / 2 * f32(np.min(scale))
    flat[pick < 0.4] = halves[pick < 0.4]
    flat[pick < 0.03] = 0.0
    flat[pick < 0.015] = -0.0
    flat[pick > 0.97] = f32(np.nextafter(f32(0.5 * np.min(scale)), f32(0)))
    flat[pick > 0.98] *= 1000
    return x


def scales(shape, mode):
    if mode == "power":
        return (2.0 ** rng.integers(-4, 4, shape)).astype(f32)
    return rng.uniform(0.01, 3, shape).astype(f32)


def quant(name="Quant", domain="qonnx.custom_op.general"):
    for rounding in ["ROUND", "HALF_EVEN", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN", "half_up"]:
        for signed in (0, 1):
            for narrow in (0, 1):
                for bits in (1, 2, 3, 8, 17):
                    if bits == 1 and narrow == 1 and not signed:
                        continue  # a single level
                    for shape, per in (([1, 40], []), ([1, 5, 8], [1, 5, 1]), ([6, 10], [6, 1])):
                        scale = scales(per, rng.choice(["power", "any"]))
                        zero = np.zeros([], f32)
                        if rng.random() < 0.4:
                            zero = rng.integers(-3, 4, rng.choice([0, 1]) and per or []).astype(f32)
                        x = values(shape, scale)
                        node = helper.make_node(
                            name,
                            ["x", "s", "z", "b"],
                            ["y"],
                            domain=domain,
                            signed=signed,
                            narrow=narrow,
                            rounding_mode=rounding,
                        )
                        yield f"{name} {rounding} signed={signed} narrow={narrow} bits={bits} {shape}", model_of(
                            [node], {"x": shape}, {"y": shape}, {"s": scale, "z": zero, "b": f32(bits)}
                        ), {"x": x}


def bipolar():
    for shape, per in (([1, 40], []), ([4, 6], [4, 1]), ([1, 3, 5], [3, 1])):
        x = values(shape)
        node = helper.make_node("BipolarQuant", ["x", "s"], ["y"], domain="qonnx.custom_op.general")
        yield f"BipolarQuant {shape}", model_of([node], {"x": shape}, {"y": shape}, {"s": scales(per, "any")}), {"x": x}


def trunc():
    for rounding in ["ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN"]:
        for version in (1, 2):
            for drop in (0, 1, 3):
                for signed in (0, 1):
                    shape = [1, 60]
                    scale = scales([], rng.choice(["power", "any"]))
                    zero = rng.integers(-2, 3, []).astype(f32)
                    x = (rng.integers(-130, 260, shape) * scale).astype(f32)
                    constants = {"s": scale, "z": zero, "i": f32(8), "o": f32(8 - drop)}
                    operands = ["x", "s", "z", "i", "o"]
                    attributes = {"rounding_mode": rounding}
                    if version == 2:
                        constants["t"] = (scale * f32(2**drop)).astype(f32)
                        operands.insert(4, "t")
                        attributes.update(signed=signed, narrow=int(rng.integers(0, 2)))
                    node = helper.make_node("Trunc", operands, ["y"], domain="qonnx.custom_op.general", **attributes)
                    yield f"Trunc v{version} {rounding} drop={drop}", model_of(
                        [node], {"x": shape}, {"y": shape}, constants, qonnx=version
                    ), {"x": x}


def multi_threshold():
    for shape, layout, axis in (
        ([1, 7], "", 1),
        ([1, 3, 5], "", 2),
        ([1, 4, 3, 2], "", 1),
        ([1, 4, 3, 2], "NHWC", 3),
        ([1, 6, 2], "NCW", 1),
    ):
        for rows in (1, shape[axis]):
            for levels in (1, 3, 15):
                thresholds = np.sort(rng.integers(-8, 9, [rows, levels]).astype(f32), axis=1)
                if rng.random() < 0.5:
                    thresholds = (thresholds * f32(0.37)).astype(f32)
                x = values(shape)
                x.reshape(-1)[: thresholds.size] = thresholds.reshape(-1)[: x.size]
                attributes = {
                    "out_dtype": "INT8",
                    "out_scale": float(rng.choice([1.0, 2.0, 0.3])),
                    "out_bias": float(rng.choice([0.0, -1.0, 0.7])),
                }
                if layout:
                    attributes["data_layout"] = layout
                node = helper.make_node(
                    "MultiThreshold", ["x", "t"], ["y"], domain="qonnx.custom_op.general", **attributes
                )
                yield f"MultiThreshold {shape} {layout} rows={rows}", model_of(
                    [node], {"x": shape}, {"y": shape}, {"t": thresholds}
                ), {"x": x}


def elementwise():
    for kind in ("Add", "Sub", "Mul", "Div"):
        for shape, other in (([1, 9], []), ([1, 9], [9]), ([1, 3, 4], [3, 1]), ([2, 3], [2, 3])):
            for flipped in (False, True):
                k = rng.uniform(0.1, 3, other).astype(f32) * rng.choice([-1, 1], other).astype(f32)
                x = values(shape)
                x[x == 0] = 1  # no 0 / 0
                node = helper.make_node(kind, ["k", "x"] if flipped else ["x", "k"], ["y"])
                yield f"{kind} {shape} {other} flipped={flipped}", model_of(
                    [node], {"x": shape}, {"y": shape}, {"k": k}
                ), {"x": x}
        a, b = values([2, 5]), values([5])
        b[b == 0] = 3
        yield f"{kind} of two inputs", model_of(
            [helper.make_node(kind, ["a", "b"], ["y"])], {"a": [2, 5], "b": [5]}, {"y": [2, 5]}
        ), {"a": a, "b": b}
    for kind in ("Relu", "Sign", "Neg", "Abs", "Round", "Floor", "Ceil", "Sigmoid", "Tanh"):
        yield kind, model_of([helper.make_node(kind, ["x"], ["y"])], {"x": [3, 50]}, {"y": [3, 50]}), {
            "x": values([3, 50])
        }
    for kind, opset, attributes in (
        ("Erf", 13, {}),
        ("Softplus", 13, {}),
        ("HardSwish", 14, {}),
        ("Mish", 18, {}),
        ("Gelu", 20, {}),
        ("Gelu", 20, {"approximate": "tanh"}),
    ):
        node = helper.make_node(kind, ["x"], ["y"], **attributes)
        yield f"{kind} {attributes}", model_of([node], {"x": [3, 50]}, {"y": [3, 50]}, opset=opset), {"x": values([3, 50])}
    for kind in ("Softmax", "LogSoftmax"):
        for opset in (11, 13):
            for axis in (1, 2, -1):
                node = helper.make_node(kind, ["x"], ["y"], axis=axis)
                yield f"{kind} {opset} axis={axis}", model_of(
                    [node], {"x": [2, 3, 4]}, {"y": [2, 3, 4]}, opset=opset
                ), {"x": values([2, 3, 4])}
    node = helper.make_node("Clip", ["x", "l", "h"], ["y"])
    yield "Clip", model_of([node], {"x": [1, 50]}, {"y": [1, 50]}, {"l": f32(-1.5), "h": f32(2.25)}), {
        "x": values([1, 50])
    }
    node = helper.make_node("Clip", ["x", "", "h"], ["y"])
    yield "Clip without low", model_of([node], {"x": [1, 50]}, {"y": [1, 50]}, {"h": f32(2.25)}), {"x": values([1, 50])}


def batch_normalization():
    for shape in ([1, 8], [5, 8], [1, 8, 3], [2, 8, 3, 2]):
        for opset in (9, 13, 15):
            constants = {n: (rng.normal(size=8) * 3).astype(f32) for n in "sbm"}
            constants["s"][0] = 0
            constants["v"] = (rng.random(8) * 300).astype(f32)
            node = helper.make_node(
                "BatchNormalization", ["x", "s", "b", "m", "v"], ["y"], epsilon=float(rng.choice([1e-5, 1e-3]))
            )
            yield f"BatchNormalization {shape} {opset}", model_of(
                [node], {"x": shape}, {"y": shape}, constants, opset=opset
            ), {"x": values(shape, 20)}


def matrices():
    for a, b in (([1, 20], [20, 7]), ([3, 5], [5, 4]), ([2, 3, 5], [5, 4]), ([2, 3, 5], [2, 5, 4]), ([5], [5, 2])):
        x = rng.integers(-8, 8, a).astype(f32)
        w = rng.integers(-8, 8, b).astype(f32) / 4
        y = list(np.matmul(x, w).shape)
        yield f"MatMul {a} {b}", model_of(
            [helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": a}, {"y": y}, {"w": w}
        ), {"x": x}
    for trans_a, trans_b, alpha, beta, bias in (
        (0, 0, 1.0, 1.0, [4]),
        (0, 1, 1.0, 1.0, [4]),
        (1, 1, 0.5, 2.0, [3, 4]),
        (0, 1, 2.0, 1.0, None),
        (0, 0, 1.0, 0.25, []),
    ):
        x = rng.integers(-8, 8, [5, 3] if trans_a else [3, 5]).astype(f32)
        constants = {"w": rng.integers(-8, 8, [4, 5] if trans_b else [5, 4]).astype(f32)}
        operands = ["x", "w"]
        if bias is not None:
            constants["c"] = rng.integers(-8, 8, bias).astype(f32)
            operands.append("c")
        node = helper.make_node("Gemm", operands, ["y"], transA=trans_a, transB=trans_b, alpha=alpha, beta=beta)
        yield f"Gemm {trans_a} {trans_b} {alpha} {beta} {bias}", model_of(
            [node], {"x": list(x.shape)}, {"y": [3, 4]}, constants
        ), {"x": x}


def places():
    for axis in (0, 1, -1):
        for largest in (0, 1):
            x = rng.integers(-3, 4, [4, 6]).astype(f32)
            node = helper.make_node("TopK", ["x", "k"], ["v", "i"], axis=axis, largest=largest)
            shape = [4, 3] if axis else [3, 6]
            cast = helper.make_node("Cast", ["i"], ["y"], to=TensorProto.FLOAT)
            yield f"TopK indices {axis} {largest}", model_of(
                [node, cast], {"x": [4, 6]}, {"y": shape}, {"k": np.array([3])}
            ), {"x": x}
            yield f"TopK values {axis} {largest}", model_of(
                [node], {"x": [4, 6]}, {"v": shape}, {"k": np.array([3])}
            ), {"x": x}
        for keep in (0, 1):
            for last in (0, 1):
                x = rng.integers(-2, 3, [4, 6]).astype(f32)
                node = helper.make_node("ArgMax", ["x"], ["i"], axis=axis, keepdims=keep, select_last_index=last)
                shape = list(np.argmax(x, axis=axis, keepdims=bool(keep)).shape)
                cast = helper.make_node("Cast", ["i"], ["y"], to=TensorProto.FLOAT)
                yield f"ArgMax {axis} {keep} {last}", model_of([node, cast], {"x": [4, 6]}, {"y": shape}), {"x": x}


def shapes():
    x = values([1, 2, 3, 4])
    for attributes, operands, kind, shape, constants in (
        ({}, ["x", "t"], "Reshape", [2, 12], {"t": np.array([2, -1])}),
        ({}, ["x", "t"], "Reshape", [1, 2, 12], {"t": np.array([0, 0, -1])}),
        ({"axis": 2}, ["x"], "Flatten", [2, 12], {}),
        ({}, ["x", "t"], "Squeeze", [2, 3, 4], {"t": np.array([0])}),
        ({}, ["x", "t"], "Unsqueeze", [1, 2, 1, 3, 4, 1], {"t": np.array([2, -1])}),
        ({"perm": [0, 2, 3, 1]}, ["x"], "Transpose", [1, 3, 4, 2], {}),
        ({}, ["x"], "Transpose", [4, 3, 2, 1], {}),
        ({"axis": 3}, ["x", "t"], "Gather", [1, 2, 3, 2], {"t": np.array([3, 1])}),
        ({"axis": 1}, ["x", "x"], "Concat", [1, 4, 3, 4], {}),
        ({}, ["x"], "Identity", [1, 2, 3, 4], {}),
    ):
        yield f"{kind} {shape}", model_of(
            [helper.make_node(kind, operands, ["y"], **attributes)], {"x": [1, 2, 3, 4]}, {"y": shape}, constants
        ), {"x": x}


def quantize_linear():
    for kind in (np.uint8, np.int8, np.uint16, np.int16):
        for per in ([], [5]):
            scale = scales(per, rng.choice(["power", "any"]))
            info = np.iinfo(kind)
            zero = rng.integers(max(info.min, -100), min(info.max, 200), per).astype(kind)
            x = values([2, 5, 6], np.min(scale) * 20)
            attributes = {"axis": 1} if per else {}
            nodes = [
                helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], **attributes),
                helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], **attributes),
            ]
            yield f"QDQ {kind.__name__} {per}", model_of(
                nodes, {"x": [2, 5, 6]}, {"y": [2, 5, 6]}, {"s": scale, "z": zero}, opset=21
            ), {"x": x}
            weights = rng.integers(info.min, info.max + 1, [2, 5, 6]).astype(kind)
            nodes = [
                helper.make_node("DequantizeLinear", ["w", "s", "z"], ["d"], **attributes),
                helper.make_node("Add", ["x", "d"], ["y"]),
            ]
            yield f"DequantizeLinear {kind.__name__} {per}", model_of(
                nodes, {"x": [2, 5, 6]}, {"y": [2, 5, 6]}, {"w": weights, "s": scale, "z": zero}, opset=21
            ), {"x": np.zeros([2, 5, 6], f32)}


def integers(shape, low=-8, high=8):
    return rng.integers(low, high, shape).astype(f32)


def convolutions():
    """Integers: every sum of the reference is exact in float32, whatever its order."""
    for shape, weights, attributes in (
        ([1, 3, 9, 9], [5, 3, 3, 3], {}),
        ([1, 4, 8, 10], [6, 4, 3, 2], {"pads": [1, 0, 1, 1], "strides": [2, 3]}),
        ([2, 4, 9, 7], [6, 2, 3, 3], {"group": 2, "auto_pad": "SAME_UPPER", "strides": [2, 2]}),
        ([1, 8, 11, 6], [8, 1, 3, 3], {"group": 8, "pads": [1, 1, 1, 1], "dilations": [2, 1]}),
        ([1, 40, 5, 5], [21, 40, 3, 3], {"auto_pad": "SAME_LOWER"}),
        ([1, 70, 3, 13], [9, 70, 1, 1], {"strides": [1, 2]}),
        ([1, 3, 20], [4, 3, 5], {"pads": [2, 2], "strides": [3]}),
        ([2, 6, 17], [6, 1, 3], {"group": 6, "dilations": [4], "auto_pad": "VALID"}),
    ):
        for bias in (False, True):
            constants = {"w": integers(weights)} | ({"b": integers(weights[:1])} if bias else {})
            node = helper.make_node("Conv", ["x", *constants], ["y"], **attributes)
            yield f"Conv {shape} {weights} {attributes}", model_of([node], {"x": shape}, {"y": None}, constants), {"x": integers(shape)}
    for shape, weights, attributes in (
        ([1, 3, 4, 5], [3, 2, 3, 3], {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ([1, 4, 4, 3], [4, 3, 2, 4], {"group": 2, "strides": [2, 3], "output_padding": [1, 2]}),
        ([2, 4, 6], [4, 2, 3], {"dilations": [2], "strides": [2]}),
        ([1, 2, 5, 5], [2, 2, 3, 3], {"strides": [3, 3], "output_shape": [14, 13]}),
        ([1, 2, 5, 5], [2, 2, 3, 3], {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    ):
        constants = {"w": integers(weights), "b": integers([weights[1] * attributes.get("group", 1)])}
        node = helper.make_node("ConvTranspose", ["x", *constants], ["y"], **attributes)
        yield f"ConvTranspose {shape} {weights} {attributes}", model_of([node], {"x": shape}, {"y": None}, constants), {"x": integers(shape)}


def pools():
    for shape, attributes in (
        ([1, 3, 8, 8], {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ([2, 3, 9, 7], {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1]}),
        ([1, 2, 9, 9], {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}),
        ([1, 2, 8, 10], {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
        ([1, 2, 10, 10], {"kernel_shape": [3, 3], "strides": [3, 3], "pads": [1, 1, 1, 1], "ceil_mode": 1}),
        ([1, 4, 15], {"kernel_shape": [4], "strides": [3]}),
    ):
        for kind in ("MaxPool", "AveragePool"):
            for counts in ((0, 1) if kind == "AveragePool" and "ceil_mode" not in attributes else (0,)):
                more = {"count_include_pad": counts} if counts else {}
                node = helper.make_node(kind, ["x"], ["y"], **attributes, **more)
                yield f"{kind} {shape} {attributes} {more}", model_of([node], {"x": shape}, {"y": None}), {"x": integers(shape, -500, 500)}
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 3], dilations=[2, 3])
    yield "MaxPool dilated", model_of([node], {"x": [1, 2, 9, 9]}, {"y": None}), {"x": values([1, 2, 9, 9])}
    for kind in ("GlobalAveragePool", "GlobalMaxPool"):
        for shape in ([1, 5, 7, 7], [2, 3, 12]):
            yield kind, model_of([helper.make_node(kind, ["x"], ["y"])], {"x": shape}, {"y": None}), {"x": integers(shape, 0, 256)}
    for axes in ([1], [2, 3], [-1], [0, 1, 2, 3]):
        for keep in (0, 1):
            for kind in ("ReduceMean", "ReduceMax"):
                node = helper.make_node(kind, ["x"], ["y"], axes=axes, keepdims=keep)
                yield f"{kind} {axes}", model_of([node], {"x": [2, 3, 4, 5]}, {"y": None}), {"x": integers([2, 3, 4, 5])}
            node = helper.make_node("ReduceSum", ["x", "a"], ["y"], keepdims=keep)
            yield f"ReduceSum {axes}", model_of([node], {"x": [2, 3, 4, 5]}, {"y": None}, {"a": np.array(axes)}), {"x": integers([2, 3, 4, 5])}


def moves():
    x = values([1, 8, 6, 4])
    ints = lambda *items: np.array(items, np.int64)
    for kind, constants, attributes, outputs in (
        ("Pad", {"p": ints(0, 0, 1, 2, 0, 0, 3, 0), "v": f32(0)}, {}, 1),
        ("Pad", {"p": ints(0, 0, 0, 1, 0, 2, 0, 0), "v": f32(1.5)}, {}, 1),
        ("Slice", {"s": ints(1, 2), "e": ints(5, 100), "a": ints(2, 1)}, {}, 1),
        ("Slice", {"s": ints(-1, 0), "e": ints(-100, -1), "a": ints(2, 1), "t": ints(-2, 3)}, {}, 1),
        ("Split", {"n": ints(3, 5)}, {"axis": 1}, 2),
        ("Split", {}, {"axis": 2}, 3),
        ("DepthToSpace", {}, {"blocksize": 2}, 1),
        ("DepthToSpace", {}, {"blocksize": 2, "mode": "CRD"}, 1),
        ("SpaceToDepth", {}, {"blocksize": 2}, 1),
        ("Resize", {"r": np.array([], f32), "c": np.array([1, 1, 2, 3], f32)}, {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, 1),
        ("Resize", {"r": np.array([], f32), "c": np.array([1, 1, 0.5, 1.7], f32)}, {"mode": "nearest"}, 1),
        ("Resize", {"r": None, "c": None, "z": ints(1, 8, 9, 7)}, {"mode": "nearest", "coordinate_transformation_mode": "align_corners", "nearest_mode": "ceil"}, 1),
        ("PRelu", {"s": integers([8, 1, 1])}, {}, 1),
        ("LeakyRelu", {}, {"alpha": 0.3}, 1),
        ("Elu", {}, {"alpha": 0.7}, 1),
        ("Selu", {}, {}, 1),
        ("Max", {"k": values([8, 1, 1])}, {}, 1),
        ("Min", {"k": values([4])}, {}, 1),
    ):
        names = [f"y{i}" for i in range(outputs)]
        operands = [name if value is not None else "" for name, value in constants.items()]  # None: left out
        constants = {name: value for name, value in constants.items() if value is not None}
        node = helper.make_node(kind, ["x", *operands], names, **attributes)
        yield f"{kind} {attributes}", model_of([node], {"x": list(x.shape)}, {name: None for name in names}, constants), {"x": x}


def layers_of_qonnx():
    """Pools and channels-last layers in QONNX's own domains."""
    last = lambda kind, operands, **attributes: helper.make_node(kind, operands, ["y"], domain="qonnx.custom_op.channels_last", **attributes)
    w = integers([5, 3, 3, 4])  # [M, H, W, C]
    node = last("Conv", ["x", "w"], kernel_shape=[3, 3], strides=[2, 1], dilations=[1, 1], pads=[1, 0, 1, 2], group=1)
    yield "Conv channels last", model_of([node], {"x": [1, 7, 6, 4]}, {"y": [1, 4, 6, 5]}, {"w": w}), {"x": integers([1, 7, 6, 4])}
    node = last("MaxPool", ["x"], kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0])
    yield "MaxPool channels last", model_of([node], {"x": [1, 8, 6, 4]}, {"y": [1, 4, 3, 4]}), {"x": values([1, 8, 6, 4])}
    parameters = {"s": integers([4]), "b": integers([4]), "m": integers([4]), "v": integers([4], 1, 9)}
    node = last("BatchNormalization", ["x", *parameters], epsilon=1e-5, momentum=0.9)
    yield "BatchNormalization channels last", model_of([node], {"x": [1, 3, 3, 4]}, {"y": [1, 3, 3, 4]}, parameters), {"x": integers([1, 3, 3, 4])}
    for layout, shape, result in (("NCHW", [1, 3, 6, 6], [1, 3, 2, 2]), ("NHWC", [1, 6, 6, 3], [1, 2, 2, 3])):
        node = helper.make_node("QuantAvgPool2d", ["x"], ["y"], domain="qonnx.custom_op.general", kernel=3, stride=3, ibits=4, obits=4, signed=0, data_layout=layout)
        yield f"QuantAvgPool2d {layout}", model_of([node], {"x": shape}, {"y": result}), {"x": integers(shape, 0, 16)}
    node = helper.make_node("MaxPoolNHWC", ["x"], ["y"], domain="qonnx.custom_op.general", kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0])
    yield "MaxPoolNHWC", model_of([node], {"x": [1, 4, 6, 3]}, {"y": [1, 2, 3, 3]}), {"x": values([1, 4, 6, 3])}


def main():
    options = arguments()
    probe = Probe(options.probe)
    failures = count = 0
    groups = (quant, lambda: quant("IntQuant", "qonnx.custom_op.general"), lambda: quant("Quant", "onnx.brevitas"))
    groups += (
        bipolar,
        trunc,
        multi_threshold,
        elementwise,
        batch_normalization,
        matrices,
        places,
        shapes,
        quantize_linear,
        convolutions,
        pools,
        moves,
        layers_of_qonnx,
    )
    for group in groups:
        for name, model, inputs in group():
            count += 1
            try:
                expected = reference_of(model, inputs)
                found = probe.run(probe.save(model), list(inputs.values()))[0]
            except RuntimeError as error:
                print(f"{name}: {error}")
                failures += 1
                continue
            found = found.reshape(expected.shape)
            loose = LOOSE.get(name.split()[0])
            good = np.allclose(found, expected, 1e-6, loose) if loose else same_bits(found, expected)
            if not good:
                different = np.flatnonzero(found.view(np.uint32).reshape(-1) != expected.view(np.uint32).reshape(-1))
                at = different[0]
                operand = next(iter(inputs.values())).reshape(-1)
                print(
                    f"{name}: {different.size} of {found.size} differ, first at {at}: {found.reshape(-1)[at]!r}, expected {expected.reshape(-1)[at]!r}, operand {operand[at % operand.size]!r}"
                )
                failures += 1
    print(f"{count} models, {failures} failures")
    return 1 if failures else 0


def reference_of(model, inputs):
    return np.asarray(next(iter(reference(model, inputs).values())), f32)


if __name__ == "__main__":
    sys.exit(main())
