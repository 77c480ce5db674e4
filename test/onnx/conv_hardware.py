# SPDX-License-Identifier: Apache-2.0
"""Some of conv_lowering.py's random networks with branches in simulated hardware, under random stalls: the results are those of
the integers.

usage: conv_hardware.py FOLDSTREAM
"""

import pathlib
import subprocess
import sys
import tempfile

from common import np
from conv_lowering import f32, network

SKIPPED = 77
NETWORKS, FRAMES = 8, 6


def main():
    program = sys.argv[1]
    failures, seen, seed = 0, 0, -1
    with tempfile.TemporaryDirectory() as folder:
        at = pathlib.Path(folder)
        while seen < NETWORKS:
            seed += 1
            rng = np.random.default_rng(seed)
            net, model, shape = network(rng)
            if not net.wanted["eltwise"] + net.wanted["concat_streams"] or not net.wanted["mvau"] + net.wanted["vvau"]:
                continue
            seen += 1
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
    print(f"{seen - failures} passed, {failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
