// SPDX-License-Identifier: MIT
// xent/detail/reduce.hpp - losses of rows to one loss, and the arrays that results come in.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/access.hpp>
#include <xent/detail/accumulate.hpp>
#include <xent/detail/parallel.hpp>
#include <xent/detail/scalar.hpp>
#include <xent/reduction.hpp>

#include <Eigen/Core>

#include <type_traits>

namespace xent::detail {

/// Threads share rows only where reading one has no side effects and writing one needs no allocation.
template <DenseArray T>
inline constexpr bool threads_allowed =
    in_memory<T> && std::is_floating_point_v<typename ResultScalarOf<typename T::Scalar>::type>;

template <class T>
using WorkOf = Work<typename std::remove_cvref_t<T>::Scalar>;
template <class T>
using WideOf = Wide<typename std::remove_cvref_t<T>::Scalar>;

template <RealArray Logits>
using RowResults = Eigen::Array<ResultScalar<Logits>, is_sample<Logits> ? 1 : int(Logits::RowsAtCompileTime), 1>;

template <DenseArray T>
inline constexpr bool row_major = (int(T::PlainObject::Options) & int(Eigen::RowMajor)) != 0;

/// A plain array of the shape and storage order of T, for functions that return one.
template <DenseArray T, class Scalar = typename T::Scalar>
using PlainArray = Eigen::Array<Scalar, int(T::RowsAtCompileTime), int(T::ColsAtCompileTime),
                                row_major<T> ? int(Eigen::RowMajor) : int(Eigen::ColMajor),
                                int(T::MaxRowsAtCompileTime), int(T::MaxColsAtCompileTime)>;

/// Stands for the gradient where none is wanted.
struct NoGradient {};

template <class W, class Scalar>
void fill(const Row<Scalar>& row, const W& value) {
  for (Index k = 0; k < row.size; ++k) row[k] = narrow<Scalar>(value);
}

/// What the sum of the losses is divided by.
template <Reduction R, class V, class Terms>
V mean_divisor(const Terms& terms, Index rows) {
  if constexpr (R != Reduction::mean) {
    return V(1);
  } else {
    Sum<V> total;
    for (Index i = 0; i < rows; ++i) {
      if (!terms.absent(i)) total.add(terms.share(i));
    }
    return total.value();
  }
}

/// Runs row_loss(i, divisor) over all rows that are not absent, in chunks, and reduces.
/// clear(i) writes the gradient of an absent row.
template <Reduction R, class Result, class V, bool threads, class Losses, class Terms, class RowLoss, class Clear>
auto reduce_rows(Index rows, Index classes, const Terms& terms, const RowLoss& row_loss, const Clear& clear) {
  const V divisor = mean_divisor<R, V>(terms, rows);
  if constexpr (R == Reduction::none) {
    Losses losses(rows);
    for_chunks<threads>(rows, rows * classes, [&](Index, Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        losses[i] = terms.absent(i) ? (clear(i), Result(0)) : narrow<Result>(row_loss(i, divisor));
      }
    });
    return losses;
  } else {
    if (R == Reduction::mean && divisor == V(0)) {
      for (Index i = 0; i < rows; ++i) clear(i);
      return narrow<Result>(quiet_nan<V>());
    }
    const Sum<V> total = sum_chunks<threads, Sum<V>>(rows, rows * classes, [&](Index begin, Index end) {
      Sum<V> part;
      for (Index i = begin; i < end; ++i) {
        if (terms.absent(i)) {
          clear(i);
        } else {
          part.add(row_loss(i, divisor));
        }
      }
      return part;
    });
    return narrow<Result>(V(total.value() / divisor));
  }
}

}  // namespace xent::detail
