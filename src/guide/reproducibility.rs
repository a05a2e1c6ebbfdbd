//! The same seed gives the same bits: what that holds for, and how to keep to it.
//!
//! # What a result depends on
//! | | changes a bit |
//! |---|---|
//! | the seed, and the order in which [`Rng::fork`] was called before | yes |
//! | a setting of the training or the solver, a row of the data, its order | yes |
//! | the SIMD level: `portable`, `avx2`, `avx512` | the last ones; `portable` is the same on every CPU |
//! | another version of this crate | where its changelog says so, under "Numerics" |
//! | threads, their number, what else runs | no |
//! | which rows are asked for together, in one call or many, on one machine or many | no |
//! | stopping a training and going on | no |
//! | progress bars, logs, checkpoints, [`Flow::with_sampler`] instead of [`Flow::sample_rows`] | no |
//!
//! # Why
//! Work is cut into blocks of rows by the numbers of rows alone, sums are added in the order of the blocks, and each block has a stream of random numbers of
//! its own, found from (seed, use, index). Row i of a sample depends on the seed and i only:
//! ```
//! use pushforward::rng::Purpose;
//! use pushforward::{AffinePath, Flow, Mlp, Rng, Solver, Source};
//!
//! let velocity = Mlp::new(2, &[16], &mut Rng::from_seed(0))?;
//! let flow = Flow::new(velocity, AffinePath::default(), Source::Normal);
//! let (solver, streams) = (Solver::dopri5(), Rng::from_seed(7).fork(Purpose::Source));
//! let all = flow.sample_rows::<f32>(0..300, &solver, streams)?.x;
//! let part = flow.sample_rows::<f32>(200..300, &solver, streams)?.x; // on another machine, say
//! assert_eq!(part, all.slice_rows(200..300));
//! assert_eq!(flow.sample(10, &solver, &mut Rng::from_seed(7))?.x, all.slice_rows(0..10));
//! # Ok::<(), pushforward::Error>(())
//! ```
//! A solver that chooses its steps chooses them for each row by itself (E24): neighbours do not matter to the last bit.
//!
//! # To repeat a training
//! A model holds what it was made with: version, seed, settings, the SIMD level, and a SHA-256 of its data ([`TrainingRecord`]).
//! ```text
//! pushforward info --config model.pf > run.toml     the settings as flags
//! pushforward train --config run.toml -o again.pf   the same bytes, from the same data at the same level
//! ```
//! The record tells where the data were read from; keep them yourself.
//!
//! # Machines that must agree
//! Choose the level that all of them have, `--simd avx2` or, slowest and everywhere, `--simd portable` ([`Flow::with_simd`]). The
//! portable level uses no fused multiply-add and is the same on every CPU of one standard library, whose `exp` and `ln` it uses in places.
//!
//! # In a program
//! All functions use the pool of rayon that they are called in: `pool.install(|| flow.sample(..))`. A pool of one thread, or none but the thread that
//! calls (`ThreadPoolBuilder::use_current_thread`), gives the same bits. There is no global state: flows may be shared by threads (`Flow` is `Send` and `Sync`).
//! Every loop can be left between two steps and gone on with, or not: [`Run::step`], [`Integration::step`], [`AdaptiveIntegration::step`].
//!
//! # Limits
//! What is pinned are the numbers of a seed within one version; tests hold known answers of the generators. Streams are for sampling, not for secrets.
//!
//! [`AdaptiveIntegration::step`]: crate::ode::AdaptiveIntegration::step
//! [`Flow::sample_rows`]: crate::Flow::sample_rows
//! [`Flow::with_sampler`]: crate::Flow::with_sampler
//! [`Flow::with_simd`]: crate::Flow::with_simd
//! [`Integration::step`]: crate::ode::Integration::step
//! [`Rng::fork`]: crate::Rng::fork
//! [`Run::step`]: crate::train::Run::step
//! [`TrainingRecord`]: crate::flow::TrainingRecord
