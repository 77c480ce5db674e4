#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""LUTs of whole constant matrices, one vector a clock: ours beside da4ml's on the same weights and operands, by the same synthesis.

usage: build/tools/bin/python bench/matrix_peers.py ARITH_AREA_DESIGNS PYTHON

ARITH_AREA_DESIGNS is the program that bench/ builds; PYTHON is one that has da4ml (bench/requirements-da4ml.txt). Operands are unsigned and come out
as whole sums; weights are drawn evenly from all of their type. da4ml runs as its documentation shows, with its own settings, and writes Verilog; both go
through synth_xilinx -family xc7 -flatten -abc9. "said" is what each foretells of itself. Prints a table.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time


def solve(weights, bits, folder):
    """Run by PYTHON: writes da4ml's Verilog of a file of weights; prints its own count and the seconds it took."""
    import numpy
    from da4ml.codegen import VerilogModel
    from da4ml.trace import FixedVariableArray, HWConfig, comb_trace

    matrix = numpy.loadtxt(weights, dtype=int, ndmin=2)
    columns = matrix.shape[1]
    start = time.time()
    unsigned = numpy.zeros(columns, int)
    operands = FixedVariableArray.from_kif(unsigned, numpy.full(columns, int(bits)), unsigned, HWConfig(1, -1, -1))
    solution = comb_trace(operands, operands @ matrix.T.astype(float))
    seconds = time.time() - start
    vector = numpy.random.default_rng(1).integers(0, 2 ** int(bits), columns)
    if not numpy.array_equal(solution(vector.astype(float)), matrix @ vector):
        sys.exit("da4ml's sums are not those of the matrix")
    VerilogModel(solution, "top", folder).write()
    print(solution.cost, seconds)


def main():
    if len(sys.argv) == 5 and sys.argv[1] == "solve":
        return solve(*sys.argv[2:])
    generator, python = sys.argv[1:]
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
    import arith_area
    from pyosys import libyosys as ys

    folder = pathlib.Path(tempfile.mkdtemp(prefix="matrix_peers_"))
    if os.spawnl(os.P_WAIT, generator, generator, str(folder), "xilinx") != 0:
        return 1
    print(f"{'matrix':18} {'LUT':>6} {'said':>6}   {'da4ml':>6} {'said':>6} {'s':>5}   {'ours':>5}")
    for line in (folder / "designs.txt").read_text().splitlines():
        name, _, _, said, _ = line.split()
        if not (folder / f"{name}.weights").exists():
            continue
        ours = arith_area.luts_of(arith_area.quiet(lambda: arith_area.synthesize(folder, name, True)))
        peer = folder / f"{name}_da4ml"
        bits = re.search(r"a(\d+)$", name).group(1)
        done = subprocess.run([python, __file__, "solve", folder / f"{name}.weights", bits, peer], check=True, stdout=subprocess.PIPE, text=True)
        cost, seconds = done.stdout.split()[-2:]
        files = [*sorted((peer / "src").glob("top*.v")), *sorted((peer / "src/static").glob("*.v"))]
        files = [path for path in files if path.stem not in ("top_wrapper", "lookup_table")]

        def synthesize():
            design = ys.Design()
            ys.run_pass(f"read_slang --top top {' '.join(map(str, files))}", design)
            ys.run_pass("synth_xilinx -family xc7 -flatten -abc9 -noiopad -top top", design)
            return arith_area.cells_of(design, folder / "stat.json")

        theirs = arith_area.luts_of(arith_area.quiet(synthesize))
        print(f"{name:18} {ours:6} {said:>6}   {theirs:6} {float(cost):6.0f} {float(seconds):5.1f}   {100 * ours / theirs:4.0f}%", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
