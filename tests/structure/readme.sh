#!/usr/bin/env bash
# README's first C++ block is examples/quickstart.cpp to the letter, and the block after it is what that program prints.
set -euo pipefail

# block LANGUAGE: the first fenced block of that language at or after the first C++ block
block() {
  awk -v fence="\`\`\`$1" '
    inside && /^```$/ { exit }
    inside { print }
    /^```cpp$/ { seen = 1 }
    seen && $0 == fence { inside = 1 }' README.md
}

diff <(block cpp) examples/quickstart.cpp || { echo "README's first block is not examples/quickstart.cpp"; exit 1; }
if [[ -n ${QUICKSTART:-} ]]; then
  diff <(block text) <("$QUICKSTART") || { echo "README shows another output than quickstart has"; exit 1; }
fi
