#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs golden tests (decision 0005): run.py [--bless] FOLDSTREAM FILE...

A file holds a comment, a line `run: foldstream ...`, and what goes in and must come out, whole:

    # what this shows
    run: foldstream opt - --pass fold_constants
    ---- in
    ...
    ---- out
    ...

`---- err` instead of `---- out` is what standard error must be, of a command that fails with status 2. --bless writes
what came out into the file; the difference is then read by a person like any other change.
"""

import difflib
import pathlib
import shlex
import subprocess
import sys
import tempfile


def sections(text):
    """The head of the file, and its sections by name."""
    head, *rest = text.split("---- ")
    return head, {part.split("\n", 1)[0]: part.split("\n", 1)[1] for part in rest}


def run(foldstream, head, given):
    (line,) = [line for line in head.splitlines() if line.startswith("run: foldstream ")]
    arguments = shlex.split(line.removeprefix("run: foldstream "))
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run([foldstream, *arguments], input=given, cwd=folder, capture_output=True, text=True)


def test(foldstream, path, bless):
    text = path.read_text()
    head, parts = sections(text)
    result = run(foldstream, head, parts.get("in", ""))
    expected = "err" if "err" in parts else "out"
    found = result.stderr if expected == "err" else result.stdout
    wanted_status = 2 if expected == "err" else 0
    if result.returncode != wanted_status:
        print(f"{path.name}: status {result.returncode}, expected {wanted_status}\n{result.stderr}")
        return False
    if found == parts.get(expected, ""):
        return True
    if bless:
        path.write_text(head + "".join(f"---- {name}\n{body}" for name, body in {**parts, expected: found}.items()))
        print(f"{path.name}: blessed")
        return True
    difference = difflib.unified_diff(
        parts.get(expected, "").splitlines(True), found.splitlines(True), path.name, "what came out"
    )
    sys.stdout.writelines(difference)
    return False


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--bless"]
    foldstream = pathlib.Path(arguments[0]).resolve()
    results = [test(foldstream, pathlib.Path(name), "--bless" in sys.argv) for name in arguments[1:]]
    print(f"{sum(results)} of {len(results)} golden tests as expected")
    sys.exit(0 if results and all(results) else 1)


if __name__ == "__main__":
    main()
