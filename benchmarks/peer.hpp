// SPDX-License-Identifier: MIT
// What every peer is given to do, and what it hands back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace bench {

using Index = std::ptrdiff_t;

enum class Function { cross_entropy, binary, softmax, log_softmax, logsumexp };

/// One task on one set of arrays, the same for all peers.
template <class Scalar>
struct Problem {
  Function function;
  bool gradient;  ///< the loss and its gradient, or the loss alone
  bool columns;   ///< columns are contiguous (Eigen's default), or rows are
  Index rows, classes;
  const Scalar* logits;
  const std::int64_t* labels;  ///< null where there are targets
  const Scalar* targets;       ///< null where there are labels
  Scalar* out;                 ///< the gradient or the function's values; may be the logits themselves

  Index size() const { return rows * classes; }
  bool in_place() const { return logits == out; }
};

/// One way of doing the task, "peer" or "peer:way" by name. Everything it needs is allocated before the first run.
struct Way {
  std::string name;
  std::function<double()> run;         ///< does the task once, returns the loss (0 where the task is no loss)
  std::function<void()> deliver = {};  ///< copies the result into `out`, for ways that leave it elsewhere; not timed
};

using Ways = std::vector<Way>;

/// Each lives in an object file of its own, with its own flags. Empty where the peer has no such function.
template <class Scalar>
Ways xent_ways(const Problem<Scalar>&);
template <class Scalar>
Ways xent_option_ways(const Problem<Scalar>&);  // the plain loss, then one way for each option
template <class Scalar>
Ways eigen_ways(const Problem<Scalar>&);
template <class Scalar>
Ways eigen_native_ways(const Problem<Scalar>&);
template <class Scalar>
Ways torch_ways(const Problem<Scalar>&);
template <class Scalar>
Ways onednn_ways(const Problem<Scalar>&);

/// What the machine allows: the same bytes moved and nothing else done, the same number of exponentials and nothing else.
template <class Scalar>
Ways limit_ways(const Problem<Scalar>&);

std::string torch_version();
std::string onednn_version();

}  // namespace bench
