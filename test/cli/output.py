#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `build` leaves behind: output.py FOLDSTREAM ROOT. The whole folder or nothing, the same bytes for the same input."""

import hashlib
import json
import os
import pathlib
import re
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from written import write_npy

PROGRAM, ROOT = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
MODEL = ROOT / "examples/tfc/tfc-w2a2.onnx"
BUILD = [str(PROGRAM), "build", str(MODEL), "--fps", "100000", "-o"]


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def call(arguments, **options):
    return subprocess.run(arguments, capture_output=True, text=True, timeout=300, **options)


def same_bytes(folder):
    first, second = folder / "a" / "out", folder / "b" / "out"
    for path in (first, second):
        path.parent.mkdir()
        done = call([*BUILD, str(path)])
        assert done.returncode == 0, done.stderr
    one, two = contents(first), contents(second)
    for name in ("report/time_per_step.json",):
        one.pop(name), two.pop(name)
    assert one == two, [name for name in one if one[name] != two.get(name)]


def manifest_names_every_file(folder):
    out = folder / "out"
    assert call([*BUILD, str(out)]).returncode == 0
    manifest = json.loads((out / "manifest.json").read_text())
    hashes = {name: hashlib.sha256(text).hexdigest() for name, text in contents(out).items()}
    for name in ("manifest.json", "report/time_per_step.json"):
        hashes.pop(name)
    assert hashes == manifest["files"]


def own_output_is_replaced(folder):
    out = folder / "out"
    assert call([*BUILD, str(out)]).returncode == 0
    (out / "left-over.txt").write_text("old")
    assert call([*BUILD, str(out) + "/"]).returncode == 0
    assert not (out / "left-over.txt").exists()
    assert os.listdir(folder) == ["out"], os.listdir(folder)


def foreign_folder_is_kept(folder):
    out = folder / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    done = call([*BUILD, str(out)])
    assert done.returncode == 2 and "did not write" in done.stderr, done
    assert os.listdir(folder) == ["out"] and os.listdir(out) == ["thesis.txt"]


def full_disk_leaves_nothing(folder):
    done = call([*BUILD, str(folder / "out")],
                preexec_fn=lambda: (signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
                                    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))))
    assert done.returncode == 2 and "can't write" in done.stderr and "free some space" in done.stderr, done
    assert os.listdir(folder) == [], os.listdir(folder)


def full_disk_keeps_the_old_output(folder):
    out = folder / "out"
    assert call([*BUILD, str(out)]).returncode == 0
    before = contents(out)
    done = call([*BUILD, str(out)], preexec_fn=lambda: (signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
                                                      resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))))
    assert done.returncode == 2 and contents(out) == before and os.listdir(folder) == ["out"]


def interruption_leaves_nothing(folder):
    # At whatever moment the signal comes: before, while and after the files are written.
    finished = 0
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        for delay in (0.005, 0.02, 0.04, 0.08, 0.16, 0.4):
            process = subprocess.Popen([*BUILD, str(folder / "out")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(delay)
            process.send_signal(signal_number)
            status = process.wait(timeout=60)
            if status == 0:
                finished += 1
                manifest = json.loads((folder / "out" / "manifest.json").read_text())
                assert set(manifest["files"]) <= set(contents(folder / "out"))
                subprocess.run(["rm", "-r", str(folder / "out")], check=True)
            # A signal that comes before it is caught ends the program as usual; no folder was begun then.
            assert os.listdir(folder) == [], (signal_number, delay, status, os.listdir(folder))
    return f"{finished} of 12 had finished"


def unwritable_place(folder):
    file = folder / "file"
    file.write_text("")
    done = call([*BUILD, str(file)])
    assert done.returncode == 2 and "is not a folder" in done.stderr, done
    done = call([*BUILD, str(file / "out")])
    assert done.returncode == 2 and done.stderr.startswith("error: can't"), done


def changed_design_is_noticed(folder):
    out = folder / "out"
    assert call([*BUILD, str(out)]).returncode == 0
    (out / "design.fst").write_text((out / "design.fst").read_text() + "\n")
    done = call([str(PROGRAM), "sim", str(out)])
    assert done.returncode == 2 and "was changed since" in done.stderr, done


def folding_reads_back(folder):
    first, second = folder / "first", folder / "second"
    assert call([*BUILD, str(first)]).returncode == 0
    done = call([str(PROGRAM), "build", str(MODEL), "--folding", str(first / "final_hw_config.json"), "-o", str(second)])
    assert done.returncode == 0, done.stderr
    assert (first / "design.fst").read_bytes() == (second / "design.fst").read_bytes()


def constants_of(design):
    """The constants of a text form, {node: {key: (shape, elements)}}."""
    lines = design.read_text().splitlines()
    tensors = {}
    for match in (re.match(r"(@\d+) = \w+\[([\d,]*)\](.*)", line) for line in lines):
        if match:
            tensors[match[1]] = ([int(size) for size in match[2].split(",")], [int(value) for value in match[3].split()])
    nodes = {}
    for match in (re.match(r'%\d+ "([^"]*)" = .*\((\w+=@\d+[^)]*)\)', line) for line in lines):
        if match:
            nodes[match[1]] = {key: tensors[name] for key, name in (pair.split("=") for pair in match[2].split(", "))}
    return nodes


def read_field(field, memory, words):
    """The elements of a constant, read from the words of the bus as docs/cli.md says they lie there."""
    elements = {}

    def walk(loops, element, word, bit):
        if loops:
            for i in range(loops[0]["count"]):
                walk(loops[1:], element + i * loops[0]["element"], word + i * loops[0]["word"], bit + i * loops[0]["bit"])
            return
        value = 0
        for b in range(field["bits"]):
            address = memory["address"] + word * memory["word_bytes"] + (bit + b) // 32 * 4
            value |= (words[address] >> (bit + b) % 32 & 1) << b
        if field["least"] < 0 and value > field["greatest"]:
            value -= 1 << field["bits"]
        assert elements.setdefault(element, value) == value
    walk(field["loops"], 0, 0, field["first_bit"])
    return [elements[i] for i in sorted(elements)]


def drivers_find_the_constants(folder):
    out, again = folder / "out", folder / "again"
    assert call([*BUILD, str(out), "--writable-weights", "all"]).returncode == 0
    memories = json.loads((out / "driver/memories.json").read_text())["memories"]
    nodes = constants_of(out / "design.fst")
    images = {path.stem: path for path in out.glob("driver/*.image")}
    assert len(images) == len({memory["node"] for memory in memories}) == 4, images
    words = {}
    for path in images.values():
        words |= {int(address, 16): int(word, 16) for address, word in map(str.split, path.read_text().splitlines())}
    seen = 0
    for memory in memories:
        for field in memory["fields"]:
            shape, elements = nodes[memory["node"]][field["constant"]]
            assert field["shape"] == shape
            wanted = [value + field["offset"] for value in elements]
            if field["saturates"]:
                wanted = [min(max(value, field["least"]), field["greatest"]) for value in wanted]
            assert read_field(field, memory, words) == wanted, (memory["node"], field["constant"])
            seen += 1
    # An image of the same constants is the one that build wrote, and a folding file makes the same design.
    node = memories[0]["node"]
    shape, elements = nodes[node]["w"]
    write_npy(folder / "w.npy", shape, elements, "<i8")
    done = call([str(PROGRAM), "image", str(out), "--write", f"{node}.w={folder / 'w.npy'}", "--output", str(folder / "image")])
    assert done.returncode == 0, done.stderr
    assert (folder / "image").read_text() in [path.read_text() for path in images.values()]
    done = call([str(PROGRAM), "build", str(MODEL), "--folding", str(out / "final_hw_config.json"), "-o", str(again)])
    assert done.returncode == 0, done.stderr
    assert (out / "design.fst").read_bytes() == (again / "design.fst").read_bytes()
    return f"{seen} constants"


def drivers_find_streamed_weights(folder):
    out = folder / "out"
    places = {f"MVAU_{i}": {"PE": 1, "SIMD": 1, "mem_mode": "external"} for i in (0, 1)} | {"MVAU_2": {"ram_style": "ultra"}}
    (folder / "folding.json").write_text(json.dumps(places))
    done = call([str(PROGRAM), "build", str(MODEL), "-o", str(out), "--board", "zcu104", "--folding", str(folder / "folding.json")])
    assert done.returncode == 0, done.stderr
    driver = json.loads((out / "driver/memories.json").read_text())
    image = (out / "driver" / driver["streams"]["file"]).read_bytes()
    assert driver["load_before_first_frame"] == [path.name for path in out.glob("driver/*.image")] and len(driver["streams"]["streams"]) == 2
    nodes = constants_of(out / "design.fst")
    for stream in driver["streams"]["streams"]:
        shape, elements = nodes[stream["node"]]["w"]
        assert stream["words"] == shape[0] * shape[1] and stream["reads_per_frame"] == 1
        # One weight a word, in order; of two bits, in two's complement or of one where it is -1 or 1.
        words = image[stream["offset"] : stream["offset"] + stream["bytes"]]
        assert stream["word_bytes"] == 1 and len(set(zip(elements, words))) == len(set(elements)) == len(set(words))
    done = call([str(PROGRAM), "image", str(out), "--memory", str(folder / "again.bin"), "--output", str(folder / "again.image")])
    assert done.returncode == 0, done.stderr
    assert (folder / "again.bin").read_bytes() == image
    assert (folder / "again.image").read_text() == (out / "driver" / driver["load_before_first_frame"][0]).read_text()
    weights = json.loads((out / "report/weights.json").read_text())
    assert [entry["place"] for entry in weights["not_in_bitstream"]] == ["streamed", "streamed", "loaded"], weights
    return "2 streams, 1 memory to load"


def little_memory_is_an_error(folder):
    limit = 150 << 20
    text = 'foldstream 1\ngraph "g"\n%0 "x" = input {shape=[1, 90000000], type="f32"} : f32[1,90000000]\n'
    text += '%1 "y" = relu %0 : f32[1,90000000]\noutput "y" %1\n'
    (folder / "model.fst").write_text(text)
    array = b"\x93NUMPY\x01\x00" + bytes([118, 0])
    array += b"{'descr': '|u1', 'fortran_order': False, 'shape': (1, 90000000), }".ljust(117) + b"\n"
    with open(folder / "x.npy", "wb") as file:
        file.write(array)
        file.truncate(len(array) + 90000000)
    done = call([str(PROGRAM), "run", "model.fst", "--input", "x.npy", "--output", "y.npy"], cwd=folder,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
    assert done.returncode == 2 and "not enough memory" in done.stderr, done
    assert not (folder / "y.npy").exists()


def main():
    checks = [same_bytes, manifest_names_every_file, own_output_is_replaced, foreign_folder_is_kept, full_disk_leaves_nothing,
              full_disk_keeps_the_old_output, interruption_leaves_nothing, unwritable_place, changed_design_is_noticed,
              folding_reads_back, drivers_find_the_constants, drivers_find_streamed_weights, little_memory_is_an_error]
    for check in checks:
        with tempfile.TemporaryDirectory() as folder:
            print(check.__name__, check(pathlib.Path(folder)) or "", flush=True)


main()
