// SPDX-License-Identifier: Apache-2.0
#include "src/ops/mvau/mvau.h"

namespace foldstream::mvau {

int64_t pipeline_stages(const Node&, const Folding&) { return 3; }

}  // namespace foldstream::mvau
