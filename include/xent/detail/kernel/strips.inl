// SPDX-License-Identifier: MIT
// xent/detail/kernel/strips.inl - the kernels for a strip of rows, one in each lane, once for each instruction set.
//
// A strip is class-major: the logits of one class stand side by side, `stride` before those of the next. Its loops go over
// a few classes, then the rows, then the next classes: that is how the columns of an array stand in memory.

template <class T, int bytes>
struct StripPass {
  using K = ExpConstants<T>;
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;

  RowExp<T, bytes> exp;
  Reg maximum, equal;
  std::ptrdiff_t stride, kept_stride;
  bool keeps;

  /// The sum over n classes as a tree; exp is 0 at the maximum, but not in `kept`.
  template <int n>
  [[gnu::always_inline]] Reg sum(const T* z, T* kept) {
    if constexpr (n == 1) {
      prefetch(z, K::tree * stride);
      const Reg logit = L::load(z);
      const Reg e = exp(logit);
      if (keeps) L::store(kept, e);
      equal = logit >= maximum ? equal + T(1) : equal;
      return logit >= maximum ? Reg{} : e;
    } else {
      const Reg first = sum<n / 2>(z, kept);
      return first + sum<n / 2>(z + n / 2 * stride, kept + n / 2 * kept_stride);
    }
  }

  /// The same over fewer classes than fill a tree.
  Reg rest(int classes, const T* z, T* kept) {
    Reg total = Reg{};
    for (; classes >= 2; classes -= 2) {
      total += sum<2>(z, kept);
      z += 2 * stride;
      kept += 2 * kept_stride;
    }
    return classes == 1 ? total + sum<1>(z, kept) : total;
  }
};

template <class T, int bytes>
struct StripKernels {
  using K = ExpConstants<T>;
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;
  using Wide = Lanes<double, bytes>;

  static void maximum(const T* z, std::ptrdiff_t stride, std::ptrdiff_t classes, int rows, T* max) {
    for (int row = 0; row < rows; row += L::count) L::store(max + row, L::set(-K::infinity));
    for (std::ptrdiff_t k = 0; k < classes; k += K::tree) {
      const int block = classes - k < K::tree ? int(classes - k) : K::tree;
      const T* const first = z + k * stride;
      int row = 0;
      for (; row + L::count <= rows; row += L::count) update_maximum(first + row, stride, block, max + row);
      if (row < rows) {
        T copy[copy_size];
        read(first + row, stride, block, rows - row, copy);
        update_maximum(copy, L::count, block, max + row);
      }
    }
  }

  /// The sums of rows with the maxima `strip.max`; the exponentials are written to `kept`, which may be z or null.
  static void sums(const T* z, std::ptrdiff_t stride, std::ptrdiff_t classes, int rows, Strip<T>& strip, T* kept,
                   std::ptrdiff_t kept_stride) {
    const bool keeps = kept != nullptr;
    T* const home = keeps ? kept : const_cast<T*>(z);  // where nothing is kept it is not written to
    const std::ptrdiff_t home_stride = keeps ? kept_stride : stride;
    for (int row = 0; row < rows; row += L::count) {
      L::store(strip.equal + row, Reg{});
      update(strip, row, Total<T, bytes>());
    }
    for (std::ptrdiff_t k = 0; k < classes; k += K::tree) {
      const int block = classes - k < K::tree ? int(classes - k) : K::tree;
      const T* const first = z + k * stride;
      T* const out = home + k * home_stride;
      int row = 0;
      for (; row + L::count <= rows; row += L::count) {
        add(first + row, stride, block, strip, row, out + row, home_stride, keeps);
      }
      if (row < rows) {
        T copy[copy_size];
        read(first + row, stride, block, rows - row, copy);
        add(copy, L::count, block, strip, row, copy, L::count, keeps);
        if (keeps) write(copy, block, rows - row, out + row, home_stride);
      }
    }
    for (int row = 0; row < rows; row += L::count) {
      const RowExp<T, bytes> exp(L::load(strip.max + row));
      L::store(strip.moved + row, exp.moved);
      L::store(strip.exponent + row, exp.exponent);
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

  /// What the sums say of each row and of one logit z in it, with its coefficient b: loss b nll, gradient b p_k, and at z
  /// -b (1 - p), both times `scale`. In double, for logits in float; `gradient` says whether that is wanted too.
  static void outcomes(const Strip<T>& strip, int rows, const T* z, const double* b, double scale, bool gradient,
                       StripOutcomes<T>& out) {
    using D = typename Wide::Reg;
    for (int row = 0; row < rows; row += Wide::count) {
      const D max = wide(strip.max + row);
      const D x = Wide::reduced(max - wide(strip.moved + row), wide(strip.exponent + row));
      const D unit = Wide::exp_rest(-x) + 1.0;
      D ties = wide(strip.equal + row) - 1.0;
      hide(ties);
      const D sum = sizeof(T) == 4 ? Wide::load(strip.sum + row) : Wide::load(strip.sum + row) + Wide::load(strip.lost + row);
      const D tail = sum * K::unlift * unit + ties;
      const D log_sum = log1p<bytes>(tail);
      const D margin = max - wide(z + row);
      const D weight = Wide::load(b + row);
      const D poison = (max - max) + (tail - tail);  // NaN where the row is not regular
      Wide::store(out.log_sum + row, log_sum);
      Wide::store(out.loss + row, (weight == 0.0 ? D{} : weight * (margin + log_sum)) + poison);
      if (!gradient) continue;
      const D share = weight * scale / (tail + 1.0);
      const D others = margin == 0.0 ? tail : (tail - exp_of_minus<bytes>(margin)) + 1.0;
      const D factor = share * unit;
      const auto small = (factor < least) & (factor > -least);
      narrow(small ? factor : factor * K::unlift, out.first + row);
      narrow(small ? Wide::set(K::unlift) : Wide::set(1.0), out.second + row);
      narrow(-(share * others), out.at_label + row);
    }
  }

 private:
  // The last rows, which do not fill a register, are worked on in a copy.
  static constexpr std::size_t copy_size = std::size_t(K::tree) * std::size_t(L::count);

  static void read(const T* z, std::ptrdiff_t stride, int classes, int rows, T* copy) {
    for (std::ptrdiff_t i = 0; i < std::ptrdiff_t(copy_size); ++i) {
      const std::ptrdiff_t k = i / L::count;
      const std::ptrdiff_t row = i % L::count;
      copy[i] = k < classes && row < rows ? z[k * stride + row] : T(0);
    }
  }

  static void write(const T* copy, int classes, int rows, T* out, std::ptrdiff_t stride) {
    for (int k = 0; k < classes; ++k) {
      for (int row = 0; row < rows; ++row) out[k * stride + row] = copy[k * L::count + row];
    }
  }

  static void update_maximum(const T* z, std::ptrdiff_t stride, int classes, T* max) {
    Reg most = L::load(max);
    for (int k = 0; k < classes; ++k) {
      prefetch(z, (k + K::tree) * stride);
      most = L::larger(L::load(z + k * stride), most);
    }
    L::store(max, most);
  }

  static void add(const T* z, std::ptrdiff_t stride, int classes, Strip<T>& strip, int row, T* kept,
                  std::ptrdiff_t kept_stride, bool keeps) {
    const Reg max = L::load(strip.max + row);
    StripPass<T, bytes> pass{RowExp<T, bytes>(max), max, L::load(strip.equal + row), stride, kept_stride, keeps};
    Total<T, bytes> total;
    total.sum = Wide::load(strip.sum + row);
    total.other = Wide::load(other(strip, row));
    total.add(classes == K::tree ? pass.template sum<K::tree>(z, kept) : pass.rest(classes, z, kept));
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

  static constexpr double least = double(std::numeric_limits<T>::min()) / K::unlift;  // see Factor

  using Narrow = typename VectorOf<float, bytes / 2>::type;

  static typename Wide::Reg wide(const float* x) {
    Narrow half;
    __builtin_memcpy(&half, x, sizeof(half));
    return __builtin_convertvector(half, typename Wide::Reg);
  }
  static typename Wide::Reg wide(const double* x) { return Wide::load(x); }

  static void narrow(typename Wide::Reg x, float* out) {
    const Narrow half = __builtin_convertvector(x, Narrow);
    __builtin_memcpy(out, &half, sizeof(half));
  }
  static void narrow(typename Wide::Reg x, double* out) { Wide::store(out, x); }
};
