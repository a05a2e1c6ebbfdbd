#!/usr/bin/env bash
# Every combination of features: each compiles without a warning, with its tests, benches and examples. `tests/features.sh test` runs
# the tests of each as well, which takes an hour on two cores.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Those that stand for themselves; `cli` is all that the program needs, and more than any of them.
mapfile -t features < <(sed -n '/^\[features\]/,/^\[/s/^\([a-z-]*\) = .*/\1/p' Cargo.toml | grep -vxE 'default|cli')
count=0
check() {
  count=$((count + 1))
  printf -- '-- %s\n' "${1:-none}"
  cargo clippy --quiet --locked --all-targets --no-default-features --features "$1" -- -D warnings
  if [[ ${mode:-} == test ]]; then
    cargo test --quiet --release --locked --no-default-features --features "$1"
  fi
}
mode=${1:-}
for ((set = 0; set < 1 << ${#features[@]}; set++)); do
  chosen=()
  for i in "${!features[@]}"; do
    if ((set >> i & 1)); then chosen+=("${features[i]}"); fi
  done
  check "$(IFS=,; echo "${chosen[*]}")"
done
check cli
check "$(IFS=,; echo "cli,${features[*]}")"
printf '%d combinations\n' "$count"
