#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random stalls on every stream cell, held cycle by cycle against the stall policy (docs/rtl-cells.md).

usage: run.py BUILD_FOLDER [CYCLES]

One table below names the cells under test. From it come a module that holds them side by side and the list that
cells_bench.cc checks them by; both are built by Verilator and run.
"""

import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
RTL = HERE.parent.parent / "rtl"

sys.path.insert(0, str(HERE.parent))
import verilated

SLOT = 64  # data bits a channel


def skid(width):
    return dict(cell="fst_skid", parameters=dict(Width=width), lane=width, depth=1, capacity=2)


def fifo(width, depth, block):
    return dict(cell="fst_fifo", parameters=dict(Width=width, Depth=depth, BlockRam=int(block)), lane=width,
                depth=2 if block else 1, capacity=depth)


def fork(width, branches, depth):
    return dict(cell="fst_fork", parameters=dict(Width=width, Branches=branches, Depth=depth), lane=width,
                branches=branches, depth=1, capacity=depth)


def converter(lane, lanes_in, lanes_out, depth):
    return dict(cell="fst_width_converter",
                parameters=dict(LaneWidth=lane, InLanes=lanes_in, OutLanes=lanes_out, Depth=depth), lane=lane,
                lanes_in=lanes_in, lanes_out=lanes_out, depth=1, capacity=depth)


def pipeline(width, stages, depth):
    return dict(cell="pipeline_block", parameters=dict(Width=width, Stages=stages, Depth=depth), lane=width,
                depth=stages + 1, capacity=depth)


CASES = [
    skid(1), skid(32),
    fifo(7, 1, False), fifo(7, 2, False), fifo(7, 3, False), fifo(32, 5, False), fifo(32, 16, False),
    fifo(9, 33, False), fifo(9, 3, True), fifo(9, 4, True), fifo(32, 100, True), fifo(32, 256, True),
    pipeline(8, 1, 1), pipeline(8, 3, 5), pipeline(8, 4, 3), pipeline(8, 5, 9),
    fork(8, 1, 2), fork(8, 2, 2), fork(8, 3, 5), fork(4, 2, 1),
    converter(8, 1, 1, 2), converter(8, 1, 4, 1), converter(8, 1, 4, 2), converter(8, 4, 1, 2), converter(8, 4, 1, 1),
    converter(3, 3, 4, 2), converter(3, 4, 3, 2), converter(2, 4, 6, 3), converter(2, 6, 4, 3),
    converter(1, 7, 1, 2), converter(1, 1, 7, 2), converter(5, 2, 5, 2), converter(5, 5, 2, 4), converter(1, 49, 16, 2),
    converter(1, 13, 40, 2),
]


def write_module(path):
    outputs = sum(case.get("branches", 1) for case in CASES)
    lines = [
        "// SPDX-License-Identifier: Apache-2.0",
        "// Every cell under test, side by side.",
        "module cells_bench (",
        "  input  logic clk_i,",
        "  input  logic rst_i,",
        f"  input  logic [{len(CASES) - 1}:0] s_valid_i,",
        f"  output logic [{len(CASES) - 1}:0] s_ready_o,",
        f"  input  logic [{len(CASES) * SLOT - 1}:0] s_data_i,",
        f"  output logic [{outputs - 1}:0] m_valid_o,",
        f"  input  logic [{outputs - 1}:0] m_ready_i,",
        f"  output logic [{outputs * SLOT - 1}:0] m_data_o",
        ");",
    ]
    output = 0
    for index, case in enumerate(CASES):
        branches = case.get("branches", 1)
        width_in = case["lane"] * case.get("lanes_in", 1)
        width_out = case["lane"] * case.get("lanes_out", 1)
        parameters = ", ".join(f".{name}({value})" for name, value in case["parameters"].items())
        lines += [
            f"  logic [{branches * width_out - 1}:0] data_{index};",
            f"  {case['cell']} #({parameters}) u_{index} (",
            f"    .clk_i, .rst_i, .s_valid_i(s_valid_i[{index}]), .s_ready_o(s_ready_o[{index}]),",
            f"    .s_data_i(s_data_i[{index * SLOT}+:{width_in}]), .m_valid_o(m_valid_o[{output}+:{branches}]),",
            f"    .m_ready_i(m_ready_i[{output}+:{branches}]), .m_data_o(data_{index}));",
        ]
        for branch in range(branches):
            lines.append(f"  assign m_data_o[{(output + branch) * SLOT}+:{SLOT}] = "
                         f"{SLOT}'(data_{index}[{branch * width_out}+:{width_out}]);")
        output += branches
    path.write_text("\n".join(lines + ["endmodule", ""]))


def write_cases(path):
    rows = []
    for case in CASES:
        name = case["cell"] + " " + " ".join(f"{key}={value}" for key, value in case["parameters"].items())
        rows.append(f'{{"{name}", {case["lane"]}, {case.get("lanes_in", 1)}, {case.get("lanes_out", 1)}, '
                    f'{case.get("branches", 1)}, {case["depth"]}, {case["capacity"]}}},')
    path.write_text("\n".join(rows) + "\n")


def simulate(folder, library, cycles):
    """Builds the bench in `folder` with the cells of `library`; what it printed, and whether all were as expected."""
    folder.mkdir(parents=True, exist_ok=True)
    write_module(folder / "cells_bench.sv")
    write_cases(folder / "cells_cases.inc")
    bench = verilated.build(folder / "obj", "cells_bench", [folder / "cells_bench.sv", HERE / "cells_bench.cc"],
                            include=[folder, RTL, library, RTL / "tech/generic", HERE], options=["--assert"])
    done = subprocess.run([bench, cycles], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr, done.returncode == 0


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    cycles = sys.argv[2] if len(sys.argv) > 2 else "100000"
    text, good = simulate(folder / "cells", RTL / "stream", cycles)
    print(text, end="", flush=True)

    # The same with a FIFO that forgets a pop when it is full: a bench that doesn't see it sees nothing.
    twin = folder / "twin" / "stream"
    shutil.rmtree(folder / "twin", ignore_errors=True)
    shutil.copytree(RTL / "stream", twin)
    fifo = (twin / "fst_fifo.sv").read_text()
    broken = fifo.replace("if (rst_i || pop)", "if (rst_i || (pop && !s_valid_i))")
    if broken == fifo:
        raise SystemExit("the broken twin is no longer a change to fst_fifo.sv")
    (twin / "fst_fifo.sv").write_text(broken)
    text, twin_good = simulate(folder / "twin", twin, cycles)
    print("FAIL the broken twin passed" if twin_good else "ok   broken twin found: " + text.splitlines()[-1])
    return 0 if good and not twin_good else 1


if __name__ == "__main__":
    sys.exit(main())
