#!/usr/bin/env bash
# A header includes xent headers of lower floors only: never sideways, never up. This table is the only place where the
# floors stand.
set -euo pipefail
floors=(
  "version concepts reduction detail/parallel detail/kernel/constants detail/kernel/lanes.inl detail/kernel/dense_cells.inl detail/kernel/dense_sums.inl detail/kernel/dense.inl detail/kernel/elements.inl detail/kernel/labels.inl detail/kernel/label_steps.inl detail/kernel/label_strips.inl detail/kernel/pairs.inl detail/kernel/pair_outcomes.inl detail/kernel/reread.inl detail/kernel/rows.inl detail/kernel/running_rows.inl detail/kernel/small_tiles.inl detail/kernel/strips.inl detail/kernel/tiles.inl detail/kernel/two_classes.inl detail/kernel/weights.inl"
  "options detail/scalar detail/kernel/kernels.inl"
  "detail/access detail/accumulate detail/logistic detail/kernel/dispatch"
  "detail/check detail/reduce detail/row_partition"
  "detail/ways detail/terms detail/loss detail/outcome log_partition"
  "detail/reduced"
  "detail/rows detail/strips detail/blocks detail/dense"
  "detail/engine detail/elements"
  "detail/element_terms softmax log_softmax logsumexp sigmoid one_hot argmax divergence units"
  "softmax_cross_entropy sigmoid_cross_entropy nll_loss focal_loss"
  "xent"
)
cd include/xent

declare -A floor
for number in "${!floors[@]}"; do
  for name in ${floors[number]}; do floor[$name]=$number; done
done

status=0
complain() { echo "$*"; status=1; }

while IFS= read -r file; do
  name=${file#./}
  name=${name%.hpp}
  if [[ -z ${floor[$name]:-} ]]; then complain "$name: on no floor of tests/structure/floors.sh"; continue; fi
  while IFS= read -r included; do
    if (( ${floor[$included]:-99} >= ${floor[$name]} )); then
      complain "$name (floor ${floor[$name]}) includes $included (floor ${floor[$included]:-none})"
    fi
  done < <(sed -nE 's|^ *# *include *[<"]xent/(.*)[>"].*|\1|p'  "$file" | sed 's/\.hpp$//')
done < <(find . -type f | sort)

for name in "${!floor[@]}"; do
  [[ -e $name.hpp || -e $name ]] || complain "$name: on floor ${floor[$name]}, but there is no such header"
done
exit $status
