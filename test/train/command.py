#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`foldstream train` on the example digits: command.py FOLDSTREAM ROOT.

What it writes is executed by the qonnx package to the same scores as by Foldstream, builds without an option, and has the
accuracy that the trainer says it has, by the integer engine.
"""

import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

FOLDSTREAM, ROOT = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
DIGITS = ROOT / "build/digits"

if not (DIGITS / "t10k-labels-idx1-ubyte.gz").exists():
    print("skipped: the example digits are not here (./setup)")
    sys.exit(77)
try:
    import numpy
    import onnx
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes
except ImportError as error:
    print(f"skipped: {error} (./setup --tests)")
    sys.exit(77)

SMALL_CNV = """
name = "small-cnv"
input = [1, 28, 28]
classes = 10
[data]
set = "mnist"
validation = 100
[training]
epochs = 1
batch = 20
[quantizer.pixels]
bits = 8
narrow = false
value = 0.0078125
[quantizer.weights]
bits = 1
[quantizer.activations]
bits = 2
[[layer]]
type = "affine"
mul = 2
sub = 1
[[layer]]
type = "quantize"
quantizer = "pixels"
[[layer]]
type = "conv"
channels = 4
kernel = 3
stride = 2
weights = "weights"
[[layer]]
type = "batch_norm"
[[layer]]
type = "quantize"
quantizer = "activations"
[[layer]]
type = "max_pool"
kernel = 2
[[layer]]
type = "flatten"
[[layer]]
type = "linear"
units = 10
weights = "weights"
[[layer]]
type = "tensor_norm"
"""


def run(*arguments, program=FOLDSTREAM):
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL)


class TrainTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        # The digits are both parts here: this is about equality, not about accuracy.
        for name in DIGITS.iterdir():
            shutil.copy(name, self.folder / name.name)
            shutil.copy(name, self.folder / name.name.replace("t10k", "train"))

    def recipe(self, name):
        text = (ROOT / "recipes" / f"{name}.toml").read_text()
        path = self.folder / f"{name}.toml"
        # A few hundred digits are too few steps for statistics that follow slowly.
        path.write_text(text.replace("validation = 6000", "validation = 100").replace("momentum = 0.01\n", ""))
        return path

    def train(self, recipe, *options):
        model = self.folder / f"{recipe.stem}.onnx"
        result = run("train", recipe, "--data", self.folder, "-o", model, "--threads", 1, "--json", *options)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stderr, "")
        return model, json.loads(result.stdout)

    def check(self, recipe, *options):
        model, trained = self.train(recipe, *options)
        self.assertEqual(trained["mismatches"], 0)
        for engine in ("float", "integer"):
            result = run("eval", model, "--dataset", "mnist", "--data", self.folder, "--engine", engine, "--json")
            self.assertEqual(result.returncode, 0, result.stderr)
            found = json.loads(result.stdout)
            self.assertEqual((found["correct"], found["total"]), (trained["correct"], trained["total"]), engine)
        result = run("build", model, "-o", self.folder / "out")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.scores_of_qonnx(model)
        return trained

    def scores_of_qonnx(self, model, count=20):
        loaded = ModelWrapper(str(model)).transform(InferShapes())
        onnx.checker.check_model(onnx.load(str(model)), full_check=False)
        generator = numpy.random.default_rng(1)
        shape = loaded.get_tensor_shape("input")
        x = (generator.integers(0, 256, (count, *shape[1:])) / numpy.float32(255)).astype(numpy.float32)
        numpy.save(self.folder / "x.npy", x)
        result = run("run", model, "--input", self.folder / "x.npy", "--output", self.folder / "y.npy")
        self.assertEqual(result.returncode, 0, result.stderr)
        ours = numpy.load(self.folder / "y.npy").reshape(count, -1)
        for sample, scores in zip(x, ours):
            theirs = execute_onnx(loaded, {"input": sample[None]})["scores"]
            numpy.testing.assert_array_equal(theirs.reshape(-1), scores)

    def test_binary_weights_and_activations(self):
        self.check(self.recipe("tfc-w1a1"), "--epochs", 2)

    def test_ternary_weights_and_activations(self):
        trained = self.check(self.recipe("tfc-w2a2"), "--epochs", 12)
        self.assertGreater(trained["accuracy"], 0.6)

    def test_convolutions(self):
        recipe = self.folder / "small-cnv.toml"
        recipe.write_text(SMALL_CNV)
        self.check(recipe)

    def test_an_interrupted_training_goes_on_to_the_same_model(self):
        recipe = self.recipe("tfc-w1a1")
        model, whole = self.train(recipe, "--epochs", 60)
        expected = model.read_bytes()
        model.unlink()
        command = [FOLDSTREAM, "train", recipe, "--data", self.folder, "-o", model, "--threads", "1", "--epochs", "60"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        time.sleep(0.7)
        process.send_signal(signal.SIGINT)
        process.communicate()
        if model.exists():
            self.skipTest("it was done before it could be interrupted")
        self.assertEqual(process.returncode, -signal.SIGINT)
        self.assertEqual(list(self.folder.glob("*.part")), [])
        _, resumed = self.train(recipe, "--epochs", 60, "--resume")
        self.assertEqual(model.read_bytes(), expected)
        self.assertEqual(resumed["history"], whole["history"])

    def test_user_errors(self):
        recipe = self.recipe("tfc-w1a1")
        (self.folder / "empty").mkdir()
        result = run("train", recipe, "--data", self.folder / "empty", "-o", self.folder / "m.onnx")
        self.assertEqual(result.returncode, 2)
        self.assertIn("train-images-idx3-ubyte' is not there", result.stderr)
        recipe.write_text(recipe.read_text().replace("epochs", "epoks"))
        result = run("train", recipe, "--data", self.folder, "-o", self.folder / "m.onnx")
        self.assertEqual(result.returncode, 2)
        self.assertRegex(result.stderr, r"^error: .*tfc-w1a1.toml:\d+: \[training\] lacks 'epochs'")

    def test_without_the_trainer_it_says_what_to_install(self):
        alone = self.folder / "foldstream"
        shutil.copy(FOLDSTREAM, alone)
        result = run("train", "r.toml", "--data", ".", "-o", "m.onnx", program=alone)
        self.assertEqual(result.returncode, 2)
        self.assertIn("./setup --train", result.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
