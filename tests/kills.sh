#!/usr/bin/env bash
# Kills a training 200 times (or as many times as is said) at random moments: it must end with the bytes of one that was not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PUSHFORWARD_KILLS=${1:-200} cargo test --release --locked --test all resume::killed_at_random -- --nocapture
