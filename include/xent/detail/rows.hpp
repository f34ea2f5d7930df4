// SPDX-License-Identifier: MIT
// xent/detail/rows.hpp - wide rows, one after the other through the row kernels.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/access.hpp>
#include <xent/detail/kernel/dispatch.hpp>
#include <xent/detail/row_partition.hpp>
#include <xent/detail/scalar.hpp>
#include <xent/detail/ways.hpp>

namespace xent::detail {

/// The rows of `logits`, one at a time. One that does not stand side by side in the kernels' scalar is copied to a scratch.
/// `out` gets what is written, or is NoGradient. With `keeps` the exponentials of the sum, which are half of a softmax, stay
/// in its row, or in the scratch.
template <class Logits, class Out, bool keeps>
class RowWork {
 public:
  using T = KernelScalar<Logits>;
  using W = WorkOf<Logits>;
  using V = WideOf<Logits>;

  RowWork(const Logits& logits, const Rows<Logits>& source, Out& out)
      : kernels_(kernels<RowTable<T>>()), source_(source), out_(out), classes_(class_count(logits)) {}

  static int most_rows() { return 1; }

  void load(Index i, int) {
    row_ = i;
    if constexpr (packs) {
      pack(source_, i, scratch_, Index{1}, classes_);
      z_ = scratch_;
      if (keeps) kept_ = scratch_;
    } else {
      z_ = source_(i, Row<T>{}).data;
      if constexpr (keeps && direct) kept_ = out_row().data;
    }
  }

  void reduce() {
    const T max = kernels_.maximum(z_, classes_);
    partition_ = is_finite(max) ? RowPartition<W>::of(max, kernels_.sum(z_, classes_, max, kept_))
                                : RowPartition<W>(Row<const T>{z_, 1, classes_});
  }

  bool regular(int) const { return partition_.regular(); }
  V logsumexp(int) const { return partition_.template logsumexp<V>(); }

  /// Reduces, and finds the loss, the weight times nll at the label. The label may be negative: then there is none.
  void find_losses(const Index* label, const V* weight, const V& divisor, V* loss) {
    const W z = *label < 0 ? W(0) : W(z_[*label]);
    reduce();
    *loss = partition_.regular() ? partition_.template label_loss<V>(z, *weight) : quiet_nan<V>();
    if (!std::is_same_v<Out, NoGradient>) {
      factor_ = *weight / divisor;
      at_label_ = -V(factor_ * partition_.template others<V>(0, z));
    }
  }

  void write_gradient(const Index* label) {
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
        kernels_.shift(scratch_, classes_, max, log_sum, scratch_);
        unpack(scratch_, Index{1}, out_row());
      } else {
        kernels_.shift(z_, classes_, max, log_sum, out_row().data);
      }
    } else {
      write_each([&](const W& z) { return partition_.template log_probability<V>(z); });
    }
  }

 private:
  static constexpr bool packs = !ContiguousRows<Logits>;
  static constexpr bool direct = !packs && SameRows<Logits, Out>;

  auto out_row() const { return cells<is_sample<Logits>>(out_).row(row_); }

  /// out_k = factor * probability(z_k)
  void write_multiple(const V& factor) {
    if constexpr (packs || direct) {
      const Factor<T> parts(V(factor * partition_.template unit<V>()));
      kernels_.scale(kept_, classes_, parts.first, parts.second);
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

  const RowTable<T>& kernels_;
  const Rows<Logits>& source_;
  Out& out_;
  Index classes_;
  Index row_ = 0;
  const T* z_ = nullptr;
  T* kept_ = nullptr;
  RowPartition<W> partition_;
  V factor_ = V(0);
  V at_label_ = V(0);
  T scratch_[packs ? scratch_size : 1];
};

}  // namespace xent::detail
