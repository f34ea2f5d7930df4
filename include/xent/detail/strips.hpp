// SPDX-License-Identifier: MIT
// xent/detail/strips.hpp - short rows and columns, many side by side through the strip kernels.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/access.hpp>
#include <xent/detail/kernel/dispatch.hpp>
#include <xent/detail/reduced.hpp>
#include <xent/detail/row_partition.hpp>
#include <xent/detail/scalar.hpp>
#include <xent/detail/terms.hpp>
#include <xent/detail/ways.hpp>

#include <algorithm>  // std::fill
#include <cstddef>    // std::size_t
#include <type_traits>

namespace xent::detail {

/// The rows of `logits`, a strip of them at a time through kernels in T = Exps::T: columns where they stand, short rows
/// transposed into a scratch. `out` gets what is written, or is NoGradient. Exponentials that are kept, half of a softmax,
/// stay in its columns, or in the scratch; a log-softmax is made of the logits.
template <class Logits, class Out, Kept what, class Exps>
class StripWork {
  static constexpr bool keeps = what == Kept::exponentials;
  static constexpr bool packs = !ClassesInPlace<Logits, typename Exps::T>;
  // Beyond so many classes a strip does not stay in the second cache: then it is cheaper to take its exponentials twice than
  // to keep them. Sums of doubles would lose digits on their way from one maximum to the next.
  static constexpr bool may_reread = !packs && std::is_same_v<typename Exps::T, float>;
  static constexpr bool direct = packs || ContiguousClasses<Out>;  // what is kept has a place
  // Whether one kernel takes the rows from labels to losses, but for those that it would reread.
  static constexpr bool by_label = std::is_same_v<typename Exps::T, float> && (direct || !keeps);

 public:
  using T = typename Exps::T;
  using V = WideOf<Logits>;
  static constexpr std::size_t capacity = label_strip_rows<T>;

  StripWork(const Logits& logits, const Rows<Logits>& source, Out& out)
      : logits_(logits),
        source_(source),
        out_(out),
        classes_(class_count(logits)),
        most_rows_(rows_in_strip<!packs>(classes_, int(capacity))) {}

  /// Whether find_losses knows smoothed labels without class weights.
  static bool knows_smoothing(Index classes) { return by_label && !Exps::careful && classes <= most_strip_classes; }
  /// Whether the sum of losses that no weights are given for is NaN if a label is outside the classes.
  static bool notices_labels(Index classes) { return by_label && !keeps && classes <= most_strip_classes; }

  int most_rows() const { return most_rows_; }

  void load(Index begin, int rows, Index) {
    begin_ = begin;
    rows_ = rows;
    if constexpr (packs) {
      stride_ = kept_stride_ = most_rows();
      if constexpr (RowsInPlace<Logits, T>) {
        ahead_ = ahead_of<T>(logits_, out_, begin, rows, by_label ? most_near_bytes : most_near_bytes_of_gathering);
        gather_rows(logits_, begin, rows, scratch_, stride_, by_label ? Ahead<T>{} : ahead_);
      } else {
        for (int j = 0; j < rows; ++j) pack(source_, begin + j, scratch_ + j, stride_, classes_);
      }
      z_ = scratch_;
      if (keeps) kept_ = scratch_;
    } else {
      z_ = cells<false>(logits_).row(begin).data;
      stride_ = cells<false>(logits_).column_stride;
      if constexpr (keeps && ContiguousClasses<Out>) {
        kept_ = out_row(0).data;
        kept_stride_ = out_row(0).stride;
      }
    }
  }

  void reduce() {
    if constexpr (!by_label) {
      find_sums([] {});
      reduced_.find_outcomes(rows_);
    } else if (sums_itself()) {
      reduce_itself();
    } else if constexpr (may_reread) {
      find_running_sums();
      reduced_.find_outcomes(rows_);
    }
  }

  bool regular(int j) const { return sums_itself() ? !is_nan(log_sum_[j]) : reduced_.regular(j); }

  V logsumexp(int j) const {
    if (regular(j)) return V(max_[j]) + V(log_sum_[j]);
    return RowPartition<typename Reduced::W>(Row<const T>{z_ + j, stride_, classes_}).template logsumexp<V>();
  }

  /// Reduces, and finds the losses: what the rule makes of the weight times nll at the label. The label may be negative: then
  /// there is none.
  template <bool each, class Rule>
  void find_losses(const int* label, bool complete, const V* weight, const Rule& rule, const V& divisor, V* loss) {
    if constexpr (!by_label) {
      find_sums([&] { pick(label); });
      reduced_.find_losses(begin_, rows_, weight, rule, divisor, keeps, loss);
    } else if (sums_itself()) {
      sum_ = find_losses_by_label<each>(label, complete, weight, rule, divisor, loss);
    } else if constexpr (may_reread) {
      find_running_sums();
      pick(label);
      reduced_.find_losses(begin_, rows_, weight, rule, divisor, keeps, loss);
    }
  }

  /// Whether the sum of losses is that of the rows that have a label. Otherwise absent rows have the loss 0 by now.
  bool leaves_out_absent() const { return sums_itself(); }
  V sum_of_losses(const V* loss, int rows) const { return sums_itself() ? sum_ : sum_of<V>(loss, rows); }
  int rows_of_a_sum() const { return sums_itself() || packs ? rows_ : detail::rows_of_a_sum; }

  void write_gradient(const int* label) {
    if constexpr (!by_label) {
      scale();
      put(label);
    } else if constexpr (may_reread) {
      if (rereads()) {
        write_multiples();
        put(label);
      }
    }
    if constexpr (packs) copy_out();
  }

  void write_probabilities() {
    if constexpr (!by_label) {
      scale();
    } else if constexpr (may_reread) {
      if (rereads()) write_multiples();
    }
    if constexpr (packs) copy_out();
  }

  /// out_jk = log_probability(z_jk), where nothing was kept.
  void write_log_probabilities() {
    if constexpr (direct) {
      alignas(64) T log_sum[capacity];
      for (int j = 0; j < rows_; ++j) log_sum[j] = static_cast<T>(log_sum_[j]);
      if constexpr (packs) {
        kernels<StripShiftTable<T>>().shift(z_, stride_, classes_, rows_, max_, log_sum, scratch_, stride_);
        copy_out();
      } else {
        const auto out = out_row(0);
        kernels<StripShiftTable<T>>().shift(z_, stride_, classes_, rows_, max_, log_sum, out.data, out.stride);
      }
    } else {
      for (int j = 0; j < rows_; ++j) {
        const auto partition = reduced_.partition(j);
        write_row(j, [&](double z) { return partition.template log_probability<V>(z); });
      }
    }
  }

 private:
  bool rereads() const { return may_reread && classes_ > most_strip_classes; }
  bool sums_itself() const { return by_label && !rereads(); }
  // Whether sums may be found by other kernels, too. What all of them find stands in the place of those, or else in a smaller one.
  static constexpr bool reduces = !by_label || may_reread;
  using Reduced = ReducedRows<Logits, Exps, reduces ? capacity : 1>;

  /// The logits of the labels.
  void pick(const int* label) {
    T* const z = reduced_.strip.logit;
    std::fill(z + rows_, z + lanes_of(rows_), T(0));
    kernels<StripPickTable<T>>().pick(z_, stride_, classes_, rows_, label, z);
  }

  /// Calls look() when the logits have been read, but not yet been written over.
  template <class Look>
  void find_sums(const Look& look) {
    if constexpr (may_reread) {
      if (rereads()) {
        find_running_sums();
        return look();
      }
    }
    kernels<StripTable<T>>().maximum(z_, stride_, classes_, rows_, reduced_.strip.max);
    look();
    kernels<StripSumTable<T, Exps::careful>>().sums(z_, stride_, classes_, rows_, reduced_.strip, kept_, kept_stride_);
  }

  void find_running_sums() {
    kernels<StripRunningSumTable<Exps::careful>>().running_sums(z_, stride_, classes_, rows_, reduced_.strip);
  }

  /// As rows of no class, whose losses are the logarithms of their sums, and the gradients the probabilities.
  void reduce_itself() {
    int label[capacity];
    std::fill_n(label, lanes_of(rows_), of_no_class);
    LabelStrip strip = label_strip(label, true, log_sum_);
    strip.max = max_;
    kernels<LabelStripTable<keeps ? LabelsAs::summed : LabelsAs::plain, keeps>>().losses(strip, rows_);
  }

  LabelStrip label_strip(const int* label, bool complete, double* loss) {
    LabelStrip strip;
    strip.z = z_;
    strip.stride = stride_;
    strip.classes = int(classes_);
    strip.label = label;
    strip.complete = complete;
    strip.padded = packs;
    strip.loss = loss;
    strip.kept = keeps ? kept_ : const_cast<T*>(z_);
    strip.kept_stride = keeps ? kept_stride_ : stride_;
    if constexpr (RowsInPlace<Logits, T>) {
      strip.next = ahead_.next;
      strip.out = ahead_.out;
      strip.row_stride = cells<false>(logits_).row_stride;
    }
    return strip;
  }

  /// The losses, and the gradient in place of what is kept. Returns their sum.
  template <bool each, class Rule>
  V find_losses_by_label(const int* label, bool complete, const V* weight, const Rule& rule, const V& divisor,
                         V* loss) {
    alignas(64) double z_weight[capacity];
    LabelStrip strip = label_strip(label, complete, loss);
    strip.weight = weight;
    strip.shape = shape_of(rule, begin_, rows_, z_weight);
    strip.scale = 1 / divisor;
    strip.notices_labels = !each;
    strip.summed = !each && weight == nullptr;
    if constexpr (Exps::careful) {
      return kernels<LabelStripTable<LabelsAs::carefully, keeps>>().losses(strip, rows_);
    } else {
      if constexpr (Rule::may_smooth) {
        if (strip.shape.smoothing != 0)
          return kernels<LabelStripTable<LabelsAs::smoothed, keeps>>().losses(strip, rows_);
      }
      if constexpr (!each) {
        if (!Rule::may_weigh || (weight == nullptr && rule.plain())) {
          return kernels<LabelStripTable<LabelsAs::summed, keeps>>().losses(strip, rows_);
        }
      }
      if constexpr (each || Rule::may_weigh)
        return kernels<LabelStripTable<LabelsAs::plain, keeps>>().losses(strip, rows_);
    }
  }

  /// Makes the kept exponentials, or those taken again where nothing was kept, multiples of the probabilities.
  void scale() {
    if constexpr (direct) {
      if constexpr (may_reread) {
        if (rereads()) return write_multiples();
      }
      kernels<StripScaleTable<T>>().scale(kept_, kept_stride_, classes_, rows_, reduced_.outcomes.first,
                                          reduced_.outcomes.second);
    } else {
      for (int j = 0; j < rows_; ++j) {
        const auto partition = reduced_.partition(j);
        write_row(j, [&](double z) { return V(reduced_.factor(j) * partition.template probability<V>(z)); });
      }
    }
  }

  void write_multiples() {
    kernels<StripMultipleTable>().multiples(z_, stride_, classes_, rows_, reduced_.strip.max, reduced_.outcomes.first,
                                            reduced_.outcomes.second, kept_, kept_stride_,
                                            kept_ != z_ && exceeds_caches<T>(logits_));
  }

  /// What the gradient is at the labels.
  void put(const int* label) {
    if constexpr (direct) {
      kernels<StripPutTable<T>>().put(reduced_.outcomes.at_label, classes_, rows_, label, kept_, kept_stride_);
    } else {
      for (int j = 0; j < rows_; ++j) {
        if (label[j] >= 0) out_row(j)[label[j]] = narrow<typename Out::Scalar>(reduced_.outcomes.at_label[j]);
      }
    }
  }

  auto out_row(int j) const { return cells<false>(out_).row(begin_ + j); }

  template <class Function>
  void write_row(int j, const Function& f) {
    const auto out = out_row(j);
    for (Index k = 0; k < classes_; ++k) out[k] = narrow<typename Out::Scalar>(f(double(z_[k * stride_ + j])));
  }

  void copy_out() {
    if constexpr (WrittenByRows<Logits, Out, T>) {
      const auto out = cells<false>(out_);
      kernels<ScatterTable<T>>().scatter(scratch_, stride_, int(classes_), rows_, out.row(begin_).data, out.row_stride);
    } else {
      for (int j = 0; j < rows_; ++j) unpack(scratch_ + j, stride_, out_row(j));
    }
  }

  const Logits& logits_;
  const Rows<Logits>& source_;
  Out& out_;
  Index classes_;
  int most_rows_;
  Index begin_ = 0;
  int rows_ = 0;
  V sum_ = V(0);
  Ahead<T> ahead_;
  const T* z_ = nullptr;
  Index stride_ = 0;
  T* kept_ = nullptr;
  Index kept_stride_ = 0;
  Reduced reduced_;
  OwnSums<T, reduces ? 1 : capacity> own_;
  T* const max_ = reduces ? reduced_.strip.max : own_.max;
  double* const log_sum_ = reduces ? reduced_.outcomes.log_sum : own_.log_sum;
  alignas(64) T scratch_[packs ? scratch_size : 1];
};

}  // namespace xent::detail
