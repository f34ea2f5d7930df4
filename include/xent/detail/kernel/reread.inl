// SPDX-License-Identifier: MIT
// xent/detail/kernel/reread.inl - exponentials that are taken twice: for the sums, and from the logits once more to be written.
//
// Columns of many classes do not stay in the second cache. So their maxima are not looked for beforehand: exponentials are
// counted in units of an anchor, which is a logit of the row, and go over to a higher one when a logit rises too far above it.
// A few classes of all rows come first, then the next ones, for that is how columns stand in memory. Rows side by side are
// treated so where what is written would not stay in any cache either.

/// Strips are class-major, see strips.inl. The last rows, which do not fill a register, are worked on in a copy.
template <int bytes, bool careful>
struct RunningSums {
  using K = ExpConstants<float>;
  using L = Lanes<float, bytes>;
  using Reg = typename L::Reg;
  using Wide = Lanes<double, bytes>;
  using Exp = RowExp<float, bytes>;

  /// The maxima, and the sums of all exponentials but one of the largest.
  static void sums(const float* z, std::ptrdiff_t stride, std::ptrdiff_t classes, int rows, Strip<float>& strip) {
    alignas(64) float anchor[label_strip_rows<float>];
    start(z, stride, rows, strip, anchor);
    const int span = span_of(stride);
    for (std::ptrdiff_t k = 0; k < classes; k += span) {
      const int some = classes - k < span ? int(classes - k) : span;
      const float* const first = z + k * stride;
      const int whole = rows / L::count * L::count;
      add(first, stride, some, strip, 0, whole, anchor);
      if (whole < rows) {
        float copy[Copy::size_of(most_span)];
        Copy::read(first + whole, stride, some, rows - whole, copy);
        add(copy, L::count, some, strip, whole, whole + L::count, anchor);
      }
    }
    finish(strip, rows, anchor);
  }

 private:
  static constexpr int most_span = 32;
  // Up to so far above the anchor the sum over a tree stays a float.
  static constexpr float most_above = 16.0f;
  using Copy = StripCopy<float, bytes>;

  /// So many classes at a time: 256 x 50257 takes 1.1 times as long with 8, but of columns each in pages of its own 100000 x 300 takes
  /// 2.7 times as long with 32, and 4096 x 1000 1.4 times, where these also share places in the nearest cache.
  static int span_of(std::ptrdiff_t stride) { return stride >= 4096 / int(sizeof(float)) ? 8 : most_span; }

  static void start(const float* z, std::ptrdiff_t stride, int rows, Strip<float>& strip, float* anchor) {
    for (int row = 0; row < rows; row += L::count) {
      float first[Copy::size_of(1)];
      Copy::read(z + row, stride, 1, rows - row, first);
      L::store(anchor + row, L::larger(L::load(first), L::set(-std::numeric_limits<float>::max())));
      State(L::set(-K::infinity)).put(strip, row);
    }
  }

  /// What a register of rows knows of the classes so far.
  struct State {
    Reg most;
    Total<float, bytes> total;

    explicit State(Reg first) : most(first) {}
    [[gnu::always_inline]] State(const Strip<float>& strip, int row) : most(L::load(strip.max + row)) {
      total.sum = Wide::load(strip.sum + row);
      total.other = Wide::load(strip.sum + row + Wide::count);
    }
    [[gnu::always_inline]] void put(Strip<float>& strip, int row) const {
      L::store(strip.max + row, most);
      Wide::store(strip.sum + row, total.sum);
      Wide::store(strip.sum + row + Wide::count, total.other);
    }
  };

  /// So many classes of the rows from `row` to `end`, whole registers of them, the first of which stands at z. In a call for each
  /// register 4096 x 1000 takes 1.1 times as long.
  [[gnu::noinline]] static void add(const float* z, std::ptrdiff_t stride, int classes, Strip<float>& strip, int row,
                                    int end, float* anchor) {
    for (; row < end; row += L::count, z += L::count) add_register(z, stride, classes, strip, row, anchor);
  }

  /// A tree of classes at a time; that one again, if a logit is too far above the anchor. There is one copy of that for both:
  /// 256 x 50257 takes 1.1 times as long with two.
  [[gnu::always_inline]] static void add_register(const float* z, std::ptrdiff_t stride, int classes,
                                                  Strip<float>& strip, int row, float* anchor) {
    Reg at = L::load(anchor + row);
    Exp exp(at);
    State state(strip, row);
    bool raised = false;
    for (int k = 0; k < classes;) {
      const int some = classes - k < K::tree ? classes - k : K::tree;
      State next = state;
      add_tree(exp, z + k * stride, stride, some, next);
      if (L::any_sign(reinterpret_cast<typename L::Bits>(most_above - (next.most - at))) && !raised) {
        at = next.most - at > most_above ? next.most : at;
        state.put(strip, row);
        raise(strip, row, anchor, at);
        state = State(strip, row);
        exp = Exp(at);
        raised = true;
        continue;
      }
      state = next;
      raised = false;
      k += K::tree;
    }
    state.put(strip, row);
  }

  [[gnu::always_inline]] static void add_tree(const Exp& exp, const float* z, std::ptrdiff_t stride, int classes,
                                              State& state) {
    Reg lows = Reg{};  // carefully, the sum of the exponentials' second parts
    if (!careful && classes == K::tree) {
      state.total.add(sum<K::tree>(exp, z, stride, state.most, lows));
    } else {
      for (int k = 0; k < classes; ++k) state.total.add(sum<1>(exp, z + k * stride, stride, state.most, lows));
      if constexpr (careful) state.total.add(lows);
    }
  }

  /// Over n classes as a tree: of each of them the lower one of the next logit and the largest so far.
  template <int n>
  [[gnu::always_inline]] static Reg sum(const Exp& exp, const float* z, std::ptrdiff_t stride, Reg& most, Reg& lows) {
    if constexpr (n == 1) {
      prefetch<Cache::second>(z, most_span * stride);
      const Reg x = L::load(z);
      const Reg lower = most < x ? most : x;
      // Compared another way, so that it does not wait for a mask: 256 x 50257 takes 1.4 times as long.
      most = L::larger(most, x);
      if constexpr (!careful) return exp(lower);
      Reg low;
      const Reg e = exp(lower, low);
      lows += low;
      return e;
    } else {
      const Reg first = sum<n / 2>(exp, z, stride, most, lows);
      return first + sum<n / 2>(exp, z + n / 2 * stride, stride, most, lows);
    }
  }

  static void finish(Strip<float>& strip, int rows, float* anchor) {
    for (int row = 0; row < rows; row += L::count) {
      raise(strip, row, anchor, L::load(strip.max + row));
      L::store(strip.equal + row, L::set(1.0f));
    }
  }

  /// The sums so far in units of another anchor; NaN where that is not finite.
  [[gnu::noinline]] static void raise(Strip<float>& strip, int row, float* anchor, Reg at) {
    const Exp to(at);
    alignas(64) double ratio[std::size_t(L::count)];
    put_ratio<bytes>(Exp(L::load(anchor + row)), to, ratio);
    L::store(anchor + row, at);
    L::store(strip.moved + row, to.moved);
    L::store(strip.exponent + row, to.exponent);
    double* const sum = strip.sum + row;
    for (int j = 0; j < L::count; j += Wide::count) Wide::store(sum + j, Wide::load(sum + j) * Wide::load(ratio + j));
  }
};

/// The probabilities of rows, one in each lane, as multiples of their exponentials.
template <class T, int bytes, bool careful = false>
struct MultipleExp {
  using L = Lanes<T, bytes>;
  using Reg = typename L::Reg;

  RowExp<T, bytes> exp;
  Reg first, second;

  MultipleExp(Reg max, Reg one, Reg other) : exp(max), first(one), second(other) {}
  [[gnu::always_inline]] Reg operator()(Reg z) const {
    if constexpr (!careful) return times(exp(z), first, second);
    Reg low;
    const Reg e = exp(z, low);
    return times(e + low, first, second);
  }
};

template <int bytes>
struct StripMultiples {
  using L = Lanes<float, bytes>;
  using Reg = typename L::Reg;

  /// out = exp(z) * first * second in the units of the sums, from the logits once more. Past the caches, if all columns begin
  /// alike; but not the parts of lines at their ends, which would wait for each other.
  static void multiples(const float* z, std::ptrdiff_t stride, std::ptrdiff_t classes, int rows, const float* max,
                        const float* first, const float* second, float* out, std::ptrdiff_t out_stride,
                        bool past_caches) {
    const bool past = past_caches && rows >= L::count && out_stride % L::count == 0 && Piece::lead_of(out) == 0;
    const int lead = past ? L::lead_of(out) : 0;
    const int span = past ? most_span : 4;  // 256 x 50257 takes 1.04 times as long with more
    for (std::ptrdiff_t k = 0; k < classes; k += span) {
      const int some = classes - k < span ? int(classes - k) : span;
      const float* const in = z + k * stride;
      float* const result = out + k * out_stride;
      if (lead > 0) multiply_part(in, stride, some, max, first, second, result, out_stride, 0, lead);
      const int end = rows - (rows - lead) % L::count;
      multiply_rows(past, in, stride, some, max, first, second, result, out_stride, lead, end);
      if (end < rows && past) {
        const int at = rows - L::count;
        multiply_part(in + at, stride, some, max + at, first + at, second + at, result + at, out_stride, end - at,
                      L::count);
      } else if (end < rows) {
        float copy[Copy::size_of(most_span)];
        Copy::read(in + end, stride, some, rows - end, copy);
        multiply_rows(false, copy, L::count, some, max + end, first + end, second + end, copy, L::count, 0, L::count);
        Copy::write(copy, some, rows - end, result + end, out_stride);
      }
    }
    if (past) past_caches_done();
  }

 private:
  static constexpr int most_span = 8;
  using Copy = StripCopy<float, bytes>;
  using Piece = Lanes<float, 16>;

  /// A few classes of the rows from `row` to `end`, whole registers of them.
  [[gnu::noinline]] static void multiply_rows(bool past, const float* z, std::ptrdiff_t stride, int classes,
                                              const float* max, const float* first, const float* second, float* out,
                                              std::ptrdiff_t out_stride, int row, int end) {
    for (; row < end; row += L::count) {
      const MultipleExp<float, bytes> multiple(L::load(max + row), L::load(first + row), L::load(second + row));
      const float* from = z + row;
      float* to = out + row;
      for (int k = 0; k < classes; ++k, from += stride, to += out_stride) {
        prefetch<Cache::second>(from, most_span * stride);
        if (!past) prefetch<Cache::second, true>(to, most_span * out_stride);
        const Reg x = multiple(L::load(from));
        if (past) {
          L::store_past_caches(to, x);
        } else {
          L::store(to, x);
        }
      }
    }
  }

  /// Writes the lanes from `begin`, or a few before it, to `end`, a multiple of four.
  static void multiply_part(const float* z, std::ptrdiff_t stride, int classes, const float* max, const float* first,
                            const float* second, float* out, std::ptrdiff_t out_stride, int begin, int end) {
    alignas(64) float lanes[Copy::size_of(most_span)];
    multiply_rows(false, z, stride, classes, max, first, second, lanes, L::count, 0, L::count);
    for (int k = 0; k < classes; ++k) {
      float* const to = out + k * out_stride;
      prefetch<Cache::second, true>(to + begin, most_span * out_stride);
      for (int j = begin / Piece::count * Piece::count; j < end; j += Piece::count) {
        Piece::store(to + j, Piece::load(lanes + k * L::count + j));
      }
    }
  }
};

template <class T, int bytes, bool careful>
struct RowMultiples {
  using L = Lanes<T, bytes>;

  /// The same of one row, always past the caches.
  static void multiples(const T* z, std::ptrdiff_t size, T anchor, T first, T second, T* out) {
    const MultipleExp<T, bytes, careful> multiple(L::set(anchor), L::set(first), L::set(second));
    const std::ptrdiff_t last = size - L::count;
    L::store(out, multiple(L::load(z)));
    for (std::ptrdiff_t i = L::lead_of(out); i <= last; i += L::count) {
      L::store_past_caches(out + i, multiple(L::load(z + i)));
    }
    L::store(out + last, multiple(L::load(z + last)));
    past_caches_done();
  }
};
