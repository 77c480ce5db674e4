#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`foldstream train` on the example digits: command.py FOLDSTREAM ROOT.

What it writes is executed by the qonnx package to the same scores as by Foldstream, builds without an option, and has the
accuracy that the trainer says it has, by the integer engine.
"""

import json
import pathlib
import re
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


# The columns of the published files; all but five are numbers.
UNSW_NB15_COLUMNS = (
    "id,dur,proto,service,state,spkts,dpkts,sbytes,dbytes,rate,sttl,dttl,sload,dload,sloss,dloss,sinpkt,dinpkt,sjit,djit,swin,stcpb,"
    "dtcpb,dwin,tcprtt,synack,ackdat,smean,dmean,trans_depth,response_body_len,ct_srv_src,ct_state_ttl,ct_dst_ltm,ct_src_dport_ltm,"
    "ct_dst_sport_ltm,ct_dst_src_ltm,is_ftp_login,ct_ftp_cmd,ct_flw_http_mthd,ct_src_ltm,ct_srv_dst,is_sm_ips_ports,attack_cat,label"
).split(",")


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
        # A few hundred samples are too few steps for statistics that follow slowly.
        path.write_text(re.sub(r"validation = \d+", "validation = 100", text).replace("momentum = 0.01\n", ""))
        return path

    def train(self, recipe, *options):
        model = self.folder / f"{recipe.stem}.onnx"
        result = run("train", recipe, "--data", self.folder, "-o", model, "--threads", 1, "--json", *options)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stderr, "")
        return model, json.loads(result.stdout)

    def check(self, recipe, *options, dataset="mnist", exact=True):
        model, trained = self.train(recipe, *options)
        self.assertEqual(trained["mismatches"], 0)
        for engine in ("float", "integer", "cpu"):
            result = run("eval", model, "--dataset", dataset, "--data", self.folder, "--engine", engine, "--json")
            self.assertIn(result.returncode, (0,) if exact else (0, 1), result.stderr)  # 1: scores of two engines differ
            found = json.loads(result.stdout)
            self.assertEqual((found["correct"], found["total"]), (trained["correct"], trained["total"]), engine)
        result = run("build", model, "-o", self.folder / "out")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.scores_of_qonnx(model, 0 if exact else 1e-5)
        return trained

    def scores_of_qonnx(self, model, tolerance, count=20):
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
            numpy.testing.assert_allclose(theirs.reshape(-1), scores, rtol=0, atol=tolerance * abs(scores).max())

    def test_binary_weights_and_activations(self):
        self.check(self.recipe("tfc-w1a1"), "--epochs", 2)

    def test_ternary_weights_and_activations(self):
        trained = self.check(self.recipe("tfc-w2a2"), "--epochs", 12)
        self.assertGreater(trained["accuracy"], 0.6)

    def test_convolutions(self):
        recipe = self.folder / "small-cnv.toml"
        recipe.write_text(SMALL_CNV)
        self.check(recipe)

    def test_several_seeds_give_what_each_gives_alone(self):
        recipe = self.recipe("tfc-w1a1")
        _, several = self.train(recipe, "--epochs", 2, "--seed", 4, "--seeds", 3)
        self.assertEqual([one["seed"] for one in several], [4, 5, 6])
        for one in several:
            model, alone = self.train(recipe, "--epochs", 2, "--seed", one["seed"])
            self.assertEqual(one["history"], alone["history"])
            self.assertEqual((self.folder / f"tfc-w1a1-seed{one['seed']}.onnx").read_bytes(), model.read_bytes())
        result = run("train", recipe, "--data", self.folder, "-o", self.folder / "m.onnx", "--threads", 1, "--epochs", 2,
                     "--seed", 4, "--seeds", 3)
        mean = sum(one["accuracy"] for one in several) / 3
        self.assertIn(f", {100 * mean:.2f} % (", result.stdout.splitlines()[-1])

    def test_several_recipes_give_what_each_gives_alone(self):
        recipes = [self.recipe(name) for name in ("tfc-w1a1", "tfc-w2a2")]
        folder = self.folder / "all"
        common = ("--data", self.folder, "--threads", 1, "--epochs", 2, "--seeds", 2)
        result = run("train", *recipes, *common, "-o", folder, "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        found = [(one["recipe"], one["seed"]) for one in json.loads(result.stdout)]
        self.assertEqual(found, [(f"tfc-{name}.toml", seed) for name in ("w1a1", "w2a2") for seed in (1, 2)])
        for recipe in recipes:
            self.train(recipe, "--epochs", 2, "--seeds", 2)
            for seed in (1, 2):
                name = f"{recipe.stem}-seed{seed}.onnx"
                self.assertEqual((folder / name).read_bytes(), (self.folder / name).read_bytes())
        for name in folder.iterdir():
            name.unlink()
        said = run("train", *recipes, *common, "-o", folder).stdout
        self.assertIn("2 seeds of tfc-w1a1: ", said)
        self.assertIn("2 seeds of tfc-w2a2: ", said)
        result = run("train", recipes[0], recipes[0], *common, "-o", folder)
        self.assertEqual(result.returncode, 2)
        self.assertIn("error: two recipes would both write", result.stderr)

    def test_keyword_spotting(self):
        generator = numpy.random.default_rng(2)
        words = generator.normal(0, 30, (12, 1, 10, 49))
        for suffix, count in (("_train", 1300), ("", 200)):
            labels = generator.integers(0, 12, count)
            numpy.save(self.folder / f"X{suffix}.npy", (words[labels] + generator.normal(0, 30, (count, 1, 10, 49))).astype(numpy.float32))
            numpy.save(self.folder / f"Y{suffix}.npy", labels)
        # Scales that are no powers of two: a float product rounds each term, so the last bits of the scores may differ.
        trained = self.check(self.recipe("kws-mlp-w3a3"), "--epochs", 4, dataset="npy", exact=False)
        self.assertGreater(trained["accuracy"], 0.8)

    def test_intrusion_detection(self):
        generator = numpy.random.default_rng(3)
        texts = {"proto": ["tcp", "udp", "arp"], "service": ["-", "dns", "http"], "state": ["FIN", "INT", "CON"]}
        for part, count in (("training", 900), ("testing", 150)):
            lines = [",".join(UNSW_NB15_COLUMNS)]
            for number in range(1, count + 1):
                label = int(generator.integers(0, 2))
                row = {name: f"{generator.exponential(1 + 9 * label):.6f}" for name in UNSW_NB15_COLUMNS}
                row |= {name: values[generator.integers(0, 3)] for name, values in texts.items()}
                row |= {"id": str(number), "attack_cat": ["Normal", "Fuzzers"][label], "label": str(label)}
                lines.append(",".join(row.values()))
            (self.folder / f"UNSW_NB15_{part}-set.csv").write_text("\ufeff" + "\n".join(lines) + "\n", encoding="utf-8")
        trained = self.check(self.recipe("unsw-nb15-mlp-w2a2"), "--epochs", 6, dataset="unsw-nb15")
        self.assertGreater(trained["accuracy"], 0.9)

    def test_training_starts_from_a_model_of_brevitas(self):
        shared = ROOT / "../shared/models"
        if not shared.is_dir():
            self.skipTest(f"the models of {shared} are not there")
        for name in ("tfc-w1a1", "tfc-w2a2"):
            foreign = shared / f"{name}.onnx"
            result = run("eval", foreign, "--dataset", "mnist", "--data", self.folder, "--engine", "integer", "--json")
            before = json.loads(result.stdout)["accuracy"]
            # At no rate nothing but the statistics of the normalizations moves.
            recipe = self.recipe(name)
            recipe.write_text(re.sub("learning_rate = .*", "learning_rate = 1e-9", recipe.read_text()))
            trained = self.check(recipe, "--epochs", 12, "--init", foreign)
            self.assertGreater(before, 0.9, name)
            self.assertGreater(trained["accuracy"], before - 0.02, name)

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
