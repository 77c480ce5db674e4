#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Accelerators under their own driver: run.py FOLDSTREAM ROOT BUILD_FOLDER [NAME...].

For each design of the table below: `foldstream build` for a board, the accelerator's SystemVerilog in Verilator with a memory
that pauses at random (memory.cpp), and the driver of OUT itself with a PYNQ whose board is that simulation (pynq.py). Frames
at random must give what the integer engine gives for the same stage, through batches of several sizes.
"""

import concurrent.futures
import importlib.util
import json
import pathlib
import re
import shutil
import subprocess
import sys

import numpy

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))  # pynq
import pynq
import verilated
from written import chain

MOVER_CYCLES = 200  # that movers and a memory without pauses may add to a run
PROGRAM, ROOT, FOLDER = (pathlib.Path(word).resolve() for word in sys.argv[1:4])

TWO = """foldstream 1
graph "two"
%0 "left" = input {shape=[1, 6], type="f32"} : f32[1,6]
%1 "right" = input {shape=[1, 6], type="f32"} : f32[1,6]
%2 "left_codes" = quant %0 {bits=4, narrow=0, rounding="ROUND", signed=1} (scale=@0, zero=@1) : f32[1,6]
%3 "right_codes" = quant %1 {bits=4, narrow=0, rounding="ROUND", signed=1} (scale=@0, zero=@1) : f32[1,6]
%4 "both" = add %2, %3 : f32[1,6]
%5 "sum_codes" = quant %4 {bits=4, narrow=0, rounding="ROUND", signed=1} (scale=@0, zero=@1) : f32[1,6]
%6 "weights" = constant (value=@2) : f32[6,3]
%7 "product" = matmul %5, %6 : f32[1,3]
%8 "more_weights" = constant (value=@3) : f32[6,1]
%9 "more" = matmul %5, %8 : f32[1,1]
output "three" %7
output "one" %9
@0 = f32[] 0.5
@1 = f32[] 0.0
@2 = f32[6,3] 1.0 -2.0 3.0 0.0 1.0 -1.0 1.0 -2.0 3.0 0.0 1.0 -1.0 1.0 -2.0 3.0 0.0 1.0 -1.0
@3 = f32[6,1] 2.0 -1.0 2.0 -1.0 2.0 -1.0
"""

# Folding of two layers: PE, SIMD and where the weights are.
ELSEWHERE = {"Defaults": {}, "fc0": {"PE": 4, "SIMD": 3, "mem_mode": "external"}, "fc1": {"PE": 1, "SIMD": 10, "ram_style": "ultra"}}

# name: model, options of build, frames
DESIGNS = {
    "bytes": (ROOT / "examples/tfc/tfc-w1a1.onnx", ["--board", "pynq-z1", "--fps", 100000, "--input-type", "u8", "--input-scale", 255], 7),
    "wide": (ROOT / "examples/tfc/tfc-w2a2.onnx", ["--board", "ultra96", "--fps", 5e6, "--input-type", "u8", "--input-scale", 255], 40),
    "two": (TWO, ["--board", "zcu102", "--fps", 1e8], 300),
    "writable": (chain([9, 6, 5], 3), ["--board", "pynq-z2", "--writable-weights", "all"], 50),
    "elsewhere": (chain([12, 20, 7], 5), ["--board", "zcu104", "--folding", ELSEWHERE], 60),
    "clocks": (chain([32, 32, 32], 2), ["--board", "kv260_som", "--pack-memories", "--memory-clock-ratio", 2], 8),
    "narrow": (chain([64, 8], 1, bits=8), ["--board", "pynq-z1", "--fps", 1e8], 100),
    "words": (chain([5, 5, 70], 4), ["--board", "u250", "--fps", 1e8], 90),
}


def call(*arguments, status=0):
    done = subprocess.run([str(PROGRAM), *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
    return done.stdout


def made(name):
    """OUT of a design, and its simulation."""
    model, options, _ = DESIGNS[name]
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if isinstance(model, str):
        (folder / f"{name}.fst").write_text(model)
        model = folder / f"{name}.fst"
    words = []
    for option in options:
        if isinstance(option, dict):
            (folder / "folding.json").write_text(json.dumps(option))
            option = folder / "folding.json"
        words.append(option)
    out = folder / "out"
    said = call("build", model, "-o", out, *words)
    assert ("from the board's memory a frame takes 8 cycles" in said) == (name == "narrow"), said
    described = json.loads((out / "driver/accelerator.json").read_text())
    top = described["name"]
    sources = [out / "rtl" / line for line in (out / "rtl/files.f").read_text().splitlines() if not line.startswith("+")]
    extra = re.findall(r"\.\./rtl/(\S+\.sv)", (out / "vivado/design.tcl").read_text())
    listed = {path.name for path in sources}
    extra = [path.replace("tech/xilinx", "tech/generic") for path in extra]
    sources += [out / "rtl" / path for path in extra if pathlib.Path(path).name not in listed]
    sources.append(out / f"vivado/{top}_ip.v")
    ports = [f"READ_PORT({entry['port']})" for entry in described["operands"] + described["weights"]]
    ports += [f"WRITE_PORT({entry['port']})" for entry in described["results"]]
    ratio = int(re.search(r"set memory_clock_ratio (\d+)", (out / "vivado/design.tcl").read_text())[1])
    (folder / "ports.h").write_text(f"#define PORTS {' '.join(ports)}\n#define WORD_BYTES {described['word_bytes']}\n"
                                    f"#define MEMORY_CLOCK_RATIO {ratio}\n")
    # All warnings for what is in front of the network; of its nodes others know (test/ops).
    (folder / "nodes.vlt").write_text(f'`verilator_config\nlint_off -file "{out}/rtl/nodes/*"\n')
    program = verilated.build(folder / "model", f"{top}_ip", [folder / "nodes.vlt", *sources, HERE / "memory.cpp"], include=[folder, out / "rtl/lib"],
                              options=["-Wall", "--assert", "--prefix", "Vtop"])
    return out, program.parent / "Vtop"


def driver_of(out):
    spec = importlib.util.spec_from_file_location("accelerator", out / "driver/accelerator.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (out / f"driver/{json.loads((out / 'driver/accelerator.json').read_text())['name']}.bit").touch()
    return module


def board(out, program, seed, pause):
    pynq.BOARD = ["env", "-C", out / "rtl", program, seed, pause]


def expected(out, folder, ports, arrays, *options):
    """What the integer engine gives for operands of the hardware."""
    given, wanted = [], []
    for port, array in zip(ports.inputs, arrays):
        numpy.save(folder / f"{port.name}.npy", array)
        given += ["--input", f"{port.name}={folder / port.name}.npy"]
    for port in ports.outputs:
        wanted += ["--output", f"{port.name}={folder / port.name}_results.npy"]
    call("run", out, "--stage", "hardware", "--engine", "integer", *given, *wanted, *options)
    return [numpy.load(folder / f"{port.name}_results.npy") for port in ports.outputs]


def frames_of(network, frames, seed):
    random = numpy.random.default_rng(seed)
    return [random.integers(port.least, port.greatest, (frames, *port.shape), port.dtype, endpoint=True) for port in network.inputs]


def same(found, wanted, what):
    found = found if isinstance(found, tuple) else (found,)
    for result, right in zip(found, wanted):
        assert result.shape == right.shape, (what, result.shape, right.shape)
        wrong = numpy.argwhere(result != right)
        assert not len(wrong), f"{what}: {len(wrong)} elements differ, the first {wrong[0].tolist()}"


def check(name, out, program):
    driver = driver_of(out)
    frames = DESIGNS[name][2]
    cycles = []
    for seed, pause, batch in ((1, 0, None), (2, 0.4, 3), (3, 0.9, None)):
        board(out, program, seed, pause)
        network = driver.Accelerator()
        count = frames if pause < 0.9 else max(2, frames // 5)
        arrays = frames_of(network, count, seed)
        wanted = expected(out, out.parent, network, arrays)
        same(network.run(*arrays, batch=batch, timeout=120), wanted, f"{name}, pauses {pause}, batch {batch}")
        cycles.append(network.cycles)
        if seed == 1:  # the same network again, and no frames at all
            same(network.run(*arrays, timeout=120), wanted, f"{name}, once more")
            empty = network.run(*(array[:0] for array in arrays))
            assert len(empty[0] if isinstance(empty, tuple) else empty) == 0
    # The movers keep up: a frame takes the network's interval, or what its words take in memory; the first one the latency.
    told = json.loads(call("sim", out, "--json"))
    moved = max(port.frame_bytes for port in (*network.inputs, *network.outputs)) // network._described["word_bytes"]
    least = (frames - 1) * max(told["interval_cycles"], moved) + told["latency_cycles"]
    assert (frames - 1) * told["interval_cycles"] <= cycles[0] <= least + MOVER_CYCLES, (name, cycles[0], least)
    print(f"{name}: {frames} frames in {cycles[0]} cycles, {least} at least", flush=True)


def errors(out, program):
    """What the driver refuses, and says."""
    driver = driver_of(out)
    board(out, program, 1, 0)
    network = driver.Accelerator()
    (good,) = frames_of(network, 2, 1)

    def refused(text, what):
        try:
            what()
        except driver.Error as error:
            assert text in str(error), (text, str(error))
            return
        raise AssertionError(f"nothing said '{text}'")

    refused("takes 0 to 255, it was given", lambda: network.run(good.astype("i4") - 1))
    refused("takes integers, it was given float64", lambda: network.run(good / 2))
    refused("takes frames of shape", lambda: network.run(good.reshape(2, -1)))
    refused("2 arrays for 1 operands", lambda: network.run(good, good))
    refused("a batch of 0 frames", lambda: network.run(good, batch=0))
    refused("has no memories that can be written", lambda: network.write_image("none.image"))
    described = dict(network._described, identity=7)
    (out / "driver/accelerator.json").rename(out / "driver/kept.json")
    (out / "driver/accelerator.json").write_text(json.dumps(described))
    refused("the bitstream is of another design", driver.Accelerator)
    (out / "driver/kept.json").replace(out / "driver/accelerator.json")
    refused("there is no", lambda: driver.Accelerator(bitfile=out / "nothing.bit"))

    # An address that memory doesn't have is an error, not wrong results.
    moved = driver.Accelerator()
    real = moved._move
    moved._move = lambda register, buffer, words: real(register, buffer, words + (100000 if register == moved.inputs[0].register else 0))
    refused("were not done after", lambda: moved.run(good, timeout=0.2))
    lost = driver.Accelerator()
    real_buffer = lost._buffer

    def without_results(size):
        buffer = real_buffer(size)
        if size == 2 * lost.outputs[0].frame_bytes:
            buffer.board.ask("f", buffer.physical_address)
            buffer.board.ask("a", 1 << 16)
            buffer.freebuffer = lambda: None
        return buffer

    lost._buffer = without_results
    refused("memory refused an access", lambda: lost.run(good, timeout=60))
    print("errors: all said")


def command_line(out, program):
    """The driver as a program."""
    driver = driver_of(out)
    board(out, program, 1, 0.2)
    network = driver.Accelerator()
    arrays = frames_of(network, 3, 9)
    wanted = expected(out, out.parent, network, arrays)
    folder = out.parent
    script = f"import sys; sys.path.insert(0, {str(HERE)!r}); import pynq; pynq.BOARD = {list(map(str, pynq.BOARD))!r}\n" \
             f"import runpy; sys.argv = ['accelerator.py', *sys.argv[1:]]; runpy.run_path({str(out / 'driver/accelerator.py')!r}, run_name='__main__')"

    def driven(*words, status=0):
        done = subprocess.run([sys.executable, "-c", script, *map(str, words)], capture_output=True, text=True, timeout=120)
        assert done.returncode == status, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    inputs = [word for port in network.inputs for word in ("--input", f"{port.name}={folder / port.name}.npy")]
    outputs = [word for port in network.outputs for word in ("--output", f"{port.name}={folder / port.name}_board.npy")]
    right = [word for port in network.outputs for word in ("--expected", f"{port.name}={folder / port.name}_results.npy")]
    assert "operand left_codes: s4[6] as int8" in driven("describe")
    assert "3 frames in" in driven("run", *inputs, *outputs)
    same(tuple(numpy.load(folder / f"{port.name}_board.npy") for port in network.outputs), wanted, "files")
    assert "3 frames, 0 differ" in driven("check", *inputs, *right)
    wrong = wanted[1].copy()
    wrong[2] += 1
    numpy.save(folder / f"{network.outputs[1].name}_results.npy", wrong)
    assert "3 frames, 1 differ, the first is 2" in driven("check", *inputs, *right, status=1)
    assert "--input: expected NAME=FILE for each of left_codes" in driven("run", *inputs[:2], *outputs, status=2)
    assert json.loads(driven("throughput", "--frames", 50))["frames"] == 50
    print("command line: all said")


def written(out, program):
    """Other weights over the bus give what they give in the graph."""
    driver = driver_of(out)
    board(out, program, 4, 0.3)
    network = driver.Accelerator()
    folder = out.parent
    first = json.loads((out / "driver/memories.json").read_text())["memories"][0]
    field = next(field for field in first["fields"] if field["constant"] == "w")
    weights = numpy.random.default_rng(3).integers(-1, 2, field["shape"])
    numpy.save(folder / "weights.npy", weights)
    write = f"{first['node']}.w={folder / 'weights.npy'}"
    call("image", out, "--write", write, "--output", folder / "new.image")
    arrays = frames_of(network, 20, 4)
    before = expected(out, folder, network, arrays)
    after = expected(out, folder, network, arrays, "--write", write)
    assert any((a != b).any() for a, b in zip(before, after))
    same(network.run(*arrays, timeout=60), before, "before")
    network.write_image(folder / "new.image")
    same(network.run(*arrays, timeout=60), after, "after")
    print("written: other weights, other results")


def main():
    names = sys.argv[4:] or list(DESIGNS)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        designs = dict(zip(names, pool.map(made, names)))
    for name, design in designs.items():
        check(name, *design)
    for special, test in (("bytes", errors), ("two", command_line), ("writable", written)):
        if special in designs:
            test(*designs[special])
    print(f"{len(designs)} designs: every result equal, every run in time")
    return 0


if __name__ == "__main__":
    sys.exit(main())
