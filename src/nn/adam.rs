//! [`Adam`]: the optimiser, with decoupled weight decay, clipping by global norm and an average of the parameters.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::kernel::{AdamState, AdamStep, Real, Simd, adam, sum_slots};

/// The settings of the optimiser.
///
/// # Math
/// With g the gradient, n = 1, 2, ... the step and eta the learning rate of that step:
/// ```text
/// g      <- g min(1, clip / |g|)                         clipping by the norm over all parameters
/// m      <- beta_1 m + (1 - beta_1) g
/// v      <- beta_2 v + (1 - beta_2) g²
/// theta  <- theta - eta weight_decay theta - eta (m / (1 - beta_1^n)) / (sqrt(v / (1 - beta_2^n)) + epsilon)
/// theta' <- d theta' + (1 - d) theta                     the average, d = min(ema, n / (9 + n))
/// ```
/// The average starts fast, so that the initial weights do not linger in it.
///
/// # Source
/// D. Kingma, J. Ba 2015, arXiv:1412.6980; I. Loshchilov, F. Hutter 2019, arXiv:1711.05101 (decoupled decay).
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Adam {
    /// The learning rate, before its schedule.
    pub lr: f64,
    /// Decay of the mean of the gradient.
    pub beta_1: f64,
    /// Decay of the mean of its square.
    pub beta_2: f64,
    /// What keeps the division finite.
    pub epsilon: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// The largest norm of a gradient, if there is one.
    pub clip: Option<f64>,
    /// The decay of the parameters' average, if the average is wanted.
    pub ema: Option<f64>,
}

impl Default for Adam {
    fn default() -> Self {
        Self {
            lr: 2e-3,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            clip: None,
            ema: Some(0.999),
        }
    }
}

impl Adam {
    /// Looks for settings out of range.
    ///
    /// # Errors
    /// [`Error::Setting`] with the first of them.
    pub fn check(&self) -> Result<()> {
        let clip = self.clip.unwrap_or(1.0);
        let ema = self.ema.unwrap_or(0.0);
        let positive = "give a positive, finite number";
        let fraction = "give a number from 0 to below 1";
        for (name, value, good, remedy) in [
            ("lr", self.lr, self.lr > 0.0 && self.lr.is_finite(), positive),
            ("beta_1", self.beta_1, (0.0..1.0).contains(&self.beta_1), fraction),
            ("beta_2", self.beta_2, (0.0..1.0).contains(&self.beta_2), fraction),
            ("epsilon", self.epsilon, self.epsilon > 0.0 && self.epsilon.is_finite(), positive),
            (
                "weight_decay",
                self.weight_decay,
                self.weight_decay >= 0.0 && self.weight_decay.is_finite(),
                "give a finite number that is not negative",
            ),
            ("clip", clip, clip > 0.0 && clip.is_finite(), positive),
            ("ema", ema, (0.0..1.0).contains(&ema), fraction),
        ] {
            if !good {
                return Err(Error::Setting { name, value: value.to_string(), remedy });
            }
        }
        Ok(())
    }

    /// The decay of the average at step n = 1, 2, ...
    #[allow(clippy::cast_precision_loss, reason = "step counts are far below 2^53")]
    fn ema_decay(&self, n: u64) -> Option<f64> {
        self.ema.map(|decay| decay.min(n as f64 / (9 + n) as f64))
    }
}

/// Parameters handled by one task: a fixed cut, so that the norm is the same for any number of threads.
const CHUNK: usize = 4096;

/// What the optimiser remembers from step to step.
#[derive(Debug, Clone)]
pub struct Optimizer<R> {
    settings: Adam,
    steps: u64,
    gradient: Vec<R>,
    m: Vec<R>,
    v: Vec<R>,
    previous: Vec<R>,
    average: Vec<R>,
}

impl<R: Real> Optimizer<R> {
    /// Starts at the parameters `theta`.
    #[must_use]
    pub fn new(settings: Adam, theta: &[R]) -> Self {
        let zeros = vec![R::ZERO; theta.len()];
        Self {
            settings,
            steps: 0,
            gradient: zeros.clone(),
            m: zeros.clone(),
            v: zeros,
            previous: theta.to_vec(),
            average: if settings.ema.is_some() { theta.to_vec() } else { Vec::new() },
        }
    }

    /// Adds the gradients of `slots` in their order, and returns the norm of the sum.
    pub fn collect(&mut self, simd: Simd, slots: &[&[R]]) -> f64 {
        let squares: Vec<f64> = self
            .gradient
            .par_chunks_mut(CHUNK)
            .enumerate()
            .map(|(i, gradient)| {
                let part = i * CHUNK..i * CHUNK + gradient.len();
                let slots: Vec<&[R]> = slots.iter().map(|slot| &slot[part.clone()]).collect();
                sum_slots(simd, &slots, gradient)
            })
            .collect();
        squares.iter().sum::<f64>().sqrt()
    }

    /// Moves `theta` along the gradient that [`Optimizer::collect`] found to have the norm `norm`.
    pub fn step(&mut self, simd: Simd, theta: &mut [R], lr: f64, norm: f64) {
        self.steps += 1;
        let s = &self.settings;
        let n = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let step = AdamStep {
            lr,
            beta_1: s.beta_1,
            beta_2: s.beta_2,
            epsilon: s.epsilon,
            weight_decay: s.weight_decay,
            correction_1: 1.0 - s.beta_1.powi(n),
            correction_2: 1.0 - s.beta_2.powi(n),
            gradient_scale: s.clip.map_or(1.0, |clip| if norm > clip { clip / norm } else { 1.0 }),
            ema_decay: s.ema_decay(self.steps),
        };
        // Without an average the chunks of an empty slice are empty too.
        let mut average = self.average.chunks_mut(CHUNK);
        let parts: Vec<_> = theta
            .chunks_mut(CHUNK)
            .zip(self.gradient.chunks(CHUNK))
            .zip(self.m.chunks_mut(CHUNK).zip(self.v.chunks_mut(CHUNK)))
            .zip(self.previous.chunks_mut(CHUNK))
            .map(|(((theta, gradient), (m, v)), previous)| {
                let average = average.next().unwrap_or_default();
                (gradient, AdamState { theta, m, v, previous, average })
            })
            .collect();
        parts.into_par_iter().for_each(|(gradient, state)| adam(simd, &step, gradient, state));
    }

    /// The parameters before the last step.
    #[must_use]
    pub fn previous(&self) -> &[R] {
        &self.previous
    }

    /// The parameters to use: the average of all of them, `theta` the last, or `theta` itself where no average is kept.
    #[must_use]
    pub fn averaged(&self, theta: &[R]) -> Vec<R> {
        let Some(decay) = self.settings.ema_decay(self.steps + 1) else { return theta.to_vec() };
        let (old, new) = (R::from_f64(decay), R::from_f64(1.0 - decay));
        self.average.iter().zip(theta).map(|(&average, &theta)| old * average + new * theta).collect()
    }
}
