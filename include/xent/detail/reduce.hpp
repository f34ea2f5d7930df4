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

#include <algorithm>  // std::min
#include <cstddef>    // std::size_t
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

/// The sum of a few numbers, in four strands that a processor can follow at once.
template <class V, class T>
V sum_of(const T* x, int count) {
  V first(0), second(0), third(0), fourth(0);
  int j = 0;
  for (; j + 4 <= count; j += 4) {
    first = first + V(widen(x[j]));
    second = second + V(widen(x[j + 1]));
    third = third + V(widen(x[j + 2]));
    fourth = fourth + V(widen(x[j + 3]));
  }
  V total = (first + second) + (third + fourth);
  for (; j < count; ++j) total = total + V(widen(x[j]));
  return total;
}

/// Of so many rows the shares in the divisor of a mean are asked for at a time.
inline constexpr int most_shares = 1024;

/// What the sum of the losses is divided by.
template <Reduction R, class V, class Terms>
V mean_divisor(const Terms& terms, Index rows) {
  if constexpr (R != Reduction::mean) {
    return V(1);
  } else if constexpr (!requires { terms.plain(); }) {
    return V(double(rows));
  } else {
    if (terms.plain()) return V(double(rows));
    Sum<V> total;
    for (Index begin = 0; begin < rows; begin += most_shares) {
      total.add(terms.sum_of_shares(begin, int(std::min(rows - begin, Index(most_shares)))));
    }
    return total.value();
  }
}

/// Runs losses(begin, end, divisor, take) over parts of the rows, and reduces what take(first, rows, losses, their sum) gets, of
/// rows of the same chunk, which is a multiple of `grain`.
/// clear(i) writes the gradient of a row where there is nothing to take a mean over.
template <Reduction R, class Result, class V, bool threads, class Array, class Terms, class Losses, class Clear>
auto reduce_chunks(Index rows, Index classes, Index grain, const Terms& terms, const Losses& losses,
                   const Clear& clear) {
  const V divisor = mean_divisor<R, V>(terms, rows);
  const Chunks chunks = chunks_of(rows, rows * classes, grain);
  if constexpr (R == Reduction::none) {
    Array results(rows);
    for_parts<threads>(rows, chunks, rows * classes, [&](Index begin, Index end) {
      losses(begin, end, divisor, [&](Index first, int count, const V* loss, const V&) {
        for (int j = 0; j < count; ++j) results[first + j] = narrow<Result>(loss[j]);
      });
    });
    return results;
  } else {
    if (R == Reduction::mean && divisor == V(0)) {
      for (Index i = 0; i < rows; ++i) clear(i);
      return narrow<Result>(quiet_nan<V>());
    }
    const auto add_losses = [&](Index begin, Index end, const auto& total_of) {
      losses(begin, end, divisor, [&](Index first, int, const V*, const V& sum) { total_of(first).add(sum); });
    };
    const Sum<V> total = sum_parts<threads, Sum<V>>(rows, chunks, rows * classes, add_losses);
    return narrow<Result>(V(total.value() / divisor));
  }
}

/// Hands row_loss(i, divisor) of the rows [begin, end) to take. clear(i) writes the gradient of an absent row.
template <class V, class Terms, class RowLoss, class Clear, class Take>
void each_row(const Terms& terms, Index begin, Index end, const V& divisor, const RowLoss& row_loss, const Clear& clear,
              const Take& take) {
  for (Index i = begin; i < end; ++i) {
    V loss = V(0);
    if (terms.absent(i)) {
      clear(i);
    } else {
      loss = row_loss(i, divisor);
    }
    take(i, 1, &loss, loss);
  }
}

template <Reduction R, class Result, class V, bool threads, class Array, class Terms, class RowLoss, class Clear>
auto reduce_rows(Index rows, Index classes, const Terms& terms, const RowLoss& row_loss, const Clear& clear) {
  const auto losses = [&](Index begin, Index end, const V& divisor, const auto& take) {
    each_row(terms, begin, end, divisor, row_loss, clear, take);
  };
  return reduce_chunks<R, Result, V, threads, Array>(rows, classes, 1, terms, losses, clear);
}

}  // namespace xent::detail
