#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The CPU twin beside onnxruntime (float32 and int8) and the qonnx package: the same networks, one core, one run.

usage: build/tools/bin/python bench/cpu_peers.py [NAME ...] [--json] [--seconds S] [--models DIR]

Networks are made here with random weights: lfc-w1a1, lfc-w2a2, tfc-w1a1, cnv-w1a1, resnet50-w1a2. onnxruntime gets the same layers
with signs for binary activations, and its own static quantization for int8. Networks of DIR (mobilenet-v1-w4a4,
resnet18-w4a4-cifar10) are compared too where the files are there; onnxruntime then runs them without quantizers, float32
and int8. Rates are images per second of processor time, the best of several measurements, each engine at its best
batch; images are bytes for the twin, which stand for bytes / 255 in the floats of the others.
"""

import argparse
import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path += [str(ROOT / "python"), str(ROOT / "examples" / "topologies")]

import foldstream  # noqa: E402
from layers import Network  # noqa: E402

onnxruntime.set_default_logger_severity(3)


def affine(net, x, factor, addend):
    for kind, value in (("Mul", factor), ("Add", addend)):
        x = net.node(kind, [x, net.constant(np.float32(value))], net.shape[x])
    return x


def dense(name, width, weight_bits, activation, batch):
    net = Network(name, [batch, 784])
    x = activation(net, affine(net, net.input, 2.0, -1.0))
    for _ in range(3):
        inner = net.shape[x][1]
        x = activation(net, net.batch_norm(net.matmul(x, width, weight_bits), inner))
    return net, net.matmul(x, 10, weight_bits)


def binary(net, x):
    return net.bipolar(x)


def ternary(net, x):
    return net.quant(x, 2, 1, signed=1, narrow=1)


def cnv(batch):
    net = Network("cnv-w1a1", [batch, 3, 32, 32])
    x = net.quant(affine(net, net.input, 2.0, -1.0), 8, 1 / 128)
    for channels, pooled in ((64, False), (64, True), (128, False), (128, True), (256, False), (256, False)):
        inner = 9 * net.shape[x][1]
        x = net.bipolar(net.batch_norm(net.conv(x, channels, 3, 1, pad=0), inner))
        if pooled:
            x = net.max_pool(x, 2)
    x = net.flatten(x)
    for _ in range(2):
        inner = net.shape[x][1]
        x = net.bipolar(net.batch_norm(net.matmul(x, 512, 1), inner))
    return net, net.matmul(x, 10, 1)


MADE = {
    "tfc-w1a1": lambda batch: dense("tfc-w1a1", 64, 1, binary, batch),
    "lfc-w1a1": lambda batch: dense("lfc-w1a1", 1024, 1, binary, batch),
    "lfc-w2a2": lambda batch: dense("lfc-w2a2", 1024, 2, ternary, batch),
    "cnv-w1a1": cnv,
}
SCRIPTS = {"resnet50-w1a2": "resnet50.py"}
QONNX_BATCH = 100  # images at once, of a package that runs node by node
FOUND = {"mobilenet-v1-w4a4": ("u8", 1.0), "resnet18-w4a4-cifar10": ("u8", 1.0)}


def made(name, folder, batch):
    net, output = MADE[name](batch)
    path = folder / f"{name}-{batch}.onnx"
    net.save(output, str(path))
    return onnx.load(path)


def plain(model, any_batch):
    """The model without quantizers: weights as their values, binary activations as signs, ternary ones rounded."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph = model.graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    renamed, nodes = {}, []
    for node in graph.node:
        inputs = [renamed.get(name, name) for name in node.input]
        if node.op_type in ("Quant", "BipolarQuant", "Trunc") and inputs[0] in constants:
            renamed[node.output[0]] = inputs[0]
        elif node.op_type == "BipolarQuant":
            nodes.append(helper.make_node("Sign", inputs[:1], node.output))
        elif node.op_type == "Quant" and constants[inputs[3]] == 2:
            low = "twin_minus_one"
            high = "twin_one"
            if low not in constants:
                for name, value in ((low, -1.0), (high, 1.0)):
                    constants[name] = np.array(value, np.float32)
                    graph.initializer.append(numpy_helper.from_array(constants[name], name))
            nodes.append(helper.make_node("Clip", [inputs[0], low, high], [node.output[0] + "_clipped"]))
            nodes.append(helper.make_node("Round", [node.output[0] + "_clipped"], node.output))
        elif node.op_type in ("Quant", "Trunc"):
            renamed[node.output[0]] = inputs[0]
        else:
            copy = onnx.NodeProto.FromString(node.SerializeToString())
            del copy.input[:]
            copy.input.extend(inputs)
            nodes.append(copy)
    del graph.node[:]
    graph.node.extend(nodes)
    for output in graph.output:
        output.name = renamed.get(output.name, output.name)
    del graph.value_info[:]
    used = {name for node in nodes for name in node.input}
    kept = [t for t in graph.initializer if t.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    for port in list(graph.input) + list(graph.output) if any_batch else []:
        port.type.tensor_type.shape.dim[0].dim_param = "N"
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", 13))
    model.ir_version = 8
    return model


class Calibration(CalibrationDataReader):
    def __init__(self, name, shape):
        random = np.random.default_rng(1)
        self.frames = iter([{name: (random.integers(0, 256, (1, *shape[1:])) / 255).astype(np.float32)} for _ in range(8)])

    def get_next(self):
        return next(self.frames, None)


def rate(run, frames, seconds):
    """Images a second of processor time: the best of the measurements that fit in `seconds`."""
    run()
    best, begin = 0.0, time.monotonic()
    while time.monotonic() - begin < seconds:
        used, count = time.process_time(), 0
        while time.process_time() - used < 0.05:
            run()
            count += frames
        best = max(best, count / (time.process_time() - used))
    return best


TURNS = 3  # of all engines, so that none has the machine's better moments to itself


def best_rates(engines, seconds):
    """Of each engine's runs, (call, frames) each, the best rate; engines take turns."""
    best = dict.fromkeys(engines, 0.0)
    for _ in range(TURNS):
        for key, runs in engines.items():
            for run, frames in runs:
                best[key] = max(best[key], rate(run, frames, seconds / TURNS / len(runs)))
    return best


def times_of_two_threads(make, images, seconds):
    """How many times one thread's rate two threads reach: of each the best batch by the clock, in turns."""
    networks, shortest = [make(threads) for threads in (1, 2)], [float("inf")] * 2
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        for i, network in enumerate(networks):
            shortest[i] = min(shortest[i], _timed(lambda network=network: network.run(images)))
    return shortest[0] / shortest[1]


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def compare(name, model, twin_options, folder, seconds):
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    random = np.random.default_rng(7)
    large = int(np.prod(shape)) > 20000
    batches = [1, 8] if large else [16, 128, 1024]
    images = random.integers(0, 256, (max(batches), *shape[1:]), dtype=np.uint8)
    path = folder / f"{name}.onnx"
    onnx.save(model, path)
    result = {"network": name}

    network = foldstream.Network(path, threads=1, **twin_options)
    result["twin_latency_us"] = min(_timed(lambda: network.run(images[:1])) for _ in range(200))
    engines = {"twin": [(lambda b=b: network.run(images[:b]), b) for b in batches]}

    scale = twin_options["byte_scale"]
    floats = (images / scale).astype(np.float32)
    feed = model.graph.input[0].name
    # Models of others reshape to one image.
    peers = batches if name in MADE else [1]
    for kind in ("float32", "int8"):
        at = folder / f"{name}-{kind}.onnx"
        if kind == "float32":
            onnx.save(plain(model, name in MADE), at)
            source = at
        else:
            quantize_static(str(source), str(at), Calibration(feed, shape), QuantFormat.QDQ)
        engines[f"onnxruntime_{kind}"] = [
            (lambda b=b, runner=session(at): runner.run(None, {feed: floats[:b]}), b) for b in peers
        ]
    if name in MADE:
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx
        from qonnx.transformation.infer_shapes import InferShapes

        for key, b in (("qonnx", QONNX_BATCH), ("qonnx_single", 1)):
            wrapper = ModelWrapper(made(name, folder, b)).transform(InferShapes())
            engines[key] = [(lambda b=b, wrapper=wrapper: execute_onnx(wrapper, {feed: floats[:b]}), b)]
    result |= best_rates(engines, seconds)
    if os.cpu_count() > 1:
        many = np.concatenate([images] * (1 if large else 4))
        make = lambda threads: foldstream.Network(path, threads=threads, **twin_options)  # noqa: E731
        result["times_two_threads"] = times_of_two_threads(make, many, seconds)
    best = max(result["onnxruntime_float32"], result["onnxruntime_int8"])
    result["times_onnxruntime"] = result["twin"] / best
    if "qonnx" in result:
        result["times_qonnx"] = result["twin"] / result["qonnx"]
        result["times_qonnx_single"] = result["twin"] / result["qonnx_single"]
    return result


def _timed(call):
    begin = time.perf_counter()
    call()
    return 1e6 * (time.perf_counter() - begin)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=", ".join([*MADE, *SCRIPTS, *FOUND]))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--models", type=pathlib.Path, default=ROOT.parent / "shared" / "models")
    options = parser.parse_args()
    names = options.names or [*MADE, *SCRIPTS, *FOUND]
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for name in names:
            if name in MADE:
                model, how = made(name, folder, 1), {"byte_scale": 255.0}
            elif name in SCRIPTS:
                path = folder / f"{name}-made.onnx"
                subprocess.run([sys.executable, ROOT / "examples" / "topologies" / SCRIPTS[name], path], check=True)
                model, how = onnx.load(path), {"byte_scale": 255.0}
            elif name in FOUND:
                files = [options.models / f"{name}.onnx", options.models / f"{name}.onnx.gz"]
                file = next((f for f in files if f.exists()), None)
                if file is None:
                    print(f"{name}: not among the models of {options.models}", file=sys.stderr)
                    continue
                data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
                kind, scale = FOUND[name]
                model = onnx.ModelProto.FromString(data)
                how = {"byte_scale": scale, "input_type": kind, "input_scale": scale}
            else:
                parser.error(f"there is no network '{name}'; known are {', '.join([*MADE, *SCRIPTS, *FOUND])}")
            results.append(compare(name, model, how, folder, options.seconds))
            if not options.json:
                print(
                    "{network}: twin {twin:.0f}/s (a single image {twin_latency_us:.1f} us), onnxruntime float32 "
                    "{onnxruntime_float32:.0f}/s, int8 {onnxruntime_int8:.0f}/s, qonnx {qonnx}, one by one "
                    "{qonnx_single}; {times_onnxruntime:.1f} times onnxruntime, {times_qonnx} times qonnx; "
                    "two threads {times_two_threads} times one".format(
                        **{"qonnx": "-", "qonnx_single": "-", "times_qonnx": "-", "times_two_threads": "-"}
                        | {k: round(v, 2 if k == "times_two_threads" else 1) if isinstance(v, float) else v for k, v in results[-1].items()}
                    ),
                    flush=True,
                )
    if options.json:
        print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
