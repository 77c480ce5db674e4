#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads every SystemVerilog module with three front ends: Verilator -Wall, Verible, Yosys read_slang and synthesis.

usage: run.py [WORD...]     only the files whose path contains a word

Each module is read alone, with its defaults, and finds the modules below it by name. A module of a device family finds
its primitives in the models that Yosys ships; those files are not ours and their own warnings don't count. Two broken
modules and some illegal parameters must be found first, so that a silent tool isn't taken for a clean one.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

import pyosys

ROOT = pathlib.Path(__file__).resolve().parents[2]

sys.path.insert(0, str(ROOT / "test"))
import verilated

TOOLS = pathlib.Path(sys.executable).parent
BROKEN = {
    "fst_broken_width.sv": "module fst_broken_width (\n  input logic [3:0] a_i,\n  output logic [2:0] b_o\n);\n"
                           "  assign b_o = a_i;\nendmodule\n",
    "fst_broken_name.sv": "module fst_other (\n  input logic a_i,\n  output logic b_o\n);\n"
                          "  assign b_o = undeclared;\nendmodule\n",
}


def execute(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    return done.returncode, (done.stdout + done.stderr).strip()


def library(path):
    """Folders in which the modules below `path` are found: the rest of rtl/, and one family's cells."""
    family = "xilinx" if "tech/xilinx" in path.as_posix() else "generic"
    folders = [ROOT / "rtl/stream", ROOT / "rtl/axi", ROOT / "rtl/arith", ROOT / "rtl/tech" / family, path.parent]
    return family, list(dict.fromkeys(folder for folder in folders if folder.is_dir()))


def primitives(folder):
    """A file with the models of the primitives, less their timing, which not every front end reads."""
    path = folder / "primitives.v"
    if not path.exists():
        text = (pathlib.Path(pyosys.__file__).parent / "share/xilinx/cells_sim.v").read_text()
        modules = re.findall(r"^module (?:LUT\w*|CARRY\w*|MUXF\w*)\b.*?^endmodule", text, re.S | re.M)
        # Of the DSP blocks ports and parameters alone: not every front end reads what they do.
        text += (pathlib.Path(pyosys.__file__).parent / "share/xilinx/cells_xtra.v").read_text()
        boxes = [module + "endmodule" for module in re.findall(r"^(module DSP48E1\b.*?)^`ifdef", text, re.S | re.M)]
        boxes += re.findall(r"^module DSP48E2\b.*?^endmodule", text, re.S | re.M)
        unused = "// verilator lint_off UNUSEDSIGNAL\n// verilator lint_off UNUSEDPARAM\n// verilator lint_off UNDRIVEN\n"
        modules += [f"{unused}(* blackbox *)\n{box}\n{unused.replace('_off', '_on')}" for box in boxes]
        path.write_text("\n".join(re.sub(r"specify.*?endspecify", "", module, flags=re.S) for module in modules))
    return path


def lint_verilator(path, folder):
    family, folders = library(path)
    command = [str(verilated.PROGRAM), "--lint-only", "-Wall", "--quiet", f"-I{ROOT / 'rtl'}"]
    for other in folders:
        command += ["-y", str(other)]
    if family != "generic":
        foreign = folder / "foreign.vlt"
        foreign.write_text(f'`verilator_config\nlint_off -file "{primitives(folder)}"\n')
        command += [str(foreign), "-v", str(primitives(folder))]
    top, sources = path.stem, [str(path)]
    if re.search(rf"^ +{path.stem} +#?\(", path.read_text(), re.M):
        # Verilator mistakes the outputs of a top's instances of itself for undriven, so such a module gets a parent.
        parent = folder / f"parent_of_{path.stem}.sv"
        parent.write_text("// verilator lint_off PINMISSING\n// verilator lint_off DECLFILENAME\n"
                          f"module parent;\n  {path.stem} child ();\nendmodule\n// verilator lint_on PINMISSING\n"
                          "// verilator lint_on DECLFILENAME\n")
        top, sources = "parent", [str(parent), str(path)]
    return execute([*command, "--top-module", top, *sources], env=verilated.ENVIRONMENT)


def lint_verible(path, folder):
    del folder
    return execute([str(TOOLS / "verible-verilog-lint"), "--rules_config_search", str(path)])


def lint_yosys(path, folder):
    family, folders = library(path)
    libraries = " ".join(f"-y {other}" for other in folders)
    if family != "generic":
        libraries += f" -v {primitives(folder)}"
    commands = [f"read_slang -j 1 -I {ROOT / 'rtl'} {libraries} --libext .sv --top {path.stem} {path}",
                f"synth -run begin:fine -top {path.stem}", "check -assert"]
    script = ("import sys\nfrom pyosys import libyosys as ys\ndesign = ys.Design()\n"
              "for command in sys.stdin.read().splitlines():\n    ys.run_pass(command, design)\n")
    status, text = execute([sys.executable, "-c", script], input="\n".join(commands), cwd=folder)
    wrong = [line for line in text.splitlines() if "warning:" in line.lower() or "error:" in line.lower()]
    wrong = [line for line in wrong if "primitives.v" not in line]
    return (status or int(bool(wrong))), "\n".join(wrong)


def refuses(cell, parameter, value, folder):
    """True when both elaborating tools stop with the module's own message at an illegal parameter."""
    path = ROOT / "rtl/stream" / f"{cell}.sv"
    by_verilator = execute([str(verilated.PROGRAM), "--lint-only", f"-I{ROOT / 'rtl'}", "-y", str(path.parent),
                            f"-G{parameter}={value}", "--top-module", cell, str(path)],
                           env=verilated.ENVIRONMENT)
    script = "import sys\nfrom pyosys import libyosys as ys\nys.run_pass(sys.stdin.read(), ys.Design())\n"
    by_yosys = execute([sys.executable, "-c", script], cwd=folder,
                       input=f"read_slang -j 1 -I {ROOT / 'rtl'} -y {path.parent} --libext .sv -G {parameter}={value} "
                             f"--top {cell} {path}")
    return all(status and f"{cell}: {parameter}" in text for status, text in (by_verilator, by_yosys))


ILLEGAL = [("fst_skid", "Width", 0), ("fst_queue", "Depth", 0), ("fst_credit", "Depth", 0), ("fst_fork", "Branches", 0),
           ("fst_width_converter", "LaneWidth", 0)]
LINTERS = {"verilator": lint_verilator, "verible": lint_verible, "yosys": lint_yosys}


def findings(path, folder):
    """The complaints of each tool about one file, by tool."""
    found = {}
    for name, linter in LINTERS.items():
        status, text = linter(path, folder)
        if status or text:
            found[name] = text or f"ended with {status}"
    return found


def main():
    words = sys.argv[1:]
    files = sorted([*(ROOT / "rtl").rglob("*.sv"), *(ROOT / "src").rglob("*.sv")])
    files = [path for path in files if not words or any(word in path.as_posix() for word in words)]
    bad = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for broken, text in BROKEN.items():
            (folder / broken).write_text(text)
            missing = set(LINTERS) - set(findings(folder / broken, folder))
            if broken == "fst_broken_name.sv" and missing:
                print(f"FAIL {', '.join(missing)} took {broken} for clean")
                bad += 1
            elif "verilator" in missing:
                print(f"FAIL verilator took {broken} for clean")
                bad += 1
        for cell, parameter, value in ILLEGAL:
            if not refuses(cell, parameter, value, folder):
                print(f"FAIL {cell}: {parameter}={value} is not refused")
                bad += 1
        for path in files:
            found = findings(path, folder)
            bad += bool(found)
            for tool, text in found.items():
                print(f"FAIL {path.relative_to(ROOT)}: {tool}\n{text}", flush=True)
    print(f"lint: {len(files)} modules through {len(LINTERS)} front ends, {bad} with findings")
    return 1 if bad or not files else 0


if __name__ == "__main__":
    sys.exit(main())
