// SPDX-License-Identifier: MIT
// xent/detail/ways.hpp - which kernels the logits go through, by their scalar, layout and number of classes alone.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/access.hpp>
#include <xent/detail/kernel/dispatch.hpp>
#include <xent/detail/reduce.hpp>

#include <algorithm>  // std::clamp
#include <type_traits>

namespace xent::detail {

/// See docs/design.md. A row has the same bits alone and in any batch because only its layout's type and its length decide.
enum class Way {
  portable,  // any scalar and any stride
  rows,      // one wide row at a time, lanes are classes
  strips,    // many short rows, or columns, side by side: lanes are rows
};

/// Rows of at most so many bytes go through tiles. Wider ones are faster as they stand.
inline constexpr Index most_tile_bytes = 1024;
/// Shorter samples, which are one row, are not worth the kernels' beginning and end.
inline constexpr Index least_row_classes = 16;
/// Scratch of one way, in scalars: it stays within the nearest caches, and on the stack.
inline constexpr Index scratch_size = near_size;
/// What is larger does not stay in any cache, and is written past them: 256 x 50257 with gradient takes 1.25 times as long
/// through them. Not so rows that are shorter than those which are read once.
inline constexpr Index most_cached_bytes = Index{24} << 20;
/// Rows of so many floats are read once, see running_rows.inl. Each has its end, which shows where they are near: 16 x 4096 takes
/// 1.07 times as long so, but 1000 x 8192 0.77 times.
inline constexpr Index least_running_classes = 4096;
/// So much is near enough that asking for it takes longer than it saves: if that is done between exponentials, only what the second
/// cache holds, for 60000 x 10 takes 1.25 times as long without; if it is done while rows are gathered, 60000 x 10 takes 1.1 times as
/// long where it is.
inline constexpr Index most_near_bytes = Index{1} << 20;
inline constexpr Index most_near_bytes_of_gathering = Index{8} << 20;
/// In longer rows a float could not count the classes that share the maximum.
inline constexpr Index most_kernel_classes = Index{1} << 24;

template <class T>
using KernelScalar = typename ResultScalarOf<typename T::Scalar>::type;

/// How the kernels take exponentials: in T, and of floats carefully where the error of a sum will be multiplied.
template <class Scalar, bool more_digits = false>
struct Exponentials {
  using T = Scalar;
  static constexpr bool careful = more_digits;
};

/// Scalars that the kernels can take: float (half and bfloat16 through it) and double.
template <class T>
inline constexpr bool has_kernels = std::is_same_v<KernelScalar<T>, float> || std::is_same_v<KernelScalar<T>, double>;

/// In memory as the kernels read and write: in their scalar, side by side in one direction.
template <class T>
concept KernelMemory =
    DenseArray<T> && in_memory<T> && std::is_same_v<std::remove_const_t<typename T::Scalar>, KernelScalar<T>> &&
    int(T::InnerStrideAtCompileTime) == 1;

/// ... in that of the rows, or of the classes.
template <class T>
concept ContiguousRows = KernelMemory<T> && (is_sample<T> || row_major<T>);
template <class T>
concept ContiguousClasses = KernelMemory<T> && !is_sample<T> && !row_major<T>;

/// Whether kernels in T can take the rows, or the classes, of T where they stand. Otherwise they get copies.
template <class Logits, class T>
concept RowsInPlace = ContiguousRows<Logits> && std::is_same_v<T, KernelScalar<Logits>>;
template <class Logits, class T>
concept ClassesInPlace = ContiguousClasses<Logits> && std::is_same_v<T, KernelScalar<Logits>>;

/// Whether what belongs to a row of the logits stands side by side in `Out` as well.
template <class Logits, class Out>
concept SameRows = ContiguousRows<Out> && is_sample<Out> == is_sample<Logits>;
/// ... as the kernels in T write it.
template <class Logits, class Out, class T>
concept WrittenByRows = SameRows<Logits, Out> && std::is_same_v<typename Out::Scalar, T>;

/// Where the rows after some stand, and where what becomes of these will be written, if that is laid out alike: to be asked for.
/// Null where all is near enough.
template <class T>
struct Ahead {
  const T* next = nullptr;
  const T* out = nullptr;
};
template <class T, class Source, class Out>
Ahead<T> ahead_of(const Source& source, [[maybe_unused]] const Out& out, Index begin, int rows, Index near_bytes) {
  constexpr bool writes = WrittenByRows<Source, Out, T>;
  if (source.size() * Index(sizeof(T)) * (writes ? 2 : 1) <= near_bytes) return {};
  const auto from = cells<false>(source);
  Ahead<T> ahead{from.row(begin).data + rows * from.row_stride, nullptr};
  if constexpr (writes) {
    const auto into = cells<false>(out);
    if (into.row_stride == from.row_stride) ahead.out = into.row(begin).data;
  }
  return ahead;
}

/// Gathers the rows of `source` from `begin` on, and asks for what is ahead.
template <class T, class Source>
void gather_rows(const Source& source, Index begin, int rows, T* strip, Index stride, const Ahead<T>& ahead) {
  const auto from = cells<false>(source);
  kernels<GatherTable<T>>().gather(from.row(begin).data, from.row_stride, int(class_count(source)), rows, strip, stride,
                                   ahead.next, ahead.out);
}

/// Whether what is written, as large as the logits, is too large for the caches.
template <class T, class Logits>
bool exceeds_caches(const Logits& logits) {
  return logits.size() >= most_cached_bytes / Index(sizeof(T));
}

/// The way to kernels in T.
template <class Logits, class T = KernelScalar<Logits>>
Way way_of(Index classes) {
  if constexpr (has_kernels<Logits>) {
    if (instruction_set() == InstructionSet::portable || classes > most_kernel_classes) return Way::portable;
    if (ClassesInPlace<Logits, T>) return Way::strips;
    if (!is_sample<Logits> && classes * Index(sizeof(T)) <= most_tile_bytes) return Way::strips;
    if (is_sample<Logits> && classes < least_row_classes) return Way::portable;
    return RowsInPlace<Logits, T> || classes <= scratch_size ? Way::rows : Way::portable;
  } else {
    return Way::portable;
  }
}

/// So many rows fill half of the scratch, so that what else belongs to them stays in the nearest cache too: 62500 x 64 with
/// gradient takes 1.15 times as long with all of it. An odd number of lines, so that its columns do not get into each other's way.
inline int rows_in_scratch(Index classes, int most) {
  const Index lines = std::clamp(scratch_size / 2 / classes / 16, Index{1}, Index{most / 16});
  return int((lines - 1 + lines % 2) * 16);
}

/// Columns need no room: strips of few classes are as long as several others, and those of many, which no cache holds, as can be.
template <bool in_place>
int rows_in_strip(Index classes, int most) {
  if (!in_place) return rows_in_scratch(classes, most);
  if (classes > most_strip_classes) return most;
  return int(std::clamp(near_size / classes / strip_rows, Index{1}, Index{most / strip_rows})) * strip_rows;
}

/// The losses of wide columns are summed for so many rows at a time.
inline constexpr int rows_of_a_sum = strip_rows / 2;

/// Chunks are multiples of this: whole strips. Those of wide columns would leave threads without work: so they are cut where sums end
/// anyway. But of a few rows only for several threads, for it takes one longer, 256 x 50257 1.15 times.
template <bool in_place>
Index grain_of(Way way, Index rows, Index classes, int most = strip_rows) {
  if (way != Way::strips) return 1;
  if (!in_place || classes <= most_strip_classes) return rows_in_strip<in_place>(classes, most);
  return rows <= strip_rows && several_threads() ? rows_of_a_sum : strip_rows;
}

/// Row i in a scalar of the kernels, `stride` apart.
template <class Logits, class T>
void pack(const Rows<Logits>& rows, Index i, T* to, Index stride, Index classes) {
  const auto z = rows(i, Row<T>{to, stride, classes});
  if constexpr (in_memory<Logits>) {
    for (Index k = 0; k < classes; ++k) to[k * stride] = static_cast<T>(widen(z[k]));
  }
}
template <class Array, bool sample, class T>
void pack(const Coefficients<Array, sample>& coefficient, Index i, T* to, Index stride, Index classes) {
  for (Index k = 0; k < classes; ++k) to[k * stride] = static_cast<T>(widen(coefficient(i, k)));
}

template <class T, class Out>
void unpack(const T* from, Index stride, const Row<Out>& to) {
  for (Index k = 0; k < to.size; ++k) to[k] = narrow<Out>(from[k * stride]);
}

}  // namespace xent::detail
