# SPDX-License-Identifier: Apache-2.0
"""Synthesizes a design with Yosys and counts the cells of every node: synthesis.py SPEC RESULT.

SPEC (JSON): folder (of rtl/), technology (folder of its cells), top, nodes ([{id, module, parameters, instances}]),
harness (a source around the top, or null), before, synthesis and after (Yosys commands; after: on the flat netlist for
placement, or none), netlist (a file to write for placement, or null). RESULT (JSON): cells of the top and of each node's module by type, {"top": {...}, id: {...}}.

Each node's module is read by itself and stays a module of its own through synthesis, so that one run measures both
the whole and its parts.
"""

import json
import os
import pathlib
import re
import sys

import pyosys
from pyosys import libyosys as ys


def write_primitives(path):
    """The vendor's cells that a design may instantiate, as black boxes, from Yosys's own models of them."""
    models = pathlib.Path(pyosys.__file__).parent / "share/xilinx"
    text = "\n".join((models / name).read_text(encoding="utf-8") for name in ("cells_sim.v", "cells_xtra.v"))
    modules = re.findall(r"^module (?:LUT\w*|CARRY\w*|MUXF\w*|DSP48E2)\b.*?^endmodule", text, re.S | re.M)
    # Ports and parameters alone: not every front end reads what it does.
    modules += [module + "endmodule" for module in re.findall(r"^(module DSP48E1\b.*?)^`ifdef", text, re.S | re.M)]
    boxes = ["(* blackbox *)\n" + re.sub(r"specify.*?endspecify", "", module, flags=re.S) for module in modules]
    path.write_text("\n".join(boxes), encoding="utf-8")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        spec = json.load(file)
    result = os.path.abspath(sys.argv[2])
    os.chdir(spec["folder"])
    design = ys.Design()

    def run(command):
        ys.run_pass(command, design)

    search = f"-j 1 -I lib -y lib -y {spec['technology']} -y nodes --libext .sv"
    if spec["technology"] == "tech/xilinx":
        write_primitives(pathlib.Path("primitives.v"))
        search += " primitives.v"
    for node in spec["nodes"]:
        module = node["module"]
        values = " ".join(f"-G {name}={value}" for name, value in node["parameters"].items())
        place = "nodes" if os.path.exists(f"nodes/{module}.sv") else "lib"
        run(f"read_slang {search} {values} --top {module} {place}/{module}.sv")
        run(f"rename {module} {node['id']}")
    boxes = " ".join(f"--blackboxed-module {name}" for name in sorted({node["module"] for node in spec["nodes"]}))
    top = spec["top"]
    run(f"read_slang {search} {boxes} --top {top} {top}.sv")
    for node in spec["nodes"]:
        for instance in node["instances"]:
            # The values are in the node's module already.
            cell = design.module(ys.IdString(f"\\{top}")).cell(ys.IdString(f"\\{instance}"))
            for name in [str(key) for key in cell.parameters]:
                cell.unsetParam(ys.IdString(name))
            run(f"chtype -set {node['id']} {top}/{instance}")
    outside = top
    if spec["harness"]:
        outside = "fst_harness"
        run(f"read_slang -j 1 --blackboxed-module {top} --top {outside} {spec['harness']}")
    kept = " ".join([node["id"] for node in spec["nodes"]] + ([top] if spec["harness"] else []))
    run(f"setattr -mod -set keep_hierarchy 1 {kept}")
    run(f"hierarchy -check -top {outside}")
    if spec["before"]:
        run(spec["before"])
    run(spec["synthesis"])
    run(f"tee -q -o {result}.stat stat -json")
    with open(f"{result}.stat", encoding="utf-8") as file:
        modules = json.load(file)["modules"]
    counts = {name.lstrip("\\"): entry["num_cells_by_type"] for name, entry in modules.items()}
    cells = {node["id"]: counts[node["id"]] for node in spec["nodes"]}
    cells["top"] = {name: count for name, count in counts[top].items() if name not in cells}
    if spec["netlist"]:
        run(f"setattr -mod -unset keep_hierarchy {kept}")
        run("flatten")
        run("opt_clean -purge")
        if spec["after"]:
            run(spec["after"])
        run(f"write_json {spec['netlist']}")
    with open(result, "w", encoding="utf-8") as file:
        json.dump(cells, file)


main()
