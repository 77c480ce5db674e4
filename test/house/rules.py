#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks one rule of the house on a tree: rules.py RULE ROOT. Prints every breach; exit 0 none, 1 some, 77 can't check."""

import pathlib
import re
import shutil
import subprocess
import sys

# A room may include rooms above its own line and itself, nothing below. Operators are no one's to include: they are
# reached through the table of operators alone.
ROOM_ORDER = [
    "util",
    "ir",
    "rtl",
    "arith",
    "window",
    "kernel",
    "boards",
    "source",
    "ops",
    "passes",
    "onnx",
    "sim",
    "cost",
    "fold",
    "report",
    "flow",
    "exec",
    "data",
    "calibrate",
    "backend",
    "train",
    "api",
    "cli",
]

# These work for any operator and so name none. (The graph's own two operators, input and constant, are not meant.)
ROOMS_WITHOUT_OPERATOR_NAMES = ["ir", "rtl", "arith", "window", "kernel", "onnx", "sim", "cost", "fold", "report", "flow", "exec", "backend"]
# Some operators are called by words that mean other things too ("sign"): a string names an operator where its line is
# about one.
STRUCTURAL_OPERATORS = {"input", "constant"}
ABOUT_OPERATORS = re.compile(r"\bops?\b|_op\b")

# Cells of vendors' libraries, and where SystemVerilog is written that could instantiate one.
VENDOR_CELL = re.compile(
    r"\b(LUT[1-6](_2)?|LUT6CY|CARRY[48]|LOOKAHEAD8|MUXF[789]|FD[RSCP]E|RAMB\w+|RAM\d+[XM]\w*|SRL16E|SRLC32E|DSP48\w*|DSP58\w*|"
    r"URAM288\w*|BUFG\w*|CCU2C|TRELLIS_\w+|DP16KD|MULT18X18D|SB_[A-Z]\w+|CC_[A-Z]\w+)\b"
)
VENDOR_FREE = ["rtl", "src/rtl", "src/arith", "src/ops"]

# What a use of each precompiled header looks like (common_headers in src/CMakeLists.txt): with it a compiler misses no
# include, so this file does.
USES = {
    "algorithm": r"std::(ranges::)?(sort|stable_sort|find|find_if|any_of|all_of|none_of|count|count_if|fill|copy|transform|reverse|"
    r"max|min|clamp|minmax|lower_bound|upper_bound|max_element|min_element|equal|replace|unique|rotate|is_sorted|binary_search)\(",
    "cmath": r"std::(abs|sqrt|floor|ceil|round|exp2?|log(2|10|1p)?|pow|isfinite|isnan|isinf|ldexp|frexp|rint|nearbyint|lround)\(",
    "functional": r"std::(function|multiplies|cref|ref)\b",
    "map": r"std::(multi)?map\b",
    "memory": r"std::(unique_ptr|shared_ptr|weak_ptr|make_unique|make_shared)\b",
    "optional": r"std::(optional|nullopt)\b",
    "set": r"std::(multi)?set\b",
    "span": r"std::span\b",
    "string": r"std::(string|to_string|stoi|stod|stoull)\b",
    "vector": r"std::vector\b",
    "fmt/format.h": r"\bfmt::(format|format_to|runtime|memory_buffer)\b",
    "fmt/ranges.h": r"\bfmt::join\b",
}
# Headers of libraries that cost every file behind them seconds of the compiler, and who may read them all the same. Of
# libtorch, <torch/types.h> and <torch/autograd.h> are enough.
COSTLY = {"CLI/CLI.hpp": ["src/cli/command.cc"], "torch/torch.h": []}

LICENCE_LINE = "SPDX-License-Identifier: Apache-2.0"
LICENSED_SUFFIXES = {".cc", ".cu", ".h", ".sv", ".svh", ".v", ".py", ".sh", ".cmake", ".ys", ".vlt"}

# Places on somebody's machine. The patterns are put together from pieces so that this file does not break its own rule.
MACHINE_PATH = re.compile("(?<![\\w.])/(" + "|".join(["home", "Users", "root", "work", "tmp/w"]) + ")/\\w")
URL = re.compile("https?:" + r"//")


def files(root):
    """Files that are or would be tracked, as paths relative to root."""
    listing = subprocess.run(
        ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard"], capture_output=True, text=True
    )
    if listing.returncode == 0:
        names = listing.stdout.splitlines()
    else:
        names = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
        names = [name for name in names if not name.startswith(("build/", "out/", ".git/"))]
    return sorted(name for name in set(names) if (root / name).is_file())


def text_of(root, name):
    """The file's lines, none for a binary file."""
    content = (root / name).read_bytes()
    return [] if b"\0" in content else content.decode("utf-8", "replace").splitlines()


def code_of(root, name):
    """Lines with // comments blanked, numbered from 1."""
    return [(number, line.split("//")[0]) for number, line in enumerate(text_of(root, name), 1)]


def rule_layers(root):
    """Include arrows between rooms point one way; general rooms name no operator; vendor cells stay in their folder."""
    names = files(root)
    operators = {pathlib.PurePath(name).parts[2] for name in names if re.fullmatch(r"src/ops/[^/]+/op\.cc", name)}
    named = {operator for operator in operators if operator not in STRUCTURAL_OPERATORS}
    mention = re.compile(r'"(%s)"|\bop_(%s)\b' % (("|".join(sorted(named)) or "(?!)",) * 2))
    for name in names:
        parts = pathlib.PurePath(name).parts
        if parts[0] == "src" and len(parts) > 2 and name.endswith((".cc", ".h")):
            room = parts[1]
            if room not in ROOM_ORDER:
                yield f"{name}: room '{room}' has no place in ROOM_ORDER"
                continue
            is_test = name.endswith("_test.cc")
            for number, line in enumerate(text_of(root, name), 1):
                include = re.match(r'\s*#include "src/([^/"]+)/([^"]+)"', line)
                if not include:
                    continue
                target = include[1]
                if target == "ops" and (room != "ops" or include[2].split("/")[0] != parts[2]):
                    yield f"{name}:{number}: includes operator code of another folder: {include[2]}"
                elif target not in ROOM_ORDER:
                    yield f"{name}:{number}: room '{target}' has no place in ROOM_ORDER"
                elif not is_test and ROOM_ORDER.index(target) > ROOM_ORDER.index(room):
                    yield f"{name}:{number}: room '{room}' includes '{target}', which is below it"
            if room in ROOMS_WITHOUT_OPERATOR_NAMES and not is_test:
                for number, line in code_of(root, name):
                    found = mention.search(line)
                    if found and (found[2] or ABOUT_OPERATORS.search(line)):
                        yield f"{name}:{number}: room '{room}' names the operator '{found[1] or found[2]}'"
        if name.startswith(tuple(folder + "/" for folder in VENDOR_FREE)) and not name.startswith("rtl/tech/"):
            if name.endswith((".cc", ".h", ".sv", ".svh")) and not name.endswith("_test.cc"):
                for number, line in code_of(root, name):
                    found = VENDOR_CELL.search(line)
                    if found:
                        yield f"{name}:{number}: vendor cell {found[0]} outside rtl/tech"


def rule_includes(root):
    """A file of src/ includes what it uses of the precompiled headers, itself or by a header of ours, and nothing costly."""
    build = root / "src/CMakeLists.txt"
    if build.is_file():
        listed = re.search(r"set\(common_headers([^)]*)\)", build.read_text())
        differ = set(re.findall(r"<([^>]+)>", listed[1] if listed else "")) ^ set(USES)
        if differ:
            yield f"src/CMakeLists.txt: common_headers and USES of this rule differ in {', '.join(sorted(differ))}"
    direct = {}
    for name in files(root):
        if name.startswith("src/") and name.endswith((".cc", ".h")):
            direct[name] = {found[1] for line in text_of(root, name) if (found := re.match(r'\s*#include ["<]([^">]+)[">]', line))}

    def reached(name):
        seen, open_names = set(), [name]
        while open_names:
            for target in direct.get(open_names.pop(), set()) - seen:
                seen.add(target)
                open_names.append(target)
        return seen

    for name in direct:
        for header in direct[name] & set(COSTLY):
            if name not in COSTLY[header]:
                yield f"{name}: includes <{header}>, which costs seconds of the compiler; who may: {', '.join(COSTLY[header]) or 'nobody'}"
        included = reached(name)
        for header, use in USES.items():
            if header not in included:
                for number, line in code_of(root, name):
                    if re.search(use, line):
                        yield f"{name}:{number}: uses what <{header}> declares without including it"
                        break


def rule_licences(root):
    """Every source file opens with its licence."""
    for name in files(root):
        path = pathlib.PurePath(name)
        lines = text_of(root, name)
        if not lines:
            continue
        script = lines[0].startswith("#!")
        if path.suffix in LICENSED_SUFFIXES or path.name == "CMakeLists.txt" or script:
            opening = lines[1:2] if script else lines[:1]
            if not opening or LICENCE_LINE not in opening[0]:
                yield f"{name}: does not open with '{LICENCE_LINE}'"


def rule_paths(root):
    """No file names a place on somebody's machine; nothing but prose holds a web address."""
    for name in files(root):
        if name == "LICENSE":
            continue
        for number, line in enumerate(text_of(root, name), 1):
            found = MACHINE_PATH.search(line)
            if found:
                yield f"{name}:{number}: path of a machine: {found[0]}..."
            if not name.endswith(".md") and URL.search(line):
                yield f"{name}:{number}: web address outside the documentation"


def rule_modules(root):
    """One SystemVerilog module a file, named as the file; the twins of rtl/tech offer the same names."""
    twins = {}
    for name in files(root):
        path = pathlib.PurePath(name)
        if path.suffix != ".sv" or path.parts[0] not in ("rtl", "src"):
            continue
        modules = [match[1] for _, line in code_of(root, name) if (match := re.match(r"\s*module\s+(?:automatic\s+)?(\w+)", line))]
        if len(modules) != 1:
            yield f"{name}: holds {len(modules)} modules, expected one"
        elif modules[0] != path.stem:
            yield f"{name}: holds module '{modules[0]}', expected '{path.stem}'"
        if path.parts[:2] == ("rtl", "tech"):
            twins.setdefault(path.parts[2], set()).add(path.stem)
    everything = set().union(*twins.values()) if twins else set()
    for family, modules in sorted(twins.items()):
        for module in sorted(everything - modules):
            yield f"rtl/tech/{family}: lacks {module}.sv, which another family has"


def rule_format(root):
    """C++ is as clang-format writes it."""
    tool = root / "build/tools/bin/clang-format"
    if not tool.exists():
        print("skipped: clang-format is not installed (./setup --tests)")
        sys.exit(77)
    sources = [name for name in files(root) if name.endswith((".cc", ".cu", ".h"))]
    if sources:
        result = subprocess.run([str(tool), "--dry-run", "--Werror", *sources], cwd=root, capture_output=True, text=True)
        for line in result.stderr.splitlines():
            if "error:" in line:
                yield line


def main():
    rules = {name.removeprefix("rule_"): function for name, function in globals().items() if name.startswith("rule_")}
    if len(sys.argv) != 3 or sys.argv[1] not in rules:
        sys.exit(f"usage: rules.py {'|'.join(rules)} ROOT")
    if not shutil.which("git"):
        print("skipped: git is not installed")
        sys.exit(77)
    breaches = list(rules[sys.argv[1]](pathlib.Path(sys.argv[2]).resolve()))
    for breach in breaches:
        print(breach)
    print(f"{sys.argv[1]}: {len(breaches)} breaches")
    sys.exit(1 if breaches else 0)


if __name__ == "__main__":
    main()
