#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A model of two inputs and two outputs takes and gives a file of each, in every engine: ports.py FOLDSTREAM ROOT."""

import json
import pathlib
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from written import write_npy

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
FRAMES = 5
MODEL = """foldstream 1
graph "two"
%0 "left" = input {shape=[1, 2], type="f32"} : f32[1,2]
%1 "right" = input {shape=[1, 2], type="f32"} : f32[1,2]
%2 "left_codes" = quant %0 {bits=4, narrow=0, rounding="ROUND", signed=1} (scale=@0, zero=@1) : f32[1,2]
%3 "right_codes" = quant %1 {bits=4, narrow=0, rounding="ROUND", signed=1} (scale=@0, zero=@1) : f32[1,2]
%4 "both" = add %2, %3 : f32[1,2]
%5 "sum_codes" = quant %4 {bits=4, narrow=0, rounding="ROUND", signed=1} (scale=@0, zero=@1) : f32[1,2]
%6 "weights" = constant (value=@2) : f32[2,3]
%7 "product" = matmul %5, %6 : f32[1,3]
%8 "more_weights" = constant (value=@3) : f32[2,1]
%9 "more" = matmul %5, %8 : f32[1,1]
output "three" %7
output "one" %9
@0 = f32[] 0.5
@1 = f32[] 0.0
@2 = f32[2,3] 1.0 -2.0 3.0 0.0 1.0 -1.0
@3 = f32[2,1] 2.0 -1.0
"""


def call(*arguments, status=0):
    done = subprocess.run([str(PROGRAM), *map(str, arguments)], capture_output=True, text=True, timeout=300)
    if "not installed" in done.stderr:
        print(f"skipped: {done.stderr.strip()}")
        sys.exit(77)
    assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
    return done.stderr if status else done.stdout


def values(path, width):
    data = struct.unpack(f"<{FRAMES * width}f", path.read_bytes()[-4 * FRAMES * width :])
    return [list(data[i : i + width]) for i in range(0, len(data), width)]


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model = folder / "two.fst"
        model.write_text(MODEL)
        left = [[i / 2, -i / 2] for i in range(FRAMES)]
        right = [[0.5, i / 2 - 1] for i in range(FRAMES)]
        for name, frames in (("left", left), ("right", right)):
            write_npy(folder / f"{name}.npy", [FRAMES, 2], [value for frame in frames for value in frame])
        inputs = ("--input", f"right={folder / 'right.npy'}", "--input", f"left={folder / 'left.npy'}")
        sums = [[a + c, b + d] for (a, b), (c, d) in zip(left, right)]
        for engine in ("float", "integer", "cpu", "rtl"):
            three, one = folder / f"three_{engine}.npy", folder / f"one_{engine}.npy"
            outputs = ("--output", f"three={three}", "--output", f"one={one}")
            said = json.loads(call("run", *inputs, *outputs, "--engine", engine, "--json", model))
            assert [(result["name"], result["shape"]) for result in said["results"]] == [("three", [FRAMES, 3]), ("one", [FRAMES, 1])]
            assert values(three, 3) == [[a, b - 2 * a, 3 * a - b] for a, b in sums], engine
            assert values(one, 1) == [[2 * a - b] for a, b in sums], engine
            print(f"{engine}: {FRAMES} frames of two inputs, two outputs")
        # The three stages one after the other are the network.
        def staged(stage, engine, given, wanted):
            named = [word for option, names in (("--input", given), ("--output", wanted)) for name, path in names.items() for word in (option, f"{name}={path}")]
            call("run", model, "--stage", stage, "--engine", engine, *named)

        operands = {name: folder / f"{name}.npy" for name in ("left_codes", "right_codes")}
        staged("head", "integer", {name: folder / f"{name}.npy" for name in ("left", "right")}, operands)
        for engine in ("integer", "rtl"):
            results = {name: folder / f"{name}_{engine}.npy" for name in ("product", "more")}
            staged("hardware", engine, operands, results)
            outputs = {name: folder / f"{name}_staged.npy" for name in ("three", "one")}
            staged("tail", engine, results, outputs)
            for name, path in outputs.items():
                assert path.read_bytes() == (folder / f"{name}_{engine}.npy").read_bytes(), (engine, name)
        print("stages: head, hardware and tail give what the network gives")
        files = [f"left={folder / 'left.npy'}", f"right={folder / 'right.npy'}", f"one={folder / 'one_float.npy'}", f"three={three}"]
        report = json.loads(call("build", model, "-o", folder / "out", "--verify", *files, "--json"))
        assert report["verification"]["mismatches"] == 0
        write_npy(folder / "wrong.npy", [FRAMES, 1], [0.25] * FRAMES)
        call("build", model, "-o", folder / "out", "--verify", *files[:2], f"one={folder / 'wrong.npy'}", f"three={three}", status=1)
        wrong = json.loads((folder / "out/report/verification.json").read_text())["float_against_expected"]
        assert wrong["mismatches"] == FRAMES, wrong

        some = ("--output", f"three={folder / 'three.npy'}", "--output", f"one={folder / 'one.npy'}")
        for arguments, message in (
            ((*inputs[:2], *some), "input 'left' has no file"),
            ((*inputs, *some[:2]), "output 'one' has no file"),
            ((*inputs, *inputs[:2], *some), "input 'right' has two files"),
            (("--input", folder / "left.npy", *some), "is for none of the model's 2 inputs"),
            ((*inputs[:2], "--input", f"left={folder / 'one_float.npy'}", *some), "but the model takes as 'left' f32[1,2]"),
        ):
            said = call("run", model, *arguments, status=2)
            assert message in said, (message, said)
        write_npy(folder / "left.npy", [FRAMES - 1, 2], [0] * (2 * FRAMES - 2))
        said = call("run", model, *inputs, *some, status=2)
        assert f"right.npy' holds {FRAMES} frames, but" in said, said
        print("what has no file, two files or too few frames is named")


main()
