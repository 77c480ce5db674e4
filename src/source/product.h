// SPDX-License-Identifier: Apache-2.0
// Products of matrices as the float reference needs them: summed in double, in an order that is the
// same on every machine.
#pragma once

#include <cstdint>

namespace foldstream {

// Columns that are computed side by side; operands `b` come in panels of that many.
constexpr int64_t kPanelColumns = 8;

// y[r][j] += sum over k < inner of a[r][k] * b[k][j] for `rows` rows and kPanelColumns columns, one
// product after the other.
// Rows of a lie stride_a apart, rows of y stride_y, rows of b kPanelColumns.
void add_product(const double* a, int64_t stride_a, int64_t rows, const double* b, int64_t inner,
                 double* y, int64_t stride_y);

// y[r][j] += sum over k < inner of x[r][k] * w[k][j] for `rows` rows and `columns` columns, all
// side by side in memory; four products are added to each other first, by pairs, then to y.
void add_rows(const double* x, int64_t rows, const double* w, int64_t inner, int64_t columns,
              double* y);

}  // namespace foldstream
