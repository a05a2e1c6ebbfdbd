//! From PyTorch to here: what things are called, and networks there and back.
//!
//! # Names
//! | there | here |
//! |---|---|
//! | tensor of shape [B, d] | [`Tensor`]: always a matrix, rows are samples, f32 unless said otherwise |
//! | `torch.manual_seed(0)` | [`Rng::from_seed`], handed on; nothing random is global |
//! | `nn.Sequential(nn.Linear, nn.SiLU, ...)` of x and t | [`Mlp::new`], with the activation and the form of t in [`MlpShape`] |
//! | `AdamW(lr, betas, eps, weight_decay)`, `clip_grad_norm_`, an average of the weights | [`Adam`], the average included |
//! | the training loop | [`Trainer::fit`]; [`Trainer::start`] and [`Run::step`] to write it out |
//! | `DataLoader(batch_size)` | [`Trainer::batch`]: rows are drawn with replacement |
//! | `StandardScaler` before and after | part of the model ([`Standardize`]): what goes in and comes out is in the units of the data |
//! | `torch.save`, `load_state_dict` | [`Flow::save`], [`Flow::load`], [`Flow::from_bytes`] |
//! | `torch.func.jvp`, `vjp`, `jacrev` | [`DifferentialWorker`](crate::field::DifferentialWorker) |
//! | `torch.set_num_threads` | the pool of rayon that the call is made in: [`reproducibility`](super::reproducibility) |
//! | `model.to("cuda")` | not here |
//!
//! | flow_matching | here |
//! |---|---|
//! | `CondOTProbPath()`, `AffineProbPath(scheduler)` | [`AffinePath`] |
//! | `path.sample(x_0, x_1, t)`, its `x_t` and `dx_t` | [`AffinePath::sample`](crate::AffinePath::sample), the same names |
//! | `CondOTScheduler`, `PolynomialConvexScheduler(n)`, `CosineScheduler`, `LinearVPScheduler`, `VPScheduler(0.1, 20)` | [`Scheduler`]: `condot`, `polynomial:n`, `cosine`, `linear-vp`, `vp:0.1,20` |
//! | `path.velocity_to_target`, `epsilon_to_velocity`, ... | [`Prediction::convert`](crate::path::Prediction::convert); epsilon is `noise` |
//! | `ScheduleTransformedModel` | [`Flow::with_scheduler`](crate::Flow::with_scheduler) |
//! | `ODESolver.sample(x_init, method, step_size)` | [`Flow::sample`], [`Flow::decode`](crate::Flow::decode) for a given x_init; step_size 0.02 is `steps(50)` |
//! | `time_grid`, `return_intermediates=True` | [`Flow::trajectory`](crate::Flow::trajectory) |
//! | `ODESolver.compute_likelihood(x_1, log_p0, exact_divergence=False)` | [`Flow::log_density`], exact unless [`Divergence::hutchinson`](crate::Divergence::hutchinson) is asked for |
//!
//! | torchcfm | here |
//! |---|---|
//! | `ConditionalFlowMatcher(sigma)` | `condot`, [`Width`](crate::path::Width) `constant:sigma` (`none` for 0) |
//! | `ExactOptimalTransportConditionalFlowMatcher`, `OTPlanSampler` | [`Coupling::ExactOt`](crate::Coupling::ExactOt); a permutation, no row twice |
//! | `SchrodingerBridgeConditionalFlowMatcher(sigma)` | `sinkhorn:REG` with REG = 2 sigma², and `bridge:sigma`, in the network's units |
//! | `TargetConditionalFlowMatcher(sigma)` | `condot-min:sigma` |
//! | `VariancePreservingConditionalFlowMatcher` | `cosine` |
//! | x0, x1 of two data sets | [`Trainer::fit_from`](crate::Trainer::fit_from), [`Flow::decode`](crate::Flow::decode) |
//! | `guided_sample_location_and_conditional_flow(x0, x1, y0, y1)` | [`Trainer::conditions`](crate::Trainer::conditions); pairs of like conditions are joined |
//!
//! | torchdiffeq, diffrax | here |
//! |---|---|
//! | `odeint(f, y0, t, rtol, atol, method)`; `diffeqsolve(ODETerm(f), Tsit5(), 0, 1, None, y0)` | [`Solver::solve`](crate::Solver::solve) with a [`VectorField`], as a closure [`FnField`](crate::field::FnField) |
//! | `dopri5`, `bosh3`, `dopri8`; `Tsit5`, `Dopri5`, `Bosh3`, `Dopri8` | `dopri5`, `bosh3`, `tsit5`; `dop853` is another method of order 8 |
//! | `PIDController(rtol, atol)` | [`Solver`]'s `rtol` and `atol`; steps are chosen for each row by itself, as under `vmap` |
//! | `SaveAt(ts)`, `t` with more than two times | [`Solver::trajectory`](crate::Solver::trajectory), equally spaced |
//! | `solution.stats`, `solution.result` | [`Stats`](crate::ode::Stats), [`Reason`](crate::ode::Reason) |
//! | `odeint_adjoint` | not here: training needs no gradient through the solver |
//!
//! | sbi | here |
//! |---|---|
//! | `FMPE(prior).append_simulations(theta, x).train()` | [`Trainer::conditions`](crate::Trainer::conditions) with x, [`Trainer::fit`] on theta: `examples/posterior.rs` |
//! | `gaussian_baseline=True` | [`Trainer::baseline`](crate::Trainer::baseline), with the whole covariance |
//! | `posterior.sample((n,), x=x_o)`, `posterior.log_prob(theta, x=x_o)` | [`Flow::given`](crate::Flow::given) with x_o for each row, [`Flow::sample`], [`Flow::log_density`] |
//!
//! # What is the other way round
//! - **Time.** 0 is the source and 1 the target, as in flow_matching and torchcfm. In sbi, and in much of the literature on diffusion and rectified
//!   flows, noise is at 1: there t is 1 - t, and the velocity has the other sign.
//! - **Weights** are [inputs, outputs] in [`Mlp::parameters`], [outputs, inputs] in `nn.Linear`; the files below are PyTorch's way.
//! - **One time a row**: t is a slice of length B in every evaluation, never a scalar.
//! - **A loss** is a sum over columns and a mean over rows; `nn.MSELoss` divides by the columns too. Both have one minimum.
//!
//! # A network there and back
//! `pushforward export m.pf -o m.safetensors` writes `layers.{i}.weight` and `layers.{i}.bias` of `nn.Linear` and, as JSON under the key `pushforward`
//! of the metadata, all that is needed to use them; `pushforward import` reads such a file back, whoever wrote it. `pushforward help
//! export` names each word. In Python, with `torch` and `safetensors`, `tests/golden/exchange.py` does all of it, in both directions:
//! ```text
//! network: x, then t (raw) or sin(w_k t) .. cos(w_k t) (fourier:K) -> layers, `activation` between them, none after the last -> u
//! z' = network(t, z)        from t = 0, z ~ N(0, I)        x = mean + std z
//! ```
//! A model with a Gaussian baseline (`pushforward info` tells) is more than its network: train what is to go to PyTorch with `--baseline none`. Networks that come back are the same to the bit; PyTorch's samples of an exported one were off by less than 1e-4, f32 beside f64.
//! A network that was trained with PyTorch so gets everything here: solvers, densities, metrics, the audit.
//!
//! # The same in one page
//! ```
//! use pushforward::{AffinePath, Mlp, Rng, Scheduler, Solver, Tensor, Trainer, data::toy};
//!
//! let mut rng = Rng::from_seed(0); // torch.manual_seed(0)
//! let x_1: Tensor = toy::moons(1000, &mut rng); // [1000, 2]
//! let velocity = Mlp::new(2, &[32, 32], &mut rng)?; // nn.Sequential(nn.Linear(3, 32), nn.SiLU(), ...)
//! let mut run = Trainer::new(AffinePath::new(Scheduler::CondOt)) // CondOTProbPath()
//!     .batch(128)
//!     .lr(1e-3)
//!     .steps(50)
//!     .start(velocity, &x_1, &mut rng)?;
//! while !run.is_done() {
//!     let step = run.step()?; // zero_grad, path.sample, loss, backward, optimizer.step, ema.update
//!     assert!(step.loss.is_finite());
//! }
//! let flow = run.flow()?; // the averaged weights, with units
//! let drawn = flow.sample(10, &Solver::midpoint().steps(50), &mut rng)?; // ODESolver(...).sample(x_init, 0.02, "midpoint")
//! assert_eq!((drawn.x.rows(), drawn.stats.nfe), (10, 100.0));
//! # Ok::<(), pushforward::Error>(())
//! ```
//!
//! # Source
//! The interfaces of flow_matching 1.0.10, torchcfm 1.0.7, torchdiffeq 0.2.5, diffrax 0.7.2 and sbi 0.27.0.
//!
//! [`Adam`]: crate::nn::Adam
//! [`AffinePath`]: crate::AffinePath
//! [`Flow::from_bytes`]: crate::Flow::from_bytes
//! [`Flow::load`]: crate::Flow::load
//! [`Flow::log_density`]: crate::Flow::log_density
//! [`Flow::sample`]: crate::Flow::sample
//! [`Flow::save`]: crate::Flow::save
//! [`MlpShape`]: crate::nn::MlpShape
//! [`Mlp::new`]: crate::Mlp::new
//! [`Mlp::parameters`]: crate::Mlp::parameters
//! [`Rng::from_seed`]: crate::Rng::from_seed
//! [`Run::step`]: crate::train::Run::step
//! [`Scheduler`]: crate::Scheduler
//! [`Solver`]: crate::Solver
//! [`Standardize`]: crate::data::Standardize
//! [`Tensor`]: crate::Tensor
//! [`Trainer::batch`]: crate::Trainer::batch
//! [`Trainer::fit`]: crate::Trainer::fit
//! [`Trainer::start`]: crate::Trainer::start
//! [`VectorField`]: crate::VectorField
