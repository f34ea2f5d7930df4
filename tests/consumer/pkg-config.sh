#!/bin/sh
# pkg-config.sh COMPILER SOURCE: the way without CMake. Eigen is made a system header, xent is not: its headers must be
# clean under these warnings in a user's build.
set -eu
program=$(mktemp)
trap 'rm -f "$program"' EXIT
eigen=$("$PKG_CONFIG" --cflags-only-I eigen3 | sed 's/-I/-isystem /g')
# shellcheck disable=SC2046,SC2086
"$1" -std=c++20 -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror "$2" -o "$program" \
  $("$PKG_CONFIG" --cflags --libs xent) $eigen
"$program"
