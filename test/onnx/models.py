# SPDX-License-Identifier: Apache-2.0
"""Trained networks in ../shared against what the qonnx package computed for them."""

import gzip
import pathlib
import sys

from common import Probe, arguments, np

# How the reference output is reached: None is bit for bit. Scales that are not powers of two make onnxruntime's float32 sums
# depend on their order; we sum in double and round once. A number is the largest difference allowed, relative to the largest output.
MODELS = {
    "tfc-w1a1": None,
    "tfc-w1a2": None,
    "tfc-w2a2": None,
    "finn-tutorial-tfc-w1a1": None,
    "unsw-nb15-mlp-w2a2": None,
    "kws-mlp-w3a3": 1e-6,
    # The sums' last bits decide roundings of the quantizers behind them: a code differs here and there by one.
    "espcn-resize": 0.02,
    "radioml-vgg10-w8a8": 0.005,
}
# References of FINN's collection: model and folder.
FINN = {"cnv-w1a1": "cnv_1w1a", "cnv-w1a2": "cnv_1w2a", "cnv-w2a2": "cnv_2w2a", "resnet18-w4a4-cifar10": "resnet18_4w4a"}


def trained_lfc(probe, options):
    """LFC has no recorded output: the qonnx package computes it here, on real digits."""
    from common import reference
    import onnx

    path = options.shared / "data/mnist/t10k-images-idx3-ubyte.gz"
    digits = np.frombuffer(gzip.open(path).read()[16:], np.uint8).reshape(-1, 1, 1, 28, 28)[:20].astype(np.float32)
    failures = 0
    for name in ("lfc-w1a1-trained", "lfc-w1a2-trained"):
        model = onnx.load_from_string(gzip.open(options.shared / f"models/{name}.onnx.gz").read())
        found = probe.run(probe.save(model), [digits])[0]
        expected = np.stack([next(iter(reference(model, {"global_in": digit}).values())) for digit in digits])
        equal = bool(np.array_equal(found, expected))
        print(f"{name}: {len(digits)} digits, {'equal' if equal else 'different'}")
        failures += not equal
    return failures


def finn_models(probe, options):
    """The place of the largest result, as the qonnx package found it."""
    failures = 0
    for name, folder in FINN.items():
        path = options.shared / f"models/{name}.onnx"
        if not path.is_file():
            path = probe.at / f"{name}.onnx"
            path.write_bytes(gzip.decompress((options.shared / f"models/{name}.onnx.gz").read_bytes()))
        folder = options.shared / "reference/finn" / folder
        expected = np.load(folder / "out_qonnx.npy")
        images = np.load(folder / "input.npy").astype(np.float32)[: len(expected)]
        found = probe.run(path, [images])[0].reshape(expected.shape)
        equal = bool(np.array_equal(found, expected))
        print(f"{name}: {len(expected)} inputs, {'equal' if equal else 'different'}")
        failures += not equal
    return failures


def main():
    options = arguments()
    if not (options.shared / "models").is_dir():
        print("skipped: ../shared/models is not here")
        return 77
    probe = Probe(options.probe)
    failures = 0
    for name, allowed in MODELS.items():
        folder = pathlib.Path(options.shared) / "reference/qonnx" / name
        expected = np.load(folder / "output.npy")
        found = probe.run(options.shared / f"models/{name}.onnx", [np.load(folder / "input.npy")])[0].reshape(
            expected.shape
        )
        largest = float(np.max(np.abs(found.astype(np.float64) - expected)))
        relative = largest / max(float(np.max(np.abs(expected))), 1e-30)
        good = largest == 0 if allowed is None else relative <= allowed
        print(
            f"{name}: {len(expected)} inputs, largest difference {largest:.3g} ({relative:.3g} of the largest output)"
        )
        failures += not good
    failures += trained_lfc(probe, options)
    failures += finn_models(probe, options)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
