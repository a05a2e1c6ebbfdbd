//! Couplings in training: the same bits on any number of threads, shorter ways, sources of data, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use pushforward::data::toy;
use pushforward::nn::LrSchedule;
use pushforward::train::Standardization;
use pushforward::{
    AffinePath, Coupling, Divergence, Error, Flow, Mlp, Result, Rng, Solver, Source, Tensor, Trainer,
};

const OT: Coupling = Coupling::ExactOt;
const SOFT: Coupling = Coupling::Sinkhorn { reg: 0.2 };

fn trainer(coupling: Coupling) -> Trainer {
    Trainer::new(AffinePath::default()).coupling(coupling).steps(45).batch(100)
}

/// Trains from N(0, I), or from moons.
fn fit(trainer: Trainer, from_data: bool) -> Result<Flow> {
    let mut rng = Rng::from_seed(1);
    let x_1: Tensor = toy::eight_gaussians(1000, &mut rng);
    let velocity = Mlp::new(2, &[16, 16], &mut rng)?;
    if from_data {
        let x_0: Tensor = toy::moons(700, &mut rng);
        return trainer.fit_from(velocity, &x_0, &x_1, &mut rng);
    }
    trainer.fit(velocity, &x_1, &mut rng)
}

#[test]
fn threads_change_no_bit() {
    for coupling in [Coupling::Independent, OT, SOFT] {
        for (from_data, size) in [(false, 100), (true, 300)] {
            let of = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let trainer = trainer(coupling);
                let independent = coupling == Coupling::Independent;
                let trainer = if independent { trainer } else { trainer.coupling_batch(size) };
                let flow = pool.install(|| fit(trainer, from_data)).unwrap();
                flow.velocity().parameters().to_vec()
            };
            let one = of(1);
            assert!(one == of(2) && one == of(7), "{coupling}, from data: {from_data}");
        }
    }
}

#[test]
fn closer_pairs_lower_the_loss() {
    // V of E12 is the mean conditional variance of X_1 - X_0: 2 for a trained independent coupling of these laws, far less
    // where pairs do not cross.
    let loss = |coupling| {
        let flow = fit(trainer(coupling).steps(300).lr_schedule(LrSchedule::Constant), false).unwrap();
        flow.record().unwrap().loss
    };
    let (loose, soft, tight) = (loss(Coupling::Independent), loss(SOFT), loss(OT));
    assert!(tight < soft && soft < 0.8 * loose, "{loose} {soft} {tight}");
}

#[test]
fn every_coupling_trains_the_same_marginals() {
    // Standardised data have second moment 2; E |X_1 - X_0|² for independent pairs is 4 in sum: the loss at a zero network.
    for coupling in [OT, SOFT] {
        let flow = fit(trainer(coupling).steps(600), false).unwrap();
        let drawn = flow.sample(4000, &Solver::midpoint().steps(20), &mut Rng::from_seed(2)).unwrap().x;
        for k in 0..2 {
            let mean = (0..4000).map(|i| f64::from(drawn.row(i)[k])).sum::<f64>() / 4000.0;
            let square = (0..4000).map(|i| f64::from(drawn.row(i)[k]).powi(2)).sum::<f64>() / 4000.0;
            let (of_data, std) = (flow.standardize().mean()[k], flow.standardize().std()[k]);
            // What 600 steps of a small network reach: a tenth of the spread.
            assert!((mean - of_data).abs() < 0.1 * std, "{coupling}: mean {mean}, {of_data}");
            assert!(((square - mean * mean).sqrt() / std - 1.0).abs() < 0.1, "{coupling}");
        }
    }
}

#[test]
fn a_source_of_data_has_units_of_its_own_and_no_density() {
    let mut rng = Rng::from_seed(3);
    let x_1: Tensor<f64> = toy::eight_gaussians(500, &mut rng);
    // The same rows far away and in another unit: the best pairs are row i with row i.
    let mut x_0 = x_1.clone();
    x_0.as_mut_slice().iter_mut().for_each(|x| *x = 1000.0 + 20.0 * *x);
    let velocity = Mlp::new(2, &[16], &mut rng).unwrap();
    let flow = trainer(Coupling::Paired).steps(400).fit_from(velocity, &x_0, &x_1, &mut rng).unwrap();
    // Paired rows are equal in their own units: nothing moves, whatever the offset. 400 steps leave less than a hundredth of the
    // 4 that independent pairs would have.
    assert!(flow.record().unwrap().loss < 4e-2, "{}", flow.record().unwrap().loss);
    assert_eq!((flow.source(), flow.source_dim()), (Source::Data, 2));
    let z_0 = flow.source_to_model(&x_0).unwrap();
    let again: Tensor<f64> = flow.source_to_data(&z_0).unwrap();
    for (x, y) in x_0.as_slice().iter().zip(again.as_slice()) {
        assert!((x - y).abs() < 1e-4 * x.abs()); // f32 in between
    }
    let file = tempfile::tempdir().unwrap().path().join("m.pf");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    flow.save(&file).unwrap();
    let loaded = Flow::load(&file).unwrap();
    assert_eq!(loaded.source_units(), flow.source_units());
    assert_eq!(loaded.record().unwrap().source_rows, Some(500));

    let solver = Solver::midpoint().steps(4);
    let error = flow.sample(3, &solver, &mut rng).unwrap_err().to_string();
    assert!(error.contains("--source DATA"), "{error}");
    let error = flow.log_density(&x_1, Divergence::Exact, &solver, &mut rng).unwrap_err().to_string();
    assert!(error.contains("no density") && error.contains("encode"), "{error}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let setting = |trainer: Trainer, from_data| match fit(trainer, from_data).unwrap_err() {
        Error::Setting { name, .. } => name,
        other => panic!("{other}"),
    };
    assert_eq!(setting(trainer(Coupling::Paired), false), "coupling");
    assert_eq!(setting(trainer(Coupling::Sinkhorn { reg: 0.0 }), false), "coupling");
    assert_eq!(setting(trainer(Coupling::Sinkhorn { reg: 1e-20 }), false), "reg");
    assert_eq!(setting(trainer(Coupling::Independent).coupling_batch(200), false), "coupling_batch");
    for size in [0, 50, 150, 1 << 20] {
        assert_eq!(setting(trainer(OT).coupling_batch(size), true), "coupling_batch");
    }
    assert_eq!(setting(trainer(OT).source(Source::Data), false), "source");
    let error = fit(trainer(Coupling::Paired), true).unwrap_err();
    assert!(matches!(error, Error::Dimension { expected: 1000, found: 700, .. }), "{error}");
}

#[test]
fn standardization_off_takes_both_sides_as_they_are() {
    let flow = fit(trainer(OT).standardization(Standardization::Off), true).unwrap();
    let units = flow.source_units().unwrap();
    assert_eq!((units.mean(), units.std()), (&[0.0, 0.0][..], &[1.0, 1.0][..]));
}
