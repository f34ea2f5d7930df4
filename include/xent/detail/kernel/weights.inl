// SPDX-License-Identifier: MIT
// xent/detail/kernel/weights.inl - the weights of rows, once for each instruction set.

/// There may be one for each row: they take a sixth of the time of blocks that g++ makes vectors of at -O2.
template <class T, int bytes>
struct WeightChecks {
  using L = Lanes<T, bytes>;
  using Bits = typename L::Bits;
  using Word = typename L::Word;

  static bool any_refused(const T* weight, std::ptrdiff_t size, bool any_sign) {
    Bits found = Bits{};
    std::ptrdiff_t i = 0;
    for (; i + L::count <= size; i += L::count) found |= refused(L::load(weight + i), any_sign);
    T rest[std::size_t(L::count)] = {};
    for (int k = 0; i < size; ++i, ++k) rest[k] = weight[i];
    return L::any_sign(found | refused(L::load(rest), any_sign));
  }

 private:
  /// The sign bit says so; by the bits, for -ffast-math knows neither infinity nor NaN.
  static Bits refused(typename L::Reg weight, bool any_sign) {
    constexpr Word least = Word(1) << L::K::mantissa_bits;  // carries the exponent of what is not finite into the sign
    const Bits infinite = reinterpret_cast<Bits>(L::magnitude(weight)) + least;
    return any_sign ? infinite : infinite | reinterpret_cast<Bits>(weight);
  }
};

template <int bytes>
struct RowWeights {
  using L = Lanes<float, bytes>;
  using Bits = typename L::Bits;
  using Wide = Lanes<double, bytes>;
  using D = typename Wide::Reg;

  /// In four strands of scalars it takes four times as long, and the loss of 60000 x 10 1.04 times.
  static double sum(const float* weight, int rows) {
    D total = D{};
    D other = D{};
    int j = 0;
    for (; j + L::count <= rows; j += L::count) {
      total += Wide::load_wider(weight + j);
      other += Wide::load_wider(weight + j + Wide::count);
    }
    double rest = 0;
    for (; j < rows; ++j) rest += double(weight[j]);
    return Wide::sum(total + other) + rest;
  }

  /// Those of few classes are in a register.
  static double weigh(const int* label, int rows, const float* of_class, std::ptrdiff_t classes, bool fresh,
                      double* share) {
    D total = D{};
    int j = 0;
    if constexpr (has_table<float, bytes>) {
      if (classes <= L::count) {
        const Bits table = table_of(of_class, classes);
        for (; j + L::count <= rows; j += L::count) {
          using Labels = typename VectorOf<std::int32_t, bytes>::type;
          Labels index;
          __builtin_memcpy(&index, label + j, sizeof(index));
          auto weight = reinterpret_cast<typename L::Reg>(looked_up(table, reinterpret_cast<Bits>(index)));
          if (fresh) weight = index < 0 ? typename L::Reg{} : weight;
          const typename L::Halves half(weight);
          total += put(share + j, widened<bytes>(half.low), fresh);
          total += put(share + j + Wide::count, widened<bytes>(half.high), fresh);
        }
      }
    }
    double rest = 0;
    for (; j < rows; ++j) {
      const double weight = label[j] < 0 ? 0.0 : double(of_class[label[j]]);
      rest += share[j] = fresh ? weight : weight * share[j];
    }
    return Wide::sum(total) + rest;
  }

 private:
  static Bits table_of(const float* of_class, std::ptrdiff_t classes) {
    float weight[std::size_t(L::count)] = {};
    for (std::ptrdiff_t k = 0; k < classes; ++k) weight[k] = of_class[k];
    Bits table;
    __builtin_memcpy(&table, weight, sizeof(table));
    return table;
  }
  static D put(double* share, D weight, bool fresh) {
    if (!fresh) weight *= Wide::load(share);
    Wide::store(share, weight);
    return weight;
  }
};
