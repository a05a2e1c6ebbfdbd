//! Flow matching from zero: equations E1 to E30 nearly in the order in which they follow from one another, each with what computes it here.
//!
//! t = 0 is the source p, which can be drawn from; t = 1 is the target q, of which rows are known. x has d columns. Everywhere
//! alpha multiplies the target and sigma the source; a prime is the derivative in t. `pushforward audit` computes what each equation
//! implies and prints by how much this crate misses it.
//!
//! # A flow
//! A velocity u says at each time and place how fast to go, and the flow psi is where one comes by following it:
//! ```text
//! E1   d/dt psi_t(x) = u_t(psi_t(x)),  psi_0(x) = x
//! E2   X_0 ~ p  =>  X_t = psi_t(X_0) ~ p_t,  X_1 = psi_1(X_0) ~ q         q is the pushforward of p by psi_1
//! E3   d/dt p_t(x) + div(p_t(x) u_t(x)) = 0                               mass moves, none is made
//! ```
//! psi_t is one to one: the same equation solved backwards leads home. [`Solver::solve`] does both, for any [`VectorField`].
//! ```
//! use pushforward::{Solver, Tensor, field::FnField};
//!
//! // u = x / 2 stretches: psi_1(x) = e^(1/2) x.
//! let stretch = FnField::new(1, |_t: f64, x: &[f64], u: &mut [f64]| u[0] = 0.5 * x[0]);
//! let x_0 = Tensor::from_rows(&[[2.0]]);
//! let x_1 = Solver::rk4().solve(&stretch, &x_0, 0.0..1.0)?.x;
//! assert!((x_1.row(0)[0] - 2.0 * 0.5_f64.exp()).abs() < 1e-9);
//! let back = Solver::rk4().solve(&stretch, &x_1, 1.0..0.0)?.x;
//! assert!((back.row(0)[0] - 2.0).abs() < 1e-9);
//! # Ok::<(), pushforward::Error>(())
//! ```
//! A model is then a network for u, and the question is how to train it without knowing u.
//!
//! # A path
//! Draw a row of each side and join them by a line. The law of the points on all these lines is a way p_t from p to q:
//! ```text
//! E4   p_t(x) = ∫ p_t(x | x_1) q(x_1) dx_1
//! E5   p_t(x | x_1) = N(x | t x_1, (1 - t)² I)                            for the source p = N(0, I)
//! E6   X_t = t X_1 + (1 - t) X_0
//! E7   E[X_t] = t E[X_1],  Cov[X_t] = t² Cov[X_1] + (1 - t)² I            for independent X_0 and X_1
//! ```
//! [`AffinePath::sample`] draws such points; [`Coupling`] says which rows are joined.
//!
//! # The velocity, and the loss
//! Along one line the velocity is known. Where many lines cross, the velocity that moves p_t is their mean:
//! ```text
//! E8   u_t(x | x_1) = (x_1 - x) / (1 - t) = X_1 - X_0                     along one line
//! E9   u_t(x) = E[X_1 - X_0 | X_t = x]                                    what is to be learnt
//! ```
//! A mean of what is known is what least squares find. So the loss that can be computed leads where the one that cannot would:
//! ```text
//! E10  L_FM  = E |v(t, X_t) - u_t(X_t)|²                                  cannot be computed for data
//! E11  L_CFM = E |v(t, X_t) - (X_1 - X_0)|²                               is what is trained
//! E12  grad L_CFM = grad L_FM,  L_CFM = L_FM + V,  V = E |(X_1 - X_0) - u_t(X_t)|²
//! ```
//! V is the spread of the lines through one point. No network removes it: **a training loss far above 0 is no failure**, only what is
//! above V is. [`objective`](crate::objective) holds E11, [`ExactLoss`] all three for a finite set of points.
//! ```
//! use pushforward::{AffinePath, Tensor, objective};
//! use pushforward::closed_form::GaussianFlow;
//!
//! // From N(0, 1) to N(2, 1/4) on E6: V = (pi/2) (1/2), although the field is exact.
//! let exact = GaussianFlow::new(&[2.0], &Tensor::from_rows(&[[0.25]]))?;
//! let path = AffinePath::default();
//! assert!((exact.loss_floor(path) - 0.785_398).abs() < 1e-6);
//! // One pair: x_t = 0.5, X_1 - X_0 = 2; what the field says there differs, and has to.
//! let sample = path.sample(Tensor::from_rows(&[[-0.5]]), Tensor::from_rows(&[[1.5]]), vec![0.5])?;
//! assert!((sample.x_t.row(0)[0], sample.dx_t.row(0)[0]) == (0.5, 2.0));
//! assert!(objective::loss(&exact.velocity(path), &sample)? > 0.1);
//! # Ok::<(), pushforward::Error>(())
//! ```
//! [`Trainer`] draws a batch of pairs and times a step and follows the gradient of E11 with [`Adam`](crate::nn::Adam).
//!
//! # Other paths
//! ```text
//! E13  X_t = alpha_t X_1 + sigma_t X_0,  dX_t = alpha'_t X_1 + sigma'_t X_0
//! E14  condot t, 1 - t · polynomial:n t^n, 1 - t^n · cosine sin(pi t/2), cos(pi t/2) · linear-vp t, sqrt(1 - t²) · vp · ve
//! ```
//! [`Scheduler`] holds them and says where each is singular. A network may say something else than the velocity, as all of it is linear in
//! x̂_1 = E\[X_1 | X_t = x\] and x̂_0 = E\[X_0 | X_t = x\]; one of them gives the others ([`Prediction`]):
//! ```text
//! E15  x = alpha x̂_1 + sigma x̂_0,  u = alpha' x̂_1 + sigma' x̂_0
//! E16  grad log p_t(x) = -x̂_0 / sigma_t                                  the score, for a normal source and independent pairs
//! E17  ū_r(x) = (c'/c) x + c t' u_t(x/c)                                  another scheduler after training: t(r), c(r) so that
//!                                                                         alpha_t / sigma_t is that of the new one at r
//! ```
//! By E17, [`Flow::with_scheduler`], a model samples along another path to the same psi_1.
//!
//! # Where all is known
//! ```text
//! E18  N(0, I) to N(m, S):  psi_t(x) = alpha m + C_t^(1/2) x,  C_t = alpha² S + sigma² I,  psi_1(x) = m + S^(1/2) x
//! E19  to a mixture:        u = sum of g_k(t, x) u^k_t(x),  g_k the probability of component k at x, u^k by E18
//! E20  to n points:         x̂_1 = sum of w_i x_i,  w_i proportional to exp(-|x - alpha x_i|² / (2 sigma²))
//! ```
//! [`GaussianFlow`], [`MixtureFlow`] and [`EmpiricalField`]: what the rest of the crate is held against. E20 is also a warning: it is the
//! exact minimiser of E11 on the training rows, and its flow ends in these rows. That a network is none of its copies is due to its
//! being smooth, and can be looked at: [`evaluating`](super::evaluating).
//!
//! # What a network only adds to
//! The Gaussian with the covariance of the data has a known velocity, A_t x, by E18. A network may learn the rest alone:
//! ```text
//! E29  u_t(x) = A_t x + r_t net(t, x / s_t)                               s_t, r_t: the sizes of X_t, and of what is left of dX_t
//! ```
//! [`Trainer::baseline`]; without a word it is taken where columns are correlated enough for it to be better.
//!
//! # Densities
//! Following a row of data back to the source tells how much its neighbourhood was stretched on the way:
//! ```text
//! E21  log p_1(x) = log p_0(psi_1⁻¹(x)) - ∫ div u_t(psi_t) dt             from 0 to 1, along the way of x
//! E22  div u = tr(du/dx) = E[eᵀ (du/dx) e]                                by d tangents, or by probes e of mean 0 and covariance I
//! ```
//! ```
//! use pushforward::likelihood::log_density;
//! use pushforward::{AffinePath, Divergence, Rng, Solver, Source, Tensor, closed_form::GaussianFlow};
//!
//! let exact = GaussianFlow::new(&[2.0], &Tensor::from_rows(&[[0.25]]))?;
//! let (u, x) = (exact.velocity(AffinePath::default()), Tensor::from_rows(&[[2.0], [3.5]]));
//! let (solver, mut rng) = (Solver::dopri5().tolerance(1e-9), Rng::from_seed(0));
//! let scores = log_density(&u, Source::Normal, &x, Divergence::Exact, &solver, &mut rng)?;
//! for (found, wanted) in scores.log_density.iter().zip(exact.log_density(&x)?) {
//!     assert!((found - wanted).abs() < 1e-7);
//! }
//! # Ok::<(), pushforward::Error>(())
//! ```
//! [`Flow::log_density`] gives it in the units of the data, in nats. [`Divergence`] is exact or by probes, with a standard error.
//!
//! # Solving
//! ```text
//! E23  a method of order k with steps of length h has an error of size h^k
//! E24  steps are chosen for each row by itself: no result depends on its neighbours
//! ```
//! The tableaux of [`ode`](crate::ode) are held to their orders by tests; [`Stats`](crate::ode::Stats) tells what a solution took.
//!
//! # Which rows are joined
//! ```text
//! E25  X_0, X_1 ~ pi(x_0, x_1), whose marginals are p and q
//! E26  X_t = alpha X_1 + sigma X_0 + g_t e                                a width on the way: constant, or that of a bridge
//! E28  E ∫ |u_t(X_t)|² dt,   E ∫ |(X_1 - X_0) - u_t(X_t)|² dt             path energy, and how far from straight the ways are
//! ```
//! Every [`Coupling`] leads from p to q. Independent pairs cross, so that their mean, E9, bends; pairs by optimal transport do not cross, and
//! ways that are straight take few steps ([`choosing`](super::choosing)). [`Width`](crate::path::Width) and
//! [`PathEnergy`](crate::metrics::PathEnergy) hold the other two.
//!
//! # Under a condition
//! With y beside x and t the network learns one flow for each y: rows of q(x | y). Left out now and then, it also knows the one without:
//! ```text
//! E27  ũ = (1 - w) u(x | ∅) + w u(x | y)                                  guidance: w > 1 goes further than the condition
//! ```
//! [`Trainer::conditions`] and [`Flow::given`]. Guided samples are of no q(. | y) any more.
//!
//! # With noise
//! ```text
//! E30  dX = (u_t + (b_t²/2) grad log p_t) dt + b_t dW                     has the laws p_t of the flow, whatever b_t is
//! ```
//! [`Flow::sample_noisy`], with the score of E16.
//!
//! # Not here
//! E31, guidance by a classifier, has a number and is not built.
//!
//! # Source
//! E1 to E17, E27, E30, and the order of this page: Lipman et al. 2024, arXiv:2412.06264, and 2023, arXiv:2210.02747. E21: Chen et al. 2018,
//! arXiv:1806.07366. E22: Grathwohl et al. 2019, arXiv:1810.01367. E25, E26, E28: Tong et al. 2024, arXiv:2302.00482; Liu et al. 2023,
//! arXiv:2209.03003. E18 to E20 and E29 are derived where they are computed.
//!
//! [`AffinePath::sample`]: crate::AffinePath::sample
//! [`Coupling`]: crate::Coupling
//! [`Divergence`]: crate::Divergence
//! [`EmpiricalField`]: crate::closed_form::EmpiricalField
//! [`ExactLoss`]: crate::closed_form::ExactLoss
//! [`Flow::given`]: crate::Flow::given
//! [`Flow::log_density`]: crate::Flow::log_density
//! [`Flow::sample_noisy`]: crate::Flow::sample_noisy
//! [`Flow::with_scheduler`]: crate::Flow::with_scheduler
//! [`GaussianFlow`]: crate::closed_form::GaussianFlow
//! [`MixtureFlow`]: crate::closed_form::MixtureFlow
//! [`Prediction`]: crate::path::Prediction
//! [`Scheduler`]: crate::Scheduler
//! [`Solver::solve`]: crate::Solver::solve
//! [`Trainer`]: crate::Trainer
//! [`Trainer::baseline`]: crate::Trainer::baseline
//! [`Trainer::conditions`]: crate::Trainer::conditions
//! [`VectorField`]: crate::VectorField
