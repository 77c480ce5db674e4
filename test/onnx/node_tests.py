# SPDX-License-Identifier: Apache-2.0
"""ONNX's own backend node tests in ../shared, those of the operators that are read. A test whose parameters are inputs computed
at run time, or whose types are not read, is refused by an error with a message; it counts as refused, never as passed.
"""

import collections
import re
import sys
import tarfile
import tempfile
import pathlib

from common import Probe, arguments, np, numpy_helper, onnx

OPERATORS = {
    "Abs", "Add", "ArgMax", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Clip", "Concat", "Constant", "ConstantOfShape",
    "Conv", "ConvTranspose", "DequantizeLinear", "Div", "Dropout", "Flatten", "Floor", "Gather", "Gemm", "GlobalAveragePool",
    "GlobalMaxPool", "Identity", "LogSoftmax", "MatMul", "MaxPool", "Mul", "Neg", "Pad", "Pow", "QuantizeLinear", "ReduceMax",
    "ReduceMean", "ReduceSum", "Relu", "Reshape", "Resize", "Round", "Shape", "Sigmoid", "Sign", "Slice", "Softmax", "Split",
    "Sqrt", "Squeeze", "Sub", "Tanh", "TopK", "Transpose", "Unsqueeze", "Upsample",
}  # fmt: skip


def load(path):
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return numpy_helper.to_array(tensor)


def with_parameters(model, inputs):
    """Everything after the first operand of a single node becomes an initializer: parameters are constants for us."""
    nodes = model.graph.node
    names = [value.name for value in model.graph.input]
    if len(nodes) != 1 or nodes[0].op_type in ("Add", "Sub", "Mul", "Div", "MatMul", "Concat", "Pow"):
        return model, inputs
    for name, array in zip(names[1:], inputs[1:]):
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    return model, inputs[:1]


def main():
    options = arguments()
    archive = options.shared / "models/onnx-node-tests.tar.gz"
    if not archive.is_file():
        print("skipped: ../shared/models/onnx-node-tests.tar.gz is not here")
        return 77
    probe = Probe(options.probe)
    passed, refused, failures = 0, collections.Counter(), 0
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as tar:
            unsafe = [member.name for member in tar.getmembers()
                      if not (member.isfile() or member.isdir()) or member.name.startswith("/") or ".." in member.name.split("/")]
            assert not unsafe, f"the archive holds more than plain files below it: {unsafe[:3]}"
            tar.extractall(folder)
        for path in sorted(pathlib.Path(folder).rglob("model.onnx")):
            model = onnx.load(path)
            if not {node.op_type for node in model.graph.node} <= OPERATORS:
                continue
            name = path.parent.name
            data = path.parent / "test_data_set_0"
            count = lambda kind: len(list(data.glob(f"{kind}_*.pb")))
            try:
                inputs = [load(data / f"input_{i}.pb") for i in range(count("input"))]
                expected = [load(data / f"output_{i}.pb") for i in range(count("output"))]
            except TypeError:
                refused["a sequence or optional"] += 1
                continue
            # The whole input is one frame here.
            model, inputs = with_parameters(model, inputs)
            used = [value.name for value in model.graph.output]
            try:
                found = probe.run(probe.save(model), inputs, len(used))
            except RuntimeError as error:
                message = re.sub(r"'[^']*'", "...", str(error).splitlines()[0].split(": ", 3)[-1])
                refused[re.sub(r"\d+", "n", message)] += 1
                continue
            for result, wanted in zip(found, expected):
                result = result[0]
                if result.shape != wanted.shape or not np.allclose(
                    result.astype(np.float64), wanted.astype(np.float64), 1e-5, 1e-6, equal_nan=True
                ):
                    print(f"{name}: {result.reshape(-1)[:5]}, expected {wanted.reshape(-1)[:5]}")
                    failures += 1
                    break
            else:
                passed += 1
    print(f"{passed} passed, {sum(refused.values())} refused, {failures} failed")
    for reason, number in refused.most_common():
        print(f"  refused {number}: {reason}")
    return 1 if failures or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
