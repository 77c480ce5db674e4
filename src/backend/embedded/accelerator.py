#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the accelerator of this folder on a board with PYNQ.

Beside this file: accelerator.json, which describes the design, and what system.tcl made of it, NAME.bit and NAME.hwh.

    from accelerator import Accelerator
    network = Accelerator()
    scores = network.run(pixels)            # integers [frames, ...] in and out: operands and results of the hardware

or  python3 accelerator.py describe
    python3 accelerator.py run --input X.npy --output Y.npy
    python3 accelerator.py check --input X.npy --expected Y.npy
    python3 accelerator.py throughput --frames 10000

Several operands and results are named: --input NAME=X.npy. What stands before the hardware and behind it, from a model's
inputs to its outputs, `foldstream run OUT --stage head` and `--stage tail` compute on any machine.
"""

import argparse
import json
import pathlib
import sys
import time

import numpy

COMMAND, IDENTITY, CYCLES = 0x0, 0x4, 0x8  # registers, by byte address
START, BUSY, FAILED = 1, 1, 2
PAGE = 4096  # bytes; where every buffer must begin
MOST_WORDS = 2**32 - 1  # of memory, that a mover counts in a run
CHUNK_BITS = 1 << 26  # that packing holds as bytes at a time


class Error(Exception):
    """What went wrong, in words."""


class Port:
    """An operand or a result: name, shape of a frame, and the integers that it holds."""

    def __init__(self, described):
        self.name = described["name"]
        self.shape = tuple(described["shape"])
        self.bits = described["bits"]
        self.signed = described["signed"]
        self.least = -(1 << (self.bits - 1)) if self.signed else 0
        self.greatest = (1 << (self.bits - self.signed)) - 1
        width = next(w for w in (8, 16, 32, 64) if w >= self.bits)
        self.dtype = numpy.dtype(f"{'i' if self.signed else 'u'}{width // 8}")
        self.beats, self.lanes = described["beats"], described["lanes"]
        self.slot_bytes, self.frame_bytes = described["slot_bytes"], described["frame_bytes"]
        self.register = described["register"]

    def __repr__(self):
        return f"{self.name}: {'s' if self.signed else 'u'}{self.bits}{list(self.shape)} as {self.dtype}"

    def checked(self, array):
        """The array as [frames, elements] of this port's type; Error where it isn't one."""
        array = numpy.asarray(array)
        if array.dtype.kind not in "iub":
            raise Error(f"operand '{self.name}' takes integers, it was given {array.dtype}")
        if array.shape[1:] != self.shape or array.ndim == 0:
            raise Error(f"operand '{self.name}' takes frames of shape {self.shape}, it was given an array of shape {array.shape}")
        if array.size and (int(array.min()) < self.least or int(array.max()) > self.greatest):
            raise Error(f"operand '{self.name}' takes {self.least} to {self.greatest}, "
                        f"it was given {array.min()} to {array.max()}")
        return array.astype(self.dtype).reshape(len(array), self.beats * self.lanes)

    def pack(self, values, memory):
        """Elements [frames, elements] into the bytes of memory [frames, frame_bytes], lowest bits first."""
        memory[...] = 0
        slots = memory[:, : self.beats * self.slot_bytes].reshape(len(values), self.beats, self.slot_bytes)
        used = (self.lanes * self.bits + 7) // 8
        if self.bits == 8 * self.dtype.itemsize:
            bytes_of = values.astype(self.dtype.newbyteorder("<")).view(numpy.uint8)
            slots[:, :, :used] = bytes_of.reshape(len(values), self.beats, used)
            return
        for first, last in self._chunks(len(values)):
            words = values[first:last].astype(numpy.int64).view(numpy.uint64)
            bits = (words[..., None] >> numpy.arange(self.bits, dtype=numpy.uint64)).astype(numpy.uint8) & 1
            bits = bits.reshape(last - first, self.beats, self.lanes * self.bits)
            slots[first:last, :, :used] = numpy.packbits(bits, axis=-1, bitorder="little")

    def unpack(self, memory):
        """The reverse of pack: [frames, *shape]."""
        frames = len(memory)
        slots = memory[:, : self.beats * self.slot_bytes].reshape(frames, self.beats, self.slot_bytes)
        used = (self.lanes * self.bits + 7) // 8
        if self.bits == 8 * self.dtype.itemsize:
            values = numpy.ascontiguousarray(slots[:, :, :used]).view(self.dtype.newbyteorder("<"))
            return values.astype(self.dtype).reshape(frames, *self.shape)
        values = numpy.empty((frames, self.beats * self.lanes), self.dtype)
        weights = numpy.left_shift(numpy.int64(1), numpy.arange(self.bits, dtype=numpy.int64))
        if self.signed:
            weights[-1] = -weights[-1]
        for first, last in self._chunks(frames):
            bits = numpy.unpackbits(numpy.ascontiguousarray(slots[first:last, :, :used]), axis=-1, bitorder="little")
            bits = bits[:, :, : self.lanes * self.bits].reshape(last - first, -1, self.bits)
            values[first:last] = bits.astype(numpy.int64) @ weights
        return values.reshape(frames, *self.shape)

    def _chunks(self, frames):
        step = max(1, CHUNK_BITS // (64 * self.beats * self.lanes * self.bits))
        return [(first, min(first + step, frames)) for first in range(0, frames, step)]


class Accelerator:
    """The design of a folder, on the board.

    folder: with accelerator.json, by default that of this file. bitfile: NAME.bit of the folder by default. overlay: a
    pynq.Overlay that is loaded already, instead of a bitfile. Throws Error.
    """

    def __init__(self, folder=None, bitfile=None, overlay=None):
        import pynq

        self._allocate = pynq.allocate
        self.folder = pathlib.Path(folder or pathlib.Path(__file__).resolve().parent)
        self._described = json.loads((self.folder / "accelerator.json").read_text())
        self.name = self._described["name"]
        self.clock_mhz = self._described["clock_mhz"]
        self.inputs = [Port(port) for port in self._described["operands"]]
        self.outputs = [Port(port) for port in self._described["results"]]
        self.cycles = 0  # of the last run, over all its batches
        if overlay is None:
            bitfile = pathlib.Path(bitfile or self.folder / f"{self.name}.bit")
            if not bitfile.is_file():
                raise Error(f"there is no '{bitfile}': make it by vivado -mode batch -source vivado/system.tcl")
            overlay = pynq.Overlay(str(bitfile))
        self.overlay = overlay
        self._registers = overlay.accelerator
        found = self._registers.read(IDENTITY)
        if found != self._described["identity"]:
            raise Error(f"the bitstream is of another design: its identity is {found:08x}, "
                        f"accelerator.json says {self._described['identity']:08x}")
        memories = self.folder / "memories.json"
        memories = json.loads(memories.read_text()) if memories.is_file() else {"load_before_first_frame": []}
        streams = memories.get("streams", {"streams": []})
        self._weights = [dict(mover, **stream, file=streams["file"])
                         for mover, stream in zip(self._described["weights"], streams["streams"])]
        for entry in self._weights:
            entry["buffer"] = self._weights_buffer(entry)
        for image in memories["load_before_first_frame"]:
            self.write_image(self.folder / image)

    def run(self, *arrays, batch=None, timeout=10.0):
        """Results of all frames, one array each, or that array when there is only one.

        batch: frames moved in one go; as many as 32 MB hold by default. timeout: seconds that a batch may take.
        """
        if len(arrays) != len(self.inputs):
            raise Error(f"{len(arrays)} arrays for {len(self.inputs)} operands")
        given = [port.checked(array) for port, array in zip(self.inputs, arrays)]
        counts = {len(values) for values in given}
        if len(counts) != 1:
            raise Error(f"operands of different numbers of frames: {sorted(counts)}")
        (frames,) = counts
        batch = self._batch(batch)
        results = [numpy.empty((frames, *port.shape), port.dtype) for port in self.outputs]
        buffers = [self._buffer(min(batch, max(frames, 1)) * port.frame_bytes) for port in (*self.inputs, *self.outputs)]
        self.cycles = 0
        try:
            for first in range(0, frames, batch):
                count = min(batch, frames - first)
                for port, values, buffer in zip(self.inputs, given, buffers):
                    port.pack(values[first : first + count], self._frames(buffer, port, count))
                    buffer.flush()
                self._run_batch(count, buffers, timeout)
                for port, result, buffer in zip(self.outputs, results, buffers[len(self.inputs) :]):
                    buffer.invalidate()
                    result[first : first + count] = port.unpack(self._frames(buffer, port, count))
        finally:
            for buffer in buffers:
                buffer.freebuffer()
        return results[0] if len(results) == 1 else tuple(results)

    def write_image(self, path):
        """Writes constants over the bus: lines of a byte address and a word, as `foldstream image` makes them."""
        base = self._described["memories_address"]
        if base is None:
            raise Error("this design has no memories that can be written")
        for number, line in enumerate(pathlib.Path(path).read_text().splitlines(), 1):
            try:
                address, word = (int(part, 16) for part in line.split())
            except ValueError:
                raise Error(f"{path}:{number}: '{line}' is not an address and a word in hexadecimal") from None
            self._registers.write(base + address, word)

    def throughput(self, frames, timeout=10.0):
        """Frames a second: by the clock's cycles, and by this processor's time, packing included."""
        random = numpy.random.default_rng(1)
        arrays = [random.integers(port.least, port.greatest, (frames, *port.shape), port.dtype, endpoint=True)
                  for port in self.inputs]
        start = time.perf_counter()
        self.run(*arrays, timeout=timeout)
        seconds = time.perf_counter() - start
        return {"frames": frames, "cycles": self.cycles, "seconds": seconds, "frames_per_second": frames / seconds,
                "frames_per_second_of_hardware": frames / self.cycles * self.clock_mhz * 1e6}

    def _batch(self, asked):
        """Frames that one run can move."""
        word = self._described["word_bytes"]
        words = [port.frame_bytes // word for port in (*self.inputs, *self.outputs)]
        words += [entry["frame_bytes"] // word * entry["reads_per_frame"] for entry in self._weights]
        most = MOST_WORDS // max(words)
        if asked is None:
            largest = max(port.frame_bytes for port in (*self.inputs, *self.outputs))
            return min(most, max(1, (32 << 20) // largest))
        if not 1 <= asked <= most:
            raise Error(f"a batch of {asked} frames; 1 to {most} can be")
        return asked

    def _buffer(self, size):
        buffer = self._allocate(shape=(max(size, 1),), dtype=numpy.uint8)
        if buffer.physical_address % PAGE:
            raise Error(f"a buffer at {buffer.physical_address:#x}, which is not the beginning of a page")
        return buffer

    @staticmethod
    def _frames(buffer, port, count):
        return numpy.asarray(buffer)[: count * port.frame_bytes].reshape(count, port.frame_bytes)

    def _weights_buffer(self, entry):
        """The words of a stream of weights, each in its slot."""
        with open(self.folder / entry["file"], "rb") as file:
            file.seek(entry["offset"])
            words = numpy.frombuffer(file.read(entry["words"] * entry["word_bytes"]), numpy.uint8)
        if len(words) != entry["words"] * entry["word_bytes"]:
            raise Error(f"{self.folder / entry['file']} is too short for the weights of '{entry['node']}'")
        buffer = self._buffer(entry["frame_bytes"])
        memory = numpy.asarray(buffer)
        memory[...] = 0
        slots = memory[: entry["words"] * entry["slot_bytes"]].reshape(entry["words"], entry["slot_bytes"])
        slots[:, : entry["word_bytes"]] = words.reshape(entry["words"], entry["word_bytes"])
        buffer.flush()
        return buffer

    def _run_batch(self, frames, buffers, timeout):
        word = self._described["word_bytes"]
        for port, buffer in zip((*self.inputs, *self.outputs), buffers):
            self._move(port.register, buffer, frames * port.frame_bytes // word)
        for entry in self._weights:
            self._move(entry["register"], entry["buffer"], frames * entry["reads_per_frame"] * entry["frame_bytes"] // word)
        self._registers.write(COMMAND, START)
        end = time.monotonic() + timeout
        state = BUSY
        while state & BUSY:
            late = time.monotonic() > end
            state = self._registers.read(COMMAND)
            if late and state & BUSY:
                raise Error(f"{frames} frames were not done after {timeout} s; load the bitstream again")
        if state & FAILED:
            raise Error("memory refused an access of the accelerator; load the bitstream again")
        self.cycles += self._registers.read(CYCLES) | self._registers.read(CYCLES + 4) << 32

    def _move(self, register, buffer, words):
        address = buffer.physical_address
        for offset, value in ((0, address & 0xFFFFFFFF), (4, address >> 32), (8, words)):
            self._registers.write(register + offset, value)


def arrays_of(given, ports, what):
    """Paths of NAME=FILE, or of one FILE where there is one port, in the order of the ports."""
    if len(ports) == 1 and len(given) == 1 and "=" not in given[0]:
        return [given[0]]
    named = dict(entry.split("=", 1) for entry in given if "=" in entry)
    names = [port.name for port in ports]
    if sorted(named) != sorted(names) or len(named) != len(given):
        raise Error(f"{what}: expected NAME=FILE for each of {', '.join(names)}")
    return [named[name] for name in names]


def command(arguments):
    network = Accelerator(bitfile=arguments.bitfile)
    if arguments.what == "describe":
        print(f"{network.name} at {network.clock_mhz} MHz")
        for title, ports in (("operand", network.inputs), ("result", network.outputs)):
            for port in ports:
                print(f"  {title} {port}")
        return 0
    if arguments.what == "throughput":
        print(json.dumps(network.throughput(arguments.frames, arguments.timeout)))
        return 0
    operands = [numpy.load(path) for path in arrays_of(arguments.input, network.inputs, "--input")]
    results = network.run(*operands, timeout=arguments.timeout)
    results = results if isinstance(results, tuple) else (results,)
    if arguments.what == "run":
        for path, result in zip(arrays_of(arguments.output, network.outputs, "--output"), results):
            numpy.save(path, result)
        print(f"{len(results[0])} frames in {network.cycles} cycles")
        return 0
    wrong = set()
    for path, port, result in zip(arrays_of(arguments.expected, network.outputs, "--expected"), network.outputs, results):
        expected = numpy.load(path)
        if expected.shape != result.shape:
            raise Error(f"{path} has the shape {expected.shape}, result '{port.name}' {result.shape}")
        wrong.update(numpy.flatnonzero((expected != result).reshape(len(result), -1).any(axis=1)).tolist())
    print(f"{len(results[0])} frames, {len(wrong)} differ" + (f", the first is {min(wrong)}" if wrong else ""))
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description="Runs the accelerator of this folder on a board with PYNQ.")
    parser.add_argument("--bitfile", help="instead of NAME.bit beside this file")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds that a batch may take")
    commands = parser.add_subparsers(dest="what", required=True)
    commands.add_parser("describe", help="operands and results")
    for name, other, text in (("run", "--output", "frames of files to files"),
                              ("check", "--expected", "results against files; exit status 1 where they differ")):
        entry = commands.add_parser(name, help=text)
        entry.add_argument("--input", action="append", required=True, metavar="[NAME=]FILE")
        entry.add_argument(other, action="append", required=True, metavar="[NAME=]FILE")
    commands.add_parser("throughput", help="frames a second, of random frames").add_argument("--frames", type=int, default=1000)
    try:
        return command(parser.parse_args())
    except (Error, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
