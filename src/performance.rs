//! Where the time goes, how far it scales, and how to choose batch, width and threads. This page holds no code.
//!
//! # Measure
//! ```text
//! pushforward bench                      training, sampling, log-densities: rates, and their share of the multiply-add peak
//! pushforward bench --only W2 --scaling  one thread beside all, and how the peak itself scales
//! cargo bench --locked                   the parts, beside the products of other crates (benches/README.md)
//! ```
//! The peak is measured before each timed run on the same threads, so that a share means the same on a busy machine. Shares
//! count 2 operations for each multiply-add of the matrix products, and nothing for activations, random numbers or the optimiser.
//!
//! # Where the time goes
//! Percent of one thread, by samples of a profiler (AMD Zen 5, AVX-512, 267 GFLOP/s a core; networks 3 -> 64 x 3 -> 2 with
//! batches of 256, "small", and 3 -> 512 x 4 -> 2 with batches of 4096, "large"; SiLU):
//! ```text
//!                               small, train   large, train   small, sample
//! products (y = x w, d_x)            40             58              66
//! gradients of weights               22             31               -
//! activation and its slope           11              4              27
//! optimiser, sum of the slots         7              3               -
//! random numbers, paths               5              0.2             -
//! packing of the weights              3              1               -
//! zeros, copies, loss, steps         12              3               7
//! share of the peak                  55             84              59
//! ```
//! What bounds the small network is the unit that multiplies, not memory: for each row 8512 multiply-adds are 266 cycles of
//! its two AVX-512 pipes, and the 192 SiLU of a row, at 17 multiplications, fused ones or comparisons each, another 102: a
//! sampling step of 451 cycles keeps these pipes busy for 83 % of the time, of which the share of the peak counts 59. A large
//! network approaches the peak of its products. Its weight gradient is slower than its products (91 against 96 % of the
//! peak), because each block of rows adds to megabytes of gradient.
//!
//! # Threads
//! Work is cut into blocks of rows that depend on the numbers of rows alone, never on the threads: the same bits on any
//! number of them. So the cut also says how many threads can be of use:
//! ```text
//! training    blocks of 64 rows (128 from a batch of 2048 on), in slots that each keep a gradient:
//!             batch 64: 1 thread, 128: 2, 256 to 767: 4, 1024 and more: 8
//! sampling    blocks of 128 rows: n / 128 threads
//! scoring     the same
//! ```
//! Two threads reach 0.92 (small) and 0.99 (large) of what the peak loop gains from the second core, sampling and scoring
//! 0.98 to 1. A part f of a step that does not scale would make that 1 / (1 + f): f = 0.08, 0.01 and at most 0.02. On paper, by
//! Amdahl's law n / (1 + f (n - 1)) and with the limit of 8 slots (memory bandwidth and lower clocks left out):
//! ```text
//! threads                       2      4      8     16     64
//! small, train (batch 256)    1.85   3.2    3.2    3.2    3.2      4 blocks
//! large, train (batch 4096)   1.98   3.9    7.5    7.5    7.5      8 slots
//! sample 100,000 rows         1.96   3.8    7.0   12.3   28        at f = 0.02, the most that was seen
//! ```
//! A machine of 64 cores is used by several trainings beside each other (`--threads 8` each), and by samples in shards:
//! `sample --rows A..B` gives the rows of one sequence, whichever machine draws them.
//!
//! # Choose
//! - Batch: a multiple of 64. Steps of 256 rows are the quickest to learn with in two dimensions; from 1024 rows on eight
//!   threads are of use.
//! - Width: a multiple of 16, best of 32: products run over panels of two lanes, and what does not fill a lane is paid for.
//!   Up to four outputs are found as dot products, and cost what they are.
//! - Depth costs in proportion, width by its square: 512 x 4 has 90 times the multiply-adds of 64 x 3, and takes 40 times as long.
//! - Activation: relu, SiLU and selu are quickest, then tanh; softplus and gelu cost twice to three times as much
//!   (benches/README.md).
//! - Threads: as many as the table above can use. More do no harm but the others' work.
//! - Solver: `dopri5` takes about half the evaluations of `midpoint` with 50 steps at a tolerance of 1e-5.
//! - Scores: the exact divergence costs d tangents a row, through the layers in the middle only. It is found only at stages
//!   that count: `midpoint` needs it at one of two.
//!
//! # Memory
//! Training holds the table, and for each slot a gradient and the values of a block. 3 -> 512 x 4 -> 2 with batches of 4096
//! takes 95 MiB in all. Sampling and scoring hold one or two chunks of rows, however many there are. No step allocates
//! (tests/allocations.rs, tests/memory.rs).
//!
//! # Builds
//! No compiler flag is needed: kernels are compiled for AVX2 and AVX-512 beside the portable level and chosen when the program
//! runs, in a dependent crate too. On aarch64 NEON is part of the portable level.
