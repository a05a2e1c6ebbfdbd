#!/usr/bin/env bash
# Trains, samples, scores, encodes and measures in a loop for 24 CPU-minutes (or as many as are said): memory and open files must not grow.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PUSHFORWARD_SOAK=$((${1:-24} * 60)) cargo test --release --locked --test soak -- --nocapture
