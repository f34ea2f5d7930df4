// SPDX-License-Identifier: MIT
// A problem's arrays as Eigen sees them.
#pragma once

#include "peer.hpp"

#include <Eigen/Core>

namespace bench {

// Internal linkage: this is compiled with different flags for different peers.
namespace {

template <class Scalar, int Order>
struct View {
  using Array = Eigen::Array<Scalar, Eigen::Dynamic, Eigen::Dynamic, Order>;
  using Column = Eigen::Array<Scalar, Eigen::Dynamic, 1>;
  using Labels = Eigen::Array<std::int64_t, Eigen::Dynamic, 1>;

  explicit View(const Problem<Scalar>& p)
      : logits(p.logits, p.rows, p.classes),
        targets(p.targets, p.targets != nullptr ? p.rows : 0, p.classes),
        labels(p.labels, p.labels != nullptr ? p.rows : 0),
        out(p.out, p.rows, p.classes),
        out_column(p.out, p.rows) {}

  Eigen::Map<const Array> logits, targets;
  Eigen::Map<const Labels> labels;
  Eigen::Map<Array> out;
  Eigen::Map<Column> out_column;
};

}  // namespace

}  // namespace bench
