// SPDX-License-Identifier: MIT
// xent/detail/check.hpp - bad input refused in one way: function, argument, what it is, what it should be.
#pragma once

#include <xent/detail/access.hpp>
#include <xent/detail/kernel/dispatch.hpp>
#include <xent/detail/scalar.hpp>
#include <xent/options.hpp>

#include <Eigen/Core>

#include <cstddef>  // std::ptrdiff_t, std::size_t
#include <cstdint>
#include <functional>  // std::less: an order for any two pointers
#include <limits>
#include <optional>
#include <sstream>
#include <stdexcept>  // std::invalid_argument, std::out_of_range
#include <string>
#include <type_traits>

namespace xent::detail {

template <class Error, class... Parts>
[[noreturn]] void refuse(const char* function, const Parts&... parts) {
  std::ostringstream text;
  text << "xent::" << function << ": ";
  (text << ... << parts);
  throw Error(text.str());
}

/// "3 x 10", for messages.
template <class T>
std::string shape_text(const T& x) {
  std::ostringstream text;
  text << x.rows() << " x " << x.cols();
  return text.str();
}

template <DenseArray T>
void check_classes(const char* function, const T& logits, const char* name = "logits") {
  if (class_count(logits) == 0) {
    refuse<std::invalid_argument>(function, name, " is ", shape_text(logits), ", expected at least one class");
  }
}

/// Whether x holds one value for each logit; beside a single sample it may lie either way.
template <DenseArray T, DenseArray Logits>
bool fits(const T& x, const Logits& logits) {
  if constexpr (is_sample<Logits>) {
    return x.size() == logits.size() && (x.rows() == 1 || x.cols() == 1);
  } else {
    return x.rows() == logits.rows() && x.cols() == logits.cols();
  }
}

template <DenseArray T, DenseArray Logits>
void check_fits(const char* function, const char* name, const T& x, const char* reference_name,
                const Logits& reference) {
  if (!fits(x, reference)) {
    refuse<std::invalid_argument>(function, name, " is ", shape_text(x), ", expected ", shape_text(reference), " like ",
                                  reference_name);
  }
}

/// Whether resize(rows, columns) of this plain array would be legal.
template <class T>
bool resizable_to(Index rows, Index columns) {
  if constexpr (std::is_base_of_v<Eigen::PlainObjectBase<T>, T>) {
    const auto allows = [](int fixed, int most, Index wanted) {
      return fixed == Eigen::Dynamic ? (most == Eigen::Dynamic || wanted <= most) : wanted == fixed;
    };
    return allows(int(T::RowsAtCompileTime), int(T::MaxRowsAtCompileTime), rows) &&
           allows(int(T::ColsAtCompileTime), int(T::MaxColsAtCompileTime), columns);
  } else {
    return false;
  }
}

/// Whether x is a view into the memory of `out`, which a resize would pull from under it.
template <class Out, class T>
bool stands_in(const T& x, const Out& out) {
  if constexpr (in_memory<T> && std::is_same_v<typename T::Scalar, typename Out::Scalar>) {
    return x.size() > 0 && std::greater_equal<>()(x.data(), out.data()) &&
           std::less<>()(x.data(), out.data() + out.size());
  } else {
    return false;
  }
}

template <class Out, DenseArray T>
void check_output(const char* function, const char* name, const Out& out, const T& logits) {
  if (fits(out, logits)) return;
  const char* obstacle = !resizable_to<Out>(logits.rows(), logits.cols()) ? " and cannot be resized, expected "
                         : stands_in(logits, out)                         ? " and holds the input itself, expected "
                                                                          : nullptr;
  if (obstacle != nullptr) {
    refuse<std::invalid_argument>(function, name, " is ", shape_text(out), obstacle, shape_text(logits));
  }
}

/// Only after every check: resizing counts as writing.
template <class Out, DenseArray T>
void resize_output(Out& out, const T& logits) {
  if constexpr (std::is_base_of_v<Eigen::PlainObjectBase<Out>, Out>) {
    if (!fits(out, logits)) out.resize(logits.rows(), logits.cols());
  }
}

/// The same for a vector of one result for each row.
template <class Out>
void check_results(const char* function, const char* name, const Out& out, Index rows) {
  const bool upright = int(Out::ColsAtCompileTime) == 1;
  if (out.size() != rows && !resizable_to<Out>(upright ? rows : 1, upright ? 1 : rows)) {
    refuse<std::invalid_argument>(function, name, " has length ", out.size(), " and cannot be resized, expected ",
                                  rows);
  }
}

template <class Out>
void resize_results(Out& out, Index rows) {
  if constexpr (std::is_base_of_v<Eigen::PlainObjectBase<Out>, Out>) {
    if (out.size() != rows) out.resize(rows);
  }
}

template <class Scalar>
void check_unit_interval(const char* function, const char* name, const Scalar& value) {
  if (!(value >= Scalar(0) && value <= Scalar(1)) || is_nan(value)) {
    refuse<std::invalid_argument>(function, name, " is ", value, ", expected a value in [0, 1]");
  }
}

template <class Scalar>
void check_not_negative(const char* function, const char* name, const Scalar& value) {
  if (!(value >= Scalar(0)) || !is_finite(value)) {
    refuse<std::invalid_argument>(function, name, " is ", value, ", expected a finite value that is not negative");
  }
}

enum class Sign { any, not_negative };

template <class Scalar>
bool admissible(const Scalar& weight, Sign sign) {
  return is_finite(weight) && !(sign == Sign::not_negative && weight < Scalar(0));
}

/// There may be one for each row: floats and doubles are first looked at by vectors, which refuse no other than -0 in vain.
template <class Scalar>
bool all_admissible(const WeightVector<Scalar>& weights, Sign sign) {
  const Index size = weights.size();
  if constexpr (std::is_same_v<Scalar, float> || std::is_same_v<Scalar, double>) {
    const bool any_sign = sign == Sign::any;
    if (instruction_set() != InstructionSet::portable &&
        !kernels<WeightCheckTable<Scalar>>().any_refused(weights.data(), size, any_sign)) {
      return true;
    }
  }
  Index i = 0;
  while (i < size && admissible(weights[i], sign)) ++i;
  return i == size;
}

template <class Scalar>
void check_weight_values(const char* function, const char* name, const WeightVector<Scalar>& weights, Sign sign) {
  if (all_admissible(weights, sign)) return;
  for (Index i = 0; i < weights.size(); ++i) {
    if (!is_finite(weights[i])) {
      refuse<std::invalid_argument>(function, name, "[", i, "] is ", weights[i], ", expected a finite value");
    }
    if (sign == Sign::not_negative && weights[i] < Scalar(0)) {
      refuse<std::invalid_argument>(function, name, "[", i, "] is ", weights[i],
                                    ", expected a value that is not negative");
    }
  }
}

template <class Scalar>
void check_weights(const char* function, const char* name, const WeightVector<Scalar>& weights, Index length,
                   const char* one_for_each, Sign sign) {
  if (weights.empty()) return;
  if (weights.size() != length) {
    refuse<std::invalid_argument>(function, name, " has length ", weights.size(), ", expected ", length,
                                  ", one for each ", one_for_each);
  }
  check_weight_values(function, name, weights, sign);
}

template <class Scalar>
void check_class_weights(const char* function, const WeightVector<Scalar>& weights, Index classes) {
  check_weights(function, "class_weights", weights, classes, "class", Sign::not_negative);
}

template <class Scalar>
void check_sample_weights(const char* function, const WeightVector<Scalar>& weights, Index rows) {
  check_weights(function, "sample_weights", weights, rows, "row", Sign::any);
}

/// A label of any integral type as an Index, -1 where it does not fit into one.
template <std::integral T>
Index label_index(T label) {
  if constexpr (sizeof(T) < sizeof(Index) || std::is_signed_v<T>) {
    return Index(label);
  } else {
    return label <= T(std::numeric_limits<Index>::max()) ? Index(label) : Index(-1);
  }
}

/// An unsigned label never equals a negative ignore_index, not even one that wrapped.
template <class T>
bool can_equal(Index value) {
  return std::is_signed_v<T> || value >= 0;
}

template <class T>
Index label_count(const T& labels) {
  if constexpr (Label<T>) {
    return 1;
  } else {
    return labels.size();
  }
}

/// Labels side by side in memory that the kernels read.
template <class T>
constexpr bool has_kernel_labels() {
  if constexpr (Label<T>) {
    return false;
  } else {
    using Scalar = std::remove_const_t<typename T::Scalar>;
    return in_memory<T> && T::IsVectorAtCompileTime && int(T::InnerStrideAtCompileTime) == 1 &&
           (std::is_same_v<Scalar, std::int32_t> || std::is_same_v<Scalar, std::int64_t>);
  }
}

/// Reads label i of a vector, or the only one.
template <class T>
class LabelReader {
 public:
  explicit LabelReader(const T& labels) : labels_(labels) {}
  auto raw(Index i) const {
    if constexpr (Label<T>) {
      return labels_;
    } else {
      return labels_(0, i);
    }
  }
  Index operator()(Index i) const { return label_index(raw(i)); }

 private:
  template <class U>
  struct Store {
    using type = Coefficients<U>;
  };
  template <Label U>
  struct Store<U> {
    using type = U;
  };
  typename Store<T>::type labels_;
};

/// Whether one of the labels is outside [0, classes) and not ignored. Without branches, which ignored labels would often
/// have guessed wrong: a sign bit says so.
template <class T>
bool any_outside([[maybe_unused]] const T& labels, const LabelReader<T>& label, Index classes,
                 const std::optional<Index>& ignore_index) {
  const std::int64_t ignored = ignore_index.value_or(0);
  const Index count = label_count(labels);
  if constexpr (has_kernel_labels<T>()) {
    if (instruction_set() != InstructionSet::portable) {
      const auto& table = kernels<LabelTable<std::remove_const_t<typename T::Scalar>>>();
      return table.any_outside(labels.data(), count, classes, ignore_index ? &ignored : nullptr);
    }
  }
  std::size_t outside = 0;
  for (Index i = 0; i < count; ++i) {
    const Index value = label(i);
    const bool kept = !ignore_index || value != ignored || !can_equal<decltype(label.raw(i))>(value);
    outside |= (std::size_t(value) | (std::size_t(classes) - 1 - std::size_t(value))) & (std::size_t(!kept) - 1);
  }
  return static_cast<std::ptrdiff_t>(outside) < 0;
}

/// Every label is in [0, classes) or is ignored.
template <class T>
void check_labels(const char* function, const T& labels, Index classes, std::optional<Index> ignore_index = {}) {
  const LabelReader<T> label(labels);
  const Index count = label_count(labels);
  if (!any_outside(labels, label, classes, ignore_index)) return;
  Index first = -1;
  Index bad = 0;
  for (Index i = 0; i < count; ++i) {
    const Index value = label(i);
    if ((value >= 0 && value < classes) || (can_equal<decltype(label.raw(i))>(value) && ignore_index == value))
      continue;
    if (bad++ == 0) first = i;
  }
  refuse<std::out_of_range>(function, "labels[", first, "] is ", +label.raw(first), ", outside [0, ", classes, "); ",
                            bad, bad == 1 ? " label is out of range" : " labels are out of range");
}

template <class T>
void check_label_count(const char* function, const T& labels, Index rows, const char* rows_of = "logits") {
  if (label_count(labels) != rows) {
    refuse<std::invalid_argument>(function, "labels has length ", label_count(labels), ", expected ", rows,
                                  ", one for each row of ", rows_of);
  }
}

}  // namespace xent::detail
