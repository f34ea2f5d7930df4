// SPDX-License-Identifier: MIT
// xent/detail/kernel/dispatch.hpp - the vector kernels of every instruction set, and the choice among them at run time.
#pragma once

#include <xent/detail/kernel/constants.hpp>

#include <cstddef>  // std::ptrdiff_t, std::size_t
#include <cstdint>
#include <cstdlib>  // std::getenv
#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>  // std::integer_sequence

namespace xent::detail {

/// At most so many rows make a strip.
inline constexpr int strip_rows = 256;
/// Or so many rows of floats by their labels. Of few classes little is put down between labels and losses: with no more than of others
/// 16000 x 2 takes 1.17 times as long, 16000 x 5 1.12 times. Columns of many classes are read and written in longer pieces:
/// 4096 x 1000 1.2 times, with gradient 1.35 times.
template <class T>
inline constexpr int label_strip_rows = sizeof(T) == sizeof(float) ? 1024 : strip_rows;

/// Of wide rows, each read by itself, only so many, with room for a register from the last one on: what is told of them takes
/// little room, and 16384 x 1000 with gradient 1.1 times as long with as much as a strip.
inline constexpr int wide_rows = 16;
inline constexpr int wide_capacity = 32;

/// So many scalars stay in the nearest cache, or on its edge.
inline constexpr std::ptrdiff_t near_size = 8192;

/// The lanes of whole registers of any set that so many rows of a strip take.
inline constexpr int lanes_of(std::ptrdiff_t rows) { return int(rows + 15) / 16 * 16; }

/// A strip of rows in the making, see RowSum. Sums of floats are in double: they have no `lost`.
template <class T, std::size_t most = std::size_t(label_strip_rows<T>)>
struct Strip {
  alignas(64) T max[most];
  alignas(64) T equal[most];
  alignas(64) T moved[most];
  alignas(64) T exponent[most];
  alignas(64) double sum[most];
  alignas(64) double lost[sizeof(T) == sizeof(double) ? most : 1];
  alignas(64) T logit[most];  // that of the label, or 0
};

/// A number of twice the digits, high + low.
struct TwoParts {
  double high, low;

  explicit TwoParts(long double x) : high(static_cast<double>(x)), low(static_cast<double>(x - high)) {}
};

/// What becomes of the rows of a strip, see StripKernels::outcomes and put_factor.
template <class T, std::size_t most>
struct StripOutcomes {
  alignas(64) double log_sum[most];
  alignas(64) double loss[most];
  alignas(64) double grow[sizeof(T) == sizeof(double) ? most : 1];  // of double: what the loss is multiplied by
  alignas(64) double factor[most];                                  // of a softmax
  alignas(64) T first[most];
  alignas(64) T second[most];
  alignas(64) T at_label[most];
};

/// What a loss makes of the plain cross-entropy by a label: (1 - p)^gamma times it, plus z_loss logsumexp^2, of a row with a
/// weight times that. Or the label shares so much of its weight with all classes whose logits are not -inf, where the kernel
/// knows smoothing.
struct LossShape {
  double gamma = 0;
  double z_loss = 0;
  const double* z_weight = nullptr;
  double smoothing = 0;
};

/// The kernels for one contiguous row, see rows.inl. Kernels come in tables of what is used together: the others are not
/// compiled.
template <class T>
struct RowMaximumTable {
  RowTop<T> (*maximum)(const T* z, std::ptrdiff_t size);
};
template <class T>
struct RowScaleTable {
  void (*scale)(T* kept, std::ptrdiff_t size, T first, T second);
};
template <class T>
struct RowShiftTable {
  void (*shift)(T* kept, std::ptrdiff_t size, T log_sum);
};

/// What is kept of the logits while they are summed, to be made of it what is wanted: exponentials, or z - max.
enum class Kept { nothing, exponentials, margins };

template <class T, bool careful, Kept what>
struct RowSumTable {
  void (*sum)(const T* z, std::ptrdiff_t size, const RowTop<T>& top, T* kept, const T* next, RowTop<T>& next_top,
              std::ptrdiff_t label, Strip<T, wide_capacity>& strip, int j);
};

/// The kernels for strips, see strips.inl.
template <class T>
struct StripTable {
  void (*maximum)(const T* z, std::ptrdiff_t stride, std::ptrdiff_t classes, int rows, T* max);
};
/// For results in float; with `focuses` LossShape::gamma may be more than 0.
template <class T, std::size_t most, bool focuses>
struct StripOutcomeTable {
  void (*outcomes)(const Strip<T, most>& strip, int rows, const double* b, const LossShape& shape, double scale,
                   bool gradient, StripOutcomes<T, most>& outcomes);
};
/// For results in double.
template <std::size_t most>
struct PairOutcomeTable {
  void (*outcomes)(const Strip<double, most>& strip, int rows, const double* b, const double* b_low,
                   const LossShape& shape, const TwoParts& scale, bool gradient, StripOutcomes<double, most>& outcomes);
};
template <class T>
struct StripScaleTable {
  void (*scale)(T* kept, std::ptrdiff_t stride, std::ptrdiff_t classes, int rows, const T* first, const T* second);
};
template <class T>
struct StripShiftTable {
  void (*shift)(const T* z, std::ptrdiff_t stride, std::ptrdiff_t classes, int rows, const T* max, const T* log_sum,
                T* out, std::ptrdiff_t out_stride);
};

/// Between the classes of a strip and one scalar for each row, that of its label, which is negative where there is none.
template <class T>
struct StripPickTable {
  void (*pick)(const T* z, std::ptrdiff_t stride, std::ptrdiff_t classes, int rows, const int* label, T* picked);
};
template <class T>
struct StripPutTable {
  void (*put)(const T* x, std::ptrdiff_t classes, int rows, const int* label, T* out, std::ptrdiff_t stride);
};

/// Labels where they stand: std::int32_t or std::int64_t.
template <class Label>
struct LabelTable {
  bool (*any_outside)(const Label* from, std::ptrdiff_t size, std::int64_t classes, const std::int64_t* ignored);
  int (*count_of)(const Label* from, int rows, std::int64_t ignored);
  bool (*take)(const Label* from, int rows, const std::int64_t* ignored, const float* weight, int* label,
               double* share);
};

/// Whether one of many weights is infinite or NaN, or, unless `any_sign`, has the sign of what is negative.
template <class T>
struct WeightCheckTable {
  bool (*any_refused)(const T* weight, std::ptrdiff_t size, bool any_sign);
};

/// The weights of rows in double: the sum of those that are given; that of their classes, which share is multiplied by, or set to,
/// where it is `fresh`, then 0 without a label. Returns the sum of the shares.
struct RowWeightTable {
  double (*sum)(const float* weight, int rows);
  double (*weigh)(const int* label, int rows, const float* of_class, std::ptrdiff_t classes, bool fresh, double* share);
};

template <class T, bool careful>
struct StripSumTable {
  void (*sums)(const T* z, std::ptrdiff_t stride, std::ptrdiff_t classes, int rows, Strip<T>& strip, T* kept,
               std::ptrdiff_t kept_stride);
};

/// For wide rows of floats that are read once, see running_rows.inl: their exponentials are kept in units of an anchor, which is
/// returned.
template <bool keeps>
struct RunningRowTable {
  float (*sum)(const float* z, std::ptrdiff_t size, float* kept, std::ptrdiff_t label,
               Strip<float, wide_capacity>& strip, int j);
};
/// For wide rows whose exponentials are taken twice, and what is made of them is written past the caches, see reread.inl: null
/// pointers where it is faster to keep them, or where rows are not read once.
template <class T, bool careful>
struct RowRereadTable {
  decltype(RunningRowTable<false>::sum) running_sum;
  void (*multiples)(const T* z, std::ptrdiff_t size, T anchor, T first, T second, T* out);
};

/// For strips of floats whose exponentials are taken twice, see there, the second time for what is written.
template <bool careful>
struct StripRunningSumTable {
  void (*running_sums)(const float* z, std::ptrdiff_t stride, std::ptrdiff_t classes, int rows, Strip<float>& strip);
};
struct StripMultipleTable {
  void (*multiples)(const float* z, std::ptrdiff_t stride, std::ptrdiff_t classes, int rows, const float* max,
                    const float* first, const float* second, float* out, std::ptrdiff_t out_stride, bool past_caches);
};

/// The label of a row that counts, but is of no class.
inline constexpr int of_no_class = std::numeric_limits<int>::max();

/// Float rows of at most so many classes, a strip of them, which a kernel takes from labels to losses, see label_strips.inl.
inline constexpr int most_strip_classes = 256;
struct LabelStrip {
  const float* z;
  std::ptrdiff_t stride;
  int classes;
  const int* label;  // negative where there is none,
  bool complete;     // which is not so
  bool padded;       // whether all rows that registers take are there, those behind the last one without a label
  const double* weight = nullptr;
  LossShape shape;
  double scale = 1;             // of the gradient
  bool notices_labels = false;  // whether, if nothing is kept, the loss of a row whose label no class has is NaN
  bool summed = false;  // whether only the sum of losses without weights is wanted, if this is not a matter of LabelsAs
  double* loss;
  float* kept;  // where exponentials, if they are kept, become the gradient: that may be z
  std::ptrdiff_t kept_stride;
  float* max = nullptr;  // where the maxima go, with room for whole registers, or null
  // Of rows that were packed: where the next ones stand, and these will be written, each a stride from the last; or null.
  const float* next = nullptr;
  const float* out = nullptr;
  std::ptrdiff_t row_stride = 0;

  /// Whether it is asked for which rows are not regular, with a gradient and a sum of losses: not where it can be seen.
  bool tells_irregular() const { return !complete || max != nullptr; }

  LabelStrip from(int row) const {
    LabelStrip rest = *this;
    rest.z += row;
    rest.label += row;
    if (weight != nullptr) rest.weight += row;
    if (shape.z_weight != nullptr) rest.shape.z_weight += row;
    rest.loss += row;
    rest.kept += row;
    if (max != nullptr) rest.max += row;
    if (next != nullptr) rest.next += row * row_stride;
    if (out != nullptr) rest.out += row * row_stride;
    return rest;
  }
};
/// Labels as they are, for plain losses of which only the sum is wanted, for such as magnify the errors of the sums, or
/// smoothed.
enum class LabelsAs { plain, summed, carefully, smoothed };

template <LabelsAs as, bool keeps>
struct LabelStripTable {
  double (*losses)(const LabelStrip& strip, int rows);
};

/// Rows to strips and back, see tiles.inl.
template <class T>
struct GatherTable {
  void (*gather)(const T* z, std::ptrdiff_t row_stride, int classes, int rows, T* strip, std::ptrdiff_t stride,
                 const T* next, const T* out);
};
template <class T>
struct ScatterTable {
  void (*scatter)(const T* strip, std::ptrdiff_t stride, int classes, int rows, T* out, std::ptrdiff_t row_stride);
};

/// What the coefficients of a row are made of: all of them alike, the targets themselves, or whatever there is.
enum class Blend { even, targets, any };

/// Rows with a coefficient for each class, see dense.inl: a strip of them, or one that is wide. Exponentials are kept,
/// and the gradient is written, in `kept`, which may be null for the loss alone, or z.
template <class T>
struct DenseRows {
  const T* z;
  std::ptrdiff_t z_stride;
  const T* t;  // targets, or null
  std::ptrdiff_t t_stride;
  const T* w;     // class weights, or null
  const T* next;  // of a row by itself: another one, whose maximum is looked for meanwhile, or null
  T* kept;
  std::ptrdiff_t kept_stride;
  std::ptrdiff_t classes;
  int rows;
};

/// What the sum of b (max - z) of a row is multiplied by in the end. A margin, or a few of them in float, or all of a row in
/// double, may be beyond the largest number where the loss is not.
template <class T>
inline constexpr double dense_grow = sizeof(T) == 4 ? 0x1p4 : 0x1p30;

/// What the passes over them are told, and what they find.
template <class T, std::size_t most>
struct DenseStrip {
  alignas(64) T max[most];
  std::ptrdiff_t top;  // of a row by itself, see RowTop,
  RowTop<T> next_top;  // ... and that of the next one
  alignas(64) T kept[most];
  alignas(64) T even[most];
  alignas(64) T unmasked[most];           // the number of logits that are not -inf
  alignas(64) T logit[most];              // that of the label, or any number;
  alignas(64) double label_weight[most];  // its class weight; 0 where there is no label
  alignas(64) double sample_weight[most];
  alignas(64) double z_loss[most];
  alignas(64) double exps[most];  // see RowSum
  alignas(64) T equal[most];
  alignas(64) T moved[most];
  alignas(64) T exponent[most];
  alignas(64) T highest[most];       // what is kept of the maximum
  alignas(64) double loss[most];     // the sum of b (max - z), or of max - z, over dense_grow<T>; then the loss
  alignas(64) double grow[most];     // of double: what that is multiplied by
  alignas(64) double others[most];   // the sum of b over all z < max
  alignas(64) double leading[most];  // the sum of b over all z = max
  alignas(64) double lost[4][sizeof(T) == sizeof(double) ? most : 1];  // what the four sums of doubles lost
  alignas(64) T first[most];   // from a kept exponential to scale a p, see put_factor, and for the gradient
  alignas(64) T second[most];  // scale (a p - b):
  alignas(64) T scale[most];
  alignas(64) T scaled_kept[most];  // scale kept and scale even, rounded once
  alignas(64) T scaled_even[most];
  alignas(64) T rest[most];    // a without `leading`
  alignas(64) T led[most];     // `leading`
  alignas(64) T share[most];   // scale p at the maximum, p = 1 / (1 + tail)
  alignas(64) T beside[most];  // scale (1 - p) there
  alignas(64) T at_label[most];
};

/// What all rows have in common: the smoothing, where the coefficients are `even`, the share that is left to the label, and
/// what gradients are multiplied by, if they are wanted.
struct DenseTerms {
  double smoothing;
  bool even;
  double label_share;
  bool z_loss;
  double scale;
  bool gradient;
};

template <class T, bool wide>
using DenseStripOf = DenseStrip<T, std::size_t(wide ? wide_capacity : strip_rows)>;

/// A pass over the rows of a strip, or over a wide one that is row j of its own.
template <class T, bool wide>
using DensePassOver = void (*)(const DenseRows<T>& rows, DenseStripOf<T, wide>& strip, int j);

template <class T, bool wide>
struct DenseCountTable {
  DensePassOver<T, wide> count;
};
template <class T, bool wide, Blend blend, bool keeps>
struct DenseSumTable {
  DensePassOver<T, wide> sums;
};
template <std::size_t most>
struct DenseOutcomeTable {
  void (*outcomes)(DenseStrip<float, most>& strip, int rows, const DenseTerms& terms);
};
template <std::size_t most>
struct DensePairTable {
  void (*outcomes)(DenseStrip<double, most>& strip, int rows, const DenseTerms& terms, const TwoParts& scale);
};
template <class T, bool wide, Blend blend>
struct DenseGradientTable {
  DensePassOver<T, wide> gradient;
};
/// Of a wide row whose exponentials were not kept, see reread.inl; null where that is not worth it.
template <class T, Blend blend>
struct DenseRereadTable {
  DensePassOver<T, true> gradient;
};

/// What the kernel of the binary cross-entropy is told about a block of elements: what their targets are smoothed by, or the
/// weights of both sides themselves with their sums, and what slopes are divided by.
template <class T>
struct BinaryTerms {
  T smoothing = 0;
  T divisor = 1;
  const T* pos = nullptr;
  const T* neg = nullptr;
  const T* both = nullptr;
};

/// The factors of the elements of a block, each of them or null.
template <class T>
struct ElementFactors {
  const T* pos;
  const T* of_class;
  const T* sample;
};

/// The kernels for single elements, see elements.inl.
template <class T>
struct MapTable {
  using Map = void (*)(const T* x, std::ptrdiff_t size, T* out);
  Map sigmoid;
  Map log_sigmoid;
  Map softplus;
};
template <class T, bool slopes>
struct BinaryTable {
  double (*binary)(const T* z, const T* t, int size, const BinaryTerms<T>& terms, T* slope, T* loss);
};
/// For targets in float.
struct WeightTable {
  void (*weigh)(const float* t, int size, float smoothing, const ElementFactors<float>& factors, float* pos, float* neg,
                float* both);
};

// Code that depends on flags carries them in its name, so that a linker never takes one unit's for another's.
#if defined(__AVX512F__)
inline namespace flags_avx512 {
#elif defined(__AVX2__)
inline namespace flags_avx2 {
#else
inline namespace flags_baseline {
#endif
#ifdef __FAST_MATH__
inline namespace flags_fast_math {
#else
inline namespace flags_precise_math {
#endif

enum class InstructionSet { portable, baseline, avx2, avx512 };

InstructionSet instruction_set();

#if defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 12)

#if defined(__x86_64__)

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"))), \
                                 apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,prefer-vector-width=512")
#endif
namespace avx512 {
#include <xent/detail/kernel/kernels.inl>
}
#ifdef __clang__
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace avx2 {
#include <xent/detail/kernel/kernels.inl>
}
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif  // __x86_64__

/// 16 bytes: SSE2 on x86-64, NEON on AArch64, whatever the compiler makes of it elsewhere.
namespace baseline {
#include <xent/detail/kernel/kernels.inl>
}

/// The widest set of the machine. The environment variable XENT_FORCE_ISA asks for another, for tests and measurements:
/// avx512, avx2, baseline (which is sse2 or neon), or portable for the scalar code. One that the machine lacks is its best.
inline InstructionSet choose_set() {
  const char* const variable = std::getenv("XENT_FORCE_ISA");
  const std::string_view forced = variable != nullptr ? variable : "";
  if (forced == "portable") return InstructionSet::portable;
  if (forced == "baseline" || forced == "sse2" || forced == "neon") return InstructionSet::baseline;
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  if (avx512 && forced != "avx2") return InstructionSet::avx512;
  if (avx2) return InstructionSet::avx2;
#endif
  return InstructionSet::baseline;
}

/// The kernels of the set in use; not to be asked for with InstructionSet::portable.
template <class Table>
const Table& kernels() {
#if defined(__x86_64__)
  if (instruction_set() == InstructionSet::avx512) return avx512::TableOf<Table, 64>::value;
  if (instruction_set() == InstructionSet::avx2) return avx2::TableOf<Table, 32>::value;
#endif
  return baseline::TableOf<Table, 16>::value;
}

#else

inline InstructionSet choose_set() { return InstructionSet::portable; }

template <class Table>
const Table& kernels() {
  static constexpr Table none{};
  return none;
}

#endif

/// Looked up once.
inline InstructionSet instruction_set() {
  static const InstructionSet set = choose_set();
  return set;
}

}  // inline namespace
}  // inline namespace

}  // namespace xent::detail
