#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The scripts for Vivado of several designs, in a Tcl that knows as much of Vivado as they use: run.py FOLDSTREAM ROOT.

vivado.tcl stands for Vivado: it refuses commands, options, objects and files that aren't there, and a block design in which
anything is left open. What Vivado itself would make of the design it can't say.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from written import chain

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM, ROOT = (pathlib.Path(word).resolve() for word in sys.argv[1:3])


def build(model, out, *options, folding=None):
    if folding:
        (out.parent / "folding.json").write_text(json.dumps(folding))
        options = (*options, "--folding", out.parent / "folding.json")
    done = subprocess.run([str(PROGRAM), "build", str(model), "-o", str(out), *map(str, options)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def vivado(script, status=0, **environment):
    done = subprocess.run(["tclsh", str(HERE / "vivado.tcl"), str(script)], capture_output=True, text=True,
                          env={**os.environ, **environment}, timeout=60)
    assert done.returncode == status, (script, done.stdout, done.stderr)
    return done.stdout + done.stderr


def has(text, *lines):
    for line in lines:
        assert line in text.splitlines(), f"'{line}' is not in\n{text}"


def main():
    if not shutil.which("tclsh"):
        print("skipped: there is no tclsh (./setup installs it)")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, size, layers in (("chain", 8, 2), ("many", 8, 6), ("large", 32, 2)):
            (folder / f"{name}.fst").write_text(chain([size] * (layers + 1), 3))

        # A Zynq-7000 with and without its board files.
        out = folder / "tfc"
        build(ROOT / "examples/tfc/tfc-w1a1.onnx", out, "--board", "pynq-z1", "--fps", 1000, "--clock", 125)
        told = vivado(out / "vivado/system.tcl", BOARD_FILES="digilent.com:pynq-z1:part0:1.0 other.com:pynq-z2:part0:1.0")
        has(told, "project tfc_w1a1 of xc7z020clg400-1", "validated", "property cell processor,CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ = 125",
            "property project tfc_w1a1,board_part = digilent.com:pynq-z1:part0:1.0",
            'automation xilinx.com:bd_rule:processing_system7 make_external {FIXED_IO, DDR} apply_board_preset 1 Master Disable Slave Disable',
            "interface frames/M00_AXI processor/S_AXI_HP0", "interface control/M00_AXI accelerator/s_axilite",
            "interface accelerator/m_axi_0 frames/S00_AXI", "net processor/FCLK_CLK0 accelerator/aclk",
            "property fileset sources_1,top = system_wrapper")
        for path in ("driver/tfc_w1a1.bit", "driver/tfc_w1a1.hwh"):
            assert (out / path).is_file(), path
        told = vivado(out / "vivado/system.tcl")
        has(told, "validated", "property cell processor,CONFIG.PCW_CRYSTAL_PERIPHERAL_FREQMHZ = 50")
        assert "no board files of pynq-z1" in told and "board_part" not in told
        assert "timing is not met: -0.1 ns" in vivado(out / "vivado/system.tcl", status=1, SLACK="-0.1")

        # Size and clock alone, and an IP.
        has(vivado(out / "vivado/out_of_context.tcl"), "synthesis of tfc_w1a1_axis in out_of_context",
            "create_clock -name aclk -period 8.000 [get_ports aclk]")
        found = json.loads((out / "vivado/out_of_context.json").read_text())
        assert found == {"part": "xc7z020clg400-1", "LUT": 2218, "FF": 1733, "BRAM_18K": 3, "URAM": 0, "DSP": 3, "clock_mhz": 125,
                         "slack_ns": 2.5, "fmax_mhz": 181.8}, found
        has(vivado(out / "vivado/package_ip.tcl"), "package with top tfc_w1a1_ip", "saved", "property ip core,name = tfc_w1a1")

        # A Zynq UltraScale+ with streams of weights, more than it has ports for.
        out = folder / "streams"
        build(folder / "many.fst", out, "--board", "zcu104",
              folding={"Defaults": {}, **{f"fc{i}": {"PE": 2, "SIMD": 2, "mem_mode": "external"} for i in range(4)}})
        told = vivado(out / "vivado/system.tcl")
        has(told, "validated", "interface weights_0/M00_AXI processor/S_AXI_HP1_FPD", "interface weights_2/M00_AXI processor/S_AXI_HP3_FPD",
            "interface accelerator/m_axi_weights_3 weights_0/S01_AXI", "interface processor/M_AXI_HPM0_FPD control/S00_AXI")

        # Two clocks of one generator.
        out = folder / "clocks"
        build(folder / "large.fst", out, "--board", "kv260_som", "--pack-memories", "--memory-clock-ratio", 2)
        told = vivado(out / "vivado/system.tcl")
        has(told, "validated", "net clocks/clk_out1 accelerator/aclk", "net clocks/clk_out2 accelerator/memory_aclk",
            "net clocks/locked reset/dcm_locked", "property cell clocks,CONFIG.CLKOUT2_REQUESTED_OUT_FREQ = 199.998002")
        has(vivado(out / "vivado/out_of_context.tcl"), "create_clock -name memory_aclk -period 5.000 [get_ports memory_aclk]")

        # Without a board there is an IP with streams, for a card one with movers; neither has a system of ours.
        for name, options, port in (("part", ["--part", "xczu7ev"], "s_axis_tdata"), ("card", ["--board", "u250"], "m_axi_0_araddr")):
            out = folder / name
            build(folder / "chain.fst", out, *options)
            assert not (out / "vivado/system.tcl").exists()
            assert port in (out / "vivado/chain_ip.v").read_text()
            has(vivado(out / "vivado/package_ip.tcl"), "saved")
            has(vivado(out / "vivado/out_of_context.tcl"), "synthesis of chain_axis in out_of_context")
        assert not (folder / "part/driver").exists()

        # Another family's part has no Vivado.
        out = folder / "lattice"
        build(folder / "chain.fst", out, "--board", "ecp5-85k")
        assert not (out / "vivado").exists()

        # A file that is missing, and a port that is left open, are found: the stand-in can say no.
        out = folder / "tfc"
        script = (out / "vivado/system.tcl").read_text()
        (out / "vivado/system.tcl").write_text(script.replace("connection frames $frames", "#"))
        assert "accelerator/m_axi_0 is not connected" in vivado(out / "vivado/system.tcl", status=1)
        (out / "rtl/tfc_w1a1.sv").unlink()
        assert "there is no file" in vivado(out / "vivado/package_ip.tcl", status=1)
    print("vivado: 6 designs, all scripts ran")
    return 0


if __name__ == "__main__":
    sys.exit(main())
