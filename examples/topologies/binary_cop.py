# SPDX-License-Identifier: Apache-2.0
"""BinaryCoP's n-CNV (how face masks are worn, four classes, 72x72 images): binary weights and activations.

usage: binary_cop.py OUTPUT.onnx
"""

import sys

from layers import Network


def main():
    net = Network("binary-cop-n-cnv", [1, 3, 72, 72])
    x = net.quant(net.input, 8, 1)
    variance = 27 * 2.0**14
    for channels, pooled in ((16, False), (16, True), (32, False), (32, True), (64, False), (64, True)):
        x = net.conv(x, channels, 3, 1)
        x = net.bipolar(net.batch_norm(x, variance))
        variance = 9 * channels
        if pooled:
            x = net.max_pool(x, 2)
    x = net.flatten(x)
    for _ in range(2):
        inner = net.shape[x][1]
        x = net.bipolar(net.batch_norm(net.matmul(x, 128, 1), inner))
    net.save(net.matmul(x, 4, 1), sys.argv[1])


if __name__ == "__main__":
    main()
