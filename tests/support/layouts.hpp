// SPDX-License-Identifier: MIT
// tests/support/layouts.hpp - the same numbers in every form in which Eigen can hold or compute them.
#pragma once

#include "exact.hpp"

#include <vector>

namespace support {

/// Calls visit(name, array) with arrays equal to `values`, one for each way of laying them out.
template <class Scalar, class Visit>
void for_each_layout(Rows<Scalar> const& values, Visit visit) {
  Index const rows = values.rows();
  Index const cols = values.cols();
  using ColMatrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
  using RowMatrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Strides = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;

  visit("row-major array", values);
  visit("column-major array", Cols<Scalar>(values));
  ColMatrix const matrix = values.matrix();
  visit("column-major matrix", matrix);
  visit("row-major matrix", RowMatrix(values.matrix()));
  visit("matrix seen as an array", matrix.array());

  std::vector<Scalar> memory(static_cast<std::size_t>(4 * (rows + 3) * (cols + 3)), Scalar(77));
  Eigen::Map<Rows<Scalar>> shifted(memory.data() + 1, rows, cols);
  shifted = values;
  visit("row-major map off alignment", shifted);
  Eigen::Map<Rows<Scalar>, 0, Eigen::OuterStride<>> padded(memory.data(), rows, cols, Eigen::OuterStride<>(cols + 3));
  padded = values;
  visit("row-major map with padding", padded);
  Eigen::Map<Cols<Scalar>, 0, Strides> strided(memory.data() + 1, rows, cols, Strides(2 * rows + 5, 2));
  strided = values;
  visit("column-major map with two strides", strided);

  Cols<Scalar> frame = Cols<Scalar>::Constant(rows + 2, cols + 3, Scalar(77));
  frame.block(1, 2, rows, cols) = values;
  visit("block of a column-major array", frame.block(1, 2, rows, cols));
  Eigen::Ref<Cols<Scalar> const> const reference = frame.block(1, 2, rows, cols);
  visit("reference", reference);

  Cols<Scalar> const classes_in_rows = values.transpose();
  visit("transpose of classes in rows", classes_in_rows.transpose());
  Cols<Scalar> const half = values / Scalar(2);
  visit("expression", half + half);
  Rows<Scalar> const backwards = values.rowwise().reverse();
  visit("reversed expression", backwards.rowwise().reverse());
}

/// The few layouts that differ most, for tests of values rather than of layouts: they compile faster.
template <class Scalar, class Visit>
void for_main_layouts(Rows<Scalar> const& values, Visit visit) {
  visit("row-major array", values);
  visit("column-major array", Cols<Scalar>(values));
  Cols<Scalar> const half = values / Scalar(2);
  visit("expression", half + half);
}

}  // namespace support
