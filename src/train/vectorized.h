// SPDX-License-Identifier: Apache-2.0
// Marks of inner loops.
#pragma once

// One copy of a function for each width of vectors. Contraction is off in the whole build, so all
// copies round alike. The sanitizers and the loader of clones don't go together.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define FOLDSTREAM_VECTORIZED __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOLDSTREAM_VECTORIZED
#endif

#define FOLDSTREAM_ALONE __restrict__  // no other operand overlaps it
