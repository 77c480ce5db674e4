#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Adding an operator touches no file outside its folder (decision 0003): new_operator.py ROOT BUILD FOLDER.

Copies the tree of ROOT into FOLDER, adds src/ops/absolute/ from beside this script and nothing else, configures, and
lets the operators' harness run the new operator's cases: meaning = RTL bit for bit, rhythm = RTL cycle for cycle, with
and without stalls. Then the same with a wrong rhythm must fail, so that a harness that passes the operator by is noticed.

Only what a new operator can change is compiled: the operator, what CMake generates from the folders, and what includes
that. The rest is linked from the library in BUILD, made of the same sources.
"""

import os
import pathlib
import shutil
import subprocess
import sys

from rules import files

NAME = "absolute"


def run(*command, status=0):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if (result.returncode == 0) != (status == 0):
        print(f"$ {' '.join(map(str, command))}\n{result.stdout}{result.stderr}exit {result.returncode}")
        sys.exit(1)
    return result.stdout + result.stderr


def copy_tree(root, tree):
    """A copy in which unchanged files keep their time stamps, so that a second run builds little."""
    names = set(files(root))
    for name in names:
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        source = root / name
        if not target.exists() or target.read_bytes() != source.read_bytes():
            shutil.copy2(source, target)
            os.utime(target)
    for name in set(files_below(tree)) - names:
        (tree / name).unlink()
    return names


def files_below(tree):
    return [str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()]


def build_harness(tree, build, finished):
    """Links test/ops/ops_cases of the copy, with the unchanged objects out of the library of the finished build."""
    generated = {path.name for path in (build / "generated").glob("*.inc")}
    users = [path for path in (tree / "src").rglob("*.cc") if any(f'"{name}"' in path.read_text() for name in generated)]
    sources = [*users, tree / "src/ops" / NAME / "op.cc"]
    objects = [f"src/CMakeFiles/foldstream_core.dir/{path.relative_to(tree / 'src')}.o" for path in sources]
    objects.append("src/CMakeFiles/foldstream_core.dir/__/generated/embedded.cc.o")
    run("ninja", "-C", build, *objects, "test/ops/CMakeFiles/ops_cases.dir/cases.cc.o")
    link = run("ninja", "-C", build, "-t", "commands", "test/ops/ops_cases").strip().splitlines()[-1]
    library = "src/libfoldstream_core.a"
    assert f" {library} " in link, link
    link = link.replace(f" {library} ", f" {' '.join(objects)} {finished / library} ")
    run("sh", "-c", f"cd '{build}' && {link}")


def main():
    root, finished, folder = (pathlib.Path(argument).resolve() for argument in sys.argv[1:4])
    tree, build = folder / "tree", folder / "build"
    operator = tree / "src/ops" / NAME
    shutil.rmtree(operator, ignore_errors=True)
    before = copy_tree(root, tree)
    shutil.copytree(pathlib.Path(__file__).parent / NAME, operator)
    for path in operator.iterdir():
        os.utime(path)  # newer than what an earlier run built from the wrong rhythm
    added = set(files_below(tree)) - before
    assert added and all(name.startswith(f"src/ops/{NAME}/") for name in added), added

    # Optimization would only cost time here.
    flags = ["-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_CXX_FLAGS_RELEASE=-O0 -DNDEBUG"]
    run("cmake", "-S", tree, "-B", build, "-G", "Ninja", *flags)
    build_harness(tree, build, finished)
    harness = [sys.executable, tree / "test/ops/run.py", build / "test/ops/ops_cases", tree, folder / "model", NAME]
    print(run(*harness), end="")

    source = operator / "op.cc"
    text = source.read_text()
    assert "finish_rhythm(node, 1, 1, rhythm)" in text
    source.write_text(text.replace("finish_rhythm(node, 1, 1, rhythm)", "finish_rhythm(node, 2, 1, rhythm)"))
    build_harness(tree, build, finished)
    complaint = run(*harness, status=1)
    assert f"FAILED {NAME}" in complaint, complaint
    print(f"an operator was added by {len(added)} files in its folder; with a wrong rhythm it is rejected")


if __name__ == "__main__":
    main()
