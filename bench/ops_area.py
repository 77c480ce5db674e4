#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the area of operators as they are emitted, control and queues included: synth_xilinx -family xc7 -flatten -abc9.

usage: build/tools/bin/python bench/ops_area.py OPS_CASES [WORD...]

OPS_CASES is the program that test/ops builds. Only points whose line has all the words. LUT as in cells_area.py.
"""

import multiprocessing
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))
sys.path.insert(0, str(ROOT / "test" / "ops"))

import pyosys  # noqa: E402

import cells_area  # noqa: E402
import run  # noqa: E402

# What the mapper knows but the reader of SystemVerilog does not.
def black_boxes():
    """The primitives as black boxes; those of DSP blocks from Yosys's own models, ports and parameters alone."""
    models = pathlib.Path(pyosys.__file__).parent / "share/xilinx"
    boxes = re.findall(r"^(module DSP48E1\b.*?)^`ifdef", (models / "cells_sim.v").read_text(), re.S | re.M)
    boxes += re.findall(r"^(module DSP48E2\b.*?)^endmodule", (models / "cells_xtra.v").read_text(), re.S | re.M)
    return BLACK_BOXES + "\n".join(f"(* blackbox *)\n{box}endmodule" for box in boxes)


BLACK_BOXES = """
(* blackbox *) module LUT6 #(parameter [63:0] INIT = 0) (output O, input I0, I1, I2, I3, I4, I5); endmodule
(* blackbox *) module LUT6_2 #(parameter [63:0] INIT = 0) (output O6, output O5, input I0, I1, I2, I3, I4, I5); endmodule
(* blackbox *) module CARRY4 (output [3:0] CO, output [3:0] O, input CI, input CYINIT, input [3:0] DI, input [3:0] S);
endmodule
"""

# line of a cases.txt, what its LUTs are divided by (lanes, MACs or synapses), LUT for each not to exceed
POINTS = [
    # Binary, 16 rows of 64 lanes: weights in block memory (256 words), look-up tables (32) and embedded (8, 4). The research
    # prototype of 8 words had 1.22 without replay memory, thresholds and queue.
    ("mvau in=u1[1,1024] w:bipolar[256,1024] t:ascending:s10[256,1] pe=16 simd=64", 1024, 1.25),
    ("mvau in=u1[1,1024] w:bipolar[256,1024] pe=16 simd=64", 1024, 1.25),
    ("mvau in=u1[1,512] w:bipolar[64,512] t:ascending:s9[64,1] pe=16 simd=64", 1024, None),
    ("mvau in=u1[1,256] w:bipolar[32,256] t:ascending:s8[32,1] pe=16 simd=64", 1024, None),
    ("mvau in=u1[1,128] w:bipolar[32,128] t:ascending:s7[32,1] pe=16 simd=64", 1024, 0.95),
    ("mvau in=u1[1,512] w:bipolar[256,512] t:ascending:s9[256,1] pe=32 simd=32", 1024, 1.473),
    ("mvau in=u1[1,128] w:bipolar[128,128] t:ascending:s7[128,1] pe=8 simd=8", 64, None),
    # Two and four bits, weights in block memory; with accumulators and thresholds, the dot products alone are in arith_area.py.
    ("mvau in=u2[1,512] w:s2[64,512] t:ascending:s11[64,3] pe=4 simd=32", 128, None),
    ("mvau in=u4[1,512] w:s4[64,512] t:ascending:s14[64,3] pe=4 simd=32", 128, None),
    # Weights in block memory, products in look-up tables and in DSP blocks.
    ("mvau in=u4[1,512] w:s4[128,512] pe=8 simd=8", 64, None),
    ("mvau in=u4[1,512] w:s4[128,512] pe=8 simd=8 dsp=1", 64, None),
    ("mvau in=u4[1,512] w:s4[128,512] pe=8 simd=8 dsp=1 family=ultrascale", 64, None),
    ("mvau in=u8[1,512] w:s8[128,512] pe=8 simd=8", 64, None),
    ("mvau in=u8[1,512] w:s8[128,512] pe=8 simd=8 dsp=1", 64, None),
    ("mvau in=u8[1,512] w:s8[128,512] pe=8 simd=8 dsp=1 family=ultrascale", 64, None),
    ("mvau in=u2[1,512] w:ternary[64,512] t:ascending:s11[64,3] pe=4 simd=32", 128, None),
    # Fully unfolded, thresholds included.
    ("mvau in=u1[1,64] w:bipolar[64,64] t:ascending:s5[64,1] pe=64 simd=64", 4096, 0.45),
    ("mvau in=u2[1,64] w:s2[64,64] t:ascending:s7[64,3] pe=64 simd=64", 4096, 1.0),
    ("mvau in=u2[1,64] w:ternary[64,64] t:ascending:s7[64,3] pe=64 simd=64", 4096, 0.86),
    # Thresholding of 16-bit values, 64 channels: queue included.
    ("threshold in=s16[1,64] t:ascending:s16[64,1] pe=8", 1, 91),
    ("threshold in=s16[1,64] t:ascending:s16[64,3] pe=8", 1, 231),
    ("threshold in=s16[1,64] t:ascending:s16[64,15] pe=8", 1, 887),
    ("threshold in=s16[1,64] t:ascending:s16[64,1] pe=64", 1, 319),
    ("threshold in=s16[1,64] t:ascending:s16[64,3] pe=64", 1, 939),
    # Windows, controller and queue included; the research prototype had neither credits nor a queue.
    ("sliding_window in=u2[1,34,34,64] kernel=[3,3] simd=8", 1, 73),
    ("sliding_window in=u2[1,32,32,64] kernel=[3,3] pad=[1,1,1,1] simd=8", 1, None),
    ("sliding_window in=u4[1,112,112,64] kernel=[3,3] stride=[2,2] pad=[0,0,1,1] simd=8", 1, None),
    ("sliding_window in=u2[1,14,14,96] kernel=[3,3] pad=[1,1,1,1] simd=32", 1, None),
    # The same in whole windows; depthwise layers.
    ("sliding_window in=u8[1,32,32,3] kernel=[3,3] simd=27", 1, None),
    ("vvau in=u4[1,112,112,64] kernel=[3,3] pad=[1,1,1,1] w:s4[64,9] t:ascending:s9[64,15] pe=8", 8, None),
    ("vvau in=u4[1,14,14,512] kernel=[3,3] pad=[1,1,1,1] w:s4[512,9] t:ascending:s9[512,15] pe=8", 8, None),
    ("pool in=u2[1,16,16,16] kernel=[2,2] stride=[2,2] pe=16", 1, None),
    ("pool in=u3[1,16,16,16] kernel=[2,2] stride=[2,2] pe=16", 1, None),
    ("pool in=u4[1,16,16,16] kernel=[2,2] stride=[2,2] pe=16", 1, None),
    ("pool in=s4[1,16,16,16] kernel=[2,2] stride=[2,2] pe=8", 1, None),
    ("pool in=u8[1,16,16,16] kernel=[2,2] stride=[2,2] pe=4", 1, None),
    ("label_select in=s12[1,10]", 1, None),
    ("label_select in=s12[1,10] pe=10", 1, None),
]


def synthesize(folder, top, family="xilinx"):
    """Counts of primitives of one emitted operator, by type."""
    from pyosys import libyosys as ys

    paths = run.library(ROOT)
    paths.update({path.stem: path for path in (ROOT / "rtl" / "tech" / family).glob("*.sv")})
    modules = [folder / name for name in (folder / "modules.txt").read_text().split()]
    cells = [paths[name] for name in run.closure((folder / "cells.txt").read_text().split(), paths)]
    report = folder / "stat.txt"
    boxes = folder / "boxes.v"
    boxes.write_text(black_boxes())
    design = ys.Design()

    def work():
        ys.run_pass(f"read_slang -j 1 -I {ROOT / 'rtl'} --top {top} {' '.join(map(str, [*cells, *modules, boxes]))}", design)
        ys.run_pass("synth_xilinx -family xc7 -flatten -abc9 -noiopad", design)
        ys.run_pass(f"tee -q -o {report} stat -json", design)

    cells_area.quiet(work)
    text = report.read_text()
    block = text[text.rindex('"num_cells_by_type"'):]
    return {name: int(n) for name, n in re.findall(r'"(\w+)":\s*(\d+)', block.split("}")[0])}


def measure(program, line):
    """LUT, LUT as the operator's cost says, FF, CARRY4, RAMB18, DSP (exactly as cost says) of one point and the seconds it took; in a process of its own."""
    import os

    start = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "cases.txt").write_text(line + " frames=1\n")
        subprocess.run([program, str(folder), str(folder / "cases.txt")], check=True, stdout=subprocess.DEVNULL)
        os.chdir(folder)  # memory images are found by file name
        count = synthesize(folder, "dut_0")
        os.chdir(ROOT)
        estimate, _, _, dsp_estimate = map(int, (folder / "costs.txt").read_text().split()[:4])
    lut = sum(sites * count.get(name, 0) for name, sites in cells_area.SITES.items())
    ff = sum(n for name, n in count.items() if name.startswith("FD"))
    ram = sum(n * (2 if "36" in name else 1) for name, n in count.items() if name.startswith("RAMB"))
    dsp = sum(n for name, n in count.items() if name.startswith("DSP"))
    if dsp != dsp_estimate:
        sys.exit(f"{line}: {dsp} DSP blocks, {dsp_estimate} by cost")
    return lut, estimate, ff, count.get("CARRY4", 0), ram, dsp, time.monotonic() - start


def main():
    program, words = str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2:]
    missed = 0
    print(f"{'LUT':>6}{'cost':>6}{'FF':>6}{'CARRY4':>7}{'RAMB18':>7}{'DSP':>5}{'s':>5}{'LUT/unit':>9}  limit")
    for line, units, limit in POINTS:
        if not all(word in line for word in words):
            continue
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            lut, estimate, ff, carry, ram, dsp, seconds = pool.apply(measure, (program, line))
        verdict = "-" if limit is None else f"{limit} {'met' if lut <= limit * units else 'MISSED'}"
        missed += "MISSED" in verdict
        print(f"{lut:6}{estimate:6}{ff:6}{carry:7}{ram:7}{dsp:5}{seconds:5.0f}{lut / units:9.2f}  {verdict:12} {line}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
