// SPDX-License-Identifier: MIT
// xent/detail/kernel/rows.inl - the kernels for one contiguous row, once for each instruction set.
//
// A row has at least one register of logits. Its last register, which may overlap the one before, is read before anything
// is written over it.

template <class T, int bytes>
struct RowPass {
  using K = ExpConstants<T>;
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;

  RowExp<T, bytes> exp;
  Reg maximum, equal;
  std::ptrdiff_t ahead;
  bool keeps;

  RowPass(T max, std::ptrdiff_t size, bool keep)
      : exp(L::set(max)), maximum(L::set(max)), equal(Reg{}), ahead(size), keeps(keep) {}

  /// exp(z), 0 at the maximum.
  Reg below(Reg z, Reg e) {
    equal = z >= maximum ? equal + T(1) : equal;
    return z >= maximum ? Reg{} : e;
  }

  /// The sum of n registers from the `at`-th on, as a tree: few roundings before the total takes over.
  template <int n, int at = 0>
  [[gnu::always_inline]] Reg sum(const T* z, T* kept) {
    if constexpr (n == 1) {
      prefetch(z + at * L::count, ahead);
      const Reg logit = L::load(z + at * L::count);
      const Reg e = exp(logit);
      if (keeps) L::store(kept + at * L::count, e);
      return below(logit, e);
    } else {
      const Reg first = sum<n / 2, at>(z, kept);
      return first + sum<n / 2, at + n / 2>(z, kept);
    }
  }
};

template <class T, int bytes>
struct RowKernels {
  using K = ExpConstants<T>;
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;

  /// The largest of z; NaN are passed over.
  static T maximum(const T* z, std::ptrdiff_t size) {
    const Reg last = L::load(z + size - L::count);
    Reg a = L::larger(last, L::set(-K::infinity));
    Reg b = a;
    Reg c = a;
    Reg d = a;
    std::ptrdiff_t i = 0;
    for (; i + 4 * L::count <= size; i += 4 * L::count) {
      a = L::larger(L::load(z + i), a);
      b = L::larger(L::load(z + i + L::count), b);
      c = L::larger(L::load(z + i + 2 * L::count), c);
      d = L::larger(L::load(z + i + 3 * L::count), d);
    }
    for (; i + L::count <= size; i += L::count) a = L::larger(L::load(z + i), a);
    const Reg all = L::larger(L::larger(a, b), L::larger(c, d));
    T largest = -K::infinity;
    for (int k = 0; k < L::count; ++k) largest = all[k] > largest ? all[k] : largest;
    return largest;
  }

  /// The row's sum; its exponentials are written to `kept`, which may be z or null.
  static RowSum sum(const T* z, std::ptrdiff_t size, T max, T* kept) {
    constexpr int step = K::tree * L::count;
    RowPass<T, bytes> pass(max, size, kept != nullptr);
    T* const out = kept != nullptr ? kept : const_cast<T*>(z);  // where nothing is kept it is not written to
    Total<T, bytes> total;
    const Reg last = L::load(z + size - L::count);
    std::ptrdiff_t i = 0;
    for (; i + step <= size; i += step) {
      total.add(pass.template sum<K::tree>(z + i, out + i));
    }
    for (; i + L::count <= size; i += L::count) {
      total.add(pass.template sum<1>(z + i, out + i));
    }
    if (i < size) {
      const Reg e = pass.exp(last);
      if (kept != nullptr) L::store(out + size - L::count, e);
      const auto fresh = L::from(L::count - int(size - i));
      total.add(pass.below(fresh ? last : L::set(-K::infinity), fresh ? e : Reg{}));
    }
    return across(total, pass);
  }

  /// kept *= first * second, one after the other, so that what is in range in the end was so on the way.
  static void scale(T* kept, std::ptrdiff_t size, T first, T second) {
    const Reg last = times(L::load(kept + size - L::count), first, second);
    for (std::ptrdiff_t i = 0; i + L::count <= size; i += L::count) {
      L::store(kept + i, times(L::load(kept + i), first, second));
    }
    L::store(kept + size - L::count, last);
  }

  /// out = (z - max) - log_sum
  static void shift(const T* z, std::ptrdiff_t size, T max, T log_sum, T* out) {
    const Reg last = less(L::load(z + size - L::count), max, log_sum);
    for (std::ptrdiff_t i = 0; i + L::count <= size; i += L::count) {
      L::store(out + i, less(L::load(z + i), max, log_sum));
    }
    L::store(out + size - L::count, last);
  }

 private:
  static RowSum across(const Total<T, bytes>& total, const RowPass<T, bytes>& pass) {
    double sum = 0, lost = 0, equal = 0;
    if constexpr (sizeof(T) == 4) {
      sum = Lanes<double, bytes>::sum(total.sum + total.other);
    } else {
      for (int k = 0; k < L::count; ++k) lost += total.other[k] + add_exactly(sum, total.sum[k]);
    }
    equal = double(L::sum(pass.equal));
    return {sum * K::unlift, lost * K::unlift, equal, double(pass.exp.moved[0]), double(pass.exp.exponent[0])};
  }

  /// sum += x; what that loses.
  static double add_exactly(double& sum, double x) {
    const double next = sum + x;
    double seen = next - sum;
    hide(seen);
    double held = next - seen;
    hide(held);
    const double lost = (sum - held) + (x - seen);
    sum = next;
    return lost;
  }
};
