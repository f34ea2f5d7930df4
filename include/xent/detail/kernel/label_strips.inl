// SPDX-License-Identifier: MIT
// xent/detail/kernel/label_strips.inl - float rows from their labels to losses and gradients, once for each set.
//
// Of few classes it is not the exponentials that take the time, but what comes before and after them. So as little as
// possible is put down in between: what the sums say, for the losses, which are in double.

/// The exponentials of a register of rows, one class after the other. One of the largest is held back, so that the sum of the
/// others keeps the digits of a small loss: what is added is always the lower one of the next logit and that held back so far.
/// Of smoothed labels a logit may be -inf only where that is looked for: `masks`.
template <int bytes, LabelsAs as, bool keeps, bool masks>
struct LabelPass {
  using K = ExpConstants<float>;
  using L = Lanes<float, bytes>;
  using Reg = typename L::Reg;
  using Bits = typename L::Bits;
  using Exp = RowExp<float, bytes, Unit::maximum>;
  static constexpr bool careful = as == LabelsAs::carefully;
  // What a tree's rounding loses stays lost: with a power of 3 two classes side by side are more than 4 ulp off. And 8 are
  // hardly faster than 4, but take longer to compile.
  static constexpr int span = careful ? 1 : 4;
  static constexpr float shrink = 1 / static_cast<float>(dense_grow<float>);

  Exp exp;
  Requests<bytes, keeps> requests;
  const float* z;
  float* kept;
  std::ptrdiff_t stride, kept_stride;
  Reg lows;                // carefully, the sum of the exponentials' second parts
  Reg most, top, top_low;  // the largest logit so far, its exponential
  Reg logit, own;          // the label's; where no class has it, see logit_of_nobody, and 0
  Bits classes_to_label;
  // Of smoothed labels: how many logits are not -inf, and the sum of their margins max - z, each shrunk, see dense_grow.
  Reg shrunk_max, margin, unmasked;
  Total<float, bytes> below, margins;

  [[gnu::always_inline]] LabelPass(const LabelStrip& strip, int row, Reg max)
      : exp(max),
        requests(strip, row),
        z(strip.z + row),
        kept(strip.kept + row),
        stride(strip.stride),
        kept_stride(strip.kept_stride),
        lows(Reg{}),
        logit(logit_of_nobody<bytes, keeps>(strip, max)),
        own(Reg{}),
        shrunk_max(max * shrink),
        margin(Reg{}),
        unmasked(L::set(masks ? 1.0f : float(strip.classes))) {
    __builtin_memcpy(&classes_to_label, strip.label + row, sizeof(Bits));
    // Not in a mask, that the pipes which are busy anyway would have to look at: 60000 x 10 takes 1.03 times as long so, but not with
    // gradient.
    if constexpr (!keeps) asm("" : "+r"(exp.any_moved));
  }

  /// All classes but one.
  [[gnu::always_inline]] void add(int others) {
    requests.ask(others % span + 1);
    hold_first();
    for (; others >= span; others -= span) {
      requests.ask(span);
      below.add(take<span>());
    }
    Reg rest = exp.nothing();
    if constexpr (careful) {
      rest += lows;
    } else {
      for (; others > 0; --others) rest += take<1>();
    }
    below.add(rest);
  }

 private:
  [[gnu::always_inline]] void hold_first() {
    most = L::load(z);
    if constexpr (keeps) top = exponential(most, top_low);
    go_on<0>(most, careful ? top + top_low : top);
    classes_to_label -= 1;
  }

  template <int n>
  [[gnu::always_inline]] Reg take() {
    const Reg total = tree<n, 0>();
    classes_to_label -= n;
    if constexpr (as == LabelsAs::smoothed) {
      margins.add(margin);
      margin = Reg{};
    }
    return total;
  }

  template <int n, int at>
  [[gnu::always_inline]] Reg tree() {
    if constexpr (n == 1) {
      return next<at>();
    } else {
      const Reg first = tree<n / 2, at>();
      return first + tree<n / 2, at + n / 2>();
    }
  }

  /// The lower one of the next class and what was held back, which is the other one from now on.
  template <int at>
  [[gnu::always_inline]] Reg next() {
    const Reg x = L::load(z);
    const auto raised = most < x;
    const Reg lower = raised ? most : x;
    Reg e, low;
    if constexpr (keeps) {
      e = exponential(x, low);
      go_on<at>(x, careful ? e + low : e);
      swap(raised, e, top);
      if constexpr (careful) swap(raised, low, top_low);
    } else {
      e = exponential(lower, low);
      go_on<at>(x, e);
    }
    most = L::larger(most, x);  // compared another way, so that it does not wait for a mask
    if constexpr (careful) lows += low;
    if constexpr (as == LabelsAs::smoothed) {
      const Reg next = shrunk_max - lower * shrink;
      margin += of_unmasked(lower, next);
      if constexpr (masks) unmasked += of_unmasked(lower, L::set(1.0f));
    }
    return e;
  }

  /// Carefully, in two parts. Smoothed, what is kept is 0 where the logit is -inf.
  [[gnu::always_inline]] Reg exponential(Reg x, Reg& low) const {
    if constexpr (careful) return exp(x, low);
    const Reg e = exp(x);
    if constexpr (as == LabelsAs::smoothed && keeps) return of_unmasked(x, e);
    return e;
  }
  /// 0 where a logit is -inf: by its bits, for -ffast-math knows none.
  static Reg of_unmasked([[maybe_unused]] Reg logit, Reg x) {
    if constexpr (masks) return reinterpret_cast<Bits>(logit) == 0xFF800000u ? Reg{} : x;
    return x;
  }

  /// To the next class from this logit, with its exponential, `at` classes after the one that is counted from.
  template <int at>
  [[gnu::always_inline]] void go_on(Reg x, Reg e) {
    const auto here = classes_to_label == at;
    logit = here ? x : logit;
    z += stride;
    if constexpr (keeps) {
      if constexpr (!careful) own = here ? e : own;
      L::store(kept, e);
      kept += kept_stride;
    }
  }

  template <class Mask>
  [[gnu::always_inline]] static void swap(Mask where, Reg& x, Reg& y) {
    const Reg before = x;
    x = where ? y : x;
    y = where ? before : y;
  }
};

/// What is known of a few registers of rows between their exponentials and their gradient.
template <int bytes>
struct LabelRows {
  static constexpr int most = 8 * bytes / int(sizeof(float));
  static constexpr std::size_t size = std::size_t(most);

  alignas(64) float max[size];
  alignas(64) float logit[size];  // that of the label
  alignas(64) float own[size];    // its exponential as it is kept, or, carefully, in two parts
  alignas(64) float own_low[size];
  alignas(64) double below[size];    // the sum of all exponentials but one of the largest, as they are kept
  alignas(64) double highest[size];  // that one, if it is not 1
  alignas(64) float first[size];     // from exponentials to the gradient, see put_factor
  alignas(64) float second[size];
  alignas(64) float at_label[size];  // the gradient there
  alignas(64) double margins[size];  // for smoothing, see LabelPass
  alignas(64) float unmasked[size];
  alignas(64) float even[size];  // what is taken off all gradients
};

template <int bytes, LabelsAs as, bool keeps>
struct LabelStripKernels {
  using K = ExpConstants<float>;
  using L = Lanes<float, bytes>;
  using Reg = typename L::Reg;
  using Bits = typename L::Bits;
  using Wide = Lanes<double, bytes>;
  using D = typename Wide::Reg;
  using Rows = LabelRows<bytes>;
  template <bool masks>
  using PassOf = LabelPass<bytes, as, keeps, masks>;
  using Pass = PassOf<false>;
  using Sum = LossSum<bytes, Pass::Exp::of_maximum>;
  static constexpr bool may_multiply = as == LabelsAs::summed || as == LabelsAs::smoothed;
  // Whether losses are summed beside their exponentials, where there are registers for both: with SSE2 60000 x 10 takes 1.04 times
  // as long so, 10^6 x 2 1.12 times.
  static constexpr bool at_once = as == LabelsAs::summed && Pass::Exp::of_maximum;
  // Smoothed, a logit of -inf matters. With a table 60000 x 10 with gradient takes 1.05 times as long if that is looked for where
  // all logits are near 0.
  static constexpr bool masks = as == LabelsAs::smoothed;
  static constexpr bool looks = masks && Pass::Exp::of_maximum;
  using Two = TwoClasses<bytes, keeps>;
  // Then of the loss alone nothing is put down, and there is no need to stop: 256 x 2 takes 1.05 times as long in shorter pieces.
  static constexpr bool ends_at_once = at_once && !keeps;
  static constexpr int most_rows = ends_at_once ? std::numeric_limits<int>::max() : Rows::most;

  /// Returns the sum of the losses of rows that have a label. Where only that is wanted, each of them is 0 or NaN, or, if nobody asks
  /// for that, not put down. The gradient of a row that is not regular is NaN, of an absent one 0 or, if it is not regular, NaN.
  static double losses(const LabelStrip& strip, int rows) {
    Sum sum;
    int row = 0;
    while (row + L::count <= rows) {
      const int whole = (rows - row) / L::count * L::count;
      const int some = whole < most_rows ? whole : most_rows;
      // All at once needs no other strip: 32 x 10 takes 1.03 times as long with one.
      row == 0 ? take(strip, some, sum) : take(strip.from(row), some, sum);
      row += some;
    }
    if (row < rows) take_rest(strip.from(row), rows - row, sum);
    if constexpr (may_multiply && Sum::holds_a_strip) sum.take_logarithm();
    return Wide::sum(sum.total);
  }

 private:
  [[gnu::noinline]] static void take_rest(const LabelStrip& strip, int rows, Sum& sum) {
    strip.padded ? take_padded(strip, rows, sum) : take_copy(strip, rows, sum);
  }

  /// The last rows, which do not fill a register, where they stand: 8 x 10 takes 1.35 times as long in a copy, with gradient 1.4.
  static void take_padded(LabelStrip strip, int rows, Sum& sum) {
    for (int k = 0; k < strip.classes; ++k) {
      float* const z = strip.kept + k * strip.kept_stride;
      L::store(z, L::from(rows) ? Reg{} : L::load(z));
    }
    strip.complete = false;
    take(strip, L::count, sum);
  }

  /// The same of columns, which end there.
  static void take_copy(const LabelStrip& strip, int rows, Sum& sum) {
    using Copy = StripCopy<float, bytes>;
    float z[Copy::size_of(most_strip_classes)];
    int label[std::size_t(L::count)];
    double weight[std::size_t(L::count)] = {};
    double z_weight[std::size_t(L::count)] = {};
    double loss[std::size_t(L::count)] = {};
    Copy::read(strip.z, strip.stride, strip.classes, rows, z);
    LabelStrip copy = strip;
    copy.z = copy.kept = z;
    copy.stride = copy.kept_stride = L::count;
    copy.label = label;
    copy.complete = false;
    copy.loss = loss;
    for (int j = rows; j < L::count; ++j) label[j] = -1;
    for (int j = 0; j < rows; ++j) {
      label[j] = strip.label[j];
      if (strip.weight != nullptr) weight[j] = strip.weight[j];
      if (strip.shape.z_weight != nullptr) z_weight[j] = strip.shape.z_weight[j];
    }
    if (strip.weight != nullptr) copy.weight = weight;
    if (strip.shape.z_weight != nullptr) copy.shape.z_weight = z_weight;
    take(copy, L::count, sum);
    for (int j = 0; j < rows; ++j) strip.loss[j] = loss[j];
    if constexpr (keeps) Copy::write(z, strip.classes, rows, strip.kept, strip.kept_stride);
  }

  /// So many registers of rows, in three passes, each of which has enough to do at once. They look at a copy of the strip, which no
  /// store can change: 10^6 x 5 with gradient takes 1.1 times as long without. The first pass does not where that would take
  /// registers that it needs.
  static void take(const LabelStrip& all, int rows, Sum& sum) {
    if constexpr (at_once) {
      if (Two::knows(all)) return Two::take(all, rows, sum);
    }
    const LabelStrip strip = all;
    Rows own;
    constexpr bool always = masks && !looks;
    const int near = reduce_while<always>(masks ? all : strip, own, 0, rows, sum);
    if constexpr (!ends_at_once) finish_all<always>(strip, own, 0, near, sum);
    if constexpr (looks) {
      if (near < rows) take_masked(all, own, near, rows, sum);
    }
    int j = 0;
    if constexpr (looks) {
      for (; keeps && j < near; j += L::count) scale<false>(strip, own, j);
    }
    for (; keeps && j < rows; j += L::count) scale<masks>(strip, own, j);
    if constexpr (may_multiply && !Sum::holds_a_strip) sum.take_logarithm();
  }

  /// All from the first on that may have masked classes.
  [[gnu::noinline]] static void take_masked(const LabelStrip& strip, Rows& own, int from, int rows, Sum& sum) {
    reduce_while<true>(strip, own, from, rows, sum);
    finish_all<true>(strip, own, from, rows, sum);
  }

  /// Returns where it has ended: where a logit may be -inf and that matters, if it does not count on that, or nowhere. Where
  /// exponentials replace the logits that has to be known before.
  template <bool masked>
  [[gnu::always_inline]] static int reduce_while(const LabelStrip& strip, Rows& own, int j, int rows, Sum& sums) {
    constexpr bool stops = looks && !masked;
    Sum sum = sums;
    for (; j < rows; j += L::count) {
      if (stops && keeps && !near(strip, j)) break;
      const bool finite = reduce<masked>(strip, own, j, at_once ? sum : sums);
      if (stops && !keeps && !finite) break;
    }
    if constexpr (at_once) sums = sum;
    return j;
  }

  template <bool masked>
  [[gnu::always_inline]] static void finish_all(const LabelStrip& strip, Rows& own, int j, int rows, Sum& sums) {
    Sum sum = sums;
    for (; j < rows; j += Wide::count) finish<masked>(strip, own, j, sum);
    sums = sum;
  }

  /// Whether margins, which are summed if labels are smoothed, are finite.
  template <bool masked>
  [[gnu::always_inline]] static bool reduce(const LabelStrip& strip, Rows& rows, int j, Sum& sum) {
    const Reg max = extreme<true>(strip, j);
    PassOf<masked> pass(strip, j, max);
    pass.add(strip.classes - 1);
    if (strip.max != nullptr) L::store(strip.max + j, max);
    if constexpr (!at_once) {
      L::store(rows.max + j, max);
      L::store(rows.logit + j, pass.logit);
    }
    if constexpr (Pass::careful) {
      Reg low;
      pass.own = pass.exp(pass.logit, low);
      L::store(rows.own_low + j, low);
    }
    if constexpr (keeps || Pass::careful) L::store(rows.own + j, pass.own);
    if constexpr (!ends_at_once) {
      Wide::store(rows.below + j, pass.below.sum);
      Wide::store(rows.below + j + Wide::count, pass.below.other);
    }
    if constexpr (!Pass::Exp::of_maximum) {
      Total<float, bytes> top;
      Reg lost;  // 4.0 ulp at the worst without it, 3.3 with it
      top.add(pass.exp(max, lost));
      top.add(lost);
      Wide::store(rows.highest + j, top.sum * K::unlift);
      Wide::store(rows.highest + j + Wide::count, top.other * K::unlift);
    }
    if constexpr (at_once) sum.add(strip, j, max, pass.logit, pass.below.sum, pass.below.other);
    if constexpr (as == LabelsAs::smoothed) {
      Wide::store(rows.margins + j, pass.margins.sum);
      Wide::store(rows.margins + j + Wide::count, pass.margins.other);
      if constexpr (masked) L::store(rows.unmasked + j, pass.unmasked);
    }
    return as != LabelsAs::smoothed || Wide::all_finite(pass.margins.sum + pass.margins.other);
  }

  /// The largest logit of each row, or the smallest; NaN if the first is.
  template <bool largest>
  [[gnu::always_inline]] static Reg extreme(const LabelStrip& strip, int j) {
    const float* z = strip.z + j;
    Reg found = L::load(z);
    int others = strip.classes - 1;
    for (; others > 1; others -= 2) {
      const Reg next = L::load(z += strip.stride);
      found = further<largest>(further<largest>(next, L::load(z += strip.stride)), found);
    }
    return others > 0 ? further<largest>(L::load(z + strip.stride), found) : found;
  }
  template <bool largest>
  [[gnu::always_inline]] static Reg further(Reg a, Reg b) {
    if constexpr (largest) return L::larger(a, b);
    return a < b ? a : b;
  }

  /// Whether no logit is -inf, for the smallest are near 0.
  [[gnu::always_inline]] static bool near(const LabelStrip& strip, int j) {
    return L::all_within(extreme<false>(strip, j), K::reach);
  }

  /// What the sums say of as many rows as a register has doubles.
  struct Facts {
    D below, top, all, margin, weight, own, others;

    [[gnu::always_inline]] Facts(const LabelStrip& strip, const Rows& sums, int j)
        : below(Wide::load(sums.below + j) * K::unlift),
          top(highest(sums, j)),
          all(below + top),
          margin(margin_of(sums, j)),
          weight(strip.weight != nullptr ? Wide::load(strip.weight + j) : Wide::set(1.0)),
          own(own_of(sums, j)),
          others(others_of(below, top, margin, own)) {}

    D log_sum() const { return ForFloat<bytes>::log1p_of_ratio(below, top); }
    D irregular() const { return nothing_of(all); }  // NaN where the row is not regular
  };

  /// At once they are in the sum by now, and nothing else asks for them.
  static D margin_of([[maybe_unused]] const Rows& rows, [[maybe_unused]] int j) {
    if constexpr (at_once) return D{};
    return Wide::load_wider(rows.max + j) - Wide::load_wider(rows.logit + j);  // it may be no float
  }
  /// Counted in the largest exponential that of the label, if it is not in two parts, is exactly 1 where it is that.
  static D others_of(D below, D top, [[maybe_unused]] D margin, D own) {
    if constexpr (Pass::Exp::of_maximum && !Pass::careful) {
      D rest = top - own;
      hide(rest);
      return below + rest;
    }
    return margin == 0.0 ? below : (below - own) + top;
  }

  static D highest(const Rows& rows, int j) {
    if constexpr (Pass::Exp::of_maximum) return Wide::set(1.0);
    return Wide::load(rows.highest + j);
  }

  static D own_of(const Rows& rows, int j) {
    D own = D{};
    if constexpr (keeps || Pass::careful) own = Wide::load_wider(rows.own + j);
    if constexpr (Pass::careful) own += Wide::load_wider(rows.own_low + j);
    return own * K::unlift;
  }

  /// Their losses, and what their gradients are made of.
  template <bool masked>
  [[gnu::always_inline]] static void finish(const LabelStrip& strip, Rows& rows, int j, Sum& sum) {
    const Facts row(strip, rows, j);
    if constexpr (as == LabelsAs::summed) {
      if constexpr (!at_once) sum.add(strip, j, row.margin, Wide::load(rows.below + j), row.top);
      if constexpr (keeps) {
        const D share = strip.scale / row.all;  // a float holds it: the scale is 1, or one over a number of rows
        Wide::store_narrower(rows.first + j, Sum::of_labelled(strip, j, share, D{}));
        Wide::store_narrower(rows.at_label + j, -row.others * share);
        if (strip.tells_irregular()) Wide::store(strip.loss + j, row.irregular());
      }
    } else {
      const D loss = loss_of<masked>(strip, rows, j, row, sum) + row.irregular();
      Wide::store(strip.loss + j, loss);
      sum.total += Sum::of_labelled(strip, j, loss, D{});
    }
  }

  /// Or 0 where that is a matter of the sum.
  template <bool masked>
  [[gnu::always_inline]] static D loss_of(const LabelStrip& strip, Rows& rows, int j, const Facts& row, Sum& sum) {
    if constexpr (as == LabelsAs::smoothed) {
      const D margins = smooth<masked>(strip, rows, row, j);
      if (!strip.summed) return row.weight == 0.0 ? D{} : row.weight * (margins + row.log_sum());
      sum.add(strip, j, margins, Wide::load(rows.below + j), row.top);
      return D{};
    } else {
      LabelledRows<bytes> outcome(Wide::load_wider(rows.max + j), row.margin, row.log_sum(), row.weight, strip.shape,
                                  j);
      if constexpr (as == LabelsAs::carefully) outcome.focus(row.margin, row.own, row.others, strip.shape.gamma);
      if constexpr (keeps) {
        const D share = strip.scale / row.all;
        put_factor<float, bytes>(Sum::of_labelled(strip, j, outcome.factor() * share, D{}), rows.first + j,
                                 rows.second + j);
        Wide::store_narrower(rows.at_label + j, outcome.at_label(row.own, row.others) * share);
      }
      return outcome.loss;
    }
  }

  /// The sum of b (max - z) for smoothed labels: b = 1 - s + even at the label, even = s / unmasked elsewhere, 0 where the logit
  /// is -inf. And what their gradients are made of.
  template <bool masked>
  [[gnu::always_inline]] static D smooth(const LabelStrip& strip, Rows& rows, const Facts& row, int j) {
    const double kept = 1 - strip.shape.smoothing;
    const D unmasked = masked ? Wide::load_wider(rows.unmasked + j) : Wide::set(double(strip.classes));
    const D even = strip.shape.smoothing / unmasked;
    if constexpr (keeps) {
      const D scale = Sum::of_labelled(strip, j, row.weight * strip.scale, D{});
      const D share = scale / row.all;
      const D b = row.own == 0.0 ? Wide::set(kept) : even + kept;
      const D at_maximum = (strip.shape.smoothing - even) * row.own - b * row.others;  // a p - b without a difference
      const D at_label = row.margin == 0.0 ? at_maximum : row.own - b * row.all;
      put_factor<float, bytes>(share, rows.first + j, rows.second + j);
      Wide::store_narrower(rows.even + j, scale * even);
      Wide::store_narrower(rows.at_label + j, at_label * share);
    }
    return (kept == 0 ? D{} : kept * row.margin) + even * (Wide::load(rows.margins + j) * dense_grow<float>);
  }

  /// Over the exponentials, which are 0 where the logit of a smoothed row is -inf, if it `masks`.
  template <bool masks>
  [[gnu::always_inline]] static void scale(const LabelStrip& strip, const Rows& rows, int j) {
    const Bits label = load(strip.label + j);
    const Reg first = L::load(rows.first + j);
    const Reg second = as == LabelsAs::summed ? L::set(float(K::unlift)) : L::load(rows.second + j);
    const Reg at_label = L::load(rows.at_label + j);
    const Reg even = as == LabelsAs::smoothed ? L::load(rows.even + j) : Reg{};
    const Reg nothing = masks ? nothing_of(first) : Reg{};
    float* to = strip.kept + j;
    for (int k = 0; k < strip.classes; ++k, to += strip.kept_stride) {
      const Reg e = L::load(to);
      Reg slope = times(e, first, second);
      if constexpr (as == LabelsAs::smoothed) slope = masks && e == 0.0f ? nothing : slope - even;
      L::store(to, label == std::uint32_t(k) ? at_label : slope);
    }
  }

  static Bits load(const int* label) {
    Bits x;
    __builtin_memcpy(&x, label, sizeof(x));
    return x;
  }
};
