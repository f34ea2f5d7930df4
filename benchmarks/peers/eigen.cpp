// SPDX-License-Identifier: MIT
// What a competent user of Eigen writes: the maximum, exp, sum, log; the gradient is softmax - onehot over N. Once as
// expressions over whole matrices, once row by row. Compiled twice: with xent's flags, and with -O3 -march=native, there
// with Eigen under another name, so that no function of the one can be linked into the other.
#include "eigen_views.hpp"
#include "peer.hpp"

#include <cmath>

#ifndef PEER
#define PEER eigen
#define WAYS eigen_ways
#endif
#define TEXT_(name) #name
#define TEXT(name) TEXT_(name)

namespace bench {

namespace {

// --- whole matrices ----------------------------------------------------------------------------------------------------

/// log sum_k exp(z_k) of every row.
template <class View>
typename View::Column whole_logsumexp(const View& v) {
  const typename View::Column max = v.logits.rowwise().maxCoeff();
  return max + (v.logits.colwise() - max).exp().rowwise().sum().log();
}

/// Writes the softmax times `factor`, returns the logsumexp.
template <class View, class Scalar>
typename View::Column whole_softmax(View& v, Scalar factor) {
  const typename View::Column max = v.logits.rowwise().maxCoeff();
  v.out = (v.logits.colwise() - max).exp();
  const typename View::Column sum = v.out.rowwise().sum();
  v.out.colwise() *= factor / sum;
  return max + sum.log();
}

template <class View>
typename View::Column logits_at_labels(const View& v) {
  typename View::Column at(v.labels.size());
  for (Index i = 0; i < at.size(); ++i) at[i] = v.logits(i, v.labels[i]);
  return at;
}

template <class View>
double whole_labels(View& v, bool gradient) {
  using Scalar = typename View::Array::Scalar;
  const typename View::Column at = logits_at_labels(v);  // first: the gradient may overwrite the logits
  if (!gradient) return (whole_logsumexp(v) - at).template cast<double>().mean();
  const Scalar share = Scalar(1) / Scalar(v.logits.rows());
  const typename View::Column logsumexp = whole_softmax(v, share);
  for (Index i = 0; i < at.size(); ++i) v.out(i, v.labels[i]) -= share;
  return (logsumexp - at).template cast<double>().mean();
}

template <class View>
double whole_targets(View& v, bool gradient) {
  using Scalar = typename View::Array::Scalar;
  const typename View::Column mean = (v.logits * v.targets).rowwise().sum();
  if (!gradient) return (whole_logsumexp(v) - mean).template cast<double>().mean();
  const Scalar share = Scalar(1) / Scalar(v.logits.rows());
  const typename View::Column logsumexp = whole_softmax(v, share);
  v.out -= share * v.targets;
  return (logsumexp - mean).template cast<double>().mean();
}

template <class View>
double whole_function(View& v, Function function) {
  switch (function) {
    case Function::softmax:
      whole_softmax(v, typename View::Array::Scalar(1));
      break;
    case Function::log_softmax:
      v.out = v.logits.colwise() - whole_logsumexp(v);
      break;
    default:
      v.out_column = whole_logsumexp(v);
  }
  return 0;
}

// --- row by row --------------------------------------------------------------------------------------------------------

template <class Row>
auto row_logsumexp(const Row& row) {
  const auto max = row.maxCoeff();
  return max + std::log((row - max).exp().sum());
}

template <class Row, class Out, class Scalar>
Scalar row_softmax(const Row& row, Out&& out, Scalar factor) {
  const Scalar max = row.maxCoeff();
  out = (row - max).exp();
  const Scalar sum = out.sum();
  out *= factor / sum;
  return max + std::log(sum);
}

template <class View>
double rows_labels(View& v, bool gradient) {
  using Scalar = typename View::Array::Scalar;
  const Index rows = v.logits.rows();
  const Scalar share = Scalar(1) / Scalar(rows);
  double loss = 0;
  for (Index i = 0; i < rows; ++i) {
    const Index label = v.labels[i];
    const Scalar at = v.logits(i, label);
    loss += gradient ? row_softmax(v.logits.row(i), v.out.row(i), share) - at : row_logsumexp(v.logits.row(i)) - at;
    if (gradient) v.out(i, label) -= share;
  }
  return loss / double(rows);
}

template <class View>
double rows_targets(View& v, bool gradient) {
  using Scalar = typename View::Array::Scalar;
  const Index rows = v.logits.rows();
  const Scalar share = Scalar(1) / Scalar(rows);
  double loss = 0;
  for (Index i = 0; i < rows; ++i) {
    const Scalar mean = (v.logits.row(i) * v.targets.row(i)).sum();
    loss += gradient ? row_softmax(v.logits.row(i), v.out.row(i), share) - mean : row_logsumexp(v.logits.row(i)) - mean;
    if (gradient) v.out.row(i) -= share * v.targets.row(i);
  }
  return loss / double(rows);
}

template <class View>
double rows_function(View& v, Function function) {
  using Scalar = typename View::Array::Scalar;
  for (Index i = 0; i < v.logits.rows(); ++i) {
    switch (function) {
      case Function::softmax:
        row_softmax(v.logits.row(i), v.out.row(i), Scalar(1));
        break;
      case Function::log_softmax:
        v.out.row(i) = v.logits.row(i) - row_logsumexp(v.logits.row(i));
        break;
      default:
        v.out_column[i] = row_logsumexp(v.logits.row(i));
    }
  }
  return 0;
}

// --- element by element ------------------------------------------------------------------------------------------------

template <class View>
double binary(View& v, bool gradient) {
  using Scalar = typename View::Array::Scalar;
  const auto& z = v.logits;
  const auto loss = z.max(Scalar(0)) - z * v.targets + (-z.abs()).exp().log1p();
  const double mean = double(loss.mean());
  if (gradient) v.out = ((Scalar(1) + (-z).exp()).inverse() - v.targets) / Scalar(z.size());
  return mean;
}

// --- all of them -------------------------------------------------------------------------------------------------------

template <class View, class Scalar>
double whole(View& v, const Problem<Scalar>& p) {
  if (p.function == Function::binary) return binary(v, p.gradient);
  if (p.function != Function::cross_entropy) return whole_function(v, p.function);
  return p.labels != nullptr ? whole_labels(v, p.gradient) : whole_targets(v, p.gradient);
}

template <class View, class Scalar>
double by_rows(View& v, const Problem<Scalar>& p) {
  if (p.function != Function::cross_entropy) return rows_function(v, p.function);
  return p.labels != nullptr ? rows_labels(v, p.gradient) : rows_targets(v, p.gradient);
}

template <int Order, class Scalar>
Ways ways(const Problem<Scalar>& problem) {
  View<Scalar, Order> view(problem);
  Ways all{{TEXT(PEER) ":whole", [=]() mutable { return whole(view, problem); }}};
  // Nobody walks along the rows of a column-major matrix.
  if (Order == Eigen::RowMajor && problem.function != Function::binary) {
    all.push_back({TEXT(PEER) ":rows", [=]() mutable { return by_rows(view, problem); }});
  }
  return all;
}

}  // namespace

template <class Scalar>
Ways WAYS(const Problem<Scalar>& problem) {
  return problem.columns ? ways<Eigen::ColMajor>(problem) : ways<Eigen::RowMajor>(problem);
}

template Ways WAYS(const Problem<float>&);
template Ways WAYS(const Problem<double>&);

}  // namespace bench
