// SPDX-License-Identifier: MIT
// xent/detail/strips.hpp - short rows and columns, many side by side through the strip kernels.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/access.hpp>
#include <xent/detail/kernel/dispatch.hpp>
#include <xent/detail/reduced.hpp>
#include <xent/detail/row_partition.hpp>
#include <xent/detail/scalar.hpp>
#include <xent/detail/ways.hpp>

#include <algorithm>  // std::fill
#include <cstddef>    // std::size_t
#include <type_traits>

namespace xent::detail {

/// The rows of `logits`, a strip of them at a time through kernels in T = Exps::T: columns where they stand, short rows transposed into a scratch.
/// `out` gets what is written, or is NoGradient. With `keeps` the exponentials of the sums, which are half of a softmax, stay
/// in its columns, or in the scratch.
template <class Logits, class Out, bool keeps, class Exps>
class StripWork {
 public:
  using T = typename Exps::T;
  using V = WideOf<Logits>;
  static constexpr std::size_t capacity = strip_rows;

  StripWork(const Logits& logits, const Rows<Logits>& source, Out& out)
      : kernels_(kernels<StripTable<T>>()),
        sums_(kernels<StripSumTable<T, Exps::careful>>()),
        logits_(logits),
        source_(source),
        out_(out),
        classes_(class_count(logits)) {}

  int most_rows() const { return rows_in_strip<!packs>(classes_); }

  void load(Index begin, int rows, Index) {
    begin_ = begin;
    rows_ = rows;
    if constexpr (packs) {
      stride_ = kept_stride_ = most_rows();
      if constexpr (RowsInPlace<Logits, T>) {
        const auto z = cells<false>(logits_);
        kernels<TileTable<T>>().gather(z.row(begin).data, z.row_stride, int(classes_), rows, scratch_, stride_,
                                       row_to_write<T>(logits_, out_, begin));
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
    find_sums([] {});
    reduced_.find_outcomes(rows_);
  }

  bool regular(int j) const { return reduced_.regular(j); }

  V logsumexp(int j) const {
    if (regular(j)) return reduced_.logsumexp(j);
    return RowPartition<typename Reduced::W>(Row<const T>{z_ + j, stride_, classes_}).template logsumexp<V>();
  }

  /// Reduces, and finds the losses: what the rule makes of the weight times nll at the label. The label may be negative: then
  /// there is none.
  template <class Rule>
  void find_losses(const int* label, const V* weight, const Rule& rule, const V& divisor, V* loss) {
    if constexpr (by_label) {
      finished_ = classes_ <= most_strip_classes;
      if (finished_) {
        T* const home = keeps ? kept_ : const_cast<T*>(z_);
        alignas(64) double z_loss[strip_rows];
        const LossShape shape = shape_of(rule, begin_, rows_, label, z_loss);
        return kernels<LabelStripTable<Exps::careful>>().losses(
            {z_, stride_, int(classes_), label, weight, shape, 1 / divisor, loss, keeps, home,
             keeps ? kept_stride_ : stride_},
            rows_);
      }
    }
    T* const z = reduced_.strip.logit;
    find_sums([&] {
      std::fill(z + rows_, z + lanes_of(rows_), T(0));
      kernels<StripLabelTable<T>>().pick(z_, stride_, classes_, rows_, label, z);
    });
    reduced_.find_losses(begin_, rows_, label, weight, rule, divisor, keeps, loss);
  }

  void write_gradient(const int* label) {
    if (!finished_) scale();
    if constexpr (direct) {
      if (!finished_)
        kernels<StripLabelTable<T>>().put(reduced_.outcomes.at_label, classes_, rows_, label, kept_, kept_stride_);
    } else {
      for (int j = 0; j < rows_; ++j) {
        if (label[j] >= 0) out_row(j)[label[j]] = narrow<typename Out::Scalar>(reduced_.outcomes.at_label[j]);
      }
    }
    if constexpr (packs) copy_out();
  }

  void write_probabilities() {
    scale();
    if constexpr (packs) copy_out();
  }

  /// out_jk = log_probability(z_jk), where nothing was kept.
  void write_log_probabilities() {
    if constexpr (direct) {
      alignas(64) T log_sum[strip_rows];
      for (int j = 0; j < rows_; ++j) log_sum[j] = static_cast<T>(reduced_.outcomes.log_sum[j]);
      if constexpr (packs) {
        kernels<StripOutputTable<T>>().shift(z_, stride_, classes_, rows_, reduced_.strip.max, log_sum, scratch_,
                                             stride_);
        copy_out();
      } else {
        const auto out = out_row(0);
        kernels<StripOutputTable<T>>().shift(z_, stride_, classes_, rows_, reduced_.strip.max, log_sum, out.data,
                                             out.stride);
      }
    } else {
      for (int j = 0; j < rows_; ++j) {
        const auto partition = reduced_.partition(j);
        write_row(j, [&](double z) { return partition.template log_probability<V>(z); });
      }
    }
  }

 private:
  static constexpr bool packs = !ClassesInPlace<Logits, T>;
  // Beyond so many classes a strip does not stay in the second cache: then it is cheaper to take its exponentials twice than
  // to keep them. Sums of doubles would lose digits on their way from one maximum to the next.
  bool rereads() const { return !packs && sizeof(T) == sizeof(float) && classes_ > most_strip_classes; }
  static constexpr bool direct = packs || ContiguousClasses<Out>;  // what is kept has a place
  static constexpr bool by_label = std::is_same_v<T, float> && (direct || !keeps);
  using Reduced = ReducedRows<Logits, Exps, strip_rows, !direct>;

  /// Calls look() when the logits have been read, but not yet been written over.
  template <class Look>
  void find_sums(const Look& look) {
    if (rereads()) {
      sums_.running_sums(z_, stride_, classes_, rows_, reduced_.strip);
      look();
    } else {
      kernels_.maximum(z_, stride_, classes_, rows_, reduced_.strip.max);
      look();
      sums_.sums(z_, stride_, classes_, rows_, reduced_.strip, kept_, kept_stride_);
    }
  }

  /// Makes the kept exponentials, or those taken again where nothing was kept, multiples of the probabilities.
  void scale() {
    if constexpr (direct) {
      if (rereads()) {
        return kernels<StripOutputTable<T>>().multiples(z_, stride_, classes_, rows_, reduced_.strip.max,
                                                        reduced_.outcomes.first, reduced_.outcomes.second, kept_,
                                                        kept_stride_);
      }
      kernels<StripOutputTable<T>>().scale(kept_, kept_stride_, classes_, rows_, reduced_.outcomes.first,
                                           reduced_.outcomes.second);
    } else {
      for (int j = 0; j < rows_; ++j) {
        const auto partition = reduced_.partition(j);
        write_row(j, [&](double z) { return V(reduced_.factor(j) * partition.template probability<V>(z)); });
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
      kernels<TileTable<T>>().scatter(scratch_, stride_, int(classes_), rows_, out.row(begin_).data, out.row_stride);
    } else {
      for (int j = 0; j < rows_; ++j) unpack(scratch_ + j, stride_, out_row(j));
    }
  }

  const StripTable<T>& kernels_;
  const StripSumTable<T, Exps::careful>& sums_;
  const Logits& logits_;
  const Rows<Logits>& source_;
  Out& out_;
  Index classes_;
  Index begin_ = 0;
  int rows_ = 0;
  const T* z_ = nullptr;
  Index stride_ = 0;
  T* kept_ = nullptr;
  Index kept_stride_ = 0;
  bool finished_ = false;  // what is kept is the gradient already
  Reduced reduced_;
  alignas(64) T scratch_[packs ? scratch_size : 1];
};

}  // namespace xent::detail
