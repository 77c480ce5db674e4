#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The example network goes through open synthesis to a bitstream: synthesis.py FOLDSTREAM ROOT."""

import json
import pathlib
import subprocess
import sys
import tempfile

PROGRAM, ROOT = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
MODEL = ROOT / "examples/tfc/tfc-w2a2.onnx"


def call(*arguments):
    done = subprocess.run([str(PROGRAM), *map(str, arguments)], capture_output=True, text=True, timeout=550)
    if "not installed" in done.stderr:
        print(f"skipped: {done.stderr.strip()}")
        sys.exit(77)
    assert done.returncode == 0, (arguments, done.returncode, done.stdout, done.stderr)
    return done.stdout


def main():
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        call("build", MODEL, "-o", out, "--fps", "5000", "--clock", "50")
        # The build is for 7-series; the other family's netlist is written anew from the same graph.
        for device, placed in (("xc7", False), ("ecp5", True)):
            found = json.loads(call("synth", out, "--device", device, "--json"))
            for key in ("LUT", "FF", "BRAM_18K", "DSP"):
                assert sum(node[key] for node in found["nodes"].values()) <= found[key], (device, key, found)
            assert found["LUT"] > 100 and found["FF"] > 100, found
            if placed:
                assert found["fmax_mhz"] > 20 and pathlib.Path(found["bitstream"]).stat().st_size > 10000, found
            report = json.loads((out / "report" / "post_synth_resources.json").read_text())
            assert report["(top)"]["LUT"] == found["LUT"] and report["MVAU_rtl_0"]["LUT"] > 0, report
            print(f"{device}: {found['LUT']:.0f} LUT, {found['FF']:.0f} FF, {found['BRAM_18K']:.0f} BRAM_18K, "
                  f"{found['DSP']:.0f} DSP, {found['fmax_mhz']} MHz")


main()
