# SPDX-License-Identifier: Apache-2.0
"""ResNet-50 for 224x224 images: 1-bit weights, 2-bit activations, 4-bit residuals, first and last layer 8 bits.

usage: resnet50.py OUTPUT.onnx [SIZE]     SIZE: another height and width, a multiple of 32
"""

import sys

from layers import Network


def bottleneck(net, x, inner, stride, project):
    """Two ways to 4-bit integers of one scale, their sum, and 4 bits of its positive part."""
    outer = 4 * inner
    y = net.quant(x, 2, 0.5)
    y = net.conv(y, inner, 1, 1)
    y = net.quant(net.relu(net.batch_norm(y, net.shape[x][1])), 2, 0.5)
    y = net.conv(y, inner, 3, 1, stride=stride, pad=1)
    y = net.quant(net.relu(net.batch_norm(y, 9 * inner)), 2, 0.5)
    y = net.conv(y, outer, 1, 1)
    y = net.quant(net.batch_norm(y, inner), 4, 0.25, signed=1)
    shortcut = x
    if project:
        shortcut = net.conv(net.quant(x, 2, 0.5), outer, 1, 1, stride=stride)
        shortcut = net.quant(net.batch_norm(shortcut, net.shape[x][1]), 4, 0.25, signed=1)
    return net.quant(net.relu(net.add(y, shortcut)), 4, 0.25)


def main():
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 224
    net = Network("resnet50-w1a2", [1, 3, size, size])
    x = net.quant(net.input, 8, 1)
    x = net.conv(x, 64, 7, 8, stride=2, pad=3)
    x = net.quant(net.relu(net.batch_norm(x, 147 * 8192)), 4, 0.25)
    x = net.max_pool(x, 3, 2, 1)
    for inner, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(blocks):
            x = bottleneck(net, x, inner, stride if block == 0 else 1, block == 0)
    x = net.quant(net.global_average_pool(x), 8, 2.0**-6)
    net.save(net.matmul(net.flatten(x), 1000, 8), sys.argv[1])


if __name__ == "__main__":
    main()
