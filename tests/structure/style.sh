#!/usr/bin/env bash
# What every header has in common: licence, name and purpose in the first lines, no names forced upon the user.
set -euo pipefail
status=0
complain() { echo "$*"; status=1; }

while IFS= read -r file; do
  name=${file#include/}
  { read -r licence; read -r title; read -r guard; } <"$file"
  [[ $licence == "// SPDX-License-Identifier: MIT" ]] || complain "$name: the first line is not the licence's"
  [[ $title =~ ^"// $name - ".*\.$ ]] || complain "$name: the second line is not '// $name - one sentence.'"
  [[ $guard == "#pragma once" || $file == *.inl ]] || complain "$name: the third line is not #pragma once"
  if grep -n '^ *using namespace' "$file"; then complain "$name: using namespace in a header"; fi
  if grep -nP '[^\x00-\x7F]|\t| $' "$file"; then complain "$name: tabs, blanks at a line's end or letters beyond ASCII"; fi
done < <(find include -type f | sort)
exit $status
