#!/usr/bin/env bash
# unused.sh COMPILE...: a call compiles the kernels that it may need, and no others.
set -euo pipefail
shopt -s inherit_errexit
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
compile=("$@")

# kernels CALL: whether it has kernels for the sum of label losses, for each of them, for coefficients of every class, for
# smoothed labels, and for gradients.
kernels() {
  cat >"$scratch/unit.cpp" <<CODE
#include <xent/xent.hpp>
using Rows = Eigen::Array<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
float loss(const Rows& logits, [[maybe_unused]] const Eigen::ArrayXi& labels, [[maybe_unused]] Rows& gradient) {
  return $1;
}
CODE
  "${compile[@]}" -O2 -c "$scratch/unit.cpp" -o "$scratch/unit.o"
  nm -C "$scratch/unit.o" >"$scratch/symbols"
  local found=() kind
  for kind in "LabelStripKernels<[0-9]+, \\(xent::detail::LabelsAs\\)1, (true|false)>" \
    "LabelStripKernels<[0-9]+, \\(xent::detail::LabelsAs\\)0, (true|false)>" "DenseKernels" \
    "LabelStripKernels<[0-9]+, \\(xent::detail::LabelsAs\\)3, (true|false)>" "TileKernels<.*::scatter"; do
    if grep -qE "$kind" "$scratch/symbols"; then found+=(yes); else found+=(no); fi
  done
  echo "${found[*]}"
}

status=0
expect() {
  local found
  found=$(kernels "$2")
  if [[ $found != "$1" ]]; then
    echo "$2: sum, each, every class, smoothed, gradient: $found, expected $1"
    status=1
  fi
}
expect "yes no no no no" "xent::softmax_cross_entropy(logits, labels)"
expect "no yes no no no" "xent::softmax_cross_entropy<xent::Reduction::none>(logits, labels)(0)"
expect "yes no no no yes" "xent::softmax_cross_entropy_with_gradient(logits, labels, gradient)"
expect "yes yes yes yes no" "xent::softmax_cross_entropy(logits, labels, {.ignore_index = 0})"
expect "no no yes no no" "xent::softmax_cross_entropy(logits, gradient)"
exit $status
