#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long the cycle model and Verilator take for the same question on the same design, in one run.

    python3 bench/time_against_verilator.py MODEL [build options]   needs ./setup

Builds MODEL into a temporary folder, then asks `foldstream sim` both ways with an empty cache of simulations: from the design
to the answer (Verilator's code and its compilation included), and once more for what each further frame costs. Both answers
must be equal. Prints the ratios.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDSTREAM = ROOT / "build/release/foldstream"
FEW, MANY = 2, 22


def sim(design, engine, frames, environment):
    """The answer, and the seconds of the whole process."""
    start = time.monotonic()
    command = [FOLDSTREAM, "sim", design, "--engine", engine, "--frames", str(frames), "--json"]
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
    return answer, time.monotonic() - start


def least(design, engine, frames, environment, runs=3):
    return min(sim(design, engine, frames, environment)[1] for _ in range(runs))


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        design = pathlib.Path(folder) / "design"
        environment = {**os.environ, "FOLDSTREAM_CACHE": folder}
        subprocess.run([FOLDSTREAM, "build", sys.argv[1], "-o", design, *sys.argv[2:]], check=True, stdout=subprocess.DEVNULL)
        model, model_seconds = sim(design, "cycle", FEW, environment)
        rtl, rtl_seconds = sim(design, "rtl", FEW, environment)
        for key in ("cycles", "latency_cycles", "interval_cycles"):
            if model[key] != rtl[key]:
                sys.exit(f"{key}: {model[key]} by the model, {rtl[key]} by the hardware")
        if rtl["disagreements"]:
            sys.exit("\n".join(rtl["disagreements"]))
        print(f"{rtl['streams_compared']} streams, every beat in the cycle of the model")
        model_seconds = min(model_seconds, least(design, "cycle", FEW, environment))
        print(f"from design to answer, {FEW} frames: model {model_seconds:.3f} s, Verilator {rtl_seconds:.1f} s, "
              f"{rtl_seconds / model_seconds:.0f} times")
        frame = {engine: (least(design, engine, MANY, environment) - least(design, engine, FEW, environment)) / (MANY - FEW)
                 for engine in ("cycle", "rtl")}
        print(f"each further frame: model {1e3 * frame['cycle']:.2f} ms, Verilator {1e3 * frame['rtl']:.1f} ms, "
              f"{frame['rtl'] / frame['cycle']:.0f} times")
        far = least(design, "cycle", 1_000_000, environment)
        print(f"a million frames by the model: {far:.3f} s")


if __name__ == "__main__":
    main()
