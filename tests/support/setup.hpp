// SPDX-License-Identifier: MIT
// tests/support/setup.hpp - one set of options, spoken both ways: to the library and to the oracle.
#pragma once

#include "exact.hpp"
#include "oracle.hpp"

#include <xent/options.hpp>

#include <optional>

namespace support {

template <class Scalar>
struct Setup {
  std::optional<Index> ignore_index = {};
  Scalar label_smoothing = 0;
  Vector<Scalar> class_weights = {};
  Vector<Scalar> sample_weights = {};
  Vector<Scalar> pos_weights = {};
  Scalar z_loss = 0;
  Scalar gamma = 0;
  std::optional<Scalar> alpha = {};

  xent::SoftmaxCrossEntropyOptions<Scalar> softmax() const {
    return {.ignore_index = ignore_index,
            .label_smoothing = label_smoothing,
            .class_weights = class_weights,
            .sample_weights = sample_weights,
            .z_loss = z_loss};
  }
  xent::SigmoidCrossEntropyOptions<Scalar> sigmoid() const {
    return {.label_smoothing = label_smoothing,
            .pos_weights = pos_weights,
            .class_weights = class_weights,
            .sample_weights = sample_weights};
  }
  xent::SoftmaxFocalLossOptions<Scalar> focal() const {
    return {
        .ignore_index = ignore_index, .gamma = gamma, .class_weights = class_weights, .sample_weights = sample_weights};
  }
  xent::SigmoidFocalLossOptions<Scalar> sigmoid_focal() const {
    return {.gamma = gamma, .alpha = alpha, .sample_weights = sample_weights};
  }
  /// Not inlined: there g++ 12 for AArch64 warns of an alpha that is read where there is none.
  [[gnu::noinline]] oracle::Options exact() const {
    oracle::Options result;
    result.ignore_index = ignore_index;
    result.label_smoothing = widen(label_smoothing);
    result.class_weights = reals(class_weights);
    result.sample_weights = reals(sample_weights);
    result.pos_weights = reals(pos_weights);
    result.z_loss = widen(z_loss);
    result.gamma = widen(gamma);
    if (alpha) result.alpha = widen(*alpha);
    return result;
  }
};

}  // namespace support
