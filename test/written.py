# SPDX-License-Identifier: Apache-2.0
"""Files that tests hand to the command, written without numpy: arrays, and models in text form."""

import random
import struct

CODES = {"<f4": "f", "<i8": "q"}


def write_npy(path, shape, values, kind="<f4"):
    """An array of floats of 32 bits, or of integers of 64."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {tuple(shape)}, }}".ljust(117) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
                     + struct.pack(f"<{len(values)}{CODES[kind]}", *values))


def chain(sizes, positions, bits=3):
    """A model of matrix products of random integers, one behind the other with a quantizer before each, on frames of some vectors."""
    draw = random.Random(5)
    shape = f"[1,{positions},{sizes[0]}]"
    lines = ["foldstream 1", 'graph "chain"', f'%0 "x" = input {{shape=[1, {positions}, {sizes[0]}], type="f32"}} : f32{shape}']
    constants = ["@0 = f32[] 1.0", "@1 = f32[] 0.0"]
    last = 0
    for layer, (columns, rows) in enumerate(zip(sizes, sizes[1:])):
        weights = " ".join(f"{draw.randint(-3, 3)}.0" for _ in range(columns * rows))
        constants.append(f"@{layer + 2} = f32[{columns},{rows}] {weights}")
        lines.append(f'%{last + 1} "q{layer}" = quant %{last} {{bits={bits}, narrow=0, rounding="ROUND", signed=1}} (scale=@0, zero=@1) : f32{shape}')
        lines.append(f'%{last + 2} "w{layer}" = constant (value=@{layer + 2}) : f32[{columns},{rows}]')
        shape = f"[1,{positions},{rows}]"
        lines.append(f'%{last + 3} "fc{layer}" = matmul %{last + 1}, %{last + 2} : f32{shape}')
        last += 3
    return "\n".join([*lines, f'output "y" %{last}', *constants]) + "\n"
