# SPDX-License-Identifier: Apache-2.0
"""What we write: the qonnx package executes it to the same result, it reads back to the same result, and the same graph gives the
same bytes. Every model of operators.py as it was read, and networks after streamlining, with quantizers at the host's edge.
"""

import sys

import operators
from common import Probe, arguments, helper, model_of, np, onnx, reference, same_bits

f32 = np.float32


def networks():
    """Two layers, the forms of QONNX and of QDQ."""
    rng = np.random.default_rng(7)
    domain = "qonnx.custom_op.general"
    for bits, signed, scale in ((2, 0, 0.25), (3, 1, 0.5), (1, 1, 1.0)):
        constants = {
            "w1": rng.integers(-1, 2, [12, 8]).astype(f32), "w2": rng.integers(-2, 3, [8, 4]).astype(f32),
            "one": f32(1), "zero": f32(0), "three": f32(3), "bits": f32(bits), "scale": f32(scale),
            "s": rng.uniform(0.5, 2, 8).astype(f32), "b": rng.normal(size=8).astype(f32), "m": rng.normal(size=8).astype(f32), "v": rng.uniform(1, 9, 8).astype(f32),
        }  # fmt: skip
        quant = lambda x, y, s="scale", b="bits", sign=signed: helper.make_node(
            "Quant", [x, s, "zero", b], [y], domain=domain, signed=sign, narrow=0, rounding_mode="ROUND"
        )
        nodes = [
            quant("x", "q0"),
            quant("w1", "wq", "one", "three", 1),
            helper.make_node("MatMul", ["q0", "wq"], ["h"]),
            helper.make_node("BatchNormalization", ["h", "s", "b", "m", "v"], ["n"]),
            quant("n", "q1"),
            helper.make_node("MatMul", ["q1", "w2"], ["y"]),
        ]
        yield f"network bits={bits}", model_of(nodes, {"x": [1, 12]}, {"y": [1, 4]}, constants), {
            "x": rng.normal(size=[1, 12]).astype(f32)
        }


def main():
    options = arguments()
    probe = Probe(options.probe)
    failures = count = 0

    def check(name, ours, original, inputs):
        nonlocal failures
        loose = operators.LOOSE.get(name.split()[0])
        expected = np.asarray(next(iter(reference(original, inputs).values())), f32)
        written = onnx.load(ours)
        found = np.asarray(next(iter(reference(written, inputs).values())), f32)
        back = probe.run(ours, list(inputs.values()))[0].reshape(expected.shape)
        for what, result in (("executed by qonnx", found), ("read back", back)):
            if not (np.allclose(result, expected, 1e-6, loose) if loose else same_bits(result, expected)):
                print(f"{name}, {what}: {result.reshape(-1)[:6]}, expected {expected.reshape(-1)[:6]}")
                failures += 1

    groups = [
        operators.bipolar,
        operators.trunc,
        operators.multi_threshold,
        operators.elementwise,
        operators.batch_normalization,
    ]
    groups += [operators.matrices, operators.places, operators.shapes, operators.quantize_linear]
    models = [item for group in groups for item in group()]
    models += [item for i, item in enumerate(operators.quant()) if i % 8 == 0]
    for command, items in (("rewrite", models), ("edge", list(networks()))):
        for name, model, inputs in items:
            count += 1
            path, ours = probe.save(model), probe.at / "written.onnx"
            done = probe.call(command, path, ours)
            if done.returncode != 0:
                print(f"{name}: {done.stderr}")
                failures += 1
                continue
            bytes_before = ours.read_bytes()
            probe.call(command, path, ours)
            if ours.read_bytes() != bytes_before:
                print(f"{name}: other bytes the second time")
                failures += 1
            try:
                check(name, ours, model, inputs)
            except Exception as error:  # the reference executor's own errors are findings here
                print(f"{name}: {type(error).__name__}: {str(error)[:300]}")
                failures += 1
    print(f"{count} models, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
