# SPDX-License-Identifier: Apache-2.0
"""Some of conv_lowering.py's random networks with branches, and of lowering.py's whose activations turn, in simulated hardware,
under random stalls: the results are those of the integers.

usage: conv_hardware.py FOLDSTREAM
"""

import pathlib
import subprocess
import sys
import tempfile

from common import np
from conv_lowering import f32, network
from lowering import curved

SKIPPED = 77
NETWORKS, CURVED, FRAMES = 8, 3, 6


def networks():
    """Seed, generator behind its network, what was built, model, shape of a frame."""
    seed = seen = 0
    while seen < NETWORKS:
        rng = np.random.default_rng(seed)
        net, model, shape = network(rng)
        if net.wanted["eltwise"] + net.wanted["concat_streams"] and net.wanted["mvau"] + net.wanted["vvau"]:
            yield seed, rng, net, model, shape
            seen += 1
        seed += 1
    for seed in range(CURVED):
        rng = np.random.default_rng(seed)
        net, model, width = curved(rng)
        yield seed, rng, net, model, [1, width]


def main():
    program = sys.argv[1]
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        at = pathlib.Path(folder)
        for seed, rng, net, model, shape in networks():
            (at / "model.onnx").write_bytes(model.SerializeToString())
            np.save(at / "x.npy", (rng.integers(-40, 41, [FRAMES, *shape]) / 8).astype(f32))
            found = {}
            for engine, more in (("integer", []), ("rtl", ["--fps", "200000", "--stall", "0.3"])):
                done = subprocess.run([program, "run", at / "model.onnx", "--input", at / "x.npy", "--output", at / "y.npy",
                                       "--engine", engine, *more], capture_output=True, text=True, check=False)
                if "not installed" in done.stderr:
                    print(f"skipped: {done.stderr.strip()}")
                    return SKIPPED
                if done.returncode != 0:
                    print(f"network {seed} {' '.join(net.said)}: {done.stderr}")
                    break
                found[engine] = np.load(at / "y.npy")
            equal = len(found) == 2 and np.array_equal(found["integer"], found["rtl"])
            failures += not equal
            print(f"network {seed}: {'equal' if equal else 'DIFFERENT'}: {' '.join(net.said)}")
    print(f"{NETWORKS + CURVED - failures} passed, {failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
