//! Conditions: learnt, kept apart by couplings, guided, stored, and the same whatever the threads.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use pushforward::data::{ConditionColumn, ConditionKind, Conditions};
use pushforward::nn::MlpShape;
use pushforward::rng::Purpose;
use pushforward::{AffinePath, Coupling, Divergence, Flow, Mlp, Rng, Solver, Source, Tensor, Trainer};

const ROWS: usize = 4000;

/// Where the two kinds stand, and how wide they are.
const MEAN: f64 = 1.5;
const STD: f64 = 0.4;

fn column(name: &str, kind: ConditionKind) -> ConditionColumn {
    ConditionColumn { name: name.into(), kind }
}

/// One column: kind 0 is N(-1.5, 0.4²), kind 1, a quarter of the rows, N(1.5, 0.4²).
fn two_kinds() -> (Conditions, Tensor<f64>, Tensor<f64>) {
    let mut x = Tensor::<f64>::zeros(ROWS, 1);
    Source::Normal.fill(&Rng::from_seed(9).fork(Purpose::Data), 0, &mut x);
    let mut kinds = Tensor::zeros(ROWS, 1);
    for i in 0..ROWS {
        let second = i % 4 == 0;
        kinds.row_mut(i)[0] = f64::from(u8::from(second));
        x.row_mut(i)[0] = STD * x.row(i)[0] + if second { MEAN } else { -MEAN };
    }
    let names = ConditionKind::Categorical(vec!["left".into(), "right".into()]);
    (Conditions::fit(vec![column("kind", names)], &kinds).unwrap(), kinds, x)
}

fn train(trainer: Trainer, conditions: &Conditions, values: &Tensor<f64>, x_1: &Tensor<f64>) -> Flow {
    let mut rng = Rng::from_seed(0);
    let shape = MlpShape { condition: conditions.width(), ..MlpShape::new(x_1.cols(), &[32, 32]) };
    let velocity = Mlp::initialize(shape, &mut rng).unwrap();
    trainer.conditions(conditions.clone(), values.clone()).fit(velocity, x_1, &mut rng).unwrap()
}

fn trainer(coupling: Coupling) -> Trainer {
    Trainer::new(AffinePath::default()).steps(1500).batch(256).coupling(coupling)
}

/// n times the same condition.
fn all(value: f64, n: usize) -> Tensor<f64> {
    Tensor::from_vec(vec![value; n], n, 1).unwrap()
}

fn draw(flow: &Flow, n: usize) -> Tensor<f64> {
    flow.sample(n, &Solver::midpoint().steps(40), &mut Rng::from_seed(4)).unwrap().x.cast()
}

#[allow(clippy::cast_precision_loss, reason = "few rows")]
fn moments(x: &Tensor<f64>) -> (f64, f64) {
    let n = x.rows() as f64;
    let mean = x.as_slice().iter().sum::<f64>() / n;
    (mean, (x.as_slice().iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt())
}

/// What a network of 32 x 2 units misses after 1500 steps: at most 0.03 at seed 0; three times that.
const LEARNT: f64 = 0.1;

#[test]
fn each_condition_has_its_own_samples_with_every_coupling() {
    let (conditions, kinds, x_1) = two_kinds();
    for coupling in [Coupling::Independent, Coupling::ExactOt, Coupling::Sinkhorn { reg: 0.05 }] {
        let flow = train(trainer(coupling), &conditions, &kinds, &x_1);
        for (kind, mean) in [(0.0, -MEAN), (1.0, MEAN)] {
            let found = moments(&draw(&flow.given(&all(kind, 4000), 1.0).unwrap(), 4000));
            assert!((found.0 - mean).abs() < LEARNT, "{coupling}, kind {kind}: {found:?}");
            assert!((found.1 - STD).abs() < LEARNT, "{coupling}, kind {kind}: {found:?}");
        }
        // Without a condition: as in the training rows, a quarter of them on the right.
        let right = draw(&flow, 4000).as_slice().iter().filter(|&&x| x > 0.0).count();
        // Four standard errors of a share of 1/4 of 4000, and what lies between the kinds.
        assert!((890..1130).contains(&right), "{coupling}: {right}");
    }
}

#[test]
fn guidance_goes_beyond_the_condition_and_0_ignores_it() {
    let (conditions, kinds, x_1) = two_kinds();
    let flow = train(trainer(Coupling::Independent), &conditions, &kinds, &x_1);
    let mean = |weight| moments(&draw(&flow.given(&all(1.0, 2000), weight).unwrap(), 2000)).0;
    assert!(mean(2.0) > mean(1.0) + 0.05);
    // Of all rows: 3/4 on the left.
    assert!((mean(0.0) + 0.5 * MEAN).abs() < 0.2, "{}", mean(0.0));

    let strict =
        train(trainer(Coupling::Independent).steps(5).condition_dropout(0.0), &conditions, &kinds, &x_1);
    let refused = strict.given(&all(1.0, 2), 2.0).unwrap_err().to_string();
    assert!(refused.contains("`guidance` is 2") && refused.contains("dropout"), "{refused}");
    assert!(strict.given(&all(1.0, 2), 1.0).is_ok());
    assert!(flow.given(&all(1.0, 2), f64::NAN).is_err());
}

#[test]
fn densities_are_conditional_and_have_mass_1() {
    let (conditions, kinds, x_1) = two_kinds();
    let flow = train(trainer(Coupling::Independent), &conditions, &kinds, &x_1);
    let n = 801;
    let step = 8.0 / 800.0;
    let grid = Tensor::from_vec((0..n).map(|i| -4.0 + step * f64::from(i)).collect(), 801, 1).unwrap();
    let density = |kind| {
        let given = flow.given(&all(kind, 801), 1.0).unwrap();
        let scores = given.log_density(&grid, Divergence::Exact, &Solver::dopri5(), &mut Rng::from_seed(0));
        scores.unwrap().log_density.iter().map(|log_p| log_p.exp()).collect::<Vec<_>>()
    };
    for (kind, mean) in [(0.0, -MEAN), (1.0, MEAN)] {
        let p = density(kind);
        let mass: f64 = p.iter().map(|p| p * step).sum();
        assert!((mass - 1.0).abs() < 1e-3, "mass {mass}");
        let center: f64 = p.iter().enumerate().map(|(i, p)| p * step * grid.row(i)[0]).sum();
        assert!((center - mean).abs() < LEARNT, "kind {kind}: {center}");
    }
}

#[test]
fn a_plan_that_ignores_the_condition_would_be_seen_here() {
    // y is the place itself, but for noise: pairs made without it bind the source's place to y.
    let (_, _, x_1) = two_kinds();
    let values = Tensor::from_vec(x_1.as_slice().to_vec(), ROWS, 1).unwrap();
    let conditions = Conditions::fit(vec![column("place", ConditionKind::Numeric)], &values).unwrap();
    let flow = train(trainer(Coupling::ExactOt).coupling_batch(512), &conditions, &values, &x_1);
    let record = flow.record().unwrap();
    assert!(record.condition_weight.is_some_and(|weight| weight > 0.0));
    // All of the source goes to the one place that is asked for: its spread is small, where pairs that
    // ignore y give the source's own order and with it a spread as wide as the data.
    for place in [-1.5, 1.5] {
        let found = moments(&draw(&flow.given(&all(place, 2000), 1.0).unwrap(), 2000));
        assert!((found.0 - place).abs() < LEARNT && found.1 < 0.25, "{place}: {found:?}");
    }
}

/// Ten times the solver's tolerance of 1e-5, for each of the two ways.
const THERE_AND_BACK: f32 = 2e-4;

#[test]
fn rows_keep_their_conditions_in_parts_and_from_a_file() {
    let (conditions, kinds, data) = two_kinds();
    let flow = train(trainer(Coupling::ExactOt).steps(30), &conditions, &kinds, &data);
    let again = Flow::from_bytes(&flow.to_bytes().unwrap(), "x".as_ref()).unwrap();
    assert_eq!(again.conditions(), Some(&conditions));
    let streams = Rng::from_seed(1).fork(Purpose::Source);
    for solver in [Solver::midpoint().steps(5), Solver::dopri5()] {
        let whole = flow.sample_rows::<f32>(0..300, &solver, streams).unwrap().x;
        let part = again.sample_rows::<f32>(200..300, &solver, streams).unwrap().x;
        assert_eq!(whole.slice_rows(200..300), part);
        // Row by row, what was drawn for them is what they get when it is given.
        let drawn = flow.draw_conditions(200..300, streams).unwrap().unwrap();
        let given =
            flow.given(&drawn, 1.0).unwrap().sample_rows::<f32>(200..300, &solver, streams).unwrap().x;
        assert_eq!(given, part);
    }
    // There and back again: 100 rows, each with its own condition both ways.
    let (solver, drawn) = (Solver::dopri5(), flow.draw_conditions(200..300, streams).unwrap().unwrap());
    let bound = flow.given(&drawn, 1.0).unwrap();
    let x_1 = bound.sample_rows::<f32>(200..300, &solver, streams).unwrap().x;
    let x_0 = bound.encode(&x_1, &solver).unwrap().x_0;
    let back = bound.decode::<f32>(&x_0, &solver).unwrap().x;
    let far = back.as_slice().iter().zip(x_1.as_slice()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(far < THERE_AND_BACK, "{far}");
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let alone = one.install(|| train(trainer(Coupling::ExactOt).steps(30), &conditions, &kinds, &data));
    assert_eq!(alone.to_bytes().unwrap(), flow.to_bytes().unwrap());
}

#[test]
fn what_does_not_fit_is_refused() {
    let (conditions, kinds, x_1) = two_kinds();
    let flow = train(trainer(Coupling::Independent).steps(5), &conditions, &kinds, &x_1);
    let solver = Solver::midpoint();
    let said = |result: pushforward::Result<Flow>| result.unwrap_err().to_string();
    assert!(said(flow.given(&all(2.0, 1), 1.0)).contains("in row 0 of `kind`"));
    let given = flow.given(&all(1.0, 3), 1.0).unwrap();
    assert!(given.sample(4, &solver, &mut Rng::from_seed(0)).unwrap_err().to_string().contains("conditions"));
    let mut rng = Rng::from_seed(0);
    let unknown = flow.log_density(&x_1, Divergence::Exact, &solver, &mut rng).unwrap_err().to_string();
    assert!(unknown.contains("give those of each row"), "{unknown}");
    assert!(flow.encode(&x_1, &solver).is_err());

    let start = |condition, values: Option<Tensor<f64>>| {
        let shape = MlpShape { condition, ..MlpShape::new(1, &[4]) };
        let velocity = Mlp::initialize(shape, &mut Rng::from_seed(0)).unwrap();
        let trainer = trainer(Coupling::Independent).steps(5);
        let trainer = match values {
            Some(values) => trainer.conditions(conditions.clone(), values),
            None => trainer,
        };
        trainer.start(velocity, &x_1, &mut Rng::from_seed(0)).err().map(|error| error.to_string())
    };
    assert_eq!(start(conditions.width(), Some(kinds.clone())), None);
    assert!(start(1, Some(kinds.clone())).is_some());
    assert!(start(0, Some(kinds)).is_some());
    assert!(start(conditions.width(), None).is_some());
    assert!(start(conditions.width(), Some(all(0.0, 3))).is_some());
}
