//! Claims about affine paths, predictions and scores: E13 to E17, E26, E30.
//!
//! More than 500 lines, so that each claim stands beside its faults.
//!
//! The law N(2, 1/4) in one dimension is the target of most of them: all of its predictions and its score are known (E18).

use crate::closed_form::GaussianFlow;
use crate::error::Result;
use crate::field::VectorField;
use crate::kernel::Real;
use crate::ode::EulerMaruyama;
use crate::path::{
    AffinePath, Coefficients, Diffused, Linear, Prediction, Rescheduled, Scheduler, Terms, Transform,
    Transformed, Width,
};
use crate::rng::{Purpose, Rng};
use crate::source::Source;
use crate::tensor::Tensor;

use super::chart::Chart;
use super::claim::{Claim, Finding, Place, Precision};
use super::deviations;
use super::rounded::Rounded;

const PATH: Place = Place::of("src/path/mod.rs", include_str!("../path/mod.rs"), "pub(crate) fn point");
const SCHEDULER: Place =
    Place::of("src/path/scheduler.rs", include_str!("../path/scheduler.rs"), "pub fn coefficients");
const INVERSE: Place =
    Place::of("src/path/scheduler.rs", include_str!("../path/scheduler.rs"), "pub fn snr_inverse");
const CONVERT: Place =
    Place::of("src/path/prediction.rs", include_str!("../path/prediction.rs"), "pub fn convert");
const SCORE: Place =
    Place::of("src/path/prediction.rs", include_str!("../path/prediction.rs"), "pub fn score");
const CHANGE: Place =
    Place::of("src/path/change.rs", include_str!("../path/change.rs"), "impl Transform for Rescheduled");
const WIDTH: Place = Place::of("src/path/width.rs", include_str!("../path/width.rs"), "pub fn coefficients");
const NOISE: Place =
    Place::of("src/path/change.rs", include_str!("../path/change.rs"), "impl Transform for Diffused");
const WALK: Place =
    Place::of("src/ode/maruyama.rs", include_str!("../ode/maruyama.rs"), "pub struct EulerMaruyama");

const SCHEDULERS: [Scheduler; 7] = [
    Scheduler::CondOt,
    Scheduler::CondOtMin { width: 0.1 },
    Scheduler::Polynomial { n: 2.0 },
    Scheduler::Cosine,
    Scheduler::LinearVp,
    Scheduler::VP,
    Scheduler::Ve { sigma_max: 3.0 },
];
const TIMES: [f64; 5] = [0.1, 0.3, 0.5, 0.7, 0.9];
const PLACES: [f64; 3] = [-1.3, 0.4, 2.5];
/// m and S of the target.
const MEAN: f64 = 2.0;
const VARIANCE: f64 = 0.25;
/// A few roundings of numbers that are divided by sigma or alpha, 0.05 at least.
const ROUNDING: f64 = 1e-12;

pub(super) fn claims() -> Vec<Claim<'static>> {
    vec![
        Claim::new(
            "E13",
            "X_t = α_t X_1 + σ_t X_0, Ẋ_t = α̇_t X_1 + σ̇_t X_0",
            "X_t and its velocity from −1 to 3 at t = 1/4 on five paths, against another program's digits",
            PATH,
            |real| match real {
                Precision::F32 => points::<f32>(sampled::<f32>),
                Precision::F64 => points::<f64>(sampled::<f64>),
            },
        ),
        Claim::new(
            "E14",
            "α̇_t = dα_t/dt, σ̇_t = dσ_t/dt, α_0 = σ_1 = 0, α_1 = σ_0 = 1",
            "the derivatives of seven schedulers against differences, and their ends",
            SCHEDULER,
            |_| derivatives(Scheduler::coefficients),
        )
        .always_f64(),
        Claim::new(
            "E14.inverse",
            "t(α_t/σ_t) = t",
            "the time that belongs to a ratio of signal and noise",
            INVERSE,
            |_| inverse(Scheduler::snr_inverse),
        )
        .always_f64(),
        Claim::new(
            "E15",
            "x = α x̂_1 + σ x̂_0, u = α̇ x̂_1 + σ̇ x̂_0",
            "each prediction from each other one, for N(2, 1/4) where all are known",
            CONVERT,
            |_| predictions(Prediction::convert),
        )
        .always_f64(),
        Claim::new(
            "E16",
            "∇ log p_t(x) = −x̂_0/σ_t",
            "the score of N(2, 1/4) on its way from each prediction",
            SCORE,
            |_| score(Prediction::score),
        )
        .always_f64(),
        Claim::new(
            "E17",
            "ū_r(x) = (ċ_r/c_r) x + c_r (dt/dr) u_{t(r)}(x/c_r)",
            "the velocity of one scheduler made from that of another one, against its closed form",
            CHANGE,
            |real| {
                let change = |from, to| Rescheduled { from, to };
                match real {
                    Precision::F32 => rescheduled::<f32, _>(change),
                    Precision::F64 => rescheduled::<f64, _>(change),
                }
            },
        ),
        Claim::new(
            "E26",
            "u = (1 − 2t)/(2t(1 − t)) (x − m_t) + x_1 − x_0, u = (x_1 − (1 − s) x)/(1 − (1 − s) t)",
            "the velocity of a bridge, of a path of constant width and of one with a least width",
            WIDTH,
            |real| match real {
                Precision::F32 => widths::<f32>(widened::<f32>),
                Precision::F64 => widths::<f64>(widened::<f64>),
            },
        ),
        Claim::new(
            "E30",
            "2 F C + b^2 = dC/dt, F m + c = dm/dt",
            "mean and variance of N(2, 1/4) on its way under the drift with half the score and the noise b",
            NOISE,
            |_| marginals(|scheduler, beta| Diffused { scheduler, beta }, |noisy, t| noisy.noise(t)),
        )
        .always_f64(),
        Claim::new(
            "E30.samples",
            "x + h f(t, x) + b_t √h z",
            "mean and variance of 20,000 noisy samples against those that the steps make",
            WALK,
            |real| match real {
                Precision::F32 => noisy_samples::<f32>(|x, _| x),
                Precision::F64 => noisy_samples::<f64>(|x, _| x),
            },
        ),
    ]
}

/// X_t and dX_t of the crate for one pair in one dimension.
fn sampled<R: Real>(scheduler: Scheduler, t: f64, x_0: f64, x_1: f64) -> Result<[f64; 2]> {
    let row = |x: f64| Tensor::from_rows(&[[R::from_f64(x)]]);
    let sample = AffinePath::new(scheduler).sample(row(x_0), row(x_1), vec![t])?;
    Ok([sample.x_t.row(0)[0].to_f64(), sample.dx_t.row(0)[0].to_f64()])
}

fn points<R: Real>(path: impl Fn(Scheduler, f64, f64, f64) -> Result<[f64; 2]>) -> Result<Finding> {
    let known = [
        (Scheduler::CondOt, [0.0, 4.0]),
        (Scheduler::Polynomial { n: 2.0 }, [-0.75, 2.0]),
        (Scheduler::VP, [-0.822_287_304_7, 1.348_026_867_6]),
        (Scheduler::LinearVp, [-0.218_245_836_6, 3.258_198_889_7]),
        (Scheduler::Cosine, [0.224_170_764_6, 4.954_797_458_1]),
    ];
    let mut worst = Worst::default();
    for (scheduler, wanted) in known {
        let found = path(scheduler, 0.25, -1.0, 3.0)?;
        worst.push(found[0] - wanted[0]);
        worst.push(found[1] - wanted[1]);
    }
    // Four roundings in each of two terms of size 6 at most.
    let bound = 6e-11_f64.max(2.0 * 4.0 * 6.0 * R::ROUNDOFF);
    Ok(Finding::new(
        worst.0,
        bound,
        "ten decimals of flow_matching 1.0.10 in f64, or eight roundings of numbers of size 6",
    ))
}

/// The largest size of some deviations; NaN is the largest.
#[derive(Default)]
struct Worst(f64);

impl Worst {
    fn push(&mut self, deviation: f64) {
        if deviation.abs() > self.0 || deviation.is_nan() {
            self.0 = deviation.abs();
        }
    }
}

fn derivatives(of: impl Fn(Scheduler, f64) -> Coefficients) -> Result<Finding> {
    const STEP: f64 = 1e-3;
    let mut worst = Worst::default();
    for scheduler in SCHEDULERS {
        for t in TIMES {
            // Differences of order 4: h⁴ f⁽⁵⁾ / 30.
            let slope = |f: &dyn Fn(Coefficients) -> f64| {
                let at = |k: f64| f(of(scheduler, t + k * STEP));
                (8.0 * (at(1.0) - at(-1.0)) - (at(2.0) - at(-2.0))) / (12.0 * STEP)
            };
            let c = of(scheduler, t);
            worst.push((slope(&|c| c.alpha) - c.d_alpha) / (1.0 + c.d_alpha.abs()));
            worst.push((slope(&|c| c.sigma) - c.d_sigma) / (1.0 + c.d_sigma.abs()));
        }
        let (start, end) = (of(scheduler, 0.0), of(scheduler, 1.0));
        worst.push(end.alpha - 1.0);
        // `vp` has a trace of the target in its source, 2e-5 of sigma: there the end is that of the formula.
        match scheduler {
            Scheduler::Vp { .. } => worst.push(start.sigma.hypot(start.alpha) - 1.0),
            Scheduler::Ve { sigma_max } => worst.push(start.sigma - sigma_max),
            _ => worst.push(start.sigma - 1.0 + start.alpha),
        }
        let width = if let Scheduler::CondOtMin { width } = scheduler { width } else { 0.0 };
        worst.push(end.sigma - width);
    }
    let from =
        "differences of order 4 with step 1e-3: h⁴ times a fifth derivative below 1e4, and rounding over h";
    Ok(Finding::new(worst.0, 1e-8, from))
}

fn inverse(of: impl Fn(Scheduler, f64) -> Result<f64>) -> Result<Finding> {
    let mut worst = Worst::default();
    for scheduler in SCHEDULERS {
        for t in TIMES {
            worst.push(of(scheduler, scheduler.snr(t))? - t);
        }
    }
    Ok(Finding::new(worst.0, ROUNDING, "rounding"))
}

/// x̂_1, x̂_0, u and the score of N(2, 1/4) at x: the conditional means of joint normal numbers.
fn known(c: Coefficients, x: f64) -> ([f64; 3], f64) {
    let variance = c.alpha * c.alpha * VARIANCE + c.sigma * c.sigma;
    let off = (x - c.alpha * MEAN) / variance;
    let (target, noise) = (MEAN + c.alpha * VARIANCE * off, c.sigma * off);
    ([c.d_alpha * target + c.d_sigma * noise, target, noise], -off)
}

fn predictions(convert: impl Fn(Prediction, Prediction, Coefficients) -> Result<Linear>) -> Result<Finding> {
    let mut worst = Worst::default();
    for scheduler in SCHEDULERS {
        for t in TIMES {
            let c = scheduler.coefficients(t);
            for x in PLACES {
                let (values, _) = known(c, x);
                for (from, given) in Prediction::ALL.into_iter().zip(values) {
                    for (to, wanted) in Prediction::ALL.into_iter().zip(values) {
                        let found = convert(from, to, c)?.at(x, given);
                        worst.push((found - wanted) / (1.0 + wanted.abs()));
                    }
                }
            }
        }
    }
    Ok(Finding::new(worst.0, ROUNDING, "rounding of numbers over α or σ"))
}

fn score(of: impl Fn(Prediction, Coefficients) -> Result<Linear>) -> Result<Finding> {
    let mut worst = Worst::default();
    for scheduler in SCHEDULERS {
        for t in TIMES {
            let c = scheduler.coefficients(t);
            for x in PLACES {
                let (values, wanted) = known(c, x);
                for (from, given) in Prediction::ALL.into_iter().zip(values) {
                    worst.push((of(from, c)?.at(x, given) - wanted) / (1.0 + wanted.abs()));
                }
            }
        }
    }
    Ok(Finding::new(worst.0, ROUNDING, "rounding of numbers over α or σ"))
}

fn target() -> Result<GaussianFlow> {
    GaussianFlow::new(&[MEAN], &Tensor::from_rows(&[[VARIANCE]]))
}

fn rescheduled<R: Real, T: Transform>(change: impl Fn(Scheduler, Scheduler) -> T) -> Result<Finding> {
    let flow = target()?;
    let mut worst = Worst::default();
    let x = Tensor::from_rows(&PLACES.map(|x| [R::from_f64(x)]));
    for from in SCHEDULERS {
        for to in SCHEDULERS {
            // The source of `ve` is another one, and `condot-min` another target: their ratios do not meet the others'.
            let other = |s| matches!(s, Scheduler::Ve { .. } | Scheduler::CondOtMin { .. });
            if from != to && (other(from) || other(to)) {
                continue;
            }
            let velocity = flow.velocity(AffinePath::new(from));
            let rounded = Rounded(&velocity);
            let field = Transformed::new(&rounded, change(from, to));
            let wanted = flow.velocity(AffinePath::new(to));
            for t in TIMES {
                let times = vec![R::from_f64(t); PLACES.len()];
                let (mut a, mut b) = (Tensor::<R>::zeros(3, 1), Tensor::<R>::zeros(3, 1));
                field.eval(&times, &x, &mut a)?;
                Rounded(&wanted).eval(&times, &x, &mut b)?;
                for (a, b) in a.as_slice().iter().zip(b.as_slice()) {
                    worst.push((a.to_f64() - b.to_f64()) / (1.0 + b.to_f64().abs()));
                }
            }
        }
    }
    let bound = 1e5 * R::ROUNDOFF;
    let from = "rounding; a time is found back from the ratio α/σ, which loses up to four digits where a path is steep";
    Ok(Finding::new(worst.0, bound, from))
}

/// X_t and dX_t of the crate with the noise e on the way.
fn widened<R: Real>(path: AffinePath, t: f64, x_0: f64, x_1: f64, e: f64) -> [f64; 2] {
    let [x_0, x_1, e] = [x_0, x_1, e].map(|x| [R::from_f64(x)]);
    let (mut x_t, mut dx_t) = ([R::ZERO], [R::ZERO]);
    path.point(t, &x_0, &x_1, &mut x_t, &mut dx_t);
    path.widen(t, &e, &mut x_t, &mut dx_t);
    [x_t[0].to_f64(), dx_t[0].to_f64()]
}

fn widths<R: Real>(of: impl Fn(AffinePath, f64, f64, f64, f64) -> [f64; 2]) -> Result<Finding> {
    let (x_0, x_1, s) = (-1.0, 3.0, 0.3);
    let mut worst = Worst::default();
    for t in TIMES {
        for e in PLACES {
            let mean = t * x_1 + (1.0 - t) * x_0;
            let linear = AffinePath::default();
            let [x, u] = of(linear.wide(Width::Bridge(s)), t, x_0, x_1, e);
            worst.push(x - mean - s * (t * (1.0 - t)).sqrt() * e);
            worst.push(u - ((1.0 - 2.0 * t) / (2.0 * t * (1.0 - t)) * (x - mean) + x_1 - x_0));
            let [x, u] = of(linear.wide(Width::Constant(s)), t, x_0, x_1, e);
            worst.push(x - mean - s * e);
            worst.push(u - (x_1 - x_0));
            let [x, u] = of(AffinePath::new(Scheduler::CondOtMin { width: s }), t, e, x_1, 0.0);
            worst.push(x - t * x_1 - (1.0 - (1.0 - s) * t) * e);
            worst.push(u - (x_1 - (1.0 - s) * x) / (1.0 - (1.0 - s) * t));
        }
    }
    // What differs is divided by t (1 - t), 0.09 at least, or by 1 - (1 - s) t.
    Ok(Finding::new(worst.0, ROUNDING.max(200.0 * R::ROUNDOFF), "rounding of numbers over 0.09"))
}

/// The drift F x + c at t, of a transform of the closed velocity.
fn drift(terms: Terms, scheduler: Scheduler, t: f64) -> Result<[f64; 2]> {
    let flow = target()?;
    let velocity = flow.velocity(AffinePath::new(scheduler));
    let mut u = Tensor::zeros(2, 1);
    velocity.eval(&[t, t], &Tensor::from_rows(&[[0.0], [1.0]]), &mut u)?;
    let (at_0, slope) = (u.row(0)[0], u.row(1)[0] - u.row(0)[0]);
    Ok([terms.of_x + terms.of_field * slope, terms.of_field * at_0])
}

fn marginals<T: Transform>(
    diffused: impl Fn(Scheduler, f64) -> T,
    noise: impl Fn(&T, f64) -> f64,
) -> Result<Finding> {
    let mut worst = Worst::default();
    for scheduler in SCHEDULERS {
        for beta in [0.5, 2.0] {
            let noisy = diffused(scheduler, beta);
            for t in TIMES {
                let c = scheduler.coefficients(t);
                let [f, constant] = drift(noisy.terms(t)?, scheduler, t)?;
                let variance = c.alpha * c.alpha * VARIANCE + c.sigma * c.sigma;
                let rate = 2.0 * (c.alpha * c.d_alpha * VARIANCE + c.sigma * c.d_sigma);
                let b = noise(&noisy, t);
                worst.push((2.0 * f * variance + b * b - rate) / (1.0 + rate.abs() + b * b));
                worst.push((f * c.alpha * MEAN + constant - c.d_alpha * MEAN) / (1.0 + b * b));
            }
        }
    }
    Ok(Finding::new(worst.0, ROUNDING, "rounding of numbers over σ²"))
}

/// `wrong` changes a source row before it is walked; i is its number.
fn noisy_samples<R: Real>(wrong: impl Fn(f64, usize) -> f64) -> Result<Finding> {
    const ROWS: usize = 20_000;
    const STEPS: u32 = 50;
    let (scheduler, diffused) = (Scheduler::CondOt, Diffused { scheduler: Scheduler::CondOt, beta: 1.5 });
    let mut rng = Rng::from_seed(30);
    let mut x = Tensor::<R>::zeros(ROWS, 1);
    Source::Normal.fill(&rng.fork(Purpose::Source), 0, &mut x);
    for (i, x) in x.as_mut_slice().iter_mut().enumerate() {
        *x = R::from_f64(wrong(x.to_f64(), i));
    }
    let flow = target()?;
    let velocity = flow.velocity(AffinePath::new(scheduler));
    let rounded = Rounded(&velocity);
    let field = Transformed::new(&rounded, diffused);
    let noise = |t: f64| diffused.noise(t);
    let walk = EulerMaruyama { steps: STEPS, streams: rng.fork(Purpose::Noise), first_row: 0 };
    let end = walk.solve(&field, &noise, &x, 0.0..1.0)?;
    // What the steps make of N(0, 1): a chain of linear maps and noise.
    let (mut mean, mut variance) = (0.0, 1.0);
    let h = 1.0 / f64::from(STEPS);
    for k in 0..STEPS {
        let t = f64::from(k) * h;
        let [f, c] = drift(diffused.terms(t)?, scheduler, t)?;
        mean += h * (f * mean + c);
        variance = (1.0 + h * f).powi(2) * variance + h * diffused.noise(t).powi(2);
    }
    let n = ROWS as f64;
    let values: Vec<f64> = end.as_slice().iter().map(|x| x.to_f64()).collect();
    let found = values.iter().sum::<f64>() / n;
    let spread = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    let z = [(found - mean) / (variance / n).sqrt(), (spread - variance) / (variance * (2.0 / n).sqrt())];
    let largest = z[0].abs().max(z[1].abs());
    let largest = if z[0].is_nan() || z[1].is_nan() { f64::NAN } else { largest };
    let finding = Finding::new(
        largest,
        deviations(2),
        "standard errors of the mean and of the variance of 20,000 rows, false alarm at most 1e-6",
    );
    Ok(finding.with_chart(Chart::histogram(&values, mean, variance)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Fault;
    use super::*;

    /// Another rule for the numbers of a change of scheduler.
    struct Wrong<T, F>(T, F);

    impl<T: Transform, F: Fn(f64, Terms) -> Terms + Sync> Transform for Wrong<T, F> {
        fn terms(&self, t: f64) -> Result<Terms> {
            self.0.terms(t).map(|terms| (self.1)(t, terms))
        }
    }

    fn changed(how: impl Fn(f64, Terms) -> Terms + Sync + Copy) -> Result<Finding> {
        rescheduled::<f64, _>(|from, to| Wrong(Rescheduled { from, to }, how))
    }

    fn coefficients(how: impl Fn(Coefficients) -> Coefficients) -> Result<Finding> {
        derivatives(|scheduler, t| how(scheduler.coefficients(t)))
    }

    fn noisy(how: impl Fn(f64, Terms) -> Terms + Sync + Copy) -> Result<Finding> {
        marginals(|scheduler, beta| Wrong(Diffused { scheduler, beta }, how), |wrong, t| wrong.0.noise(t))
    }

    pub(crate) fn faults() -> Vec<Fault> {
        vec![
            Fault::new("E13", "source and target exchanged", || {
                points::<f64>(|s, t, a, b| sampled::<f64>(s, t, b, a))
            }),
            Fault::new("E13", "t and 1 - t exchanged", || {
                points::<f64>(|s, t, a, b| sampled::<f64>(s, 1.0 - t, a, b))
            }),
            Fault::new("E13", "the sign of the source in the velocity", || {
                points::<f64>(|s, t, a, b| {
                    let c = s.coefficients(t);
                    Ok([c.alpha * b + c.sigma * a, c.d_alpha * b - c.d_sigma * a])
                })
            }),
            Fault::new("E14", "the sign of sigma'", || {
                coefficients(|c| Coefficients { d_sigma: -c.d_sigma, ..c })
            }),
            Fault::new("E14", "alpha' twice", || {
                coefficients(|c| Coefficients { d_alpha: 2.0 * c.d_alpha, ..c })
            }),
            Fault::new("E14", "sigma squared", || {
                coefficients(|c| Coefficients { sigma: c.sigma * c.sigma, ..c })
            }),
            Fault::new("E14", "t and 1 - t exchanged", || derivatives(|s, t| s.coefficients(1.0 - t))),
            Fault::new("E14.inverse", "the ratio the other way round", || {
                inverse(|s, snr| s.snr_inverse(1.0 / snr))
            }),
            Fault::new("E14.inverse", "the ratio of the squares", || {
                inverse(|s, snr| s.snr_inverse(snr * snr))
            }),
            Fault::new("E15", "target and noise exchanged", || {
                let other = |p| match p {
                    Prediction::Velocity => Prediction::Velocity,
                    Prediction::Target => Prediction::Noise,
                    Prediction::Noise => Prediction::Target,
                };
                predictions(|from, to, c| from.convert(other(to), c))
            }),
            Fault::new("E15", "a determinant with the wrong sign", || {
                predictions(|from, to, c| {
                    let linear = from.convert(to, c)?;
                    let flips = from == Prediction::Velocity && to != Prediction::Velocity;
                    Ok(if flips { Linear { of_x: -linear.of_x, of_y: -linear.of_y } } else { linear })
                })
            }),
            Fault::new("E15", "the part of x left out", || {
                predictions(|from, to, c| Ok(Linear { of_x: 0.0, ..from.convert(to, c)? }))
            }),
            Fault::new("E16", "the sign of the score", || {
                score(|from, c| from.score(c).map(|l| Linear { of_x: -l.of_x, of_y: -l.of_y }))
            }),
            Fault::new("E16", "sigma squared below it", || {
                score(|from, c| {
                    from.score(c).map(|l| Linear { of_x: l.of_x / c.sigma, of_y: l.of_y / c.sigma })
                })
            }),
            Fault::new("E16", "the noise itself", || score(|from, c| from.convert(Prediction::Noise, c))),
            Fault::new("E17", "without dt/dr", || {
                changed(|_, terms| Terms { of_field: 1.0 / terms.of_place, ..terms })
            }),
            Fault::new("E17", "x not divided by c", || changed(|_, terms| Terms { of_place: 1.0, ..terms })),
            Fault::new("E17", "the growth of c left out", || {
                changed(|_, terms| Terms { of_x: 0.0, ..terms })
            }),
            Fault::new("E17", "the old time", || changed(|r, terms| Terms { t: r, ..terms })),
            Fault::new("E26", "a bridge without the derivative of its width", || {
                widths::<f64>(|path, t, a, b, e| {
                    [widened::<f64>(path, t, a, b, e)[0], widened::<f64>(path, t, a, b, 0.0)[1]]
                })
            }),
            Fault::new("E26", "the square of the width", || {
                widths::<f64>(|path, t, a, b, e| {
                    let squared = match path.width {
                        Width::Bridge(s) => Width::Bridge(s * s),
                        other => other,
                    };
                    widened::<f64>(path.wide(squared), t, a, b, e)
                })
            }),
            Fault::new("E26", "no least width", || {
                widths::<f64>(|path, t, a, b, e| match path.scheduler {
                    Scheduler::CondOtMin { .. } => widened::<f64>(AffinePath::default(), t, a, b, e),
                    _ => widened::<f64>(path, t, a, b, e),
                })
            }),
            Fault::new("E30", "the whole score", || {
                noisy(|_, terms| Terms {
                    of_x: 2.0 * terms.of_x,
                    of_field: 2.0 * terms.of_field - 1.0,
                    ..terms
                })
            }),
            Fault::new("E30", "no score", || noisy(|_, terms| Terms { of_x: 0.0, of_field: 1.0, ..terms })),
            Fault::new("E30", "the sign of the score", || {
                noisy(|_, terms| Terms { of_x: -terms.of_x, of_field: 2.0 - terms.of_field, ..terms })
            }),
            Fault::new("E30", "noise of another size", || {
                marginals(|scheduler, beta| Diffused { scheduler, beta }, |noisy, t| 2.0 * noisy.noise(t))
            }),
            Fault::new("E30.samples", "a source of standard deviation 2", || {
                noisy_samples::<f64>(|x, _| 2.0 * x)
            }),
            Fault::new("E30.samples", "every row the same source", || noisy_samples::<f64>(|_, _| 0.5)),
        ]
    }
}
