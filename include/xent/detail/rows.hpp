// SPDX-License-Identifier: MIT
// xent/detail/rows.hpp - wide rows, one after the other through the row kernels.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/access.hpp>
#include <xent/detail/kernel/dispatch.hpp>
#include <xent/detail/reduced.hpp>
#include <xent/detail/row_partition.hpp>
#include <xent/detail/scalar.hpp>
#include <xent/detail/terms.hpp>
#include <xent/detail/ways.hpp>

#include <algorithm>  // std::min
#include <cstddef>    // std::size_t
#include <type_traits>

namespace xent::detail {

/// The rows of `logits`, one after the other through kernels in T = Exps::T. One that does not stand side by side in T is
/// copied to a scratch. `out` gets what is written, or is NoGradient. What is kept, half of a softmax or log-softmax, stays in
/// its rows, or in the scratch.
template <class Logits, class Out, Kept what, class Exps>
class RowWork {
 public:
  using T = typename Exps::T;
  using V = WideOf<Logits>;
  static constexpr std::size_t capacity = wide_capacity;

  RowWork(const Logits& logits, const Rows<Logits>& source, Out& out)
      : source_(source), out_(out), classes_(class_count(logits)) {
    if constexpr (may_run) running_sum_ = kernels<RunningRowTable<keeps>>().sum;
    if constexpr (may_reread) {
      const auto& table = kernels<RowRereadTable<T, Exps::careful>>();
      rereads_ = table.multiples != nullptr && classes_ >= least_running_classes && exceeds_caches<T>(logits) &&
                 home(0) != row(0);
      if (may_run && rereads_) running_sum_ = table.running_sum;
    }
  }

  /// What the sums say of a few rows is worked out at once: 4096 x 1000 takes 1.06 times as long one by one. If they are written,
  /// of as many short ones as stay in the nearest cache until then: 100 x 1000 with gradient takes 1.15 times as long one by one.
  int most_rows() const {
    if (packs || (keeps && !is_short())) return 1;
    return keeps ? int(std::min(Index(wide_rows), 16384 / row_bytes())) : wide_rows;
  }

  /// The rows from `begin` on, of those before `end`.
  void load(Index begin, int rows, Index end) {
    begin_ = begin;
    rows_ = rows;
    left_ = packs ? 1 : end - begin;
    if constexpr (packs) pack(source_, begin, scratch_, Index{1}, classes_);  // there is but one
  }

  void reduce() {
    find_sums(nullptr);
    reduced_.find_outcomes(rows_);
  }

  bool regular(int j) const { return reduced_.regular(j); }

  V logsumexp(int j) const {
    if (regular(j)) return reduced_.logsumexp(j);
    return RowPartition<typename Reduced::W>(Row<const T>{row(j), 1, classes_}).template logsumexp<V>();
  }

  /// Reduces, and finds the losses: what the rule makes of the weight times nll at the label. The label may be negative: then
  /// there is none.
  template <bool each, class Rule>
  void find_losses(const int* label, bool, const V* weight, const Rule& rule, const V& divisor, V* loss) {
    find_sums(label);
    reduced_.find_losses(begin_, rows_, weight, rule, divisor, keeps, loss);
  }

  static constexpr bool leaves_out_absent() { return false; }
  V sum_of_losses(const V* loss, int) const { return *loss; }
  int rows_of_a_sum() const { return 1; }

  void write_gradient(const int* label) {
    write_multiples();
    for (int j = 0; j < rows_; ++j) {
      if (label[j] >= 0) out_row(j)[label[j]] = narrow<typename Out::Scalar>(reduced_.outcomes.at_label[j]);
    }
  }

  void write_probabilities() { write_multiples(); }

  /// out_jk = log_probability(z_jk), of what the sums kept.
  void write_log_probabilities() {
    find_next_maximum();
    for (int j = 0; j < rows_; ++j) {
      if constexpr (direct) {
        kernels<RowShiftTable<T>>().shift(home(j), classes_, static_cast<T>(reduced_.outcomes.log_sum[j]));
        if constexpr (packs) unpack(scratch_, Index{1}, out_row(j));
      } else {
        const auto partition = reduced_.partition(j);
        write_row(j, [&](double z) { return partition.template log_probability<V>(z); });
      }
    }
  }

 private:
  static constexpr bool keeps = what != Kept::nothing;
  static constexpr bool packs = !RowsInPlace<Logits, T>;
  static constexpr bool direct = packs || SameRows<Logits, Out>;  // what is kept has a place
  // Whether wide rows are read once. Not in double, whose exponentials would lose digits on their way to another anchor.
  static constexpr bool may_run =
      std::is_same_v<T, float> && what != Kept::margins && !Exps::careful && (!keeps || direct);
  // Whether exponentials may be taken twice, see reread.inl.
  static constexpr bool may_reread =
      std::is_same_v<T, float> && what == Kept::exponentials && SameRows<Logits, Out> && !packs;
  using Reduced = ReducedRows<Logits, Exps, capacity>;
  bool runs() const { return may_run && classes_ >= least_running_classes; }
  Index row_bytes() const { return classes_ * Index(sizeof(T)); }
  bool is_short() const { return row_bytes() <= (keeps ? 4096 : 8192); }
  // Beside writing that is worth it while three rows stay in the nearest cache: in place 16384 x 1000 takes 1.2 times as long without,
  // 4000 x 3000 1.25 times, but 700 x 8000 with gradient 1.1 times with it. Exponentials in two parts take long enough for any row
  // that stays in the second one: the focal loss of 700 x 8000 in place takes 1.25 times as long without.
  bool reads_ahead() const { return !keeps || rereads_ || row_bytes() <= 16384 || (Exps::careful && is_near()); }
  // Beside the next row a longer one would not stay in the second cache until it is written: 64 x 128256 in place takes 1.1 times
  // as long with that.
  bool is_near() const { return row_bytes() <= 3 << 17; }
  // Short rows would wait for the maximum that the one before finds: 4096 x 1000 takes 1.09 times as long, 16000 x 300 1.3 times.
  int rows_ahead() const { return is_short() ? 2 : 1; }

  /// And the logits of the labels, if there are any.
  void find_sums(const int* label) {
    if constexpr (may_run) {
      if (runs()) return find_running_sums(label);
    }
    const auto sum = kernels<RowSumTable<T, Exps::careful, what>>().sum;
    for (int j = 0; j < rows_; ++j) {
      find_maxima(j, rows_ahead());
      const RowTop<T> top = top_[0];
      top_[0] = top_[1];
      --known_;
      anchor_[j] = top.max;
      if (is_finite(top.max)) {
        // The maximum of a row after it is found at the same time.
        const bool more = reads_ahead() && j + rows_ahead() < left_;
        sum(row(j), classes_, top, keeps && !rereads_ ? home(j) : nullptr, row(more ? j + rows_ahead() : j),
            top_[known_], label == nullptr ? no_label : label[j], reduced_.strip, j);
        if (more) ++known_;
      } else {
        leave_out(j, top.max);
      }
    }
  }

  void find_running_sums(const int* label) {
    for (int j = 0; j < rows_; ++j) {
      anchor_[j] = running_sum_(row(j), classes_, keeps && !rereads_ ? home(j) : nullptr,
                                label == nullptr ? no_label : label[j], reduced_.strip, j);
    }
  }

  /// Of so many rows from the j-th on, as far as they are there and not known yet.
  void find_maxima(int j, int count) {
    for (; known_ < count && j + known_ < left_; ++known_) {
      top_[known_] = kernels<RowMaximumTable<T>>().maximum(row(j + known_), classes_);
    }
  }

  /// A row without a finite maximum: nothing of it will be regular. As the kernel does, so for all lanes from there on.
  void leave_out(int row, T max) {
    auto& strip = reduced_.strip;
    for (int j = row; j < wide_capacity; ++j) {
      strip.max[j] = strip.moved[j] = max;
      strip.equal[j] = T(1);
      strip.exponent[j] = strip.logit[j] = T(0);
      strip.sum[j] = 0;
      if constexpr (std::is_same_v<T, double>) strip.lost[j] = 0;
    }
  }

  const T* row([[maybe_unused]] int j) const {
    if constexpr (packs) {
      return scratch_;
    } else {
      return source_(begin_ + j, Row<T>{}).data;
    }
  }

  /// Where the exponentials of a row can be kept, and what becomes of them; or null.
  T* home([[maybe_unused]] int j) {
    if constexpr (packs) {
      return scratch_;
    } else if constexpr (direct) {
      return out_row(j).data;
    } else {
      return nullptr;
    }
  }

  auto out_row(int j) const { return cells<is_sample<Logits>>(out_).row(begin_ + j); }

  /// Before a row is written, while what that takes is still being worked out: 16384 x 1000 with gradient takes 1.06 times as
  /// long without.
  void find_next_maximum() {
    if (keeps && !runs() && is_near()) find_maxima(rows_, 1);
  }

  /// Makes the kept exponentials, or those taken again, multiples of the probabilities.
  void write_multiples() {
    find_next_maximum();
    for (int j = 0; j < rows_; ++j) {
      if constexpr (may_reread) {
        if (rereads_) {
          kernels<RowRereadTable<T, Exps::careful>>().multiples(
              row(j), classes_, anchor_[j], reduced_.outcomes.first[j], reduced_.outcomes.second[j], home(j));
          continue;
        }
      }
      if constexpr (direct) {
        kernels<RowScaleTable<T>>().scale(home(j), classes_, reduced_.outcomes.first[j], reduced_.outcomes.second[j]);
        if constexpr (packs) unpack(scratch_, Index{1}, out_row(j));
      } else {
        const auto partition = reduced_.partition(j);
        write_row(j, [&](double z) { return V(reduced_.factor(j) * partition.template probability<V>(z)); });
      }
    }
  }

  template <class Function>
  void write_row(int j, const Function& f) {
    const auto out = out_row(j);
    const T* const z = row(j);
    for (Index k = 0; k < classes_; ++k) out[k] = narrow<typename Out::Scalar>(f(double(z[k])));
  }

  const Rows<Logits>& source_;
  Out& out_;
  Index classes_;
  Index begin_ = 0;
  int rows_ = 0;
  Index left_ = 0;    // rows that may be read ahead
  RowTop<T> top_[2];  // of the next rows,
  int known_ = 0;     // as many as are known
  bool rereads_ = false;
  decltype(RunningRowTable<keeps>::sum) running_sum_ = nullptr;
  T anchor_[capacity];  // of rows that it has summed
  Reduced reduced_;
  T scratch_[packs ? scratch_size : 1];
};

}  // namespace xent::detail
