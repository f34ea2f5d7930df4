// SPDX-License-Identifier: MIT
// xent/detail/dense.hpp - rows with a coefficient for each class through their kernels.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/access.hpp>
#include <xent/detail/kernel/dispatch.hpp>
#include <xent/detail/scalar.hpp>
#include <xent/detail/ways.hpp>

#include <cstddef>  // std::nullptr_t
#include <type_traits>

namespace xent::detail {

/// Stands for the targets of rows that labels describe.
struct NoTargets {};

/// An array as the kernels read it, class-major or not: where it stands, or some rows of it copied. Of NoTargets nothing.
template <class T, class Reader, bool copies>
class DenseSource {
 public:
  using Kernel = KernelScalar<T>;

  DenseSource(const T& x, const Reader& reader) : x_(x), reader_(reader), classes_(class_count(x)) {}

  /// The rows [begin, begin + rows), class k of row j at data()[j + k * stride()]; copies are made `class_stride` apart.
  template <class Out>
  void load(Index begin, int rows, Index class_stride, [[maybe_unused]] const Out& out) {
    begin_ = begin;
    if constexpr (copies) {
      stride_ = class_stride;
      if constexpr (ContiguousRows<T> && !is_sample<T>) {
        if (class_stride > 1) {
          const auto ahead = ahead_of<Kernel>(x_, out, begin, rows, most_near_bytes_of_gathering);
          return gather_rows(x_, begin, rows, scratch_, class_stride, ahead);
        }
      }
      for (int j = 0; j < rows; ++j) pack(reader_, begin + j, scratch_ + j, class_stride, classes_);
    } else {
      const auto row = cells<is_sample<T>>(x_).row(begin);
      data_ = row.data;
      stride_ = row.stride;
    }
  }

  const Kernel* data() const { return copies ? scratch_ : data_; }
  Index stride() const { return stride_; }
  Kernel* scratch() { return scratch_; }

  /// One of the rows by itself, which a copy is.
  const Kernel* row([[maybe_unused]] int j) const {
    if constexpr (copies) {
      return scratch_;
    } else {
      return cells<is_sample<T>>(x_).row(begin_ + j).data;
    }
  }

 private:
  const T& x_;
  const Reader& reader_;
  Index classes_;
  Index begin_ = 0;
  const Kernel* data_ = nullptr;
  Index stride_ = 0;
  alignas(64) Kernel scratch_[copies ? scratch_size : 1];
};

template <bool copies>
class DenseSource<NoTargets, NoTargets, copies> {
 public:
  DenseSource(const NoTargets&, const NoTargets&) {}
  void load(Index, int, Index, NoGradient) {}
  std::nullptr_t data() const { return nullptr; }
  std::nullptr_t row(int) const { return nullptr; }
  Index stride() const { return 0; }
};

/// The rows of `logits`, one after the other or a strip of them, through the passes of dense.inl. `out` gets the gradient, or is
/// NoGradient. The exponentials are kept where the gradient will be: in its rows, or in the copy of the logits. Without `optional`
/// the coefficients are the targets themselves.
template <class Logits, class Targets, class Reader, class Out, bool strips, bool copies, bool optional>
class DenseWork {
 public:
  using T = KernelScalar<Logits>;
  using V = WideOf<Logits>;
  static constexpr bool writes = !std::is_same_v<Out, NoGradient>;
  static constexpr Blend simple = std::is_same_v<Targets, NoTargets> ? Blend::even : Blend::targets;
  static constexpr std::size_t capacity = strips ? strip_rows : wide_capacity;
  // Whether exponentials may be taken twice, see reread.inl.
  static constexpr bool may_reread = std::is_same_v<T, float> && writes && !strips && !copies;

  DenseWork(const Logits& logits, const Rows<Logits>& logit_rows, const Targets& targets, const Reader& reader,
            const T* class_weights, Out& out)
      : logits_(logits, logit_rows),
        targets_(targets, reader),
        out_(out),
        rows_{nullptr, 0, nullptr, 0, class_weights, nullptr, nullptr, 0, class_count(logits), 0},
        simple_(!optional) {
    if constexpr (may_reread) {
      rereads_ = kernels<DenseRereadTable<T, simple>>().gradient != nullptr && rows_.classes >= least_running_classes &&
                 exceeds_caches<T>(logits) && out_row(0).data != logits_.row(0);
    }
  }

  int most_rows() const {
    if (!strips) return writes || copies ? 1 : wide_rows;  // see RowWork
    return rows_in_strip<!copies>(rows_.classes, strip_rows);
  }

  /// The rows from `begin` on, of those before `end`.
  void load(Index begin, int rows, Index end) {
    begin_ = begin;
    left_ = end - begin;
    const Index class_stride = strips ? most_rows() : 1;
    logits_.load(begin, rows, class_stride, out_);
    targets_.load(begin, rows, class_stride, NoGradient{});
    rows_.z = logits_.data();
    rows_.z_stride = logits_.stride();
    rows_.t = targets_.data();
    rows_.t_stride = targets_.stride();
    rows_.rows = rows;
    if constexpr (writes && copies) {
      rows_.kept = logits_.scratch();
      rows_.kept_stride = logits_.stride();
    } else if constexpr (writes) {
      rows_.kept = rereads_ ? nullptr : out_row(0).data;
      rows_.kept_stride = out_row(0).stride;
    }
    if constexpr (strips) {
      kernels<StripTable<T>>().maximum(rows_.z, rows_.z_stride, rows_.classes, rows_.rows, strip_.max);
    }
  }

  DenseStrip<T, capacity>& strip() { return strip_; }

  /// The logits of the labels, which are negative where there is none.
  void pick(const int* label) {
    if constexpr (strips) {
      kernels<StripPickTable<T>>().pick(rows_.z, rows_.z_stride, rows_.classes, rows_.rows, label, strip_.logit);
    } else {
      for (int j = 0; j < rows_.rows; ++j) strip_.logit[j] = label[j] < 0 ? T(0) : logits_.row(j)[label[j]];
    }
  }

  /// What the coefficients are made of, see DenseCoefficients. After this the logits may be gone.
  void sum(T kept, T smoothing) {
    if constexpr (optional) simple_ = rows_.w == nullptr && (simple == Blend::even || smoothing == T(0));
    if constexpr (strips) {
      sum_rows(0, rows_.rows, kept, smoothing);
    } else {
      for (int j = 0; j < rows_.rows; ++j) {
        rows_.z = logits_.row(j);
        rows_.t = targets_.row(j);
        rows_.next = !copies && j + 1 < left_ ? logits_.row(j + 1) : nullptr;
        const RowTop<T> top =
            top_known_ ? strip_.next_top : kernels<RowMaximumTable<T>>().maximum(rows_.z, rows_.classes);
        strip_.max[j] = top.max;
        strip_.top = top.block;
        sum_rows(j, j + 1, kept, smoothing);
        top_known_ = rows_.next != nullptr;
      }
    }
  }

  V sum_of_losses(const V* loss, int rows) const { return sum_of<V>(loss, rows); }
  int rows_of_a_sum() const {
    if (!strips) return 1;
    return copies ? rows_.rows : detail::rows_of_a_sum;
  }

  /// The losses, and all that the gradient needs, divided by the divisor.
  V* find_outcomes(const V& smoothing, bool z_loss, const V& divisor) {
    const V scale = V(1) / divisor;
    const DenseTerms terms{
        double(smoothing), simple_ && simple == Blend::even, double(V(1) - smoothing), z_loss, double(scale), writes};
    if constexpr (std::is_same_v<T, float>) {
      kernels<DenseOutcomeTable<capacity>>().outcomes(strip_, rows_.rows, terms);
      return strip_.loss;
    } else {
      kernels<DensePairTable<capacity>>().outcomes(strip_, rows_.rows, terms, TwoParts(scale));
      for (int j = 0; j < rows_.rows; ++j) loss_[j] = V(strip_.loss[j]) * V(strip_.grow[j]);
      return loss_;
    }
  }

  /// Writes the gradient of all rows; class label[j] of row j, where it is not negative, gets what is its own instead.
  void write_gradient(const int* label) {
    with_blend([&]<Blend blend>() { write_slopes<blend>(); });
    if constexpr (strips) {
      kernels<StripPutTable<T>>().put(strip_.at_label, rows_.classes, rows_.rows, label, rows_.kept, rows_.kept_stride);
    } else if (*label >= 0) {
      rows_.kept[*label * rows_.kept_stride] = strip_.at_label[0];
    }
    if constexpr (copies) copy_out();
  }

 private:
  /// Calls pass<blend>(): kernels for simple coefficients are for one blend alone.
  template <class Pass>
  void with_blend(const Pass& pass) {
    if constexpr (optional) {
      if (!simple_) return pass.template operator()<Blend::any>();
    }
    pass.template operator()<simple>();
  }

  template <Blend blend>
  void write_slopes() {
    if constexpr (may_reread) {
      if (rereads_) {
        rows_.kept = out_row(0).data;
        return kernels<DenseRereadTable<T, blend>>().gradient(rows_, strip_, 0);
      }
    }
    kernels<DenseGradientTable<T, !strips, blend>>().gradient(rows_, strip_, 0);
  }

  void copy_out() {
    if constexpr (strips && WrittenByRows<Logits, Out, T>) {
      kernels<ScatterTable<T>>().scatter(logits_.scratch(), logits_.stride(), int(rows_.classes), rows_.rows,
                                         out_row(0).data, cells<false>(out_).row_stride);
    } else {
      for (int j = 0; j < rows_.rows; ++j) unpack(logits_.scratch() + j, logits_.stride(), out_row(j));
    }
  }

  auto out_row(int j) const { return cells<is_sample<Logits>>(out_).row(begin_ + j); }

  /// The rows [begin, end) of those loaded, which the kernels take at once.
  void sum_rows(int begin, int end, T kept, T smoothing) {
    const bool counts = smoothing != T(0) && !simple_;
    if constexpr (optional) {
      if (counts) kernels<DenseCountTable<T, !strips>>().count(rows_, strip_, begin);
    }
    for (int j = begin; j < end; ++j) {
      strip_.kept[j] = kept;
      strip_.even[j] = counts ? smoothing / strip_.unmasked[j] : T(0);
    }
    with_blend([&]<Blend blend>() {
      if constexpr (may_reread) {
        if (rereads_) return kernels<DenseSumTable<T, true, blend, false>>().sums(rows_, strip_, begin);
      }
      kernels<DenseSumTable<T, !strips, blend, writes>>().sums(rows_, strip_, begin);
    });
  }

  DenseSource<Logits, Rows<Logits>, copies> logits_;
  DenseSource<Targets, Reader, copies> targets_;
  Out& out_;
  Index begin_ = 0;
  Index left_ = 0;
  bool top_known_ = false;  // that of the next row
  DenseRows<T> rows_;
  bool simple_;
  bool rereads_ = false;
  DenseStrip<T, capacity> strip_;
  V loss_[std::is_same_v<T, float> ? 1 : capacity];
};

/// Whether the arrays can be read and written where they stand, as columns or as rows.
template <class Logits, class Targets, class Out>
inline constexpr bool columns_in_place =
    ContiguousClasses<Logits> && (std::is_same_v<Targets, NoTargets> || ContiguousClasses<Targets>)&&(
                                     std::is_same_v<Out, NoGradient> || ContiguousClasses<Out>);
template <class Logits, class Targets, class Out>
inline constexpr bool rows_in_place =
    ContiguousRows<Logits> && (std::is_same_v<Targets, NoTargets> ||
                               SameRows<Logits, Targets>)&&(std::is_same_v<Out, NoGradient> || SameRows<Logits, Out>);

/// Logits and targets that the kernels can take: both in float, or in half precision through it, or both in double.
template <class Logits, class Targets>
constexpr bool has_dense_kernels() {
  if constexpr (!has_kernels<Logits> || std::is_same_v<Targets, NoTargets>) {
    return has_kernels<Logits>;
  } else {
    return std::is_same_v<KernelScalar<Targets>, KernelScalar<Logits>> && is_sample<Targets> == is_sample<Logits>;
  }
}

template <class Logits, class Targets, class Out>
Way dense_way_of(Index classes) {
  if constexpr (has_dense_kernels<Logits, Targets>()) {
    if (instruction_set() == InstructionSet::portable || classes > most_kernel_classes) return Way::portable;
    if (!is_sample<Logits> &&
        (columns_in_place<Logits, Targets, Out> || classes * Index(sizeof(KernelScalar<Logits>)) <= most_tile_bytes))
      return Way::strips;
    if (is_sample<Logits> && classes < least_row_classes) return Way::portable;
    if (rows_in_place<Logits, Targets, Out> || classes <= scratch_size) return Way::rows;
  }
  return Way::portable;
}

/// Calls use(work) with what takes the rows the given way, or portable().
template <bool optional, class Logits, class Targets, class Reader, class Out, class Use, class Portable>
void with_dense_work(Way way, const Logits& logits, const Rows<Logits>& rows, const Targets& targets,
                     const Reader& reader, const KernelScalar<Logits>* class_weights, Out& out, const Use& use,
                     const Portable& portable) {
  if (way == Way::strips) {
    if constexpr (!is_sample<Logits>) {
      DenseWork<Logits, Targets, Reader, Out, true, !columns_in_place<Logits, Targets, Out>, optional> work(
          logits, rows, targets, reader, class_weights, out);
      use(work);
    }
  } else if (way == Way::rows) {
    if constexpr (!columns_in_place<Logits, Targets, Out>) {
      DenseWork<Logits, Targets, Reader, Out, false, !rows_in_place<Logits, Targets, Out>, optional> work(
          logits, rows, targets, reader, class_weights, out);
      use(work);
    }
  } else {
    portable();
  }
}

}  // namespace xent::detail
