//! Claims about the network of a model: its gradient, its derivatives, its flow, the mass of its density and its loss.
//!
//! # Math
//! Derivatives are held against differences as in `network.rs`. The flow and the mass have bounds that are measured beside them: what
//! a solver with a tolerance [`LOOSER`] times as large changes is more than its error, which falls with the tolerance.
//!
//! The mass is summed over the images of equal cells of the source, so that there are many where the density is high, however
//! uneven it is: psi_1 is a bijection (E1), and what is not in them is what N(0, I) has outside of its cells. The mean of the corners
//! times the size of a cell is wrong by O(h²): what cells three times as wide change is eight times that, of which half is the bound.
//!
//! For any field v, at any time, E |v - dX_t|² = E |v - u|² + V with u the true field of a finite target (E12, E20).
//!
//! # Limits
//! More than 500 lines, half of them the faults that its claims find.
//!
//! Everything is computed in the units that the network works in, along the path that samples take. What cannot be said about
//! a model is listed with the reason, never passed.

use std::ops::Range;

use crate::closed_form::{EmpiricalField, GaussianBaseline, Residual};
use crate::coupling::Coupling;
use crate::error::Result;
use crate::estimate::Estimate;
use crate::field::{DifferentiableField, VectorField};
use crate::flow::Flow;
use crate::kernel::Real;
use crate::likelihood::{Divergence, log_density};
use crate::nn::Mlp;
use crate::objective::{Objective, TimeSampling, TimeWeight};
use crate::ode::Solver;
use crate::path::{AffinePath, PathSample, Prediction, Width};
use crate::rng::{Purpose, Rng, Streams};
use crate::source::Source;
use crate::tensor::Tensor;

use super::chart::{Axis, Chart, Mark, Series};
use super::claim::{Claim, Finding, Place, Precision};
use super::deviations;
use super::network::{
    DIVERGENCE, GRADIENT, ROUNDINGS, ROWS, SEED, TANGENT, divergence, gradient_is_slope, is_kinked, transpose,
};

const INVERSE: Place = Place::of("src/flow.rs", include_str!("../flow.rs"), "// E2");
const MASS: Place = Place::of("src/likelihood/mod.rs", include_str!("../likelihood/mod.rs"), "// E21");
const LOSS: Place =
    Place::of("src/closed_form/empirical.rs", include_str!("../closed_form/empirical.rs"), "// E20");

/// Times at which derivatives and losses are looked at: some paths have infinite velocities at their ends.
const TIMES: Range<f64> = 0.02..0.98;

/// By how much a tolerance is made larger, to see what the solver's error is.
pub(super) const LOOSER: f64 = 100.0;

/// Steps of a row: a flow that is so stiff that these are not enough is said to be, and does not take minutes.
const MOST_STEPS: u32 = 2000;

/// Rows of which the flow is inverted.
const SAMPLES: usize = 256;

/// Cells along each dimension, by the number of dimensions, each a multiple of [`COARSER`]: the finer where the coarser leave too much open.
const CELLS: [&[usize]; 3] = [&[], &[1998], &[159, 399]];

/// What cells may leave open of a mass before finer ones are taken: a tenth of [`WIDEST`].
const UNRESOLVED: f64 = 0.01;

/// By how much cells are made wider, to see what their error is.
const COARSER: usize = 3;

/// The cells of the source fill the box from -r to r.
const RADIUS: f64 = 5.0;

/// The widest bound of a mass, and of what comes back, that refutes something. A density that lacks its log-determinant, or has it twice, is off by more;
/// one that the cells cannot resolve has a bound above that, of 1 or of 100, and is not said to hold.
const WIDEST: f64 = 0.1;

/// The mass of N(0, I) outside of that box, by the number of dimensions: 2 Phi(-5) for each.
const TAILS: [f64; 3] = [0.0, 5.8e-7, 1.16e-6];

/// Times and pairs that are drawn for the loss.
const DRAWS: usize = 16_384;

/// Of which so many are asked for together.
const DRAWS_AT_ONCE: usize = 1024;

/// The claims about a model. `data`, [N, d] in the units of its data, are rows whose true field its loss is held against: those
/// that it was trained on, or others.
///
/// # Errors
/// [`Error::Dimension`](crate::Error::Dimension) and [`Error::NotFinite`](crate::Error::NotFinite) if the data are not of its columns.
///
/// # Example
/// ```
/// use pushforward::audit::{Precision, Verdict, model_claims};
/// use pushforward::{AffinePath, Flow, Mlp, Rng, Source};
///
/// let flow = Flow::new(Mlp::new(2, &[8], &mut Rng::from_seed(0))?, AffinePath::default(), Source::Normal);
/// for claim in model_claims(&flow, None)? {
///     assert_ne!(claim.check(Precision::F64).verdict, Verdict::Fail);
/// }
/// # Ok::<(), pushforward::Error>(())
/// ```
pub fn model_claims<'a>(flow: &'a Flow, data: Option<&Tensor<f64>>) -> Result<Vec<Claim<'a>>> {
    let network = flow.velocity();
    let kinked = is_kinked(network.shape().activation);
    Ok(vec![
        Claim::new(
            "model.gradient",
            "dL/dθ by the tape = (L(θ + h v) − L(θ − h v))/(2 h)",
            "the gradient of the loss it was trained with, along random directions, against central differences",
            GRADIENT,
            move |real| match real {
                Precision::F32 => gradient(flow, network).map(|finding| over_kinks(finding, kinked)),
                Precision::F64 => gradient(flow, &network.cast::<f64>()),
            },
        ),
        Claim::new(
            "model.tangents",
            "⟨w, J v⟩ = ⟨J^T w, v⟩",
            "forward against reverse derivatives of its velocity",
            TANGENT,
            move |real| {
                let flow = with_rows(flow, ROWS)?;
                // What a prediction and a change of scheduler add. // E15, E17
                let plain = flow.path() == AffinePath::new(flow.scheduler()).wide(flow.path().width);
                let c = |t| flow.scheduler().coefficients(t);
                let rates = |t| (c(t).d_sigma / c(t).sigma).abs() + (c(t).d_alpha / c(t).alpha).abs();
                let linear = |t| if plain { 0.0 } else { rates(t) };
                match real {
                    Precision::F32 => {
                        flow.with_field(network, |field| transpose(field, &points(field.dim())?, linear))
                    }
                    Precision::F64 => flow.with_field(&network.cast::<f64>(), |field| {
                        transpose(field, &points(field.dim())?, linear)
                    }),
                }
            },
        ),
        Claim::new(
            "model.divergence",
            "∇·u = Σ_k (u_k(x + h e_k) − u_k(x − h e_k))/(2 h)",
            "the divergence of its velocity against central differences",
            DIVERGENCE,
            move |real| {
                let flow = with_rows(flow, ROWS)?;
                match real {
                    Precision::F32 => flow
                        .with_field(network, |field| divergence(field, &points(field.dim())?, kinked))
                        .map(|finding| over_kinks(finding, kinked)),
                    Precision::F64 => flow.with_field(&network.cast::<f64>(), |field| {
                        divergence(field, &points(field.dim())?, kinked)
                    }),
                }
            },
        ),
        inverse_claim(flow),
        mass_claim(flow),
        loss_claim(flow, data)?,
    ])
}

/// What differences in f32 find of a network of `kinked` units: their steps of a hundredth lead over many kinks at once.
fn over_kinks(finding: Finding, kinked: bool) -> Finding {
    match kinked {
        true => finding.vague(
            "steps of differences in f32 lead over kinks of its activation; in f64 they are short enough",
        ),
        false => finding,
    }
}

fn inverse_claim(flow: &Flow) -> Claim<'_> {
    let (id, equation) = ("model.inverse", "ψ_1(ψ_1^{−1}(x)) = x");
    let what = "samples sent back to the source and forth again";
    if let Some(why) = no_end(flow) {
        return Claim::unknown(id, equation, what, why);
    }
    let network = flow.velocity();
    Claim::new(id, equation, what, INVERSE, move |real| {
        let flow = with_rows(flow, SAMPLES)?;
        match real {
            Precision::F32 => flow.with_field(network, |field| inverse(field, field)),
            Precision::F64 => flow.with_field(&network.cast::<f64>(), |field| inverse(field, field)),
        }
    })
}

/// Why a solver that asks at both ends of the way gets no answer there, if it does not.
fn no_end(flow: &Flow) -> Option<String> {
    let ask = || {
        let flow = with_rows(flow, 2)?;
        flow.with_field(flow.velocity(), |field| {
            let (x, mut u) = (Tensor::zeros(2, field.dim()), Tensor::zeros(2, field.dim()));
            field.worker(2).eval(&[0.0, 1.0], &x, &mut u)
        })
    };
    let why = ask().err()?.to_string();
    Some(format!(
        "its velocity has no value at an end of the way, where a solver with a known error asks: {why}"
    ))
}

fn mass_claim(flow: &Flow) -> Claim<'_> {
    let (id, equation) = ("model.mass", "∫ p_1(x) dx = 1");
    let what = "the density summed over the cells that those of a box around N(0, I) are carried to";
    let (network, d) = (flow.velocity(), flow.velocity().shape().dim);
    if flow.source() != Source::Normal {
        return Claim::unknown(
            id,
            equation,
            what,
            "a source of data has no density that is known, nor has what it is carried to",
        );
    }
    if d >= CELLS.len() {
        let why = format!("its {d} dimensions are too many for cells: this is done in one and in two");
        return Claim::unknown(id, equation, what, why);
    }
    if let Some(why) = no_end(flow) {
        return Claim::unknown(id, equation, what, why);
    }
    Claim::new(id, equation, what, MASS, move |real| {
        // One condition for all rows: that of the first sample.
        let one = flow.draw_conditions(0..1, conditions())?;
        let over = |cells: usize| {
            let n = (cells + 1).pow(if d == 1 { 1 } else { 2 });
            let of_one = match &one {
                None => flow.clone(),
                Some(one) => flow.given(&Tensor::from_vec(one.as_slice().repeat(n), n, one.cols())?, 1.0)?,
            };
            match real {
                Precision::F32 => of_one.with_field(network, |field| mass(field, cells)),
                Precision::F64 => of_one.with_field(&network.cast::<f64>(), |field| mass(field, cells)),
            }
        };
        let mut summed = over(CELLS[d][0])?;
        for &finer in &CELLS[d][1..] {
            if summed.unresolved > UNRESOLVED {
                summed = over(finer)?;
            }
        }
        Ok(summed.finding)
    })
}

fn loss_claim<'a>(flow: &'a Flow, data: Option<&Tensor<f64>>) -> Result<Claim<'a>> {
    let (id, equation) = ("model.loss", "L_CFM = L_FM + V");
    let what = "its loss on given rows against the floor V and the distance to their true field (E12, E20)";
    if let Some(data) = data {
        let remedy = "give rows of the columns that the model was trained on";
        data.check_cols("columns of the data", flow.dim(), remedy)?;
        data.check_finite("the data", "leave such rows out")?;
    }
    let coupling = flow.record().map_or(Coupling::Independent, |record| record.coupling);
    let why = if flow.source() != Source::Normal {
        "the true field is known for the source `normal` alone".to_owned()
    } else if coupling != Coupling::Independent {
        format!("the true field is known for the coupling `independent` alone: this one has {coupling}")
    } else if flow.path().width != Width::None {
        format!(
            "the true field is known for paths without noise on the way: this one has {}",
            flow.path().width
        )
    } else if flow.conditions().is_some() {
        "the true field is known for models without conditions alone".to_owned()
    } else if data.is_none() {
        "no rows were given to have a true field: give them (`--data`)".to_owned()
    } else {
        String::new()
    };
    let Some(data) = data.filter(|_| why.is_empty()) else {
        return Ok(Claim::unknown(id, equation, what, why));
    };
    let z_1 = flow.standardize().to_model(data)?;
    let exact = EmpiricalField::new(&z_1, AffinePath::new(flow.scheduler()))?;
    let network = flow.velocity();
    Ok(Claim::new(id, equation, what, LOSS, move |real| match real {
        Precision::F32 => flow.with_field(network, |field| loss_and_floor(field, field, &exact)),
        Precision::F64 => {
            flow.with_field(&network.cast::<f64>(), |field| loss_and_floor(field, field, &exact))
        }
    }))
}

/// Where the conditions of rows are drawn from.
fn conditions() -> Streams {
    Rng::from_seed(SEED).fork(Purpose::Source)
}

/// The flow for so many rows: with conditions, if it has them.
fn with_rows(flow: &Flow, rows: usize) -> Result<Flow> {
    match flow.draw_conditions(0..rows, conditions())? {
        None => Ok(flow.clone()),
        Some(drawn) => flow.given(&drawn, 1.0),
    }
}

/// Times, each in [`TIMES`] and such as R has.
fn times<R: Real>(rows: usize) -> Vec<f64> {
    let mut stream = Rng::from_seed(SEED).fork(Purpose::Batch).stream(0);
    let time = |_| R::from_f64(TIMES.start + (TIMES.end - TIMES.start) * stream.uniform()).to_f64();
    (0..rows).map(time).collect()
}

/// [`ROWS`] points and times of a path between normal rows of dimension d.
fn on_path<R: Real>(path: AffinePath, d: usize) -> Result<PathSample<R>> {
    let rng = Rng::from_seed(SEED);
    let drawn = |mut rng: Rng, purpose| {
        let mut x = Tensor::zeros(ROWS, d);
        Source::Normal.fill(&rng.fork(purpose), 0, &mut x);
        x
    };
    let (x_0, x_1) = (drawn(rng.clone(), Purpose::Source), drawn(rng.clone(), Purpose::Data));
    let mut sample = path.sample(x_0, x_1, times::<R>(ROWS))?;
    if path.width != Width::None {
        let noise = drawn(rng, Purpose::Noise);
        for i in 0..ROWS {
            path.widen(sample.t[i], noise.row(i), sample.x_t.row_mut(i), sample.dx_t.row_mut(i));
        }
    }
    Ok(sample)
}

/// Points at which a velocity in d dimensions is asked for its derivatives.
fn points<R: Real>(d: usize) -> Result<PathSample<R>> {
    on_path(AffinePath::default(), d)
}

/// That the gradient of the loss that a flow was trained with is its slope. // E11
fn gradient<R: Real>(flow: &Flow, network: &Mlp<R>) -> Result<Finding> {
    let (path, weight) = (flow.path(), flow.record().map_or(TimeWeight::None, |record| record.weight));
    let sample = on_path::<R>(path, network.dim())?;
    let given = match (flow.conditions(), flow.draw_conditions(0..ROWS, conditions())?) {
        (Some(conditions), Some(drawn)) => Some(conditions.encode(&drawn)?.cast::<R>()),
        _ => None,
    };
    let mut objective =
        Objective::new(network.shape(), path, flow.source()).timed(TimeSampling::Uniform, weight);
    if let Some(baseline) = flow.baseline() {
        objective = objective.beside(baseline.clone(), network.weights().simd())?;
    }
    let (_, gradient) = objective.gradient_given(network.weights(), &sample, given.as_ref());
    gradient_is_slope(network, &gradient, |moved| {
        loss(moved, flow.baseline(), path, weight, &sample, given.as_ref())
    })
}

/// E11 of a network with a prediction and a weight, and what it adds to, by its definition.
fn loss<R: Real>(
    network: &Mlp<R>,
    baseline: Option<&GaussianBaseline>,
    path: AffinePath,
    weight: TimeWeight,
    sample: &PathSample<R>,
    given: Option<&Tensor<R>>,
) -> Result<f64> {
    let mut y = Tensor::zeros(ROWS, network.dim());
    let t = sample.times();
    let conditional = given.map(|given| network.given(given)).transpose()?;
    let field: &dyn VectorField<R> = conditional.as_ref().map_or(network, |field| field);
    match baseline {
        None => field.eval(&t, &sample.x_t, &mut y)?,
        Some(baseline) => Residual::new(field, baseline, path.scheduler, network.weights().simd()).eval(
            &t,
            &sample.x_t,
            &mut y,
        )?,
    }
    let learnt = match path.prediction {
        Prediction::Velocity => &sample.dx_t,
        Prediction::Target => &sample.x_1,
        Prediction::Noise => &sample.x_0,
    };
    let error = |i: usize| -> f64 {
        let squares = y.row(i).iter().zip(learnt.row(i)).map(|(y, x)| (y.to_f64() - x.to_f64()).powi(2));
        weight.factor(path.prediction, path.coefficients(sample.t[i])) * squares.sum::<f64>()
    };
    Ok((0..ROWS).map(error).sum::<f64>() / ROWS as f64)
}

/// A solver for a type of number: its tolerance is some hundred times the rounding of a network's answer.
pub(super) fn solver<R: Real>(times: f64) -> Solver {
    let tolerance = times * if R::ROUNDOFF < 1e-10 { 1e-8 } else { 1e-5 };
    Solver::dopri5().tolerance(tolerance).max_steps(MOST_STEPS)
}

/// That the flow of `back` from 1 to 0 is undone by the flow of `forth` from 0 to 1. // E1
fn inverse<R, F>(back: &F, forth: &F) -> Result<Finding>
where
    R: Real,
    F: VectorField<R> + ?Sized,
{
    let (tight, loose) = (solver::<R>(1.0), solver::<R>(LOOSER));
    let mut x_0 = Tensor::<R>::zeros(SAMPLES, back.dim());
    Source::Normal.fill(&Rng::from_seed(SEED).fork(Purpose::Source), 0, &mut x_0);
    let x_1 = tight.solve(forth, &x_0, 0.0..1.0)?.x;
    let by = |solver: &Solver| tight.solve(forth, &solver.solve(back, &x_1, 1.0..0.0)?.x, 0.0..1.0);
    let (again, around) = (by(&tight)?.x, by(&loose)?.x);
    let other = loose.solve(forth, &x_0, 0.0..1.0)?.x;
    let largest = |of: &dyn Fn(usize) -> f64| {
        (0..x_1.as_slice().len()).map(of).fold(0.0, |a: f64, b| if b > a || b.is_nan() { b } else { a })
    };
    let off = |a: &Tensor<R>, b: &Tensor<R>, i: usize| {
        let size = 1.0 + x_1.as_slice()[i].to_f64().abs();
        (a.as_slice()[i].to_f64() - b.as_slice()[i].to_f64()).abs() / size
    };
    let allowed = largest(&|i| off(&x_1, &other, i)) + largest(&|i| off(&again, &around, i));
    let from = format!(
        "what dopri5 with a tolerance {LOOSER} times as large changes forth, and back and forth, and {ROUNDINGS} roundings; relative to 1 + |x|"
    );
    let (measured, bound) = (largest(&|i| off(&x_1, &again, i)), allowed + ROUNDINGS * R::ROUNDOFF);
    let finding = Finding::new(measured, bound, from);
    if bound > WIDEST && finding.holds() {
        let why = format!(
            "rows come back off by {measured:.1e}, and the solver is not known better than {bound:.1e}: the way is too steep for that tolerance to refute anything"
        );
        return Ok(finding.vague(why));
    }
    Ok(finding)
}

/// The mass of a density, and how much of it the width of the cells leaves open.
struct Mass {
    finding: Finding,
    unresolved: f64,
}

/// That the density of the flow, in one or two dimensions, sums to 1 over the cells that those of the source are carried to, `n` along
/// each dimension. // E21
fn mass<R, F>(field: &F, n: usize) -> Result<Mass>
where
    R: Real,
    F: DifferentiableField<R> + ?Sized,
{
    let d = field.dim();
    let (tight, loose) = (solver::<R>(10.0), solver::<R>(10.0 * LOOSER));
    let side = n + 1;
    let places = |i: usize| [i % side, i / side];
    let nodes = if d == 1 { side } else { side * side };
    let z = (0..nodes).flat_map(|i| (0..d).map(move |j| (i, j)));
    let z = z.map(|(i, j)| RADIUS * (2.0 * places(i)[j] as f64 / n as f64 - 1.0)).collect();
    let x = tight.solve(field, &Tensor::from_vec(z, nodes, d)?.cast::<R>(), 0.0..1.0)?.x;
    let few: Vec<usize> = (0..nodes).filter(|&i| places(i)[..d].iter().all(|k| k % COARSER == 0)).collect();
    let densities = |x: &Tensor<R>, solver: &Solver| -> Result<Vec<f64>> {
        let mut rng = Rng::from_seed(SEED); // the exact divergence draws nothing
        let scores = log_density(field, Source::Normal, x, Divergence::Exact, solver, &mut rng)?;
        Ok(scores.log_density.iter().map(|log_p| log_p.exp()).collect())
    };
    let fine = densities(&x, &tight)?;
    let some = few.iter().flat_map(|&i| x.row(i).to_vec()).collect();
    let mut loosely = vec![0.0; nodes];
    let found = densities(&Tensor::from_vec(some, few.len(), d)?, &loose)?;
    few.iter().zip(found).for_each(|(&i, p)| loosely[i] = p);
    // Cells whose sides are `step` nodes apart: the mean of `p` over the corners of each, times its size.
    let at = |i: usize, j: usize| x.row(i)[j].to_f64();
    let of_cells = |step: usize, p: &dyn Fn(usize) -> f64| -> Vec<f64> {
        let of_cell = |a: usize| match d {
            1 => (p(a) + p(a + step)) / 2.0 * (at(a + step, 0) - at(a, 0)),
            _ => {
                let (b, c, e) = (a + step, a + step + step * side, a + step * side);
                let diagonals = (at(c, 0) - at(a, 0)) * (at(e, 1) - at(b, 1))
                    - (at(e, 0) - at(b, 0)) * (at(c, 1) - at(a, 1));
                (p(a) + p(b) + p(c) + p(e)) / 4.0 * diagonals / 2.0
            }
        };
        let begins = |a: &usize| places(*a)[..d].iter().all(|k| k % step == 0 && *k < n);
        (0..nodes).filter(begins).map(of_cell).collect()
    };
    let sum_of = |step: usize, p: &dyn Fn(usize) -> f64| of_cells(step, p).iter().sum::<f64>();
    let sum = sum_of(1, &|i| fine[i]);
    let cells = (sum - sum_of(COARSER, &|i| fine[i])).abs() / 2.0;
    // psi_1 turns nothing round: what cells that lie on their backs take away is what they cannot resolve.
    let folded = of_cells(1, &|i| fine[i]).iter().map(|p| p.abs()).sum::<f64>() - sum;
    let solved = sum_of(COARSER, &|i| (fine[i] - loosely[i]).abs()).abs();
    let from = format!(
        "half of what cells {COARSER} times as wide change, {cells:.1e}; what a tolerance {LOOSER} times as large changes, {solved:.1e}; folded cells, {folded:.1e}; N(0, I) beyond {RADIUS}, {:.1e}; {ROUNDINGS} roundings",
        TAILS[d]
    );
    let unresolved = cells + folded;
    let bound = unresolved + solved + TAILS[d] + ROUNDINGS * R::ROUNDOFF;
    let finding = Finding::new((sum - 1.0).abs(), bound, from);
    if bound > WIDEST {
        let why = format!(
            "its sum over {} cells is {sum:.4} give or take {bound:.1e}, {cells:.1e} by the cells, {folded:.1e} of them folded, and {solved:.1e} by the solver: they do not resolve a density as steep as this one, and too wide a bound refutes nothing",
            if d == 1 { n } else { n * n }
        );
        return Ok(Mass { finding: finding.vague(why), unresolved });
    }
    if d != 1 {
        return Ok(Mass { finding, unresolved });
    }
    let points = fine.iter().enumerate().map(|(k, p)| (at(k, 0), *p)).collect();
    let finding = finding.with_chart(Chart {
        x: Axis::linear("x"),
        y: Axis::linear("density"),
        series: vec![Series { name: "p_1".into(), mark: Mark::Line, points }],
    });
    Ok(Mass { finding, unresolved })
}

/// That the loss of `trained` is the floor of the points, and the distance of `compared` to their true field. // E12
fn loss_and_floor<R, F>(trained: &F, compared: &F, exact: &EmpiricalField) -> Result<Finding>
where
    R: Real,
    F: VectorField<R> + ?Sized,
{
    let (path, d, points) = (exact.path(), exact.dim(), exact.points());
    let mut rng = Rng::from_seed(SEED);
    let mut x_0 = Tensor::<R>::zeros(DRAWS, d);
    Source::Normal.fill(&rng.fork(Purpose::Source), 0, &mut x_0);
    let mut picked = rng.fork(Purpose::Data).stream(0);
    let x_1 = (0..DRAWS).flat_map(|_| points.row(picked.below(points.rows())).to_vec()).collect();
    let x_1 = Tensor::from_vec(x_1, DRAWS, d)?;
    let drawn = path.sample(x_0, x_1.cast::<R>(), times::<R>(DRAWS))?;
    let mut numbers = [const { Vec::new() }; 4];
    for first in (0..DRAWS).step_by(DRAWS_AT_ONCE) {
        let rows = first..first + DRAWS_AT_ONCE;
        let (t, x) = (&drawn.t[rows.clone()], drawn.x_t.slice_rows(rows));
        let in_r: Vec<R> = t.iter().map(|&t| R::from_f64(t)).collect();
        let mut v = [Tensor::zeros(x.rows(), d), Tensor::zeros(x.rows(), d)];
        trained.eval(&in_r, &x, &mut v[0])?;
        compared.eval(&in_r, &x, &mut v[1])?;
        let (x, mut u) = (x.cast::<f64>(), Tensor::zeros(x.rows(), d));
        exact.eval(t, &x, &mut u)?;
        let variance = exact.targets(t, &x)?.variance;
        for i in 0..t.len() {
            let (mut loss, mut excess) = (0.0, 0.0);
            for j in 0..d {
                loss += (v[0].row(i)[j].to_f64() - drawn.dx_t.row(first + i)[j].to_f64()).powi(2);
                excess += (v[1].row(i)[j].to_f64() - u.row(i)[j]).powi(2);
            }
            let c = path.coefficients(t[i]);
            let floor = ((c.d_alpha * c.sigma - c.alpha * c.d_sigma) / c.sigma).powi(2) * variance[i];
            for (numbers, x) in numbers.iter_mut().zip([loss, excess, floor, loss - excess - floor]) {
                numbers.push(x);
            }
        }
    }
    let [loss, excess, floor, residual] = numbers.map(|numbers| Estimate::of(&numbers));
    let times = deviations(1);
    let from = format!(
        "{times:.2} standard errors of {DRAWS} draws, t from {} to {}; L_CFM = {:.4}, L_FM = {:.4}, V = {:.4}",
        TIMES.start, TIMES.end, loss.mean, excess.mean, floor.mean
    );
    let bound = times * residual.standard_error + ROUNDINGS * R::ROUNDOFF * loss.mean;
    Ok(Finding::new(residual.mean.abs(), bound, from))
}

#[cfg(test)]
mod tests {
    use super::super::network::tests::{What, Wrong};
    use super::super::{Fault, Verdict};
    use super::*;
    use crate::data::{ConditionColumn, ConditionKind, Conditions, Standardize, toy};
    use crate::kernel::Activation;
    use crate::nn::MlpShape;
    use crate::path::{Scheduler, Transformed};
    use crate::train::Trainer;

    const IDS: [&str; 6] =
        ["model.gradient", "model.tangents", "model.divergence", "model.inverse", "model.mass", "model.loss"];

    fn network(d: usize) -> Mlp<f32> {
        Mlp::new(d, &[16, 16], &mut Rng::from_seed(3)).unwrap()
    }

    fn flow(d: usize, path: AffinePath) -> Flow {
        Flow::new(network(d), path, Source::Normal)
    }

    fn data(d: usize) -> Tensor<f64> {
        let mut x = Tensor::<f64>::zeros(200, d);
        Source::Normal.fill(&Rng::from_seed(8).fork(Purpose::Data), 0, &mut x);
        x.as_mut_slice().iter_mut().for_each(|x| *x = 0.5 * x.signum() + 0.2 * *x);
        x
    }

    /// A path whose noise prediction no network of random weights fits: its density is in spikes, and sums to 2028 over the cells.
    fn spiky() -> AffinePath {
        AffinePath::new(Scheduler::Polynomial { n: 2.0 }).predicting(Prediction::Noise)
    }

    #[test]
    fn a_density_that_cells_cannot_resolve_is_not_said_to_have_a_mass() {
        let network = moved(1, 1.0);
        let finding =
            flow(1, spiky()).with_field(&network, |field| mass(field, CELLS[1][0])).unwrap().finding;
        assert!(finding.holds() && finding.measured > 1.0 && finding.bound > WIDEST, "{finding:?}");
        assert!(finding.vague.is_some_and(|why| why.contains("too wide a bound")));
    }

    /// A network whose parameters are a little larger.
    fn moved(d: usize, factor: f64) -> Mlp<f64> {
        let network = network(d).cast::<f64>();
        let parameters = network.parameters().iter().map(|p| factor * p).collect();
        Mlp::from_parameters(network.shape().clone(), parameters).unwrap()
    }

    fn wrong(d: usize, what: What) -> Wrong {
        Wrong { network: network(d).cast(), what }
    }

    fn exact(x_1: &Tensor<f64>) -> Result<EmpiricalField> {
        EmpiricalField::new(x_1, AffinePath::default())
    }

    /// The loss as the gradient of another one: along another path, or for another prediction.
    fn other_gradient(trained: AffinePath, other: AffinePath) -> Result<Finding> {
        let network = network(2).cast::<f64>();
        let sample = on_path(trained, 2)?;
        let objective = Objective::new(network.shape(), other, Source::Normal);
        let (_, gradient) = objective.gradient(network.weights(), &sample);
        gradient_is_slope(&network, &gradient, |moved| {
            loss(moved, None, trained, TimeWeight::None, &sample, None)
        })
    }

    fn faults() -> Vec<Fault> {
        let target = AffinePath::default().predicting(Prediction::Target);
        vec![
            Fault::new("model.gradient", "the velocity is learnt where the target should be", move || {
                other_gradient(target, AffinePath::default())
            }),
            Fault::new("model.gradient", "the target is learnt where the velocity should be", move || {
                other_gradient(AffinePath::default(), target)
            }),
            Fault::new("model.tangents", "the sign of the reverse mode", || {
                transpose(&wrong(3, What::ReverseSign), &points(3)?, |_| 0.0)
            }),
            Fault::new("model.tangents", "a prediction whose derivative is that of another time", || {
                let network = network(2).cast::<f64>();
                let of = |prediction| crate::path::Predicted { prediction, scheduler: Scheduler::CondOt };
                let forward = Transformed::new(&network, of(Prediction::Target));
                let reverse = Transformed::new(&network, of(Prediction::Noise));
                transpose(&Torn { forward: &forward, reverse: &reverse }, &points(2)?, |t| {
                    1.0 / t + 1.0 / (1.0 - t)
                })
            }),
            Fault::new("model.divergence", "a trace without its last term", || {
                divergence(&wrong(3, What::LostDimension), &points(3)?, false)
            }),
            Fault::new("model.divergence", "twice the divergence", || {
                divergence(&wrong(2, What::DoubledDivergence), &points(2)?, false)
            }),
            Fault::new("model.inverse", "the way back by a network a thousandth larger", || {
                inverse(&moved(2, 1.001), &moved(2, 1.0))
            }),
            Fault::new("model.inverse", "the way back along another path", || {
                let network = network(2).cast::<f64>();
                let of = |scheduler| crate::path::Predicted { prediction: Prediction::Noise, scheduler };
                let (back, forth) = (
                    Transformed::new(&network, of(Scheduler::Cosine)),
                    Transformed::new(&network, of(Scheduler::CondOt)),
                );
                let (back, forth): (&dyn VectorField<f64>, &dyn VectorField<f64>) = (&back, &forth);
                inverse(back, forth)
            }),
            Fault::new("model.mass", "twice the divergence, in one dimension", || {
                mass(&wrong(1, What::DoubledDivergence), CELLS[1][0]).map(|mass| mass.finding)
            }),
            Fault::new("model.mass", "twice the divergence, in two dimensions", || {
                mass(&wrong(2, What::DoubledDivergence), CELLS[2][0]).map(|mass| mass.finding)
            }),
            Fault::new("model.loss", "the loss of a network that is a twentieth larger", || {
                loss_and_floor(&moved(2, 1.05), &moved(2, 1.0), &exact(&data(2))?)
            }),
            Fault::new("model.loss", "a distance without half of the network", || {
                loss_and_floor(&moved(2, 1.0), &moved(2, 0.5), &exact(&data(2))?)
            }),
        ]
    }

    /// A field whose reverse mode is that of another one.
    struct Torn<'a> {
        forward: &'a dyn DifferentiableField<f64>,
        reverse: &'a dyn DifferentiableField<f64>,
    }

    struct TornWorker<'a>(
        Box<dyn crate::field::DifferentialWorker<f64> + 'a>,
        Box<dyn crate::field::DifferentialWorker<f64> + 'a>,
    );

    impl VectorField<f64> for Torn<'_> {
        fn dim(&self) -> usize {
            self.forward.dim()
        }
        fn eval(&self, t: &[f64], x: &Tensor<f64>, u: &mut Tensor<f64>) -> Result<()> {
            self.forward.eval(t, x, u)
        }
    }

    impl DifferentiableField<f64> for Torn<'_> {
        fn differential_worker(
            &self,
            rows: usize,
            tangents: usize,
        ) -> Box<dyn crate::field::DifferentialWorker<f64> + '_> {
            let (forward, reverse) = (self.forward, self.reverse);
            Box::new(TornWorker(
                forward.differential_worker(rows, tangents),
                reverse.differential_worker(rows, tangents),
            ))
        }
    }

    impl crate::field::Worker<f64> for TornWorker<'_> {
        fn eval(&mut self, t: &[f64], x: &Tensor<f64>, u: &mut Tensor<f64>) -> Result<()> {
            self.0.eval(t, x, u)
        }
    }

    impl crate::field::DifferentialWorker<f64> for TornWorker<'_> {
        fn jvp(
            &mut self,
            t: &[f64],
            x: &Tensor<f64>,
            d_x: &Tensor<f64>,
            u: &mut Tensor<f64>,
            d_u: &mut Tensor<f64>,
        ) -> Result<()> {
            self.0.jvp(t, x, d_x, u, d_u)
        }
        fn vjp(
            &mut self,
            t: &[f64],
            x: &Tensor<f64>,
            w: &Tensor<f64>,
            u: &mut Tensor<f64>,
            d_x: &mut Tensor<f64>,
        ) -> Result<()> {
            self.1.vjp(t, x, w, u, d_x)
        }
    }

    #[test]
    fn every_claim_about_a_model_can_fail() {
        let faults = faults();
        for id in IDS {
            assert!(faults.iter().any(|fault| fault.claim == id), "{id} has no fault");
        }
        for fault in faults {
            assert!(IDS.contains(&fault.claim));
            let finding = (fault.check)().unwrap();
            assert!(!finding.holds(), "{}: {} was not found: {finding:?}", fault.claim, fault.what);
        }
    }

    /// What is wrong with the verdicts, which are these in the order of [`IDS`].
    fn wrongs(name: &str, flow: &Flow, data: Option<&Tensor<f64>>, built: [bool; 6]) -> Vec<String> {
        let claims = model_claims(flow, data).unwrap();
        assert_eq!(claims.iter().map(|claim| claim.id).collect::<Vec<_>>(), IDS);
        let mut wrongs = vec![];
        for (claim, built) in claims.iter().zip(built) {
            for real in [Precision::F64, Precision::F32] {
                let outcome = claim.check(real);
                // In f32 the solver alone may leave a mass too uncertain.
                let vague = ["model.mass", "model.inverse"].contains(&claim.id)
                    && real == Precision::F32
                    && outcome.error.as_deref().is_some_and(|why| why.contains("refute"));
                let built = built && !vague;
                let wanted = if built { Verdict::Pass } else { Verdict::NotBuilt };
                // What is not built says why.
                if outcome.verdict != wanted || outcome.error.is_some() == built {
                    let numbers = outcome.finding.map(|f| (f.measured, f.bound, f.from));
                    wrongs.push(format!("{name}: {} {real} {numbers:?} {:?}", claim.id, outcome.error));
                }
            }
        }
        wrongs
    }

    #[test]
    fn a_model_of_any_path_holds_its_claims() {
        let mut wrong = vec![];
        let mut check = |name: &str, flow: &Flow, data: Option<&Tensor<f64>>, built| {
            wrong.extend(wrongs(name, flow, data, built));
        };
        for prediction in [Prediction::Velocity, Prediction::Target, Prediction::Noise] {
            for word in ["condot", "condot-min:0.1", "polynomial:2", "cosine", "linear-vp", "vp", "ve"] {
                let path = AffinePath::new(word.parse().unwrap()).predicting(prediction);
                let has_mass = path != spiky();
                let built = [true, true, true, true, has_mass, true];
                check(&format!("{prediction} {word}"), &flow(1, path), Some(&data(1)), built);
            }
        }
        let plain = AffinePath::default();
        check("2", &flow(2, plain), Some(&data(2)), [true; 6]);
        check("2, no data", &flow(2, plain), None, [true, true, true, true, true, false]);
        check("3", &flow(3, plain), Some(&data(3)), [true, true, true, true, false, true]);
        let wide = flow(1, plain.wide("constant:0.2".parse().unwrap()));
        check("wide", &wide, Some(&data(1)), [true, true, true, true, true, false]);
        let from_data = flow(2, plain).with_source_units(Standardize::identity(2)).unwrap();
        check("source", &from_data, Some(&data(2)), [true, true, true, true, false, false]);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(model_claims(&flow(2, plain), Some(&data(3))).is_err());
    }

    /// Derivatives of one number that cancel in some rows, and activations with kinks: neither is a fault of the network.
    #[test]
    fn networks_of_one_dimension_and_with_kinks_hold_their_claims() {
        for activation in Activation::ALL {
            for seed in 0..24 {
                let shape =
                    MlpShape { activation, ..MlpShape::new(if seed % 2 == 0 { 1 } else { 2 }, &[32, 32]) };
                let network = Mlp::initialize(shape, &mut Rng::from_seed(seed)).unwrap();
                let flow = Flow::new(network, AffinePath::default(), Source::Normal);
                for claim in model_claims(&flow, None).unwrap().iter().take(3) {
                    for real in [Precision::F64, Precision::F32] {
                        let outcome = claim.check(real);
                        let over =
                            is_kinked(activation) && real == Precision::F32 && claim.id != "model.tangents";
                        let wanted = if over { Verdict::NotBuilt } else { Verdict::Pass };
                        assert_eq!(outcome.verdict, wanted, "{activation} {seed} {}: {outcome:?}", claim.id);
                    }
                }
            }
        }
    }

    /// The faults of derivatives are found in networks with kinks too.
    #[test]
    fn kinks_hide_no_fault() {
        for activation in [Activation::Relu, Activation::Selu] {
            let shape = MlpShape { activation, ..MlpShape::new(3, &[16, 16]) };
            let network: Mlp<f64> = Mlp::<f32>::initialize(shape, &mut Rng::from_seed(3)).unwrap().cast();
            for what in [What::LostDimension, What::DoubledDivergence] {
                let finding =
                    divergence(&Wrong { network: network.clone(), what }, &points(3).unwrap(), true);
                assert!(!finding.unwrap().holds(), "{activation}");
            }
        }
    }

    #[test]
    fn a_trained_model_and_one_with_conditions_hold_their_claims() {
        let mut rng = Rng::from_seed(0);
        let x_1: Tensor<f64> = toy::moons(500, &mut rng);
        let trainer = || Trainer::new(AffinePath::default()).steps(200).batch(64);
        let trained = trainer().fit(Mlp::new(2, &[32, 32], &mut rng).unwrap(), &x_1, &mut rng).unwrap();
        let mut wrong = wrongs("moons", &trained, Some(&x_1), [true; 6]);
        let ot = trainer().coupling(Coupling::ExactOt);
        let ot = ot.fit(Mlp::new(2, &[16], &mut rng).unwrap(), &x_1, &mut rng).unwrap();
        let but_loss = [true, true, true, true, true, false];
        wrong.extend(wrongs("ot", &ot, Some(&x_1), but_loss));

        let values = Tensor::from_vec((0..500).map(|i| x_1.row(i)[0]).collect(), 500, 1).unwrap();
        let column = ConditionColumn { name: "left".into(), kind: ConditionKind::Numeric };
        let conditions = Conditions::fit(vec![column], &values).unwrap();
        let shape = MlpShape { condition: conditions.width(), ..MlpShape::new(2, &[16]) };
        let trainer = trainer().conditions(conditions, values);
        let given = trainer.fit(Mlp::initialize(shape, &mut rng).unwrap(), &x_1, &mut rng).unwrap();
        wrong.extend(wrongs("given", &given, Some(&x_1), but_loss));
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
