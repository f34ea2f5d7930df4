// SPDX-License-Identifier: MIT
// At -O3 compilers see more, and warn of more. A softmax of wide rows of doubles was such a case.
#include <xent/log_softmax.hpp>
#include <xent/logsumexp.hpp>
#include <xent/softmax.hpp>
#include <xent/softmax_cross_entropy.hpp>

#include <Eigen/Core>

template <class Scalar>
struct Calls {
  using Rows = Eigen::Array<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

  Scalar all(Rows& x, const Eigen::ArrayXi& labels) const {
    xent::log_softmax(x, x);
    x.col(0) = xent::logsumexp(x);
    xent::softmax(x, x);
    return xent::softmax_cross_entropy_with_gradient(x, labels, x);
  }
};

template struct Calls<float>;
template struct Calls<double>;
