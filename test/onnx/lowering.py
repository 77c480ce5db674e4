# SPDX-License-Identifier: Apache-2.0
"""Random networks: the integer graph gives the bits of the float reference, and every layer did become hardware. Scales are powers
of two, where the reference itself is exact; constants between a layer and its quantizer are any floats."""

import re
import sys

from common import Probe, arguments, helper, model_of, np

f32 = np.float32
DOMAIN = "qonnx.custom_op.general"


class Network:
    def __init__(self, rng, width):
        self.rng, self.nodes, self.constants, self.count = rng, [], {}, 0
        self.x, self.shape, self.said = "x", [1, width], []
        self.layers = 0

    def constant(self, value):
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name

    def node(self, kind, operands, **attributes):
        self.count += 1
        name = f"t{self.count}"
        self.nodes.append(helper.make_node(kind, operands, [name], **attributes))
        return name

    def then(self, kind, *constants, flipped=False, **attributes):
        operands = [self.x, *map(self.constant, constants)]
        self.x = self.node(kind, operands[::-1] if flipped else operands, **attributes)
        self.said.append(kind)

    def power(self, shape=()):
        return (2.0 ** self.rng.integers(-3, 2, shape)).astype(f32)

    def quantizer(self, per_channel=False):
        rng, width = self.rng, self.shape[-1]
        kind = rng.choice(["Quant", "Quant", "Quant", "BipolarQuant", "MultiThreshold", "QDQ"])
        scale = self.power([1, width] if per_channel else [])
        if kind == "Quant":
            bits = int(rng.choice([1, 2, 3, 4, 8]))
            signed = int(rng.integers(0, 2))
            narrow = int(bits > 1 and rng.integers(0, 2))
            zero = f32(rng.integers(-2, 3)) if rng.random() < 0.3 else f32(0)
            mode = rng.choice(["ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN"])
            self.then("Quant", scale, zero, f32(bits), domain=DOMAIN, signed=signed, narrow=narrow, rounding_mode=mode)
        elif kind == "BipolarQuant":
            self.then("BipolarQuant", scale, domain=DOMAIN)
        elif kind == "MultiThreshold":
            rows = int(rng.choice([1, width]))
            thresholds = np.sort(
                rng.integers(-20, 20, [rows, int(rng.integers(1, 8))]).astype(f32) * f32(rng.choice([0.5, 0.3])), axis=1
            )
            out_scale, out_bias = rng.choice([(1.0, 0.0), (2.0, -1.0), (0.5, -1.5)])
            self.then(
                "MultiThreshold", thresholds, domain=DOMAIN, out_dtype="INT8", out_scale=out_scale, out_bias=out_bias
            )
        else:
            scale = self.power([])
            zero = np.asarray(rng.integers(-20, 20), np.int8)
            self.then("QuantizeLinear", scale, zero)
            self.then("DequantizeLinear", scale, zero)

    def weights(self, inner, width, kind=None):
        rng = self.rng
        kind = kind or rng.choice(["integers", "Quant", "QuantT", "Bipolar", "DQ", "scaled"])
        self.said.append(kind)
        if kind == "integers":
            return self.constant(rng.integers(-3, 4, [inner, width]).astype(f32))
        if kind == "scaled":
            return self.constant((rng.integers(-1, 2, [inner, width]) * self.power()).astype(f32))
        if kind == "Bipolar":
            w = self.constant(rng.normal(size=[inner, width]).astype(f32))
            return self.node("BipolarQuant", [w, self.constant(self.power([1, width]))], domain=DOMAIN)
        if kind == "DQ":
            w = self.constant(rng.integers(-128, 128, [inner, width]).astype(np.int8))
            scale, zero = self.power([width]), rng.integers(-5, 5, [width]).astype(np.int8)
            return self.node("DequantizeLinear", [w, self.constant(scale), self.constant(zero)], axis=1)
        bits = f32(rng.choice([2, 3, 4, 8]))
        turned = kind == "QuantT"
        w = self.constant(rng.normal(size=[width, inner] if turned else [inner, width]).astype(f32))
        scale = self.power([width, 1] if turned else [1, width])
        operands = [w, self.constant(scale), self.constant(f32(0)), self.constant(bits)]
        w = self.node("Quant", operands, domain=DOMAIN, signed=1, narrow=int(rng.integers(0, 2)), rounding_mode="ROUND")
        return self.node("Transpose", [w], perm=[1, 0]) if turned else w

    def layer(self, kind=None):
        width = int(self.rng.integers(2, 12))
        w = self.weights(self.shape[-1], width, kind)
        self.layers += 1
        if self.rng.random() < 0.3:
            self.x = self.node("Gemm", [self.x, w, self.constant(self.rng.normal(size=[width]).astype(f32))])
        else:
            self.x = self.node("MatMul", [self.x, w])
        self.shape = [1, width]

    def between(self):
        rng, width = self.rng, self.shape[-1]
        vector = lambda: rng.normal(size=[width]).astype(f32) * f32(3)
        for _ in range(int(rng.integers(0, 4))):
            kind = rng.choice(["Add", "Sub", "Mul", "Div", "BatchNormalization", "Relu", "Clip", "views", "Neg"])
            if kind in ("Add", "Sub", "Mul", "Div"):
                constant = rng.choice([vector, lambda: f32(rng.normal())])()
                self.then(kind, constant, flipped=bool(kind != "Div" and rng.integers(0, 2)))
            elif kind == "BatchNormalization":
                scale = vector()
                scale[rng.random(width) < 0.1] = 0
                self.then(kind, scale, vector(), vector(), rng.uniform(0.1, 30, [width]).astype(f32))
            elif kind == "Clip":
                self.then("Clip", f32(-2), f32(3.5))
            elif kind == "views":
                self.then("Unsqueeze", np.array([2]))
                self.then("Flatten")
            else:
                self.then(kind)

    def curve(self):
        """A function of one value that turns once: the expressions that frameworks write, and ONNX's own functions."""
        rng, x = self.rng, self.x
        kind = rng.choice(["SiLU", "Gelu", "HardSwish", "Mish", "Abs", "Pow", "Tent", "Softplus"])
        self.said.append(kind)
        if kind == "SiLU":
            self.x = self.node("Mul", [x, self.node("Sigmoid", [x])])
        elif kind == "Gelu":
            share = self.node("Erf", [self.node("Div", [x, self.constant(f32(2**0.5))])])
            product = self.node("Mul", [x, self.node("Add", [share, self.constant(f32(1))])])
            self.x = self.node("Mul", [product, self.constant(f32(0.5))])
        elif kind == "Mish":
            self.x = self.node("Mul", [x, self.node("Tanh", [self.node("Softplus", [x])])])
        elif kind == "Pow":
            self.x = self.node("Pow", [x, self.constant(f32(2))])
        elif kind == "Tent":  # rises, then falls; what both operands share lies before, too
            above = self.node("Relu", [self.node("Sub", [x, self.constant(f32(0.75))])])
            self.x = self.node("Sub", [x, self.node("Mul", [above, self.constant(f32(3))])])
        else:
            self.x = self.node(kind, [x])

    def tail(self):
        kind = self.rng.choice(["nothing", "scale", "Softmax", "ArgMax", "TopK"])
        self.said.append(kind)
        if kind == "scale":
            self.then("Mul", f32(0.3))
            self.then("Add", f32(1.25))
        elif kind == "Softmax":
            self.then("Softmax")
        elif kind in ("ArgMax", "TopK"):
            if kind == "ArgMax":
                index = self.node("ArgMax", [self.x], axis=1)
            else:
                index = "index"
                self.nodes.append(helper.make_node("TopK", [self.x, self.constant(np.array([2]))], ["best", index]))
            self.x = self.node("Cast", [index], to=1)
            self.shape = [1, 1 if kind == "ArgMax" else 2]


def network(rng):
    net = Network(rng, int(rng.integers(2, 20)))
    width = net.shape[-1]
    net.quantizer(per_channel=rng.random() < 0.2)
    for i in range(int(rng.integers(1, 4))):
        if i > 0:
            net.between()
            net.quantizer(per_channel=rng.random() < 0.2)
        net.layer()
    net.tail()
    net.nodes.append(helper.make_node("Identity", [net.x], ["y"]))
    return net, model_of(net.nodes, {"x": [1, width]}, {"y": net.shape}, net.constants), width


def curved(rng):
    """A network whose activations turn, on few enough integers to try all."""
    net = Network(rng, int(rng.integers(2, 20)))
    width = net.shape[-1]
    quantizer = lambda scale: net.then("Quant", scale, f32(0), f32(rng.choice([2, 3, 4])), domain=DOMAIN, signed=int(rng.integers(0, 2)),
                                       narrow=0, rounding_mode="ROUND")  # fmt: skip
    quantizer(net.power())
    for _ in range(int(rng.integers(1, 3))):
        net.layer("integers")
        vector = lambda: rng.normal(size=net.shape[-1:]).astype(f32)
        if rng.random() < 0.7:
            net.then("BatchNormalization", vector(), vector(), vector(), rng.uniform(0.1, 30, net.shape[-1:]).astype(f32))
        net.curve()
        if rng.random() < 0.5:
            net.then("Mul", f32(rng.uniform(0.2, 3)))
            net.then("Add", vector())
        quantizer(net.power([1, net.shape[-1]] if rng.random() < 0.5 else []))
    net.layer()
    net.nodes.append(helper.make_node("Identity", [net.x], ["y"]))
    return net, model_of(net.nodes, {"x": [1, width]}, {"y": net.shape}, net.constants, opset=14), width


def main():
    options = arguments()
    probe = Probe(options.probe)
    failures = selections = bends = 0
    kept = []
    networks = 600
    for seed in range(networks):
        rng = np.random.default_rng(seed)
        net, model, width = network(rng) if seed < 400 else curved(rng)
        path = probe.save(model)
        x = (rng.integers(-40, 41, [40, 1, width]) / 8).astype(f32)
        try:
            expected = probe.run(path, [x])[0]
            found = probe.run(path, [x], command="integer")[0]
        except RuntimeError as error:
            print(f"network {seed} {' '.join(net.said)}: {error}")
            failures += 1
            continue
        if not np.array_equal(found, expected):
            wrong = np.flatnonzero((found != expected).reshape(40, -1).any(1))
            print(f"network {seed} {' '.join(net.said)}: {wrong.size} of 40 frames differ, first {wrong[0]}")
            print(f"  {found[wrong[0]].reshape(-1)[:8]}, expected {expected[wrong[0]].reshape(-1)[:8]}")
            failures += 1
        lowered = probe.call("lowered", path).stdout
        selections += len(re.findall(" = label_select ", lowered))
        bends += len(re.findall(" = eltwise ", lowered))
        if len(re.findall(" = mvau ", lowered)) != net.layers:
            kept.append(f"network {seed} {' '.join(net.said)}")
    print(
        f"{networks} networks, {failures} failures, {len(kept)} with a layer left in float, {selections} end in label selection, "
        f"{bends} activations turn"
    )
    for line in kept[:20]:
        print(f"  left in float: {line}")
    return 1 if failures or kept or not selections or not bends else 0


if __name__ == "__main__":
    sys.exit(main())
