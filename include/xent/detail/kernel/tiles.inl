// SPDX-License-Identifier: MIT
// xent/detail/kernel/tiles.inl - rows to strips and back, once for each instruction set.

/// Asks for n registers that stand `ahead` scalars after p.
template <bool to_write, int bytes, int n, class T>
[[gnu::always_inline]] inline void ask(const T* p, std::ptrdiff_t ahead) {
  if constexpr (n > 0) {
    prefetch<Cache::second, to_write>(p, ahead);
    constexpr int next = bytes < 64 ? 64 / bytes : 1;
    ask<to_write, bytes, (n > next ? n - next : 0)>(p, ahead + next * bytes / int(sizeof(T)));
  }
}

/// Blocks of 16 bytes of each row are transposed where they stand in a register, so that the rows come out in their order.
template <class T, int bytes>
struct TileKernels {
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;
  using Small = SmallTiles<T, bytes>;
  static constexpr int block = 16 / int(sizeof(T));
  static constexpr int blocks = bytes / 16;

  /// From `rows` rows of `classes` logits each, row_stride apart, to a class-major strip. Meanwhile it asks for the `next` ones and
  /// for `out`, where the way back will end, unless these are null: 15625 x 128 with gradient takes 2.7 times as long without.
  static void gather(const T* z, std::ptrdiff_t row_stride, int classes, int rows, T* strip, std::ptrdiff_t stride,
                     const T* next, const T* out) {
    int row = row_stride == classes ? Small::gather(z, classes, rows, strip, stride, next, out) : 0;
    const bool narrow = classes < block;  // then a block ends in the row after
    for (; classes > 1 && row + L::count + (narrow ? 1 : 0) <= rows; row += L::count) {
      int k = 0;
      if constexpr (pairs) {
        // Not beside asking, which comes too fast then: 60000 x 100 with gradient takes 1.2 times as long.
        for (; next == nullptr && k + 2 * block <= classes; k += 2 * block) {
          Reg x[std::size_t(block)], y[std::size_t(block)];
          collect_pairs(x, z + row * row_stride + k, row_stride);
          collect_pairs(y, z + (row + 2 * block) * row_stride + k, row_stride);
          transpose(x);
          transpose(y);
          store_pairs(x, y, strip + k * stride + row, stride);
        }
      }
      for (; k < classes; k += block) {
        const int at = narrow || k < classes - block ? k : classes - block;
        Reg x[std::size_t(block)];
        collect_all(x, z + row * row_stride + at, row_stride);
        const std::ptrdiff_t done = row * row_stride + k * L::count;
        if (next != nullptr) ask<false, bytes, block>(next, done);
        if (out != nullptr) ask<true, bytes, block>(out, done);
        transpose(x);
        store_all(x, narrow ? classes : block, strip + at * stride + row, stride);
      }
    }
    for (; row < rows; ++row) {
      for (int k = 0; k < classes; ++k) strip[k * stride + row] = z[row * row_stride + k];
    }
  }

  /// And back.
  static void scatter(const T* strip, std::ptrdiff_t stride, int classes, int rows, T* out, std::ptrdiff_t row_stride) {
    int row = row_stride == classes ? Small::scatter(strip, stride, classes, rows, out) : 0;
    for (; classes >= block && row + L::count <= rows; row += L::count) {
      int k = 0;
      if constexpr (pairs) {
        for (; k + 2 * block <= classes; k += 2 * block) {
          Reg x[std::size_t(block)], y[std::size_t(block)];
          load_pairs(x, y, strip + k * stride + row, stride);
          transpose(x);
          transpose(y);
          spread_pairs(x, out + row * row_stride + k, row_stride);
          spread_pairs(y, out + (row + 2 * block) * row_stride + k, row_stride);
        }
      }
      for (; k < classes; k += block) {
        const int at = k < classes - block ? k : classes - block;
        Reg x[std::size_t(block)];
        load_all(x, strip + at * stride + row, stride);
        transpose(x);
        spread_all(x, out + row * row_stride + at, row_stride);
      }
    }
    for (; row < rows; ++row) {
      for (int k = 0; k < classes; ++k) out[row * row_stride + k] = strip[k * stride + row];
    }
  }

 private:
  template <int n>
  using Blocks = typename VectorOf<T, 16 * n>::type;
  using Lane = std::make_integer_sequence<int, L::count>;
  using HalfLane = std::make_integer_sequence<int, L::count / 2>;

  template <int n>
  static Blocks<n> collect(const T* p, std::ptrdiff_t step) {
    if constexpr (n == 1) {
      return Lanes<T, 16>::load(p);
    } else {
      return joined(collect<n / 2>(p, step), collect<n / 2>(p + n / 2 * step, step),
                    std::make_integer_sequence<int, n * block>());
    }
  }

  template <int n>
  static void spread(Blocks<n> x, T* p, std::ptrdiff_t step) {
    if constexpr (n == 1) {
      Lanes<T, 16>::store(p, x);
    } else {
      using Half = std::make_integer_sequence<int, n / 2 * block>;
      spread<n / 2>(part<0>(x, Half()), p, step);
      spread<n / 2>(part<n / 2 * block>(x, Half()), p + n / 2 * step, step);
    }
  }

  // Two blocks of each row side by side, where a register takes those of two rows: half the loads and stores. Between them the
  // blocks of a class change places: 4000 x 64 takes 1.13 times as long without, with gradient 1.12 times.
  static constexpr bool pairs = bytes == 64;
  using HalfLanes = Lanes<T, bytes / 2>;

  template <int j = 0>
  [[gnu::always_inline]] static void collect_pairs(Reg* x, const T* z, std::ptrdiff_t row_stride) {
    if constexpr (j < block) {
      x[j] = joined(HalfLanes::load(z + j * row_stride), HalfLanes::load(z + (j + block) * row_stride), Lane());
      collect_pairs<j + 1>(x, z, row_stride);
    }
  }
  template <int j = 0>
  [[gnu::always_inline]] static void store_pairs(const Reg* x, const Reg* y, T* strip, std::ptrdiff_t stride) {
    if constexpr (j < block) {
      L::store(strip + j * stride, every_other<0>(x[j], y[j], Lane()));
      L::store(strip + (j + block) * stride, every_other<1>(x[j], y[j], Lane()));
      store_pairs<j + 1>(x, y, strip, stride);
    }
  }
  template <int j = 0>
  [[gnu::always_inline]] static void load_pairs(Reg* x, Reg* y, const T* strip, std::ptrdiff_t stride) {
    if constexpr (j < block) {
      const Reg a = L::load(strip + j * stride);
      const Reg b = L::load(strip + (j + block) * stride);
      x[j] = in_turn<0>(a, b, Lane());
      y[j] = in_turn<2>(a, b, Lane());
      load_pairs<j + 1>(x, y, strip, stride);
    }
  }
  template <int j = 0>
  [[gnu::always_inline]] static void spread_pairs(const Reg* x, T* out, std::ptrdiff_t row_stride) {
    if constexpr (j < block) {
      HalfLanes::store(out + j * row_stride, part<0>(x[j], HalfLane()));
      HalfLanes::store(out + (j + block) * row_stride, part<L::count / 2>(x[j], HalfLane()));
      spread_pairs<j + 1>(x, out, row_stride);
    }
  }

  /// Blocks `first`, first + 2 of a, then those of b.
  template <int first, int... i>
  static Reg every_other(Reg a, Reg b, std::integer_sequence<int, i...>) {
    return __builtin_shufflevector(a, b, ((i / block * 2 + first) * block + i % block)...);
  }
  /// A block of a, one of b, and so on, from block `first` on.
  template <int first, int... i>
  static Reg in_turn(Reg a, Reg b, std::integer_sequence<int, i...>) {
    return __builtin_shufflevector(a, b, ((i / block / 2 + first) * block + i % block + i / block % 2 * L::count)...);
  }

  // Over the registers of x. Recursions, since at -O2 loops would stay ones, and x in memory: that takes twice as long.
  template <int j = 0>
  [[gnu::always_inline]] static void collect_all(Reg* x, const T* z, std::ptrdiff_t row_stride) {
    if constexpr (j < block) {
      x[j] = collect<blocks>(z + j * row_stride, block * row_stride);
      collect_all<j + 1>(x, z, row_stride);
    }
  }
  template <int j = 0>
  [[gnu::always_inline]] static void spread_all(const Reg* x, T* out, std::ptrdiff_t row_stride) {
    if constexpr (j < block) {
      spread<blocks>(x[j], out + j * row_stride, block * row_stride);
      spread_all<j + 1>(x, out, row_stride);
    }
  }
  template <int j = 0>
  [[gnu::always_inline]] static void load_all(Reg* x, const T* strip, std::ptrdiff_t stride) {
    if constexpr (j < block) {
      x[j] = L::load(strip + j * stride);
      load_all<j + 1>(x, strip, stride);
    }
  }
  template <int j = 0>
  [[gnu::always_inline]] static void store_all(const Reg* x, int classes, T* strip, std::ptrdiff_t stride) {
    if constexpr (j < block) {
      if (j < classes) L::store(strip + j * stride, x[j]);
      store_all<j + 1>(x, classes, strip, stride);
    }
  }

  template <int from, class X, int... i>
  static auto part(X x, std::integer_sequence<int, i...>) {
    return __builtin_shufflevector(x, x, (from + i)...);
  }

  /// The low (or high) halves of each block of a and b, interleaved.
  template <int half, int... i>
  static Reg interleave(Reg a, Reg b, std::integer_sequence<int, i...>) {
    return __builtin_shufflevector(a, b,
                                   (i / block * block + half * (block / 2) + i % block / 2 + i % 2 * L::count)...);
  }
  static Reg low(Reg a, Reg b) { return interleave<0>(a, b, Lane()); }
  static Reg high(Reg a, Reg b) { return interleave<1>(a, b, Lane()); }

  [[gnu::always_inline]] static void transpose(Reg* x) {
    if constexpr (block == 2) {
      const Reg first = low(x[0], x[1]);
      x[1] = high(x[0], x[1]);
      x[0] = first;
    } else {
      const Reg even_low = low(x[0], x[2]), odd_low = low(x[1], x[3]);
      const Reg even_high = high(x[0], x[2]), odd_high = high(x[1], x[3]);
      x[0] = low(even_low, odd_low);
      x[1] = high(even_low, odd_low);
      x[2] = low(even_high, odd_high);
      x[3] = high(even_high, odd_high);
    }
  }
};
