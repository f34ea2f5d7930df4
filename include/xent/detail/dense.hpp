// SPDX-License-Identifier: MIT
// xent/detail/dense.hpp - rows with a coefficient for each class through their kernels.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/access.hpp>
#include <xent/detail/kernel/dispatch.hpp>
#include <xent/detail/row_partition.hpp>
#include <xent/detail/scalar.hpp>
#include <xent/detail/ways.hpp>

#include <type_traits>

namespace xent::detail {

/// Stands for the targets of rows that labels describe.
struct NoTargets {};

/// An array as the kernels read it, class-major or not: where it stands, or some rows of it copied. Of NoTargets nothing.
template <class T, class Reader, bool copies>
class DenseSource {
 public:
  DenseSource(const T& x, const Reader& reader) : x_(x), reader_(reader), classes_(class_count(x)) {}

  /// The rows [begin, begin + rows), class k of row j at data()[j + k * stride()]; copies are made `class_stride` apart.
  void load(Index begin, int rows, Index class_stride) {
    if constexpr (copies) {
      stride_ = class_stride;
      if constexpr (ContiguousRows<T> && !is_sample<T>) {
        const auto all = cells<false>(x_);
        if (class_stride > 1) {
          kernels<TileTable<float>>().gather(all.row(begin).data, all.row_stride, int(classes_), rows, scratch_,
                                             class_stride);
          return;
        }
      }
      for (int j = 0; j < rows; ++j) pack(reader_, begin + j, scratch_ + j, class_stride, classes_);
    } else {
      const auto row = cells<is_sample<T>>(x_).row(begin);
      data_ = row.data;
      stride_ = row.stride;
    }
  }

  const float* data() const { return copies ? scratch_ : data_; }
  Index stride() const { return stride_; }
  float* scratch() { return scratch_; }

 private:
  const T& x_;
  const Reader& reader_;
  Index classes_;
  const float* data_ = nullptr;
  Index stride_ = 0;
  alignas(64) float scratch_[copies ? scratch_size : 1];
};

template <bool copies>
class DenseSource<NoTargets, NoTargets, copies> {
 public:
  DenseSource(const NoTargets&, const NoTargets&) {}
  void load(Index, int, Index) {}
  const float* data() const { return nullptr; }
  Index stride() const { return 0; }
};

/// The rows of `logits`, one at a time or a strip of them, through the passes of dense.inl. `out` gets the gradient, or is
/// NoGradient.
template <class Logits, class Targets, class Reader, class Out, bool strips, bool copies>
class DenseWork {
 public:
  using Table = std::conditional_t<strips, DenseStripTable, DenseRowTable>;
  static constexpr bool writes = !std::is_same_v<Out, NoGradient>;

  DenseWork(const Logits& logits, const Rows<Logits>& logit_rows, const Targets& targets, const Reader& reader,
            const float* class_weights, Out& out)
      : kernels_(kernels<Table>()),
        logits_(logits, logit_rows),
        targets_(targets, reader),
        weights_(class_weights),
        out_(out),
        classes_(class_count(logits)) {}

  int most_rows() const {
    if (!strips) return 1;
    return copies ? rows_in_scratch(classes_) : strip_rows;
  }

  void load(Index begin, int rows) {
    begin_ = begin;
    rows_ = rows;
    const Index class_stride = strips ? most_rows() : 1;
    logits_.load(begin, rows, class_stride);
    targets_.load(begin, rows, class_stride);
    find_maxima();
  }

  DenseStrip& strip() { return strip_; }
  float logit(int j, Index k) const { return logits_.data()[j + k * logits_.stride()]; }

  void count() { run(kernels_.count, nullptr, 0); }
  void sum() { run(kernels_.sums, nullptr, 0); }

  /// Writes the gradient of all rows; class label[j] of row j, where it is not negative, gets at_label[j] instead.
  void write_gradient(const Index* label, const double* at_label) {
    if constexpr (writes) {
      if constexpr (copies) {
        run(kernels_.gradient, logits_.scratch(), logits_.stride());
        for (int j = 0; j < rows_; ++j) unpack(logits_.scratch() + j, logits_.stride(), out_row(j));
      } else {
        run(kernels_.gradient, out_row(0).data, out_row(0).stride);
      }
      for (int j = 0; j < rows_; ++j) {
        if (label[j] >= 0) out_row(j)[label[j]] = narrow<typename Out::Scalar>(at_label[j]);
      }
    }
  }

 private:
  auto out_row(int j) const { return cells<is_sample<Logits>>(out_).row(begin_ + j); }

  void run(typename Table::Pass pass, float* out, [[maybe_unused]] Index out_stride) {
    if constexpr (strips) {
      pass(logits_.data(), logits_.stride(), targets_.data(), targets_.stride(), weights_, classes_, rows_, strip_, out,
           out_stride);
    } else {
      pass(logits_.data(), targets_.data(), weights_, classes_, strip_, out);
    }
  }

  void find_maxima() {
    float max[strip_rows] = {};
    if constexpr (strips) {
      kernels<StripTable<float>>().maximum(logits_.data(), logits_.stride(), classes_, rows_, max);
    } else if (classes_ >= least_row_classes) {
      max[0] = kernels<RowTable<float>>().maximum(logits_.data(), classes_);
    } else {
      max[0] = -infinity<float>();
      for (Index k = 0; k < classes_; ++k) max[0] = std::max(max[0], logit(0, k));
    }
    for (int j = 0; j < rows_; ++j) strip_.max[j] = max[j];
  }

  const Table& kernels_;
  DenseSource<Logits, Rows<Logits>, copies> logits_;
  DenseSource<Targets, Reader, copies> targets_;
  const float* weights_;
  Out& out_;
  Index classes_;
  Index begin_ = 0;
  int rows_ = 0;
  DenseStrip strip_;
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

/// Logits and targets that the kernels can take: both in float, or in half precision through it.
template <class Logits, class Targets>
constexpr bool has_dense_kernels() {
  if constexpr (!std::is_same_v<KernelScalar<Logits>, float>) {
    return false;
  } else if constexpr (std::is_same_v<Targets, NoTargets>) {
    return true;
  } else {
    return std::is_same_v<KernelScalar<Targets>, float> && is_sample<Targets> == is_sample<Logits>;
  }
}

template <class Logits, class Targets, class Out>
Way dense_way_of(Index classes) {
  if constexpr (has_dense_kernels<Logits, Targets>()) {
    if (instruction_set() == InstructionSet::portable) return Way::portable;
    if (!is_sample<Logits> && (columns_in_place<Logits, Targets, Out> || classes <= most_tile_classes))
      return Way::strips;
    if (rows_in_place<Logits, Targets, Out> || classes <= scratch_size) return Way::rows;
  }
  return Way::portable;
}

/// Calls use(work) with what takes the rows the given way, or portable().
template <class Logits, class Targets, class Reader, class Out, class Use, class Portable>
void with_dense_work(Way way, const Logits& logits, const Rows<Logits>& rows, const Targets& targets,
                     const Reader& reader, const float* class_weights, Out& out, const Use& use,
                     const Portable& portable) {
  if (way == Way::strips) {
    if constexpr (!is_sample<Logits>) {
      DenseWork<Logits, Targets, Reader, Out, true, !columns_in_place<Logits, Targets, Out>> work(
          logits, rows, targets, reader, class_weights, out);
      use(work);
    }
  } else if (way == Way::rows) {
    if constexpr (!columns_in_place<Logits, Targets, Out>) {
      DenseWork<Logits, Targets, Reader, Out, false, !rows_in_place<Logits, Targets, Out>> work(
          logits, rows, targets, reader, class_weights, out);
      use(work);
    }
  } else {
    portable();
  }
}

}  // namespace xent::detail
