//! A network beside a Gaussian baseline (E29): exact before it is trained, the same after a file, refused where there is none.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use pushforward::closed_form::{Baseline, GaussianBaseline, GaussianFlow, Residual, mean_and_covariance};
use pushforward::data::{ConditionColumn, ConditionKind, Conditions, Standardize};
use pushforward::nn::MlpShape;
use pushforward::objective::{self, Objective};
use pushforward::path::{PathSample, Prediction, Width};
use pushforward::rng::Purpose;
use pushforward::train::Standardization;
use pushforward::{
    AffinePath, Coupling, DifferentiableField as _, Divergence, Error, Flow, Mlp, Rng, Scheduler, Solver,
    Source, Tensor, Trainer, VectorField as _, data::toy,
};

/// Of f32: some roundings of numbers of size 1, and the tolerance of dopri5.
const SINGLE: f64 = 2e-4;

/// Correlated rows far from 0.
fn rows(n: usize) -> Tensor<f64> {
    let mut x = Tensor::<f64>::zeros(n, 3);
    Source::Normal.fill(&Rng::from_seed(3).fork(Purpose::Data), 0, &mut x);
    for i in 0..n {
        let row = x.row_mut(i);
        row[1] = 0.95 * row[0] + 0.312 * row[1];
        row.iter_mut().zip([100.0, -5.0, 0.0]).zip([0.5, 20.0, 1e-3]).for_each(|((x, m), s)| *x = m + s * *x);
    }
    x
}

/// A network that says 0, so that the baseline is alone.
fn zero(d: usize) -> Mlp {
    let network: Mlp = Mlp::new(d, &[4], &mut Rng::from_seed(0)).unwrap();
    let zeros = vec![0.0; network.parameters().len()];
    Mlp::from_parameters(network.shape().clone(), zeros).unwrap()
}

/// The flow before any training, of a network that says 0.
fn untrained(x: &Tensor<f64>, path: AffinePath) -> Flow {
    let trainer = Trainer::new(path).baseline(Baseline::Gaussian).standardization(Standardization::On);
    trainer.start(zero(x.cols()), x, &mut Rng::from_seed(0)).unwrap().flow().unwrap()
}

#[test]
fn before_training_it_is_the_gaussian_of_the_rows() {
    let x = rows(200);
    let (mean, covariance) = mean_and_covariance(&x);
    let exact = GaussianFlow::new(&mean, &covariance).unwrap().log_density(&x).unwrap();
    for scheduler in [
        Scheduler::CondOt,
        Scheduler::Cosine,
        Scheduler::LinearVp,
        Scheduler::VP,
        Scheduler::Polynomial { n: 2.0 },
    ] {
        let flow = untrained(&x, AffinePath::new(scheduler));
        // `vp` keeps a hundredth of the target at its source, which no flow from N(0, I) tells.
        let bound = if scheduler == Scheduler::VP { 0.05 } else { SINGLE };
        let rng = &mut Rng::from_seed(0);
        let solver = Solver::dopri5().tolerance(1e-6);
        let found = flow.log_density(&x, Divergence::Exact, &solver, rng).unwrap();
        for (found, exact) in found.log_density.iter().zip(&exact) {
            assert!((found - exact).abs() < bound * (1.0 + exact.abs()), "{scheduler}: {found} {exact}");
        }
    }
}

#[test]
fn a_probe_finds_the_divergence_of_both() {
    let x = rows(20);
    let flow = Trainer::new(AffinePath::default()).baseline(Baseline::Gaussian).steps(20).batch(64);
    let flow =
        flow.fit(Mlp::new(3, &[8], &mut Rng::from_seed(1)).unwrap(), &x, &mut Rng::from_seed(0)).unwrap();
    let solver = Solver::rk4().steps(20);
    let of = |divergence| flow.log_density(&x, divergence, &solver, &mut Rng::from_seed(5)).unwrap();
    let probes = "hutchinson:64".parse().unwrap();
    let (exact, estimated) = (of(Divergence::Exact), of(probes));
    let errors = estimated.standard_error.unwrap();
    for i in 0..x.rows() {
        let away = (exact.log_density[i] - estimated.log_density[i]).abs();
        // Five standard errors: one of 20 rows is beyond in one of 80,000 seeds.
        assert!(away < 5.0 * errors[i] + SINGLE, "{away} {}", errors[i]);
    }
}

#[test]
fn it_is_part_of_the_file_and_of_a_change_of_scheduler() {
    let x = rows(300);
    let trainer = Trainer::new(AffinePath::default()).baseline(Baseline::Gaussian).steps(30).batch(64);
    let network = Mlp::new(3, &[8], &mut Rng::from_seed(1)).unwrap();
    let flow = trainer.fit(network, &x, &mut Rng::from_seed(0)).unwrap();
    let again = Flow::from_bytes(&flow.to_bytes().unwrap(), Path::new("m.pf")).unwrap();
    assert_eq!(again.baseline(), flow.baseline());
    let solver = Solver::dopri5().tolerance(1e-6);
    let sample = |flow: &Flow| flow.sample(50, &solver, &mut Rng::from_seed(7)).unwrap().x;
    let drawn = sample(&flow);
    assert_eq!(drawn, sample(&again));
    let moved = sample(&flow.clone().with_scheduler(Scheduler::Cosine).unwrap());
    for (a, b) in drawn.as_slice().iter().zip(moved.as_slice()) {
        assert!((a - b).abs() < 2e-4 * (1.0 + a.abs()), "{a} {b}");
    }
    #[cfg(feature = "safetensors")]
    {
        let exchanged = Flow::from_safetensors(&flow.to_safetensors().unwrap(), Path::new("m.safetensors"));
        assert_eq!(sample(&exchanged.unwrap()), drawn);
    }
}

#[test]
fn damaged_moments_are_refused() {
    let flow = untrained(&rows(50), AffinePath::default());
    let baseline = flow.baseline().unwrap().clone();
    let other = Flow::new(zero(2), AffinePath::default(), Source::Normal);
    assert!(matches!(other.with_baseline(baseline), Err(Error::Dimension { .. })));
}

#[test]
fn where_there_is_none_it_is_refused() {
    let x = rows(50);
    let refused = |trainer: Trainer| {
        let trainer = trainer.baseline(Baseline::Gaussian);
        let error = trainer.start(zero(3), &x, &mut Rng::from_seed(0)).unwrap_err().to_string();
        assert!(error.contains("baseline"), "{error}");
    };
    refused(Trainer::new(AffinePath::default().predicting(Prediction::Noise)));
    refused(Trainer::new(AffinePath::default().wide(Width::Constant(0.1))));
    refused(Trainer::new(AffinePath::default()).standardization(Standardization::Off));
    let wide = Tensor::<f64>::zeros(600, 513);
    let error = Trainer::new(AffinePath::default()).baseline(Baseline::Gaussian);
    assert!(error.start(zero(513), &wide, &mut Rng::from_seed(0)).is_err());
}

#[test]
fn before_training_it_carries_the_moments_of_data_to_those_of_data() {
    let x_1 = rows(40);
    let mut x_0 = rows(50);
    x_0.as_mut_slice().iter_mut().for_each(|x| *x = 0.02 * *x * *x);
    let trainer = Trainer::new(AffinePath::default()).baseline(Baseline::Gaussian);
    let flow = trainer.start_from(zero(3), &x_0, &x_1, &mut Rng::from_seed(0)).unwrap().flow().unwrap();
    let there = flow.decode::<f64>(&x_0.cast(), &Solver::dopri5().tolerance(1e-6)).unwrap().x;
    let ((mean, s), (found, of_found)) = (mean_and_covariance(&x_1), mean_and_covariance(&there));
    for j in 0..3 {
        let width = s.row(j)[j].sqrt();
        assert!((mean[j] - found[j]).abs() < SINGLE * width, "{mean:?} {found:?}");
        for k in 0..3 {
            let size = width * s.row(k)[k].sqrt();
            assert!((s.row(j)[k] - of_found.row(j)[k]).abs() < SINGLE * size, "{s:?} {of_found:?}");
        }
    }
}

#[test]
fn few_rows_and_other_couplings_are_trained() {
    let (x_0, x_1) = (rows(50), rows(40));
    let trainer = Trainer::new(AffinePath::default()).baseline(Baseline::Gaussian).steps(20).batch(16);
    let network = || Mlp::new(3, &[8], &mut Rng::from_seed(1)).unwrap();
    let rng = &mut Rng::from_seed(0);
    let ot = trainer.clone().coupling(Coupling::ExactOt).fit_from(network(), &x_0, &x_1, rng).unwrap();
    let there = ot.decode::<f32>(&x_0.cast(), &Solver::dopri5()).unwrap();
    assert!(there.x.as_slice().iter().all(|x| x.is_finite()));
    let three = trainer.fit(network(), &rows(3), rng).unwrap();
    let drawn = three.sample(10, &Solver::dopri5(), rng).unwrap();
    assert!(drawn.x.as_slice().iter().all(|x| x.is_finite()));
}

#[test]
fn it_is_chosen_where_it_is_better() {
    let chosen = |trainer: Trainer, x: &Tensor<f64>| {
        trainer.start(zero(x.cols()), x, &mut Rng::from_seed(0)).unwrap().flow().unwrap().baseline().is_some()
    };
    let trainer = || Trainer::new(AffinePath::default());
    let x = rows(100);
    assert!(chosen(trainer(), &x));
    assert!(!chosen(trainer().baseline(Baseline::None), &x));
    // Few rows, another coupling, another prediction, as the data are: what it is worth was not measured, or it is not there.
    assert!(!chosen(trainer(), &rows(29)));
    assert!(!chosen(trainer().coupling(Coupling::ExactOt), &x));
    assert!(!chosen(Trainer::new(AffinePath::default().predicting(Prediction::Target)), &x));
    assert!(!chosen(trainer().standardization(Standardization::Off), &x));
    let toy = toy::checkerboard(1000, &mut Rng::from_seed(0));
    assert!(!chosen(trainer(), &toy));
}

/// A network in three dimensions and the baseline of some rows in f64.
fn beside() -> (Mlp<f64>, GaussianBaseline) {
    let x = rows(100);
    let units = Standardize::fit(&x).unwrap();
    let baseline = GaussianBaseline::fit(&units.to_model(&x).unwrap(), None).unwrap();
    (Mlp::new(3, &[8, 8], &mut Rng::from_seed(2)).unwrap(), baseline)
}

/// Points and times on a path.
fn on_path(scheduler: Scheduler) -> PathSample<f64> {
    let (mut x_0, mut x_1) = (Tensor::zeros(20, 3), Tensor::zeros(20, 3));
    Source::Normal.fill(&Rng::from_seed(8).fork(Purpose::Source), 0, &mut x_0);
    Source::Normal.fill(&Rng::from_seed(8).fork(Purpose::Data), 0, &mut x_1);
    let t = (0..20).map(|i| 0.025 + 0.05 * f64::from(i)).collect();
    AffinePath::new(scheduler).sample(x_0, x_1, t).unwrap()
}

#[test]
fn the_loss_is_that_of_the_field() {
    let (network, baseline) = beside();
    let simd = network.weights().simd();
    for scheduler in [Scheduler::CondOt, Scheduler::Cosine] {
        let sample = on_path(scheduler);
        let objective = Objective::new(network.shape(), AffinePath::new(scheduler), Source::Normal);
        let objective = objective.beside(baseline.clone(), simd).unwrap();
        let (found, _) = objective.gradient(network.weights(), &sample);
        let field = Residual::new(&network, &baseline, scheduler, simd);
        let wanted = objective::loss(&field, &sample).unwrap();
        assert!((found - wanted).abs() < 1e-12 * wanted, "{scheduler}: {found} {wanted}");
    }
}

#[test]
fn every_way_to_the_divergence_is_the_same() {
    let (network, baseline) = beside();
    for scheduler in [Scheduler::CondOt, Scheduler::Cosine] {
        let sample = on_path(scheduler);
        let field = Residual::new(&network, &baseline, scheduler, network.weights().simd());
        let (mut u, mut again, mut plain) =
            (Tensor::zeros(20, 3), Tensor::zeros(20, 3), Tensor::zeros(20, 3));
        let (mut fast, mut slow) = ([0.0; 20], [0.0; 20]);
        field.divergence_worker(20).eval_carry(&sample.t, &sample.x_t, &mut u, &mut fast).unwrap();
        field.trace_by_tangents(20).eval_carry(&sample.t, &sample.x_t, &mut again, &mut slow).unwrap();
        field.eval(&sample.t, &sample.x_t, &mut plain).unwrap();
        assert!(u == plain && again == plain);
        for (fast, slow) in fast.iter().zip(slow) {
            assert!((fast - slow).abs() < 1e-12 * (1.0 + slow.abs()), "{scheduler}: {fast} {slow}");
        }
    }
}

#[test]
fn one_derivative_is_the_transpose_of_the_other() {
    // <w, J v> = <J^T w, v> for each row.
    let (network, baseline) = beside();
    let sample = on_path(Scheduler::Cosine);
    let field = Residual::new(&network, &baseline, Scheduler::Cosine, network.weights().simd());
    let (v, w) = (&sample.x_0, &sample.x_1);
    let [mut u, mut again, mut d_u, mut d_x] = std::array::from_fn(|_| Tensor::zeros(20, 3));
    let mut worker = field.differential_worker(20, 1);
    worker.jvp(&sample.t, &sample.x_t, v, &mut u, &mut d_u).unwrap();
    worker.vjp(&sample.t, &sample.x_t, w, &mut again, &mut d_x).unwrap();
    assert_eq!(u, again);
    for i in 0..20 {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (forward, backward) = (dot(w.row(i), d_u.row(i)), dot(d_x.row(i), v.row(i)));
        assert!((forward - backward).abs() < 1e-11 * (1.0 + forward.abs()), "row {i}: {forward} {backward}");
        assert!(forward != 0.0);
    }
}

#[test]
fn rows_keep_their_conditions() {
    // Rows end their steps one by one: what is left of a batch must stay with its conditions.
    let x = rows(200);
    let values = Tensor::from_vec((0..200).map(|i| x.row(i)[0]).collect(), 200, 1).unwrap();
    let column = ConditionColumn { name: "first".into(), kind: ConditionKind::Numeric };
    let conditions = Conditions::fit(vec![column], &values).unwrap();
    let shape = MlpShape { condition: conditions.width(), ..MlpShape::new(3, &[8]) };
    let network = Mlp::initialize(shape, &mut Rng::from_seed(1)).unwrap();
    let trainer = Trainer::new(AffinePath::default()).baseline(Baseline::Gaussian).steps(50).batch(64);
    let flow = trainer.conditions(conditions, values).fit(network, &x, &mut Rng::from_seed(0)).unwrap();
    let asked = Tensor::from_vec((0..40).map(|i| 99.0 + 0.05 * f64::from(i)).collect(), 40, 1).unwrap();
    let mut x_0 = Tensor::<f32>::zeros(40, 3);
    Source::Normal.fill(&Rng::from_seed(6).fork(Purpose::Source), 0, &mut x_0);
    let solver = Solver::dopri5();
    // Along the path it was trained with, and along another one (E17).
    for flow in [flow.clone(), flow.with_scheduler(Scheduler::Cosine).unwrap()] {
        let all = flow.given(&asked, 1.0).unwrap().decode::<f32>(&x_0, &solver).unwrap().x;
        for i in [0, 17, 39] {
            let one = flow.given(&asked.slice_rows(i..i + 1), 1.0).unwrap();
            let one = one.decode::<f32>(&x_0.slice_rows(i..i + 1), &solver).unwrap().x;
            assert_eq!(one.row(0), all.row(i), "row {i}");
        }
    }
}

#[test]
fn a_loss_beside_a_baseline_that_does_not_fit_is_an_error() {
    let (network, baseline) = beside();
    let simd = network.weights().simd();
    let narrow = Mlp::<f64>::new(2, &[8], &mut Rng::from_seed(0)).unwrap();
    let objective = Objective::new(narrow.shape(), AffinePath::default(), Source::Normal);
    let error = objective.beside(baseline.clone(), simd).unwrap_err().to_string();
    assert!(error.contains("columns of the baseline") && error.contains('2'), "{error}");
    let noise = AffinePath::default().predicting(Prediction::Noise);
    let error = Objective::new(network.shape(), noise, Source::Normal).beside(baseline, simd).unwrap_err();
    assert!(error.to_string().contains("noise"), "{error}");
}
