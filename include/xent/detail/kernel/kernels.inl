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
struct TableOf<Kernels<T>, bytes> {
  using Row = RowKernels<T, bytes>;
  using Strips = StripKernels<T, bytes>;
  using Tiles = TileKernels<T, bytes>;
  static constexpr Kernels<T> value{&Row::maximum,  &Row::sum,       &Row::scale,        &Row::shift,
                                    &Strips::maximum, &Strips::sums, &Strips::scale, &Strips::shift,
                                    &Strips::outcomes, &Tiles::gather, &Tiles::scatter};
};

template <int bytes>
struct TableOf<BinaryKernels, bytes> {
  using E = ElementKernels<bytes>;
  using F = typename E::Function;
  static constexpr BinaryKernels value{&E::template map<F::sigmoid>, &E::template map<F::log_sigmoid>,
                                       &E::template map<F::softplus>, &E::binary};
};

template <int bytes>
struct TableOf<DenseTable, bytes> {
  using D = DenseKernels<bytes>;
  static constexpr DenseTable value{&D::template row<DenseCount>,   &D::template row<DenseSums>,
                                    &D::template row<DenseGradient>, &D::template strip<DenseCount>,
                                    &D::template strip<DenseSums>,  &D::template strip<DenseGradient>};
};
