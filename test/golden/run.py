#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs golden tests (decision 0005): run.py [--bless] FOLDSTREAM FILE... Exit 0 when every file is as printed, 1 when one is not.

A golden file opens with comments (#), then says what to do in an empty folder:

    copy: SOURCE NAME [BYTES]     a file of the repository, or its first bytes
    run: foldstream ARGUMENTS     several lines run one after the other

Sections follow: `---- in` (standard input), `---- file NAME`, then what must come out of all runs together: `---- out`,
`---- err` (both absent when empty) and `---- exit` (of the last run, absent for 0). --bless writes what came out into
the file; the difference is then read by a person like any other change.
"""

import difflib
import pathlib
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def parse(text):
    """The lines before the first section, and the sections in order."""
    opening, sections, current = [], {}, None
    for line in text.splitlines(keepends=True):
        if line.startswith("---- "):
            current = line[5:].strip()
            sections[current] = ""
        elif current is None:
            opening.append(line)
        else:
            sections[current] += line
    return opening, sections


def execute(program, opening, sections):
    out = err = ""
    status = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, content in sections.items():
            if name.startswith("file "):
                (folder / name[5:]).write_text(content)
        for line in opening:
            if line.startswith("copy:"):
                source, name, *size = shlex.split(line[5:])
                content = (ROOT / source).read_bytes()
                (folder / name).write_bytes(content[: int(size[0])] if size else content)
        for line in opening:
            if line.startswith("run: foldstream"):
                done = subprocess.run([program, *shlex.split(line[15:])], cwd=folder, input=sections.get("in", ""),
                                      capture_output=True, text=True, timeout=50)
                out += done.stdout
                err += done.stderr
                status = done.returncode
    return {"out": out, "err": err, "exit": f"{status}\n" if status else ""}


def render(opening, sections, found):
    text = "".join(opening)
    for name, content in sections.items():
        if name not in found:
            text += f"---- {name}\n{content}"
    for name, content in found.items():
        if content:
            text += f"---- {name}\n{content}"
    return text


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--bless"]
    program, files = str(pathlib.Path(arguments[0]).resolve()), [pathlib.Path(name) for name in arguments[1:]]
    failed = 0
    for path in files:
        wanted = path.read_text()
        opening, sections = parse(wanted)
        found = render(opening, sections, execute(program, opening, sections))
        if found == wanted:
            continue
        if "--bless" in sys.argv:
            path.write_text(found)
            print(f"wrote {path}")
            continue
        failed += 1
        sys.stdout.writelines(difflib.unified_diff(wanted.splitlines(keepends=True), found.splitlines(keepends=True),
                                                   "expected", "found"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
