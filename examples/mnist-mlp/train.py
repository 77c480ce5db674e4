#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the example network, a 784-64-64-64-10 MLP with 2-bit weights and 2-bit activations, and exports it as QONNX.

    train.py --data MNIST_DIR [--hold-out DIR] [--output mnist-mlp-w2a2.onnx] [--epochs 60] [--seed 1]

MNIST_DIR holds MNIST's four IDX files. Digits that also occur in --hold-out (written by digits.py --all) are left out of
training and validation. The epoch kept is the one best on a validation split; the test digits are only reported on.
The packages it needs are in requirements.txt beside it. One thread and a fixed seed: the same machine gives the same network.
"""

import argparse
import gzip
import pathlib
import struct

import numpy
import onnx
import torch
from brevitas.core.bit_width import BitWidthImplType
from brevitas.core.quant import QuantType
from brevitas.core.restrict_val import FloatToIntImplType, RestrictValueType
from brevitas.core.scaling import ScalingImplType
from brevitas.core.zero_point import ZeroZeroPoint
from brevitas.export import export_qonnx
from brevitas.inject import ExtendedInjector
from brevitas.nn import QuantIdentity, QuantLinear
from brevitas.quant.solver import ActQuantSolver, WeightQuantSolver
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.cleanup import cleanup_model

PIXELS = 28 * 28
WIDTHS = [PIXELS, 64, 64, 64, 10]
BATCH = 100
VALIDATION = 5000


class ConstantScale(ExtendedInjector):
    """2 bits at a constant scale that is a power of two: every sum is then exact in float32, so float and integers agree."""

    quant_type = QuantType.INT
    bit_width_impl_type = BitWidthImplType.CONST
    bit_width = 2
    scaling_impl_type = ScalingImplType.CONST
    restrict_scaling_type = RestrictValueType.FP
    scaling_per_output_channel = False
    zero_point_impl = ZeroZeroPoint
    float_to_int_impl_type = FloatToIntImplType.ROUND


class Weights(ConstantScale, WeightQuantSolver):
    """-1, 0 and 1."""

    signed = True
    narrow_range = True
    scaling_const = 1.0


class Pixels(ConstantScale, ActQuantSolver):
    """0, 1/4, 1/2 and 3/4 of full brightness. Unsigned, so that a black pixel is 0."""

    signed = False
    narrow_range = False
    min_val = 0.0
    max_val = 0.75


class Activations(ConstantScale, ActQuantSolver):
    """0, 1, 2 and 3: a quantized ReLU. Batch normalization before it learns the scale, so a constant one loses nothing."""

    signed = False
    narrow_range = False
    min_val = 0.0
    max_val = 3.0


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.features = torch.nn.Sequential(QuantIdentity(act_quant=Pixels))
        for inputs, outputs in zip(WIDTHS[:-2], WIDTHS[1:-1]):
            self.features.append(QuantLinear(inputs, outputs, bias=False, weight_quant=Weights))
            self.features.append(torch.nn.BatchNorm1d(outputs))
            self.features.append(QuantIdentity(act_quant=Activations))
        # No normalization after the last layer: the scores are integers, and their order is all that is asked for.
        self.features.append(QuantLinear(WIDTHS[-2], WIDTHS[-1], bias=False, weight_quant=Weights))
        for layer in self.linear_layers():
            torch.nn.init.uniform_(layer.weight, -1.0, 1.0)

    def linear_layers(self):
        return [layer for layer in self.features if isinstance(layer, QuantLinear)]

    def forward(self, pixels):
        return self.features(pixels)


def read_idx(path):
    content = gzip.decompress(path.read_bytes())
    rank = content[3]
    sizes = struct.unpack(f">{rank}I", content[4 : 4 + 4 * rank])
    return torch.from_numpy(numpy.frombuffer(content, numpy.uint8, offset=4 + 4 * rank).reshape(sizes).copy())


def read_digits(folder, name):
    return read_idx(folder / f"{name}-images-idx3-ubyte.gz").reshape(-1, PIXELS), read_idx(
        folder / f"{name}-labels-idx1-ubyte.gz"
    ).long()


def without(pixels, labels, held_out):
    """The digits that are not among held_out, compared pixel by pixel."""
    excluded = {row.tobytes() for row in held_out.numpy()}
    kept = torch.tensor([row.tobytes() not in excluded for row in pixels.numpy()])
    return pixels[kept], labels[kept]


def to_float(pixels):
    return pixels.float() / 255.0


def shifted(pixels, generator):
    """The whole batch moved by at most one pixel each way, the one augmentation."""
    down, right = torch.randint(-1, 2, (2,), generator=generator).tolist()
    return torch.roll(pixels.reshape(-1, 28, 28), (down, right), (1, 2)).reshape(-1, PIXELS)


def accuracy(network, pixels, labels):
    network.eval()
    with torch.no_grad():
        correct = (network(to_float(pixels)).argmax(1) == labels).sum().item()
    network.train()
    return correct / len(labels)


def train(network, pixels, labels, validation, epochs, seed):
    generator = torch.Generator().manual_seed(seed)
    # The scores are integers up to a few dozen; a learned temperature brings them to the loss's range. It is not exported.
    temperature = torch.nn.Parameter(torch.tensor(0.1))
    optimizer = torch.optim.Adam([*network.parameters(), temperature], lr=0.02)
    steps = len(labels) // BATCH
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * steps)
    best_accuracy, best_state = -1.0, None
    for epoch in range(epochs):
        order = torch.randperm(len(labels), generator=generator)
        for step in range(steps):
            batch = order[step * BATCH : (step + 1) * BATCH]
            scores = network(shifted(to_float(pixels[batch]), generator))
            loss = torch.nn.functional.cross_entropy(scores * temperature, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                for layer in network.linear_layers():
                    layer.weight.clamp_(-1.0, 1.0)
        reached = accuracy(network, *validation)
        print(f"epoch {epoch + 1:3d} of {epochs}: loss {loss.item():.4f}, validation {100 * reached:.2f} %", flush=True)
        if reached > best_accuracy:
            best_accuracy = reached
            best_state = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(best_state)


def export(network, path):
    network.eval()
    export_qonnx(network, torch.zeros(1, PIXELS), str(path), opset_version=13, dynamo=False)
    model = cleanup_model(ModelWrapper(str(path)))
    # The weights leave training as floats between -1 and 1 of which only the nearest integer counts: store that one.
    for node in model.graph.node:
        initializer = model.get_initializer(node.input[0])
        if node.op_type == "Quant" and initializer is not None:
            model.set_initializer(node.input[0], numpy.rint(initializer).astype(numpy.float32) + 0.0)
    onnx.save(model.model, str(path))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--hold-out", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).parent / "mnist-mlp-w2a2.onnx")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    torch.use_deterministic_algorithms(True)

    pixels, labels = read_digits(arguments.data, "train")
    test = read_digits(arguments.data, "t10k")
    if arguments.hold_out:
        held_out = read_digits(arguments.hold_out, "t10k")
        pixels, labels = without(pixels, labels, held_out[0])
    validation = (pixels[-VALIDATION:], labels[-VALIDATION:])
    pixels, labels = pixels[:-VALIDATION], labels[:-VALIDATION]
    print(f"{len(labels)} digits to train on, {len(validation[1])} to choose by, {len(test[1])} to report on")

    network = Network()
    train(network, pixels, labels, validation, arguments.epochs, arguments.seed)
    print(f"validation {100 * accuracy(network, *validation):.2f} %")
    print(f"test {100 * accuracy(network, *test):.2f} %")
    if arguments.hold_out:
        print(f"held out {100 * accuracy(network, *held_out):.2f} %")
    export(network, arguments.output)
    print(f"written {arguments.output}")


if __name__ == "__main__":
    main()
