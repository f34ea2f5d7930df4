// SPDX-License-Identifier: MIT
// xent/detail/kernel/kernels.inl - all kernels of one instruction set, as a table.

#include <xent/detail/kernel/lanes.inl>  // the ground of the others

#include <xent/detail/kernel/elements.inl>
#include <xent/detail/kernel/label_steps.inl>
#include <xent/detail/kernel/labels.inl>
#include <xent/detail/kernel/pairs.inl>
#include <xent/detail/kernel/rows.inl>
#include <xent/detail/kernel/small_tiles.inl>
#include <xent/detail/kernel/strips.inl>
#include <xent/detail/kernel/weights.inl>

#include <xent/detail/kernel/dense_cells.inl>    // on strips.inl
#include <xent/detail/kernel/pair_outcomes.inl>  // on pairs.inl
#include <xent/detail/kernel/reread.inl>         // on strips.inl
#include <xent/detail/kernel/running_rows.inl>   // on rows.inl
#include <xent/detail/kernel/tiles.inl>          // on small_tiles.inl
#include <xent/detail/kernel/two_classes.inl>    // on label_steps.inl

#include <xent/detail/kernel/dense_sums.inl>    // on dense_cells.inl
#include <xent/detail/kernel/label_strips.inl>  // on strips.inl and two_classes.inl

#include <xent/detail/kernel/dense.inl>  // on dense_cells.inl and dense_sums.inl

template <class Table, int bytes>
struct TableOf;

template <class T, int bytes>
struct TableOf<RowMaximumTable<T>, bytes> {
  static constexpr RowMaximumTable<T> value{&RowKernels<T, bytes>::maximum};
};

template <class T, int bytes>
struct TableOf<RowScaleTable<T>, bytes> {
  static constexpr RowScaleTable<T> value{&RowKernels<T, bytes>::scale};
};

template <class T, int bytes>
struct TableOf<RowShiftTable<T>, bytes> {
  static constexpr RowShiftTable<T> value{&RowKernels<T, bytes>::shift};
};

template <class T, bool careful, Kept what, int bytes>
struct TableOf<RowSumTable<T, careful, what>, bytes> {
  static constexpr RowSumTable<T, careful, what> value{&RowSums<T, bytes, careful, what>::sum};
};

template <class T, int bytes>
struct TableOf<StripTable<T>, bytes> {
  using K = StripKernels<T, bytes>;
  static constexpr StripTable<T> value{&K::maximum};
};

template <class T, std::size_t most, bool focuses, int bytes>
struct TableOf<StripOutcomeTable<T, most, focuses>, bytes> {
  using K = StripKernels<T, bytes>;
  static constexpr StripOutcomeTable<T, most, focuses> value{&K::template outcomes<focuses, most>};
};

template <std::size_t most, int bytes>
struct TableOf<PairOutcomeTable<most>, bytes> {
  static constexpr PairOutcomeTable<most> value{&PairOutcomes<bytes>::template outcomes<most>};
};

template <class T, int bytes>
struct TableOf<StripScaleTable<T>, bytes> {
  static constexpr StripScaleTable<T> value{&StripKernels<T, bytes>::scale};
};

template <class T, int bytes>
struct TableOf<StripShiftTable<T>, bytes> {
  static constexpr StripShiftTable<T> value{&StripKernels<T, bytes>::shift};
};

template <class T, int bytes>
struct TableOf<StripPickTable<T>, bytes> {
  static constexpr StripPickTable<T> value{&StripLabels<T, bytes>::pick};
};

template <class T, int bytes>
struct TableOf<StripPutTable<T>, bytes> {
  static constexpr StripPutTable<T> value{&StripLabels<T, bytes>::put};
};

template <LabelsAs as, bool keeps, int bytes>
struct TableOf<LabelStripTable<as, keeps>, bytes> {
  static constexpr LabelStripTable<as, keeps> value{&LabelStripKernels<bytes, as, keeps>::losses};
};

template <class Label, int bytes>
struct TableOf<LabelTable<Label>, bytes> {
  using K = LabelKernels<Label, bytes>;
  static constexpr LabelTable<Label> value{&K::any_outside, &K::count_of, &K::take};
};

template <class T, int bytes>
struct TableOf<WeightCheckTable<T>, bytes> {
  static constexpr WeightCheckTable<T> value{&WeightChecks<T, bytes>::any_refused};
};

template <int bytes>
struct TableOf<RowWeightTable, bytes> {
  static constexpr RowWeightTable value{&RowWeights<bytes>::sum, &RowWeights<bytes>::weigh};
};

template <class T, bool careful, int bytes>
struct TableOf<StripSumTable<T, careful>, bytes> {
  static constexpr StripSumTable<T, careful> value{&StripSums<T, bytes, careful>::sums};
};

template <bool keeps, int bytes>
struct TableOf<RunningRowTable<keeps>, bytes> {
  static constexpr RunningRowTable<keeps> value{&RunningRow<bytes, keeps>::sum};
};

template <class T, bool careful, int bytes>
struct TableOf<RowRereadTable<T, careful>, bytes> {
  static constexpr RowRereadTable<T, careful> value{};
};
/// Only with AVX-512 exponentials are cheap enough: with AVX2 256 x 50257 takes 1.4 times as long so.
template <class T>
struct TableOf<RowRereadTable<T, false>, 64> {
  static constexpr RowRereadTable<T, false> value{&RunningRow<64, false>::sum, &RowMultiples<T, 64, false>::multiples};
};
template <class T>
struct TableOf<RowRereadTable<T, true>, 64> {
  static constexpr RowRereadTable<T, true> value{nullptr, &RowMultiples<T, 64, true>::multiples};
};

template <bool careful, int bytes>
struct TableOf<StripRunningSumTable<careful>, bytes> {
  static constexpr StripRunningSumTable<careful> value{&RunningSums<bytes, careful>::sums};
};

template <int bytes>
struct TableOf<StripMultipleTable, bytes> {
  static constexpr StripMultipleTable value{&StripMultiples<bytes>::multiples};
};

template <class T, int bytes>
struct TableOf<GatherTable<T>, bytes> {
  static constexpr GatherTable<T> value{&TileKernels<T, bytes>::gather};
};

template <class T, int bytes>
struct TableOf<ScatterTable<T>, bytes> {
  static constexpr ScatterTable<T> value{&TileKernels<T, bytes>::scatter};
};

template <class T, bool wide, int bytes>
struct TableOf<DenseCountTable<T, wide>, bytes> {
  static constexpr DenseCountTable<T, wide> value{&DenseKernels<T, bytes, wide>::count};
};

template <class T, bool wide, Blend blend, bool keeps, int bytes>
struct TableOf<DenseSumTable<T, wide, blend, keeps>, bytes> {
  static constexpr DenseSumTable<T, wide, blend, keeps> value{
      &DenseKernels<T, bytes, wide>::template sums<blend, keeps>};
};

template <std::size_t most, int bytes>
struct TableOf<DenseOutcomeTable<most>, bytes> {
  static constexpr DenseOutcomeTable<most> value{&DenseOutcomes<bytes>::template outcomes<most>};
};

template <std::size_t most, int bytes>
struct TableOf<DensePairTable<most>, bytes> {
  static constexpr DensePairTable<most> value{&DensePairs<bytes>::template outcomes<most>};
};

template <class T, bool wide, Blend blend, int bytes>
struct TableOf<DenseGradientTable<T, wide, blend>, bytes> {
  static constexpr DenseGradientTable<T, wide, blend> value{&DenseKernels<T, bytes, wide>::template gradient<blend>};
};

template <class T, Blend blend, int bytes>
struct TableOf<DenseRereadTable<T, blend>, bytes> {
  static constexpr DenseRereadTable<T, blend> value{};
};
template <class T, Blend blend>
struct TableOf<DenseRereadTable<T, blend>, 64> {
  static constexpr DenseRereadTable<T, blend> value{&DenseKernels<T, 64, true>::template gradient_again<blend>};
};

template <class T, int bytes>
struct TableOf<MapTable<T>, bytes> {
  using K = ElementKernels<T, bytes>;
  using F = typename K::Function;
  static constexpr MapTable<T> value{&K::template map<F::sigmoid>, &K::template map<F::log_sigmoid>,
                                     &K::template map<F::softplus>};
};

template <class T, bool slopes, int bytes>
struct TableOf<BinaryTable<T, slopes>, bytes> {
  static constexpr BinaryTable<T, slopes> value{&ElementKernels<T, bytes>::template binary<slopes>};
};

template <int bytes>
struct TableOf<WeightTable, bytes> {
  static constexpr WeightTable value{&WeightKernels<bytes>::weigh};
};
