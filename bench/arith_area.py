#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the area of the generated arithmetic, between registers, beside the generators' own counts and the figures to stay
below: synth_xilinx -family xc7 -flatten -abc9, or synth_ecp5 -nodsp.

usage: build/tools/bin/python bench/arith_area.py ARITH_AREA_DESIGNS [xilinx|ecp5] [DESIGN...]

LUT counts LUT1..LUT6, LUT6_2, INV and the sites of LUT memory and shift registers; on ECP5 LUT4, two for each CCU2C and the
sites of LUT memory.
"""
import json
import os
import pathlib
import re
import sys
import tempfile
import time

from pyosys import libyosys as ys

RTL = pathlib.Path(__file__).resolve().parent.parent / "rtl"
BLACK_BOXES = """
(* blackbox *) module LUT6 #(parameter [63:0] INIT = 0) (output O, input I0, I1, I2, I3, I4, I5); endmodule
(* blackbox *) module LUT6_2 #(parameter [63:0] INIT = 0) (output O6, output O5, input I0, I1, I2, I3, I4, I5); endmodule
(* blackbox *) module CARRY4 (output [3:0] CO, output [3:0] O, input CI, input CYINIT, input [3:0] DI, input [3:0] S);
endmodule
"""
SITES = {"RAM32M": 4, "RAM64M": 4, "RAM32X1D": 2, "RAM64X1D": 2, "RAM32X1S": 1, "RAM64X1S": 1, "SRL16E": 1, "SRLC32E": 1,
         "INV": 1, "LUT6_2": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4, "LUT4": 1}
SITES.update({f"LUT{n}": 1 for n in range(1, 7)})


def quiet(action):
    """Runs an action with what Yosys prints thrown away."""
    sys.stdout.flush()
    kept = os.dup(1)
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    try:
        return action()
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(sink)


def synthesize(folder, name, xilinx):
    """Cells by type of one design."""
    design = ys.Design()
    tech = RTL / "tech" / ("xilinx" if xilinx else "generic")
    boxes = folder / "boxes.v"
    boxes.write_text(BLACK_BOXES)
    libraries = f"-y {folder} -y {RTL / 'arith'} -y {tech}"
    ys.run_pass(f"read_slang {libraries} --top {name} {folder / name}.sv {boxes if xilinx else ''}", design)
    if xilinx:
        ys.run_pass(f"synth_xilinx -family xc7 -flatten -abc9 -noiopad -top {name}", design)
    else:
        ys.run_pass(f"synth_ecp5 -nodsp -top {name}", design)
    return cells_of(design, folder / f"{name}.json")


def cells_of(design, statistics):
    """Cells by type, which Yosys writes into a file."""
    ys.run_pass(f"tee -q -o {statistics} stat -json", design)
    return json.loads(statistics.read_text())["design"]["num_cells_by_type"]


def luts_of(cells):
    """Tables, and the places that memories and shift registers in tables take."""
    return sum(SITES.get(cell, 0) * count for cell, count in cells.items())


def main():
    generator = sys.argv[1]
    xilinx = (sys.argv[2] if len(sys.argv) > 2 else "xilinx") == "xilinx"
    wanted = sys.argv[3:]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="arith_area_"))
    start = time.time()
    if os.spawnl(os.P_WAIT, generator, generator, str(folder), "xilinx" if xilinx else "generic") != 0:
        return 1
    print(f"all designs written in {time.time() - start:.1f} s")
    print(f"{'design':28} {'LUT':>6} {'counted':>8} {'FF':>6} {'carry':>6} {'BRAM18':>6} {'LUT per':>9} {'figure':>7} {'s':>5}")
    above = 0
    for line in (folder / "designs.txt").read_text().splitlines():
        name, units, unit, estimate, target = line.split()
        if wanted and name not in wanted:
            continue
        start = time.time()
        cells = quiet(lambda: synthesize(folder, name, xilinx))
        luts = luts_of(cells)
        flip_flops = sum(count for cell, count in cells.items() if re.match(r"FD[RSCP]E|TRELLIS_FF", cell))
        carries = cells.get("CARRY4", 0) + cells.get("CCU2C", 0)
        rams = cells.get("RAMB18E1", 0) + 2 * cells.get("RAMB36E1", 0) + cells.get("DP16KD", 0)
        ratio = luts / float(units)
        above += xilinx and float(target) > 0 and ratio > float(target) + 0.005
        print(f"{name:28} {luts:6} {estimate:>8} {flip_flops:6} {carries:6} {rams:6} {ratio:7.2f}/{unit[:4]} "
              f"{float(target):7.2f} {time.time() - start:5.1f}", flush=True)
    print(f"{above} above their figure")
    return 0


if __name__ == "__main__":
    sys.exit(main())
