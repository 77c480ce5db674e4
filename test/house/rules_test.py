#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each rule accepts a small clean tree and rejects the same tree with one breach in it."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

RULES = pathlib.Path(__file__).with_name("rules.py")
LICENCE = "// SPDX-License-Identifier: Apache-2.0\n"
CLEAN = {
    "src/util/error.h": LICENCE + "#pragma once\n",
    "src/ir/graph.h": LICENCE + '#include <map>\n#include "src/util/error.h"\n',
    "src/ops/mvau/op.cc": LICENCE + '#include "src/ir/graph.h"\nconst char* name = "mvau";\n',
    "src/sim/simulate.cc": LICENCE + '#include "src/ir/graph.h"\n// op "mvau": a comment may say it\nopen("mvau");\n',
    "src/sim/stream.cc": LICENCE + '#include "src/ir/graph.h"\nstd::map<int, int> ends;  // its header came with the graph\n',
    "rtl/stream/fst_queue.sv": LICENCE + "module fst_queue;\nendmodule\n",
    "rtl/tech/generic/fst_lut.sv": LICENCE + "module fst_lut;\nendmodule\n",
    "rtl/tech/xilinx/fst_lut.sv": LICENCE + "module fst_lut;\n  LUT6 lut ();\nendmodule\n",
    "demo": "#!/usr/bin/env bash\n# SPDX-License-Identifier: Apache-2.0\n",
    "docs/page.md": "See https:" + "//example.org\n",
}
BREACHES = {
    "layers": [
        ("src/util/error.h", LICENCE + '#include "src/ir/graph.h"\n'),
        ("src/sim/simulate.cc", LICENCE + '#include "src/ops/mvau/op.h"\n'),
        ("src/ops/add/op.cc", LICENCE + '#include "src/ops/mvau/op.h"\n'),
        ("src/newroom/thing.cc", LICENCE),
        ("src/sim/simulate.cc", LICENCE + 'bool special = node.op == "mvau";\n'),
        ("src/fold/fold.cc", LICENCE + 'graph.add(require_op("mvau"), in);\n'),
        ("src/cost/cost.cc", LICENCE + "const Op* op = &op_mvau;\n"),
        ("rtl/stream/fst_queue.sv", LICENCE + "module fst_queue;\n  CARRY4 chain ();\nendmodule\n"),
        ("src/ops/mvau/op.cc", LICENCE + 'emit("LUT6_2");\n'),
    ],
    "includes": [
        ("src/util/error.h", LICENCE + "#pragma once\nstd::vector<int> levels;\n"),
        ("src/sim/simulate.cc", LICENCE + '#include "src/ir/graph.h"\nstd::string text = fmt::to_string(1);\n'),
        ("src/CMakeLists.txt", "# " + LICENCE[3:] + "set(common_headers <map> <vector>)\n"),
        ("src/cli/build.cc", LICENCE + "#include <CLI/CLI.hpp>\n"),
        ("src/train/muon.h", LICENCE + "#include <torch/torch.h>\n"),
    ],
    "licences": [
        ("src/util/new.cc", "int x;\n"),
        ("demo", "#!/usr/bin/env bash\necho\n"),
        ("rtl/stream/fst_queue.sv", "\n" + LICENCE + "module fst_queue;\nendmodule\n"),
    ],
    "paths": [
        ("docs/page.md", "It lies in /" + "home/somebody/tree.\n"),
        ("src/util/new.cc", LICENCE + 'open("/' + 'root/file");\n'),
        ("src/util/new.cc", LICENCE + 'fetch("https:' + '//example.org");\n'),
    ],
    "modules": [
        ("rtl/stream/fst_two.sv", LICENCE + "module fst_two;\nendmodule\nmodule fst_three;\nendmodule\n"),
        ("rtl/stream/fst_name.sv", LICENCE + "module fst_other;\nendmodule\n"),
        ("rtl/tech/xilinx/fst_carry.sv", LICENCE + "module fst_carry;\nendmodule\n"),
    ],
}


def run(rule, tree):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in tree.items():
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        result = subprocess.run([sys.executable, RULES, rule, folder], capture_output=True, text=True)
        return result.returncode, result.stdout


class RulesTest(unittest.TestCase):
    def test_clean_tree_passes(self):
        for rule in BREACHES:
            with self.subTest(rule):
                self.assertEqual(run(rule, CLEAN), (0, f"{rule}: 0 breaches\n"))

    def test_each_breach_is_found(self):
        for rule, changes in BREACHES.items():
            for name, text in changes:
                with self.subTest(rule, name=name, text=text):
                    status, output = run(rule, CLEAN | {name: text})
                    self.assertEqual(status, 1, output)
                    self.assertIn("1 breaches", output)
                    self.assertIn(pathlib.PurePath(name).stem, output)


if __name__ == "__main__":
    unittest.main()
