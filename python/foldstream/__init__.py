# SPDX-License-Identifier: Apache-2.0
"""Runs QONNX models on this machine's processor, with the integers that their accelerators compute.

    import foldstream, numpy
    network = foldstream.Network("model.onnx")
    scores = network.run(images)          # one array of frames a model input, one a model output

Arrays of the right type that lie in one piece are read where they are; results are written straight to the
arrays that are returned. The library is the one of CMake's target foldstream_run; FOLDSTREAM_LIBRARY names
another place for it.
"""

import ctypes
import itertools
import operator
import os
import pathlib
import threading

import numpy

__all__ = ["Error", "Network", "Port"]


class Error(Exception):
    """What was given is wrong, or memory ran out."""


class _Options(ctypes.Structure):
    _fields_ = [
        ("threads", ctypes.c_int),
        ("byte_scale", ctypes.c_double),
        ("input_type", ctypes.c_char_p),
        ("input_scale", ctypes.c_double),
        ("instructions", ctypes.c_char_p),
    ]


class _Port(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("element", ctypes.c_int),
        ("rank", ctypes.c_size_t),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("bytes", ctypes.c_size_t),
    ]


_ELEMENTS = [numpy.dtype(numpy.float32), numpy.dtype(numpy.int32), numpy.dtype(numpy.int64), numpy.dtype(numpy.uint8)]


def _library():
    here = pathlib.Path(__file__).resolve().parents[2] / "build" / "release" / "libfoldstream_run.so"
    library = ctypes.CDLL(os.environ.get("FOLDSTREAM_LIBRARY", str(here)))
    network, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
    library.fs_load.argtypes = [text, ctypes.POINTER(_Options), ctypes.POINTER(network), text, size]
    library.fs_free.argtypes = [network]
    library.fs_free.restype = None
    for name in ("fs_input", "fs_output"):
        getattr(library, name + "_count").argtypes = [network]
        getattr(library, name + "_count").restype = size
        getattr(library, name).argtypes = [network, size, ctypes.POINTER(_Port)]
    arrays = ctypes.POINTER(ctypes.c_void_p)
    library.fs_run.argtypes = [network, arrays, arrays, ctypes.c_int64, text, size]
    return library


class Port:
    """An input or output: its name, the type of its elements and the shape of one frame."""

    def __init__(self, described):
        self.name = described.name.decode()
        self.dtype = _ELEMENTS[described.element]
        self.shape = tuple(described.shape[d] for d in range(described.rank))

    def __repr__(self):
        return f"{self.name}: {self.dtype}{list(self.shape)}"


class Network:
    """A model, ready to run.

    threads: 0 for one on each core. byte_scale: float inputs come as bytes b that stand for b / byte_scale.
    input_type, input_scale, instructions: as the command's options. Throws Error. Calls from several threads take turns: a
    network computes one at a time, with threads of its own.
    """

    def __init__(self, path, threads=0, byte_scale=0.0, input_type=None, input_scale=0.0, instructions=None):
        self._library = _library()
        self._turn = threading.Lock()
        self._handle = ctypes.c_void_p()
        options = _Options(threads, byte_scale, _encoded(input_type), input_scale, _encoded(instructions))
        handle = ctypes.byref(self._handle)
        self._checked(lambda text, size: self._library.fs_load(os.fsencode(path), ctypes.byref(options), handle, text, size))
        self.inputs = self._ports("fs_input")
        self.outputs = self._ports("fs_output")

    def __del__(self):
        if getattr(self, "_handle", None):
            self._library.fs_free(self._handle)

    def run(self, *arrays):
        """Results of all frames, one array an output, or that array when there is only one."""
        if len(arrays) != len(self.inputs):
            raise Error(f"{len(arrays)} arrays for {len(self.inputs)} inputs")
        given = [self._taken(array, port) for array, port in zip(arrays, self.inputs)]
        frames = {len(array) for array in given}
        if len(frames) != 1:
            raise Error(f"inputs of different numbers of frames: {sorted(frames)}")
        (count,) = frames
        results = [numpy.empty((count, *port.shape), port.dtype) for port in self.outputs]
        pointers = [(ctypes.c_void_p * len(group))(*(a.ctypes.data for a in group)) for group in (given, results)]
        with self._turn:
            self._checked(lambda text, size: self._library.fs_run(self._handle, *pointers, count, text, size))
        return results[0] if len(results) == 1 else tuple(results)

    def _taken(self, array, port):
        array = numpy.asarray(array)
        if array.dtype != port.dtype:
            raise Error(f"input '{port.name}' takes {port.dtype}, it was given {array.dtype}")
        if array.ndim == 0 or not _fits(array.shape[1:], port.shape):
            raise Error(f"input '{port.name}' takes frames of shape {port.shape}, it was given an array of shape {array.shape}")
        return numpy.ascontiguousarray(array)

    def _ports(self, name):
        ports = []
        for index in range(getattr(self._library, name + "_count")(self._handle)):
            port = _Port()
            getattr(self._library, name)(self._handle, index, ctypes.byref(port))
            ports.append(Port(port))
        return ports

    @staticmethod
    def _checked(call):
        text = ctypes.create_string_buffer(1024)
        if call(text, len(text)) != 0:
            raise Error(text.value.decode())


def _fits(given, wanted):
    """Whether frames of shape `given` are of shape `wanted` without moving elements: axes may be merged or split, but
    [height, width, channels] are not [channels, height, width]."""
    if numpy.prod(given, dtype=numpy.int64) != numpy.prod(wanted, dtype=numpy.int64):
        return False
    one, other = ({1, *itertools.accumulate(map(int, shape), operator.mul)} for shape in (given, wanted))
    return one <= other or other <= one


def _encoded(text):
    return None if text is None else text.encode()
