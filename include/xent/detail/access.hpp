// SPDX-License-Identifier: MIT
// xent/detail/access.hpp - rows and coefficients of any Eigen argument, without a copy of the whole.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/scalar.hpp>

#include <Eigen/Core>

#include <array>
#include <cstddef>  // std::size_t
#include <type_traits>
#include <utility>  // std::declval

namespace xent::detail {

using Eigen::Index;

/// A vector of logits is one sample: its entries are the classes.
template <DenseArray T>
inline constexpr bool is_sample = bool(T::IsVectorAtCompileTime);

template <DenseArray T>
Index row_count(const T& x) {
  return is_sample<T> ? 1 : x.rows();
}

template <DenseArray T>
Index class_count(const T& x) {
  return is_sample<T> ? x.size() : x.cols();
}

/// Reads single coefficients, whatever the expression. Eigen's evaluator is made once, so that a product inside the
/// expression is computed once and not for each row. A sample is read as a single row, whichever way it lies.
template <DenseArray T, bool sample = is_sample<T>>
class Coefficients {
 public:
  using Scalar = typename T::Scalar;

  explicit Coefficients(const T& x) : evaluator_(x.derived()), one_column_(x.cols() == 1) {}

  Scalar operator()(Index row, Index column) const {
    return sample && upright() ? evaluator_.coeff(column, Index(0)) : evaluator_.coeff(row, column);
  }

 private:
  using Derived = std::remove_cvref_t<decltype(std::declval<const T&>().derived())>;

  /// Known without looking where T is a vector: loops over labels are shorter then.
  bool upright() const { return T::IsVectorAtCompileTime ? int(T::ColsAtCompileTime) == 1 : one_column_; }

  Eigen::internal::evaluator<Derived> evaluator_;
  bool one_column_;
};

/// One row in memory: `size` scalars, `stride` apart.
template <class Scalar>
struct Row {
  Scalar* data;
  Index stride;
  Index size;

  Scalar& operator[](Index k) const { return data[k * stride]; }
};

template <class T>
inline constexpr bool in_memory = (std::remove_cvref_t<T>::Flags & Eigen::DirectAccessBit) != 0;

/// The cells of an array that stands in memory; a sample is seen as a single row, whichever way it lies.
template <class Scalar>
struct Cells {
  Scalar* data;
  Index row_stride;
  Index column_stride;
  Index columns;

  Scalar& operator()(Index i, Index k) const { return data[i * row_stride + k * column_stride]; }
  Row<Scalar> row(Index i) const { return {data + i * row_stride, column_stride, columns}; }
};

template <bool sample, class T>
  requires in_memory<T>
auto cells(T& x) {
  using Scalar = std::remove_reference_t<decltype(*x.data())>;
  if constexpr (sample) {
    return Cells<Scalar>{x.data(), 0, x.cols() == 1 ? x.rowStride() : x.colStride(), x.size()};
  } else {
    return Cells<Scalar>{x.data(), x.rowStride(), x.colStride(), x.cols()};
  }
}

/// The rows of the logits: views where they stand in memory, otherwise each coefficient is evaluated once into `scratch`.
template <RealArray T>
class Rows {
 public:
  using Scalar = typename T::Scalar;

  explicit Rows(const T& x) : source_(x) {}

  template <class ScratchScalar>
  auto operator()(Index i, const Row<ScratchScalar>& scratch) const {
    if constexpr (in_memory<T>) {
      return cells<is_sample<T>>(source_).row(i);
    } else {
      for (Index k = 0; k < scratch.size; ++k) scratch[k] = ScratchScalar(source_(i, k));
      return Row<const ScratchScalar>{scratch.data, scratch.stride, scratch.size};
    }
  }

 private:
  std::conditional_t<in_memory<T>, const T&, Coefficients<T>> source_;
};

/// Room for one evaluated row: on the stack where it is short.
template <RealArray T>
class RowScratch {
 public:
  using Scalar = typename T::Scalar;

  explicit RowScratch(Index classes) : size_(classes), long_row_(classes <= short_size ? 0 : classes) {}
  Row<Scalar> row() { return {size_ <= short_size ? short_row_.data() : long_row_.data(), 1, size_}; }

 private:
  static constexpr Index short_size = std::is_arithmetic_v<Scalar> ? 64 : 0;

  Index size_;
  std::array<Scalar, std::size_t(short_size)> short_row_;
  Eigen::Array<Scalar, Eigen::Dynamic, 1> long_row_;
};

/// None for logits that stand in memory: they are read where they are.
template <RealArray T>
  requires in_memory<T>
class RowScratch<T> {
 public:
  explicit RowScratch(Index) {}
  Row<typename T::Scalar> row() { return {nullptr, 1, 0}; }
};

}  // namespace xent::detail
