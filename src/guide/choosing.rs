//! What to choose: the defaults, what speaks for something else, and what it is worth where that was measured.
//!
//! The defaults are meant for tables: path `condot`, independent pairs, the velocity predicted, a baseline where it helps, times uniform, as many steps as the rows
//! held out ask for ([`Trainer::auto`], `--steps auto`); the program samples by `midpoint` with 100 steps, and by `dopri5` where the network says the target or the noise. Change one thing at a time and
//! look at [`evaluating`](super::evaluating).
//!
//! # How long to train
//! By [`Trainer::auto`]; its table of six data sets is the reason. A fixed number is too small for 20,000 rows or far too large for few: of 150 and
//! 242 rows, 20,000 steps learn some by heart and give up 1.6 to 3.5 nats a row on others.
//!
//! # Path
//! | word | when |
//! |---|---|
//! | `condot` | always, at first: straight lines, nothing singular, [`Flow::with_scheduler`] reaches the others |
//! | `condot-min:M` | to repeat what was done with it: a width M is left at t = 1 (E26) |
//! | `polynomial:N`, `cosine` | to repeat what was done with them: the same ends, reached at another pace |
//! | `vp:A,B`, `linear-vp`, `ve:M` | to compare with models of diffusion; sigma' of the first two is infinite at t = 1 |
//!
//! How much a path moves is known in closed form for a normal target ([`GaussianFlow::path_energy`], E28), and so is how hard its field is to
//! solve; W2² is the least that any path can have.
//! ```
//! use pushforward::{AffinePath, Scheduler, Solver, Source, Tensor, closed_form::GaussianFlow};
//! use pushforward::{Rng, rng::Purpose};
//!
//! let target = GaussianFlow::new(&[2.0], &Tensor::from_rows(&[[0.25]]))?; // from N(0, 1): W2² = 2² + (1 - 1/2)² = 4.25
//! let mut x_0 = Tensor::zeros(1000, 1);
//! Source::Normal.fill(&Rng::from_seed(0).fork(Purpose::Source), 0, &mut x_0);
//! for (word, energy, nfe) in [("condot", 4.46, 33.0), ("cosine", 5.24, 39.0), ("polynomial:2", 5.80, 55.0)] {
//!     let path = AffinePath::new(word.parse::<Scheduler>()?);
//!     assert!((target.path_energy(path) - energy).abs() < 0.005);
//!     let solved = Solver::dopri5().solve(&target.velocity(path), &x_0, 0.0..1.0)?;
//!     assert!((solved.stats.nfe - nfe).abs() < 1.0, "{word} {}", solved.stats.nfe);
//! }
//! # Ok::<(), pushforward::Error>(())
//! ```
//!
//! # Coupling
//! | word | when |
//! |---|---|
//! | `independent` | scores are wanted, or noise while sampling: the score follows from it alone (E16) |
//! | `ot` | few evaluations are wanted, or source and target are both tables |
//! | `sinkhorn:REG` | the same with pairs that are drawn; with REG = 2 s² and the width `bridge:S` the Schrödinger bridge |
//! | `paired` | row i of the source belongs to row i of the target |
//!
//! `examples/any_to_any.rs`, moons to eight gaussians, 3000 steps of 256 rows, W2 from 2000 fresh rows (which are at 0.304 from others):
//! ```text
//! Euler steps     2        8      100
//! independent   1.837    0.599    0.455
//! ot            0.395    0.381    0.381
//! ```
//! The price is the assignment, which a training computes for many batches at once; `bench --only OT` times it. Pairs are found in
//! the network's units, and under conditions join like with like ([`Matched`]).
//!
//! # Prediction
//! `velocity`, the default, is what the ODE needs, and is singular nowhere. `target` and `noise` say the same by E15, for comparison with
//! models of diffusion: the one is divided by sigma near t = 1, the other by alpha near t = 0, and there their field is read a thousandth
//! before the end ([`END`]).
//!
//! # Baseline
//! `auto`: the velocity of a Gaussian with the data's covariance is the network's start (E29) where correlations tell 0.3 nats or more. On twelve
//! tables ([`Trainer::baseline`]) it gains 0.1 nats of 20 columns that go together, and 0.25 of 100 rows in five; where it says nothing, as of the toys, it costs
//! 0.01; of 30 rows, 0.4, so that it wants ten rows a column.
//!
//! # Times and weights
//! `uniform`. Times in strata or around the middle change the noise of a gradient by -1 to +20 % ([`TimeSampling`]), and weights
//! ([`TimeWeight`]) move errors from one end of the way to the other but not the minimum.
//!
//! # Solver
//! Error at the end / evaluations a row, on a normal target (benches/ACCURACY.md, "flow", beside SciPy):
//! ```text
//! tolerance      bosh3           dopri5          tsit5           dop853
//! 1e-3        5.9e-4 /  25    7.3e-4 /  20    1.6e-3 /  20    1.9e-4 /  36
//! 1e-5        1.1e-5 /  73    1.4e-5 /  46    1.5e-5 /  44    3.2e-6 /  52
//! 1e-7        1.4e-7 / 300    2.3e-8 /  89    4.7e-8 /  84    3.8e-8 /  90
//! ```
//! `dopri5` or `tsit5` at 1e-5, their default, is right for most: a network in f32 knows its answer to 1e-6, and samples are off by more than
//! either. They take about a quarter of the evaluations of `midpoint` with 100 steps, whose error nobody looks at. Fixed steps cost the same
//! for every row, and noise while sampling has no others. `dop853` is for tolerances below 1e-8, in f64.
//!
//! # Divergence
//! `exact` up to some tens of columns: d tangents a row, less through the first and the last layer. `hutchinson:K` beyond: the error of each row is told, and
//! falls as 1/sqrt(K).
//!
//! # Network
//! `--hidden 64,64,64`, SiLU. What width, depth and activation cost: [`performance`](crate::performance).
//!
//! [`END`]: crate::path::END
//! [`Flow::with_scheduler`]: crate::Flow::with_scheduler
//! [`GaussianFlow::path_energy`]: crate::closed_form::GaussianFlow::path_energy
//! [`Matched`]: crate::coupling::Matched
//! [`TimeSampling`]: crate::objective::TimeSampling
//! [`TimeWeight`]: crate::objective::TimeWeight
//! [`Trainer::auto`]: crate::Trainer::auto
//! [`Trainer::baseline`]: crate::Trainer::baseline
