// SPDX-License-Identifier: MIT
// xent/detail/kernel/label_steps.inl - steps that the kernels of strips with labels share, once for each instruction set.

/// A sum of losses, in each lane. Where such without weights are only wanted together, it is that of their margins and the logarithm
/// of the product of their all / top: 10^6 x 2 takes 1.2 times as long with a logarithm for each. The product is carried less 1, as
/// rest / tops, so that all its terms are positive.
template <int bytes, bool of_maximum>
struct LossSum {
  using K = ExpConstants<float>;
  using L = Lanes<float, bytes>;
  using Wide = Lanes<double, bytes>;
  using D = typename Wide::Reg;
  // No factor is above the number of classes, or twice that without a table. So a lane of at least four rows has no more than 2^768
  // to hold of a strip of 1024 x 8 or 256 x 256 logits; one of two would leave its range.
  static constexpr bool holds_a_strip = Wide::count >= 4;

  D total, rest, tops;

  LossSum() : total(D{}), rest(D{}), tops(Wide::set(1.0)) {}

  /// Of so many rows as a register has doubles, from j on: the largest logit less that of the label, the sum of all exponentials
  /// but that of the largest as they are kept, and that one, which is 1 where these are counted in it.
  [[gnu::always_inline]] void add(const LabelStrip& strip, int j, D margin, D below, D top) {
    total += of_labelled(strip, j, margin, D{});
    below = of_labelled(strip, j, below, D{});
    top = of_labelled(strip, j, top, Wide::set(1.0));
    const D all = below * K::unlift + top;
    rest = rest * all + (of_maximum ? below : tops * below);
    if constexpr (!of_maximum) tops *= top;
  }

  /// Of a whole register of them, with exponentials that are counted in the largest.
  [[gnu::always_inline]] void add(const LabelStrip& strip, int j, typename L::Reg max, typename L::Reg logit, D below,
                                  D below_high) {
    const typename L::Halves most(max), own(logit);
    add(strip, j, widened<bytes>(most.low) - widened<bytes>(own.low), below, Wide::set(1.0));
    add(strip, j + Wide::count, widened<bytes>(most.high) - widened<bytes>(own.high), below_high, Wide::set(1.0));
  }

  [[gnu::always_inline]] void take_logarithm() {
    total += ForFloat<bytes>::log1p_of_ratio(rest * K::unlift, tops);
    rest = D{};
    tops = Wide::set(1.0);
  }

  /// x of the rows that have a label.
  [[gnu::always_inline]] static D of_labelled(const LabelStrip& strip, int j, D x, D otherwise) {
    if (strip.complete) return x;
    using Whole = typename VectorOf<std::int64_t, bytes>::type;
    typename VectorOf<std::int32_t, Wide::count * 4>::type label;
    __builtin_memcpy(&label, strip.label + j, sizeof(label));
    return __builtin_convertvector(label, Whole) < 0 ? otherwise : x;
  }
};

/// Stands for the logit of a label that no class has: NaN, of which -ffast-math must not know, where that is to be noticed.
template <int bytes, bool keeps>
[[gnu::always_inline]] inline typename Lanes<float, bytes>::Reg logit_of_nobody(const LabelStrip& strip,
                                                                                typename Lanes<float, bytes>::Reg max) {
  auto nan = Lanes<float, bytes>::set(std::numeric_limits<float>::quiet_NaN());
  hide(nan);
  return !keeps && strip.notices_labels ? nan : max;
}

/// Asks for what the rows after those at j need meanwhile, once for each class; registers shorter than a line ask for it again. Columns
/// of 625000 x 32 take 1.4 times as long without, with gradient 2 times; rows of 10^6 x 5 with gradient 1.4 times if they are asked for
/// when a strip is gathered. To be spread among the exponentials, for all at once would fill the queues and hold up what is read:
/// 20000 x 64 takes 1.25 times as long so, with gradient 1.35 times.
template <int bytes, bool keeps>
class Requests {
 public:
  [[gnu::always_inline]] Requests(const LabelStrip& strip, int j) : asked_(0) {
    constexpr int ahead = strip_rows / 2;
    if (strip.padded) {
      step_ = out_step_ = bytes / int(sizeof(float));
      next_ = strip.next == nullptr ? nullptr : strip.next + j * strip.row_stride;
      out_ = strip.out == nullptr ? nullptr : strip.out + j * strip.row_stride;
    } else {
      step_ = strip.stride;
      out_step_ = strip.kept_stride;
      next_ = strip.z + j + ahead;
      out_ = strip.kept + j + ahead;
    }
  }

  /// For the next so many classes.
  [[gnu::always_inline]] void ask(int classes) {
    if (next_ == nullptr) return;
    for (int k = 0; k < classes; ++k) prefetch<Cache::second>(next_, (asked_ + k) * step_);
    for (int k = 0; keeps && out_ != nullptr && k < classes; ++k) {
      prefetch<Cache::second, true>(out_, (asked_ + k) * out_step_);
    }
    asked_ += classes;
  }

 private:
  const float* next_;  // or null
  const float* out_;   // likewise
  std::ptrdiff_t step_, out_step_;
  std::ptrdiff_t asked_;
};
