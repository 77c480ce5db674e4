# SPDX-License-Identifier: Apache-2.0
"""Unbounded proofs on SystemVerilog with the tools of the pyosys wheel alone: Yosys to AIGER, ABC's pdr.

prove()           assertions of a harness module
moore()           no path through logic from an input to a valid or a ready: checked on the netlist, bit by bit
prove_operator()  both for any module with streams: beats stable until taken, none lost, none invented, Moore

A proof is only worth something if it can fail, so each takes mutants: (file name, old text, new text), applied to a
scratch copy, each of which must be refuted.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RTL = ROOT / "rtl"
# Logic that holds nothing; whatever else a netlist contains after mapping ends a path.
REGISTERS = re.compile(r"\$_?(S?DFF|ALDFF|DLATCH|SR|FF)|\$(dff|sdff|adff|ff|dlatch|mem)")


class ProofError(Exception):
    """The proof could not be run at all, which is neither proved nor refuted."""


@dataclasses.dataclass
class Verdict:
    """What ABC or the netlist walk found: `detail` is the frame of a counterexample, or the path."""

    holds: bool
    detail: str
    seconds: float


@contextlib.contextmanager
def quiet(log):
    """Sends everything Yosys writes, past sys.stdout too, to the file `log`."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    with open(log, "wb") as sink:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            for number, saved in zip((1, 2), kept):
                os.dup2(saved, number)
                os.close(saved)


def run_yosys(commands, folder):
    """Runs Yosys commands in a process of its own, since an error there ends the process."""
    script = ("import sys\nfrom pyosys import libyosys as ys\ndesign = ys.Design()\n"
              "for command in open(sys.argv[1]).read().splitlines():\n    ys.run_pass(command, design)\n")
    listing = pathlib.Path(folder) / "commands.ys"
    listing.write_text("\n".join(commands))
    done = subprocess.run([sys.executable, "-c", script, str(listing)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if "error" in line.lower()]
        raise ProofError("\n".join(lines[:4]) or f"yosys ended with {done.returncode}")


def read_command(files, top, parameters, formal):
    values = " ".join(f"-G {name}={value}" for name, value in (parameters or {}).items())
    define = "--no-synthesis-define" if formal else ""
    sources = " ".join(str(path) for path in files)
    return f"read_slang -j 1 {define} -I {RTL} {values} --top {top} {sources}"


def abc_program():
    import pyosys

    return pathlib.Path(pyosys.__file__).parent / "yosys-abc"


def prove(files, top, parameters=None, cut=(), limit=100):
    """Proves every assertion below `top`, which has no outputs; `cut` names wires made free, with globs."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        model = pathlib.Path(folder) / "model.aig"
        commands = [read_command(files, top, parameters, formal=True), f"hierarchy -check -top {top}", "proc"]
        for wire in cut:
            commands += [f"select -assert-min 1 w:{wire}", f"cutpoint -undef w:{wire}"]
        commands += ["prep -flatten", "memory_map", "async2sync", "chformal -lower", "techmap", "dffunmap",
                     "setundef -undriven -anyseq", "opt_clean", "aigmap",
                     f"write_aiger -zinit {model}"]
        run_yosys(commands, folder)
        header = model.read_bytes().split(b"\n", 1)[0].split()
        assertions = int(header[6]) if len(header) > 6 else 0
        if not assertions or int(header[4]):
            raise ProofError(f"{top}: {assertions} assertions and {header[4].decode()} outputs in the model")
        done = subprocess.run([str(abc_program()), "-c", f"read_aiger {model}; fold; strash; orpos; pdr -T {limit}"],
                              capture_output=True, text=True, check=False)
    text = done.stdout + done.stderr
    seconds = time.monotonic() - start
    refuted = re.search(r"was asserted in frame (\d+)", text)
    if refuted:
        return Verdict(False, f"frame {refuted[1]}", seconds)
    if "Property proved" in text:
        return Verdict(True, f"{assertions} assertions", seconds)
    raise ProofError(f"{top}: no answer within {limit} s")


def moore(files, top, parameters=None, ports=r"(m\w*_valid|s\w*_ready|[sm]_axi\w*_\w+(valid|ready))_o$"):
    """Walks back from the named outputs through logic, bit by bit; holds if that meets only registers and constants."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        netlist = pathlib.Path(folder) / "netlist.json"
        run_yosys([read_command(files, top, parameters, formal=False), f"hierarchy -check -top {top}", "prep -flatten",
                   "memory_map", "techmap", "opt_clean", f"write_json {netlist}"], folder)
        module = json.loads(netlist.read_text())["modules"][top]
    inputs = {bit: name for name, port in module["ports"].items() if port["direction"] == "input"
              for bit in port["bits"]}
    driver = {}
    for cell in module["cells"].values():
        sources = [bit for port, bits in cell["connections"].items() if cell["port_directions"][port] == "input"
                   for bit in bits]
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "output":
                for bit in bits:
                    driver[bit] = [] if REGISTERS.match(cell["type"]) else sources
    checked = 0
    for name, port in module["ports"].items():
        if port["direction"] != "output" or not re.match(ports, name):
            continue
        checked += 1
        pending, seen = list(port["bits"]), set()
        while pending:
            bit = pending.pop()
            if isinstance(bit, str) or bit in seen:
                continue
            seen.add(bit)
            if bit in inputs:
                return Verdict(False, f"{inputs[bit]} reaches {name}", time.monotonic() - start)
            pending += driver.get(bit, [])
    if not checked:
        raise ProofError(f"{top}: no valid or ready among its outputs")
    return Verdict(True, f"{checked} ports", time.monotonic() - start)


@contextlib.contextmanager
def mutated(files, mutant):
    """The files with one of them replaced by a copy in which old text is new; the old text must be there once."""
    name, old, new = mutant
    with tempfile.TemporaryDirectory() as folder:
        result = []
        found = 0
        for path in map(pathlib.Path, files):
            if path.name == name:
                text = path.read_text()
                found += text.count(old)
                path = pathlib.Path(folder) / name
                path.write_text(text.replace(old, new))
            result.append(path)
        if found != 1:
            raise ProofError(f"mutant of {name}: '{old}' is there {found} times, expected once")
        yield result


def report(name, check, files, mutants):
    """Runs check(files), which must hold, and check on every mutant, which must not; prints a line; true if so."""
    try:
        verdict = check(files)
        line = f"{name}: {'holds' if verdict.holds else 'REFUTED'}, {verdict.detail}, {verdict.seconds:.1f} s"
        good = verdict.holds
        for mutant in mutants:
            with mutated(files, mutant) as changed:
                twin = check(changed)
            line += f"; twin {'PROVED' if twin.holds else 'refuted'}, {twin.detail}"
            good = good and not twin.holds
        if not mutants:
            line += "; NO TWIN"
            good = False
    except ProofError as error:
        good, line = False, f"{name}: NOT RUN: {error}"
    print(("ok   " if good else "FAIL ") + line, flush=True)
    return good


@dataclasses.dataclass
class Stream:
    """One stream of a module: ports PREFIX_valid_i, PREFIX_ready_o, PREFIX_data_i, or the mirror of these."""

    prefix: str
    width: int
    places: int = 0  # of the store or holding register behind an input: beats taken ahead of the steps


@dataclasses.dataclass(frozen=True)
class Step:
    """One step: beats it needs beyond those before it and beats it frees, by input; beats it gives, by output."""

    needs: tuple
    frees: tuple
    gives: tuple

    @staticmethod
    def plain(takes, *gives):
        """A step of a block without stores, which frees what it needs."""
        return Step(takes, takes, gives)


def operator_harness(top, parameters, inputs, outputs, steps, capacity, response):
    """A module that holds `top` in the schedule `steps`; see prove_operator."""
    takes = [sum(step.needs[i] for step in steps) for i in range(len(inputs))]
    # By output and beat: the input beats that must have been taken for the step that gives it to issue, and the most
    # that can have been taken as long as it has not issued.
    need, before = [[] for _ in outputs], [[] for _ in outputs]
    needed, freed = [0] * len(inputs), [stream.places for stream in inputs]
    for step in steps:
        needed = [count + more for count, more in zip(needed, step.needs)]
        for o, give in enumerate(step.gives):
            if give:
                need[o].append(needed)
                before[o].append(freed)
        freed = [count + more for count, more in zip(freed, step.frees)]
    lines = ["module harness (", "  input logic clk_i"]
    for stream in inputs:
        lines += [f"  , input logic {stream.prefix}_valid_i",
                  f"  , input logic [{stream.width - 1}:0] {stream.prefix}_data_i"]
    for stream in outputs:
        lines += [f"  , input logic {stream.prefix}_ready_i"]
    lines += [");", "  logic started_q;", "  initial started_q = 1'b0;",
              "  always_ff @(posedge clk_i) started_q <= 1'b1;"]
    connections = [".clk_i", ".rst_i(!started_q)"]
    for stream in inputs:
        lines.append(f"  logic {stream.prefix}_ready_o;")
        connections += [f".{stream.prefix}_{port}" for port in ("valid_i", "ready_o", "data_i")]
    for stream in outputs:
        lines += [f"  logic {stream.prefix}_valid_o;", f"  logic [{stream.width - 1}:0] {stream.prefix}_data_o;"]
        connections += [f".{stream.prefix}_{port}" for port in ("valid_o", "ready_i", "data_o")]
    values = ", ".join(f".{name}({value})" for name, value in (parameters or {}).items())
    lines.append(f"  {top} #({values}) dut ({', '.join(connections)});" if values
                 else f"  {top} dut ({', '.join(connections)});")
    for i, stream in enumerate(inputs):
        lines += [f"  logic [15:0] taken_{i};",
                  f"  wire take_{i} = {stream.prefix}_valid_i && {stream.prefix}_ready_o;",
                  f"  wire frame_{i} = take_{i} && taken_{i} == {takes[i] - 1};"]
    for o, out in enumerate(outputs):
        gives = len(need[o])
        lines += [f"  logic held_{o}, late_{o}; logic [{out.width - 1}:0] data_{o};",
                  f"  logic [15:0] beat_{o}, wait_{o};",
                  f"  wire give_{o} = {out.prefix}_valid_o && {out.prefix}_ready_i;",
                  f"  wire last_{o} = give_{o} && beat_{o} == {gives - 1};"]
        enough, within, room = [], [], []
        for i, stream in enumerate(inputs):
            ahead, count = f"ahead_{i}_{o}", f"taken_{i}"
            lines += [f"  logic [7:0] {ahead};"]
            # one frame further on, or as far into this frame as beat k needs
            enough.append("(" + " || ".join([f"{ahead} != 0"] + [
                f"(beat_{o} == {k} && {count} >= {need[o][k][i]})" for k in range(gives)]) + ")")
            # not past the step that gives the beat for which there is no credit
            bound, free = [], []
            for k in range(gives):
                frames, beat = divmod(k + capacity, gives)
                ahead_frames, most = divmod(before[o][beat][i], takes[i])  # a whole frame is the start of the next
                frames += ahead_frames
                bound.append(f"(beat_{o} == {k} && ({ahead} < {frames} || "
                             f"({ahead} == {frames} && {count} <= {most})))")
                free.append(bound[-1].replace("<=", "<"))
            room.append("(" + " || ".join(free) + ")")
            within.append("(" + " || ".join(bound) + ")")
        lines += [f"  wire enough_{o} = {' && '.join(enough)};", f"  wire within_{o} = {' && '.join(within)};",
                  f"  wire room_{o} = {' && '.join(room)};",
                  f"  assign late_{o} = enough_{o} && !{out.prefix}_valid_o;"]
    lines += ["  logic [15:0] refused;", "  always_ff @(posedge clk_i) begin", "    if (!started_q) begin",
              "      refused <= '0;"]
    for i, _ in enumerate(inputs):
        lines += [f"      taken_{i} <= '0;"] + [f"      ahead_{i}_{o} <= '0;" for o, _ in enumerate(outputs)]
    for o, _ in enumerate(outputs):
        lines += [f"      beat_{o} <= '0; wait_{o} <= '0; held_{o} <= 1'b0;"]
    lines += ["    end else begin"]
    for i, _ in enumerate(inputs):
        lines += [f"      if (take_{i}) taken_{i} <= frame_{i} ? '0 : taken_{i} + 1'b1;"]
        for o, _ in enumerate(outputs):
            lines.append(f"      ahead_{i}_{o} <= ahead_{i}_{o} + 8'(frame_{i}) - 8'(last_{o});")
    for o, out in enumerate(outputs):
        lines += [f"      if (give_{o}) beat_{o} <= last_{o} ? '0 : beat_{o} + 1'b1;",
                  f"      wait_{o} <= late_{o} ? wait_{o} + 1'b1 : '0;",
                  f"      held_{o} <= {out.prefix}_valid_o && !{out.prefix}_ready_i;",
                  f"      data_{o} <= {out.prefix}_data_o;",
                  f"      if (held_{o}) begin",
                  f"        valid_held_{o}: assert ({out.prefix}_valid_o);",
                  f"        data_held_{o}: assert ({out.prefix}_data_o == data_{o});",
                  "      end",
                  f"      if ({out.prefix}_valid_o) nothing_invented_{o}: assert (enough_{o});",
                  f"      nothing_lost_{o}: assert (!(late_{o} && wait_{o} == {response}));",
                  f"      no_overflow_{o}: assert (within_{o});"]
    if len(inputs) == 1:  # with several, ready may wait for the step that the other inputs hold up
        room = " && ".join(f"room_{o}" for o, _ in enumerate(outputs))
        ready = f"{inputs[0].prefix}_ready_o"
        lines += [f"      refused <= {room} && !{ready} ? refused + 1'b1 : '0;",
                  f"      ready_with_room: assert (!({room} && !{ready} && refused == {response}));"]
    lines += ["    end", "  end", "endmodule", ""]
    return "\n".join(lines)


def prove_operator(files, top, inputs, outputs, steps, depth, capacity, parameters=None, mutants=(), moore_mutants=(),
                   cut=(), response=None, name=None):
    """Proves the handshakes of an operator, a line for each of its two proofs; true if all is as it should be.

    files       SystemVerilog files, `top` and all below it
    inputs      Stream list; outputs too
    steps       one frame, a Step list in order
    depth       D of the stall policy, capacity its Q
    mutants     broken twins, (file name, old text, new text), for the assertions; moore_mutants for the netlist check
    cut         wires to leave free, globs allowed, to keep a large data path out of the proof
    response    cycles a beat may take once the inputs it needs are in; the frame and D if not given
    """
    name = name or top
    files = [pathlib.Path(path) for path in files]
    if response is None:
        response = len(steps) + depth + 1
    with tempfile.TemporaryDirectory() as folder:
        harness = pathlib.Path(folder) / "harness.sv"
        harness.write_text(operator_harness(top, parameters, inputs, outputs, steps, capacity, response))
        good = report(f"{name}: beats",
                      lambda some: prove([*some, harness], "harness", cut=cut), files, mutants)
    return report(f"{name}: Moore", lambda some: moore(some, top, parameters), files, moore_mutants) and good
