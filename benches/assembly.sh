#!/usr/bin/env bash
# Fails where the compiler did not make SIMD of a kernel: that costs up to fifty times the time, and no result shows it.
# It reads the assembly of the library. What can go wrong, all of it seen:
#   - a loop over the rows of a tile becomes registers across rows, filled number by number: `vgather`;
#   - a function that is not inlined lacks the instructions of the level, and asks the C library for each fused product;
#   - a loop stays scalar. Each loop stands there once in full registers, and once number by number for what is left over: a
#     kernel with more scalar than full fused products has lost one.
# A kernel without fused products is only searched for gathers. One place is known to have them: eight streams of f64 are one
# register of AVX-512, and for GELU the compiler takes the streams together, one gather before a hundred operations that are in
# full registers all the same. So the activations of f64 at AVX-512 are not searched; all else is.
# Only x86-64 Linux is looked at; elsewhere the kernels are the portable ones, or as here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ $(uname -sm) != 'Linux x86_64' ]]; then
  echo 'The assembly is only read on x86-64 Linux: skipped.'
  exit 0
fi

# A folder of its own, in which the dependencies stay and the library is always compiled. 16 parts, as by default in a
# release build: what is inlined depends on them.
folder=${CARGO_TARGET_DIR:-target}/assembly
rm -rf "$folder"/release/deps/pushforward-* "$folder"/release/.fingerprint/pushforward-*
cargo rustc --quiet --locked --release --lib --no-default-features --target-dir "$folder" -- \
  --emit asm -C codegen-units=16 -C symbol-mangling-version=v0
assembly=("$folder"/release/deps/pushforward-*.s)

# The kernels are the instances of `dispatch::avx2` and `dispatch::avx512`: <R, kernel>, R written f or d.
awk '
  /^_R.*8dispatch(4avx2|6avx512)[fd].*:$/ {
    level = /8dispatch4avx2/ ? "avx2" : "avx512"
    width = /8dispatch4avx2/ ? "%ymm" : "%zmm"
    streams = /6avx512dINt.*3map(5Apply|8Activate)/
    name = $0
    sub(/.*8dispatch(4avx2|6avx512)/, "", name)
    # The last name of the path: its length, then itself.
    path = name; name = ""
    while (match(path, /[0-9]+[A-Za-z]/)) {
      digits = substr(path, RSTART, RLENGTH - 1)
      rest = substr(path, RSTART + RLENGTH - 1)
      name = substr(rest, 1, digits)
      path = substr(rest, digits + 1)
    }
    kernel = level " " name
    full[kernel] += 0; scalar[kernel] += 0
  }
  /^\.Lfunc_end/ { kernel = ""; streams = 0 }
  /^\tv(p)?gather/ && !streams { fault("a gather in " (kernel ? kernel : "a function that is no kernel")) }
  kernel && /^\tvfn?m(add|sub)[0-9]+p[sd]\t/ && index($0, width) { full[kernel]++ }
  kernel && /^\tvfn?m(add|sub)[0-9]+s[sd]\t/ { scalar[kernel]++ }
  kernel && /^\t(call|jmp)q?\t/ && /fmaf?(@|$)|7mul_add|5fused|6kernel4math/ { fault("a call instead of arithmetic in " kernel) }
  function fault(text) { if (!faults[text]++) print text > "/dev/stderr" }
  END {
    print "kernel: fused products in full registers, number by number"
    sorted = "sort"
    for (kernel in full) {
      print kernel ": " full[kernel] ", " scalar[kernel] | sorted
      all[substr(kernel, 1, index(kernel, " ") - 1)] += full[kernel]
    }
    close(sorted)
    for (kernel in full) if (scalar[kernel] > full[kernel]) fault("a loop that stayed scalar in " kernel)
    split("avx2 avx512", levels)
    for (l in levels) if (!all[levels[l]]) {
      fault("no fused products at " levels[l] ": are its kernels still instances of dispatch::" levels[l] ", and inlined into it?")
    }
    for (text in faults) exit 1
  }
' "${assembly[@]}"
