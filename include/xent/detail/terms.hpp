// SPDX-License-Identifier: MIT
// xent/detail/terms.hpp - what a loss of the softmax family is told about a row: one coefficient for each class.
#pragma once

#include <xent/detail/access.hpp>
#include <xent/detail/check.hpp>
#include <xent/detail/kernel/dispatch.hpp>
#include <xent/detail/reduce.hpp>
#include <xent/detail/scalar.hpp>
#include <xent/options.hpp>

#include <algorithm>  // std::fill_n
#include <cstdint>
#include <optional>
#include <type_traits>

namespace xent::detail {

/// Stands for weights that nobody can give.
template <class Scalar>
struct NoWeights {
  static constexpr bool empty() { return true; }
  static constexpr const Scalar* data() { return nullptr; }
};

template <class Weights>
inline constexpr bool no_weights = false;
template <class Scalar>
inline constexpr bool no_weights<NoWeights<Scalar>> = true;

/// The options of a call without any. All is known when it is compiled: kernels that only an option asks for are not.
template <class Scalar>
struct NoOptions {
  static constexpr std::optional<Index> ignore_index = {};
  static constexpr NoWeights<Scalar> class_weights = {};
  static constexpr NoWeights<Scalar> sample_weights = {};
};

template <class V, class Weights>
V weight_at(const Weights& weights, Index i) {
  return weights.empty() ? V(1) : V(widen(weights.data()[i]));
}

template <class Options>
concept Smoothing = requires(const Options& options) { options.label_smoothing; };

template <class V, class Options>
V smoothing_of([[maybe_unused]] const Options& options) {
  if constexpr (Smoothing<Options>) {
    return widen(options.label_smoothing);
  } else {
    return V(0);
  }
}

template <class V, class Scalar>
V sum_of_weights(const Scalar* weight, int count) {
  if constexpr (std::is_same_v<Scalar, float> && std::is_same_v<V, double>) {
    if (instruction_set() != InstructionSet::portable) return kernels<RowWeightTable>().sum(weight, count);
  }
  return sum_of<V>(weight, count);
}

inline constexpr int no_label = -1;

/// Rows that labels describe: coefficient s w_y (1 - e) at the label, and s w_k e / C' at every unmasked class.
template <class V, class Labels, class Options>
class LabelTerms {
 public:
  LabelTerms(const Labels& labels, const Options& options)
      : labels_(labels), label_(labels), options_(options), smoothing_(smoothing_of<V>(options)) {}

  bool absent(Index i) const {
    const Index value = label_(i);
    return (can_equal<decltype(label_.raw(i))>(value) && options_.ignore_index == value) || sample_weight(i) == V(0);
  }

  /// Whether all rows count, and alike.
  bool plain() const { return !options_.ignore_index && unweighted(); }
  bool unweighted() const { return class_weights().empty() && !sample_weighted(); }
  bool sample_weighted() const { return !options_.sample_weights.empty(); }

  /// The labels of some rows, of absent ones no_label, and what they add to the divisor of the mean, unless `share` is null, as
  /// it may be without weights. Whether all are there.
  bool take(Index first, int count, int* label, V* share) const {
    const bool by_class = !class_weights().empty();
    const bool fresh = by_class && !sample_weighted();
    const bool complete = take_rows(first, count, sample_weights_from(first), label, fresh ? nullptr : share);
    if (by_class) weigh(label, count, fresh, share);
    return complete;
  }
  V sum_of_shares(Index first, int count) const {
    if (!options_.ignore_index && class_weights().empty()) return sum_of_weights<V>(sample_weights_from(first), count);
    if constexpr (has_kernel_labels<Labels>()) {
      if (unweighted() && instruction_set() != InstructionSet::portable) {
        return V(count - label_kernels().count_of(labels_.data() + first, count, *options_.ignore_index));
      }
    }
    int label[most_shares];
    V share[most_shares];
    const bool fresh = !sample_weighted();
    take_rows(first, count, sample_weights_from(first), label, class_weights().empty() || !fresh ? share : nullptr);
    return class_weights().empty() ? sum_of<V>(share, count) : weigh(label, count, fresh, share);
  }

  Index label(Index i) const { return label_(i); }
  V sample_weight(Index i) const { return weight_at<V>(options_.sample_weights, i); }

  /// What row i adds to the divisor of the mean.
  V share(Index i) const { return sample_weight(i) * weight_at<V>(class_weights(), label_(i)); }

  /// The coefficients in parts: that of the label alone, then for every class s w_k (kept() t_k + e / C'), without targets.
  V weight(Index i) const { return share(i) * (V(1) - smoothing_); }
  V kept() const { return V(0); }
  const V& smoothing() const { return smoothing_; }
  bool smoothed() const { return Smoothing<Options> && smoothing_ != V(0); }
  const auto& class_weights() const { return options_.class_weights; }

  struct RowTerms {
    const LabelTerms& terms;
    Index label;
    V at_label;
    V spread;

    V operator()(Index k, bool masked) const {
      const V even = masked || spread == V(0) ? V(0) : V(spread * weight_at<V>(terms.class_weights(), k));
      return k == label ? V(at_label + even) : even;
    }
  };

  RowTerms row(Index i, Index unmasked) const {
    return {*this, label_(i), weight(i), V(sample_weight(i) * smoothing_ / V(double(unmasked)))};
  }

 private:
  static const auto& label_kernels() { return kernels<LabelTable<std::remove_const_t<typename Labels::Scalar>>>(); }

  /// Or null.
  const auto* sample_weights_from(Index first) const {
    const auto* const weight = options_.sample_weights.data();
    return weight == nullptr ? nullptr : weight + first;
  }

  /// share *= the weights of the classes, or is these if it is `fresh`; where there is no label, it is 0. Returns the sum.
  V weigh(const int* label, int count, bool fresh, V* share) const {
    using Weights = std::remove_cvref_t<decltype(class_weights())>;
    if constexpr (!no_weights<Weights>) {
      const auto* const of_class = class_weights().data();
      if constexpr (std::is_same_v<decltype(of_class), const float* const> && std::is_same_v<V, double>) {
        if (instruction_set() != InstructionSet::portable) {
          return kernels<RowWeightTable>().weigh(label, count, of_class, class_weights().size(), fresh, share);
        }
      }
      for (int j = 0; j < count; ++j) {
        const V weight = label[j] < 0 ? V(0) : V(widen(of_class[label[j]]));
        share[j] = fresh ? weight : V(weight * share[j]);
      }
    }
    return sum_of<V>(share, count);
  }

  /// The same without class weights.
  template <class Scalar>
  bool take_rows(Index first, int count, const Scalar* weight, int* label, V* share) const {
    if constexpr (has_kernel_labels<Labels>() && std::is_same_v<Scalar, float>) {
      if (instruction_set() != InstructionSet::portable) {
        const std::int64_t ignored = options_.ignore_index.value_or(0);
        return label_kernels().take(labels_.data() + first, count, options_.ignore_index ? &ignored : nullptr, weight,
                                    label, share);
      }
    }
    const bool all_labels = take_labels(first, count, label, share);
    return (weight == nullptr || take_weights(weight, count, label, share)) && all_labels;
  }

  bool take_labels(Index first, int count, int* label, V* share) const {
    if (!options_.ignore_index) {
      for (int j = 0; j < count; ++j) label[j] = int(label_(first + j));
      if (share != nullptr) std::fill_n(share, count, V(1));
      return true;
    }
    const Index ignored = *options_.ignore_index;
    bool absent = false;
    for (int j = 0; j < count; ++j) {
      const Index value = label_(first + j);
      const bool match = (value == ignored) & can_equal<decltype(label_.raw(first))>(value);
      label[j] = int(value | -Index(match));  // no_label without a branch, which would often be guessed wrong
      if (share != nullptr) share[j] = V(int(!match));
      absent |= match;
    }
    return !absent;
  }

  template <class Scalar>
  static bool take_weights(const Scalar* weight, int count, int* label, V* share) {
    bool absent = false;
    for (int j = 0; j < count; ++j) {
      const bool zero = weight[j] == Scalar(0);
      label[j] = zero ? no_label : label[j];
      share[j] = label[j] == no_label ? V(0) : V(widen(weight[j]));
      absent |= zero;
    }
    return !absent;
  }

  const Labels& labels_;
  LabelReader<Labels> label_;
  const Options& options_;
  V smoothing_;
};

/// Rows that targets describe: coefficient s w_k ((1 - e) t_k + e / C') at every class, without the second part where masked.
template <class V, class Targets, bool sample, class Options>
class TargetTerms {
 public:
  TargetTerms(const Targets& targets, const Options& options)
      : array_(targets), targets_(targets), options_(options), smoothing_(smoothing_of<V>(options)) {}

  bool absent(Index i) const { return sample_weight(i) == V(0); }
  bool plain() const { return !sample_weighted(); }
  bool sample_weighted() const { return !options_.sample_weights.empty(); }
  V sum_of_shares(Index first, int count) const {
    return sum_of_weights<V>(options_.sample_weights.data() + first, count);
  }
  V sample_weight(Index i) const { return weight_at<V>(options_.sample_weights, i); }
  V share(Index i) const { return sample_weight(i); }

  /// The coefficients in parts: s w_k (kept() t_k + e / C').
  V kept() const { return V(1) - smoothing_; }
  const V& smoothing() const { return smoothing_; }
  bool smoothed() const { return smoothing_ != V(0); }
  const Targets& targets() const { return array_; }
  const Coefficients<Targets, sample>& reader() const { return targets_; }
  const auto& class_weights() const { return options_.class_weights; }

  struct RowTerms {
    const TargetTerms& terms;
    Index i;
    V sample_weight;
    V even;

    V operator()(Index k, bool masked) const {
      const V target = widen(terms.targets_(i, k));
      const V kept = terms.smoothing_ == V(0) ? target : V(target * V(V(1) - terms.smoothing_));
      const V smoothed = masked ? kept : V(kept + even);
      return V(sample_weight * weight_at<V>(terms.class_weights(), k)) * smoothed;
    }
  };

  RowTerms row(Index i, Index unmasked) const { return {*this, i, sample_weight(i), smoothing_ / V(double(unmasked))}; }

 private:
  const Targets& array_;
  Coefficients<Targets, sample> targets_;
  const Options& options_;
  V smoothing_;
};

}  // namespace xent::detail
