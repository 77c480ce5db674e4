# SPDX-License-Identifier: Apache-2.0
"""VGG10 on radio signals (two channels of 1,024 samples, 24 modulations): one-dimensional, 4-bit weights and activations.

usage: vgg10_radioml.py OUTPUT.onnx
"""

import sys

from layers import Network


def main():
    net = Network("vgg10-radioml-w4a4", [1, 2, 1024])
    x = net.quant(net.input, 8, 2.0**-6, signed=1)
    for _ in range(7):
        inner = net.shape[x][1]
        x = net.conv(x, 64, 3, 4, pad=1)
        x = net.quant(net.relu(net.batch_norm(x, inner)), 4, 0.25)
        x = net.max_pool(x, 2)
    x = net.flatten(x)
    for _ in range(2):
        inner = net.shape[x][1]
        x = net.matmul(x, 128, 4)
        x = net.quant(net.relu(net.batch_norm(x, inner)), 4, 0.25)
    net.save(net.matmul(x, 24, 4), sys.argv[1])


if __name__ == "__main__":
    main()
