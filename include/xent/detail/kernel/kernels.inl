// SPDX-License-Identifier: MIT
// xent/detail/kernel/kernels.inl - all kernels of one instruction set, as a table.

#include <xent/detail/kernel/lanes.inl>  // the ground of the others

#include <xent/detail/kernel/dense.inl>
#include <xent/detail/kernel/elements.inl>
#include <xent/detail/kernel/rows.inl>
#include <xent/detail/kernel/strips.inl>
#include <xent/detail/kernel/tiles.inl>

template <class Table, int bytes>
struct TableOf;

template <class T, int bytes>
struct TableOf<RowTable<T>, bytes> {
  using K = RowKernels<T, bytes>;
  static constexpr RowTable<T> value{&K::maximum, &K::sum, &K::scale, &K::shift};
};

template <class T, int bytes>
struct TableOf<StripTable<T>, bytes> {
  using K = StripKernels<T, bytes>;
  static constexpr StripTable<T> value{&K::maximum, &K::sums, &K::outcomes, &K::scale, &K::shift};
};

template <class T, int bytes>
struct TableOf<TileTable<T>, bytes> {
  using K = TileKernels<T, bytes>;
  static constexpr TileTable<T> value{&K::gather, &K::scatter};
};

template <int bytes>
struct TableOf<DenseRowTable, bytes> {
  using K = DenseKernels<bytes>;
  static constexpr DenseRowTable value{&K::template row<DenseCount>, &K::template row<DenseSums>,
                                       &K::template row<DenseGradient>};
};

template <int bytes>
struct TableOf<DenseStripTable, bytes> {
  using K = DenseKernels<bytes>;
  static constexpr DenseStripTable value{&K::template strip<DenseCount>, &K::template strip<DenseSums>,
                                         &K::template strip<DenseGradient>};
};

template <int bytes>
struct TableOf<MapTable, bytes> {
  using K = ElementKernels<bytes>;
  using F = typename K::Function;
  static constexpr MapTable value{&K::template map<F::sigmoid>, &K::template map<F::log_sigmoid>,
                                  &K::template map<F::softplus>};
};

template <int bytes>
struct TableOf<BinaryTable, bytes> {
  static constexpr BinaryTable value{&ElementKernels<bytes>::binary};
};
