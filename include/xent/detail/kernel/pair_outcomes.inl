// SPDX-License-Identifier: MIT
// xent/detail/kernel/pair_outcomes.inl - the losses of rows of doubles from their sums, once for each instruction set.
//
// As StripKernels::outcomes and DenseOutcomes for results in float, but in pairs.

/// What the sums say of rows with finite maxima, one in each lane.
template <int bytes>
struct PairTails {
  using P = Pair<bytes>;
  using L = Lanes<double, bytes>;
  using Reg = typename L::Reg;

  Reg max;
  P unit, tail, log_sum;  // unit is the kernel's unit of exponentials in exp(max), tail and log_sum as in RowPartition

  [[gnu::always_inline]] PairTails(const double* maxima, const double* moved, const double* exponent,
                                   const double* equal, const double* sum, const double* lost)
      : max(L::load(maxima)),
        unit(P::exp_of_rest(-P::reduced(max - L::load(moved), L::load(exponent)))),
        tail((P{L::load(sum), L::load(lost)} * unit).scaled(L::set(ExpConstants<double>::unlift)) + ties(equal)),
        log_sum(P::log1p(tail)) {}

  [[gnu::always_inline]] P all() const { return tail + P::of(1.0); }
  [[gnu::always_inline]] P logsumexp() const { return P::of(max) + log_sum; }
  /// Added to a loss: NaN where the row is not regular.
  [[gnu::always_inline]] Reg poison() const { return (max - max) + (tail.high - tail.high); }

 private:
  [[gnu::always_inline]] static P ties(const double* equal) {
    Reg others = L::load(equal) - 1.0;
    hide(others);
    return P::of(others);
  }
};

/// A margin or a loss may be beyond the largest number where what becomes of it is not: those of large logits are kept in
/// larger units. Lane by lane.
template <int bytes>
struct PairScale {
  using L = Lanes<double, bytes>;
  using Reg = typename L::Reg;

  Reg shrink, grow;

  template <class Mask>
  [[gnu::always_inline]] explicit PairScale(Mask large)
      : shrink(large ? L::set(1 / dense_grow<double>) : L::set(1.0)),
        grow(large ? L::set(dense_grow<double>) : L::set(1.0)) {}
};

template <int bytes>
struct PairOutcomes {
  using P = Pair<bytes>;
  using L = Lanes<double, bytes>;
  using Reg = typename L::Reg;
  static constexpr double large = 0x1p1000;

  /// What StripKernels::outcomes does, for results in double: each loss is out.loss out.grow. `b` comes in two parts.
  template <std::size_t most>
  static void outcomes(const Strip<double, most>& strip, int rows, const double* b, const double* b_low,
                       const LossShape& shape, const TwoParts& scale, bool gradient, StripOutcomes<double, most>& out) {
    const bool plain = b == nullptr && shape.z_loss == 0 && shape.gamma == 0;  // then three products need not be taken
    for (int row = 0; row < rows; row += L::count) {
      const PairTails<bytes> tails(strip.max + row, strip.moved + row, strip.exponent + row, strip.equal + row,
                                   strip.sum + row, strip.lost + row);
      const Reg logit = L::load(strip.logit + row);
      const PairScale<bytes> units((L::magnitude(tails.max) > large) | (L::magnitude(logit) > large));
      const P margin = P::sum(tails.max * units.shrink, -logit * units.shrink);
      const P nll = margin + tails.log_sum.scaled(units.shrink);
      P weight = b != nullptr ? P{L::load(b + row), L::load(b_low + row)} : P::of(1.0);
      P loss = b != nullptr ? P::choice(weight.high == 0.0, P::of(0.0), weight * nll) : nll;
      P surplus = P::of(0.0);
      if (shape.z_loss != 0) {
        const P factor = shape.z_weight != nullptr ? P::product(L::load(shape.z_weight + row), L::set(shape.z_loss))
                                                   : P::of(shape.z_loss);
        const P slope = factor * tails.logsumexp();
        loss = loss + slope * tails.logsumexp().scaled(units.shrink);
        surplus = slope.scaled(L::set(2.0));
      }
      const P all = tails.all();
      P own = P::of(0.0);
      P others = own;
      if (gradient || shape.gamma != 0) {
        own = P::exp(-margin);
        others = P::choice(margin.high == 0.0, tails.tail, tails.tail + -own + P::of(1.0));
      }
      if (shape.gamma != 0) {
        const auto none = others.high < std::numeric_limits<double>::min();  // 1 / others may be no number
        const P power = P::choice(none, P::of(0.0), power_of_others(own, others, all, shape.gamma));
        const auto vanishes = (margin.high > 700.0) | none;
        const P slope = P::choice(vanishes, P::of(0.0), P::of(shape.gamma) * own * nll * others.inverse());
        loss = loss * power;
        weight = weight * power * (slope + P::of(1.0));
      }
      L::store(out.log_sum + row, tails.log_sum.value());
      L::store(out.loss + row, loss.value() + tails.poison());
      L::store(out.grow + row, units.grow);
      if (!gradient) continue;
      const P share = P{L::set(scale.high), L::set(scale.low)} * all.inverse();
      const P factor = weight + surplus;
      const P of_all = plain ? share : factor * share;
      const P pull = plain ? -others : surplus * own + -(weight * others);
      put_factor<double, bytes>((of_all * tails.unit).value(), out.first + row, out.second + row);
      L::store(out.at_label + row, (pull * share).value());
      L::store(out.factor + row, factor.value() * scale.high);
    }
  }

 private:
  /// (others / all)^gamma
  static P power_of_others(P own, P others, P all, double gamma) {
    const P q = others * all.inverse();
    if (gamma == 1) return q;
    if (gamma == 2) return q * q;
    return P::exp(P::of(-gamma) * P::log1p(own * others.inverse()));
  }
};

template <int bytes>
struct DensePairs {
  using P = Pair<bytes>;
  using L = Lanes<double, bytes>;
  using Reg = typename L::Reg;

  /// What DenseOutcomes does, for results in double and without a z-loss: each loss is s.loss s.grow.
  template <std::size_t most>
  static void outcomes(DenseStrip<double, most>& s, int rows, const DenseTerms& terms, const TwoParts& all_scale) {
    const P kept = P::sum(L::set(1.0), L::set(-terms.smoothing));
    for (int row = 0; row < rows; row += L::count) {
      const PairTails<bytes> tails(s.max + row, s.moved + row, s.exponent + row, s.equal + row, s.exps + row,
                                   s.lost[0] + row);
      P loss{L::load(s.loss + row), L::load(s.lost[1] + row)};
      P others{L::load(s.others + row), L::load(s.lost[2] + row)};
      P leading{L::load(s.leading + row), L::load(s.lost[3] + row)};
      P even = P::load(s.even + row);
      const Reg unmasked = L::load(s.unmasked + row);
      if (terms.even) {
        const Reg equal = L::load(s.equal + row);
        even = P::of(terms.smoothing) * P::of(unmasked).inverse();
        loss = loss * even;
        others = P::of(unmasked - equal) * even;
        leading = P::of(equal) * even;
        L::store(s.even + row, even.value());
      }
      const Reg logit = L::load(s.logit + row);
      const Reg label_weight = L::load(s.label_weight + row);
      const P weight = P::load(s.sample_weight + row);
      const PairScale<bytes> units((L::magnitude(tails.max) > large) | (L::magnitude(logit) > large) |
                                   (L::magnitude(loss.high) > large / dense_grow<double>));
      const P margin = P::sum(tails.max * units.shrink, -logit * units.shrink);
      const auto leads = margin.high == 0.0;
      const P more = P::product(label_weight, L::set(terms.label_share));  // what the label has beyond the others
      const P none = P::of(0.0);
      loss = loss.scaled(dense_grow<double> * units.shrink) + P::choice(more.high == 0.0, none, more * margin);
      others = others + P::choice(leads, none, more);
      leading = leading + P::choice(leads, more, none);
      loss = weight * (loss + (others + leading) * tails.log_sum.scaled(units.shrink));
      L::store(s.loss + row, loss.value() + tails.poison());
      L::store(s.grow + row, units.grow);
      if (!terms.gradient) continue;
      const P inverse = tails.all().inverse();
      const P scale = weight * P{L::set(all_scale.high), L::set(all_scale.low)};
      const P share = scale * inverse;
      const P beside = share * tails.tail;
      put_factor<double, bytes>(((others + leading) * share * tails.unit).value(), s.first + row, s.second + row);
      L::store(s.scale + row, scale.value());
      L::store(s.scaled_kept + row, (scale * kept).value());
      L::store(s.scaled_even + row,
               terms.smoothing == 0 ? Reg{} : (scale * P::of(terms.smoothing) * P::of(unmasked).inverse()).value());
      L::store(s.rest + row, others.value());
      L::store(s.led + row, leading.value());
      L::store(s.share + row, share.value());
      L::store(s.beside + row, beside.value());
      P spread = P::of(label_weight) * even;
      if (!terms.even) spread = P::of(label_weight * even.high);  // as in the sums
      const P b = more + P::choice(logit == -ExpConstants<double>::infinity, none, spread);
      const P elsewhere = (others + leading) * share * P::exp(-margin) + -(scale * b);
      const P at_maximum = share * (others + (leading + -b)) + -(b * beside);
      L::store(s.at_label + row, P::choice(leads, at_maximum, elsewhere).value());
    }
  }

 private:
  static constexpr double large = PairOutcomes<bytes>::large;
};
