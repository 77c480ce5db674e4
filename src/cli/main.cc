// SPDX-License-Identifier: Apache-2.0
// The command `foldstream`. Exit status: 0 done, 1 the answer is no, 2 wrong use or wrong input.
#include <csignal>
#include <cstdio>
#include <exception>
#include <iostream>
#include <new>
#include <string>

#include "src/cli/command.h"
#include "src/util/error.h"
#include "src/util/interrupt.h"

namespace foldstream {

namespace {

int report(const std::string& message, const std::string& help) {
  std::cerr << "error: " << message << "\n";
  if (!help.empty()) std::cerr << "  help: " << help << "\n";
  return kWrongUse;
}

int run(int argc, char** argv) {
  Program program(
      "foldstream",
      "Turns a quantized neural network (QONNX) into a streaming dataflow accelerator that "
      "computes the same integers.",
      "foldstream " FOLDSTREAM_VERSION);
  add_inspect(program);
  add_build(program);
  add_run(program);
  add_eval(program);
  add_estimate(program);
  add_explore(program);
  add_sim(program);
  add_synth(program);
  add_image(program);
  add_train(program);
  add_bench(program);
  add_quantize(program);
  add_opt(program);
  const int status = program.run(argc, argv);
  std::cout.flush();
  if (!std::cout) return report("can't write to standard output", "");
  return status;
}

}  // namespace
}  // namespace foldstream

int main(int argc, char** argv) {
  using namespace foldstream;
  catch_interrupts();
  try {
    return run(argc, argv);
  } catch (const Error& error) {
    return report(error.what(), error.help());
  } catch (const Interrupted& interrupted) {
    // Everything begun has been cleaned up; end as whoever sent the signal expects.
    std::signal(interrupted.signal, SIG_DFL);
    std::raise(interrupted.signal);
    return kWrongUse;
  } catch (const std::bad_alloc&) {
    return report("not enough memory for this model",
                  "close other programs or use a larger machine");
  } catch (const std::exception& error) {
    return report(std::string("unexpected: ") + error.what(),
                  "this is a mistake in Foldstream; please report it with the model");
  }
}
