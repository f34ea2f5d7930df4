// SPDX-License-Identifier: MIT
// xent/detail/engine.hpp - the one door to the kernels: every pass over rows of logits goes through here.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/access.hpp>
#include <xent/detail/accumulate.hpp>
#include <xent/detail/check.hpp>
#include <xent/detail/parallel.hpp>
#include <xent/detail/row_partition.hpp>
#include <xent/detail/scalar.hpp>
#include <xent/reduction.hpp>

#include <Eigen/Core>

#include <algorithm>  // std::min
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
                                row_major<T> ? int(Eigen::RowMajor) : int(Eigen::ColMajor), int(T::MaxRowsAtCompileTime),
                                int(T::MaxColsAtCompileTime)>;

/// Stands for the gradient where none is wanted.
struct NoGradient {};

template <class W, class Scalar>
void fill(const Row<Scalar>& row, const W& value) {
  for (Index k = 0; k < row.size; ++k) row[k] = narrow<Scalar>(value);
}

/// What a rule makes of the plain cross-entropy of a row: its loss, and the gradient scale * ((b + surplus) p_k - b_k),
/// b the sum of the coefficients b_k.
template <class V>
struct RowOutcome {
  V loss;
  V surplus = V(0);
  V scale = V(1);
};

/// g_k = scale * (a p_k - b_k) / divisor with a = sum of b + surplus. At the maximum, where a p - b would cancel for a
/// confident row, it is (the others' b + surplus) p - b (1 - p), with 1 - p the sum of the other probabilities.
template <class W, class V, class Scalar, class Out, class RowTerms>
void write_gradient(const RowPartition<W>& partition, const Row<Scalar>& z, const RowTerms& coefficient, const V& others,
                    const RowOutcome<V>& outcome, const V& divisor, const Row<Out>& gradient) {
  const Index arg = partition.arg();
  const V at_maximum = coefficient(arg, false);
  const V rest = others + outcome.surplus;
  const V all = rest + at_maximum;
  for (Index k = 0; k < z.size; ++k) {
    const W logit = widen(z[k]);
    const V p = partition.template probability<V>(logit);
    const V core = k == arg ? V(V(rest * p) - V(at_maximum * partition.template others<V>(k, logit)))
                            : V(V(all * p) - coefficient(k, logit == W(-infinity<W>())));
    gradient[k] = narrow<Out>(V(V(outcome.scale * core) / divisor));
  }
}

/// The loss of one row, sum_k b_k nll_k as the rule sees it, and its gradient where `gradient` is a row.
template <class W, class V, class Scalar, class Terms, class Rule, class GradientRow>
V softmax_row(const Row<Scalar>& z, const Terms& terms, const Rule& rule, Index i, const V& divisor,
              const GradientRow& gradient) {
  constexpr bool with_gradient = !std::is_same_v<GradientRow, NoGradient>;
  const RowPartition<W> partition(z);
  if (!partition.regular()) {
    if constexpr (with_gradient) fill(gradient, quiet_nan<V>());
    return quiet_nan<V>();
  }
  const auto coefficient = terms.row(i, partition.unmasked());
  Sum<V> cross_entropy;
  Sum<V> others;
  for (Index k = 0; k < z.size; ++k) {
    const W logit = widen(z[k]);
    const V b = coefficient(k, logit == W(-infinity<W>()));
    if (b == V(0)) continue;  // a factor of 0 contributes 0, whatever the logit
    if (k != partition.arg()) others.add(b);
    cross_entropy.add(V(-V(b * partition.template log_probability<V>(logit))));
  }
  const RowOutcome<V> outcome = rule(partition, z, i, cross_entropy.value());
  if constexpr (with_gradient) write_gradient(partition, z, coefficient, others.value(), outcome, divisor, gradient);
  return outcome.loss;
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

/// Row i of the gradient, or nothing.
template <bool sample, class Gradient>
auto gradient_row(Gradient& gradient, Index i) {
  if constexpr (std::is_same_v<Gradient, NoGradient>) {
    return NoGradient{};
  } else {
    return cells<sample>(gradient).row(i);
  }
}

/// Runs row_loss(i, divisor) over all rows that are not absent, in chunks, and reduces.
/// row_loss(i, divisor, scratch) returns the loss of row i; clear(i) writes the gradient of an absent row.
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

/// Every loss of the softmax family: sum_k b_k nll_k for each row, with b from `terms`, shaped by `rule`.
/// `gradient` has the right shape by now, or is NoGradient. It may be the logits' own storage: z_k is read before g_k is
/// written. Logits that are an expression are evaluated once, into the row of the gradient where there is one.
template <Reduction R, class W, RealArray Logits, class Terms, class Rule, class Gradient>
auto softmax_losses(const Logits& logits, const Terms& terms, const Rule& rule, Gradient& gradient) {
  using V = WideOf<Logits>;
  using Result = ResultScalar<Logits>;
  constexpr bool with_gradient = !std::is_same_v<Gradient, NoGradient>;
  constexpr bool sample = is_sample<Logits>;
  const Rows<Logits> logit_rows(logits);
  const auto row_loss = [&](Index i, const V& divisor) {
    const auto g = gradient_row<sample>(gradient, i);
    if constexpr (with_gradient) {
      return softmax_row<W, V>(logit_rows(i, g), terms, rule, i, divisor, g);
    } else {
      RowScratch<Logits> scratch(class_count(logits));
      return softmax_row<W, V>(logit_rows(i, scratch.row()), terms, rule, i, divisor, g);
    }
  };
  const auto clear = [&](Index i) {
    if constexpr (with_gradient) fill(gradient_row<sample>(gradient, i), V(0));
  };
  return reduce_rows<R, Result, V, threads_allowed<Logits>, RowResults<Logits>>(row_count(logits), class_count(logits),
                                                                               terms, row_loss, clear);
}

/// Calls body(partition, z, out) for each row: the functions that a softmax is made of.
template <RealArray Logits, class Out, class Body>
void map_partitions(const Logits& logits, Out& out, const Body& body) {
  using W = WorkOf<Logits>;
  const Rows<Logits> logit_rows(logits);
  for_chunks<threads_allowed<Logits>>(row_count(logits), logits.size(), [&](Index, Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      const auto out_row = cells<is_sample<Logits>>(out).row(i);
      const auto z = logit_rows(i, out_row);
      body(RowPartition<W>(z), z, out_row);
    }
  });
}

/// Calls body(i, k) for the coefficients [begin, end) of an array of N x C, counted in its storage order.
template <bool by_rows, class Body>
void for_coefficients(Index rows, Index classes, Index begin, Index end, const Body& body) {
  const Index length = by_rows ? classes : rows;
  for (Index at = begin; at < end;) {
    const Index outer = at / length;
    const Index stop = std::min(end, (outer + 1) * length);
    for (Index inner = at - outer * length; at < stop; ++at, ++inner) {
      by_rows ? body(outer, inner) : body(inner, outer);
    }
  }
}

/// out = f(in), coefficient by coefficient; `out` may be the input itself.
template <RealArray T, class Out, class Function>
void map_coefficients(const T& in, Out& out, const Function& f) {
  using OutScalar = typename Out::Scalar;
  const Coefficients<T> source(in);
  const auto target = cells<is_sample<T>>(out);
  for_chunks<threads_allowed<T>>(in.size(), in.size(), [&](Index, Index begin, Index end) {
    for_coefficients<is_sample<T> || row_major<T>>(row_count(in), class_count(in), begin, end, [&](Index i, Index k) {
      target(i, k) = narrow<OutScalar>(WorkOf<T>(f(widen(source(i, k)))));
    });
  });
}

/// What an elementwise loss says of one element.
template <class V>
struct ElementOutcome {
  V loss;
  V slope;
};

/// Every loss that stands on single elements: rule(z, t, i, k) gives the loss of an element and its derivative.
/// Each logit and each target is evaluated once, in the storage order of the logits.
template <Reduction R, class W, RealArray Logits, RealArray Targets, class Rule, class Gradient>
auto element_losses(const Logits& logits, const Targets& targets, const Rule& rule, Gradient& gradient) {
  using V = WideOf<Logits>;
  using Result = ResultScalar<Logits>;
  constexpr bool with_gradient = !std::is_same_v<Gradient, NoGradient>;
  constexpr bool by_rows = is_sample<Logits> || row_major<Logits>;
  const Coefficients<Logits> z(logits);
  const Coefficients<Targets, is_sample<Logits>> t(targets);
  const V divisor = R == Reduction::mean ? V(double(logits.size())) : V(1);
  const auto element = [&](Index i, Index k) {
    const ElementOutcome<V> outcome =
        rule.absent(i, k) ? ElementOutcome<V>{V(0), V(0)} : rule(W(widen(z(i, k))), V(widen(t(i, k))), i, k);
    if constexpr (with_gradient) {
      cells<is_sample<Logits>>(gradient)(i, k) = narrow<typename Gradient::Scalar>(V(outcome.slope / divisor));
    }
    return outcome.loss;
  };
  const auto run = [&](Index begin, Index end, const auto& take) {
    for_coefficients<by_rows>(row_count(logits), class_count(logits), begin, end,
                              [&](Index i, Index k) { take(i, k, element(i, k)); });
  };
  if constexpr (R == Reduction::none) {
    PlainArray<Logits, Result> losses(logits.rows(), logits.cols());
    const auto loss_cells = cells<is_sample<Logits>>(losses);
    for_chunks<threads_allowed<Logits>>(logits.size(), logits.size(), [&](Index, Index begin, Index end) {
      run(begin, end, [&](Index i, Index k, const V& loss) { loss_cells(i, k) = narrow<Result>(loss); });
    });
    return losses;
  } else {
    const Sum<V> total =
        sum_chunks<threads_allowed<Logits>, Sum<V>>(logits.size(), logits.size(), [&](Index begin, Index end) {
          Sum<V> part;
          run(begin, end, [&](Index, Index, const V& loss) { part.add(loss); });
          return part;
        });
    if (R == Reduction::mean && rule.nothing()) return narrow<Result>(quiet_nan<V>());
    return narrow<Result>(V(total.value() / divisor));
  }
}

}  // namespace xent::detail
