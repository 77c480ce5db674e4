#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The library on the example network, by way of Python: network.py FOLDSTREAM LIBRARY ROOT."""

import os
import pathlib
import subprocess
import sys
import tempfile
import threading

import numpy as np

PROGRAM, LIBRARY, ROOT = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
os.environ["FOLDSTREAM_LIBRARY"] = LIBRARY
sys.path.insert(0, str(ROOT / "python"))

import foldstream  # noqa: E402

MODEL = ROOT / "examples/tfc/tfc-w2a2.onnx"


def refused(call, *parts):
    try:
        call()
    except foldstream.Error as error:
        for part in parts:
            assert part in str(error), (part, str(error))
        return
    raise AssertionError(f"not refused: {parts}")


def main():
    images = np.random.default_rng(1).integers(0, 256, (50, 1, 28, 28), dtype=np.uint8)
    floats = (images / np.float32(255)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        x, y = f"{folder}/x.npy", f"{folder}/y.npy"
        np.save(x, floats)
        subprocess.run([PROGRAM, "run", MODEL, "--input", x, "--output", y, "--engine", "integer"], check=True, capture_output=True)
        expected = np.load(y)
    network = foldstream.Network(MODEL, threads=1)
    assert [port.dtype for port in network.inputs] == [np.float32], network.inputs
    scores = network.run(floats)
    assert scores.dtype == expected.dtype and np.array_equal(scores, expected.reshape(scores.shape)), "floats"
    assert np.array_equal(network.run(floats[::2]), scores[::2]), "an array that doesn't lie in one piece"
    assert network.run(floats[:0]).shape[0] == 0, "no frames"
    by_bytes = foldstream.Network(MODEL, byte_scale=255)
    assert by_bytes.inputs[0].dtype == np.uint8
    assert np.array_equal(by_bytes.run(images), scores), "bytes"
    assert all(foldstream._fits(given, (1, 3, 32, 32)) for given in ((3, 32, 32), (3072,), (3, 1024), (3, 32, 32, 1)))
    assert not any(foldstream._fits(given, (1, 3, 32, 32)) for given in ((32, 32, 3), (3071,), (32, 96)))
    threaded = foldstream.Network(MODEL)
    wrong = []

    def calls(seed):
        order = np.random.default_rng(seed).permutation(50)
        wrong.extend(seed for _ in range(100) if not np.array_equal(threaded.run(floats[order]), scores[order]))

    threads = [threading.Thread(target=calls, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, "calls from several threads"
    refused(lambda: network.run(images), "takes float32", "given uint8")
    refused(lambda: network.run(floats[..., :27]), "frames of shape (1, 1, 28, 28)", "(50, 1, 28, 27)")
    refused(lambda: network.run(floats, floats), "2 arrays for 1 inputs")
    refused(lambda: foldstream.Network(ROOT / "no-such-model.onnx"), "no-such-model.onnx")
    refused(lambda: foldstream.Network(MODEL, threads=4096), "4096 threads on a machine of", "legal are 1 to")
    refused(lambda: foldstream.Network(MODEL, instructions="MMX"), "instruction set level 'MMX'")
    refused(lambda: foldstream.Network(MODEL, input_type="f32"), "--input-type is 'f32'")
    exported = subprocess.run(["nm", "-D", "--defined-only", LIBRARY], capture_output=True, text=True, check=True).stdout
    names = {line.split()[-1].split("@")[0] for line in exported.splitlines()}
    strangers = {name for name in names if "foldstream" in name and not name.startswith("fs_")}
    assert not strangers, f"the library shows more than its header: {sorted(strangers)[:5]}"
    print("the library gives the integer engine's scores from floats and from bytes, and refuses what is wrong")


if __name__ == "__main__":
    main()
