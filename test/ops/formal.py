#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves the handshakes of a small instance of every generated block, each with broken twins that must be refuted.

usage: formal.py OPS_CASES [WORD...]
"""

import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.append(str(ROOT / "test" / "formal"))

import prove  # noqa: E402
import run  # noqa: E402

# Text of the generated top module and what breaks it: a beat pushed that no credit was taken for, and a ready that
# looks at valid.
FREE_ISSUE = ("dut_0.sv", ".take_i(issue)", ".take_i(1'b0)")
FREE_GIVE = ("dut_0.sv", ".take_i(give)", ".take_i(1'b0)")
LEAKY_BEAT = ("dut_0.sv", "assign s_ready_o = available;", "assign s_ready_o = available && s_valid_i;")
LEAKY_LAST = ("dut_0.sv", "assign s_ready_o = !last || available;", "assign s_ready_o = (!last || available) && s_valid_i;")
LEAKY_HOLD = ("fst_skid.sv", "assign s_ready_o = !spare_valid_q;", "assign s_ready_o = !spare_valid_q && s_valid_i;")
LEAKY_CONTROL = ("fst_mvau_control.sv", "assign s_ready_o = weights_valid_i &&", "assign s_ready_o = s_valid_i && weights_valid_i &&")
LEAKY_WALK = ("fst_window_walk.sv", "assign s_ready_o = used_q !=", "assign s_ready_o = s_valid_i && used_q !=")

PROOFS = [
    ("mvau in=u1[1,4] w:bipolar[4,4] t:ascending:s3[4,1] pe=2 simd=2", FREE_GIVE, LEAKY_CONTROL),
    ("mvau in=u1[1,2] w:bipolar[2,2] pe=2 simd=2", FREE_ISSUE, LEAKY_BEAT),
    ("threshold in=u3[1,4] t:ascending:u3[4,1] pe=2", FREE_ISSUE, LEAKY_BEAT),
    ("label_select in=u2[1,4] pe=2", FREE_GIVE, LEAKY_LAST),
    ("add_constant in=u2[1,4] c:s2[4] pe=2", FREE_ISSUE, LEAKY_BEAT),
    ("multiply_constant in=u2[1,4] c:s2[4] pe=2", FREE_ISSUE, LEAKY_BEAT),
    ("eltwise in=u1[1,2] in=u1[1,2] function=add", FREE_ISSUE, LEAKY_HOLD),
    ("mvau in=u1[1,4] w:bipolar[4,2] groups=2 pe=1 simd=1", FREE_GIVE, LEAKY_CONTROL),
    ("sliding_window in=u1[1,4,1] kernel=[2]", FREE_GIVE, LEAKY_WALK),
    ("sliding_window in=u1[1,2,2,1] kernel=[2,2] pad=[1,0,0,1]", FREE_GIVE, LEAKY_WALK),
    ("sliding_window in=u1[1,3,2,1] kernel=[2,2] pad=[0,1,0,0] simd=4", FREE_GIVE, LEAKY_WALK),
    ("vvau in=u1[1,3,1] kernel=[2] w:bipolar[1,2]", FREE_GIVE, LEAKY_WALK),
]


def read_case(path):
    """Depth, queue, one frame as a list of prove.Step, and the streams of both sides."""
    words = iter(path.read_text().split("\n", 1)[1].split())
    depth, queue, _, stores, _, inputs, outputs, phases = (int(next(words)) for _ in range(8))
    steps = []
    for _ in range(phases):
        count, take, give, acquire, release = (int(next(words)) for _ in range(5))
        takes = [take >> i & 1 for i in range(inputs)]
        needs, frees = ([amount, *takes[1:]] if stores else takes for amount in (acquire, release))
        steps += [prove.Step(tuple(needs), tuple(frees), tuple(give >> o & 1 for o in range(outputs)))] * count
    places = [int(next(words)) for _ in range(inputs)]
    widths = [(int(next(words)), next(words))[0] for _ in range(inputs + outputs)]

    def prefix(side, index, count):
        return side if count == 1 else f"{side}{index}"

    return (depth, queue, steps,
            [prove.Stream(prefix("s", i, inputs), widths[i], places[i]) for i in range(inputs)],
            [prove.Stream(prefix("m", o, outputs), widths[inputs + o]) for o in range(outputs)])


def main():
    program, words = sys.argv[1], sys.argv[2:]
    bad = total = 0
    library = run.library(ROOT)
    for line, twin, moore_twin in PROOFS:
        if not all(word in line for word in words):
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "cases.txt").write_text(line + "\n")
            subprocess.run([program, name, str(folder / "cases.txt")], check=True, stdout=subprocess.DEVNULL)
            depth, queue, steps, inputs, outputs = read_case(folder / "cases.data")
            files = [library[cell] for cell in run.closure((folder / "cells.txt").read_text().split(), library)]
            files += [folder / module for module in (folder / "modules.txt").read_text().split()]
            total += 2
            bad += not prove.prove_operator(
                files, "dut_0", inputs, outputs, steps, depth, queue, mutants=[twin], moore_mutants=[moore_twin],
                cut=["*u_queue.push_data_i"], name=line)
    print(f"operators: {total} proofs, {bad} not as expected")
    return 1 if bad or not total else 0


if __name__ == "__main__":
    sys.exit(main())
