#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A published network on its whole data set: float reference, integers and hardware give the same results, with random
stalls too, and every beat of every stream falls in the cycle that the model says.

usage: run.py FOLDSTREAM SHARED NETWORK

With FOLDSTREAM_FULL=1 in the environment a network's `full` entry takes the place of what is there for the continuous
integration's time: more frames, larger designs in hardware. Networks with `full_only` run with it alone.
"""

import gzip
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from written import write_npy

SKIPPED = 77
MNIST = {"dataset": "mnist", "fps": 1000000, "rtl_frames": 5000, "queues": ("--fps", "1000000")}
# The rate leaves few lanes: the simulation is built in half the time of one at 3,000 frames a second and takes no longer to run.
CIFAR10 = {"dataset": "cifar10", "fps": 500, "queues": ("--board", "pynq-z1", "--max"), "eval": ("--scale", "1"), "limit": 100, "rtl_frames": 1, "stall_frames": 2,
           "full": {"limit": 1000, "rtl_frames": 20, "stall_frames": 20}}
LFC = {"limit": 1000, "rtl_frames": 100, "full": {"limit": 10000, "rtl_frames": 500}}
PIXELS = ("--input-type", "u8", "--input-scale", "255")

SHARED = MNIST | {"model": "tfc-w1a1", "fps": None, "limit": 200, "rtl_frames": 6, "stall_frames": 2, "build": ("--pack-memories",)}

# How each network is built and shown its data; `limit` bounds its frames, `rtl_frames` those that are simulated (0: none). With the options under
# `queues` no queue can be a beat shorter.
# `frames` draws inputs where there is
# no data set: real inputs of the intrusion network are -1 and +1, those of the keyword network are quantized to 8 bits.
NETWORKS = {
    "tfc-w1a1": MNIST,
    "tfc-w1a2": MNIST | {"build": PIXELS},
    "tfc-w2a2": MNIST,
    "finn-tutorial-tfc-w1a1": MNIST | {"build": ("--input-type", "u8"), "eval": ("--scale", "1"), "rtl_frames": 1000},
    "lfc-w1a1-trained": MNIST | {"fps": 20000, "queues": ("--fps", "20000"), "eval": ("--scale", "1"), **LFC},
    "lfc-w1a2-trained": MNIST | {"fps": 20000, "queues": ("--fps", "20000"), "eval": ("--scale", "1"), **LFC},
    # Its scales are no powers of two: a float product is rounded term by term, the integer sum once, at the very end. The
    # codes in between must be the same, the results may differ by that rounding.
    "kws-mlp-w3a3": {"rounding": 1e-6, "fps": 100000, "frames": lambda draw: draw.gauss(0, 40), "shape": (1, 10, 49), "rtl_frames": 100},
    "unsw-nb15-mlp-w2a2": {"fps": 1000000, "frames": lambda draw: draw.choice((-1.0, 1.0)), "shape": (600,),
                           "build": ("--input-type", "bipolar"), "rtl_frames": 100},
    # The smallest hardware, whose memories are worth sharing, at the same clock and with a faster one.
    "tfc-w1a1-shared": SHARED,
    "tfc-w1a1-shared-2": SHARED | {"build": ("--pack-memories", "--memory-clock-ratio", "2")},
    "cnv-w1a1-trained": CIFAR10,
    "cnv-w1a2-trained": CIFAR10 | {"full_only": True},
    "cnv-w2a2-trained": CIFAR10 | {"full_only": True},
    "cnv-w1a1": CIFAR10 | {"full_only": True},
    "cnv-w1a2": CIFAR10 | {"full_only": True},
    "cnv-w2a2": CIFAR10 | {"rtl_frames": 0},
    # Branches, and depthwise layers, at full size. Their weights don't fit the part's block memory.
    "resnet18-w4a4-cifar10": {"fps": None, "build": ("--input-type", "u8", "--board", "zcu104", "--max"), "places": {"loaded", "streamed"}, "frames": lambda draw: draw.randrange(256),
                              "shape": (3, 32, 32), "count": 2, "rtl_frames": 0, "full": {"rtl_frames": 1, "stall_frames": 1, "sim_frames": 1}},
    "mobilenet-v1-w4a4": {"fps": None, "build": ("--input-type", "u8", "--board", "zcu104", "--max"), "places": {"loaded"}, "frames": lambda draw: draw.randrange(256),
                          "shape": (3, 224, 224), "count": 1, "rtl_frames": 0},
}


def call(program, *arguments, accept=(0,)):
    done = subprocess.run([program, *map(str, arguments), "--json"], capture_output=True, text=True, check=False)
    if "not installed" in done.stderr:
        sys.stdout.write(f"skipped: {done.stderr.strip()}\n")
        sys.exit(SKIPPED)
    assert done.returncode in accept, (arguments, done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)


def random_data(folder, network):
    """Frames without labels that mean anything; the engines are compared on them all the same."""
    draw, count = random.Random(1), network.get("count", network["rtl_frames"])
    size = 1
    for dimension in network["shape"]:
        size *= dimension
    write_npy(folder / "X.npy", (count, *network["shape"]), [network["frames"](draw) for _ in range(count * size)], "<f4")
    write_npy(folder / "Y.npy", (count,), [0] * count, "<i8")


def read_floats(path):
    data = path.read_bytes()
    body = data[10 + struct.unpack("<H", data[8:10])[0] :]
    assert b"'<f4'" in data[:128], data[:128]
    return struct.unpack(f"<{len(body) // 4}f", body)


def largest_error(program, out, folder):
    """Between float and integer engine on folder/X.npy, as a share of the largest result."""
    results = []
    for engine in ("float", "integer"):
        path = folder / f"{engine}.npy"
        call(program, "run", out, "--input", folder / "X.npy", "--output", path, "--engine", engine)
        results.append(read_floats(path))
    return max(abs(a - b) for a, b in zip(*results, strict=True)) / max(map(abs, results[0]))


def check_places(out, built, places):
    """Weights that no bitstream holds: only where they must be, within the part and the bandwidth, and the driver finds them."""
    weights, driver = built["weights"], json.loads((out / "driver/memories.json").read_text())
    absent = weights["not_in_bitstream"]
    assert {entry["place"] for entry in absent} == places, absent
    total = json.loads((out / "report/estimate_layer_resources.json").read_text())["total"]
    whole = {"LUT": 230400, "FF": 460800, "BRAM_18K": 624, "URAM": 96, "DSP": 1728}
    assert all(total[resource] <= 0.7 * count for resource, count in whole.items()), total
    rate = weights["streamed_gbits_per_second"]
    assert rate["mean"] <= rate["most"] <= rate["limit"], rate
    assert len(driver["load_before_first_frame"]) == sum(entry["place"] == "loaded" for entry in absent)
    streams = driver.get("streams", {"streams": []})["streams"]
    assert [stream["node"] for stream in streams] == [entry["node"] for entry in absent if entry["place"] == "streamed"]
    # Every queue has its reason.
    queues = json.loads((out / "report/queue_depths.json").read_text())
    assert queues["interval_cycles"] == built["interval_cycles"] and all(queue["why"] for queue in queues["queues"].values())
    print(f"a frame every {built['interval_cycles']} cycles, {built['folding']}; {total['URAM']:.0f} URAM, {total['BRAM_18K']:.0f} block memories, "
          f"{rate['most']:.1f} of {rate['limit']:.1f} Gbit/s")


def main():
    program, shared, name = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), sys.argv[3]
    if not shared.is_dir():
        print(f"skipped: the models and data of {shared} are not there")
        return SKIPPED
    network = NETWORKS[name]
    if os.environ.get("FOLDSTREAM_FULL") == "1":
        network = network | network.get("full", {})
    elif network.get("full_only"):
        print("skipped: runs with FOLDSTREAM_FULL=1 alone")
        return SKIPPED
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model = shared / "models" / f"{network.get('model', name)}.onnx"
        if not model.exists():
            packed, model = model.with_suffix(".onnx.gz"), folder / f"{name}.onnx"
            model.write_bytes(gzip.decompress(packed.read_bytes()))
        if "dataset" in network:
            data = ("--dataset", network["dataset"], "--data", shared / "data" / network["dataset"], *network.get("eval", ()))
        else:
            random_data(folder, network)
            data = ("--dataset", "npy", "--data", folder)
        out = folder / "out"
        rate = ("--fps", network["fps"]) if network["fps"] else ()
        built = call(program, "build", model, "-o", out, *rate, "--clock", 100, *network.get("build", ()))
        if "memories" in built:
            memories = built["memories"]
            assert memories["BRAM_18K_bound"] <= memories["BRAM_18K"] < memories["BRAM_18K_alone"], memories
            print(f"{memories['memories']} memories share {memories['BRAM_18K']:.0f} blocks, {memories['BRAM_18K_alone']:.0f} alone")
        if "places" in network:
            check_places(out, built, network["places"])
        if "queues" in network:
            fast = folder / "fast"
            design = call(program, "build", model, "-o", fast, *network["queues"])
            judged = call(program, "sim", fast, "--queues")
            assert judged["none_can_be_a_beat_less"] and judged["interval_cycles"] == design["interval_cycles"], judged
            print(f"{len(judged['queues'])} queues: enough for the rate, and none could be a beat shorter")
        rounding = network.get("rounding", 0)
        accept = (0, 1) if rounding else (0,)  # 1: the engines differ
        limit = ("--limit", network["limit"]) if "limit" in network else ()
        found = {engine: call(program, "eval", out, *data, *limit, "--engine", engine, accept=accept) for engine in ("float", "integer")}
        assert found["integer"]["correct"] == found["float"]["correct"]
        if rounding:
            error = largest_error(program, out, folder)
            assert error <= rounding, error
            print(f"{found['float']['total']} frames: float and integers agree but for rounding, at most {error:.1e} of the largest result")
        else:
            assert found["integer"]["mismatches"] == 0, found["integer"]
            print(f"{found['float']['total']} frames: float and integers agree, accuracy {found['float']['accuracy']:.4f}")

        frames = network["rtl_frames"]
        if frames == 0:
            return 0
        expected = call(program, "eval", out, *data, "--engine", "integer", "--limit", frames, accept=accept)
        hardware = call(program, "eval", out, *data, "--engine", "rtl", "--limit", frames)
        assert hardware["mismatches"] == 0, hardware
        assert hardware["correct"] == expected["correct"] and hardware["total"] == min(frames, found["float"]["total"])
        stalled = call(program, "eval", out, *data, "--engine", "rtl", "--limit", network.get("stall_frames", 50), "--stall", "0.4", "--seed", 3)
        assert stalled["mismatches"] == 0, stalled
        print(f"{hardware['total']} frames: hardware and integers agree, with random stalls too")

        timing = call(program, "sim", out, "--frames", network.get("sim_frames", 4), "--engine", "rtl")
        model = call(program, "sim", out, "--frames", network.get("sim_frames", 4))
        assert timing["disagreements"] == [], timing["disagreements"]
        assert all(timing[key] == model[key] for key in ("cycles", "latency_cycles", "interval_cycles"))
        print(f"{timing['streams_compared']} streams: every beat in the cycle of the model; "
              f"a frame every {timing['interval_cycles']} cycles, latency {timing['latency_cycles']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
