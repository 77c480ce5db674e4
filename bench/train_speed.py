#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Samples a second of `foldstream train` and of Brevitas on the same network, batch and data, alternating in one run.

usage: PYTHON bench/train_speed.py --data DIR [--command build/release/foldstream] [--threads 1] [--runs 3]
                                   [--net tfc] [--bits w1a1] [--samples 20000] [--gradients float32]

PYTHON is one that has brevitas and torch (bench/requirements-brevitas.txt). DIR has the files of MNIST, or of CIFAR-10 for `--net
cnv`. Both train epochs of so many samples with batches of 100: the same layers, squared hinge, Adam with weights clamped after each
step, data in memory. Counted is the time of training: ours as `foldstream train --json` reports it, which has the evaluation of 100
more samples in it, theirs around the loop over batches; once by the clock and once as processor time of the process, since the
machine may be shared. The first epoch of Brevitas warms up and isn't counted. Prints a table.
"""

import argparse
import gzip
import json
import pathlib
import re
import resource
import statistics
import subprocess
import tempfile
import time

import brevitas
import brevitas.nn
import numpy
import torch
from brevitas.core.bit_width import BitWidthImplType
from brevitas.core.quant import QuantType
from brevitas.core.restrict_val import FloatToIntImplType, RestrictValueType
from brevitas.core.scaling import ScalingImplType
from brevitas.core.zero_point import ZeroZeroPoint
from brevitas.inject import ExtendedInjector
from brevitas.quant.solver import ActQuantSolver, WeightQuantSolver

WIDTHS = {"tfc": 64, "sfc": 256, "lfc": 1024}
BATCH = 100
VALIDATION = 100


class Constant(ExtendedInjector):
    bit_width_impl_type = BitWidthImplType.CONST
    scaling_impl_type = ScalingImplType.CONST
    restrict_scaling_type = RestrictValueType.FP
    scaling_per_output_channel = False
    narrow_range = True
    signed = True
    zero_point_impl = ZeroZeroPoint
    float_to_int_impl_type = FloatToIntImplType.ROUND


def quantizer(base, bits):
    kind = QuantType.BINARY if bits == 1 else QuantType.INT
    fields = {"quant_type": kind, "bit_width": bits}
    fields |= {"scaling_const": 1.0} if base is WeightQuantSolver else {"min_val": -1.0, "max_val": 1.0}
    return type("Quantizer", (Constant, base), fields)


class Scores(torch.nn.Module):
    """Batch normalization with one mean and one variance of all scores."""

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(1, eps=1e-4, momentum=0.01)

    def forward(self, x):
        return self.norm(x.reshape(-1, 1)).reshape(x.shape)


def network(net, weight_bits, activation_bits):
    weights, activations = quantizer(WeightQuantSolver, weight_bits), quantizer(ActQuantSolver, activation_bits)
    layers = []

    def block(product, norm):
        layers.extend([product, norm, brevitas.nn.QuantIdentity(act_quant=activations)])

    def linear(inputs, outputs):
        return brevitas.nn.QuantLinear(inputs, outputs, bias=False, weight_quant=weights)

    if net == "cnv":
        layers.append(brevitas.nn.QuantIdentity(act_quant=quantizer(ActQuantSolver, 8)))
        inputs = 3
        for outputs in (64, 128, 256):
            for channels in (inputs, outputs):
                conv = brevitas.nn.QuantConv2d(channels, outputs, 3, bias=False, weight_quant=weights)
                block(conv, torch.nn.BatchNorm2d(outputs, eps=1e-4, momentum=0.01))
            if outputs != 256:
                layers.append(torch.nn.MaxPool2d(2))
            inputs = outputs
        layers.append(torch.nn.Flatten())
        sizes = [256, 512, 512]
    else:
        layers.append(brevitas.nn.QuantIdentity(act_quant=activations))
        sizes = [784] + 3 * [WIDTHS[net]]
    for inputs, outputs in zip(sizes, sizes[1:]):
        block(linear(inputs, outputs), torch.nn.BatchNorm1d(outputs, momentum=0.01))
    layers.append(linear(sizes[-1], 10))
    layers.append(Scores())
    return torch.nn.Sequential(*layers)


def read_idx(folder, name, header):
    path = folder / name
    content = path.read_bytes() if path.exists() else gzip.decompress((folder / (name + ".gz")).read_bytes())
    return numpy.frombuffer(content, numpy.uint8, offset=header)


def samples(arguments):
    """Pixels and labels behind those that validate."""
    if arguments.net == "cnv":
        rows = numpy.fromfile(arguments.data / "data_batch_1.bin", numpy.uint8).reshape(-1, 3073)
        pixels, labels = rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0]
    else:
        pixels = read_idx(arguments.data, "train-images-idx3-ubyte", 16).reshape(-1, 784)
        labels = read_idx(arguments.data, "train-labels-idx1-ubyte", 8)
    used = slice(VALIDATION, VALIDATION + arguments.samples)
    return torch.from_numpy(pixels[used].copy()), torch.from_numpy(labels[used].copy()).long()


def recipe_text(arguments):
    """Ours, without augmentation and without a teacher, which Brevitas' loop has neither."""
    text = pathlib.Path(f"recipes/{arguments.net}-{arguments.bits}.toml").read_text()
    data = f'[data]\nset = "{"cifar10" if arguments.net == "cnv" else "mnist"}"\nvalidation = {VALIDATION}\n\n'
    text = re.sub(r"(?ms)^\[data\]$.*?(?=^\[)", data, text)
    text = re.sub(r"(?m)^batch = .*$", f"batch = {BATCH}", text)
    text = re.sub(r"(?m)^teacher.*\n", "", text)
    return text.replace("[training]\n", f'[training]\ngradients = "{arguments.gradients}"\n')


def theirs(model, optimizer, pixels, labels):
    """One epoch; (seconds by the clock, seconds of processor)."""
    order = torch.randperm(len(labels))
    began, used = time.perf_counter(), time.process_time()
    for start in range(0, len(labels) - BATCH + 1, BATCH):
        batch = order[start : start + BATCH]
        target = torch.full((BATCH, 10), -1.0).scatter_(1, labels[batch].unsqueeze(1), 1.0)
        scores = model(2 * (pixels[batch].float() / 255) - 1)
        loss = torch.relu(1 - scores * target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for layer in model:
                if isinstance(layer, (brevitas.nn.QuantLinear, brevitas.nn.QuantConv2d)):
                    layer.weight.clamp_(-1, 1)
    return time.perf_counter() - began, time.process_time() - used


def ours(arguments, recipe, folder, epochs):
    """`epochs` epochs; (seconds by the clock, seconds of processor), start and reading of data included in the second."""
    command = [arguments.command, "train", recipe, "--data", arguments.data, "-o", folder / "m.onnx", "--epochs", epochs]
    command += ["--threads", arguments.threads, "--samples", VALIDATION + arguments.samples, "--json"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(result.stdout)["seconds"], used


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--command", default="build/release/foldstream")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--net", choices=[*WIDTHS, "cnv"], default="tfc")
    parser.add_argument("--bits", default="w1a1")
    parser.add_argument("--samples", type=int, default=20000)
    parser.add_argument("--gradients", choices=["float32", "int8"], default="float32")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    weight_bits, activation_bits = map(int, re.fullmatch(r"w(\d)a(\d)", arguments.bits).groups())

    pixels, labels = samples(arguments)
    count = len(labels)
    torch.manual_seed(1)
    model = network(arguments.net, weight_bits, activation_bits)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    theirs(model, optimizer, pixels, labels)

    rows = {"foldstream": [], "Brevitas": []}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        recipe = folder / "recipe.toml"
        recipe.write_text(recipe_text(arguments))
        for _ in range(arguments.runs):
            # Processor time of two more epochs, so that the start cancels.
            one, three = ours(arguments, recipe, folder, 1), ours(arguments, recipe, folder, 3)
            rows["foldstream"].append((three[0] / 3, (three[1] - one[1]) / 2))
            rows["Brevitas"].append(theirs(model, optimizer, pixels, labels))

    print(f"{arguments.net}-{arguments.bits}, batches of {BATCH}, {arguments.threads} threads, {count} samples an epoch")
    print(f"brevitas {brevitas.__version__}, torch {torch.__version__}")
    print("| | samples a second | samples a processor second |\n|---|---|---|")
    rates = {}
    for name, times in rows.items():
        clock, processor = (statistics.median(column) for column in zip(*times))
        rates[name] = (count / clock, count / processor)
        print(f"| {name} | {count / clock:,.0f} | {count / processor:,.0f} |")
    ratios = [a / b for a, b in zip(rates["foldstream"], rates["Brevitas"])]
    print(f"| ratio | {ratios[0]:.2f} | {ratios[1]:.2f} |")


if __name__ == "__main__":
    main()
