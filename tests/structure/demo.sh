#!/usr/bin/env bash
# The demo learns: at least 95 % of the test digits right by softmax regression and 97 % by the network.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$DIGITS" --output "$scratch" | awk '
  /^ *accuracy/ { right[++models] = $2 }
  END {
    if (models == 2 && right[1] >= 95 && right[2] >= 97) exit 0
    print "accuracies " right[1] " and " right[2] ", expected at least 95 and 97"
    exit 1
  }'
