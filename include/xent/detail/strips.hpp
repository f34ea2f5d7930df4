// SPDX-License-Identifier: MIT
// xent/detail/strips.hpp - short rows and columns, many side by side through the strip kernels.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/access.hpp>
#include <xent/detail/kernel/dispatch.hpp>
#include <xent/detail/outcome.hpp>
#include <xent/detail/row_partition.hpp>
#include <xent/detail/scalar.hpp>
#include <xent/detail/ways.hpp>

#include <algorithm>  // std::copy_n, std::fill_n
#include <type_traits>

namespace xent::detail {

template <class T>
bool is_regular(const Strip<T>& strip, int j) {
  return is_finite(strip.max[j]) && !is_nan(strip.sum[j]);
}

template <class W, class T>
RowPartition<W> partition_of(const Strip<T>& strip, int j) {
  constexpr double unlift = ExpConstants<T>::unlift;
  const double lost = sizeof(T) == sizeof(float) ? 0.0 : strip.lost[j] * unlift;
  return RowPartition<W>::of(strip.max[j], {strip.sum[j] * unlift, lost, double(strip.equal[j]), double(strip.moved[j]),
                                            double(strip.exponent[j])});
}

/// What becomes of doubles: as StripKernels::outcomes, but row by row in long double.
template <class W, class OutcomeOf>
void find_outcomes(const Strip<double>& strip, int rows, const OutcomeOf& outcome_of, long double* loss,
                   long double* factor, StripOutcomes<double>& out) {
  for (int j = 0; j < rows; ++j) {
    const RowPartition<W> partition = partition_of<W>(strip, j);
    const LabelOutcome<long double> outcome = outcome_of(partition, j);
    const Factor<double> parts(outcome.factor * partition.template unit<long double>());
    loss[j] = is_regular(strip, j) ? outcome.loss : quiet_nan<long double>();
    out.log_sum[j] = static_cast<double>(partition.log_sum());
    factor[j] = outcome.factor;
    out.first[j] = parts.first;
    out.second[j] = parts.second;
    out.at_label[j] = static_cast<double>(outcome.at_label);
  }
}

/// The rows of `logits`, a strip of them at a time through kernels in T = Exps::T: columns where they stand, short rows transposed into a scratch.
/// `out` gets what is written, or is NoGradient. With `keeps` the exponentials of the sums, which are half of a softmax, stay
/// in its columns, or in the scratch.
template <class Logits, class Out, bool keeps, class Exps>
class StripWork {
 public:
  using T = typename Exps::T;
  using V = WideOf<Logits>;
  using W = std::conditional_t<Exps::careful, V, WorkOf<Logits>>;

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
    V one[strip_rows];
    V loss[strip_rows];
    std::fill_n(one, lanes_of(rows_), V(1));
    find_sums([] {});
    find_plain_outcomes(strip_.max, one, V(1), loss);
  }

  bool regular(int j) const { return is_regular(strip_, j); }

  V logsumexp(int j) const {
    if (regular(j)) return V(strip_.max[j]) + V(outcomes_.log_sum[j]);
    return RowPartition<W>(Row<const T>{z_ + j, stride_, classes_}).template logsumexp<V>();
  }

  /// Reduces, and finds the losses: what the rule makes of the weight times nll at the label. The label may be negative: then
  /// there is none.
  template <class Rule>
  void find_losses(const int* label, const V* weight, const Rule& rule, const V& divisor, V* loss) {
    alignas(64) T z[strip_rows];
    find_sums([&] {
      std::fill(z + rows_, z + lanes_of(rows_), T(0));
      kernels<StripLabelTable<T>>().pick(z_, stride_, classes_, rows_, label, z);
    });
    if (rule.plain()) return find_plain_outcomes(z, weight, divisor, loss);
    if constexpr (in_long_double) {
      const auto outcome_of = [&](const RowPartition<W>& partition, int j) {
        return label_outcome(partition.template facts<V>(0, z[j]), weight[j], rule, begin_ + j, divisor);
      };
      detail::find_outcomes<W>(strip_, rows_, outcome_of, loss, factor_, outcomes_);
    } else {
      alignas(64) double z_loss[strip_rows] = {};
      for (int j = 0; j < rows_; ++j) z_loss[j] = label[j] < 0 ? 0.0 : double(rule.z_loss_of(begin_ + j));
      const bool no_z_loss = rule.power() != V(0);
      find_outcomes(z, weight, {double(rule.power()), no_z_loss ? nullptr : z_loss}, divisor, loss);
    }
  }

  void write_gradient(const int* label) {
    scale();
    if constexpr (direct) {
      kernels<StripLabelTable<T>>().put(outcomes_.at_label, classes_, rows_, label, kept_, kept_stride_);
    } else {
      for (int j = 0; j < rows_; ++j) {
        if (label[j] >= 0) out_row(j)[label[j]] = narrow<typename Out::Scalar>(outcomes_.at_label[j]);
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
      for (int j = 0; j < rows_; ++j) log_sum[j] = static_cast<T>(outcomes_.log_sum[j]);
      if constexpr (packs) {
        kernels<StripOutputTable<T>>().shift(z_, stride_, classes_, rows_, strip_.max, log_sum, scratch_, stride_);
        copy_out();
      } else {
        const auto out = out_row(0);
        kernels<StripOutputTable<T>>().shift(z_, stride_, classes_, rows_, strip_.max, log_sum, out.data, out.stride);
      }
    } else {
      for (int j = 0; j < rows_; ++j) {
        const auto partition = partition_of<W>(strip_, j);
        write_row(j, [&](double z) { return partition.template log_probability<V>(z); });
      }
    }
  }

 private:
  static constexpr bool packs = !ClassesInPlace<Logits, T>;
  // Beyond so many classes a strip does not stay in the second cache: then it is cheaper to take its exponentials twice than
  // to keep them. Sums of doubles would lose digits on their way from one maximum to the next.
  bool rereads() const { return !packs && sizeof(T) == sizeof(float) && classes_ > 256; }
  static constexpr bool in_long_double = std::is_same_v<V, long double>;
  static constexpr bool direct = packs || ContiguousClasses<Out>;  // what is kept has a place

  /// Calls look() when the logits have been read, but not yet been written over.
  template <class Look>
  void find_sums(const Look& look) {
    if (rereads()) {
      sums_.running_sums(z_, stride_, classes_, rows_, strip_);
      look();
    } else {
      kernels_.maximum(z_, stride_, classes_, rows_, strip_.max);
      look();
      sums_.sums(z_, stride_, classes_, rows_, strip_, kept_, kept_stride_);
    }
  }

  void find_plain_outcomes(const T* z, const V* weight, const V& divisor, V* loss) {
    if constexpr (in_long_double) {
      const auto outcome_of = [&](const RowPartition<W>& partition, int j) {
        const V factor = weight[j] / divisor;
        return LabelOutcome<V>{partition.template label_loss<V>(z[j], weight[j]), factor,
                               -V(factor * partition.template others<V>(0, z[j]))};
      };
      detail::find_outcomes<W>(strip_, rows_, outcome_of, loss, factor_, outcomes_);
    } else {
      find_outcomes(z, weight, {}, divisor, loss);
    }
  }

  void find_outcomes(const T* z, const double* weight, const LossShape& shape, double divisor, double* loss) {
    kernels<StripOutcomeTable<T>>().outcomes(strip_, rows_, z, weight, shape, 1 / divisor, keeps, outcomes_);
    std::copy_n(outcomes_.loss, rows_, loss);
    if constexpr (!direct) std::copy_n(outcomes_.factor, rows_, factor_);
  }

  /// Makes the kept exponentials, or those taken again where nothing was kept, multiples of the probabilities.
  void scale() {
    if constexpr (direct) {
      if (rereads()) {
        return kernels<StripOutputTable<T>>().multiples(z_, stride_, classes_, rows_, strip_.max, outcomes_.first,
                                                        outcomes_.second, kept_, kept_stride_);
      }
      kernels<StripOutputTable<T>>().scale(kept_, kept_stride_, classes_, rows_, outcomes_.first, outcomes_.second);
    } else {
      for (int j = 0; j < rows_; ++j) {
        const auto partition = partition_of<W>(strip_, j);
        write_row(j, [&](double z) { return V(factor_[j] * partition.template probability<V>(z)); });
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
  Strip<T> strip_;
  StripOutcomes<T> outcomes_;
  V factor_[in_long_double || !direct ? strip_rows : 1];
  alignas(64) T scratch_[packs ? scratch_size : 1];
};

}  // namespace xent::detail
