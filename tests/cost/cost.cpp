// SPDX-License-Identifier: MIT
// Runs one case so many times and prints how many logits one time takes. See cost.sh.
//
//     cost rows-gradient 3
#include <xent/focal_loss.hpp>
#include <xent/sigmoid_cross_entropy.hpp>
#include <xent/softmax.hpp>
#include <xent/softmax_cross_entropy.hpp>

#include <Eigen/Core>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

using Eigen::Dynamic;
using Eigen::Index;
template <class Scalar>
using Rows = Eigen::Array<Scalar, Dynamic, Dynamic, Eigen::RowMajor>;
using Columns = Eigen::ArrayXXf;

/// Seen by nobody, but a compiler has to believe that the results are wanted.
volatile float sink = 0;

/// Spread evenly over [middle - radius, middle + radius), in an order that looks random and is the same everywhere.
template <class Array>
Array numbers(Index rows, Index cols, float middle, float radius) {
  Array result(rows, cols);
  for (Index i = 0; i < result.size(); ++i) {
    const auto scattered = static_cast<std::int32_t>(static_cast<std::uint32_t>(i) * 2654435769U);
    result.data()[i] = static_cast<typename Array::Scalar>(middle + radius * (static_cast<float>(scattered) / 0x1p31F));
  }
  return result;
}

template <class Array>
Array some_logits(Index rows, Index cols) {
  return numbers<Array>(rows, cols, 0, 8);
}

template <class Logits>
Eigen::ArrayXi some_labels(const Logits& logits) {
  Eigen::ArrayXi labels(logits.rows());
  for (Index i = 0; i < labels.size(); ++i) labels[i] = static_cast<int>(7 * i % logits.cols());
  return labels;
}

struct Run {
  bool with_gradient;
  int repetitions;

  template <class Logits, class Truth>
  Index cross_entropy(const Logits& logits, const Truth& truth, double smoothing = 0) const {
    typename Logits::PlainObject gradient(logits.rows(), logits.cols());
    xent::SoftmaxCrossEntropyOptions<xent::ResultScalar<Logits>> options;
    options.label_smoothing = static_cast<xent::ResultScalar<Logits>>(smoothing);
    for (int i = 0; i < repetitions; ++i) {
      sink =
          static_cast<float>(with_gradient ? xent::softmax_cross_entropy_with_gradient(logits, truth, gradient, options)
                                           : xent::softmax_cross_entropy(logits, truth, options));
    }
    return logits.size();
  }
  template <class Logits>
  Index cross_entropy(const Logits& logits, double smoothing = 0) const {
    return cross_entropy(logits, some_labels(logits), smoothing);
  }

  template <class Logits>
  Index focal(const Logits& logits) const {
    const Eigen::ArrayXi labels = some_labels(logits);
    Logits gradient(logits.rows(), logits.cols());
    for (int i = 0; i < repetitions; ++i) {
      sink = with_gradient ? xent::softmax_focal_loss_with_gradient(logits, labels, gradient)
                           : xent::softmax_focal_loss(logits, labels);
    }
    return logits.size();
  }

  template <class Logits>
  Index binary(const Logits& logits) const {
    const auto targets = numbers<Logits>(logits.rows(), logits.cols(), 0.5F, 0.5F);
    Logits gradient(logits.rows(), logits.cols());
    for (int i = 0; i < repetitions; ++i) {
      sink = with_gradient ? xent::sigmoid_cross_entropy_with_gradient(logits, targets, gradient)
                           : xent::sigmoid_cross_entropy(logits, targets);
    }
    return logits.size();
  }

  template <class Logits>
  Index softmax(const Logits& logits) const {
    Logits probabilities(logits.rows(), logits.cols());
    for (int i = 0; i < repetitions; ++i) {
      xent::softmax(logits, probabilities);
      sink = probabilities(0, 0);
    }
    return logits.size();
  }

  /// The logits that a repetition takes, 0 if there is no such case.
  Index operator()(std::string_view logits) const {
    if (logits == "rows") return cross_entropy(some_logits<Rows<float>>(64, 1000));
    if (logits == "running") return cross_entropy(some_logits<Rows<float>>(16, 5000));
    if (logits == "tiles") return cross_entropy(some_logits<Rows<float>>(4096, 10));
    if (logits == "columns") return cross_entropy(some_logits<Columns>(1024, 100));
    if (logits == "wide") return cross_entropy(some_logits<Columns>(256, 1000));
    if (logits == "packed") {
      using Stride = Eigen::Stride<Dynamic, 2>;
      const auto memory = some_logits<Rows<float>>(64, 2000);
      return cross_entropy(Eigen::Map<const Rows<float>, 0, Stride>(memory.data(), 64, 1000, Stride(2000, 2)));
    }
    if (logits == "targets") {
      return cross_entropy(some_logits<Rows<float>>(64, 1000), numbers<Rows<float>>(64, 1000, 1e-3F, 1e-3F));
    }
    if (logits == "smoothed") return cross_entropy(some_logits<Rows<float>>(4096, 10), 0.1);
    if (logits == "doubles") return cross_entropy(some_logits<Rows<double>>(4096, 10));
    if (logits == "focal") return focal(some_logits<Rows<float>>(64, 1000));
    if (logits == "half") return cross_entropy(some_logits<Rows<Eigen::half>>(256, 300));
    if (logits == "elements") return binary(some_logits<Rows<float>>(100, 1000));
    if (logits == "softmax") return softmax(some_logits<Rows<float>>(64, 1000));
    if (logits == "softmax_tiles") return softmax(some_logits<Rows<float>>(4096, 10));
    return 0;
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string_view name = argv[1];
  const std::size_t dash = name.find('-');
  const bool with_gradient = dash != name.npos && name.substr(dash) == "-gradient";
  const Index logits = Run{with_gradient, std::atoi(argv[2])}(name.substr(0, dash));
  std::printf("%td logits\n", logits);
  return logits == 0 ? 2 : 0;
}
