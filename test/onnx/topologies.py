# SPDX-License-Identifier: Apache-2.0
"""The networks of examples/topologies, written by their scripts, against the qonnx package on one random input each."""

import pathlib
import subprocess
import sys

from common import Probe, arguments, np, onnx, reference

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples/topologies"
# Script, further words, inputs: 0 to 255, and for the radio samples about -2 to 2.
NETWORKS = {
    "resnet50": (["64"], lambda rng, shape: rng.integers(0, 256, shape)),
    "vgg10_radioml": ([], lambda rng, shape: rng.normal(0, 1, shape)),
    "binary_cop": ([], lambda rng, shape: rng.integers(0, 256, shape)),
}


def main():
    probe = Probe(arguments().probe)
    failures = 0
    for name, (words, draw) in NETWORKS.items():
        path = probe.at / f"{name}.onnx"
        subprocess.run([sys.executable, EXAMPLES / f"{name}.py", path, *words], check=True)
        first = path.read_bytes()
        subprocess.run([sys.executable, EXAMPLES / f"{name}.py", path, *words], check=True)
        model = onnx.load_from_string(first)
        shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
        x = draw(np.random.default_rng(7), shape).astype(np.float32)
        expected = next(iter(reference(model, {"global_in": x}).values()))
        found = probe.run(path, [x])[0].reshape(expected.shape)
        largest, same = float(np.max(np.abs(found - expected))), path.read_bytes() == first
        varied = len(np.unique(expected)) > 2  # an answer that says something
        print(f"{name}: largest difference {largest:g} of {float(np.max(np.abs(expected))):g}, written alike: {same}")
        failures += largest != 0 or not same or not varied
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
