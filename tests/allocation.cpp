// SPDX-License-Identifier: MIT
// No heap in steady state: with options made before and a gradient that has its shape, a call allocates nothing.
//
// The C library's malloc is replaced by one that counts, so that Eigen's allocations and operator new's are seen alike.
#include "support/generators.hpp"

#include <xent/focal_loss.hpp>
#include <xent/nll_loss.hpp>
#include <xent/sigmoid_cross_entropy.hpp>
#include <xent/softmax.hpp>
#include <xent/softmax_cross_entropy.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <tuple>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define XENT_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define XENT_TEST_SANITIZED 1
#endif
#endif

#if defined(__GLIBC__) && !defined(XENT_TEST_SANITIZED)

namespace {
std::atomic<long> allocations = 0;
}

extern "C" {
void* __libc_malloc(std::size_t size);                           // NOLINT: glibc's own names
void* __libc_memalign(std::size_t alignment, std::size_t size);  // NOLINT
void* malloc(std::size_t size) noexcept {
  ++allocations;
  return __libc_malloc(size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  ++allocations;
  return __libc_memalign(alignment, size);
}
}

using namespace support;
using xent::Reduction;
using Reals32And64 = std::tuple<float, double>;

namespace {

template <class Call>
long allocations_of(Call call) {
  call();  // the first call may size what it is given
  long const before = allocations;
  call();
  return allocations - before;
}

template <class Logits>
void check_nothing_allocated(Random& random, Index rows, Index cols) {
  using Scalar = typename Logits::Scalar;
  INFO(rows << " x " << cols);
  Logits const logits = normal_rows<Scalar>(random, rows, cols, 3);
  Labels const labels = random_labels(random, rows, cols);
  Logits const targets = uniform_rows<Scalar>(random, rows, cols, 0, 1);
  Logits gradient(rows, cols);
  xent::SoftmaxCrossEntropyOptions<Scalar> options;
  options.ignore_index = 1;
  options.label_smoothing = Scalar(0.1);
  options.class_weights = positive_weights<Scalar>(random, cols);
  options.sample_weights = positive_weights<Scalar>(random, rows);
  options.z_loss = Scalar(1e-4);
  xent::SoftmaxFocalLossOptions<Scalar> const focal;
  xent::SigmoidCrossEntropyOptions<Scalar> const sigmoid;
  Scalar loss = 0;
  CHECK(allocations_of([&] { loss += xent::softmax_cross_entropy(logits, labels); }) == 0);
  CHECK(allocations_of([&] { loss += xent::softmax_cross_entropy_with_gradient(logits, labels, gradient); }) == 0);
  CHECK(allocations_of([&] { loss += xent::softmax_cross_entropy_with_gradient(logits, labels, gradient, options); }) ==
        0);
  CHECK(allocations_of(
            [&] { loss += xent::softmax_cross_entropy_with_gradient(logits, targets, gradient, options); }) == 0);
  CHECK(allocations_of([&] { loss += xent::softmax_focal_loss_with_gradient(logits, labels, gradient, focal); }) == 0);
  CHECK(allocations_of(
            [&] { loss += xent::sigmoid_cross_entropy_with_gradient(logits, targets, gradient, sigmoid); }) == 0);
  CHECK(allocations_of([&] { loss += xent::nll_loss_with_gradient(logits, labels, gradient); }) == 0);
  CHECK(allocations_of([&] { xent::softmax(logits, gradient); }) == 0);
  CHECK(loss != 0);
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("losses and gradients allocate nothing in steady state", "[allocation]", Reals32And64) {
  Random random;
  for (auto const& [rows, cols] : {std::pair<Index, Index>{64, 10}, {300, 1000}, {3, 50257}, {20000, 3}, {1, 2}}) {
    check_nothing_allocated<Rows<TestType>>(random, rows, cols);
    check_nothing_allocated<Cols<TestType>>(random, rows, cols);
  }
}

TEST_CASE("the count sees Eigen's allocations and the library's own results", "[allocation]") {
  Eigen::ArrayXXf const logits = Eigen::ArrayXXf::Random(10, 10);
  CHECK(allocations_of([&] { Eigen::ArrayXXf const copy = logits; }) > 0);
  CHECK(allocations_of([&] { (void)xent::softmax(logits); }) > 0);
}

#else

TEST_CASE("nothing is counted here: this C library, or a sanitizer, keeps its own malloc", "[allocation]") {
  SUCCEED();
}

#endif
