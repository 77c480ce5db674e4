# SPDX-License-Identifier: Apache-2.0
"""Random convolutional networks with branches: the integer graph gives the bits of the float reference, and every layer, pool and
join did become hardware. Scales are powers of two, as in lowering.py."""

import re
import sys

from common import Probe, arguments, helper, model_of, np
from lowering import DOMAIN, Network, f32

HARDWARE = ("mvau", "vvau", "pool", "eltwise", "concat_streams", "pad_stream", "upsample")


class ConvNetwork(Network):
    """Values are [1, C, H, W] or [1, C, L]; `wanted` counts what must become hardware."""

    def __init__(self, rng, shape):
        super().__init__(rng, 1)
        self.shape = shape
        self.wanted = dict.fromkeys(HARDWARE, 0)

    def channel_vector(self, values):
        return np.asarray(values, f32).reshape([-1] + [1] * (len(self.shape) - 2))

    def quantizer(self, bits=None, scale=None, signed=None):
        rng = self.rng
        kind = rng.choice(["Quant", "Quant", "BipolarQuant", "MultiThreshold"]) if bits is None else "Quant"
        scale = self.power() if scale is None else scale
        if kind == "Quant":
            bits = int(rng.choice([1, 2, 3, 4])) if bits is None else bits
            signed = int(rng.integers(0, 2)) if signed is None else signed
            zero = f32(rng.integers(-2, 3)) if rng.random() < 0.2 else f32(0)
            self.then("Quant", scale, zero, f32(bits), domain=DOMAIN, signed=signed, narrow=0, rounding_mode="ROUND")
        elif kind == "BipolarQuant":
            self.then("BipolarQuant", scale, domain=DOMAIN)
        else:
            rows = int(rng.choice([1, self.shape[1]])) if len(self.shape) == 4 else 1
            thresholds = np.sort(rng.integers(-20, 20, [rows, 3]).astype(f32) * f32(0.5), axis=1)
            self.then("MultiThreshold", thresholds, domain=DOMAIN, out_dtype="INT8", out_scale=1.0, out_bias=0.0)

    def between(self):
        rng, channels = self.rng, self.shape[1]
        for _ in range(int(rng.integers(0, 3))):
            kind = rng.choice(["Add", "Mul", "BatchNormalization", "Relu", "turned"])
            if kind in ("Add", "Mul"):
                self.then(kind, self.channel_vector(rng.normal(size=[channels]) * 3))
            elif kind == "BatchNormalization":
                vector = lambda: rng.normal(size=[channels]).astype(f32) * f32(3)
                self.then(kind, vector(), vector(), vector(), rng.uniform(0.1, 30, [channels]).astype(f32))
            elif kind == "turned":
                # To channels last, something there, and back: nothing of it may be left.
                rank = len(self.shape)
                self.then("Transpose", perm=[0, *range(2, rank), 1])
                self.then("Add", (rng.normal(size=[channels]) * 3).astype(f32))
                self.then("Transpose", perm=[0, rank - 1, *range(1, rank - 1)])
            else:
                self.then(kind)

    def window(self):
        """kernel, stride, dilation and pads that fit."""
        rng, axes = self.rng, len(self.shape) - 2
        while True:
            kernel, stride = rng.integers(1, 4, axes), rng.integers(1, 3, axes)
            dilation = rng.integers(1, 3, axes) if rng.random() < 0.3 else np.ones(axes, int)
            extent = (kernel - 1) * dilation + 1
            pads = rng.integers(0, extent, [2, axes]) if rng.random() < 0.6 else np.zeros([2, axes], int)
            size = np.array(self.shape[2:]) + pads.sum(0) - extent
            if (size >= 0).all():
                attributes = {
                    "kernel_shape": kernel.tolist(),
                    "strides": stride.tolist(),
                    "dilations": dilation.tolist(),
                    "pads": pads.reshape(-1).tolist(),
                }
                return attributes, (size // stride + 1).tolist()

    def conv(self):
        rng, channels = self.rng, self.shape[1]
        attributes, places = self.window()
        kind = rng.choice(["dense", "dense", "grouped", "depthwise"])
        group = {"dense": 1, "depthwise": channels}.get(kind)
        if group is None:
            group = int(rng.choice([g for g in range(1, channels + 1) if channels % g == 0]))
        rows = channels if kind == "depthwise" else group * int(rng.integers(1, 4))
        shape = [rows, channels // group, *attributes["kernel_shape"]]
        scale = self.power([rows] + [1] * (len(shape) - 1))
        w = self.constant(rng.normal(size=shape).astype(f32))
        operands = [w, self.constant(scale), self.constant(f32(0)), self.constant(f32(3))]
        w = self.node("Quant", operands, domain=DOMAIN, signed=1, narrow=1, rounding_mode="ROUND")
        operands = [self.x, w]
        if rng.random() < 0.3:
            operands.append(self.constant(rng.normal(size=[rows]).astype(f32)))
        self.x = self.node("Conv", operands, group=group, **attributes)
        self.shape = [1, rows, *places]
        depthwise = group > 1 and rows == channels == group and np.prod(attributes["kernel_shape"]) > 1
        self.wanted["vvau" if depthwise else "mvau"] += 1
        self.said.append(f"{kind} conv {attributes}")

    def pool(self):
        attributes, places = self.window()
        del attributes["dilations"]
        kernel = attributes["kernel_shape"]
        axes = len(kernel)
        places = [
            (self.shape[2 + d] + attributes["pads"][d] + attributes["pads"][axes + d] - kernel[d])
            // attributes["strides"][d]
            + 1
            for d in range(axes)
        ]
        if min(places) < 1 or any(p >= kernel[d % axes] for d, p in enumerate(attributes["pads"])):
            return
        if self.rng.random() < 0.5:
            self.then("MaxPool", **attributes)
        else:
            self.then("AveragePool", count_include_pad=1, **attributes)
            self.quantizer(bits=4)
        self.shape = [*self.shape[:2], *places]
        self.wanted["pool"] += 1
        self.said.append(str(attributes))

    def branches(self):
        """Two ways from here that meet again."""
        start, shape = self.x, list(self.shape)
        ends = []
        scale = self.power()
        for way in range(2):
            self.x, self.shape = start, list(shape)
            if way == 0 or self.rng.random() < 0.5:
                channels = shape[1]
                scales = self.power([channels] + [1] * (len(shape) - 1))
                w = self.constant(self.rng.normal(size=[channels, channels] + [1] * (len(shape) - 2)).astype(f32))
                operands = [w, self.constant(scales), self.constant(f32(0)), self.constant(f32(2))]
                w = self.node("Quant", operands, domain=DOMAIN, signed=1, narrow=1, rounding_mode="ROUND")
                self.x = self.node("Conv", [self.x, w])
                self.wanted["mvau"] += 1
            self.between()
            self.quantizer(bits=3, scale=scale * f32(self.rng.choice([1, 2])))
            ends.append(self.x)
        kind = self.rng.choice(["Add", "Sub", "Concat"])
        self.x = self.node(kind, ends, **({"axis": 1} if kind == "Concat" else {}))
        if kind == "Concat":
            self.shape = [1, 2 * shape[1], *shape[2:]]
        self.wanted["concat_streams" if kind == "Concat" else "eltwise"] += 1
        self.said.append(kind)

    def spread(self):
        """A transposed convolution."""
        rng, channels, axes = self.rng, self.shape[1], len(self.shape) - 2
        kernel, stride = rng.integers(1, 5, axes), rng.integers(1, 4, axes)
        group = int(rng.choice([g for g in range(1, channels + 1) if channels % g == 0]))
        rows = int(rng.integers(1, 4))
        cut = rng.integers(0, kernel, [2, axes])
        places = (np.array(self.shape[2:]) - 1) * stride + kernel - cut.sum(0)
        if (places < 1).any() or places.prod() > 400:
            return
        scale = self.power([1, rows] + [1] * axes)
        w = self.constant(rng.normal(size=[channels, rows, *kernel]).astype(f32))
        operands = [w, self.constant(scale), self.constant(f32(0)), self.constant(f32(3))]
        w = self.node("Quant", operands, domain=DOMAIN, signed=1, narrow=1, rounding_mode="ROUND")
        attributes = {"strides": stride.tolist(), "pads": cut.reshape(-1).tolist(), "group": group}
        self.x = self.node("ConvTranspose", [self.x, w], **attributes)
        self.shape = [1, group * rows, *places.tolist()]
        self.said.append(f"ConvTranspose {kernel} {attributes}")

    def enlarge(self):
        """Nearest neighbours, or zeros around."""
        axes = len(self.shape) - 2
        if self.rng.random() < 0.5:
            scale = [1, 1, *self.rng.integers(1, 3, axes).tolist()]
            empty = self.constant(np.array([], f32))
            self.x = self.node("Resize", [self.x, empty, self.constant(np.array(scale, f32))], mode="nearest",
                               coordinate_transformation_mode="asymmetric", nearest_mode="floor")
            self.shape = [a * b for a, b in zip(self.shape, scale)]
            self.wanted["upsample"] += 1 if max(scale) > 1 else 0
        else:
            pads = self.rng.integers(0, 3, [2, axes])
            self.x = self.node("Pad", [self.x, self.constant(np.array([0, 0, *pads[0], 0, 0, *pads[1]]))])
            self.shape = [*self.shape[:2], *(np.array(self.shape[2:]) + pads.sum(0)).tolist()]
            self.wanted["pad_stream"] += int(pads.any())

    def cut(self):
        """Two parts along the channels or along a position, one or both of which go on."""
        axis = int(self.rng.integers(1, len(self.shape)))
        if self.shape[axis] < 2:
            return
        first = int(self.rng.integers(1, self.shape[axis]))
        sizes = [first, self.shape[axis] - first]
        self.count += 1
        names = [f"t{self.count}a", f"t{self.count}b"]
        self.nodes.append(helper.make_node("Split", [self.x, self.constant(np.array(sizes))], names, axis=axis))
        self.x = self.node("Concat", names[::-1], axis=axis)
        self.wanted["concat_streams"] += 1

    def mean(self):
        self.then("ReduceMean", axes=list(range(2, len(self.shape))), keepdims=1)
        self.shape = [*self.shape[:2], *[1] * (len(self.shape) - 2)]
        self.wanted["pool"] += 1
        self.quantizer(bits=4)

    def end(self):
        """Flatten and a product, so that positions and channels mix."""
        if self.rng.random() < 0.5:
            return
        self.then("Flatten")
        count = int(np.prod(self.shape))
        w = self.rng.integers(-2, 3, [count, 5]).astype(f32)
        self.x = self.node("MatMul", [self.x, self.constant(w)])
        self.shape = [1, 5]
        self.wanted["mvau"] += 1


def network(rng):
    axes = int(rng.integers(1, 3))
    net = ConvNetwork(rng, [1, int(rng.integers(1, 5)), *rng.integers(4, 9, axes).tolist()])
    shape = list(net.shape)
    net.quantizer()
    for i in range(int(rng.integers(1, 4))):
        if np.prod(net.shape) > 1500:
            break
        rng.choice([net.conv, net.conv, net.pool, net.branches, net.spread, net.enlarge, net.cut])()
        net.between()
        net.quantizer()
    if rng.random() < 0.2:
        net.mean()
    net.end()
    net.nodes.append(helper.make_node("Identity", [net.x], ["y"]))
    return net, model_of(net.nodes, {"x": shape}, {"y": net.shape}, net.constants), shape


def main():
    options = arguments()
    probe = Probe(options.probe)
    failures = 0
    kept, made = [], dict.fromkeys((*HARDWARE, "split_stream", "shuffle", "crop"), 0)
    networks, frames = 400, 10
    for seed in range(networks):
        rng = np.random.default_rng(seed)
        net, model, shape = network(rng)
        path = probe.save(model)
        x = (rng.integers(-40, 41, [frames, *shape]) / 8).astype(f32)
        try:
            expected = probe.run(path, [x])[0]
            found = probe.run(path, [x], command="integer")[0]
        except RuntimeError as error:
            print(f"network {seed} {' '.join(net.said)}: {error}")
            failures += 1
            continue
        if not np.array_equal(found, expected):
            wrong = np.flatnonzero((found != expected).reshape(frames, -1).any(1))
            print(f"network {seed} {' '.join(net.said)}: {wrong.size} of {frames} frames differ")
            print(f"  {found[wrong[0]].reshape(-1)[:8]}, expected {expected[wrong[0]].reshape(-1)[:8]}")
            failures += 1
        lowered = probe.call("lowered", path).stdout
        spread = len(re.findall(" = conv_transpose ", lowered))
        if spread:
            kept.append(f"network {seed}: a transposed convolution: {' '.join(net.said)}")
        for op in made:
            count = len(re.findall(f" = {op} ", lowered))
            made[op] += count
            if op in net.wanted and count < net.wanted[op]:
                kept.append(f"network {seed}: {count} {op}, not {net.wanted[op]}: {' '.join(net.said)}")
    print(f"{networks} networks, {failures} failures, {len(kept)} with something left in float; {made}")
    for line in kept[:20]:
        print(f"  left in float: {line}")
    return 1 if failures or kept or not all(made.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
