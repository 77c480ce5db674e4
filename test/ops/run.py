#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds every operator's hardware against its meaning and its rhythm: every line of src/ops/*/cases.txt, or every distinct
node of designs that build wrote.

usage: run.py OPS_CASES SOURCE_FOLDER BUILD_FOLDER [OPERATOR... | DESIGN.fst...]
"""

import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent

sys.path.insert(0, str(HERE.parent))
import verilated


def library(source):
    """Path of every library module, by name; the generic twins of the tech cells."""
    paths = [*source.glob("rtl/*/*.sv"), *source.glob("rtl/tech/generic/*.sv"), *source.glob("src/ops/*/*.sv")]
    return {path.stem: path for path in paths}


WITH_UNUSED_BITS = {"lookup", "mvau", "pool", "threshold", "vvau"}


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
    designs = [pathlib.Path(name).resolve() for name in names if name.endswith(".fst")]
    cases += designs
    if subprocess.run([program, str(folder), *map(str, cases)], check=False).returncode != 0:
        return 1

    paths = library(source)
    cells = closure((folder / "cells.txt").read_text().split(), paths)
    modules = sorted(set((folder / "modules.txt").read_text().split()))
    # The bench has ports for the widest of its designs. Of the designs nothing is waived but that some have sums with bits
    # that nothing needs.
    waived = [("UNUSEDSIGNAL", "*bench.sv"), ("UNDRIVEN", "*bench.sv")]
    if designs or WITH_UNUSED_BITS & {path.parent.name for path in cases}:
        waived.append(("UNUSEDSIGNAL", "*"))
    (folder / "bench.vlt").write_text("`verilator_config\n" + "".join(f'lint_off -rule {rule} -file "{file}"\n' for rule, file in waived))
    try:
        bench = verilated.build(folder / "obj", "bench",
                                [folder / "bench.vlt", *(paths[name] for name in cells), *(folder / name for name in modules), folder / "bench.sv",
                                 HERE / "bench.cc"],
                                include=[source / "rtl"], optimize=bool(designs),
                                # Without -O3 Verilator 5.048 doesn't find what chains of generated blocks refer to.
                                options=["-O3", "--assert", "-Wall", "-Wno-DECLFILENAME"])
    except subprocess.CalledProcessError:
        return 1
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
