//! The optimiser's pass over the parameters: every number is read and written once.

use super::dispatch::{Kernel, Simd};
use super::lane::Lane;
use super::matmul::{load_part, store_part};
use super::real::Real;

/// The coefficients of one step of Adam; formulas at [`crate::kernel::adam()`].
#[derive(Debug, Clone, Copy)]
pub struct AdamStep {
    /// Learning rate of this step.
    pub lr: f64,
    /// Decay of the mean of the gradient.
    pub beta_1: f64,
    /// Decay of the mean of its square.
    pub beta_2: f64,
    /// What keeps the division finite.
    pub epsilon: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// 1 - beta_1^n.
    pub correction_1: f64,
    /// 1 - beta_2^n.
    pub correction_2: f64,
    /// Factor of the gradient: clipping.
    pub gradient_scale: f64,
    /// Decay of the average of the parameters.
    pub ema_decay: Option<f64>,
}

/// A slice of the parameters and of everything that is kept for each of them.
#[derive(Debug)]
pub struct AdamState<'a, R> {
    /// The parameters.
    pub theta: &'a mut [R],
    /// Mean of the gradient.
    pub m: &'a mut [R],
    /// Mean of its square.
    pub v: &'a mut [R],
    /// Receives the parameters as they were before the step.
    pub previous: &'a mut [R],
    /// The average of the parameters; empty where none is kept.
    pub average: &'a mut [R],
}

/// One step of Adam:
/// ```text
/// g = gradient_scale gradient
/// previous = theta
/// average  = d average + (1 - d) theta
/// m        = beta_1 m + (1 - beta_1) g
/// v        = beta_2 v + (1 - beta_2) g²
/// theta    = theta - lr weight_decay theta - lr (m / correction_1) / (sqrt(v / correction_2) + epsilon)
/// ```
/// The average is one step behind on purpose: parameters enter it only once their loss was seen to be finite.
///
/// # Panics
/// If the slices differ in length.
pub fn adam<R: Real>(simd: Simd, step: &AdamStep, gradient: &[R], state: AdamState<'_, R>) {
    let n = state.theta.len();
    assert!(gradient.len() == n && state.m.len() == n && state.v.len() == n && state.previous.len() == n);
    assert!(step.ema_decay.is_none() || state.average.len() == n, "length of the average");
    simd.run(Adam { step, gradient, state });
}

struct Adam<'a, R> {
    step: &'a AdamStep,
    gradient: &'a [R],
    state: AdamState<'a, R>,
}

impl<R: Real> Kernel<R> for Adam<'_, R> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lane<Real = R>>(self) {
        let Self { step: s, gradient, state } = self;
        let AdamState { theta, m, v, previous, average } = state;
        if let Some(d) = s.ema_decay {
            let (old, new) = (L::constant(d), L::constant(1.0 - d));
            for (average, theta) in average.chunks_mut(L::WIDTH).zip(theta.chunks(L::WIDTH)) {
                store_part(old.mul_add(load_part(average), new.mul(load_part(theta))), average);
            }
        }
        previous.copy_from_slice(theta);
        let scale = L::constant(s.gradient_scale);
        let (b_1, c_1) = (L::constant(s.beta_1), L::constant(1.0 - s.beta_1));
        let (b_2, c_2) = (L::constant(s.beta_2), L::constant(1.0 - s.beta_2));
        let keep = L::constant(1.0 - s.lr * s.weight_decay);
        let (rate, epsilon) = (L::constant(-s.lr / s.correction_1), L::constant(s.epsilon));
        let second = L::constant(1.0 / s.correction_2);
        let w = L::WIDTH;
        for (((theta, g), m), v) in
            theta.chunks_mut(w).zip(gradient.chunks(w)).zip(m.chunks_mut(w)).zip(v.chunks_mut(w))
        {
            let g = scale.mul(load_part(g));
            let m_new = b_1.mul_add(load_part(m), c_1.mul(g));
            let v_new = b_2.mul_add(load_part(v), c_2.mul(g.mul(g)));
            let direction = m_new.div(v_new.mul(second).sqrt().add(epsilon));
            let theta_new = rate.mul_add(direction, keep.mul(load_part(theta)));
            store_part(m_new, m);
            store_part(v_new, v);
            store_part(theta_new, theta);
        }
    }
}

/// Adds `slots` in their order into `gradient`, and returns the sum of its squares, added in f64 from the first to the last.
///
/// # Panics
/// If the slices differ in length, or there are none.
pub fn sum_slots<R: Real>(simd: Simd, slots: &[&[R]], gradient: &mut [R]) -> f64 {
    assert!(slots.iter().all(|slot| slot.len() == gradient.len()), "length of the slots");
    gradient.copy_from_slice(slots[0]);
    for slot in &slots[1..] {
        simd.run(AddTo { from: slot, to: gradient });
    }
    gradient.iter().map(|g| g.to_f64() * g.to_f64()).sum()
}

struct AddTo<'a, R> {
    from: &'a [R],
    to: &'a mut [R],
}

impl<R: Real> Kernel<R> for AddTo<'_, R> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lane<Real = R>>(self) {
        for (from, to) in self.from.chunks(L::WIDTH).zip(self.to.chunks_mut(L::WIDTH)) {
            store_part(load_part::<L>(to).add(load_part(from)), to);
        }
    }
}
