// SPDX-License-Identifier: MIT
// xent/detail/rows.hpp - wide rows, one after the other through the row kernels.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/access.hpp>
#include <xent/detail/kernel/dispatch.hpp>
#include <xent/detail/outcome.hpp>
#include <xent/detail/row_partition.hpp>
#include <xent/detail/scalar.hpp>
#include <xent/detail/ways.hpp>

#include <type_traits>

namespace xent::detail {

/// The rows of `logits`, one at a time through kernels in T = Exps::T. One that does not stand side by side in T is copied to a scratch.
/// `out` gets what is written, or is NoGradient. With `keeps` the exponentials of the sum, which are half of a softmax, stay
/// in its row, or in the scratch.
template <class Logits, class Out, bool keeps, class Exps>
class RowWork {
 public:
  using T = typename Exps::T;
  using V = WideOf<Logits>;
  using W = std::conditional_t<Exps::careful, V, WorkOf<Logits>>;

  RowWork(const Logits& logits, const Rows<Logits>& source, Out& out)
      : maxima_(kernels<RowMaximumTable<T>>()),
        sums_(kernels<RowSumTable<T, Exps::careful>>()),
        source_(source),
        out_(out),
        classes_(class_count(logits)) {}

  static int most_rows() { return 1; }

  /// Row i, of those before `end`.
  void load(Index i, int, Index end) {
    top_known_ = next_ != nullptr && i == row_ + 1;
    row_ = i;
    if constexpr (packs) {
      pack(source_, i, scratch_, Index{1}, classes_);
      z_ = scratch_;
      if (keeps) kept_ = scratch_;
    } else {
      z_ = source_(i, Row<T>{}).data;
      if (!keeps) next_ = i + 1 < end ? source_(i + 1, Row<T>{}).data : nullptr;
      if constexpr (keeps && direct) kept_ = out_row().data;
    }
  }

  void reduce() {
    const RowTop<T> top = top_known_ ? next_top_ : maxima_.maximum(z_, classes_);
    top_known_ = false;
    if (is_finite(top.max)) {
      const T* const next = next_ != nullptr ? next_ : z_;
      partition_ = RowPartition<W>::of(top.max, sums_.sum(z_, classes_, top, kept_, next, next_top_));
    } else {
      next_ = nullptr;
      partition_ = RowPartition<W>(Row<const T>{z_, 1, classes_});
    }
  }

  bool regular(int) const { return partition_.regular(); }
  V logsumexp(int) const { return partition_.template logsumexp<V>(); }

  /// Reduces, and finds the loss: what the rule makes of the weight times nll at the label. The label may be negative: then
  /// there is none.
  template <class Rule>
  void find_losses(const int* label, const V* weight, const Rule& rule, const V& divisor, V* loss) {
    const W z = *label < 0 ? W(0) : W(z_[*label]);
    reduce();
    if (!partition_.regular()) {
      *loss = quiet_nan<V>();
    } else if (!rule.plain()) {
      const LabelOutcome<V> outcome = label_outcome(partition_.template facts<V>(0, z), *weight, rule, row_, divisor);
      *loss = outcome.loss;
      factor_ = outcome.factor;
      at_label_ = outcome.at_label;
    } else {
      *loss = partition_.template label_loss<V>(z, *weight);
      if (std::is_same_v<Out, NoGradient>) return;
      factor_ = *weight / divisor;
      at_label_ = -V(factor_ * partition_.template others<V>(0, z));
    }
  }

  void write_gradient(const int* label) {
    write_multiple(factor_);
    if (*label >= 0) out_row()[*label] = narrow<typename Out::Scalar>(at_label_);
  }

  void write_probabilities() { write_multiple(V(1)); }

  /// out_k = log_probability(z_k), where nothing was kept.
  void write_log_probabilities() {
    if constexpr (packs || direct) {
      const T max = static_cast<T>(partition_.max());
      const T log_sum = static_cast<T>(partition_.log_sum());
      if constexpr (packs) {
        kernels<RowOutputTable<T>>().shift(scratch_, classes_, max, log_sum, scratch_);
        unpack(scratch_, Index{1}, out_row());
      } else {
        kernels<RowOutputTable<T>>().shift(z_, classes_, max, log_sum, out_row().data);
      }
    } else {
      write_each([&](const W& z) { return partition_.template log_probability<V>(z); });
    }
  }

 private:
  static constexpr bool packs = !RowsInPlace<Logits, T>;
  static constexpr bool direct = !packs && SameRows<Logits, Out>;

  auto out_row() const { return cells<is_sample<Logits>>(out_).row(row_); }

  /// out_k = factor * probability(z_k)
  void write_multiple(const V& factor) {
    if constexpr (packs || direct) {
      const Factor<T> parts(V(factor * partition_.template unit<V>()));
      kernels<RowOutputTable<T>>().scale(kept_, classes_, parts.first, parts.second);
      if constexpr (packs) unpack(scratch_, Index{1}, out_row());
    } else {
      write_each([&](const W& z) { return V(factor * partition_.template probability<V>(z)); });
    }
  }

  template <class Function>
  void write_each(const Function& f) {
    const auto out = out_row();
    for (Index k = 0; k < classes_; ++k) out[k] = narrow<typename Out::Scalar>(f(W(z_[k])));
  }

  const RowMaximumTable<T>& maxima_;
  const RowSumTable<T, Exps::careful>& sums_;
  const Rows<Logits>& source_;
  Out& out_;
  Index classes_;
  Index row_ = 0;
  const T* z_ = nullptr;
  // The row after it, if its maximum is to be found at the same time: not beside writing, 4096 x 1000 is faster without.
  const T* next_ = nullptr;
  RowTop<T> next_top_;
  bool top_known_ = false;
  T* kept_ = nullptr;
  RowPartition<W> partition_;
  V factor_ = V(0);
  V at_label_ = V(0);
  T scratch_[packs ? scratch_size : 1];
};

}  // namespace xent::detail
