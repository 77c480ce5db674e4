# SPDX-License-Identifier: Apache-2.0
"""What accelerator.py uses of PYNQ, with a simulation where the board would be.

The test sets BOARD to the simulation's command first. Caches are as strict as a board's can be: what the processor wrote is in
memory after flush() alone, and what the accelerator wrote is seen after invalidate() alone.
"""

import subprocess

import numpy

BOARD = []


class Board:
    def __init__(self, command):
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, command, first, second=0, given=b"", wanted=0):
        try:
            self.process.stdin.write(f"{command} {first:x} {second:x}\n".encode() + given)
            self.process.stdin.flush()
            state, value = self.process.stdout.readline().split()
        except (BrokenPipeError, ValueError):
            raise AssertionError(f"the simulation ended with {self.process.wait()}") from None
        assert state == b"okay", (command, hex(first), state)
        return int(value, 16), self.process.stdout.read(wanted)


class Registers:
    def __init__(self, board):
        self.board = board

    def read(self, offset):
        return self.board.ask("r", offset)[0]

    def write(self, offset, value):
        self.board.ask("w", offset, value)


class Overlay:
    latest = None

    def __init__(self, bitfile):
        self.bitfile = bitfile
        self.board = Board(BOARD)
        self.accelerator = Registers(self.board)
        Overlay.latest = self


class Buffer(numpy.ndarray):
    def flush(self):
        self.board.ask("p", self.physical_address, self.size, given=self.tobytes())

    def invalidate(self):
        self[:] = numpy.frombuffer(self.board.ask("g", self.physical_address, self.size, wanted=self.size)[1], numpy.uint8)

    def freebuffer(self):
        self.board.ask("f", self.physical_address)
        self[:] = 0xAA


def allocate(shape, dtype):
    assert dtype == numpy.uint8
    buffer = numpy.full(shape, 0x55, dtype).view(Buffer)
    buffer.board = Overlay.latest.board
    buffer.physical_address = buffer.board.ask("a", buffer.size)[0]
    return buffer
