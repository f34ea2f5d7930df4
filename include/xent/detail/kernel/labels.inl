// SPDX-License-Identifier: MIT
// xent/detail/kernel/labels.inl - the labels of rows and the logits they choose, once for each instruction set.

/// Of few classes all are looked at, which takes less time than to look where the label says: 10^6 x 2 with gradient takes
/// 1.2 times as long without.
template <class T, int bytes>
struct StripLabels {
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;
  using Word = typename L::Word;
  using Labels = typename VectorOf<std::int32_t, L::count * 4>::type;
  using Bits = typename L::Bits;

  static void pick(const T* z, std::ptrdiff_t stride, std::ptrdiff_t classes, int rows, const int* label, T* picked) {
    int row = 0;
    for (; classes <= L::count && row + L::count <= rows; row += L::count) {
      const Bits chosen = load(label + row);
      Reg x = Reg{};
      for (std::ptrdiff_t k = 0; k < classes; ++k) x = chosen == Word(k) ? L::load(z + k * stride + row) : x;
      L::store(picked + row, x);
    }
    for (; row < rows; ++row) picked[row] = label[row] < 0 ? T(0) : z[label[row] * stride + row];
  }

  static void put(const T* x, std::ptrdiff_t classes, int rows, const int* label, T* out, std::ptrdiff_t stride) {
    int row = 0;
    for (; classes <= L::count && row + L::count <= rows; row += L::count) {
      const Bits chosen = load(label + row);
      const Reg own = L::load(x + row);
      for (std::ptrdiff_t k = 0; k < classes; ++k) {
        T* const to = out + k * stride + row;
        L::store(to, chosen == Word(k) ? own : L::load(to));
      }
    }
    for (; row < rows; ++row) {
      if (label[row] >= 0) out[label[row] * stride + row] = x[row];
    }
  }

 private:
  static Bits load(const int* label) {
    Labels x;
    __builtin_memcpy(&x, label, sizeof(x));
    return __builtin_convertvector(x, Bits);
  }
};

/// The labels of some rows as ints, and what their rows weigh: negative, and 0, where a row is absent.
template <class Label, int bytes>
struct LabelKernels {
  using Wide = Lanes<double, bytes>;
  using D = typename Wide::Reg;
  static constexpr int count = Wide::count;
  using Whole = typename VectorOf<std::int64_t, bytes>::type;
  using Given = typename VectorOf<Label, int(sizeof(Label)) * count>::type;
  using Int = typename VectorOf<std::int32_t, count * 4>::type;
  using Bits = typename VectorOf<std::uint64_t, bytes>::type;

  /// Whether one of the labels is outside [0, classes) and not `ignored`, which may be null. A sign bit says so.
  static bool any_outside(const Label* from, std::ptrdiff_t size, std::int64_t classes, const std::int64_t* ignored) {
    const std::uint64_t last = std::uint64_t(classes) - 1;
    Bits outside = Bits{};
    std::ptrdiff_t j = 0;
    for (; j + count <= size; j += count) {
      const Whole value = load(from + j);
      Bits own = reinterpret_cast<Bits>(value) | (last - reinterpret_cast<Bits>(value));
      if (ignored != nullptr) own &= reinterpret_cast<Bits>(value != *ignored);
      outside |= own;
    }
    std::uint64_t rest = 0;
    for (; j < size; ++j) {
      const auto value = std::uint64_t(std::int64_t(from[j]));
      if (ignored == nullptr || from[j] != *ignored) rest |= value | (last - value);
    }
    return Wide::any_sign(outside) || rest >> 63 != 0;
  }

  /// How many have the label `ignored`.
  static int count_of(const Label* from, int rows, std::int64_t ignored) {
    Whole found = Whole{};
    int j = 0;
    for (; j + count <= rows; j += count) {
      found += load(from + j) == ignored;  // -1 where it is so
    }
    std::int64_t total = 0;
    for (int k = 0; k < count; ++k) total -= found[k];
    for (; j < rows; ++j) total += from[j] == ignored ? 1 : 0;
    return int(total);
  }

  /// Absent are those with the label `ignored`, and those with a sample weight of 0, unless these are null, as `share` may be
  /// too. Whether none is. If a label that is not ignored is negative, or no int, the first row's is of no class.
  static bool take(const Label* from, int rows, const std::int64_t* ignored, const float* weight, int* label,
                   double* share) {
    if (ignored == nullptr && weight == nullptr && share == nullptr) return take_all(from, rows, label);
    Whole all = Whole{}, given = Whole{};
    std::int64_t rest = 0, rest_given = 0;
    int j = 0;
    for (; j + count <= rows; j += count) {
      Whole own = load(from + j);
      D w = Wide::set(1.0);
      const Whole matches = ignored != nullptr ? own == *ignored : Whole{};
      given |= own & ~matches;
      own |= matches;
      if (weight != nullptr) {
        w = Wide::load_wider(weight + j);
        own |= w == 0.0;
      }
      all |= own;
      store(label + j, own);
      if (share != nullptr) Wide::store(share + j, own < 0 ? D{} : w);
    }
    for (; j < rows; ++j) {
      const double w = weight != nullptr ? double(weight[j]) : 1.0;
      const bool matches = ignored != nullptr && from[j] == *ignored;
      const bool absent = matches || w == 0.0;
      if (!matches) rest_given |= from[j];
      label[j] = absent ? -1 : int(from[j]);
      if (share != nullptr) share[j] = absent ? 0.0 : w;
      rest |= label[j];
    }
    if (beyond_int(given, rest_given)) label[0] = of_no_class;
    return bits_of(all, rest) >= 0;
  }

 private:
  /// Where none can be absent: 10^6 x 2 takes 1.05 times as long without.
  static bool take_all(const Label* from, int rows, int* label) {
    Whole all = Whole{};
    std::int64_t rest = 0;
    int j = 0;
    for (; j + count <= rows; j += count) {
      const Whole value = load(from + j);
      store(label + j, value);
      all |= value;
    }
    for (; j < rows; ++j) {
      label[j] = int(from[j]);
      rest |= from[j];
    }
    if (beyond_int(all, rest)) label[0] = of_no_class;
    return true;
  }

  static std::int64_t bits_of(Whole all, std::int64_t rest) {
    for (int k = 0; k < count; ++k) rest |= all[k];
    return rest;
  }
  /// Or negative.
  static bool beyond_int(Whole all, std::int64_t rest) { return std::uint64_t(bits_of(all, rest)) >> 31 != 0; }

  static Whole load(const Label* from) {
    Given given;
    __builtin_memcpy(&given, from, sizeof(given));
    return __builtin_convertvector(given, Whole);
  }
  static void store(int* label, Whole x) {
    const Int narrow = __builtin_convertvector(x, Int);
    __builtin_memcpy(label, &narrow, sizeof(narrow));
  }
};
