#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every SystemVerilog module alone, with its default parameters, is clean in the three tools that read it (decision 0004):
Verible's lint, Verilator -Wall and Yosys' read_slang. systemverilog.py ROOT; run by the Python of build/tools.

Modules that instantiate a vendor's cells are only linted here: the other two need models of those cells, which the proofs that
a module of rtl/tech equals its generic twin bring along.
"""

import importlib.util
import os
import pathlib
import subprocess
import sys


def folder_of(package):
    found = importlib.util.find_spec(package)
    if found is None:
        print(f"skipped: {package} is not installed (./setup --tests)")
        sys.exit(77)
    return pathlib.Path(found.origin).parent


def run(command, environment=None):
    """What the tool complains about, or nothing."""
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    return (result.stdout + result.stderr).strip() if result.returncode else ""


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    verible = folder_of("verible") / "bin/verible-verilog-lint"
    verilator_root = folder_of("verilator")
    folder_of("pyosys")
    os.chdir(root)

    modules = sorted(path for folder in ("rtl", "src") for path in pathlib.Path(folder).rglob("*.sv"))
    headers = sorted(pathlib.Path("rtl").rglob("*.svh"))
    vendor = [path for path in modules if path.parts[:2] == ("rtl", "tech") and path.parts[2] != "generic"]
    portable = [path for path in modules if path not in vendor]
    libraries = sorted({str(path.parent) for path in portable})

    failures = []
    complaint = run([str(verible), *map(str, modules + headers)])
    if complaint:
        failures.append(complaint)

    environment = os.environ | {"VERILATOR_ROOT": str(verilator_root)}
    for path in portable:
        search = [option for library in libraries for option in ("-y", library)]
        command = [str(verilator_root / "bin/verilator"), "--lint-only", "--quiet", "-Wall", "-Irtl", *search]
        complaint = run([*command, "--top-module", path.stem, str(path)], environment)
        if complaint:
            failures.append(complaint)

    for path in portable:
        others = [str(source) for source in portable if source != path]
        script = (
            "from pyosys import libyosys as ys\n"
            "design = ys.Design()\n"
            f"ys.run_pass('read_slang -I rtl --top {path.stem} {path} {' '.join(others)}', design)\n"
            "ys.run_pass('proc', design)\n"
            "ys.run_pass('check -assert', design)\n"
        )
        complaint = run([sys.executable, "-c", script])
        if complaint:
            failures.append(f"{path}: read_slang:\n" + "\n".join(complaint.splitlines()[-15:]))

    for failure in failures:
        print(failure)
    print(f"{len(modules)} modules, {len(failures)} complaints")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
