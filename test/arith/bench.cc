// SPDX-License-Identifier: Apache-2.0
// Clocks the generated cases until all have finished; exit status 1 where one differed.
#include <cstdio>
#include <memory>

#include "Vcheck_all.h"
#include "verilated.h"

int main() {
  const auto context = std::make_unique<VerilatedContext>();
  const auto top = std::make_unique<Vcheck_all>(context.get());
  for (int step = 0; step < 100000 && !top->done_o; ++step) {
    top->clk_i = 0;
    top->eval();
    top->clk_i = 1;
    top->eval();
  }
  std::printf("%s, %u differences\n", top->done_o ? "finished" : "not finished", top->errors_o);
  return top->done_o && top->errors_o == 0 ? 0 : 1;
}
