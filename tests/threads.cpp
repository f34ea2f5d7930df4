// SPDX-License-Identifier: MIT
// Threads never change a bit: neither OpenMP's inside a call, however many, nor the caller's own around it.
#include "support/generators.hpp"
#include "support/ulp.hpp"

#include <xent/focal_loss.hpp>
#include <xent/log_softmax.hpp>
#include <xent/sigmoid_cross_entropy.hpp>
#include <xent/softmax_cross_entropy.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <thread>
#include <tuple>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

using namespace support;
using xent::Reduction;
using Reals32And64 = std::tuple<float, double>;

namespace {

/// Everything that one batch can be asked for.
template <class Logits>
struct Results {
  using Scalar = typename Logits::Scalar;
  Scalar sum, mean, soft, binary, focal, cancelled;
  Vector<Scalar> rows;
  Logits gradient, soft_gradient, binary_gradient, log_probs;

  Results(Logits const& logits, Labels const& labels, Logits const& targets) {
    sum = xent::softmax_cross_entropy<Reduction::sum>(logits, labels);
    mean = xent::softmax_cross_entropy_with_gradient(logits, labels, gradient);
    rows = xent::softmax_cross_entropy<Reduction::none>(logits, labels);
    soft = xent::softmax_cross_entropy_with_gradient(logits, targets, soft_gradient);
    binary = xent::sigmoid_cross_entropy_with_gradient(logits, targets, binary_gradient);
    focal = xent::softmax_focal_loss(logits, labels);
    log_probs = xent::log_softmax(logits);
    cancelled = sum_of_opposites(logits, labels);
  }

  /// Of rows that come twice, with opposite weights: nothing is left but what additions lose, and their order decides that.
  static Scalar sum_of_opposites(Logits const& logits, Labels const& labels) {
    Index const half = logits.rows() / 2;
    Logits twice(2 * half, logits.cols());
    twice << logits.topRows(half), logits.topRows(half);
    Labels twice_labels(2 * half);
    twice_labels << labels.head(half), labels.head(half);
    Vector<Scalar> const weights = Vector<Scalar>::LinSpaced(half, Scalar(1), Scalar(1.7));
    Vector<Scalar> opposites(2 * half);
    opposites << weights, -weights;
    return xent::softmax_cross_entropy<Reduction::sum>(twice, twice_labels, {.sample_weights = opposites}) +
           xent::softmax_cross_entropy<Reduction::sum>(twice, Logits(Logits::Constant(2 * half, logits.cols(), 1)),
                                                       {.sample_weights = opposites});
  }

  bool same_bits(Results const& other) const {
    return identical(sum, other.sum) && identical(mean, other.mean) && identical(soft, other.soft) &&
           identical(binary, other.binary) && identical(focal, other.focal) && identical(cancelled, other.cancelled) &&
           identical(rows, other.rows) && identical(gradient, other.gradient) &&
           identical(soft_gradient, other.soft_gradient) && identical(binary_gradient, other.binary_gradient) &&
           identical(log_probs, other.log_probs);
  }
};

template <class Logits>
struct Batch {
  Logits logits;
  Labels labels;
  Logits targets;

  Batch(Random& random, Index rows, Index cols)
      : logits(normal_rows<typename Logits::Scalar>(random, rows, cols, 3)),
        labels(random_labels(random, rows, cols)),
        targets(distributions<typename Logits::Scalar>(random, rows, cols)) {}
  Results<Logits> results() const { return {logits, labels, targets}; }
};

#ifdef _OPENMP
template <class Logits>
void check_thread_counts(Random& random, Index rows, Index cols) {
  Batch<Logits> const batch(random, rows, cols);
  int const before = omp_get_max_threads();
  omp_set_num_threads(1);
  Results<Logits> const expected = batch.results();
  for (int threads : {2, 3, 7}) {
    INFO(threads << " threads, " << rows << " x " << cols);
    omp_set_num_threads(threads);
    CHECK(batch.results().same_bits(expected));
  }
  omp_set_num_threads(before);
}
#endif

}  // namespace

#ifdef _OPENMP
TEMPLATE_LIST_TEST_CASE("any number of OpenMP threads gives the same bits", "[threads]", Reals32And64) {
  Random random;
  for (auto const& [rows, cols] :
       {std::pair<Index, Index>{5000, 10}, {300, 257}, {1300, 260}, {3, 30000}, {1, 40000}, {65, 1000}, {200, 700}}) {
    check_thread_counts<Rows<TestType>>(random, rows, cols);
    check_thread_counts<Cols<TestType>>(random, rows, cols);
  }
}
#endif

TEMPLATE_LIST_TEST_CASE("many threads may call at once", "[threads]", Reals32And64) {
  Random random;
  Batch<Rows<TestType>> const by_rows(random, 400, 60);
  Batch<Cols<TestType>> const by_columns(random, 400, 60);
  auto const expected_rows = by_rows.results();
  auto const expected_columns = by_columns.results();
  std::atomic<int> differences = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      for (int round = 0; round < 3; ++round) {
        if (!by_rows.results().same_bits(expected_rows)) ++differences;
        if (!by_columns.results().same_bits(expected_columns)) ++differences;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(differences == 0);
}

TEMPLATE_LIST_TEST_CASE("a run repeated gives the same bits, wherever the memory lies", "[threads]", Reals32And64) {
  Random random;
  Rows<TestType> const logits = normal_rows<TestType>(random, 100, 37, 3);
  Labels const labels = random_labels(random, 100, 37);
  Rows<TestType> expected;
  TestType const loss = xent::softmax_cross_entropy_with_gradient(logits, labels, expected);
  std::vector<TestType> memory(100 * 37 + 16);
  for (std::ptrdiff_t shift = 0; shift < 16; ++shift) {
    Eigen::Map<Rows<TestType>> moved(memory.data() + shift, 100, 37);
    moved = logits;
    CHECK(identical(xent::softmax_cross_entropy(moved, labels), loss));
    xent::softmax_cross_entropy_with_gradient(moved, labels, moved);
    CHECK(identical(moved, expected));
  }
}
