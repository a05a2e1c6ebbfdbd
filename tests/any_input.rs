//! Random, wrong and extreme arguments: whatever type-checks gets a value or an error, never a panic, an endless loop or
//! memory for rows that nobody could hold.
//!
//! A slip that a `# Panics` section names (a slice of another length for a kernel, a row that is not there) is not among them.
//! `PROPTEST_CASES=100000` tries that many of each instead of 256.
//!
//! More than 500 lines: every part of the public API has a driver of its own, and together they share the values.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::panic::resume_unwind;
use std::path::Path;
use std::str::FromStr;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use pushforward::audit::Precision;
use pushforward::closed_form::{
    Baseline, EmpiricalField, ExactLoss, GaussianBaseline, GaussianFlow, MixtureFlow, Residual,
    mean_and_covariance,
};
use pushforward::coupling::{Matched, Pairing, Pairs, Sinkhorn, assign, assign_points};
use pushforward::data::{
    Bounds, Column, ConditionColumn, ConditionKind, Conditions, Declared, Header, Kind, Layout, Missing,
    ReadOptions, Schema, Shape, Standardize, Table, TableReader, TableWriter, Toy, read_npy,
};
use pushforward::field::{FnField, Guided, ProbeLaw};
use pushforward::kernel::Activation;
use pushforward::likelihood::{Summary, log_density, log_density_rows};
use pushforward::metrics::{
    Evaluation, Memorisation, PathEnergy, classifier_accuracy, column_distances, energy_distance, exact_w2,
    median_distance, mmd_squared, sliced_w2,
};
use pushforward::nn::{Adam, LrSchedule, MlpShape, TimeEmbedding};
use pushforward::objective::{TimeSampling, TimeWeight, loss};
use pushforward::ode::{AdaptiveIntegration, EulerMaruyama, Integration, Method, Tolerance, Workspace};
use pushforward::path::{Diffused, Predicted, Prediction, Rescheduled, Steered, Transformed, Width};
use pushforward::rng::Purpose;
use pushforward::train::Standardization;
use pushforward::{
    AffinePath, Coupling, DifferentiableField, Divergence, Estimate, Flow, Mlp, Rng, Scheduler, Simd,
    SimdLevel, Solver, Source, Tensor, Trainer, VectorField,
};

/// No case takes a second; one that takes this long does not end.
const ENDLESS: Duration = Duration::from_secs(60);

/// Runs one case; a panic in it is passed on, and one that does not end is a panic.
fn answered(case: impl FnOnce() + Send + 'static) {
    let (tell, told) = channel();
    let running = thread::spawn(move || {
        case();
        // Nobody listens any more only if this took too long.
        let _ = tell.send(());
    });
    match told.recv_timeout(ENDLESS) {
        Err(RecvTimeoutError::Timeout) => panic!("no answer within {ENDLESS:?}"),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            if let Err(panic) = running.join() {
                resume_unwind(panic);
            }
        }
    }
}

/// Numbers of all sizes, and what is none.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => -3.0..3.0,
        1 => prop::sample::select(vec![
            0.0, -0.0, 1.0, -1.0, 0.5, 1e-5, 5e-324, -5e-324, 1e-310, 1e-45, f64::MIN_POSITIVE, f64::EPSILON,
            1e30, -1e30, 3e38, 4e38, 1e154, 1e200, f64::MAX, f64::MIN,
        ]),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
    ]
}

/// Numbers that can be worked with, so that what comes after the first check is reached.
fn tame() -> impl Strategy<Value = f64> {
    prop_oneof![9 => -3.0..3.0, 1 => prop::sample::select(vec![0.0, 1e-310, 1e30, -1e30, 1e-30])]
}

/// Counts, of which the large ones must be refused.
fn count() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 0_usize..5,
        1 => prop::sample::select(vec![
            1 << 40, 1 << 62, (1 << 62) + 1, 1 << 63, usize::MAX / 8, usize::MAX - 1, usize::MAX,
        ]),
    ]
}

fn matrix_of(
    numbers: impl Strategy<Value = f64> + 'static,
    rows: impl Strategy<Value = usize>,
    cols: impl Strategy<Value = usize>,
) -> impl Strategy<Value = Tensor<f64>> {
    let numbers = numbers.boxed();
    (rows, cols).prop_flat_map(move |(rows, cols)| {
        vec(numbers.clone(), rows * cols).prop_map(move |data| Tensor::from_vec(data, rows, cols).unwrap())
    })
}

/// Any small matrix, rows and columns among them that are none.
fn matrix() -> BoxedStrategy<Tensor<f64>> {
    prop_oneof![
        1 => matrix_of(number(), 0_usize..6, 0_usize..4),
        1 => matrix_of(tame(), 0_usize..9, 0_usize..4),
        // As it should be.
        4 => matrix_of(-3.0..3.0, 4_usize..9, 1_usize..3),
        // Rows that repeat.
        1 => (matrix_of(tame(), 1_usize..2, 1_usize..4), 1_usize..5).prop_map(|(row, n)| {
            Tensor::from_vec(row.as_slice().repeat(n), n, row.cols()).unwrap()
        }),
    ]
    .boxed()
}

fn scheduler() -> impl Strategy<Value = Scheduler> {
    prop_oneof![
        2 => Just(Scheduler::CondOt),
        2 => Just(Scheduler::Cosine),
        2 => Just(Scheduler::LinearVp),
        2 => Just(Scheduler::VP),
        2 => Just(Scheduler::VE),
        1 => (0.1..0.9).prop_map(|width| Scheduler::CondOtMin { width }),
        1 => (1.0..4.0).prop_map(|n| Scheduler::Polynomial { n }),
        1 => number().prop_map(|width| Scheduler::CondOtMin { width }),
        1 => number().prop_map(|n| Scheduler::Polynomial { n }),
        1 => (number(), number()).prop_map(|(beta_min, beta_max)| Scheduler::Vp { beta_min, beta_max }),
        1 => number().prop_map(|sigma_max| Scheduler::Ve { sigma_max }),
    ]
}

fn width() -> impl Strategy<Value = Width> {
    prop_oneof![
        8 => Just(Width::None),
        1 => (0.1..1.0).prop_map(Width::Bridge),
        1 => number().prop_map(Width::Constant),
        1 => number().prop_map(Width::Bridge),
    ]
}

fn prediction() -> impl Strategy<Value = Prediction> {
    prop::sample::select(Prediction::ALL.to_vec())
}

fn path() -> impl Strategy<Value = AffinePath> {
    (scheduler(), width(), prediction()).prop_map(|(scheduler, width, prediction)| AffinePath {
        scheduler,
        width,
        prediction,
    })
}

fn coupling() -> impl Strategy<Value = Coupling> {
    prop_oneof![
        3 => Just(Coupling::Independent),
        1 => Just(Coupling::Paired),
        2 => Just(Coupling::ExactOt),
        1 => number().prop_map(|reg| Coupling::Sinkhorn { reg }),
        1 => (0.01..10.0).prop_map(|reg| Coupling::Sinkhorn { reg }),
    ]
}

fn divergence() -> impl Strategy<Value = Divergence> {
    let law = prop::sample::select(vec![ProbeLaw::Rademacher, ProbeLaw::Gaussian]);
    let probes = prop::sample::select(vec![0, 1, 2, 3, 4097, u32::MAX]);
    prop_oneof![
        Just(Divergence::Exact),
        (probes, law).prop_map(|(probes, law)| Divergence::Hutchinson { probes, law }),
    ]
}

fn tolerance() -> impl Strategy<Value = Tolerance> {
    prop_oneof![
        number().prop_map(Tolerance::All),
        (1e-6..1e-2).prop_map(Tolerance::All),
        vec(number(), 0..4).prop_map(Tolerance::Columns),
    ]
}

/// Any settings; the fewest that are allowed are few enough to be over at once.
fn solver() -> impl Strategy<Value = Solver> {
    let maybe = |tolerance| proptest::option::weighted(0.3, tolerance);
    (
        prop::sample::select(Method::ALL.to_vec()),
        proptest::option::of(0_u32..6),
        maybe(tolerance().boxed()),
        maybe(tolerance().boxed()),
        0_u32..200,
        proptest::option::weighted(0.2, number()),
        prop::bool::weighted(0.7),
    )
        .prop_map(|(method, steps, rtol, atol, max_steps, min_step, fitting)| {
            let solver = Solver::new(method);
            let solver = match (fitting, method.is_adaptive()) {
                (true, true) => return solver.max_steps(max_steps.max(1)),
                (true, false) => return solver.steps(steps.unwrap_or(3)),
                _ => solver,
            };
            let mut solver = solver.max_steps(max_steps);
            (solver.steps, solver.rtol, solver.atol, solver.min_step) = (steps, rtol, atol, min_step);
            solver
        })
}

/// A field that answers with whatever is at hand: its numbers grow with those that it is asked at.
fn field(d: usize, slope: f64, offset: f64) -> impl VectorField<f64> {
    FnField::new(d, move |t: f64, x: &[f64], u: &mut [f64]| {
        for (u, x) in u.iter_mut().zip(x) {
            *u = slope * x * t + offset;
        }
    })
}

/// A network of a few units; with the numbers of a condition.
fn network(dim: usize, condition: usize) -> Mlp {
    let shape = MlpShape { condition, ..MlpShape::new(dim, &[5]) };
    Mlp::initialize(shape, &mut Rng::from_seed(1)).unwrap()
}

fn streams(purpose: Purpose) -> pushforward::rng::Streams {
    Rng::from_seed(2).fork(purpose)
}

/// Reads a word; what is understood is said again.
fn word<T: FromStr + ToString>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert!(value.to_string().parse::<T>().is_ok(), "{text:?} is {:?}", value.to_string());
    }
}

/// Texts that are words, nearly words, and none.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        ("(condot|condot-min|polynomial|vp|ve|constant|bridge|sinkhorn|fourier|hutchinson|independent|raw|none)",
            "(:[-+0-9.eEnaif,]{0,12}){0,2}(:gaussian)?")
            .prop_map(|(word, numbers)| word + &numbers),
        "[-+0-9.eE:,naif ]{0,16}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn words(text in text()) {
        answered(move || {
            word::<Activation>(&text);
            word::<Baseline>(&text);
            word::<Bounds>(&text);
            word::<Coupling>(&text);
            word::<Divergence>(&text);
            word::<Kind>(&text);
            word::<LrSchedule>(&text);
            word::<Method>(&text);
            word::<Missing>(&text);
            word::<Precision>(&text);
            word::<Prediction>(&text);
            word::<ProbeLaw>(&text);
            word::<Scheduler>(&text);
            word::<SimdLevel>(&text);
            word::<Source>(&text);
            word::<TimeEmbedding>(&text);
            word::<TimeSampling>(&text);
            word::<TimeWeight>(&text);
            word::<Tolerance>(&text);
            word::<Toy>(&text);
            word::<Width>(&text);
        });
    }

    #[test]
    fn tensors(data in vec(number(), 0..12), rows in count(), cols in count(), at in matrix()) {
        answered(move || {
            if let Ok(x) = Tensor::from_vec(data.clone(), rows, cols) {
                assert_eq!(x.as_slice().len(), x.rows() * x.cols());
            }
            let _ = Tensor::<f32>::from_vec(vec![0.5; data.len()], cols, rows);
            let _ = at.check_finite("x", "mend it");
            let _ = at.check_cols("columns of x", cols, "mend it");
            let mut single = at.cast::<f32>();
            let _ = single.check_finite("x", "mend it");
            let _ = single.slice_rows(0..at.rows());
            single.resize_rows(at.rows() + 3);
            let _ = Tensor::from_rows(&[[f64::NAN; 0]; 3]).check_finite("x", "mend it");
            let _ = (mean_and_covariance(&at), Estimate::of(at.as_slice()));
            let mut summary = Summary::default();
            summary.add(at.as_slice());
            let _ = (summary.mean(), summary.standard_error(), summary.bits_per_dim(at.cols()));
        });
    }

    #[test]
    fn solvers(
        solver in solver(), x in matrix(), d in prop_oneof![3 => Just(None), 1 => (0_usize..4).prop_map(Some)],
        slope in number(), offset in number(), ends in (number(), number()),
        intervals in prop::sample::select(vec![0, 1, 2, 3, u32::MAX]),
        first_row in count(),
    ) {
        answered(move || {
            let field = field(d.unwrap_or(x.cols()), slope, offset);
            let ends = ends.0..ends.1;
            let _ = solver.check();
            let _ = solver.solve(&field, &x, 0.0..1.0);
            let _ = solver.solve(&field, &x, ends.clone());
            let _ = solver.trajectory(&field, &x, ends.clone(), intervals);
            for run in [0.0..1.0, ends.clone()] {
                if let Ok(mut run) = Integration::new(&solver, &field, x.clone(), run.clone()) {
                    while let Ok(false) = run.step() {}
                    let _ = (run.t(), run.stats(), run.carry().len());
                    let _ = run.into_solution();
                }
                if let Ok(mut run) = AdaptiveIntegration::new(&solver, &field, x.clone(), run) {
                    for _ in 0..1000 {
                        if run.step().is_ok_and(|done| done) {
                            break;
                        }
                    }
                    let _ = (run.active(), run.stats());
                    let _ = run.into_solution();
                }
            }
            let walk = EulerMaruyama { steps: intervals.min(4), streams: streams(Purpose::Noise), first_row };
            let _ = walk.solve(&field, &|t| slope * t, &x, 0.0..1.0);
            let _ = walk.trajectory(&field, &|_| offset, &x, ends, intervals);
            let _ = PathEnergy::measure(&field, &x, &solver);
            for rows in [x.rows(), first_row] {
                if let Ok(mut workspace) = Workspace::new(&solver, &field, rows, 0.0..1.0) {
                    let _ = (workspace.solve(&mut x.clone()), workspace.solve(&mut x.clone()));
                }
            }
        });
    }

    #[test]
    fn networks(
        sizes in (count(), count(), count(), 0_usize..3), parameters in vec(number(), 0..40), x in matrix(),
        t in vec(number(), 0..9), out in matrix(), beside in matrix(),
        embedding in prop_oneof![Just(TimeEmbedding::Raw), any::<u32>().prop_map(TimeEmbedding::Fourier)],
    ) {
        answered(move || {
            let mut rng = Rng::from_seed(0);
            let (dim, width, condition, layers) = sizes;
            let _ = Mlp::<f32>::new(dim, &vec![width; layers], &mut rng);
            let shape = MlpShape { condition, time_embedding: embedding, ..MlpShape::new(dim, &vec![width; layers]) };
            let _ = (shape.check(), shape.parameters());
            let small = MlpShape { dim: dim.min(3), hidden: vec![width.min(4); layers], ..shape.clone() };
            let _ = Mlp::from_parameters(shape, parameters.clone());
            let _ = Mlp::from_parameters(small.clone(), parameters);
            for mlp in [Mlp::<f64>::initialize(small, &mut rng), Ok(network(2, 1).cast())].into_iter().flatten() {
                let mut u = out.clone();
                let _ = mlp.eval(&t, &x, &mut u);
                if let Ok(given) = mlp.given(&beside) {
                    let _ = given.eval(&t, &x, &mut u);
                    let _ = Guided::new(&mlp, &given, f64::NAN).eval(&t, &x, &mut u);
                }
                let mut worker = mlp.divergence_worker(2);
                let _ = worker.eval_carry(&t, &x, &mut u, &mut vec![0.0; t.len()]);
                let mut worker = mlp.differential_worker(2, 1);
                let (mut d_u, mut d_x) = (out.clone(), out.clone());
                let _ = worker.jvp(&t, &x, &beside, &mut u, &mut d_u);
                let _ = worker.vjp(&t, &x, &beside, &mut u, &mut d_x);
            }
        });
    }

    #[test]
    fn paths(
        path in path(), other in scheduler(), x_0 in matrix(), x_1 in matrix(), t in vec(number(), 0..6),
        at in number(),
        network_dim in 1_usize..4,
    ) {
        answered(move || {
            let _ = path.check();
            let x_0_kept = x_0.clone();
            let c = path.coefficients(at);
            let _ = (c.determinant(), path.width.coefficients(at), path.scheduler.snr(at), path.scheduler.source_std());
            let _ = (path.scheduler.snr_inverse(at), path.scheduler.ends_as(other));
            for to in Prediction::ALL {
                let _ = (path.prediction.convert(to, c), path.prediction.score(c), TimeWeight::None.factor(to, c));
            }
            let times: Vec<f64> = t.iter().copied().chain(std::iter::repeat(0.5)).take(x_1.rows()).collect();
            let field = field(x_1.cols(), 1.0, at);
            for (x_0, t) in [(x_0, t), (x_1.clone(), times)] {
                if let Ok(sample) = path.sample(x_0, x_1.clone(), t) {
                    let _ = loss(&field, &sample);
                }
            }
            let mlp = network(network_dim, 0).cast::<f64>();
            let x = Tensor::zeros(2, network_dim);
            let mut u = x.clone();
            let from = path.scheduler;
            let _ = Transformed::new(&mlp, Rescheduled { from, to: other }).eval(&[at, 0.0], &x, &mut u);
            let _ = Transformed::new(&mlp, Predicted { prediction: path.prediction, scheduler: from })
                .eval(&[at, 1.0], &x, &mut u);
            let _ = Transformed::new(&mlp, Diffused { scheduler: from, beta: at }).eval(&[0.5, 1.0], &x, &mut u);
            let steered = Transformed::new(&mlp, Steered { scheduler: from });
            let _ = Guided::by(&mlp, &steered, at).eval(&[at, 0.0], &x, &mut u);
            for source in [None, Some(&x_0_kept)] {
                let Ok(baseline) = GaussianBaseline::fit(&x_1, source) else { continue };
                let _ = (baseline.correlation(), baseline.scales(c), baseline.check(network_dim));
                let residual = Residual::new(&mlp, &baseline, from, Simd::detect());
                let _ = residual.eval(&[at, 1.0], &x, &mut u);
                let _ = Solver::rk4().steps(2).solve(&residual, &x_1, 0.0..1.0);
                let flow = Flow::new(network(network_dim, 0), path, Source::Normal);
                let _ = flow.with_baseline(baseline).and_then(|flow| flow.sample(2, &Solver::euler(), &mut Rng::from_seed(0)));
            }
        });
    }

    #[test]
    fn couplings(
        coupling in coupling(), a in matrix(), b in matrix(), same in any::<bool>(), weight in number(),
        rows in vec(0_usize..4, 0..6), tolerance in number(),
        iterations in prop::sample::select(vec![0, 1, 50, usize::MAX]),
        size in proptest::option::of(count()),
    ) {
        answered(move || {
            let b = if same { a.clone() } else { b };
            let simd = Simd::detect();
            let mut stream = streams(Purpose::Batch).stream(0);
            let _ = coupling.check();
            if let Ok(joined) = coupling.join(simd, &a, &b, &mut stream) {
                assert_eq!(joined.len(), b.rows());
            }
            let _ = coupling.join(simd, &a.cast::<f32>(), &b.cast(), &mut stream);
            let _ = (assign(&a), assign_points(simd, &a, &b));
            if let Coupling::Sinkhorn { reg } = coupling {
                let sinkhorn = Sinkhorn { reg, tolerance, max_iterations: iterations };
                if let Ok(plan) = sinkhorn.solve(simd, &a, &b) {
                    assert_eq!(plan.draw(&mut stream).len(), a.rows());
                }
            }
            let categories = (0_u32..2).cycle().take(a.rows()).collect();
            let matched = Matched { categories, numbers: a.clone(), weight };
            let rows: Vec<usize> = rows.into_iter().filter(|&row| row < a.rows()).collect();
            let picked = |x: &Tensor<f64>| {
                let numbers = rows.iter().flat_map(|&i| x.row(i).to_vec()).collect();
                Tensor::from_vec(numbers, rows.len(), x.cols()).unwrap()
            };
            let _ = matched.find_weight(&picked(&a), &a, &rows);
            let _ = matched.join(coupling, simd, (&picked(&a), &picked(&a)), &rows, &mut stream);
            let matched = Some(matched).filter(|_| same);
            let mut pairing = Pairing { coupling, size: size.unwrap_or(rows.len()), x_0: Some(b), matched, simd };
            let _ = pairing.weigh(&a, &mut stream);
            if let Ok(Pairs { x_0, rows }) = pairing.draw(&a, &mut stream) {
                assert_eq!((x_0.rows(), rows.len()), (pairing.size, pairing.size));
            }
            let _ = Pairing { x_0: None, ..pairing }.draw(&a, &mut stream);
        });
    }

    #[test]
    fn metrics(a in matrix(), b in matrix(), same in 0_usize..3, width in number(), projections in 0_usize..5) {
        answered(move || {
            let b = match same { 0 => a.clone(), 1 => a.slice_rows(0..a.rows() / 2), _ => b };
            let mut rng = Rng::from_seed(0);
            let _ = (energy_distance(&a, &b), exact_w2(&a, &b), classifier_accuracy(&a, &b));
            let _ = (sliced_w2(&a, &b, projections, &mut rng), column_distances(&a, &b));
            let _ = (mmd_squared(&a, &b, width), median_distance(&a), Memorisation::measure(&a, &b, &a));
            let _ = Evaluation::measure(&a, &b, &mut rng);
            let (a, b) = (a.cast::<f32>(), b.cast::<f32>());
            let _ = (energy_distance(&a, &b), exact_w2(&a, &b), mmd_squared(&a, &b, 1.0));
        });
    }

    #[test]
    fn closed_forms(
        means in matrix(), covariance in matrix(), weights in vec(number(), 0..4), x in matrix(),
        t in vec(number(), 0..6),
        path in path(), draws in 0_usize..5, divergence in divergence(), solver in solver(), spread in tame(),
    ) {
        answered(move || {
            let mut rng = Rng::from_seed(0);
            let (k, d) = (means.rows(), means.cols());
            let diagonal = |spread: f64| {
                let mut s = Tensor::zeros(d, d);
                (0..d).for_each(|j| s.row_mut(j)[j] = spread.abs());
                s
            };
            let mean = means.as_slice().get(..d).unwrap_or_default();
            for s in [covariance, diagonal(spread)] {
                let Ok(flow) = GaussianFlow::new(mean, &s) else { continue };
                let _ = (flow.map(&x), flow.log_density(&x), flow.loss_floor(path), flow.path_energy(path));
                let _ = solver.solve(&flow.velocity(path), &x, 0.0..1.0);
                let _ = log_density(&flow.velocity(path), Source::Normal, &x, divergence, &solver, &mut rng);
            }
            let uniform: Vec<f64> = vec![1.0; k];
            for weights in [weights, uniform] {
                let Ok(flow) = MixtureFlow::new(&weights, &means, &vec![diagonal(spread); k]) else { continue };
                let _ = (flow.dim(), flow.sample(draws, &mut rng), flow.log_density(&x));
                let _ = (flow.marginal_log_density(path, &t, &x), flow.responsibilities(path, &t, &x));
                let _ = solver.solve(&flow.velocity(path), &x, 0.0..1.0);
                let _ = log_density(&flow.velocity(path), Source::Normal, &x, divergence, &solver, &mut rng);
            }
            if let Ok(exact) = EmpiricalField::new(&means, path) {
                let _ = (exact.targets(&t, &x), exact.targets(&vec![0.5; x.rows()], &x));
                let _ = solver.solve(&exact, &x, 0.0..1.0);
                let _ = log_density(&exact, Source::Data, &x, divergence, &solver, &mut rng);
                let _ = log_density(&exact, Source::Normal, &x, divergence, &solver, &mut rng);
                let _ = ExactLoss::measure(&field(d, 1.0, spread), &exact, draws, &mut rng);
            }
        });
    }

    #[test]
    fn standardisations(x in matrix(), y in matrix(), z in matrix()) {
        answered(move || {
            let identity = Standardize::identity(x.cols());
            let fitted = Standardize::fit(&x);
            for units in [Ok(identity), fitted].into_iter().flatten() {
                let _ = (units.to_model(&x), units.to_model(&y), units.to_data::<f64, f32>(&z));
                let _ = (units.log_det(), units.fits_f32(), units.constants(), units.model_dim());
                let _ = (0..x.rows()).filter(|&i| units.is_on_support(x.row(i))).count();
                if let Ok(source) = Standardize::fit_source(&y, &units) {
                    let _ = (source.to_model(&y), source.to_data::<f32, f64>(&z.cast()));
                }
            }
        });
    }

    #[test]
    fn schemas(
        x in matrix(), names in vec("[ab=,]{0,2}", 0..4), texts in vec("[xyz]{0,2}", 0..4), kinds in vec(0_usize..4, 4),
        bounds in (number(), number()), conditions in vec("[ab=,]{0,2}", 0..3), text in any::<String>(),
        asked in text(),
    ) {
        answered(move || {
            let bounds = Bounds::new(bounds.0, bounds.1).or_else(|_| Bounds::new(-2.0, 2.0)).unwrap();
            for y in x.as_slice() {
                let _ = (bounds.to_line(*y), bounds.from_line(*y), bounds.log_slope(*y), bounds.contain(*y));
            }
            let column = |(name, kind): (&String, &usize)| match kind {
                0 => Some(Column::numeric(name)),
                1 => Some(Column::integer(name)),
                2 => Column::categorical(name, texts.clone()).ok(),
                _ => Column::numeric(name).bounded(bounds).ok(),
            };
            let columns: Vec<Column> = names.iter().zip(&kinds).filter_map(column).collect();
            for column in &columns {
                let _ = (column.width(), column.is_plain(), column.fault(bounds.lo()), column.clone().bounded(bounds));
            }
            let Ok(schema) = Schema::new(columns) else { return };
            let _ = (schema.encode(&x), schema.dequantise(&x, streams(Purpose::Data)), schema.decode(&x));
            let _ = (schema.indicate(&x), schema.check(&x), schema.place(&text), schema.select(&conditions));
            let _ = (schema.names_of_numbers(), x.as_slice().get(..2).map(|row| schema.log_det(row)));
            let Ok(layout) = Layout::new(schema, &conditions, text.is_empty()) else { return };
            let _ = (layout.split(&x), layout.join(&x, None), layout.join(&x, Some(&x)));
            let _ = (layout.parse_conditions(&text), layout.parse_conditions(&format!("a={asked},b={asked}")));
            let _ = Layout::of_numbers(Some(&names), x.cols());
        });
    }

    #[test]
    fn conditions(
        values in matrix(), other in matrix(), kinds in vec(prop_oneof![3 => Just(0_usize), 1 => 1_usize..3], 1..4),
        weight in number(),
        fitting in prop::bool::weighted(0.7),
    ) {
        answered(move || {
            let kinds = if fitting { vec![0; values.cols()] } else { kinds };
            let column = |(k, kind): (usize, &usize)| ConditionColumn {
                name: format!("c{}", if *kind == 2 { 0 } else { k }),
                kind: if *kind == 0 {
                    ConditionKind::Numeric
                } else {
                    ConditionKind::Categorical(vec!["a".into(); *kind + 1])
                },
            };
            let columns: Vec<ConditionColumn> = kinds.iter().enumerate().map(column).collect();
            let Ok(conditions) = Conditions::fit(columns, &values) else { return };
            let _ = (conditions.encode(&other), conditions.categories_of(&other), conditions.numbers_of(&other));
            let _ = (conditions.check(&other), conditions.check_columns());
            let flow = Flow::new(network(2, conditions.width()), AffinePath::default(), Source::Normal);
            let _ = flow.clone().with_conditions(conditions.clone(), &other);
            if let Ok(flow) = flow.with_conditions(conditions, &values) {
                let mut rng = Rng::from_seed(0);
                let _ = flow.sample(2, &Solver::euler().steps(2), &mut rng);
                let _ = flow.encode(&other, &Solver::euler().steps(2));
                if let Ok(given) = flow.given(&other, weight).or_else(|_| flow.given(&other, 1.0)) {
                    let _ = given.sample(other.rows(), &Solver::euler().steps(2), &mut rng);
                    let _ = given.sample(3, &Solver::dopri5().max_steps(20), &mut rng);
                    let _ = given.log_density(&other, Divergence::Exact, &Solver::rk4().steps(1), &mut rng);
                }
            }
        });
    }
}

/// Settings of a training, most of them as they should be.
#[derive(Debug, Clone)]
struct Training {
    path: AffinePath,
    coupling: (Coupling, Option<usize>),
    adam: Adam,
    numbers: [u64; 3],
    batch: usize,
    fractions: [Option<f64>; 2],
    words: (LrSchedule, TimeSampling, TimeWeight, bool),
    baseline: Option<Baseline>,
}

fn training() -> impl Strategy<Value = Training> {
    let rarely = |strange: BoxedStrategy<f64>, usual: f64| prop_oneof![19 => Just(usual), 1 => strange];
    let adam = (
        rarely(number().boxed(), 1e-2),
        rarely(number().boxed(), 0.9),
        rarely(number().boxed(), 0.999),
        rarely(number().boxed(), 1e-8),
        rarely(number().boxed(), 0.0),
        proptest::option::weighted(0.3, rarely(number().boxed(), 1.0)),
        proptest::option::of(rarely(number().boxed(), 0.9)),
    )
        .prop_map(|(lr, beta_1, beta_2, epsilon, weight_decay, clip, ema)| Adam {
            lr,
            beta_1,
            beta_2,
            epsilon,
            weight_decay,
            clip,
            ema,
        });
    let batch = prop_oneof![15 => 1_usize..70, 1 => count()];
    let words = (
        prop::sample::select(LrSchedule::ALL.to_vec()),
        prop::sample::select(TimeSampling::ALL.to_vec()),
        prop_oneof![3 => Just(TimeWeight::None), 1 => Just("noise".parse().unwrap())],
        any::<bool>(),
    );
    let numbers = [
        prop_oneof![15 => 1_u64..4, 1 => Just(0), 1 => Just(u64::MAX)].boxed(),
        prop_oneof![15 => Just(0_u64), 1 => any::<u64>(), 1 => Just(1)].boxed(),
        prop_oneof![10 => 1_u64..3, 1 => any::<u64>()].boxed(),
    ];
    let fractions = [
        proptest::option::weighted(0.3, prop_oneof![9 => 0.05..0.9, 1 => number()]).boxed(),
        proptest::option::weighted(0.2, prop_oneof![3 => 0.0..1.0, 1 => number()]).boxed(),
    ];
    let coupling = (coupling(), proptest::option::weighted(0.1, prop_oneof![1_usize..140, count()]));
    let path = prop_oneof![2 => Just(AffinePath::default()), 1 => path()];
    let baseline = proptest::option::of(prop::sample::select(Baseline::ALL.to_vec()));
    (path, coupling, adam, numbers, batch, fractions, words, baseline).prop_map(
        |(path, coupling, adam, numbers, batch, fractions, words, baseline)| Training {
            path,
            coupling,
            adam,
            numbers,
            batch,
            fractions,
            words,
            baseline,
        },
    )
}

impl Training {
    fn trainer(&self) -> Trainer {
        let (lr_schedule, time, weight, standardise) = self.words;
        let [steps, warmup, patience] = self.numbers;
        let trainer = Trainer::new(self.path)
            .coupling(self.coupling.0)
            .adam(self.adam)
            .steps(steps)
            .warmup(warmup)
            .batch(self.batch)
            .lr_schedule(lr_schedule)
            .time(time)
            .weight(weight)
            .standardization(if standardise { Standardization::On } else { Standardization::Off });
        let trainer = match self.coupling.1 {
            Some(size) => trainer.coupling_batch(size),
            None => trainer,
        };
        let trainer = match self.fractions[0] {
            Some(fraction) => trainer.validation(fraction).patience(patience),
            None => trainer,
        };
        let trainer = match self.baseline {
            Some(baseline) => trainer.baseline(baseline),
            None => trainer,
        };
        match self.fractions[1] {
            Some(dropout) => trainer.condition_dropout(dropout),
            None => trainer,
        }
    }
}

/// A few steps of a training, and what comes of it.
fn train(run: pushforward::Result<pushforward::train::Run>) -> Option<Flow> {
    let mut run = run.ok()?;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    for _ in 0..3 {
        if run.is_done() {
            break;
        }
        let _ = run.step();
        let _ = (run.recent_loss(), run.best(), run.steps_done(), run.steps());
    }
    if run.save_state(&state, "kept").is_ok() {
        let _ = run.resume(&state);
        let _ = run.resume(folder.path());
    }
    run.flow().ok()
}

/// Asks a flow for everything.
fn use_flow(flow: &Flow, x: &Tensor<f64>, n: usize, solver: &Solver, divergence: Divergence, number: f64) {
    let mut rng = Rng::from_seed(3);
    let _ = flow.sample(n, solver, &mut rng);
    let start = n.saturating_sub(2);
    for rows in [0..n, n..0, start..n, start..usize::MAX, usize::MAX..usize::MAX] {
        let (source, noise) = (streams(Purpose::Source), streams(Purpose::Noise));
        let _ = flow.sample_rows::<f64>(rows.clone(), solver, source);
        let _ = flow.trajectory::<f32>(rows.clone(), 2, solver, source);
        let _ = flow.sample_noisy::<f32>(rows.clone(), number, 2, source, noise);
        let _ = flow.trajectory_noisy::<f32>(rows.clone(), 0.5, (4, 2), source, noise);
        let _ = flow.draw_conditions(rows, source);
    }
    let _ = flow.with_sampler(n, solver, |sampler| {
        let mut drawn = Tensor::<f32>::zeros(n.min(9), flow.dim());
        sampler.draw(n, streams(Purpose::Source), &mut drawn)?;
        sampler.draw(usize::MAX, streams(Purpose::Source), &mut x.clone())
    });
    let _ = flow.trajectory::<f32>(0..2, u32::MAX, &Solver::dopri5(), streams(Purpose::Source));
    let _ = (flow.encode(x, solver), flow.decode::<f64>(&x.cast(), solver));
    let _ = (flow.encode(&x.cast::<f32>(), solver), flow.trajectory_from::<f64>(&x.cast(), 3, solver));
    let _ = flow.log_density(x, divergence, solver, &mut rng);
    let _ = flow.log_density_rows(x, n, divergence, solver, streams(Purpose::Probe));
    let _ =
        (flow.source_to_model(x), flow.source_to_data::<f64, f64>(x), flow.layout(), flow.given(x, number));
    let _ = flow.with_field(&flow.velocity().cast::<f64>(), |field| {
        let _ = log_density_rows(field, flow.source(), x, n, divergence, solver, streams(Purpose::Probe));
        Ok(())
    });
    if let Ok(bytes) = flow.to_bytes() {
        let again = Flow::from_bytes(&bytes, Path::new("any.pf"));
        assert!(again.is_ok(), "what was written is read: {again:?}");
    }
    #[cfg(feature = "safetensors")]
    if let Ok(bytes) = flow.to_safetensors() {
        let _ = Flow::from_safetensors(&bytes, Path::new("any.safetensors"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn trainings(
        training in training(), x_0 in matrix(), x_1 in matrix(), dim in 1_usize..4,
        fitting in prop::bool::weighted(0.8), n in count(),
        solver in solver(), divergence in divergence(), number in number(),
    ) {
        answered(move || {
            let dim = if fitting { x_1.cols().max(1) } else { dim };
            let mut rng = Rng::from_seed(0);
            let trainer = training.trainer();
            for run in [
                trainer.clone().start(network(dim, 0), &x_1, &mut rng),
                trainer.clone().start(network(dim, 1), &x_1, &mut rng),
                trainer.clone().start_from(network(dim, 0), &x_0, &x_1, &mut rng),
                trainer.clone().source(Source::Data).start(network(dim, 0), &x_1.cast::<f32>(), &mut rng),
                trainer.auto().steps(2).start(network(dim, 0), &x_1, &mut rng),
            ] {
                if let Some(flow) = train(run) {
                    use_flow(&flow, &x_1, n, &solver, divergence, number);
                }
            }
        });
    }

    #[test]
    fn conditional_trainings(
        training in training(), values in matrix(), x_1 in matrix(), same in prop::bool::weighted(0.8),
        n in count(), solver in solver(),
        number in number(),
    ) {
        answered(move || {
            let x_1 = if same { values.clone() } else { x_1 };
            let numeric = |j: usize| ConditionColumn { name: j.to_string(), kind: ConditionKind::Numeric };
            let columns = (0..values.cols()).map(numeric);
            let Ok(conditions) = Conditions::fit(columns.collect(), &values) else { return };
            let mlp = network(x_1.cols().max(1), conditions.width());
            let trainer = training.trainer().conditions(conditions, values.clone());
            if let Some(flow) = train(trainer.start(mlp, &x_1, &mut Rng::from_seed(0))) {
                use_flow(&flow, &x_1, n, &solver, Divergence::Exact, number);
                if let Ok(given) = flow.given(&values, number).or_else(|_| flow.given(&values, 1.0)) {
                    use_flow(&given, &x_1, values.rows(), &solver, Divergence::Exact, number);
                }
            }
        });
    }

    #[test]
    fn flows(
        path in path(), source in prop_oneof![3 => Just(Source::Normal), 1 => Just(Source::Data)],
        scheduler in scheduler(),
        x in matrix(), y in matrix(), names in proptest::option::of(vec(any::<String>(), 0..4)), n in count(),
        solver in solver(), divergence in divergence(), number in number(), fitting in prop::bool::weighted(0.8),
    ) {
        answered(move || {
            let dim = if fitting { x.cols().max(1) } else { 2 };
            let flow = Flow::new(network(dim, 0), path, source);
            use_flow(&flow, &x, n, &solver, divergence, number);
            let _ = flow.clone().with_header(names.clone());
            let units = Standardize::fit(&y);
            for flow in [
                flow.clone().with_scheduler(scheduler),
                Ok(flow.clone().with_simd(Simd::detect())),
                units.and_then(|units| flow.clone().with_standardize(units)),
                flow.clone().with_source_units(Standardize::identity(y.cols())),
                Layout::of_numbers(names.as_deref(), y.cols()).and_then(|layout| flow.clone().with_layout(layout)),
                Flow::new(network(dim, 2), path, source).with_header(None),
            ]
            .into_iter()
            .flatten()
            {
                use_flow(&flow, &x, n, &solver, divergence, number);
            }
        });
    }

    #[test]
    fn readers(
        bytes in vec(any::<u8>(), 0..200), text in "[-0-9a-c,;\t\n\r\". ]{0,60}", max_rows in count(), x in matrix(),
        names in vec("x[0-4]|[a-c]", 0..3), picked in any::<bool>(), times in 0_usize..4,
    ) {
        answered(move || {
            let file = Path::new("any");
            for missing in [Missing::Error, Missing::Drop] {
                let columns = picked.then(|| names.clone());
                let options = ReadOptions { header: Header::Detect, missing, columns };
                let with_magic = [b"\x93NUMPY\x01\x00", &bytes[..]].concat();
                if let Ok(mut reader) = TableReader::npy(&with_magic[..], file, &options) {
                    let _ = reader.next_block(max_rows);
                }
                for bytes in [&bytes[..], text.as_bytes()] {
                    let _ = read_npy(bytes, file, &options);
                    #[cfg(feature = "csv")]
                    if let Ok(mut reader) = TableReader::csv(bytes, file, &options) {
                        let _ = reader.pick(&names);
                        let _ = reader.next_block(max_rows);
                        let declared = Declared { categorical: names.clone(), ..Declared::default() };
                        let _ = reader.read_typed(&declared);
                    }
                }
            }
            let _ = Flow::from_bytes(&bytes, file);
            #[cfg(feature = "safetensors")]
            let _ = Flow::from_safetensors(&bytes, file);
            let folder = tempfile::tempdir().unwrap();
            for name in ["x.csv", "x.npy", "x.npz", "x.npz:a", "x", "", "no/x.csv", "x.csv.gz"] {
                let path = folder.path().join(name);
                let _ = std::fs::write(&path, &bytes);
                let _ = Table::read(&path, &ReadOptions::default());
                let _ = (Flow::load(&path), Flow::load(folder.path()));
                for shape in [
                    Shape::Matrix { rows: Some(max_rows), cols: x.cols() },
                    Shape::Matrix { rows: None, cols: x.cols() },
                    Shape::Vector { rows: None },
                    Shape::Courses { rows: Some(x.rows()), times, cols: x.cols() },
                    Shape::Courses { rows: None, times, cols: max_rows },
                ] {
                    let header = picked.then_some(names.as_slice());
                    let Ok(mut writer) = TableWriter::create(&path, header, shape)
                    else {
                        continue;
                    };
                    let _ = writer.push(&x);
                    let _ = writer.push_courses(max_rows, &vec![0.5; times], &vec![x.clone(); times]);
                    let _ = writer.finish();
                }
            }
            let mut table = Table { header: Some(names), values: x, dropped: 0 };
            let _ = Declared::default().of_numbers(&mut table);
        });
    }
    #[cfg(feature = "plot")]
    #[test]
    fn pictures(
        x in matrix(), y in matrix(), wide in any::<bool>(), numbers in vec(number(), 0..8), title in any::<String>(),
        columns in count(), sides in (number(), number()), size in proptest::option::of(any::<u32>()),
        rgb in vec(any::<u8>(), 0..13), pixels in (prop_oneof![0_u32..4, any::<u32>()], 0_u32..4),
        contours in 0_usize..12,
    ) {
        use pushforward::plot;
        answered(move || {
            // Two columns are what most of them want.
            let planar = |x: Tensor<f64>| {
                let rows = x.as_slice().chunks_exact(2);
                let n = rows.len();
                if wide { x } else { Tensor::from_vec(rows.flatten().copied().collect(), n, 2).unwrap() }
            };
            let (x, y) = (planar(x), planar(y));
            let look = plot::Look { width: size, height: size, ..plot::Look::default() };
            let look = if size.is_some_and(|size| size < 600) { look } else { plot::Look { width: Some(64), ..look } };
            let names: Vec<String> = (0..x.cols()).map(|j| format!("{title}{j}")).collect();
            let points: Vec<(f64, f64)> = numbers.iter().zip(numbers.iter().skip(1)).map(|(a, b)| (*a, *b)).collect();
            let series = |style| plot::Curve { name: &title, style, points: &points };
            let series = [series(plot::Style::First), series(plot::Style::Bars)];
            let curves = plot::Curves { title: &title, x: &title, y: "y", series: &series };
            let positions = [x.clone(), y.clone()];
            let paths = plot::Paths { title: &title, times: &numbers, positions: &positions };
            let ordered = plot::Paths { times: &[0.0, 1.0], ..paths };
            let panel = |points| plot::Panel { title: &title, points };
            let cells = columns.min(x.rows().max(1));
            let (across, up) = (sides, (0.0, 1.0));
            let scenes = [
                plot::samples(&[panel(&x), panel(&y)]),
                plot::samples(&[panel(&x)]),
                plot::pairs(&plot::Columns { title: &title, names: &names, samples: &x, data: Some(&y) }),
                plot::pairs(&plot::Columns { title: &title, names: &names, samples: &x, data: None }),
                plot::density(&plot::Grid { title: &title, values: &x, x: across, y: up, contours }),
                plot::density(&plot::Grid { title: &title, values: &x, x: up, y: up, contours }),
                plot::field(&plot::Field { title: &title, velocity: &x, columns, x: up, y: across }),
                plot::field(&plot::Field { title: &title, velocity: &x, columns: cells, x: up, y: up }),
                plot::curves(&curves),
                plot::trajectories(&paths),
                plot::trajectories(&ordered),
                plot::ways(&ordered),
            ];
            for scene in scenes.into_iter().flatten() {
                let _ = (scene.svg(&look), scene.svg_in_page(&look));
                if let Ok(picture) = scene.picture(&look) {
                    let _ = picture.write_png(std::io::sink());
                }
            }
            let _ = plot::motion(&ordered, wide);
            let picture = plot::Picture { width: pixels.0, height: pixels.1, rgb };
            let _ = picture.write_png(std::io::sink());
            let _ = plot::animation(&[picture.clone(), picture], 5, std::io::sink());
        });
    }
}

#[test]
fn what_was_found_stays_an_error() {
    let said = |result: pushforward::Result<()>, words: &str| {
        let text = result.unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
    };
    let mut rng = Rng::from_seed(0);
    let x = Tensor::from_rows(&[[1.0, 2.0], [0.5, 1.0], [3.0, -1.0]]);
    let flow = Flow::new(network(2, 0), AffinePath::default(), Source::Normal);
    let solver = Solver::euler().steps(2);
    for n in [1 << 62, usize::MAX] {
        said(flow.sample(n, &solver, &mut rng).map(drop), "no memory for so many");
    }
    let many = flow.trajectory::<f32>(0..2, u32::MAX, &Solver::dopri5(), streams(Purpose::Source));
    said(many.map(drop), "no memory for so many times");
    // Of rows that cannot be counted the last ones can be drawn.
    let last = flow.sample_rows::<f32>(usize::MAX - 2..usize::MAX, &solver, streams(Purpose::Source));
    assert_eq!(last.unwrap().x.rows(), 2);

    let exact = EmpiricalField::new(&x, AffinePath::default()).unwrap();
    let scores = log_density(&exact, Source::Data, &x, Divergence::Exact, &solver, &mut rng);
    said(scores.map(drop), "of which rows are known and no density");

    let raw = Trainer::new(AffinePath::default()).standardization(Standardization::Off).steps(1);
    let run = raw.clone().start_from(network(2, 0), &Tensor::zeros(0, 2), &x, &mut rng);
    said(run.map(drop), "rows of the source: found 0, expected 1");
    let wild = AffinePath::new(Scheduler::Polynomial { n: f64::NAN });
    said(Trainer::new(wild).start(network(2, 0), &x, &mut rng).map(drop), "`scheduler` is polynomial:NaN");
    said(
        Flow::new(network(2, 0), wild, Source::Normal).to_bytes().map(drop),
        "`scheduler` is polynomial:NaN",
    );
    said(
        Flow::new(network(2, 0), AffinePath::default(), Source::Data).to_bytes().map(drop),
        "give the rows to start from",
    );

    let mut table = Table { header: Some(vec!["a".into()]), values: x.clone(), dropped: 0 };
    said(Declared::default().of_numbers(&mut table).map(drop), "1 names stand above 2 columns");
    let folder = tempfile::tempdir().unwrap();
    let wide = Shape::Matrix { rows: None, cols: usize::MAX };
    said(TableWriter::<f32>::create(&folder.path().join("x.npy"), None, wide).map(drop), "at most 65536");
}
