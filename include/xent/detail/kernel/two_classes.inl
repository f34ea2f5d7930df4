// SPDX-License-Identifier: MIT
// xent/detail/kernel/two_classes.inl - float rows of two classes from their labels to losses and gradients, once for each set.

/// Of two classes the exponential of the smaller logit says all, in that of the larger; and the gradient of one class is that of the
/// other with the other sign, the probability of the class that is not the label. Taken as any other rows 10^6 x 2 takes 1.11 times as
/// long, with gradient 1.3 times.
template <int bytes, bool keeps>
struct TwoClasses {
  using K = ExpConstants<float>;
  using L = Lanes<float, bytes>;
  using Reg = typename L::Reg;
  using Bits = typename L::Bits;
  using Signed = typename VectorOf<std::int32_t, bytes>::type;
  using Wide = Lanes<double, bytes>;
  using D = typename Wide::Reg;
  using Exp = RowExp<float, bytes, Unit::maximum>;
  using Sum = LossSum<bytes, true>;

  /// Not where probabilities are wanted, which are no labels' gradients.
  static bool knows(const LabelStrip& strip) { return strip.classes == 2 && strip.max == nullptr; }

  /// As LabelStripKernels::take. A register's exponentials are taken before those of the last one are made use of, so that these
  /// need not be waited for: 1.1 times as long without.
  [[gnu::noinline]] static void take(const LabelStrip& all, int rows, Sum& sums) {
    const LabelStrip strip = all;
    Sum sum = sums;
    Facts next = reduce(strip, 0);
    for (int j = 0; j < rows; j += L::count) {
      const Facts row = next;
      if (j + L::count < rows) next = reduce(strip, j + L::count);
      finish(strip, j, row, sum);
    }
    sums = sum;
  }

 private:
  /// Of a register of rows: the exponential of the smaller logit, and the logit of the label.
  struct Facts {
    Reg e, larger, logit;
    Bits label;
  };

  [[gnu::always_inline]] static Facts reduce(const LabelStrip& strip, int j) {
    Requests<bytes, keeps>(strip, j).ask(2);
    Facts row;
    const Reg first = L::load(strip.z + j);
    const Reg second = L::load(strip.z + strip.stride + j);
    row.larger = L::larger(second, first);
    row.e = Exp(row.larger)(first < second ? first : second);  // NaN if one of them is
    __builtin_memcpy(&row.label, strip.label + j, sizeof(row.label));
    row.logit = logit_of_nobody<bytes, keeps>(strip, row.larger);
    row.logit = row.label == 0u ? first : row.logit;
    row.logit = row.label == 1u ? second : row.logit;
    return row;
  }

  [[gnu::always_inline]] static void finish(const LabelStrip& strip, int j, const Facts& row, Sum& sum) {
    const typename L::Halves half(row.e);
    const D below[] = {widened<bytes>(half.low), widened<bytes>(half.high)};
    sum.add(strip, j, row.larger, row.logit, below[0], below[1]);
    if constexpr (keeps) put_gradient(strip, j, row, below);
  }

  [[gnu::always_inline]] static void put_gradient(const LabelStrip& strip, int j, const Facts& row, const D* below) {
    const Reg other = row.logit == row.larger ? row.e : L::set(float(1 / K::unlift));
    const D all[] = {below[0] * K::unlift + 1.0, below[1] * K::unlift + 1.0};
    Reg share = narrowed<bytes>(strip.scale / all[0], strip.scale / all[1]);
    if (!strip.complete) {
      Wide::store(strip.loss + j, nothing_of(all[0]));
      Wide::store(strip.loss + j + Wide::count, nothing_of(all[1]));
      share = reinterpret_cast<Signed>(row.label) < 0 ? Reg{} : share;
    }
    const Reg slope = times(other, share, L::set(float(K::unlift)));
    L::store(strip.kept + j, row.label == 0u ? -slope : slope);
    L::store(strip.kept + strip.kept_stride + j, row.label == 1u ? -slope : slope);
  }
};
