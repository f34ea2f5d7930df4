#!/usr/bin/env bash
# Every output block of docs/cross-entropy.md is what the program named before it prints, to the letter.
set -euo pipefail
page=docs/cross-entropy.md
printed=$("$CROSS_ENTROPY_PAGE")
blocks=0
status=0
while IFS= read -r -d $'\f' block; do
  blocks=$((blocks + 1))
  if [[ $printed != *"${block%$'\n'}"* ]]; then
    printf 'not printed by cross_entropy_page:\n%s\n' "$block"
    status=1
  fi
done < <(awk '
  /^<!-- output of examples\/cross_entropy_page -->$/ { marked = NR }
  inside && /^```$/ { printf "\f"; inside = 0 }
  inside { print }
  /^```text$/ && marked == NR - 1 { inside = 1 }' $page)
[[ $blocks -gt 0 && $blocks == $(grep -c '^```text$' $page) ]] || { echo "$page has blocks that name no program"; status=1; }
exit $status
