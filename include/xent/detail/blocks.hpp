// SPDX-License-Identifier: MIT
// xent/detail/blocks.hpp - single elements, a block of them at a time through the kernels.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/access.hpp>
#include <xent/detail/kernel/dispatch.hpp>
#include <xent/detail/scalar.hpp>
#include <xent/detail/ways.hpp>
#include <xent/options.hpp>

#include <algorithm>  // std::copy_n, std::fill_n, std::min
#include <type_traits>

namespace xent::detail {

/// Calls body(i, k) for the coefficients [begin, end) of an array of N x C, counted in its storage order.
template <bool by_rows, class Body>
void for_coefficients(Index rows, Index classes, Index begin, Index end, const Body& body) {
  const Index length = by_rows ? classes : rows;
  for (Index at = begin; at < end;) {
    const Index outer = at / length;
    const Index stop = std::min(end, (outer + 1) * length);
    for (Index inner = at - outer * length; at < stop; ++at, ++inner) {
      by_rows ? body(outer, inner) : body(inner, outer);
    }
  }
}

/// The order in which the elements of T are counted.
template <class T>
inline constexpr bool by_rows = is_sample<T> || row_major<T>;

/// A page of them: with 512 floats a binary loss takes 1.1 times as long.
template <class T>
inline constexpr int block_size = 4096 / int(sizeof(T));
/// No register holds more.
inline constexpr int block_unit = 16;

/// So many elements make a block: whole rows, or columns, if they are short, so that blocks are alike.
template <class T>
Index block_length(Index length) {
  const Index unit = block_unit * length;
  return length > 0 && unit <= block_size<T> ? block_size<T> / unit * unit : block_size<T>;
}

/// The elements of an array in the order of `Like`, in blocks: where they stand in memory, otherwise in a copy.
template <class T, class Like>
class ElementReader {
 public:
  using Kernel = KernelScalar<Like>;

  explicit ElementReader(const T& x) : source_(x), rows_(row_count(x)), classes_(class_count(x)) {
    if constexpr (KernelMemory<T> && std::is_same_v<KernelScalar<T>, Kernel>) {
      const bool whole = x.outerStride() == x.innerSize() || x.outerSize() == 1;
      if (whole && by_rows<T> == by_rows<Like>) data_ = x.data();
    }
  }

  bool in_place() const { return data_ != nullptr; }

  const Kernel* block(Index begin, int size, Kernel* copy) const {
    if (in_place()) return data_ + begin;
    Kernel* to = copy;
    for_coefficients<by_rows<Like>>(rows_, classes_, begin, begin + size,
                                    [&](Index i, Index k) { *to++ = static_cast<Kernel>(widen(source_(i, k))); });
    return copy;
  }

 private:
  Coefficients<T, is_sample<Like>> source_;
  Index rows_;
  Index classes_;
  const Kernel* data_ = nullptr;
};

/// The other way round: block(...) says where the kernel shall write, done(...) takes it where it belongs.
template <class T, class Like>
class ElementWriter {
 public:
  using Kernel = KernelScalar<Like>;

  explicit ElementWriter(T& x) : cells_(cells<is_sample<Like>>(x)), rows_(row_count(x)), classes_(class_count(x)) {
    if constexpr (KernelMemory<T> && std::is_same_v<KernelScalar<T>, Kernel>) {
      const bool whole = x.outerStride() == x.innerSize() || x.outerSize() == 1;
      if (whole && by_rows<T> == by_rows<Like>) data_ = x.data();
    }
  }

  Kernel* block(Index begin, Kernel* copy) const { return data_ != nullptr ? data_ + begin : copy; }

  void done(Index begin, int size, const Kernel* copy) const {
    if (data_ != nullptr) return;
    for_coefficients<by_rows<Like>>(rows_, classes_, begin, begin + size,
                                    [&](Index i, Index k) { cells_(i, k) = narrow<typename T::Scalar>(*copy++); });
  }

 private:
  decltype(cells<is_sample<Like>>(std::declval<T&>())) cells_;
  Index rows_;
  Index classes_;
  Kernel* data_ = nullptr;
};

/// A weight for each element of a block, of a vector that has one for each row, or each class. Or a single one, or none.
template <class T>
class BlockFactor {
 public:
  enum class Along { inner, outer };

  /// `along`: whether the next element in memory has the next weight, or the one after `length` elements.
  BlockFactor(const WeightVector<T>& weights, Along along, Index length)
      : weights_(weights.empty() ? nullptr : &weights[0]),
        size_(weights.size()),
        along_(length == 1 ? Along::inner : along),
        length_(length == 1 ? size_ : length) {}

  /// The weights of the elements from `begin` on, or null.
  const T* block(Index begin, int size) {
    if (size_ == 0) return nullptr;
    const Index phase = size_ == 1 ? 0 : along_ == Along::inner ? begin % length_ : begin;
    if (phase == phase_ && size <= filled_) return factors_;  // blocks of whole rows are all alike
    phase_ = phase;
    filled_ = size;
    if (size_ == 1) {
      std::fill_n(factors_, size, weights_[0]);
    } else {
      fill(begin, size);
    }
    return factors_;
  }

 private:
  void fill(Index begin, int size) {
    Index outer = begin / length_;
    Index inner = begin - outer * length_;
    for (int done = 0; done < size; ++outer, inner = 0) {
      const int count = int(std::min(Index(size - done), length_ - inner));
      if (along_ == Along::outer) {
        std::fill_n(factors_ + done, count, weights_[outer]);
      } else {
        std::copy_n(weights_ + inner, count, factors_ + done);
      }
      done += count;
    }
  }

  const T* weights_;
  Index size_;
  Along along_;
  Index length_;
  Index phase_ = -1;
  int filled_ = 0;
  T factors_[block_size<T>];
};

}  // namespace xent::detail
