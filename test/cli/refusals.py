#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What would be silent: options without effect, folders of others, results that would be lost: refusals.py FOLDSTREAM ROOT."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from written import write_npy

PROGRAM, ROOT = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
MODEL = ROOT / "examples/tfc/tfc-w1a1.onnx"


def call(*arguments, status=0, **more):
    done = subprocess.run([str(PROGRAM), *map(str, arguments)], capture_output=True, text=True, timeout=300, **more)
    assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
    return done.stderr if status else done.stdout


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        out, x, y = folder / "out", folder / "x.npy", folder / "y.npy"
        pixels = ("--input-type", "u8", "--input-scale", "255")
        call("build", MODEL, "-o", out, *pixels)
        write_npy(x, [1, 1, 28, 28], [1.0, 0.0] * 392)
        run = ("--input", x, "--output", y)

        # Options that say nothing to what they are given to.
        for arguments, message in (
            (("estimate", out, "--clock", "250", "--fps", "100"), f"'{out}' is built already, so --clock, --fps can't change it"),
            (("run", out, *run, "--engine", "integer", "--board", "U250"), "is built already, so --board can't change it"),
            (("bench", out, "--input-type", "u8"), "is built already, so --input-type can't change it"),
            (("run", MODEL, *run, "--engine", "integer", "--stall", "0.5"), "--stall with the integer engine"),
            (("run", MODEL, *run, "--threads", "3"), "--threads with the float engine"),
            (("bench", MODEL, "--seed", "3"), "--seed with the cpu engine"),
            (("sim", out, "--queues", "--frames", "7"), "--frames excludes --queues"),
            (("synth", out, "--device", "ecp5", "--limit", "10000000000"), "--limit: Value 10000000000 not in range"),
            (("eval", MODEL, "--dataset", "mnist", "--data", folder, "--scale", "1e-300"), "--scale: '1e-300' is no number in"),
            (("quantize", MODEL, "--dataset", "mnist", "--data", folder, "-o", folder / "m.fst"), "is the name of a graph in text form"),
        ):
            said = call(*arguments, status=2)
            assert message in said, (message, said)

        # Numbers that are none.
        write_npy(folder / "nan.npy", [1, 1, 28, 28], [float("nan")] + [0.5] * 783)
        said = call("run", MODEL, "--input", folder / "nan.npy", "--output", y, "--engine", "integer", status=2)
        assert "frame 0, element 0 is nan, no finite float32" in said, said
        assert json.loads(call("sim", out, "--frames", "1", "--json"))["interval_cycles"] is None
        assert "1 frame in" in call("sim", out, "--frames", "1")

        # A folder that happens to hold a file of a name of ours is somebody's.
        other = folder / "web"
        other.mkdir()
        (other / "front.json").write_text('{"name": "my web app", "points": []}')
        (other / "thesis.txt").write_text("mine")
        said = call("explore", MODEL, "-o", other, "--points", "2", *pixels, status=2)
        assert "holds files that Foldstream did not write" in said and (other / "thesis.txt").read_text() == "mine", said
        front = folder / "front"
        for _ in range(2):  # its own it replaces
            call("explore", MODEL, "-o", front, "--points", "2", *pixels)

        # Links lead to where results go; a pipe stays one.
        (folder / "kept.npy").write_bytes(b"old")
        (folder / "link.npy").symlink_to(folder / "kept.npy")
        (folder / "y.npy.part").write_text("mine")
        call("run", MODEL, "--input", x, "--output", folder / "link.npy")
        assert (folder / "link.npy").is_symlink() and (folder / "kept.npy").read_bytes()[:6] == b"\x93NUMPY"
        call("run", MODEL, *run)
        assert (folder / "y.npy.part").read_text() == "mine"
        os.mkfifo(folder / "pipe")
        with subprocess.Popen(["cat", folder / "pipe"], stdout=subprocess.PIPE) as reader:
            call("run", MODEL, "--input", x, "--output", folder / "pipe")
            assert reader.stdout.read() == y.read_bytes()
        (folder / "way").symlink_to(out)
        call("build", MODEL, "-o", folder / "way", *pixels)
        assert (folder / "way").is_symlink() and (out / "manifest.json").is_file()
        said = call("build", MODEL, "-o", ".", *pixels, status=2, cwd=out)
        assert "'.' is the folder you are in" in said, said

        # Several results: none is left when one can't be written.
        two = folder / "two.fst"
        two.write_text("""foldstream 1
graph "two"
%0 "x" = input {shape=[1, 2], type="f32"} : f32[1,2]
%1 "a" = relu %0 : f32[1,2]
%2 "b" = abs %0 : f32[1,2]
output "a" %1
output "b" %2
""")
        write_npy(folder / "pair.npy", [1, 2], [1, -1])
        first = folder / "a.npy"
        call("run", two, "--input", folder / "pair.npy", "--output", f"a={first}", "--output", f"b={folder}/none/../x.npy/b.npy", status=2)
        assert not first.exists()
        said = call("run", two, "--input", folder / "pair.npy", "--output", f"a={first}", "--output", f"b={first}", status=2)
        assert "outputs 'a' and 'b' have one file" in said, said

        # A manifest of other values than build writes.
        manifest = out / "manifest.json"
        text = manifest.read_text()
        for change in ({"clock_mhz": -5}, {"clock_mhz": "x"}, {"name": 3}, {"part": []}):
            damaged = json.loads(text)
            damaged["options"].update(change)
            manifest.write_text(json.dumps(damaged))
            said = call("sim", out, status=2)
            assert "manifest.json' was changed since it was built" in said, (change, said)
        manifest.write_text(text)

        # A simulation of which a cleaner of files has left a part is made again.
        if shutil.which("c++"):
            cache = folder / "cache"
            environment = {**os.environ, "FOLDSTREAM_CACHE": str(cache)}
            done = subprocess.run([str(PROGRAM), "run", str(out), *map(str, run), "--engine", "rtl"], capture_output=True, text=True, env=environment)
            if "not installed" not in done.stderr:
                assert done.returncode == 0, done.stderr
                right = y.read_bytes()
                memories = list((cache / "simulations").rglob("*.mem"))
                assert memories
                for path in memories:
                    path.unlink()
                call("run", out, *run, "--engine", "rtl", env=environment)
                assert y.read_bytes() == right

        # Nodes that are called as modules inside of others, or as the tops, are.
        names = folder / "names.fst"
        square = "f32[4,4] " + " ".join(["1.0 -1.0 2.0 0.0"] * 4)
        names.write_text(f"""foldstream 1
graph "names"
%0 "x" = input {{shape=[1, 4], type="f32"}} : f32[1,4]
%1 "codes" = quant %0 {{bits=2, narrow=0, rounding="ROUND", signed=1}} (scale=@0, zero=@1) : f32[1,4]
%2 "w" = constant (value=@2) : f32[4,4]
%3 "fc" = matmul %1, %2 : f32[1,4]
%4 "q" = quant %3 {{bits=2, narrow=0, rounding="ROUND", signed=1}} (scale=@0, zero=@1) : f32[1,4]
%5 "fc_dot" = matmul %4, %2 : f32[1,4]
%6 "r" = quant %5 {{bits=2, narrow=0, rounding="ROUND", signed=1}} (scale=@0, zero=@1) : f32[1,4]
%7 "axis" = matmul %6, %2 : f32[1,4]
output "y" %7
@0 = f32[] 1.0
@1 = f32[] 0.0
@2 = {square}
""")
        call("build", names, "-o", folder / "named")
        modules = [line.split()[1].split("(")[0] for path in (folder / "named/rtl").rglob("*.sv") if "tech" not in path.parts
                   for line in path.read_text().splitlines() if line.startswith("module ")]
        assert len(modules) == len(set(modules)), sorted(modules)
    print("refusals: what would be silent is said")


main()
