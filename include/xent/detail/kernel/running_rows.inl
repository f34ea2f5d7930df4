// SPDX-License-Identifier: MIT
// xent/detail/kernel/running_rows.inl - wide float rows that are read once, once for each instruction set.
//
// Who looks for the maximum of a wide row first reads it again from a farther cache: 256 x 50257 takes 1.2 times as long, with
// gradient 1.1 times, 64 x 128256 1.22, and 1.37. So exponentials are counted in units of an anchor, the maximum of the first block
// of a row, and go over to a higher one when a logit rises too far above it.

/// The sum of a row, block by block. In each lane the sum of that block which has the largest logit so far is held back, so that in
/// the end the largest of all can be left out, though nobody knew where it stands.
template <int bytes, bool keeps>
class RunningRow {
  using K = ExpConstants<float>;
  using L = Lanes<float, bytes>;
  using Reg = typename L::Reg;
  using Bits = typename L::Bits;
  using Wide = Lanes<double, bytes>;
  using Exp = RowExp<float, bytes>;
  static constexpr int block = K::tree * L::count;
  // So far ahead is asked for what will be read and written: 4000 x 6000 with gradient takes 1.09 times as long with a quarter of it.
  static constexpr std::ptrdiff_t ahead = 16384;
  // Up to so far above the anchor the sum over a block stays a float.
  static constexpr float most_above = 16.0f;
  // Then the highest of all that is left is looked for, so that a row which rises all along is read no more than twice.
  static constexpr int most_raises = 4;

 public:
  /// As RowSums::sum, of at least a block of any logits. Exponentials are kept in units of the anchor, which is returned.
  static float sum(const float* z, std::ptrdiff_t size, float* kept, std::ptrdiff_t label,
                   Strip<float, wide_capacity>& strip, int j) {
    L::store(strip.logit + j, L::set(label < 0 ? 0.0f : z[label]));
    RunningRow row(z, size, kept);
    State state(L::largest(L::larger(largest(z), L::set(-std::numeric_limits<float>::max()))));  // -inf is no anchor
    for (std::ptrdiff_t i = 0; i < size; i += block) {
      if (i == row.whole) row.fill_last();
      row.take(state, i);
    }
    row.put(state, strip, j);
    if (keeps) __builtin_memcpy(kept + row.whole, row.last_kept, std::size_t(size - row.whole) * sizeof(float));
    return state.anchor;
  }

 private:
  struct State {
    float anchor;
    int raises = 0;
    Exp exp;
    Reg limit;
    // In each lane: the largest logit so far, the first block that has it, the sum of that block, and that of all others.
    Reg most, number, of_top;
    Total<float, bytes> total;

    explicit State(float first)
        : anchor(first),
          exp(L::set(anchor)),
          limit(L::set(anchor + most_above)),
          most(L::set(-K::infinity)),
          number(Reg{}),
          of_top(Reg{}) {}
  };

  RunningRow(const float* first, std::ptrdiff_t count, float* to)
      : z(first), kept(to), size(count), whole(count / block * block) {}

  /// Not before it is read anyway: who waits for the end of a row from memory cannot read its beginning meanwhile.
  [[gnu::noinline]] void fill_last() {
    for (int k = 0; k < block; k += L::count) L::store(last + k, L::set(-K::infinity));
    __builtin_memcpy(last, z + whole, std::size_t(size - whole) * sizeof(float));
  }

  /// Where the block from the i-th logit on is read, and where it is kept.
  const float* from(std::ptrdiff_t i) const { return i < whole ? z + i : last; }
  float* to(std::ptrdiff_t i) { return i < whole ? kept + i : last_kept; }

  /// Adds a block, or what was held back for it.
  [[gnu::always_inline]] void take(State& s, std::ptrdiff_t i) {
    const Reg tops = largest(from(i));
    if (L::any_sign(reinterpret_cast<Bits>(s.limit - tops))) [[unlikely]] {
      State copy = s;  // so that it need not be in memory
      raise(copy, i, L::largest(tops));
      s = copy;
    }
    const Reg e = tree<K::tree>(s.exp, from(i), z + i, to(i));
    const auto rises = s.most < tops;
    s.total.add(rises ? s.of_top : e);
    s.of_top = rises ? e : s.of_top;
    s.number = rises ? L::set(float(i / block)) : s.number;
    s.most = L::larger(tops, s.most);
  }

  /// A logit of this block becomes the anchor, or the largest of all that is left: also where logits are moved, for then what was
  /// kept is rounded once more each time.
  [[gnu::noinline]] void raise(State& s, std::ptrdiff_t i, float top) {
    const bool near = top < K::reach && !s.exp.any_moved;
    s.anchor = near && ++s.raises < most_raises ? top : largest_from(i);
    s.limit = L::set(s.anchor + most_above);
    const Exp next(L::set(s.anchor));
    alignas(64) double ratio[std::size_t(L::count)];
    put_ratio(s.exp, next, ratio);
    s.exp = next;
    s.total.sum *= ratio[0];
    s.total.other *= ratio[0];
    const double first = ratio[0] > K::unlift ? ratio[0] : K::unlift;
    const float factor = float(first), other = float(ratio[0] / first);
    s.of_top = times(s.of_top, L::set(factor), L::set(other));
    if (keeps && i > 0) RowKernels<float, bytes>::scale(kept, i, factor, other);
  }

  float largest_from(std::ptrdiff_t i) const {
    return RowKernels<float, bytes>::maximum(from(i), i < whole ? size - i : block).max;
  }

  /// Adds what was held back, but of the lane and block of the largest logit no exponential that is as large as that one's.
  void put(const State& s, Strip<float, wide_capacity>& strip, int j) {
    const float top = L::largest(s.most);
    const Reg places = s.number * float(L::count) + lanes();
    const Reg leading = s.most >= top ? -places : L::set(-K::infinity);
    const float first = L::largest(leading);
    const std::ptrdiff_t place = std::ptrdiff_t(-first);
    Total<float, bytes> all = s.total;
    all.add(leading >= first ? Reg{} : s.of_top);

    const std::ptrdiff_t at = place / L::count * block;
    const float* const own = (keeps ? to(at) : from(at)) + place % L::count;
    const Reg of_largest = s.exp(L::set(top));
    Reg equal = Reg{};
    for (int k = 0; k < K::tree; k += L::count) {
      const Reg e = keeps ? column(own, k, 0) : s.exp(column(own, k, -K::infinity));
      const auto leads = e >= of_largest;
      equal = leads ? equal + 1.0f : equal;
      all.add(leads ? Reg{} : e);
    }
    L::store(strip.max + j, L::set(top));
    L::store(strip.equal + j, L::set(L::sum(equal)));
    L::store(strip.moved + j, s.exp.moved);
    L::store(strip.exponent + j, s.exp.exponent);
    Wide::store(strip.sum + j, Wide::set(all.across().sum));
  }

  static Reg lanes() {
    Reg index = Reg{};
    for (int k = 0; k < L::count; ++k) index[k] = float(k);
    return index;
  }

  /// What stands in one lane of the registers of a block, from the k-th on, side by side; not by way of memory, whose stores would
  /// have to be waited for.
  static Reg column(const float* lane, int k, float otherwise) {
    Reg x = L::set(otherwise);
    for (int i = 0; i < L::count && k + i < K::tree; ++i)
      x = lanes() == float(i) ? L::set(lane[(k + i) * L::count]) : x;
    return x;
  }

  template <int n = K::tree>
  [[gnu::always_inline]] static Reg largest(const float* from) {
    if constexpr (n == 1) {
      return L::load(from);
    } else {
      const Reg first = largest<n / 2>(from);
      return L::larger(largest<n / 2>(from + n / 2 * L::count), first);
    }
  }

  /// The sum of the exponentials of n registers.
  template <int n>
  [[gnu::always_inline]] static Reg tree(const Exp& exp, const float* from, const float* at, float* to) {
    if constexpr (n == 1) {
      prefetch<Cache::second>(at, ahead);
      if constexpr (keeps) prefetch<Cache::second, true>(to, ahead);
      Reg e = exp(L::load(from));
      in_turn(e);
      if constexpr (keeps) L::store(to, e);
      return e;
    } else {
      constexpr int half = n / 2 * L::count;
      const Reg first = tree<n / 2>(exp, from, at, to);
      return first + tree<n / 2>(exp, from + half, at + half, to + half);
    }
  }

  const float* z;
  float* kept;
  std::ptrdiff_t size;
  std::ptrdiff_t whole;                        // so many of them are in whole blocks,
  alignas(64) float last[std::size_t(block)];  // the others in one that is filled up
  alignas(64) float last_kept[std::size_t(block)];
};
