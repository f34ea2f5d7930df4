#!/usr/bin/env bash
# The newest entry of CHANGELOG.md is the version of version.hpp.
set -euo pipefail
[[ -e CHANGELOG.md ]] || exit 0
version=$(sed -nE 's/^#define XENT_VERSION_[A-Z]+ ([0-9]+)$/\1/p' include/xent/version.hpp | paste -sd.)
newest=$(grep -m1 -oE '^## \[?[0-9]+\.[0-9]+\.[0-9]+' CHANGELOG.md | tr -d '#[ ')
[[ $version == "$newest" ]] || { echo "version.hpp says $version, CHANGELOG.md $newest"; exit 1; }
