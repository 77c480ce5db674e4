#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The engines agree on the example network, bit for bit and cycle for cycle: engines.py FOLDSTREAM ROOT."""

import json
import pathlib
import random
import re
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from written import write_npy

PROGRAM, ROOT = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
MODEL = ROOT / "examples/tfc/tfc-w2a2.onnx"
FRAMES = 40


def call(*arguments, status=0):
    done = subprocess.run([str(PROGRAM), *map(str, arguments)], capture_output=True, text=True, timeout=300)
    if "not installed" in done.stderr:
        print(f"skipped: {done.stderr.strip()}")
        sys.exit(77)
    assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
    return done.stdout


def main():
    shape = json.loads(call("inspect", MODEL, "--json"))["inputs"][0]["type"]
    shape = [int(size) for size in shape[shape.index("[") + 1 : -1].split(",")]
    count = 1
    for size in shape:
        count *= size
    source = random.Random(1)
    pixels = [source.choice([0, 0, source.randrange(256)]) for _ in range(FRAMES * count)]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        x, out = folder / "x.npy", folder / "out"
        write_npy(x, [FRAMES, *shape[1:]], [struct.unpack("<f", struct.pack("<f", pixel / 255))[0] for pixel in pixels])
        call("build", MODEL, "-o", out, "--fps", "200000", "--input-type", "u8", "--input-scale", "255")
        results = {}
        for engine in ("float", "integer", "cpu", "rtl"):
            call("run", out, "--input", x, "--output", folder / f"{engine}.npy", "--engine", engine)
            results[engine] = (folder / f"{engine}.npy").read_bytes()
        assert results["rtl"] == results["integer"], "rtl and integer differ"
        assert results["integer"] == results["float"], "integer and float differ"
        assert results["cpu"] == results["integer"], "cpu and integer differ"
        call("run", out, "--input", x, "--output", folder / "stalled.npy", "--engine", "rtl", "--stall", "0.4", "--seed", "7")
        assert (folder / "stalled.npy").read_bytes() == results["rtl"], "stalls changed a result"
        print(f"{FRAMES} frames: float, integer, cpu, rtl and rtl with random stalls are equal")

        write_npy(folder / "X.npy", [FRAMES, *shape[1:]], [float(pixel) for pixel in pixels])
        write_npy(folder / "Y.npy", [FRAMES], [frame % 10 for frame in range(FRAMES)], "<i8")
        right = set()
        for engine in ("float", "integer", "cpu", "rtl"):
            found = json.loads(call("eval", out, "--dataset", "npy", "--data", folder, "--scale", "255", "--engine", engine, "--json"))
            right.add((found["correct"], found["mismatches"]))
        assert len(right) == 1 and right.pop()[1] == 0, "engines differ on scaled samples"

        timing = json.loads(call("sim", out, "--frames", "4", "--engine", "rtl", "--json"))
        model = json.loads(call("sim", out, "--frames", "4", "--json"))
        assert timing["disagreements"] == [], timing
        assert all(timing[key] == model[key] for key in ("cycles", "latency_cycles", "interval_cycles"))
        print(f"{timing['streams_compared']} streams: every beat in the cycle that the model says")

        # A wrong bit in the hardware is found, and the node that computes it is named.
        x.rename(folder / "X.npy")
        write_npy(folder / "Y.npy", [FRAMES], [0] * FRAMES, "<i8")
        evaluate = ("eval", out, "--dataset", "npy", "--data", folder, "--engine", "rtl", "--json")
        assert json.loads(call(*evaluate))["mismatches"] == 0
        node = [name for name in timing["nodes"] if not name.endswith("_width")][1]
        path = next((out / "rtl" / "nodes").glob(f"*_{node.replace('.', '_')}.sv"))
        text = path.read_text()
        broken = re.sub(r"\.push_data_i\((\w+)\)", r".push_data_i(~\1)", text)
        assert broken != text
        path.write_text(broken)
        found = json.loads(call(*evaluate, status=1))
        assert found["mismatches"] == FRAMES and f"node '{node}'" in found["first_mismatch"], found
        print(f"a broken node is named: {found['first_mismatch']}")


main()
