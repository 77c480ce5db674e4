// SPDX-License-Identifier: Apache-2.0
#include "src/rtl/axilite.h"

#include <fmt/format.h>

#include "src/rtl/writable.h"

namespace foldstream {

void add_axilite(SvModule& module, int address_bits) {
  SvBindings ports{{"clk_i", "aclk"}, {"rst_i", "rst"}};
  const auto port = [&](const std::string& name, int width, bool output) {
    const std::string outside = "s_axilite_" + name;
    output ? module.output(outside, width) : module.input(outside, width);
    ports.emplace_back(outside + (output ? "_o" : "_i"), outside);
  };
  for (const char* channel : {"aw", "w", "ar"}) {
    port(fmt::format("{}valid", channel), 1, false);
    port(fmt::format("{}ready", channel), 1, true);
    if (*channel == 'w') {
      port("wdata", kBusBits, false);
      port("wstrb", kBusBits / 8, false);
    } else {
      port(fmt::format("{}addr", channel), address_bits, false);
    }
  }
  for (const char* channel : {"b", "r"}) {
    port(fmt::format("{}valid", channel), 1, true);
    port(fmt::format("{}ready", channel), 1, false);
    port(fmt::format("{}resp", channel), 2, true);
  }
  port("rdata", kBusBits, true);
  for (const auto& [name, width] :
       {std::pair{"bus_write", 1}, std::pair{"bus_address", address_bits - 2},
        std::pair{"bus_data", int{kBusBits}}, std::pair{"bus_answer", int{kBusBits}},
        std::pair{"bus_mapped", 1}}) {
    module.wire(name, width);
  }
  ports.insert(ports.end(), {{"bus_write_o", "bus_write"},
                             {"bus_address_o", "bus_address"},
                             {"bus_data_o", "bus_data"},
                             {"bus_data_i", "bus_answer"},
                             {"bus_mapped_i", "bus_mapped"}});
  module.instance(
      kAxilite, "u_axilite",
      {{"AddressWidth", std::to_string(address_bits)}, {"Latency", std::to_string(kBusLatency)}},
      ports);
}

}  // namespace foldstream
