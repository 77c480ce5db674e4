# SPDX-License-Identifier: Apache-2.0
"""What the ONNX tests share: small models, running them here and by the reference."""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import warnings

try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

warnings.filterwarnings("ignore")


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--probe", required=True)
    parser.add_argument("--shared", type=pathlib.Path, required=True)
    return parser.parse_args()


class Probe:
    """Runs models through onnx_probe in a folder of its own."""

    def __init__(self, path):
        self.path = path
        self.folder = tempfile.TemporaryDirectory()
        self.at = pathlib.Path(self.folder.name)

    def call(self, *words):
        return subprocess.run([self.path, *map(str, words)], capture_output=True, text=True)

    def save(self, model, name="model.onnx"):
        path = self.at / name
        path.write_bytes(model.SerializeToString())
        return path

    def run(self, path, inputs, outputs=1, command="run"):
        """The outputs, each with a leading axis of frames; raises RuntimeError with our message."""
        files = []
        for i, array in enumerate(inputs):
            files.append(self.at / f"in{i}.npy")
            np.save(files[-1], array)
        done = self.call(command, path, self.at / "out", *files)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip() or f"exit {done.returncode}")
        return [np.load(self.at / f"out{i}.npy") for i in range(outputs)]


def model_of(nodes, inputs, outputs, initializers=(), opset=13, qonnx=1):
    """inputs and outputs: {name: shape, None where it follows} in float; initializers: {name: array}."""
    info = lambda items: [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in items.items()
    ]
    graph = helper.make_graph(
        nodes,
        "test",
        info(inputs),
        info(outputs),
        [numpy_helper.from_array(np.asarray(a), n) for n, a in dict(initializers).items()],
    )
    imports = [
        helper.make_opsetid("", opset),
        helper.make_opsetid("qonnx.custom_op.general", qonnx),
        helper.make_opsetid("qonnx.custom_op.channels_last", opset),  # executed as ONNX's own of this version
    ]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def reference(model, inputs):
    """Outputs as the qonnx package computes them, one frame."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    wrapped = ModelWrapper(model).transform(InferShapes())
    return execute_onnx(wrapped, inputs)


def same_bits(a, b):
    """Equal element by element, the sign of zero and NaN included."""
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    nan = np.isnan(a) & np.isnan(b)
    return a.shape == b.shape and bool(np.all((a.view(np.uint32) == b.view(np.uint32)) | nan))
