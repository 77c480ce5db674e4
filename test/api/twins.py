#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The CPU twin gives the integer engine's results on every published model, at every level of instructions that this
machine has: twins.py FOLDSTREAM SHARED. Large networks get one frame, and all levels only with FOLDSTREAM_FULL=1; then
ResNet-50 is one of them, and the data sets are compared too."""

import gzip
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx

PROGRAM, SHARED = sys.argv[1], pathlib.Path(sys.argv[2])
ROOT = pathlib.Path(__file__).resolve().parents[2]
FULL = os.environ.get("FOLDSTREAM_FULL") == "1"
# Whose float input holds bytes, not fractions of 255.
BYTES = {"mobilenet-v1-w4a4", "resnet18-w4a4-cifar10", "cnv-w1a1-trained", "cnv-w1a2-trained", "cnv-w2a2-trained", "lfc-w1a1-trained", "lfc-w1a2-trained"}
BIPOLAR = {"unsw-nb15-mlp-w2a2"}
# Networks with a data set: its name, what samples are divided by, how many are compared.
TRAINED = {
    "tfc-w1a1": ("mnist", 255, 5000),
    "tfc-w1a2": ("mnist", 255, 5000),
    "tfc-w2a2": ("mnist", 255, 5000),
    "lfc-w1a1-trained": ("mnist", 1, 2000),
    "lfc-w1a2-trained": ("mnist", 1, 2000),
    "cnv-w1a1-trained": ("cifar10", 1, 1000),
    "cnv-w1a2-trained": ("cifar10", 1, 1000),
    "cnv-w2a2-trained": ("cifar10", 1, 1000),
}


def call(*arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)


def levels(model):
    text = call("bench", model, "--instructions", "none").stderr
    found = re.search(r"among those of this machine: (.*)", text)
    assert found, text
    return found[1].split(", ")


def models(folder):
    """Name and file of every published model, unpacked, and of ResNet-50 where all is compared."""
    for path in sorted((SHARED / "models").iterdir()):
        if path.name.endswith((".onnx", ".onnx.gz")):
            name = path.name.split(".")[0]
            model = folder / f"{name}.onnx"
            model.write_bytes(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
            yield name, model
    if FULL:
        model = folder / "resnet50-w1a2.onnx"
        subprocess.run([sys.executable, ROOT / "examples" / "topologies" / "resnet50.py", model], check=True)
        yield "resnet50-w1a2", model


def compare_data_set(name, model, results):
    """Scores of the first samples at every level against those of the integer engine, and all classes at every level."""
    data_set, scale, frames = TRAINED[name]
    options = ["--dataset", data_set, "--data", SHARED / "data" / data_set, "--scale", scale, "--engine", "cpu", "--json"]
    counts = {}
    for level in levels(model):
        done = call("eval", model, *options, "--compare", frames, "--instructions", level)
        assert done.returncode == 0, (name, level, done.stdout, done.stderr)
        answer = json.loads(done.stdout)
        assert answer["mismatches"] == 0 and answer["compared"] == frames, (name, level, answer)
        counts[level] = answer["correct"]
    assert len(set(counts.values())) == 1, (name, counts)
    results.append(f"{name} on {frames} of {answer['total']}, {answer['correct']} right")


def main():
    if not (SHARED / "models").is_dir():
        print("skipped: needs ../shared")
        sys.exit(77)
    compared, refused, on_data = [], [], []
    random = np.random.default_rng(3)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for name, model in models(folder):
            graph = onnx.load(model, load_external_data=False).graph
            constants = {tensor.name for tensor in graph.initializer}
            ports = [port for port in graph.input if port.name not in constants]
            shape = [dim.dim_value for dim in ports[0].type.tensor_type.shape.dim] if len(ports) == 1 else []
            if not shape or 0 in shape:
                refused.append(name)
                continue
            large = int(np.prod(shape)) > 10000 or name.startswith("resnet")
            frames = 1 if large else 4
            values = random.integers(0, 256, (frames, *shape[1:])).astype(np.float32)
            if name in BIPOLAR:
                values = np.where(values < 128, np.float32(-1), np.float32(1))
            elif name not in BYTES:
                values = values / np.float32(255)
            np.save(folder / "x.npy", values)
            options = ["--input-type", "u8"] if name in BYTES and large else []
            engine = lambda which, *more: call(
                "run", model, "--input", folder / "x.npy", "--output", folder / f"{which}.npy", "--engine", which, *options, *more
            )
            done = engine("integer")
            if done.returncode != 0:
                refused.append(name)
                continue
            for level in levels(model) if FULL or not large else [""]:
                done = engine("cpu", *(["--instructions", level] if level else []))
                assert done.returncode == 0, (name, level, done.stderr)
                same = (folder / "cpu.npy").read_bytes() == (folder / "integer.npy").read_bytes()
                assert same, f"{name} at {level or 'the best level'}: cpu and integer differ"
            compared.append(name)
            if FULL and name in TRAINED:
                compare_data_set(name, model, on_data)
    print(f"equal: {', '.join(compared)}; not run by the integer engine either: {', '.join(refused)}")
    if on_data:
        print(f"equal at every level: {'; '.join(on_data)}")
    assert len(compared) >= 15, compared


if __name__ == "__main__":
    main()
