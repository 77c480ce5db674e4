#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times `foldstream build` as a whole process, beside FINN's published time for the same network.

usage: python3 bench/build_time.py [--command build/release/foldstream] [--shared ../shared] [--runs 7]

Prints a table: wall clock (least and median) and processor time (median) over the runs, each into a fresh folder.
FINN's figure is the sum over its front-end steps, from its own time_per_step record; its imports are left out.
"""

import argparse
import gzip
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

# Network, model below shared/models, options, FINN's record below shared/reference/finn.
NETWORKS = [
    ("TFC w1a1", "tfc-w1a1.onnx", ["--fps", "1000000"], "tfc_1w1a"),
    ("TFC w1a2", "tfc-w1a2.onnx", ["--fps", "1000000"], "tfc_1w2a"),
    ("TFC w2a2", "tfc-w2a2.onnx", ["--fps", "1000000"], "tfc_2w2a"),
    ("LFC w1a1", "lfc-w1a1-trained.onnx.gz", ["--fps", "90000"], None),
    ("LFC w1a2", "lfc-w1a2-trained.onnx.gz", ["--fps", "90000"], None),
    ("CNV w1a1", "cnv-w1a1-trained.onnx", ["--max"], "cnv_1w1a"),
    ("MobileNet-v1 w4a4", "mobilenet-v1-w4a4.onnx", ["--fps", "50"], "mobilenet_4b"),
    ("ResNet-18 w4a4", "resnet18-w4a4-cifar10.onnx.gz", ["--fps", "500"], "resnet18_4w4a"),
]


def model_file(shared, name, folder):
    path = shared / "models" / name
    if path.suffix != ".gz":
        return path
    plain = folder / path.stem
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    return plain


def time_build(command, model, options, folder, runs):
    walls, processors = [], []
    for run in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        done = subprocess.run(
            [command, "build", model, "-o", folder / f"out{run}", "--board", "pynq-z1", "--clock", "100", *options],
            capture_output=True,
            text=True,
        )
        walls.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processors.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if done.returncode != 0:
            sys.exit(f"{model.name}: {done.stderr}")
    return walls, processors


def finn_seconds(shared, record):
    """Seconds of FINN's steps (not of checks by execution between them), or None."""
    path = shared / "reference" / "finn" / (record or "none") / "build_timing.json"
    if not path.is_file():
        return None
    return sum(step[1] for step in json.loads(path.read_text())["steps"] if not step[0].startswith("exec"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", default="build/release/foldstream")
    parser.add_argument("--shared", type=pathlib.Path, default=pathlib.Path("../shared"))
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} at the start, {arguments.runs} runs")
    print("| network | least s | median s | processor s | FINN's steps s |")
    print("|---|---|---|---|---|")
    for name, file, options, record in NETWORKS:
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary)
            try:
                model = model_file(arguments.shared, file, folder)
            except FileNotFoundError:
                print(f"| {name} | no model | | | |")
                continue
            walls, processors = time_build(arguments.command, model, options, folder, arguments.runs)
        finn = finn_seconds(arguments.shared, record)
        print(
            f"| {name} | {min(walls):.3f} | {statistics.median(walls):.3f} | {statistics.median(processors):.3f} | "
            f"{'' if finn is None else f'{finn:.2f}'} |"
        )


if __name__ == "__main__":
    main()
