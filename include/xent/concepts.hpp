// SPDX-License-Identifier: MIT
// xent/concepts.hpp - what the functions accept, by name.
#pragma once

#include <Eigen/Core>

#include <concepts>
#include <type_traits>

namespace xent {

static_assert(EIGEN_VERSION_AT_LEAST(3, 4, 0), "xent needs Eigen 3.4 or newer");

namespace detail {

template <class Derived>
Derived derived_of(const Eigen::DenseBase<Derived>*);

}  // namespace detail

/// Any dense Eigen object: matrix, array, map, block, transpose, expression. Asked of the pointer, since v.head(n) is a
/// DenseBase of its own base class.
template <class T>
concept DenseArray = std::is_class_v<T> && requires(const T* x) { detail::derived_of(x); };

/// Logits, targets, probabilities: dense, with a real scalar (floating point, half precision, autodiff, multiprecision).
/// Integers are refused: they are labels, and a logit that was rounded to one is a mistake.
template <class T>
concept RealArray = DenseArray<T> && !Eigen::NumTraits<typename T::Scalar>::IsInteger &&
                    !Eigen::NumTraits<typename T::Scalar>::IsComplex;

/// A real array that is a row or a column by its type.
template <class T>
concept RealVector = RealArray<T> && bool(T::IsVectorAtCompileTime);

/// Class indices, one for each row: a vector, by its type, of any integral scalar, bool included.
template <class T>
concept LabelVector = DenseArray<T> && std::integral<typename T::Scalar> && bool(T::IsVectorAtCompileTime);

/// The class index of a single sample.
template <class T>
concept Label = std::integral<T>;

/// Labels that fit the logits: one for each row, or a single one for a vector of logits.
template <class T, class Logits>
concept LabelsFor = RealArray<Logits> && (LabelVector<T> || (Label<T> && RealVector<Logits>));

/// Targets that fit the logits: a real array of the same kind. A column of reals beside a matrix of logits is refused: it
/// is a set of labels in the wrong type.
template <class T, class Logits>
concept TargetsFor =
    RealArray<T> && RealArray<Logits> &&
    (int(T::ColsAtCompileTime) != 1 || int(Logits::ColsAtCompileTime) == 1 || (RealVector<T> && RealVector<Logits>));

namespace detail {

/// The scalar that results, options and sums have: float for the half precisions, the logits' own otherwise.
template <class Scalar>
struct ResultScalarOf {
  using type = Scalar;
};
template <>
struct ResultScalarOf<Eigen::half> {
  using type = float;
};
template <>
struct ResultScalarOf<Eigen::bfloat16> {
  using type = float;
};

}  // namespace detail

/// The scalar of the losses and of the options for this type of logits.
template <DenseArray T>
using ResultScalar = typename detail::ResultScalarOf<typename T::Scalar>::type;

/// An array that results for `Input` can be written to: in memory, not const, of the input's scalar (or of the scalar the
/// losses have). `T` is what a forwarding reference deduces, so that blocks and maps may be temporaries.
template <class T, class Input>
concept WritableArray =
    RealArray<std::remove_cvref_t<T>> && RealArray<Input> && !std::is_const_v<std::remove_reference_t<T>> &&
    (std::remove_cvref_t<T>::Flags & Eigen::DirectAccessBit) != 0 &&
    (std::remove_cvref_t<T>::Flags & Eigen::LvalueBit) != 0 &&
    (std::same_as<typename std::remove_cvref_t<T>::Scalar, typename Input::Scalar> ||
     std::same_as<typename std::remove_cvref_t<T>::Scalar, ResultScalar<Input>>);

}  // namespace xent
