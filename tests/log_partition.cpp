// SPDX-License-Identifier: MIT
// LogPartition: {max, tail}, the value on which every multiclass function stands, and the laws of its merge.
#include "support/errors.hpp"
#include "support/generators.hpp"
#include "support/layouts.hpp"
#include "support/oracle.hpp"
#include "support/ulp.hpp"

#include <xent/log_partition.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <tuple>

using namespace support;
using Reals32And64 = std::tuple<float, double>;

namespace {

template <class Scalar>
xent::LogPartition<Scalar> partition_of(Rows<Scalar> const& row) {
  return xent::log_partition(row.row(0));
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("max is the largest logit, tail the rest in units of its exponential", "[log_partition]",
                        Reals32And64) {
  Vector<TestType> row(5);
  row << 1, 3, 3, -2, 3;
  auto const partition = xent::log_partition(row);
  CHECK(partition.max == 3);
  Exact const e2 = oracle::exp(-2);
  Exact const e5 = oracle::exp(-5);
  CHECK(within(partition.tail, Exact{2 + e2.hi + e5.hi, 0, 0}));
}

TEMPLATE_LIST_TEST_CASE("logsumexp and log_sum of a partition are within 4 ulp", "[log_partition]", Reals32And64) {
  Random random;
  for (Index cols : {1, 2, 5, 40, 300})
    for (double scale : {1e-2, 3.0, 200.0}) {
      Rows<TestType> const row = normal_rows<TestType>(random, 1, cols, scale);
      auto const partition = partition_of(row);
      CHECK(within(partition.logsumexp(), oracle::logsumexp(grid(row))));
      CHECK(partition.max == row.maxCoeff());
      CHECK(partition.log_sum() >= 0);
    }
}

TEMPLATE_LIST_TEST_CASE("a tail far below the machine precision survives", "[log_partition]", Reals32And64) {
  Vector<TestType> row(2);
  row << 0, -60;
  auto const partition = xent::log_partition(row);
  CHECK(within(partition.tail, oracle::exp(-60)));
  CHECK(within(partition.log_sum(), oracle::exp(-60)));  // log1p(x) = x here, to the last digit
}

TEMPLATE_LIST_TEST_CASE("merging blocks of classes gives the whole row", "[log_partition]", Reals32And64) {
  Random random;
  for (double scale : {0.1, 5.0, 100.0})
    for (int round = 0; round < 10; ++round) {
      Index const cols = random.integer(2, 60);
      Index const cut = random.integer(1, cols - 1);
      Rows<TestType> const row = normal_rows<TestType>(random, 1, cols, scale);
      Rows<TestType> const left = row.leftCols(cut);
      Rows<TestType> const right = row.rightCols(cols - cut);
      auto const whole = partition_of(row);
      auto const merged = xent::merge(partition_of(left), partition_of(right));
      CHECK(merged.max == whole.max);
      CHECK(close(merged.tail, whole.tail, 8));
      CHECK(within(merged.logsumexp(), oracle::logsumexp(grid(row)), 6));
    }
}

TEMPLATE_LIST_TEST_CASE("merge is commutative and associative up to rounding", "[log_partition]", Reals32And64) {
  Random random;
  for (int round = 0; round < 50; ++round) {
    auto const a = partition_of(integer_rows<TestType>(random, 1, 4, -9, 9));
    auto const b = partition_of(integer_rows<TestType>(random, 1, 3, -9, 9));
    auto const c = partition_of(integer_rows<TestType>(random, 1, 5, -9, 9));
    auto const ab = xent::merge(a, b);
    auto const ba = xent::merge(b, a);
    CHECK(ab.max == ba.max);
    CHECK(close(ab.tail, ba.tail, 2));
    auto const left = xent::merge(ab, c);
    auto const right = xent::merge(a, xent::merge(b, c));
    CHECK(left.max == right.max);
    CHECK(close(left.tail, right.tail, 8));
  }
}

TEMPLATE_LIST_TEST_CASE("the partition of no logits changes nothing", "[log_partition]", Reals32And64) {
  Random random;
  xent::LogPartition<TestType> const empty;
  CHECK(empty.max == -infinity<TestType>());
  CHECK(empty.logsumexp() == -infinity<TestType>());
  for (int round = 0; round < 10; ++round) {
    auto const a = partition_of(normal_rows<TestType>(random, 1, 6, 3));
    for (auto const& merged : {xent::merge(a, empty), xent::merge(empty, a)}) {
      CHECK(identical(merged.max, a.max));
      CHECK(identical(merged.tail, a.tail));
    }
  }
  auto const nothing = xent::merge(empty, empty);
  CHECK(nothing.max == empty.max);
  CHECK(nothing.logsumexp() == -infinity<TestType>());
}

TEMPLATE_LIST_TEST_CASE("masked blocks merge away", "[log_partition][edges]", Reals32And64) {
  TestType const inf = infinity<TestType>();
  auto const masked = xent::log_partition(Vector<TestType>(Vector<TestType>::Constant(3, -inf)));
  CHECK(masked.logsumexp() == -inf);
  auto const a = partition_of(Rows<TestType>(Rows<TestType>::Constant(1, 4, 2)));
  CHECK(identical(xent::merge(a, masked).logsumexp(), a.logsumexp()));
  CHECK(identical(xent::merge(masked, a).logsumexp(), a.logsumexp()));
  CHECK(xent::merge(masked, masked).logsumexp() == -inf);
}

TEMPLATE_LIST_TEST_CASE("infinities and NaN keep their meaning through a merge", "[log_partition][edges]",
                        Reals32And64) {
  TestType const inf = infinity<TestType>();
  auto const finite = partition_of(Rows<TestType>(Rows<TestType>::Zero(1, 2)));
  auto const infinite = partition_of(Rows<TestType>(Rows<TestType>::Constant(1, 2, inf)));
  auto const broken = partition_of(Rows<TestType>(Rows<TestType>::Constant(1, 2, nan<TestType>())));
  CHECK(infinite.logsumexp() == inf);
  CHECK(xent::merge(finite, infinite).logsumexp() == inf);
  CHECK(xent::merge(infinite, finite).logsumexp() == inf);
  CHECK(xent::merge(infinite, infinite).logsumexp() == inf);
  CHECK(std::isnan(broken.logsumexp()));
  for (auto const& other : {finite, infinite, xent::LogPartition<TestType>{}}) {
    CHECK(std::isnan(xent::merge(other, broken).logsumexp()));
    CHECK(std::isnan(xent::merge(broken, other).logsumexp()));
  }
}

TEMPLATE_LIST_TEST_CASE("blocks as far apart as the type allows merge without overflow", "[log_partition][edges]",
                        Reals32And64) {
  TestType const big = std::numeric_limits<TestType>::max();
  auto const high = partition_of(Rows<TestType>(Rows<TestType>::Constant(1, 1, big)));
  auto const low = partition_of(Rows<TestType>(Rows<TestType>::Constant(1, 1, -big)));
  CHECK(xent::merge(high, low).logsumexp() == big);
  CHECK(xent::merge(low, high).tail == 0);
}

TEST_CASE("log_partition takes blocks of a vector and vectors of any kind", "[log_partition]") {
  Eigen::VectorXf const z = Eigen::VectorXf::LinSpaced(10, 0, 3);
  auto const merged = xent::merge(xent::log_partition(z.head(5)), xent::log_partition(z.tail(5)));
  CHECK(close(merged.logsumexp(), xent::log_partition(z.transpose()).logsumexp(), 2));
  Eigen::MatrixXf const matrix = z.replicate(1, 2);
  CHECK(identical(xent::log_partition(matrix.col(1)).tail, xent::log_partition(z).tail));
}

TEST_CASE("log_partition refuses no classes", "[log_partition][errors]") {
  Eigen::VectorXf const none(0);
  CHECK(refuses<std::invalid_argument>([&] { xent::log_partition(none); }, {"xent::log_partition: ", "logits"}));
}
