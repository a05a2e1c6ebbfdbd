//! Adam with decoupled weight decay: one pass over the parameters, and the sum of the gradients before it.
//!
//! # Math
//! With g = gradient_scale x gradient and c_1 = 1 - beta_1^n, c_2 = 1 - beta_2^n in step n = 1, 2, ...:
//! ```text
//! m      = beta_1 m + (1 - beta_1) g
//! v      = beta_2 v + (1 - beta_2) g²
//! theta' = theta - lr weight_decay theta - lr (m / c_1) / (sqrt(v / c_2) + epsilon)
//! previous = theta,  average = decay average + (1 - decay) theta      (theta is the old one)
//! ```
//! What is done differently from [`super::naive`]: everything is in R, the constants are computed in f64
//! and rounded once (lr / c_1, 1 / c_2, lr weight_decay), and both parts of the change of theta are added
//! before they are taken off it.
//!
//! # Limits
//! Moments are not flushed to zero: those of a parameter whose gradient stays 0 sink among the subnormal numbers,
//! which some CPUs handle slowly.
//!
//! # Source
//! D. Kingma, J. Ba 2015, arXiv:1412.6980 (Adam); I. Loshchilov, F. Hutter 2019, arXiv:1711.05101 (decoupled
//! weight decay), in the form of PyTorch's `AdamW`: the decay is multiplied by lr.

use std::slice::from_mut;

use super::dispatch::{Kernel, Simd};
use super::lane::Lane;
use super::real::Real;
use super::reduce::Accumulators;

/// The numbers of one step.
#[derive(Debug, Clone, Copy)]
pub struct AdamStep {
    /// Learning rate of this step.
    pub lr: f64,
    /// Share of the first moment that is kept.
    pub beta_1: f64,
    /// Share of the second moment that is kept.
    pub beta_2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay: each step takes lr x weight_decay of a parameter off it.
    pub weight_decay: f64,
    /// 1 - beta_1^n in step n, counted from 1.
    pub correction_1: f64,
    /// 1 - beta_2^n in step n, counted from 1.
    pub correction_2: f64,
    /// What the gradient is multiplied by: clipping and averaging.
    pub gradient_scale: f64,
    /// Share of the average of the parameters that is kept; `None` where no average is wanted.
    pub ema_decay: Option<f64>,
}

/// The parameters and what Adam knows about each; all slices have one length.
#[derive(Debug)]
pub struct AdamState<'a, R> {
    /// The parameters.
    pub theta: &'a mut [R],
    /// The first moment: the decaying mean of the gradient.
    pub m: &'a mut [R],
    /// The second moment: the decaying mean of its square.
    pub v: &'a mut [R],
    /// Receives the parameters as they were before the step, to go back to.
    pub previous: &'a mut [R],
    /// The exponential moving average of the parameters; empty where `ema_decay` is `None`. It follows one
    /// step behind, on purpose: a parameter only enters it once its loss was seen to be finite.
    pub average: &'a mut [R],
}

/// Takes one step of Adam on every parameter of a slice.
///
/// # Panics
/// If the lengths differ.
///
/// # Example
/// ```
/// use pushforward::kernel::{AdamState, AdamStep, Simd, adam};
///
/// let step = AdamStep {
///     lr: 0.1, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, weight_decay: 0.0,
///     correction_1: 0.1, correction_2: 0.001, gradient_scale: 1.0, ema_decay: None,
/// };
/// let (mut theta, mut m, mut v, mut previous) = ([1.0_f64], [0.0], [0.0], [0.0]);
/// let state = AdamState {
///     theta: &mut theta, m: &mut m, v: &mut v, previous: &mut previous, average: &mut [],
/// };
/// adam(Simd::detect(), &step, &[3.0], state);
/// assert!((theta[0] - 0.9).abs() < 1e-8); // the first step is lr, whatever the gradient
/// assert_eq!(previous, [1.0]);
/// ```
pub fn adam<R: Real>(simd: Simd, step: &AdamStep, gradient: &[R], state: AdamState<'_, R>) {
    let n = gradient.len();
    let lengths = [state.theta.len(), state.m.len(), state.v.len(), state.previous.len()];
    assert_eq!(lengths, [n; 4], "lengths of theta, m, v and previous against the gradient");
    let averages = if step.ema_decay.is_some() { n } else { 0 };
    assert_eq!(state.average.len(), averages, "length of the average");
    simd.run(Adam { step, gradient, state });
}

struct Adam<'a, R> {
    step: &'a AdamStep,
    gradient: &'a [R],
    state: AdamState<'a, R>,
}

/// Numbers that the pass takes together, so that the average finds the old parameters in cache.
const BLOCK: usize = 256;

impl<R: Real> Kernel<R> for Adam<'_, R> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lane<Real = R>>(self) {
        let Self { step, gradient, state } = self;
        let AdamState { theta, m, v, previous, average } = state;
        for first in (0..gradient.len()).step_by(BLOCK) {
            let part = first..gradient.len().min(first + BLOCK);
            let theta = &mut theta[part.clone()];
            previous[part.clone()].copy_from_slice(theta);
            if let Some(decay) = step.ema_decay {
                follow::<L::Single>(decay, theta, &mut average[part.clone()]);
            }
            update::<L::Single>(step, &gradient[part.clone()], theta, &mut m[part.clone()], &mut v[part]);
        }
    }
}

#[inline(always)]
fn follow<L: Lane>(decay: f64, theta: &[L::Real], average: &mut [L::Real]) {
    let (kept, taken) = (L::constant(decay), L::constant(1.0 - decay));
    for (average, &theta) in average.iter_mut().zip(theta) {
        kept.mul_add(L::splat(*average), taken.mul(L::splat(theta))).store(from_mut(average));
    }
}

#[inline(always)]
fn update<L: Lane>(
    step: &AdamStep,
    gradient: &[L::Real],
    theta: &mut [L::Real],
    m: &mut [L::Real],
    v: &mut [L::Real],
) {
    let scale = L::constant(step.gradient_scale);
    let (keep_m, take_m) = (L::constant(step.beta_1), L::constant(1.0 - step.beta_1));
    let (keep_v, take_v) = (L::constant(step.beta_2), L::constant(1.0 - step.beta_2));
    let rate = L::constant(step.lr / step.correction_1);
    let correct_v = L::constant(1.0 / step.correction_2);
    let decay = L::constant(step.lr * step.weight_decay);
    let epsilon = L::constant(step.epsilon);
    for (((&gradient, theta), m), v) in gradient.iter().zip(theta).zip(m).zip(v) {
        let g = scale.mul(L::splat(gradient));
        let m_new = keep_m.mul_add(L::splat(*m), take_m.mul(g));
        let v_new = keep_v.mul_add(L::splat(*v), take_v.mul(g).mul(g));
        let below = correct_v.mul(v_new).sqrt().add(epsilon);
        let old = L::splat(*theta);
        let change = decay.mul_add(old, rate.mul(m_new).div(below));
        old.sub(change).store(from_mut(theta));
        m_new.store(from_mut(m));
        v_new.store(from_mut(v));
    }
}

/// gradient = the slots added in their order, number by number (zeros if there are none), each from its number
/// `first` on; returns the sum of the squares of the result, in the order of [`super::sum_squares`]: for the global norm.
///
/// # Panics
/// If a slot ends before the gradient does.
#[must_use]
pub fn sum_slots<R: Real>(simd: Simd, slots: &[&[R]], first: usize, gradient: &mut [R]) -> f64 {
    assert!(slots.iter().all(|slot| slot.len() >= first + gradient.len()), "lengths of the slots");
    simd.run(SumSlots { slots, first, gradient })
}

struct SumSlots<'a, R> {
    slots: &'a [&'a [R]],
    first: usize,
    gradient: &'a mut [R],
}

impl<R: Real> Kernel<R> for SumSlots<'_, R> {
    type Output = f64;
    #[inline(always)]
    fn run<L: Lane<Real = R>>(self) -> f64 {
        let Self { slots, first, gradient } = self;
        let mut squares = Accumulators::new();
        for (b, gradient) in gradient.chunks_mut(BLOCK).enumerate() {
            gradient.fill(R::ZERO);
            for slot in slots {
                for (gradient, &slot) in gradient.iter_mut().zip(&slot[first + b * BLOCK..]) {
                    *gradient += slot;
                }
            }
            squares.add_products(gradient, gradient);
        }
        squares.total()
    }
}
