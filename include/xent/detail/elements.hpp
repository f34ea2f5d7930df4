// SPDX-License-Identifier: MIT
// xent/detail/elements.hpp - functions and losses that look at one element at a time.
#pragma once

#include <xent/concepts.hpp>
#include <xent/detail/access.hpp>
#include <xent/detail/accumulate.hpp>
#include <xent/detail/blocks.hpp>
#include <xent/detail/kernel/dispatch.hpp>
#include <xent/detail/parallel.hpp>
#include <xent/detail/reduce.hpp>
#include <xent/detail/scalar.hpp>
#include <xent/reduction.hpp>

#include <Eigen/Core>

#include <algorithm>  // std::copy_n, std::fill_n, std::min
#include <type_traits>

namespace xent::detail {

/// Of all elements.
template <RealArray T>
Chunks chunks_of(const T& array) {
  return chunks_of(array.size(), array.size(), 1);
}

/// out = f(in), coefficient by coefficient; `out` may be the input itself.
template <RealArray T, class Out, class Function>
void map_coefficients(const T& in, Out& out, const Function& f) {
  using OutScalar = typename Out::Scalar;
  const Coefficients<T> source(in);
  const auto target = cells<is_sample<T>>(out);
  for_parts<threads_allowed<T>>(in.size(), chunks_of(in), in.size(), [&](Index begin, Index end) {
    for_coefficients<by_rows<T>>(row_count(in), class_count(in), begin, end, [&](Index i, Index k) {
      target(i, k) = narrow<OutScalar>(WorkOf<T>(f(widen(source(i, k)))));
    });
  });
}

/// The same by a kernel where there is one for this scalar.
template <RealArray T, class Out, class Table, class Function>
void map_elements(const T& in, Out& out, typename Table::Map Table::*kernel, const Function& f) {
  if constexpr (has_kernels<T>) {
    if (instruction_set() != InstructionSet::portable) {
      const ElementReader<T, T> reader(in);
      const ElementWriter<Out, T> writer(out);
      for_parts<threads_allowed<T>>(in.size(), chunks_of(in), in.size(), [&](Index begin, Index end) {
        constexpr int step = block_size<KernelScalar<T>>;
        KernelScalar<T> copy[block_size<KernelScalar<T>>];
        for (Index at = begin; at < end; at += step) {
          const int size = int(std::min(end - at, Index(step)));
          (kernels<Table>().*kernel)(reader.block(at, size, copy), size, writer.block(at, copy));
          writer.done(at, size, copy);
        }
      });
      return;
    }
  }
  map_coefficients(in, out, f);
}

/// What an elementwise loss says of one element.
template <class V>
struct ElementOutcome {
  V loss;
  V slope;
};

/// What elements are written to, or nothing.
template <class T, class Like>
struct MaybeWriter : ElementWriter<T, Like> {
  using ElementWriter<T, Like>::ElementWriter;
};
template <class Like>
struct MaybeWriter<NoGradient, Like> {
  explicit MaybeWriter(NoGradient&) {}
  KernelScalar<Like>* block(Index, KernelScalar<Like>*) const { return nullptr; }
  void done(Index, int, const KernelScalar<Like>*) const {}
};

/// The binary cross-entropy by its kernel, a block of elements at a time.
template <class Logits, class Targets, class Rule, class Gradient, class Losses>
class BinaryBlocks {
 public:
  using T = KernelScalar<Logits>;
  using V = WideOf<Logits>;

  BinaryBlocks(const Logits& logits, const Targets& targets, const Rule& rule, Gradient& gradient, Losses& losses)
      : rule_(rule),
        rows_(row_count(logits)),
        classes_(class_count(logits)),
        z_(logits),
        t_(targets),
        gradient_(gradient),
        losses_(losses),
        complete_(!rule.sample_weights.any_zero()) {}

  /// The sum of the losses of the elements [begin, end); gradients are divided by `divisor`.
  Sum<V> run(Index begin, Index end, const V& divisor) const {
    const Index length = by_rows<Logits> ? classes_ : rows_;
    constexpr auto across = by_rows<Logits> ? BlockFactor<T>::Along::inner : BlockFactor<T>::Along::outer;
    constexpr auto down = by_rows<Logits> ? BlockFactor<T>::Along::outer : BlockFactor<T>::Along::inner;
    Factors factors{{rule_.pos_weights(), across, length},
                    {rule_.class_weights(), across, length},
                    {rule_.sample_weights.values(), rule_.sample_weights.by_element() ? across : down, length}};
    const Index step = block_length<T>(length);
    Sum<V> total;
    for (Index at = begin; at < end; at += step) {
      total.add(block(at, int(std::min(end - at, step)), divisor, factors));
    }
    return total;
  }

 private:
  struct Factors {
    BlockFactor<T> pos;
    BlockFactor<T> of_class;
    BlockFactor<T> sample;
  };

  V block(Index at, int size, const V& divisor, Factors& factors) const {
    T z_copy[block_size<T>];
    T t_copy[block_size<T>];
    T slope_copy[block_size<T>];
    T loss_copy[block_size<T>];
    T pos[block_size<T>];
    T neg[block_size<T>];
    T both[block_size<T>];
    const T* z = z_.block(at, size, z_copy);
    const T* t = t_.block(at, size, t_copy);
    BinaryTerms<T> terms{.smoothing = static_cast<T>(rule_.smoothing()), .divisor = static_cast<T>(divisor)};
    if (rule_.weighted()) {
      const ElementFactors<T> weights{factors.pos.block(at, size), factors.of_class.block(at, size),
                                      factors.sample.block(at, size)};
      if (size % block_unit != 0) {
        if (t != t_copy) std::copy_n(t, size, t_copy);
        std::fill_n(t_copy + size, block_unit - size % block_unit, T(0));
        t = t_copy;
      }
      weigh(t, size, weights, pos, neg, both);
      terms.pos = pos;
      terms.neg = neg;
      terms.both = both;
      if (!complete_) z = without_absent(z, size, weights.sample, z_copy);
    }
    T* const slope = gradient_.block(at, slope_copy);
    T* const wanted = losses_.block(at, loss_copy);
    T* const loss = std::is_same_v<T, double> && wanted == nullptr ? loss_copy : wanted;
    const double sum =
        kernels<BinaryTable<T, !std::is_same_v<Gradient, NoGradient>>>().binary(z, t, size, terms, slope, loss);
    gradient_.done(at, size, slope_copy);
    losses_.done(at, size, loss_copy);
    return std::is_same_v<T, float> || is_finite(sum) ? V(sum) : sum_of<V>(loss, size);  // which may be finite in V
  }

  /// The weights of both sides and their sums, rounded once: those of floats are made in double, those of doubles in V.
  void weigh(const T* t, int size, const ElementFactors<T>& factors, T* pos, T* neg, T* both) const {
    if constexpr (std::is_same_v<T, float>) {
      kernels<WeightTable>().weigh(t, size, static_cast<float>(rule_.smoothing()), factors, pos, neg, both);
    } else {
      for (int j = 0; j < size; ++j) {
        V factor = factors.of_class == nullptr ? V(1) : V(factors.of_class[j]);
        if (factors.sample != nullptr) factor *= factors.sample[j];
        const V p = factor * rule_.smoothed(t[j]) * (factors.pos == nullptr ? V(1) : V(factors.pos[j]));
        const V n = factor * rule_.smoothed(V(1) - t[j]);
        pos[j] = static_cast<T>(p);
        neg[j] = static_cast<T>(n);
        both[j] = static_cast<T>(p + n);
      }
    }
  }

  /// The logits, but 0 where the sample weight is, for they may be NaN.
  static const T* without_absent(const T* z, int size, const T* sample, T* copy) {
    for (int j = 0; j < size; ++j) copy[j] = sample[j] == T(0) ? T(0) : z[j];
    return copy;
  }

  const Rule& rule_;
  Index rows_;
  Index classes_;
  ElementReader<Logits, Logits> z_;
  ElementReader<Targets, Logits> t_;
  MaybeWriter<Gradient, Logits> gradient_;
  MaybeWriter<Losses, Logits> losses_;
  bool complete_;
};

/// Every loss that stands on single elements: rule(z, t, i, k) gives the loss of an element and its derivative.
/// Each logit and each target is evaluated once, in the storage order of the logits.
template <class W, class Logits, class Targets, class Rule, class Gradient, class Losses>
class ElementLoop {
 public:
  using V = WideOf<Logits>;

  ElementLoop(const Logits& logits, const Targets& targets, const Rule& rule, Gradient& gradient, Losses& losses)
      : z_(logits),
        t_(targets),
        rule_(rule),
        rows_(row_count(logits)),
        classes_(class_count(logits)),
        gradient_(gradient),
        losses_(losses) {}

  Sum<V> run(Index begin, Index end, const V& divisor) const {
    Sum<V> total;
    for_coefficients<by_rows<Logits>>(rows_, classes_, begin, end, [&](Index i, Index k) {
      const ElementOutcome<V> outcome =
          rule_.absent(i, k) ? ElementOutcome<V>{V(0), V(0)} : rule_(W(widen(z_(i, k))), V(widen(t_(i, k))), i, k);
      put(gradient_, i, k, V(outcome.slope / divisor));
      put(losses_, i, k, outcome.loss);
      total.add(outcome.loss);
    });
    return total;
  }

 private:
  template <class Out>
  static void put(Out& out, Index i, Index k, const V& value) {
    if constexpr (!std::is_same_v<Out, NoGradient>)
      cells<is_sample<Logits>>(out)(i, k) = narrow<typename Out::Scalar>(value);
  }

  Coefficients<Logits> z_;
  Coefficients<Targets, is_sample<Logits>> t_;
  const Rule& rule_;
  Index rows_;
  Index classes_;
  Gradient& gradient_;
  Losses& losses_;
};

template <Reduction R, class W, RealArray Logits, RealArray Targets, class Rule, class Gradient>
auto element_losses(const Logits& logits, const Targets& targets, const Rule& rule, Gradient& gradient) {
  using V = WideOf<Logits>;
  using Result = ResultScalar<Logits>;
  const V divisor = R == Reduction::mean ? V(double(logits.size())) : V(1);
  const auto reduce = [&](auto& losses) {
    const auto total = [&](const auto& sum_of) {
      const Chunks chunks = chunks_of(logits);
      const auto add_chunks = [&](Index begin, Index end, const auto& total_of) {
        for (Index at = begin; at < end; at += chunks.step) total_of(at) = sum_of(at, std::min(end, at + chunks.step));
      };
      return sum_parts<threads_allowed<Logits>, Sum<V>>(logits.size(), chunks, logits.size(), add_chunks);
    };
    if constexpr (has_kernels<Logits> && has_kernels<Targets> && requires { rule.smoothing(); } &&
                  sizeof(KernelScalar<Targets>) <= sizeof(KernelScalar<Logits>)) {
      if (rule.by_kernel() && instruction_set() != InstructionSet::portable) {
        const BinaryBlocks blocks(logits, targets, rule, gradient, losses);
        return total([&](Index begin, Index end) { return blocks.run(begin, end, divisor); });
      }
    }
    const ElementLoop<W, Logits, Targets, Rule, Gradient, std::remove_reference_t<decltype(losses)>> loop(
        logits, targets, rule, gradient, losses);
    return total([&](Index begin, Index end) { return loop.run(begin, end, divisor); });
  };
  if constexpr (R == Reduction::none) {
    PlainArray<Logits, Result> losses(logits.rows(), logits.cols());
    reduce(losses);
    return losses;
  } else {
    NoGradient no_losses;
    const Sum<V> total = reduce(no_losses);
    if (R == Reduction::mean && rule.nothing()) return narrow<Result>(quiet_nan<V>());
    return narrow<Result>(V(total.value() / divisor));
  }
}

}  // namespace xent::detail
