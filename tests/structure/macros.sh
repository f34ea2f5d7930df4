#!/usr/bin/env bash
# macros.sh COMPILE... SOURCE: of all macros that the library's headers define, only the version's outlive them.
set -euo pipefail
"$@" -E -dD | awk '
  /^# [0-9]+ "/ { ours = ($3 ~ /\/include\/xent\//) }
  ours && $1 == "#define" { split($2, part, "("); left[part[1]] = 1 }
  $1 == "#undef" { delete left[$2] }
  END {
    for (name in left) if (name !~ /^XENT_VERSION_(MAJOR|MINOR|PATCH)$/) { print "leaks: " name; bad = 1 }
    if (!("XENT_VERSION_MAJOR" in left)) { print "no version macro was seen: this test is blind"; bad = 1 }
    exit bad
  }'
