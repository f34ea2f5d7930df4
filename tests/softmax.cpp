// SPDX-License-Identifier: MIT
// softmax: rows of probabilities, exact to 4 ulp, whatever the logits' size, place and layout.
#include "support/errors.hpp"
#include "support/generators.hpp"
#include "support/layouts.hpp"
#include "support/oracle.hpp"
#include "support/ulp.hpp"

#include <xent/softmax.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <tuple>
#include <type_traits>

using namespace support;
using Reals32And64 = std::tuple<float, double>;

TEMPLATE_LIST_TEST_CASE("softmax is within 4 ulp of the exact result", "[softmax]", Reals32And64) {
  Random random;
  for (Index cols : {1, 2, 3, 5, 8, 17, 33, 70, 301})
    for (double scale : {1e-3, 1.0, 30.0, 1e4}) {
      Rows<TestType> const logits = normal_rows<TestType>(random, 4, cols, scale);
      Exacts const exact = oracle::softmax(grid(logits));
      CHECK(within(xent::softmax(logits), exact));
      CHECK(within(xent::softmax(Cols<TestType>(logits)), exact));
    }
}

TEMPLATE_LIST_TEST_CASE("softmax rows sum to 1", "[softmax]", Reals32And64) {
  Random random;
  Rows<TestType> const probs = xent::softmax(normal_rows<TestType>(random, 50, 23, 5));
  for (Index i = 0; i < probs.rows(); ++i)
    CHECK(within(static_cast<TestType>(probs.row(i).template cast<double>().sum()), Exact{1, 0, 1}, 4));
}

TEMPLATE_LIST_TEST_CASE("softmax does not change when all logits move together", "[softmax]", Reals32And64) {
  Random random;
  // Integers and integer offsets: the moved logits are exact, so only the rounding of two results may differ.
  Cols<TestType> const logits = integer_rows<TestType>(random, 20, 9, -40, 40);
  for (double offset : {1.0, -64.0, 65536.0, -1048576.0}) {
    Cols<TestType> const moved = logits + static_cast<TestType>(offset);
    CHECK(close(xent::softmax(moved), xent::softmax(logits), 4));
  }
}

TEMPLATE_LIST_TEST_CASE("softmax permutes with its classes", "[softmax]", Reals32And64) {
  Random random;
  Rows<TestType> const logits = normal_rows<TestType>(random, 12, 41, 3);
  Rows<TestType> const reversed = logits.rowwise().reverse();
  Rows<TestType> const expected = xent::softmax(logits).rowwise().reverse();
  CHECK(close(xent::softmax(reversed), expected, 3));
}

TEMPLATE_LIST_TEST_CASE("softmax is the same in every layout", "[softmax]", Reals32And64) {
  Random random;
  Rows<TestType> const logits = integer_rows<TestType>(random, 13, 21, -30, 30);
  Exacts const exact = oracle::softmax(grid(logits));
  for_each_layout(logits, [&](char const* layout, auto const& array) {
    INFO(layout);
    CHECK(within(xent::softmax(array), exact));
  });
}

TEMPLATE_LIST_TEST_CASE("softmax of a row has the same bits alone and in any batch", "[softmax]", Reals32And64) {
  Random random;
  for (Index cols : {3, 10, 40, 700}) {
    Rows<TestType> const logits = normal_rows<TestType>(random, 37, cols, 4);
    Rows<TestType> const whole = xent::softmax(logits);
    Cols<TestType> const by_columns = logits;
    Cols<TestType> const whole_by_columns = xent::softmax(by_columns);
    for (Index i : {0, 1, 7, 20, 36}) {
      Rows<TestType> const alone = logits.row(i);
      CHECK(identical(xent::softmax(alone), whole.row(i)));
      Cols<TestType> const tail = by_columns.bottomRows(37 - i);
      CHECK(identical(xent::softmax(tail), whole_by_columns.bottomRows(37 - i)));
    }
  }
}

TEMPLATE_LIST_TEST_CASE("softmax writes into the caller's array, the input itself included", "[softmax]",
                        Reals32And64) {
  Random random;
  for (Index cols : {4, 29, 513}) {
    Rows<TestType> const logits = normal_rows<TestType>(random, 9, cols, 2);
    Rows<TestType> out;
    xent::softmax(logits, out);
    CHECK(identical(out, xent::softmax(logits)));
    Rows<TestType> in_place = logits;
    xent::softmax(in_place, in_place);
    CHECK(identical(in_place, out));
    Cols<TestType> columns = logits;
    Cols<TestType> const expected = xent::softmax(columns);
    xent::softmax(columns, columns);
    CHECK(identical(columns, expected));
    Rows<TestType> frame = Rows<TestType>::Constant(11, cols + 2, TestType(7));
    xent::softmax(logits, frame.block(1, 1, 9, cols));
    CHECK(identical(frame.block(1, 1, 9, cols), out));
    CHECK(all_are(frame.row(0), 7));
    CHECK(all_are(frame.col(cols + 1), 7));
  }
}

TEMPLATE_LIST_TEST_CASE("softmax of one sample is that of a single row", "[softmax]", Reals32And64) {
  Random random;
  Rows<TestType> const logits = normal_rows<TestType>(random, 1, 11, 3);
  Vector<TestType> const sample = logits.row(0).transpose();
  auto const probs = xent::softmax(sample);
  REQUIRE(probs.size() == 11);
  CHECK(within(probs, oracle::softmax(grid(logits))));
}

TEMPLATE_LIST_TEST_CASE("softmax returns a plain array", "[softmax]", Reals32And64) {
  using Result = decltype(xent::softmax(std::declval<Cols<TestType> const&>()));
  STATIC_REQUIRE(std::is_same_v<Result, typename Result::PlainObject>);
}

TEMPLATE_LIST_TEST_CASE("softmax at the edges", "[softmax][edges]", Reals32And64) {
  TestType const inf = infinity<TestType>();
  TestType const big = std::numeric_limits<TestType>::max();
  for (Index cols : {2, 3, 12, 260}) {
    Rows<TestType> logits = Rows<TestType>::Zero(8, cols);
    logits.row(0).setConstant(big);
    logits.row(1).setConstant(-big);
    logits.row(2).setConstant(big);
    logits(2, 1) = -big;  // the whole range in one row
    logits(3, 0) = -inf;  // masked
    logits.row(4).setConstant(-inf);
    logits(5, cols - 1) = inf;
    logits(6, cols / 2) = nan<TestType>();
    Exacts const exact = oracle::softmax(grid(logits));
    for_main_layouts(logits, [&](char const* layout, auto const& array) {
      INFO(layout << " of " << cols << " classes");
      auto const probs = xent::softmax(array);
      CHECK(within(probs, exact));
      CHECK(probs(3, 0) == 0);
      CHECK(all_are(probs.row(4), nan<long double>()));
      CHECK(all_are(probs.row(5), nan<long double>()));
      CHECK(all_are(probs.row(6), nan<long double>()));
    });
  }
}

TEMPLATE_LIST_TEST_CASE("a NaN makes its row NaN wherever it stands, and no other row", "[softmax][edges]",
                        Reals32And64) {
  for (Index cols : {3, 17, 40, 300})
    for (Index place : {Index(0), cols / 2, cols - 1}) {
      Rows<TestType> logits = Rows<TestType>::Zero(3, cols);
      logits(1, place) = nan<TestType>();
      for_main_layouts(logits, [&](char const* layout, auto const& array) {
        INFO(layout << " NaN at " << place << " of " << cols);
        auto const probs = xent::softmax(array);
        CHECK(all_are(probs.row(1), nan<long double>()));
        CHECK(probs.row(0).allFinite());
        CHECK(probs.row(2).allFinite());
      });
    }
}

TEMPLATE_LIST_TEST_CASE("softmax of one class is 1, of no rows empty", "[softmax][edges]", Reals32And64) {
  Cols<TestType> one(3, 1);
  one << TestType(-5), TestType(0), std::numeric_limits<TestType>::max();
  CHECK(all_are(xent::softmax(one), 1));
  auto const empty = xent::softmax(Cols<TestType>(0, 4));
  CHECK(empty.rows() == 0);
  CHECK(empty.cols() == 4);
}

TEST_CASE("softmax refuses no classes and outputs of a wrong shape", "[softmax][errors]") {
  Cols<float> const none(3, 0);
  CHECK(refuses<std::invalid_argument>([&] { xent::softmax(none); }, {"xent::softmax: ", "logits"}));
  Cols<float> const logits = Cols<float>::Zero(3, 4);
  Eigen::Array<float, 2, 2> small = Eigen::Array<float, 2, 2>::Constant(7);
  CHECK(refuses<std::invalid_argument>([&] { xent::softmax(logits, small); }, {"xent::softmax: ", "2", "3", "4"}));
  CHECK(all_are(small, 7));
}
