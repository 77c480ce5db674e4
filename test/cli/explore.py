#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`explore` and budgets on the example network: explore.py FOLDSTREAM ROOT."""

import json
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

PROGRAM, ROOT = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2]).resolve()
MODEL = str(ROOT / "examples/tfc/tfc-w2a2.onnx")
RESOURCES = ("LUT", "FF", "BRAM_18K", "URAM", "DSP", "streamed_bits_a_cycle")


def call(*arguments, status=0):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == status, (arguments, done.stdout, done.stderr)
    return json.loads(done.stdout) if status == 0 else done.stderr


def front_reads_back(folder):
    out = folder / "front"
    points = call("explore", MODEL, "-o", str(out), "--points", "12", "--json")["points"]
    assert points == json.loads((out / "front.json").read_text())["points"]
    assert len(points) >= 8, points
    for a in points:
        for b in points:
            beats = b["interval_cycles"] <= a["interval_cycles"] and all(b[r] < a[r] or a[r] == b[r] == 0 for r in RESOURCES)
            assert not beats, (a, b)
    for point in points[:: len(points) // 4]:
        found = call("estimate", MODEL, "--folding", str(out / point["folding"]), "--json")
        assert found["interval_cycles"] == point["interval_cycles"], (found, point)
        # The queues of the finished design are as short as its rate allows.
        assert found["latency_cycles"] >= point["latency_cycles"] > 0, (found, point)
    page = (out / "index.html").read_text()
    plot = xml.etree.ElementTree.fromstring(page[page.index("<svg") : page.index("</svg>") + len("</svg>")])
    assert len(plot.findall("circle")) > len(points)
    call("explore", MODEL, "-o", str(out), "--points", "3", "--json")  # its own folder is replaced
    assert call("explore", MODEL, "--points", "12", "--json")["points"][0].get("folding") is None


def budgets_hold_for_the_finished_design(folder):
    for budget in (["--lut", "3000"], ["--lut", "9000", "--bram", "4"], ["--ff", "2500", "--bram", "0"]):
        most = dict(zip(({"--lut": "LUT", "--ff": "FF", "--bram": "BRAM_18K"}[name] for name in budget[::2]), map(int, budget[1::2])))
        found = call("estimate", MODEL, "--max", *budget, "--json")
        for resource, limit in most.items():
            assert found["resources"]["total"][resource] <= limit, (budget, found["resources"]["total"])
    # What is proved of a folding that had to leave room for queues is said as such, for scripts too.
    proofs = {call("estimate", MODEL, "--max", "--lut", str(lut), "--json")["folding"] for lut in range(3000, 9000, 500)}
    assert "proved optimal for the budget less what its queues take" in proofs, proofs
    fast = call("estimate", MODEL, "--max", "--json")["interval_cycles"]
    assert call("estimate", MODEL, "--max", "--lut", "3000", "--json")["interval_cycles"] > fast


def latency_holds_for_the_finished_design(folder):
    least = call("estimate", MODEL, "--min-latency", "--share", "1", "--json")["latency_cycles"]
    luts = []
    for latency in (least, 2 * least, 400, 3000):
        found = call("estimate", MODEL, "--latency-cycles", str(latency), "--json")
        assert found["latency_cycles"] <= latency and found["folding"] == "proved optimal", (latency, found)
        luts.append(found["resources"]["total"]["LUT"])
    assert luts == sorted(luts, reverse=True) and luts[0] > luts[-1], luts
    out = str(folder / "out")
    # 3 us at 200 MHz are 600 cycles.
    built = call("build", MODEL, "-o", out, "--clock", "200", "--latency-ns", "3000", "--fps", "400000", "--json")
    simulated = call("sim", out, "--frames", "3", "--json")
    assert simulated["latency_cycles"] == built["latency_cycles"] <= 600, (built, simulated)
    assert simulated["interval_cycles"] <= 500, simulated
    assert call("sim", out, "--queues", "--json")["none_can_be_a_beat_less"]
    late = call("build", MODEL, "-o", out, "--latency-cycles", str(least - 1), status=2)
    assert f"the nearest that can be reached by any folding is {least} cycles" in late, late


# A layer over 32 pixels, which takes 32 cycles with a pixel a clock.
PIXELS = """foldstream 1
graph "pixels"
%0 "x" = input {shape=[1, 2, 4, 8], type="f32"} : f32[1,2,4,8]
%1 "codes" = quant %0 {bits=2, narrow=0, rounding="ROUND", signed=0} (scale=@0, zero=@1) : f32[1,2,4,8]
%2 "w" = constant (value=@2) : f32[2,2,1,1]
%3 "conv" = conv %1, %2 : f32[1,2,4,8]
%4 "levels" = quant %3 {bits=2, narrow=0, rounding="ROUND", signed=0} (scale=@0, zero=@1) : f32[1,2,4,8]
output "y" %4
@0 = f32[] 1.0
@1 = f32[] 0.0
@2 = f32[2,2,1,1] 1.0 -1.0 1.0 1.0
"""


def latency_takes_several_pixels_a_clock(folder):
    model = str(folder / "pixels.fst")
    pathlib.Path(model).write_text(PIXELS)
    least = call("estimate", model, "--min-latency", "--json")["latency_cycles"]
    assert least < 10, least
    for options in (["--latency-cycles", str(least)], ["--max", "--latency-cycles", str(least)], ["--latency-cycles", "20"]):
        found = call("estimate", model, *options, "--json")["latency_cycles"]
        assert found <= int(options[-1]), (options, found)
    late = call("estimate", model, "--latency-cycles", str(least - 1), status=2)
    assert f"the nearest that can be reached by any folding is {least} cycles" in late, late


def main():
    for check in (
        front_reads_back,
        budgets_hold_for_the_finished_design,
        latency_holds_for_the_finished_design,
        latency_takes_several_pixels_a_clock,
    ):
        with tempfile.TemporaryDirectory() as folder:
            print(check.__name__, check(pathlib.Path(folder)) or "", flush=True)


main()
