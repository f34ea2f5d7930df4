// SPDX-License-Identifier: MIT
// xent/detail/kernel/strips.inl - the kernels for a strip of rows, one in each lane, once for each instruction set.
//
// A strip is class-major: the logits of one class stand side by side, `stride` before those of the next. Its loops go over
// a few classes, then the rows, then the next classes: that is how the columns of an array stand in memory.

template <class T, int bytes, bool careful>
struct StripPass {
  using K = ExpConstants<T>;
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;

  RowExp<T, bytes> exp;
  Reg maximum, equal, lows;
  std::ptrdiff_t stride, kept_stride;
  bool keeps;

  /// Adds so many classes, at most a tree of them, carefully in two parts.
  [[gnu::always_inline]] void add(int classes, const T* z, T* kept, Total<T, bytes>& total) {
    if constexpr (careful) {
      for (int k = 0; k < classes; ++k) total.add(sum<1>(z + k * stride, kept + k * kept_stride));
      total.add(lows);
      lows = Reg{};
    } else {
      total.add(classes == K::tree ? sum<K::tree>(z, kept) : rest(classes, z, kept));
    }
  }

 private:
  /// The sum over n classes as a tree; exp is 0 at the maximum, but not in `kept`.
  template <int n>
  [[gnu::always_inline]] Reg sum(const T* z, T* kept) {
    if constexpr (n == 1) {
      prefetch<Cache::second>(z, K::tree * stride);
      const Reg logit = L::load(z);
      Reg e;
      Reg low = Reg{};
      if constexpr (careful) {
        e = exp(logit, low);
        lows += logit >= maximum ? Reg{} : low;
      } else {
        e = exp(logit);
      }
      if (keeps) L::store(kept, careful ? e + low : e);
      equal = logit >= maximum ? equal + T(1) : equal;
      return logit >= maximum ? Reg{} : e;
    } else {
      const Reg first = sum<n / 2>(z, kept);
      return first + sum<n / 2>(z + n / 2 * stride, kept + n / 2 * kept_stride);
    }
  }

  /// The same over fewer classes than fill a tree, smaller trees first.
  [[gnu::always_inline]] Reg rest(int classes, const T* z, T* kept) {
    Reg total = Reg{};
    if (classes & 1) total = take<1>(z, kept);
    if constexpr (K::tree > 2) {
      if (classes & 2) total += take<2>(z, kept);
      if (classes & 4) total += take<4>(z, kept);
    }
    return total;
  }

  template <int n>
  [[gnu::always_inline]] Reg take(const T*& z, T*& kept) {
    const Reg total = sum<n>(z, kept);
    z += n * stride;
    kept += n * kept_stride;
    return total;
  }
};

/// So many classes are dealt with for all rows before the next ones: all of them where the strip stays in the nearest cache.
/// That saves the way of the sums to memory: 20000 x 100 takes 1.1 times as long without.
template <class T>
int span_of(std::ptrdiff_t stride, std::ptrdiff_t classes) {
  return stride * classes <= near_size ? int(classes) : ExpConstants<T>::tree;
}

/// The last rows, which do not fill a register, are worked on in a copy of a few classes.
template <class T, int bytes>
struct StripCopy {
  static constexpr int count = bytes / int(sizeof(T));
  static constexpr std::size_t size_of(int classes) { return std::size_t(classes) * std::size_t(count); }

  [[gnu::noinline]] static void read(const T* z, std::ptrdiff_t stride, int classes, int rows, T* copy) {
    for (std::ptrdiff_t i = 0; i < classes * count; ++i) {
      const std::ptrdiff_t k = i / count;
      const std::ptrdiff_t row = i % count;
      copy[i] = row < rows ? z[k * stride + row] : T(0);
    }
  }

  [[gnu::noinline]] static void write(const T* copy, int classes, int rows, T* out, std::ptrdiff_t stride) {
    for (int k = 0; k < classes; ++k) {
      for (int row = 0; row < rows; ++row) out[k * stride + row] = copy[k * count + row];
    }
  }
};

/// What becomes of rows by their labels, one in each lane: the weight times nll, and what `shape` adds. The gradient is
/// factor() p, but at the label.
template <int bytes>
struct LabelledRows {
  using L = Lanes<double, bytes>;
  using Reg = typename L::Reg;

  Reg nll, loss, weight, surplus;

  [[gnu::always_inline]] LabelledRows(Reg max, Reg margin, Reg log_sum, Reg weights, const LossShape& shape, int row)
      : nll(margin + log_sum), loss(weights == 0.0 ? Reg{} : weights * nll), weight(weights), surplus(Reg{}) {
    if (shape.z_loss != 0) {
      const Reg logsumexp = max + log_sum;
      const Reg factor =
          shape.z_weight != nullptr ? L::load(shape.z_weight + row) * shape.z_loss : L::set(shape.z_loss);
      const Reg z_loss = factor * logsumexp;
      loss += z_loss * logsumexp;
      surplus = 2.0 * z_loss;
    }
  }

  /// (1 - p)^gamma times it. own is the exponential of the label's logit, others the sum of the other ones, in any unit.
  [[gnu::always_inline]] void focus(Reg margin, Reg own, Reg others, double gamma) {
    const Reg power = power_of_others(own, others, gamma);
    const auto vanishes = (margin > 700.0) | (others == 0.0);
    const Reg slope = vanishes ? Reg{} : gamma * own * nll / others;
    loss *= power;
    weight *= power * (slope + 1.0);
  }

  Reg factor() const { return weight + surplus; }
  /// In the sum of all exponentials.
  Reg at_label(Reg own, Reg others) const { return surplus * own - weight * others; }

 private:
  /// (others / (own + others))^gamma: log of its inverse is log1p(own / others).
  static Reg power_of_others(Reg own, Reg others, double gamma) {
    const Reg q = others / (own + others);
    if (gamma == 1) return q;
    if (gamma == 2) return q * q;
    const Reg power = ForFloat<bytes>::exp_of_minus(gamma * ForFloat<bytes>::log1p(own / others));
    return others == 0.0 ? Reg{} : power;
  }
};

template <class T, int bytes>
struct StripKernels {
  using K = ExpConstants<T>;
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;
  using Wide = Lanes<double, bytes>;
  using D = typename Wide::Reg;
  using Copy = StripCopy<T, bytes>;

  static void maximum(const T* z, std::ptrdiff_t stride, std::ptrdiff_t classes, int rows, T* max) {
    for (int row = 0; row < rows; row += L::count) L::store(max + row, L::set(-K::infinity));
    const int span = span_of<T>(stride, classes);
    for (std::ptrdiff_t k = 0; k < classes; k += span) {
      const int block = classes - k < span ? int(classes - k) : span;
      const T* const first = z + k * stride;
      int row = 0;
      for (; row + L::count <= rows; row += L::count) update_maximum(first + row, stride, block, max + row);
      for (int j = 0; row < rows && j < block; j += K::tree) {
        const int some = block - j < K::tree ? block - j : K::tree;
        T copy[Copy::size_of(K::tree)];
        Copy::read(first + j * stride + row, stride, some, rows - row, copy);
        update_maximum(copy, L::count, some, max + row);
      }
    }
  }

  /// kept *= first * second, a factor for each row.
  static void scale(T* kept, std::ptrdiff_t stride, std::ptrdiff_t classes, int rows, const T* first, const T* second) {
    for (std::ptrdiff_t k = 0; k < classes; ++k) {
      T* const out = kept + k * stride;
      int row = 0;
      for (; row + L::count <= rows; row += L::count) {
        L::store(out + row, times(L::load(out + row), L::load(first + row), L::load(second + row)));
      }
      for (; row < rows; ++row) out[row] = times(out[row], first[row], second[row]);
    }
  }

  /// out = (z - max) - log_sum
  static void shift(const T* z, std::ptrdiff_t stride, std::ptrdiff_t classes, int rows, const T* max, const T* log_sum,
                    T* out, std::ptrdiff_t out_stride) {
    for (std::ptrdiff_t k = 0; k < classes; ++k) {
      const T* const in = z + k * stride;
      T* const result = out + k * out_stride;
      int row = 0;
      for (; row + L::count <= rows; row += L::count) {
        L::store(result + row, less(L::load(in + row), L::load(max + row), L::load(log_sum + row)));
      }
      for (; row < rows; ++row) result[row] = less(in[row], max[row], log_sum[row]);
    }
  }

  /// What the sums say of each row and of the logit of its label, with its coefficient b, or 1: loss b nll, gradient b p_k,
  /// and at the label -b (1 - p), all but the loss times `scale`; then `shape` has its say. In double, for logits in float;
  /// `gradient` says whether that is wanted too.
  template <bool focuses, std::size_t most>
  static void outcomes(const Strip<T, most>& strip, int rows, const double* b, const LossShape& shape, double scale,
                       bool gradient, StripOutcomes<T, most>& out) {
    for (int row = 0; row < rows; row += Wide::count) {
      D sum = Wide::load(strip.sum + row);
      if constexpr (sizeof(T) == sizeof(double)) sum += Wide::load(strip.lost + row);
      const RowTails<bytes> tails(strip.max + row, strip.moved + row, strip.exponent + row, strip.equal + row, sum);
      const D tail = tails.tail;
      const D max = Wide::load_wider(strip.max + row);
      const D margin = max - Wide::load_wider(strip.logit + row);
      const D weight = b != nullptr ? Wide::load(b + row) : Wide::set(1.0);
      LabelledRows<bytes> outcome(max, margin, tails.log_sum, weight, shape, row);
      Wide::store(out.log_sum + row, tails.log_sum);
      if (gradient || (focuses && shape.gamma != 0)) {
        const D p = ForFloat<bytes>::exp_of_minus(margin);
        const D others = margin == 0.0 ? tail : (tail - p) + 1.0;
        if (focuses && shape.gamma != 0) outcome.focus(margin, p, others, shape.gamma);
        const D share = scale / (tail + 1.0);
        put_factor<T, bytes>(outcome.factor() * share * tails.unit, out.first + row, out.second + row);
        Wide::store(out.factor + row, outcome.factor() * scale);
        Wide::store_narrower(out.at_label + row, outcome.at_label(p, others) * share);
      }
      Wide::store(out.loss + row, outcome.loss + (tail - tail));  // NaN where the row is not regular
    }
  }

 private:
  static void update_maximum(const T* z, std::ptrdiff_t stride, int classes, T* max) {
    Reg most = L::load(max);
    for (int k = 0; k < classes; ++k) {
      prefetch<Cache::nearest>(z, (k + K::tree) * stride);
      most = L::larger(L::load(z + k * stride), most);
    }
    L::store(max, most);
  }
};

template <class T, int bytes, bool careful>
struct StripSums {
  using K = ExpConstants<T>;
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;
  using Wide = Lanes<double, bytes>;
  using Copy = StripCopy<T, bytes>;

  /// The sums of rows with the maxima `strip.max`; the exponentials are written to `kept`, which may be z or null.
  static void sums(const T* z, std::ptrdiff_t stride, std::ptrdiff_t classes, int rows, Strip<T>& strip, T* kept,
                   std::ptrdiff_t kept_stride) {
    start(strip, rows);
    const bool keeps = kept != nullptr;
    T* const home = keeps ? kept : const_cast<T*>(z);  // where nothing is kept it is not written to
    const std::ptrdiff_t home_stride = keeps ? kept_stride : stride;
    const int span = span_of<T>(stride, classes);
    for (std::ptrdiff_t k = 0; k < classes; k += span) {
      const int block = classes - k < span ? int(classes - k) : span;
      const T* const first = z + k * stride;
      T* const out = home + k * home_stride;
      int row = 0;
      for (; row + L::count <= rows; row += L::count) {
        add(first + row, stride, block, strip, row, out + row, home_stride, keeps);
      }
      for (int j = 0; row < rows && j < block; j += K::tree) {
        const int some = block - j < K::tree ? block - j : K::tree;
        T copy[Copy::size_of(K::tree)];
        Copy::read(first + j * stride + row, stride, some, rows - row, copy);
        add(copy, L::count, some, strip, row, copy, L::count, keeps);
        if (keeps) Copy::write(copy, some, rows - row, out + j * home_stride + row, home_stride);
      }
    }
  }

 private:
  static void start(Strip<T>& strip, int rows) {
    for (int row = 0; row < rows; row += L::count) {
      const RowExp<T, bytes> exp(L::load(strip.max + row));
      L::store(strip.moved + row, exp.moved);
      L::store(strip.exponent + row, exp.exponent);
      L::store(strip.equal + row, Reg{});
      update(strip, row, Total<T, bytes>());
    }
  }

  static void add(const T* z, std::ptrdiff_t stride, int classes, Strip<T>& strip, int row, T* kept,
                  std::ptrdiff_t kept_stride, bool keeps) {
    const Reg max = L::load(strip.max + row);
    StripPass<T, bytes, careful> pass{RowExp<T, bytes>(max), max,  L::load(strip.equal + row), Reg{}, stride,
                                      kept_stride,           keeps};
    Total<T, bytes> total;
    total.sum = Wide::load(strip.sum + row);
    total.other = Wide::load(other(strip, row));
    for (int k = 0; k < classes; k += K::tree) {
      pass.add(classes - k < K::tree ? classes - k : K::tree, z + k * stride, kept + k * kept_stride, total);
    }
    L::store(strip.equal + row, pass.equal);
    update(strip, row, total);
  }

  static void update(Strip<T>& strip, int row, const Total<T, bytes>& total) {
    Wide::store(strip.sum + row, total.sum);
    Wide::store(other(strip, row), total.other);
  }

  /// Where the second part of the register's total stands: the other half of the rows for float, what was lost for double.
  static double* other(Strip<T>& strip, int row) {
    return sizeof(T) == 4 ? strip.sum + row + Wide::count : strip.lost + row;
  }
};
