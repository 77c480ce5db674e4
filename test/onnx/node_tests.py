# SPDX-License-Identifier: Apache-2.0
"""ONNX's own backend node tests in ../shared, those of the operators that are read. A test whose parameters are inputs computed
at run time, or whose types are not read, is refused by an error with a message; it counts as refused, never as passed.
docs/onnx-node-tests.md lists both; the list must be the one found here. BLESS=1 in the environment writes it.
"""

import collections
import os
import re
import sys
import tarfile
import tempfile
import pathlib

from common import Probe, arguments, np, numpy_helper, onnx

OPERATORS = {
    "Abs", "Add", "ArgMax", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Clip", "Concat", "Constant", "ConstantOfShape",
    "Conv", "ConvTranspose", "DepthToSpace", "DequantizeLinear", "Div", "Dropout", "Elu", "Erf", "Flatten", "Floor", "Gather", "Gelu", "Gemm",
    "GlobalAveragePool", "GlobalMaxPool", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "LogSoftmax", "MatMul", "Max", "MaxPool", "Min", "Mish",
    "Mul", "Neg", "PRelu", "Pad", "Pow", "QuantizeLinear", "ReduceMax", "ReduceMean", "ReduceSum", "Relu", "Reshape", "Resize",
    "Round", "Selu", "Shape", "Sigmoid", "Sign", "Slice", "Softmax", "Softplus", "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Swish", "Tanh",
    "TopK", "Transpose", "Unsqueeze", "Upsample",
}  # fmt: skip


PAGE = pathlib.Path(__file__).parents[2] / "docs/onnx-node-tests.md"
ROUNDED = {"test_averagepool_2d_ceil_last_window_starts_on_pad"}  # its expected results have four digits


def page_of(passed, refused):
    """The page in docs/: what passes by operator, what is refused by the program's own reason."""
    lines = [
        "# ONNX's backend node tests",
        "",
        "Those of the operators that are read, run by the float engine. Written by `BLESS=1 python test/onnx/node_tests.py` (the test",
        "`onnx.node_tests`, which fails when this page is not what it finds). Everything after the first operand of a single node is a",
        "constant for us; a first dimension of 0 reads as a dynamic batch of one.",
        "",
        f"## Passed: {sum(map(len, passed.values()))}",
        "",
    ]
    lines += [f"* {operator}: {', '.join(sorted(names))}" for operator, names in sorted(passed.items())]
    lines += ["", f"## Refused: {sum(map(len, refused.values()))}", ""]
    lines += [f"* \"{reason}\": {', '.join(sorted(names))}" for reason, names in sorted(refused.items())]
    return "\n".join(lines) + "\n"


def load(path):
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return numpy_helper.to_array(tensor)


def with_parameters(model, inputs):
    """Everything after the first operand of a single node becomes an initializer: parameters are constants for us."""
    nodes = model.graph.node
    names = [value.name for value in model.graph.input]
    if len(nodes) > 1:  # shapes, axes and the like of an expanded function
        kept = inputs[:1]
        for name, array in zip(names[1:], inputs[1:]):
            if array.dtype == np.int64 and array.ndim <= 1:
                model.graph.initializer.append(numpy_helper.from_array(array, name))
            else:
                kept.append(array)
        return model, kept
    if nodes[0].op_type in ("Add", "Sub", "Mul", "Div", "MatMul", "Concat", "Pow", "Max", "Min"):
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
    passed, refused, failures = collections.defaultdict(list), collections.defaultdict(list), 0
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
            short = name.removeprefix("test_")
            data = path.parent / "test_data_set_0"
            count = lambda kind: len(list(data.glob(f"{kind}_*.pb")))
            try:
                inputs = [load(data / f"input_{i}.pb") for i in range(count("input"))]
                expected = [load(data / f"output_{i}.pb") for i in range(count("output"))]
            except TypeError:
                refused["a sequence or optional"].append(short)
                continue
            # The whole input is one frame here.
            model, inputs = with_parameters(model, inputs)
            used = [value.name for value in model.graph.output]
            try:
                found = probe.run(probe.save(model), inputs, len(used))
            except RuntimeError as error:
                message = re.sub(r"^error: (.*model\.onnx: )?((node|graph input|initializer) '[^']*'( \([^)]*\))?: )?", "", str(error).replace(f"{probe.at}/", "").splitlines()[0])
                refused[message].append(short)
                continue
            for result, wanted in zip(found, expected):
                result = result[0]
                relative = 1e-3 if name in ROUNDED else 1e-5
                if result.shape != wanted.shape or not np.allclose(
                    result.astype(np.float64), wanted.astype(np.float64), relative, 1e-6, equal_nan=True
                ):
                    print(f"{name}: {result.reshape(-1)[:5]}, expected {wanted.reshape(-1)[:5]}")
                    failures += 1
                    break
            else:
                passed[" and ".join(sorted({node.op_type for node in model.graph.node}))].append(short)
    count = lambda lists: sum(map(len, lists.values()))
    print(f"{count(passed)} passed, {count(refused)} refused, {failures} failed")
    page = page_of(passed, refused)
    if os.environ.get("BLESS"):
        PAGE.write_text(page)
    elif not PAGE.is_file() or PAGE.read_text() != page:
        print(f"docs/{PAGE.name} is not what was found: run this with BLESS=1 and read the difference")
        failures += 1
    return 1 if failures or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
