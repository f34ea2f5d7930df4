#!/usr/bin/env bash
# cost.sh PROGRAM CASE SET LIMIT: the case takes at most LIMIT instructions per logit with the kernels of that set. Nor less
# than a third of it: then the limit has gone stale, or the case no longer does its work.
set -euo pipefail
program=$1 case=$2 set=$3 limit=$4
if [[ $set != baseline ]] && ! grep -qsw "$set" /proc/cpuinfo; then echo "this machine lacks $set"; exit 77; fi

# count REPETITIONS: sets instructions, of the whole program, and logits, of one repetition
count() {
  local words
  words=$(XENT_FORCE_ISA=$set "$VALGRIND" --tool=callgrind --callgrind-out-file=/dev/null "$program" "$case" "$1" 2>&1) ||
    { echo "$words"; exit 1; }
  instructions=$(sed -nE 's/.* Collected *: *([0-9]+).*/\1/p' <<<"$words")
  logits=$(sed -nE 's/^([0-9]+) logits$/\1/p' <<<"$words")
  [[ -n $instructions && -n $logits ]] || { echo "$words"; exit 1; }
}

# What the program does once, whatever the repetitions, is in both counts.
count 1
once=$instructions
count 2
awk -v name="$case $set" -v more=$((instructions - once)) -v logits="$logits" -v limit="$limit" 'BEGIN {
  cost = more / logits
  printf "%-26s %6.2f instructions per logit, limit %s\n", name, cost, limit
  if (cost > limit) { print "more than its limit in tests/cost/limits.txt"; exit 1 }
  if (cost < limit / 3) { print "less than a third of its limit in tests/cost/limits.txt"; exit 1 }
}'
