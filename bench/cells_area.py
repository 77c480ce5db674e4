#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the area of every cell of streams and of AXI: synth_xilinx -family xc7 -flatten -abc9 through pyosys.

usage: build/tools/bin/python bench/cells_area.py [CELL...]

LUT counts LUT1..LUT6, LUT6_2, the sites of LUT memory (RAM32M and RAM64M 4 each) and shift registers.
Inputs come straight from the ports, so FF are those of the cell alone.
"""

import os
import pathlib
import re
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent

# cell, parameters, (LUT, RAMB18) not to exceed, or None where there is no earlier figure
POINTS = [
    ("fst_skid", {"Width": 32}, (36, 0)),
    ("fst_queue", {"Width": 8, "Depth": 5}, (20, 0)),
    ("fst_queue", {"Width": 16, "Depth": 5}, (24, 0)),
    ("fst_queue", {"Width": 32, "Depth": 5}, (36, 0)),
    ("fst_queue", {"Width": 64, "Depth": 5}, (56, 0)),
    ("fst_queue", {"Width": 128, "Depth": 5}, (100, 0)),
    ("fst_queue", {"Width": 8, "Depth": 1}, None),
    ("fst_queue", {"Width": 8, "Depth": 2}, None),
    ("fst_credit", {"Depth": 2}, (6, 0)),
    ("fst_credit", {"Depth": 5}, (6, 0)),
    ("fst_credit", {"Depth": 9}, None),
    ("fst_credit", {"Depth": 32}, None),
    ("fst_fifo", {"Width": 32, "Depth": 16}, (36, 0)),
    ("fst_fifo", {"Width": 32, "Depth": 32}, (37, 0)),
    ("fst_fifo", {"Width": 32, "Depth": 64}, (59, 0)),
    ("fst_fifo", {"Width": 32, "Depth": 256}, (17, 1)),
    ("fst_fifo", {"Width": 32, "Depth": 512}, (18, 1)),
    ("fst_fork", {"Width": 8, "Branches": 2, "Depth": 2}, None),
    ("fst_width_converter", {"LaneWidth": 8, "InLanes": 1, "OutLanes": 4, "Depth": 1}, None),
    ("fst_width_converter", {"LaneWidth": 8, "InLanes": 1, "OutLanes": 4, "Depth": 2}, None),
    ("fst_width_converter", {"LaneWidth": 8, "InLanes": 4, "OutLanes": 1, "Depth": 2}, (29, 0)),
    ("fst_width_converter", {"LaneWidth": 2, "InLanes": 3, "OutLanes": 4, "Depth": 2}, None),
    ("fst_width_converter", {"LaneWidth": 2, "InLanes": 4, "OutLanes": 3, "Depth": 2}, None),
    ("fst_axi_reader", {"WordWidth": 64, "Depth": 64}, None),
    ("fst_axi_reader", {"WordWidth": 128, "Depth": 128}, None),
    ("fst_axi_writer", {"WordWidth": 64, "Depth": 64}, None),
    ("fst_axi_writer", {"WordWidth": 128, "Depth": 128}, None),
    ("fst_word_split", {"SlotWidth": 8, "Slots": 8, "Beats": 784}, None),
    ("fst_word_join", {"SlotWidth": 8, "Slots": 8, "Beats": 10}, None),
    ("fst_control", {"Movers": 2}, None),
    ("fst_axilite", {"AddressWidth": 6}, None),
]

SITES = {"LUT6_2": 1, "RAM32M": 4, "RAM64M": 4, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4,
         "RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "SRL16E": 1, "SRLC32E": 1, "SRLC16E": 1}
SITES.update({f"LUT{n}": 1 for n in range(1, 7)})


def quiet(action):
    """Runs action with Yosys's own output (written past sys.stdout) discarded."""
    sys.stdout.flush()
    kept = os.dup(1)
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    try:
        action()
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(sink)


def synthesize(cell, parameters):
    """Counts of primitives of one cell, by type."""
    from pyosys import libyosys as ys

    with tempfile.TemporaryDirectory() as scratch:
        report = pathlib.Path(scratch) / "stat.txt"
        files = " ".join(str(path) for folder in ("stream", "axi") for path in sorted((ROOT / "rtl" / folder).glob("*.sv")))
        values = " ".join(f"-G {name}={value}" for name, value in parameters.items())
        design = ys.Design()

        def work():
            ys.run_pass(f"read_slang -j 1 -I {ROOT / 'rtl'} {values} --top {cell} {files}", design)
            ys.run_pass("synth_xilinx -family xc7 -flatten -abc9", design)
            ys.run_pass(f"tee -q -o {report} stat -json", design)

        quiet(work)
        text = report.read_text()
    block = text[text.index('"num_cells_by_type"'):]
    return {name: int(n) for name, n in re.findall(r'"(\w+)":\s*(\d+)', block.split("}")[0])}


def main():
    wanted = sys.argv[1:]
    worse = 0
    print(f"{'cell':22}{'parameters':52}{'LUT':>5}{'FF':>5}{'CARRY4':>8}{'RAMB18':>8}  limit")
    for cell, parameters, limit in POINTS:
        if wanted and cell not in wanted:
            continue
        count = synthesize(cell, parameters)
        lut = sum(sites * count.get(name, 0) for name, sites in SITES.items())
        ff = sum(n for name, n in count.items() if name.startswith("FD"))
        ram = sum(n * (2 if "36" in name else 1) for name, n in count.items() if name.startswith("RAMB"))
        shown = ", ".join(f"{name} {value}" for name, value in parameters.items())
        verdict = "-"
        if limit:
            fits = lut <= limit[0] and ram <= limit[1]
            worse += not fits
            verdict = f"{limit[0]} {'met' if fits else 'MISSED'}"
        print(f"{cell:22}{shown:52}{lut:5}{ff:5}{count.get('CARRY4', 0):8}{ram:8}  {verdict}", flush=True)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
