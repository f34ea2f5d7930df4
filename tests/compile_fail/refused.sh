#!/usr/bin/env bash
# refused.sh SOURCE COMPILER...
set -euo pipefail
source=$1
shift
must_say=$(sed -n '1s|^// must say: ||p' "$source")

if words=$("$@" -DWRONG "$source" 2>&1); then echo "the wrong twin compiles"; exit 1; fi
if [[ -z $must_say || $words != *"$must_say"* ]]; then
  printf '%s\n' "$words" "the wrong twin is refused, but without a word of '$must_say'"
  exit 1
fi
