// SPDX-License-Identifier: MIT
// The promise of 4 ulp, category by category. With XENT_ACCURACY_TABLE=1 in the environment the run prints the worst
// errors as a Markdown table.
//
// Soft and smoothed gradients a p_k - b_k are differences: they are judged against |a p_k| + |b_k|, logsumexp against
// max(|result|, max |z|). Everything else is judged against itself.
#include "support/generators.hpp"
#include "support/oracle.hpp"
#include "support/setup.hpp"
#include "support/ulp.hpp"

#include <xent/focal_loss.hpp>
#include <xent/log_softmax.hpp>
#include <xent/logsumexp.hpp>
#include <xent/sigmoid_cross_entropy.hpp>
#include <xent/softmax.hpp>
#include <xent/softmax_cross_entropy.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <tuple>

using namespace support;
using xent::Reduction;
using Reals32And64 = std::tuple<float, double>;

namespace {

struct Line {
  Worst loss;
  Worst gradient;
  Worst softmax;
  Worst log_softmax;
  Worst logsumexp;
  bool whole_family = false;
};

template <class Scalar>
class Table {
 public:
  Table() {
    if (printing())
      std::printf(
          "\n| %s | loss | gradient | softmax | log_softmax | logsumexp | below normal "
          "|\n|---|---|---|---|---|---|---|\n",
          name());
  }

  /// Prints the line and holds it to the promise.
  void add(std::string const& category, Line const& line, long double below_normal = 1) {
    INFO(name() << ", " << category);
    Worst all = line.loss;
    for (Worst const& worst : {line.gradient, line.softmax, line.log_softmax, line.logsumexp}) all.add(worst);
    CHECK_FALSE(!(line.loss.ulp <= 4));
    CHECK_FALSE(!(line.gradient.ulp <= 4));
    CHECK_FALSE(!(line.softmax.ulp <= 4));
    CHECK_FALSE(!(line.log_softmax.ulp <= 4));
    CHECK_FALSE(!(line.logsumexp.ulp <= 4));
    CHECK_FALSE(!(all.below_normal <= below_normal));
    if (!printing()) return;
    auto const number = [](Worst const& worst) { return static_cast<double>(worst.ulp); };
    std::printf("| %s | %.2f | %.2f |", category.c_str(), number(line.loss), number(line.gradient));
    if (line.whole_family)
      std::printf(" %.2f | %.2f | %.2f |", number(line.softmax), number(line.log_softmax), number(line.logsumexp));
    else
      std::printf(" | | |");
    std::printf(" %.1g |\n", static_cast<double>(all.below_normal));
  }

 private:
  static bool printing() { return std::getenv("XENT_ACCURACY_TABLE") != nullptr; }
  static char const* name() { return std::is_same_v<Scalar, float> ? "float" : "double"; }
};

template <class Result>
Worst errors(Result const& got, Exacts const& exact) {
  return worst(grid(got), exact, format_of<typename ScalarOf<Result>::type>());
}

/// Labels, no options: loss, gradient and the functions underneath, of both storage orders.
template <class Logits>
void measure(Line& line, Logits const& logits, Labels const& labels) {
  oracle::Loss const exact = oracle::softmax_cross_entropy(grid(logits), indices(labels));
  auto const found = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, labels);
  line.loss.add(errors(found.loss, exact.none));
  line.gradient.add(errors(found.gradient, exact.gradient));
  line.softmax.add(errors(xent::softmax(logits), oracle::softmax(grid(logits))));
  line.log_softmax.add(errors(xent::log_softmax(logits), oracle::log_softmax(grid(logits))));
  line.logsumexp.add(errors(xent::logsumexp(logits), oracle::logsumexp(grid(logits))));
  line.whole_family = true;
}

template <class Scalar>
void measure_orders(Line& line, Rows<Scalar> const& logits, Labels const& labels) {
  measure(line, logits, labels);
  measure(line, Cols<Scalar>(logits), labels);
}

template <class Scalar, class Target>
void measure_options(Line& line, Rows<Scalar> const& logits, Target const& target, Setup<Scalar> const& setup) {
  oracle::Loss exact;
  if constexpr (std::is_same_v<Target, Labels>)
    exact = oracle::softmax_cross_entropy(grid(logits), indices(target), setup.exact());
  else
    exact = oracle::softmax_cross_entropy(grid(logits), grid(target), setup.exact());
  auto const none = xent::softmax_cross_entropy_with_gradient<Reduction::none>(logits, target, setup.softmax());
  auto const mean = xent::softmax_cross_entropy_with_gradient(Cols<Scalar>(logits), target, setup.softmax());
  line.loss.add(errors(none.loss, exact.none));
  line.gradient.add(errors(none.gradient, exact.gradient));
  line.loss.add(errors(mean.loss, Exacts{exact.mean}));
  line.gradient.add(errors(mean.gradient, exact.mean_gradient));
}

template <class Scalar>
void measure_binary(Line& line, Rows<Scalar> const& logits, Rows<Scalar> const& targets, Setup<Scalar> const& setup) {
  oracle::Loss const exact = oracle::sigmoid_cross_entropy(grid(logits), grid(targets), setup.exact());
  auto const none = xent::sigmoid_cross_entropy_with_gradient<Reduction::none>(logits, targets, setup.sigmoid());
  auto const mean = xent::sigmoid_cross_entropy_with_gradient(logits, targets, setup.sigmoid());
  line.loss.add(errors(none.loss, exact.none));
  line.gradient.add(errors(none.gradient, exact.gradient));
  line.loss.add(errors(mean.loss, Exacts{exact.mean}));
  line.gradient.add(errors(mean.gradient, exact.mean_gradient));
}

template <class Scalar>
constexpr double fading = std::is_same_v<Scalar, float> ? 87.3 : 708.3;  // exp of minus this is the smallest normal

constexpr Index few_classes[] = {2, 3, 10};

}  // namespace

TEMPLATE_LIST_TEST_CASE("labels: every category is within 4 ulp", "[accuracy]", Reals32And64) {
  Random random;
  Table<TestType> table;
  TestType const inf = infinity<TestType>();
  TestType const big = std::numeric_limits<TestType>::max();

  for (double scale : {1e-3, 1.0, 10.0, 100.0, 1e4}) {
    Line line;
    for (Index cols : few_classes)
      measure_orders(line, normal_rows<TestType>(random, 60, cols, scale), random_labels(random, 60, cols));
    measure_orders(line, normal_rows<TestType>(random, 1, 1000, scale), random_labels(random, 1, 1000));
    char text[40];
    std::snprintf(text, sizeof text, "random, scale %g", scale);
    table.add(text, line);
  }

  Line ties;
  for (Index cols : few_classes) {
    Rows<TestType> logits = normal_rows<TestType>(random, 40, cols, 1);
    for (Index i = 0; i < 40; ++i)  // neighbouring numbers
      logits(i, 1) = std::nextafter(logits(i, 0), random.chance(0.5) ? inf : -inf);
    measure_orders(ties, logits, random_labels(random, 40, cols));
  }
  table.add("near-ties", ties);

  Line dominant;
  Line hopeless;
  for (Index cols : {2, 3, 10, 1000}) {
    Index const rows = cols > 100 ? 8 : 60;
    Rows<TestType> logits = normal_rows<TestType>(random, rows, cols, 1);
    Labels labels = random_labels(random, rows, cols);
    for (Index i = 0; i < rows; ++i)
      logits(i, labels(i)) = static_cast<TestType>(random.uniform(3, fading<TestType> - 1));
    measure_orders(dominant, logits, labels);
    labels = labels.unaryExpr([&](Index y) { return (y + 1) % cols; });
    measure_orders(hopeless, logits, labels);
  }
  table.add("dominant target, losses down to the smallest normal", dominant);
  table.add("hopeless target", hopeless);

  Line offsets;
  for (double exponent : {3.0, 7.0, 20.0, 38.0, 100.0, 308.0}) {
    double const offset = std::pow(10.0, exponent) * 0.99;
    if (!(offset < static_cast<double>(big))) continue;
    for (double sign : {1.0, -1.0}) {
      Rows<TestType> const logits =
          (normal_rows<TestType>(random, 20, 5, 3).template cast<double>() + sign * offset).template cast<TestType>();
      measure_orders(offsets, logits, random_labels(random, 20, 5));
    }
  }
  table.add("common offsets to the largest numbers", offsets);

  Line subnormal;
  for (Index cols : few_classes)
    measure_orders<TestType>(subnormal,
                             normal_rows<TestType>(random, 20, cols, 1) * std::numeric_limits<TestType>::min(),
                             random_labels(random, 20, cols));
  table.add("subnormal logits", subnormal);

  Line fading_out;
  for (Index cols : few_classes) {
    Rows<TestType> logits = normal_rows<TestType>(random, 40, cols, 1);
    Labels const labels = random_labels(random, 40, cols);
    for (Index i = 0; i < 40; ++i)
      logits(i, labels(i)) = static_cast<TestType>(fading<TestType> + random.uniform(-2, 20));
    measure_orders(fading_out, logits, labels);
  }
  table.add("losses below the smallest normal", fading_out);

  Line masked;
  for (Index cols : few_classes) {
    Rows<TestType> logits = normal_rows<TestType>(random, 40, cols, 5);
    Labels const labels = random_labels(random, 40, cols);
    for (Index i = 0; i < 40; ++i)
      for (Index k = 0; k < cols; ++k)
        if (k != labels(i) && random.chance(0.5)) logits(i, k) = -inf;
    measure_orders(masked, logits, labels);
  }
  table.add("-inf masks", masked);

  Line extreme;
  for (Index cols : few_classes) {
    Rows<TestType> logits = Rows<TestType>::Constant(6, cols, big);
    logits.row(1) *= -1;
    logits(2, 0) = -big;
    logits.row(3).setZero();
    logits(3, 1) = big;
    logits.row(4).setConstant(big / 2);
    logits(4, 0) = -big / 2;
    logits(5, 1) = 0;
    measure_orders(extreme, logits, random_labels(random, 6, cols));
  }
  table.add("largest numbers of either sign", extreme);

  Line equal;
  for (Index cols : {1, 2, 3, 10, 1000})
    for (double value : {0.0, 0.1, -50.0, 1e4})
      measure_orders(equal, Rows<TestType>(Rows<TestType>::Constant(2, cols, static_cast<TestType>(value))),
                     random_labels(random, 2, cols));
  table.add("all equal, one class too", equal);

  Line vocabulary;
  Rows<TestType> wide = normal_rows<TestType>(random, 2, 50257, 3);
  Labels words = random_labels(random, 2, 50257);
  wide(1, words(1)) = 40;
  measure_orders(vocabulary, wide, words);
  table.add("50257 classes", vocabulary);
}

TEMPLATE_LIST_TEST_CASE("options: every category is within 4 ulp", "[accuracy]", Reals32And64) {
  Random random;
  Table<TestType> table;
  Line soft;
  Line smoothed;
  Line weighted;
  Line z_loss;
  for (Index cols : {2, 3, 10, 300})
    for (double scale : {0.1, 3.0, 40.0}) {
      Index const rows = cols > 100 ? 2 : 20;
      Rows<TestType> const logits = normal_rows<TestType>(random, rows, cols, scale);
      Labels const labels = random_labels(random, rows, cols);
      measure_options(soft, logits, distributions<TestType>(random, rows, cols, 2, 0.2), Setup<TestType>{});
      Setup<TestType> setup;
      setup.label_smoothing = TestType(0.1);
      measure_options(smoothed, logits, labels, setup);
      setup = {};
      setup.class_weights = positive_weights<TestType>(random, cols);
      setup.sample_weights = positive_weights<TestType>(random, rows);
      measure_options(weighted, logits, labels, setup);
      setup = {};
      setup.z_loss = TestType(1e-3);
      measure_options(z_loss, logits, labels, setup);
    }
  table.add("soft targets", soft);
  table.add("smoothed labels", smoothed);
  table.add("weighted labels", weighted, 16);  // a factor on a subnormal leaves as many smallest normals
  table.add("z-loss", z_loss);

  Line focal;
  Line binary;
  Line weighted_binary;
  for (double scale : {0.1, 3.0, 15.0, 40.0}) {
    Rows<TestType> const logits = normal_rows<TestType>(random, 400, 7, scale);
    Labels labels = random_labels(random, 400, 7);
    // Right and confident: the tail is one exponential, whose error the power multiplies.
    for (Index i = 0; i < 400; i += 2) logits.row(i).maxCoeff(&labels(i));
    for (TestType gamma : {TestType(0.5), TestType(1), TestType(2), TestType(3), TestType(5)}) {
      Setup<TestType> setup;
      setup.gamma = gamma;
      oracle::Loss const exact = oracle::softmax_focal_loss(grid(logits), indices(labels), setup.exact());
      auto const found = xent::softmax_focal_loss_with_gradient<Reduction::none>(logits, labels, setup.focal());
      focal.loss.add(errors(found.loss, exact.none));
      focal.gradient.add(errors(found.gradient, exact.gradient));
    }
    for (Rows<TestType> const& targets :
         {uniform_rows<TestType>(random, 400, 7, 0, 1), integer_rows<TestType>(random, 400, 7, 0, 1)}) {
      measure_binary(binary, logits, targets, Setup<TestType>{});
      Setup<TestType> setup;
      setup.label_smoothing = TestType(0.1);
      measure_binary(weighted_binary, logits, targets, setup);
      setup.pos_weights = positive_weights<TestType>(random, 7);
      setup.class_weights = positive_weights<TestType>(random, 7);
      setup.sample_weights = positive_weights<TestType>(random, 400);
      measure_binary(weighted_binary, logits, targets, setup);
    }
  }
  table.add("focal, gamma up to 5", focal);
  CHECK_FALSE(!(focal.loss.ulp <= 3));  // well below 4: the error of the tail has not been multiplied
  table.add("binary", binary);
  table.add("binary, smoothed and weighted", weighted_binary, 16);

  Line many;
  Rows<TestType> const logits = normal_rows<TestType>(random, 4000, 3, 2);
  Labels const labels = random_labels(random, 4000, 3);
  Setup<TestType> setup;
  measure_options(many, logits, labels, setup);
  setup.class_weights = positive_weights<TestType>(random, 3);
  measure_options(many, logits, labels, setup);
  oracle::Loss const exact = oracle::softmax_cross_entropy(grid(logits), indices(labels));
  many.loss.add(errors(xent::softmax_cross_entropy<Reduction::sum>(logits, labels), Exacts{exact.sum}));
  table.add("sums and means of 4000 rows", many);
}

TEMPLATE_LIST_TEST_CASE("the measure sees a naive implementation fail", "[accuracy]", Reals32And64) {
  // log(sum of exp) minus the logit, as everyone writes it first: harmless at small margins, worthless at large ones.
  auto const naive = [](Rows<TestType> const& logits) {
    TestType const max = logits.row(0).maxCoeff();
    TestType sum = 0;
    for (Index k = 0; k < logits.cols(); ++k) sum += std::exp(logits(0, k) - max);
    return (max + std::log(sum)) - logits(0, 0);
  };
  Format const format = format_of<TestType>();
  Rows<TestType> logits = Rows<TestType>::Zero(1, 3);
  Exact exact = oracle::softmax_cross_entropy(grid(logits), std::vector<Index>{0}).none[0];
  CHECK(error_of(widen(naive(logits)), exact, format).size < 4);
  logits(0, 0) = 20;
  exact = oracle::softmax_cross_entropy(grid(logits), std::vector<Index>{0}).none[0];
  CHECK(error_of(widen(naive(logits)), exact, format).size > 1000);
  CHECK_FALSE(static_cast<bool>(within(naive(logits), exact)));
  CHECK_FALSE(static_cast<bool>(within(nan<TestType>(), exact)));  // and a NaN never passes
}
