// SPDX-License-Identifier: MIT
// xent/detail/engine.hpp - the one door to the kernels: every pass over rows of logits goes through here.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/access.hpp>
#include <xent/detail/accumulate.hpp>
#include <xent/detail/check.hpp>
#include <xent/detail/dense.hpp>
#include <xent/detail/outcome.hpp>
#include <xent/detail/parallel.hpp>
#include <xent/detail/reduce.hpp>
#include <xent/detail/row_partition.hpp>
#include <xent/detail/rows.hpp>
#include <xent/detail/scalar.hpp>
#include <xent/detail/strips.hpp>
#include <xent/detail/terms.hpp>
#include <xent/detail/ways.hpp>
#include <xent/reduction.hpp>

#include <algorithm>  // std::fill_n, std::min
#include <cstddef>    // std::size_t
#include <type_traits>

namespace xent::detail {

/// g_k = scale * (a p_k - b_k) / divisor with a = sum of b + surplus. At the maximum, where a p - b would cancel for a
/// confident row, it is (the others' b + surplus) p - b (1 - p), with 1 - p the sum of the other probabilities.
template <class W, class V, class Scalar, class Out, class RowTerms>
void write_gradient(const RowPartition<W>& partition, const Row<Scalar>& z, const RowTerms& coefficient,
                    const V& others, const RowOutcome<V>& outcome, const V& divisor, const Row<Out>& gradient) {
  const Index arg = partition.arg(z);
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

/// The loss of a row by its label, by the portable code.
template <class W, class V, class Scalar, class Rule, class GradientRow>
V label_row(const RowPartition<W>& partition, const Row<Scalar>& z, Index label, const V& b, const Rule& rule, Index i,
            const V& divisor, const GradientRow& gradient) {
  const LabelOutcome<V> outcome =
      label_outcome(partition.template facts<V>(label, widen(z[label])), b, rule, i, divisor);
  if constexpr (!std::is_same_v<GradientRow, NoGradient>) {
    using Out = std::remove_cvref_t<decltype(gradient[0])>;
    for (Index k = 0; k < z.size; ++k) {
      const V entry =
          k == label ? outcome.at_label : V(outcome.factor * partition.template probability<V>(widen(z[k])));
      gradient[k] = narrow<Out>(entry);
    }
  }
  return outcome.loss;
}

/// The loss of a row with a coefficient for each class, and its gradient where `gradient` is a row.
template <class W, class V, class Scalar, class Terms, class Rule, class GradientRow>
V dense_row(const RowPartition<W>& partition, const Row<Scalar>& z, const Terms& terms, const Rule& rule, Index i,
            const V& divisor, const GradientRow& gradient) {
  const auto coefficient = terms.row(i, partition.unmasked(z));
  const Index arg = partition.arg(z);
  Sum<V> cross_entropy;
  Sum<V> others;
  Index count = 0;
  Index last = 0;
  for (Index k = 0; k < z.size; ++k) {
    const W logit = widen(z[k]);
    const V b = coefficient(k, logit == W(-infinity<W>()));
    if (b == V(0)) continue;  // a factor of 0 contributes 0, whatever the logit
    ++count;
    last = k;
    if (k != arg) others.add(b);
    cross_entropy.add(V(-V(b * partition.template log_probability<V>(logit))));
  }
  if (count == 1) {  // one-hot targets are labels, to the bit
    const V b = coefficient(last, W(widen(z[last])) == W(-infinity<W>()));
    return label_row(partition, z, last, b, rule, i, divisor, gradient);
  }
  const RowOutcome<V> outcome = rule({partition.template logsumexp<V>(), V(0), V(0), V(0)}, i, cross_entropy.value());
  if constexpr (!std::is_same_v<GradientRow, NoGradient>) {
    write_gradient(partition, z, coefficient, others.value(), outcome, divisor, gradient);
  }
  return outcome.loss;
}

/// The loss of one row and its gradient by the portable code: a row without a finite maximum is NaN.
template <class W, class V, class Scalar, class Terms, class Rule, class GradientRow>
V softmax_row(const Row<Scalar>& z, const Terms& terms, const Rule& rule, Index i, const V& divisor,
              const GradientRow& gradient) {
  const RowPartition<W> partition(z);
  if (!partition.regular()) {
    if constexpr (!std::is_same_v<GradientRow, NoGradient>) fill(gradient, quiet_nan<V>());
    return quiet_nan<V>();
  }
  if constexpr (requires { terms.label(i); }) {
    if (!terms.smoothed()) {
      return label_row(partition, z, terms.label(i), terms.weight(i), rule, i, divisor, gradient);
    }
  }
  return dense_row(partition, z, terms, rule, i, divisor, gradient);
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

/// Calls use(work) with what takes the rows of `logits` the given way to kernels with these exponentials, or portable().
template <Kept what, class Exps, class Logits, class Out, class Use, class Portable>
void with_work([[maybe_unused]] Way way, const Logits& logits, [[maybe_unused]] const Rows<Logits>& rows, Out& out,
               [[maybe_unused]] const Use& use, const Portable& portable) {
  if constexpr (has_kernels<Logits> && !is_sample<Logits>) {
    if (way == Way::strips) {
      StripWork<Logits, Out, what, Exps> work(logits, rows, out);
      return use(work);
    }
  }
  if constexpr (has_kernels<Logits> && !ClassesInPlace<Logits, typename Exps::T>) {
    if (way == Way::rows) {
      RowWork<Logits, Out, what, Exps> work(logits, rows, out);
      return use(work);
    }
  }
  portable();
}

/// At most so many rows that a work deals with together: which of them are absent.
template <std::size_t most>
class Absences {
 public:
  void clear() { count_ = 0; }
  void note(int j, bool absent) {
    row_[count_] = j;
    count_ += absent ? 1 : 0;
  }

  /// Hands the losses to take, and has the gradient written: 0 for what is absent, NaN where the loss is.
  template <bool sample, class Work, class Gradient, class V, class Take>
  void finish(Work& work, Gradient& gradient, Index first, int rows, const int* label, V* loss,
              const Take& take) const {
    for (int a = 0; a < count_; ++a) loss[row_[a]] = V(0);
    bool any_nan = false;
    for (int from = 0; from < rows; from += work.rows_of_a_sum()) {
      const int some = std::min(rows - from, work.rows_of_a_sum());
      const V sum = work.sum_of_losses(loss + from, some);
      take(first + from, some, loss + from, sum);
      any_nan |= is_nan(sum);
    }
    if constexpr (!std::is_same_v<Gradient, NoGradient>) {
      work.write_gradient(label);
      for (int a = 0; a < count_; ++a) fill(cells<sample>(gradient).row(first + row_[a]), V(0));
      for (int j = 0; any_nan && j < rows; ++j) {
        if (is_nan(loss[j])) fill(cells<sample>(gradient).row(first + j), quiet_nan<V>());
      }
    }
  }

 private:
  int count_ = 0;
  int row_[most];
};

/// As Absences::finish, for a work whose sum and gradient leave absent rows out, and whose gradient is NaN where a row is not
/// regular: in absent ones that is mended here.
template <bool sample, class Work, class Gradient, class V, class Take>
void finish_itself(Work& work, Gradient& gradient, Index first, int rows, const int* label, bool complete,
                   const V* loss, const Take& take) {
  take(first, rows, loss, work.sum_of_losses(loss, rows));
  if constexpr (!std::is_same_v<Gradient, NoGradient>) {
    work.write_gradient(label);
    if (complete || !is_nan(sum_of<V>(loss, rows))) return;
    for (int j = 0; j < rows; ++j) {
      if (label[j] == no_label && is_nan(loss[j])) fill(cells<sample>(gradient).row(first + j), V(0));
    }
  }
}

/// The losses of rows [begin, end) by their labels, as many at a time as the work takes: `each` of them, or their sums.
template <bool sample, bool each, class Work, class Gradient, class Terms, class Rule, class V, class Take>
void label_losses(Work& work, Gradient& gradient, const Terms& terms, const Rule& rule, Index begin, Index end,
                  const V& divisor, const Take& take) {
  int label[Work::capacity];
  V weight[Work::capacity];
  V loss[Work::capacity];
  Absences<Work::capacity> absences;
  for (Index first = begin; first < end; first += work.most_rows()) {
    const int rows = int(std::min(end - first, Index(work.most_rows())));
    V* const weights = terms.unweighted() ? nullptr : weight;
    const bool complete = terms.take(first, rows, label, weights);
    std::fill(label + rows, label + std::min(lanes_of(rows), int(Work::capacity)), no_label);
    work.load(first, rows, end);
    work.template find_losses<each>(label, complete, weights, rule, divisor, loss);
    if (!each && work.leaves_out_absent()) {
      finish_itself<sample>(work, gradient, first, rows, label, complete, loss, take);
      continue;
    }
    absences.clear();
    for (int j = 0; !complete && j < rows; ++j) absences.note(j, label[j] == no_label);
    absences.template finish<sample>(work, gradient, first, rows, label, loss, take);
  }
}

/// The targets, or NoTargets for labels.
template <class Terms>
decltype(auto) targets_of(const Terms& terms) {
  if constexpr (requires { terms.targets(); }) {
    return (terms.targets());
  } else {
    return NoTargets{};
  }
}

/// What reads single coefficients of the targets, made once: a product among them is not computed again.
template <class Terms>
decltype(auto) reader_of(const Terms& terms) {
  if constexpr (requires { terms.reader(); }) {
    return (terms.reader());
  } else {
    return NoTargets{};
  }
}

/// The losses of rows [begin, end) with a coefficient for each class.
template <bool sample, class Work, class Gradient, class Terms, class Rule, class V, class Take>
void dense_losses(Work& work, Gradient& gradient, const Terms& terms, const Rule& rule, Index begin, Index end,
                  const V& divisor, const Take& take) {
  constexpr bool has_labels = requires { terms.label(begin); };
  using T = typename Work::T;
  auto& strip = work.strip();
  int label[Work::capacity];
  Absences<Work::capacity> absences;
  const bool alike = terms.plain() && terms.class_weights().empty();
  std::fill_n(label, Work::capacity, no_label);
  std::fill_n(strip.logit, Work::capacity, T(0));
  std::fill_n(strip.label_weight, Work::capacity, has_labels ? 1.0 : 0.0);
  std::fill_n(strip.sample_weight, Work::capacity, 1.0);
  for (Index first = begin; first < end; first += work.most_rows()) {
    const int rows = int(std::min(end - first, Index(work.most_rows())));
    work.load(first, rows, end);
    absences.clear();
    for (int j = 0; !alike && j < rows; ++j) {
      const Index i = first + j;
      const bool absent = terms.absent(i);
      absences.note(j, absent);
      strip.sample_weight[j] = absent ? 0.0 : double(terms.sample_weight(i));
      if constexpr (has_labels) {
        label[j] = absent ? no_label : int(terms.label(i));
        strip.label_weight[j] = absent ? 0.0 : weight_at<double>(terms.class_weights(), label[j]);
      }
    }
    if constexpr (has_labels) {
      for (int j = 0; alike && j < rows; ++j) label[j] = int(terms.label(first + j));
      work.pick(label);
    }
    for (int j = 0; !rule.plain() && j < rows; ++j) {
      strip.z_loss[j] = strip.sample_weight[j] == 0.0 ? 0.0 : double(rule.z_loss_of(first + j));
    }
    work.sum(T(terms.kept()), T(terms.smoothing()));
    V* const loss = work.find_outcomes(terms.smoothing(), !rule.plain(), divisor);
    absences.template finish<sample>(work, gradient, first, rows, label, loss, take);
  }
}

/// Every loss of the softmax family: sum_k b_k nll_k for each row, with b from `terms`, shaped by `rule`.
/// `gradient` has the right shape by now, or is NoGradient. It may be the logits' own storage: z_k is read before g_k is
/// written. Logits that are an expression are evaluated once, a few rows at a time.
template <Reduction R, class W, class Logits, class Terms, class Rule, class Gradient>
class SoftmaxLosses {
 public:
  SoftmaxLosses(const Logits& logits, const Terms& terms, const Rule& rule, Gradient& gradient)
      : logits_(logits),
        rows_(logits),
        terms_(terms),
        rule_(rule),
        gradient_(gradient),
        classes_(class_count(logits)) {}

  auto value() const {
    if constexpr (!has_kernels<Logits>) {
      return portably();
    } else if constexpr (!has_labels) {
      return densely();
    } else if constexpr (Rule::may_magnify) {
      return magnified();
    } else if constexpr (Rule::may_smooth) {
      return terms_.smoothed() && !smoothed_in_strips() ? densely() : by_labels<Plain>();
    } else {
      return by_labels<Plain>();
    }
  }

 private:
  using V = WideOf<Logits>;
  using Result = ResultScalar<Logits>;
  static constexpr bool with_gradient = !std::is_same_v<Gradient, NoGradient>;
  static constexpr Kept kept = with_gradient ? Kept::exponentials : Kept::nothing;
  static constexpr bool sample = is_sample<Logits>;
  static constexpr bool has_labels = requires(const Terms& terms) { terms.label(Index(0)); };
  static constexpr bool in_double = std::is_same_v<Result, double>;
  using Plain = Exponentials<Result, in_double && std::is_same_v<W, V>>;

  /// A power multiplies the error of its base.
  auto magnified() const {
    const Magnified errors = rule_.magnifies();
    if constexpr (in_double) {
      return errors == Magnified::much ? portably() : by_labels<Plain>();
    } else {
      if (errors == Magnified::much) return by_labels<Exponentials<double>>();
      return errors == Magnified::little ? by_labels<Exponentials<float, true>>() : by_labels<Plain>();
    }
  }

  template <class Exps>
  auto by_labels() const {
    using T = typename Exps::T;
    const Way way = way_of<Logits, T>(classes_);
    constexpr bool in_place = ClassesInPlace<Logits, T>;
    const Index grain = grain_of<in_place>(way, row_count(logits_), classes_, label_strip_rows<T>);
    return reduce(grain, [&](Index begin, Index end, const V& divisor, const auto& take) {
      with_work<kept, Exps>(
          way, logits_, rows_, gradient_,
          [&](auto& work) {
            label_losses<sample, R == Reduction::none>(work, gradient_, terms_, rule_, begin, end, divisor, take);
          },
          [&] { one_by_one(begin, end, divisor, take); });
    });
  }

  /// Whether the kernels of strips know the smoothed labels; all others are dense.
  bool smoothed_in_strips() const {
    if constexpr (sample || in_double) {
      return false;
    } else {
      using Work = StripWork<Logits, Gradient, kept, Plain>;
      return way_of<Logits>(classes_) == Way::strips && rule_.plain() && terms_.class_weights().empty() &&
             Work::knows_smoothing(classes_);
    }
  }

  auto densely() const {
    const auto& targets = targets_of(terms_);
    const auto& reader = reader_of(terms_);
    using Targets = std::remove_cvref_t<decltype(targets)>;
    if constexpr (has_dense_kernels<Logits, Targets>() && std::is_same_v<W, double>) {
      const Way way = dense_way_of<Logits, Targets, Gradient>(classes_);
      constexpr bool in_place = columns_in_place<Logits, Targets, Gradient>;
      const Index grain = grain_of<in_place>(way, row_count(logits_), classes_);
      return reduce(grain, [&](Index begin, Index end, const V& divisor, const auto& take) {
        with_dense_work<Rule::may_smooth>(
            way, logits_, rows_, targets, reader, terms_.class_weights().data(), gradient_,
            [&](auto& work) { dense_losses<sample>(work, gradient_, terms_, rule_, begin, end, divisor, take); },
            [&] { one_by_one(begin, end, divisor, take); });
      });
    } else {
      return portably();
    }
  }

  auto portably() const {
    return reduce(
        1, [&](Index begin, Index end, const V& divisor, const auto& take) { one_by_one(begin, end, divisor, take); });
  }

  template <class Losses>
  auto reduce(Index grain, const Losses& losses) const {
    return reduce_chunks<R, Result, V, threads_allowed<Logits>, RowResults<Logits>>(
        row_count(logits_), classes_, grain, terms_, losses, [&](Index i) { clear(i); });
  }

  template <class Take>
  void one_by_one(Index begin, Index end, const V& divisor, const Take& take) const {
    each_row(
        terms_, begin, end, divisor, [&](Index i, const V& by) { return row_loss(i, by); }, [&](Index i) { clear(i); },
        take);
  }

  V row_loss(Index i, const V& divisor) const {
    const auto g = gradient_row<sample>(gradient_, i);
    if constexpr (with_gradient) {
      return softmax_row<W, V>(rows_(i, g), terms_, rule_, i, divisor, g);
    } else {
      RowScratch<Logits> scratch(classes_);
      return softmax_row<W, V>(rows_(i, scratch.row()), terms_, rule_, i, divisor, g);
    }
  }

  void clear([[maybe_unused]] Index i) const {
    if constexpr (with_gradient) fill(gradient_row<sample>(gradient_, i), V(0));
  }

  const Logits& logits_;
  const Rows<Logits> rows_;
  const Terms& terms_;
  const Rule& rule_;
  Gradient& gradient_;
  const Index classes_;
};

template <Reduction R, class W, RealArray Logits, class Terms, class Rule, class Gradient>
auto softmax_losses(const Logits& logits, const Terms& terms, const Rule& rule, Gradient& gradient) {
  return SoftmaxLosses<R, W, Logits, Terms, Rule, Gradient>(logits, terms, rule, gradient).value();
}

/// Whether the value of losses without weights is NaN if a label is outside the classes, so that labels need not be looked at
/// before: 10^6 x 2 takes 1.13 times as long where they are.
template <Reduction R, class Logits, class Labels, class Gradient>
bool notices_labels([[maybe_unused]] Index classes) {
  if constexpr (R != Reduction::none && has_kernels<Logits> && !is_sample<Logits> &&
                std::is_same_v<Gradient, NoGradient> && has_kernel_labels<Labels>()) {
    using Work = StripWork<Logits, Gradient, Kept::nothing, Exponentials<KernelScalar<Logits>>>;
    return way_of<Logits>(classes) == Way::strips && Work::notices_labels(classes);
  } else {
    return false;
  }
}

/// Reduces all rows and calls by_rows(work, first, rows) for those that a work has reduced together, or by_row(i, partition, z).
template <Kept what, class Logits, class Out, class ByRows, class ByRow>
void for_rows(const Logits& logits, Out& out, const ByRows& by_rows, const ByRow& by_row) {
  using W = WorkOf<Logits>;
  const Rows<Logits> logit_rows(logits);
  const Index classes = class_count(logits);
  const Way way = way_of<Logits>(classes);
  using T = KernelScalar<Logits>;
  constexpr bool in_place = ClassesInPlace<Logits, T>;
  const Index grain = grain_of<in_place>(way, row_count(logits), classes, label_strip_rows<T>);
  const Chunks chunks = chunks_of(row_count(logits), logits.size(), grain);
  for_parts<threads_allowed<Logits>>(row_count(logits), chunks, logits.size(), [&](Index begin, Index end) {
    with_work<what, Exponentials<T>>(
        way, logits, logit_rows, out,
        [&](auto& work) {
          for (Index first = begin; first < end; first += work.most_rows()) {
            const int rows = int(std::min(end - first, Index(work.most_rows())));
            work.load(first, rows, end);
            work.reduce();
            by_rows(work, first, rows);
          }
        },
        [&] {
          RowScratch<Logits> scratch(classes);
          for (Index i = begin; i < end; ++i) {
            const auto z = logit_rows(i, scratch.row());
            by_row(i, RowPartition<W>(z), z);
          }
        });
  });
}

/// out_ik = f(partition_i, logits_ik), written by write(work) where there are kernels: the functions that a softmax is made
/// of. Rows without a finite maximum become NaN.
template <Kept what, RealArray Logits, class Out, class Write, class Function>
void map_logits(const char* function, const Logits& logits, Out& out, const Write& write, const Function& f) {
  using V = WideOf<Logits>;
  check_classes(function, logits);
  check_output(function, "out", out, logits);
  resize_output(out, logits);
  const auto by_rows = [&](auto& work, Index first, int rows) {
    write(work);
    for (int j = 0; j < rows; ++j) {
      if (!work.regular(j)) fill(cells<is_sample<Logits>>(out).row(first + j), quiet_nan<V>());
    }
  };
  const auto by_row = [&](Index i, const auto& partition, const auto& z) {
    const auto out_row = cells<is_sample<Logits>>(out).row(i);
    for (Index k = 0; k < z.size; ++k) {
      out_row[k] = narrow<typename Out::Scalar>(partition.regular() ? f(partition, widen(z[k])) : quiet_nan<V>());
    }
  };
  for_rows<what>(logits, out, by_rows, by_row);
}

}  // namespace xent::detail
