#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every distinct node of a large network's hardware by itself: results equal its meaning, every beat falls in the cycle of its
rhythm, with random stalls too. Frames are cut to a few pixels a side where whole ones would take too long; a kernel keeps its
first, inner and last positions, and sides keep their parity.

usage: shapes.py FOLDSTREAM OPS_CASES SOURCE_FOLDER BUILD_FOLDER NETWORK

Takes minutes and runs with FOLDSTREAM_FULL=1 in the environment alone.
"""

import gzip
import os
import pathlib
import shutil
import subprocess
import sys

SKIPPED = 77
# How each is built: rates at which no node takes more steps for a pixel than the bench can walk through.
NETWORKS = {
    "mobilenet-v1-w4a4": ("--fps", "20", "--input-type", "u8"),
    "resnet18-w4a4-cifar10": ("--fps", "60", "--input-type", "u8"),
    "resnet50": ("--fps", "400", "--clock", "200", "--part", "xczu9eg-ffvb1156-2-e"),
}


def main():
    program, cases, source, folder, name = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4]), sys.argv[5]
    if os.environ.get("FOLDSTREAM_FULL") != "1":
        print("skipped: runs with FOLDSTREAM_FULL=1 alone")
        return SKIPPED
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model = source.parent / "shared/models" / f"{name}.onnx"
    if name == "resnet50":
        model = folder / "resnet50.onnx"
        subprocess.run([sys.executable, source / "examples/topologies/resnet50.py", model], check=True)
    elif not model.exists():
        packed, model = model.with_suffix(".onnx.gz"), folder / f"{name}.onnx"
        if not packed.exists():
            print(f"skipped: {packed} is not there")
            return SKIPPED
        model.write_bytes(gzip.decompress(packed.read_bytes()))
    subprocess.run([program, "build", model, "-o", folder / "out", *NETWORKS[name]], check=True)
    done = subprocess.run([sys.executable, source / "test/ops/run.py", cases, source, folder / "bench", folder / "out/design.fst"],
                          check=False)
    shutil.rmtree(folder / "out")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
