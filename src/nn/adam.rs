//! [`Adam`]: the optimiser, with decoupled weight decay, clipping by global norm and an average of the parameters.

use rayon::prelude::*;

use crate::autodiff::Weights;
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

/// Parameters that are handled together, so that a gradient is in cache when it is used: a fixed cut, so that the norm
/// is the same for any number of threads.
const CHUNK: usize = 4096;

/// Fewer parameters than this are handled faster than they are handed to another thread.
const PARALLEL: usize = 4 * CHUNK;

/// What the optimiser remembers from step to step.
#[derive(Debug, Clone)]
pub struct Optimizer<R> {
    settings: Adam,
    steps: u64,
    layers: Vec<LayerState<R>>,
}

/// The part of one layer; all lists but `squares` are as long as its parameters (`average` may be empty).
#[derive(Debug, Clone)]
struct LayerState<R> {
    /// Where its parameters begin among all of them.
    first: usize,
    gradient: Vec<R>,
    m: Vec<R>,
    v: Vec<R>,
    previous: Vec<R>,
    average: Vec<R>,
    /// The sum of the squares of the gradient, one for each chunk.
    squares: Vec<f64>,
}

/// What the optimiser remembers of each parameter, in the words that a file uses: the parameter before the last step, m, v,
/// and the average.
pub(crate) const MEMORY: [&str; 4] = ["previous", "mean", "square", "average"];

impl<R> LayerState<R> {
    /// In the order of [`MEMORY`].
    fn memory(&self) -> [&[R]; MEMORY.len()] {
        [&self.previous, &self.m, &self.v, &self.average]
    }

    fn memory_mut(&mut self) -> [&mut [R]; MEMORY.len()] {
        [&mut self.previous, &mut self.m, &mut self.v, &mut self.average]
    }
}

impl<R: Real> Optimizer<R> {
    /// One of [`MEMORY`], layer after layer.
    pub(crate) fn memory(&self, which: usize) -> impl Iterator<Item = &[R]> {
        self.layers.iter().map(move |layer| layer.memory()[which])
    }

    /// Goes on after `steps` steps with what was remembered then, in the order of [`MEMORY`]. False, and nothing is changed, if it is
    /// not of this optimiser: another number of parameters, or an average where none is kept.
    pub(crate) fn remember(&mut self, steps: u64, memory: &[Vec<R>; MEMORY.len()]) -> bool {
        let lengths = |which: usize| self.memory(which).map(<[R]>::len).sum::<usize>();
        if !memory.iter().enumerate().all(|(which, numbers)| numbers.len() == lengths(which)) {
            return false;
        }
        for (which, numbers) in memory.iter().enumerate() {
            let mut rest = numbers.as_slice();
            for layer in &mut self.layers {
                let own = &mut *layer.memory_mut()[which];
                let (part, others) = rest.split_at(own.len());
                own.copy_from_slice(part);
                rest = others;
            }
        }
        self.steps = steps;
        true
    }

    /// Starts at the parameters of `weights`.
    #[must_use]
    pub fn new(settings: Adam, weights: &Weights<R>) -> Self {
        let layers = weights.layers().map(|range| {
            let (first, theta) = (range.start, &weights.parameters()[range]);
            let zeros = vec![R::ZERO; theta.len()];
            LayerState {
                first,
                gradient: zeros.clone(),
                m: zeros.clone(),
                v: zeros,
                previous: theta.to_vec(),
                average: if settings.ema.is_some() { theta.to_vec() } else { Vec::new() },
                squares: vec![0.0; theta.len().div_ceil(CHUNK)],
            }
        });
        Self { settings, steps: 0, layers: layers.collect() }
    }

    /// Moves the parameters by one step along the sum of the gradients in `slots`, added in their order, and returns the
    /// norm of that sum. Without clipping everything is done in one pass over the parameters; with it there is
    /// one before to find the norm. Nothing is allocated.
    ///
    /// # Panics
    /// If a slot is shorter than the parameters, or the weights are others than those of the start.
    pub fn step(&mut self, weights: &mut Weights<R>, slots: &[&[R]], lr: f64) -> f64 {
        self.steps += 1;
        let (s, simd) = (&self.settings, weights.simd());
        let gradient_scale = s.clip.map_or(1.0, |clip| {
            self.layers.par_iter_mut().for_each(|layer| {
                let first = layer.first;
                layer.gradient.par_chunks_mut(CHUNK).zip(&mut layer.squares).enumerate().for_each(
                    |(i, (gradient, squares))| {
                        *squares = sum_slots(simd, slots, first + i * CHUNK, gradient);
                    },
                );
            });
            let norm = norm(&self.layers);
            if norm > clip { clip / norm } else { 1.0 }
        });
        let n = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let step = AdamStep {
            lr,
            beta_1: s.beta_1,
            beta_2: s.beta_2,
            epsilon: s.epsilon,
            weight_decay: s.weight_decay,
            correction_1: 1.0 - s.beta_1.powi(n),
            correction_2: 1.0 - s.beta_2.powi(n),
            gradient_scale,
            ema_decay: s.ema_decay(self.steps),
        };
        let slots = if s.clip.is_some() { None } else { Some(slots) };
        weights.update_layers(&mut self.layers, |layer, theta| {
            let LayerState { first, gradient, m, v, previous, average, squares } = layer;
            let part = Part {
                first: *first,
                gradient,
                squares,
                state: AdamState { theta, m, v, previous, average },
            };
            part.step(simd, &step, slots);
        });
        norm(&self.layers)
    }

    /// The parameters before the last step.
    #[must_use]
    pub fn previous(&self) -> Vec<R> {
        self.layers.iter().flat_map(|layer| &layer.previous).copied().collect()
    }

    /// The parameters to use: the average of all of them, `theta` the last, or `theta` itself where no average is kept.
    #[must_use]
    pub fn averaged(&self, theta: &[R]) -> Vec<R> {
        let Some(decay) = self.settings.ema_decay(self.steps + 1) else { return theta.to_vec() };
        let (old, new) = (R::from_f64(decay), R::from_f64(1.0 - decay));
        let average = self.layers.iter().flat_map(|layer| &layer.average);
        average.zip(theta).map(|(&average, &theta)| old * average + new * theta).collect()
    }

    /// The parameters to use if the last step is not to count: the average of those before it, or [`Optimizer::previous`].
    #[must_use]
    pub fn averaged_before(&self) -> Vec<R> {
        if self.settings.ema.is_none() {
            return self.previous();
        }
        // The average follows one step behind: the parameters before the step are its last.
        self.layers.iter().flat_map(|layer| &layer.average).copied().collect()
    }
}

/// The norm of the gradient of all layers: chunks are added in order.
fn norm<R>(layers: &[LayerState<R>]) -> f64 {
    layers.iter().flat_map(|layer| &layer.squares).sum::<f64>().sqrt()
}

/// Some chunks of one layer.
struct Part<'a, R> {
    first: usize,
    gradient: &'a mut [R],
    squares: &'a mut [f64],
    state: AdamState<'a, R>,
}

impl<R: Real> Part<'_, R> {
    /// Adds up the slots, if the gradient is not known yet, and moves the parameters.
    fn step(mut self, simd: Simd, step: &AdamStep, slots: Option<&[&[R]]>) {
        let n = self.gradient.len();
        if n > CHUNK {
            let (left, right) = self.split((n / CHUNK).div_ceil(2));
            if n < PARALLEL {
                left.step(simd, step, slots);
                right.step(simd, step, slots);
            } else {
                rayon::join(|| left.step(simd, step, slots), || right.step(simd, step, slots));
            }
            return;
        }
        if let (Some(slots), Some(squares)) = (slots, self.squares.first_mut()) {
            *squares = sum_slots(simd, slots, self.first, self.gradient);
        }
        adam(simd, step, self.gradient, self.state);
    }

    /// The first `chunks` chunks, and the others.
    fn split(&mut self, chunks: usize) -> (Part<'_, R>, Part<'_, R>) {
        let at = chunks * CHUNK;
        let AdamState { theta, m, v, previous, average } = &mut self.state;
        let (theta, m, v) = (theta.split_at_mut(at), m.split_at_mut(at), v.split_at_mut(at));
        let previous = previous.split_at_mut(at);
        let average = average.split_at_mut(at.min(average.len()));
        let (gradient, squares) = (self.gradient.split_at_mut(at), self.squares.split_at_mut(chunks));
        let state = AdamState { theta: theta.0, m: m.0, v: v.0, previous: previous.0, average: average.0 };
        let left = Part { first: self.first, gradient: gradient.0, squares: squares.0, state };
        let state = AdamState { theta: theta.1, m: m.1, v: v.1, previous: previous.1, average: average.1 };
        (left, Part { first: self.first + at, gradient: gradient.1, squares: squares.1, state })
    }
}
