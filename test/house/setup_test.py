#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The set-up script keeps its promises, and the commands that the README shows exist: setup_test.py ROOT."""

import gzip
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(sys.argv.pop())


def run(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)


class SetupTest(unittest.TestCase):
    def test_dry_run_changes_nothing(self):
        before = sorted(path.name for path in (ROOT / "build").iterdir())
        result = run("./setup", "--dry-run", "--tests")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotIn("==" + " ", result.stdout)
        self.assertEqual(before, sorted(path.name for path in (ROOT / "build").iterdir()))

    def test_wrong_use_is_refused(self):
        for script in ("./setup", "./check"):
            result = run(script, "--no-such-option")
            self.assertEqual(result.returncode, 2, script)
            self.assertIn("--no-such-option", result.stderr)

    def test_every_python_package_is_pinned(self):
        for name in (
            "requirements.txt",
            "requirements-test.txt",
            "bench/requirements-brevitas.txt",
            "examples/digits/package.txt",
        ):
            for line in (ROOT / name).read_text().splitlines():
                if line and not line.startswith("#"):
                    self.assertRegex(line, r"^[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.+]*$", name)

    def test_readme_commands_exist(self):
        readme = (ROOT / "README.md").read_text()
        commands = re.findall(r"\./[a-z]+", "\n".join(re.findall(r"```(?:sh)?\n(.*?)```", readme, re.DOTALL)))
        self.assertTrue({"./setup", "./demo", "./check"} <= set(commands), commands)
        for command in set(commands):
            self.assertTrue((ROOT / command).is_file(), command)

    def test_links_lead_somewhere(self):
        for page in [
            *ROOT.glob("*.md"),
            *ROOT.glob("docs/**/*.md"),
            *ROOT.glob("examples/**/*.md"),
            *ROOT.glob("src/**/*.md"),
        ]:
            for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
                if not target.startswith("http"):
                    self.assertTrue((page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}")


class DigitsTest(unittest.TestCase):
    def setUp(self):
        packages = list((ROOT / "build/digits-package").glob("*.whl"))
        if not packages:
            self.skipTest("the digits' package is not here")
        self.package = packages[0]

    def digits(self):
        with tempfile.TemporaryDirectory() as folder:
            result = run(sys.executable, "examples/digits/digits.py", str(self.package), "--output", folder)
            self.assertEqual(result.returncode, 0, result.stderr)
            files = {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()}
        self.assertEqual(sorted(files), ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
        return (
            gzip.decompress(files["t10k-images-idx3-ubyte.gz"]),
            gzip.decompress(files["t10k-labels-idx1-ubyte.gz"]),
            files,
        )

    def test_five_hundred_digits_in_idx_form(self):
        images, labels, _ = self.digits()
        self.assertEqual(struct.unpack(">4I", images[:16]), (0x803, 500, 28, 28))
        self.assertEqual(len(images), 16 + 500 * 28 * 28)
        self.assertEqual(struct.unpack(">2I", labels[:8]), (0x801, 500))
        self.assertEqual([labels[8:].count(label) for label in range(10)], [50] * 10)

    def test_same_bytes_every_time(self):
        self.assertEqual(self.digits()[2], self.digits()[2])


if __name__ == "__main__":
    unittest.main()
