# SPDX-License-Identifier: Apache-2.0
"""Proves that each cell's body for a device family equals its behavioural twin, and that the proof can fail.

Yosys reads both bodies, builds a miter with its own simulation models of the vendor primitives, and asks its SAT solver
for an input on which they differ. There is no open model of DSP48E2: of fst_multiply_chain the form with DSP48E1 is proved,
which has the same ports, registers and modes. For each cell one deliberately broken twin must be told apart.
"""
import pathlib
import random
import re
import sys
import tempfile

import pyosys
from pyosys import libyosys as ys

ROOT = pathlib.Path(__file__).resolve().parents[2]
GENERIC = ROOT / "rtl/tech/generic"
XILINX = ROOT / "rtl/tech/xilinx"


def primitives(folder):
    """Writes the models of the primitives that the cells use; Yosys ships them without a licence to copy here."""
    text = (pathlib.Path(pyosys.__file__).parent / "share/xilinx/cells_sim.v").read_text()
    out = ""
    for name in ("LUT6", "LUT6_2", "CARRY4", "DSP48E1"):
        module = re.search(rf"^module {name}\b.*?^endmodule", text, re.S | re.M).group(0)
        # Timing and checks are not needed, and what `carryout_reset` initializes isn't used.
        module = re.sub(r"`ifn?def YOSYS.*?`endif|specify.*?endspecify|initial CARRYOUT = .*?;", "", module, flags=re.S)
        out += module + "\n"
    path = folder / "primitives.v"
    path.write_text(out)
    return path


def differs(cell, parameters, gold_text, folder):
    """True when the twin `gold_text` and the family's body give different outputs for some input."""
    gold = folder / "gold.sv"
    gold.write_text(gold_text)
    values = " ".join(f"-G {name}={value}" for name, value in parameters.items())
    design = ys.Design()

    def run(command):
        ys.run_pass(command, design)

    run(f"read_slang --top {cell} {values} {gold}")
    run("proc; flatten; opt_clean")
    run("rename -top gold")
    run("design -stash gold")
    run(f"read_slang --top {cell} {values} -y {XILINX} {XILINX / cell}.sv {folder / 'primitives.v'}")
    run("proc; flatten; opt_clean")
    run("rename -top gate")
    run("design -copy-from gold -as gold gold")
    run("miter -equiv -flatten -make_outputs gold gate miter")
    run("hierarchy -top miter")
    run("opt -full miter")
    found = folder / "found.json"
    found.unlink(missing_ok=True)
    # A pipeline without feedback is proved by the first cycle whose outputs no longer depend on the registers' first values.
    latency = int(parameters["Lanes"]) + 1 if cell == "fst_multiply_chain" else 0
    cycles = f"-seq {latency + 1} -prove-skip {latency}" if latency else ""
    # -dump_json writes a counter-example only where there is one.
    run(f"sat {cycles} -prove trigger 0 -dump_json {found} miter")
    return found.exists()


def cases(random_values):
    """(cell, parameters) for every kind of use; the parameters that are free get random values."""
    for stages in (1, 2, 3, 4, 6):
        pairs = (stages + 1) // 2
        for _ in range(6):
            shape, invert = 0, 0
            for k in range(pairs):
                kind = 2 if 2 * k + 1 == stages else random_values.randrange(3)
                shape |= kind << (2 * k)
                invert |= random_values.getrandbits({0: 5, 1: 5, 2: 4}[kind]) << (6 * k)
            yield "fst_counter_chain", {"Stages": stages, "Shape": shape, "Invert": invert}
    for stages in (1, 2, 3, 4):
        for gate in (0, 1, 2):
            for _ in range(4):
                negate = random_values.getrandbits(2 * stages)
                if gate == 2:
                    negate &= 0x5555
                yield "fst_product_chain", {"Stages": stages, "Gate": gate, "Negate": negate}
    for stages in (1, 3, 4, 5):
        for _ in range(2):
            yield "fst_compare_chain", {"Stages": stages, "Pass": random_values.getrandbits(32 * stages),
                                        "Verdict": random_values.getrandbits(32 * stages)}
    for stages in (1, 4, 7):
        yield "fst_carry_chain", {"Stages": stages}
    for width, addend, signed in ((1, 1, 0), (5, 3, 0), (8, 8, 0), (9, 4, 1)):
        yield "fst_accumulate", {"Width": width, "AddendWidth": addend, "AddendSigned": signed}
    for invert in range(8):
        yield "fst_full_adder", {"Invert": invert}
    # Whole sums of one product; of several, whose solver would not end, the lower bits: when each lane comes and what it adds.
    for lanes, factor, bits in ((1, 3, 48), (2, 2, 10), (3, 2, 8), (4, 2, 8)):
        yield "fst_multiply_chain", {"Lanes": lanes, "FactorBits": factor, "SumBits": bits,
                                     "Subtract": random_values.getrandbits(25)}
    for _ in range(3):
        yield "fst_table", {"Table": random_values.getrandbits(64)}
        yield "fst_table_pair", {"Table0": random_values.getrandbits(32), "Table1": random_values.getrandbits(32)}


# One change of the generic twin for each cell; it must be found with the first parameters above.
BROKEN = {
    "fst_counter_chain": ("(2 * Pairs + 1)'(carry_i)", "(2 * Pairs + 1)'(1'b0)"),
    "fst_product_chain": ("(Stages + 2)'(carry_i)", "(Stages + 2)'(1'b1)"),
    "fst_compare_chain": ("verdict[0] = 1'b1", "verdict[0] = address_i[0]"),
    "fst_carry_chain": ("carry[s] : generate_i[s]", "carry[s] : propagate_i[s]"),
    "fst_accumulate": ("first_i ? initial_i", "!first_i ? initial_i"),
    "fst_multiply_chain": ("wide - Subtract", "wide + Subtract"),
    "fst_full_adder": ("bits_i ^ Invert", "bits_i"),
    "fst_table": ("Table[address_i]", "Table[address_i ^ 6'd32]"),
    "fst_table_pair": ("{Table1[address_i], Table0[address_i]}", "{Table0[address_i], Table1[address_i]}"),
}


def verilog(name, value):
    widths = {"Table": 64, "Table0": 32, "Table1": 32, "Subtract": 25}
    if name in ("Subtract", "Pass", "Verdict", "Table", "Table0", "Table1", "Invert", "Shape", "Negate"):
        return f"{widths.get(name, max(1, value.bit_length()))}'h{value:x}"
    return str(value)


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="equivalence_"))
    primitives(folder)
    chosen = list(cases(random.Random(1)))
    covered = {cell for cell, _ in chosen}
    for body in sorted(XILINX.glob("*.sv")):
        assert body.stem in covered, f"{body.stem} has no proof"
    failures = 0
    broken_found = set()
    for cell, raw in chosen:
        parameters = {name: verilog(name, value) for name, value in raw.items()}
        twin = (GENERIC / f"{cell}.sv").read_text()
        if differs(cell, parameters, twin, folder):
            print(f"FAIL {cell} {parameters}: the bodies differ")
            failures += 1
        old, new = BROKEN[cell]
        assert old in twin, f"{cell}: the text to break is gone"
        if cell not in broken_found and differs(cell, parameters, twin.replace(old, new), folder):
            broken_found.add(cell)
    for cell in sorted(covered - broken_found):
        print(f"FAIL {cell}: a broken twin was not told apart")
        failures += 1
    print(f"{len(chosen)} proofs of {len(covered)} cells, {len(broken_found)} broken twins told apart, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
