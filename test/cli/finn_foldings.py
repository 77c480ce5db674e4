#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""FINN's shipped folding files against the folding search at the same interval: finn_foldings.py FOLD_BENCH ROOT.

Needs ../shared of ROOT and says so where it is absent. For no network may the search find a dearer folding.
"""

import pathlib
import subprocess
import sys

PROGRAM, SHARED = sys.argv[1], pathlib.Path(sys.argv[2]).resolve().parent / "shared"
FILES = SHARED / "reference/finn/folding_configs"
NETWORKS = ["tfc-w1a1", "tfc-w1a2", "tfc-w2a2", "cnv-w1a1", "cnv-w1a2", "cnv-w2a2"]


def main():
    if not FILES.is_dir():
        print("skipped: there is no ../shared")
        return 77
    failed = False
    for name in NETWORKS:
        done = subprocess.run([PROGRAM, str(SHARED / "models" / f"{name}.onnx"), str(FILES / f"{name}_folding_config.json")],
                              capture_output=True, text=True, timeout=300, check=False)
        print(f"{name}\n{done.stdout}{done.stderr}", flush=True)
        failed = failed or done.returncode != 0 or "proved optimal" not in done.stdout
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
