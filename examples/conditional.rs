//! A condition and guidance: samples of one of two classes, and samples pushed away from the other one (E27).
//!
//! `cargo run --release --example conditional`: class `left` is N((-1, 0), 0.25 I), class `right` N((1, 0), 0.25 I). The exact field of
//! each class and of both together is known (E18, E19), so that the guided one, ũ = (1 - w) u(x | ∅) + w u(x | y), is known too.
//! It prints mean and standard deviation of the first column of 4000 samples beside those of the exact field from the same source rows:
//! they must agree within 0.05. With w = 0 the class counts for nothing, with w = 1 they are those of the class, ±1 and 0.5; with
//! w = 2 the samples go beyond the class: guidance is no conditioning.

use pushforward::closed_form::{GaussianFlow, MixtureFlow};
use pushforward::data::{ConditionColumn, ConditionKind, Conditions};
use pushforward::field::Guided;
use pushforward::nn::MlpShape;
use pushforward::rng::Purpose;
use pushforward::{AffinePath, Mlp, Rng, Solver, Source, Tensor, Trainer};

const MEANS: [[f64; 2]; 2] = [[-1.0, 0.0], [1.0, 0.0]];
const CLASSES: [&str; 2] = ["left", "right"];

/// Mean and standard deviation of the first column.
#[allow(clippy::cast_precision_loss, reason = "a few thousand rows")]
fn moments(x: &Tensor<f64>) -> [f64; 2] {
    let (n, column) = (x.rows() as f64, || (0..x.rows()).map(|i| x.row(i)[0]));
    let mean = column().sum::<f64>() / n;
    [mean, (column().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt()]
}

#[allow(clippy::print_stdout, reason = "an example shows its result")]
fn main() -> pushforward::Result<()> {
    let mut rng = Rng::from_seed(0);
    let covariance = Tensor::from_rows(&[[0.25, 0.0], [0.0, 0.25]]);
    let both =
        MixtureFlow::new(&[0.5, 0.5], &Tensor::from_rows(&MEANS), &[covariance.clone(), covariance.clone()])?;

    // The training rows and the class of each, as the number of its name.
    let stream = &mut rng.fork(Purpose::Data).stream(0);
    let (mut x_1, mut class) = (Tensor::zeros(20_000, 2), Tensor::zeros(20_000, 1));
    for i in 0..x_1.rows() {
        let k = stream.below(2);
        class.row_mut(i)[0] = [0.0, 1.0][k];
        x_1.row_mut(i).copy_from_slice(&MEANS[k].map(|mean| mean + 0.5 * stream.normal()));
    }
    let kind = ConditionKind::Categorical(CLASSES.map(String::from).to_vec());
    let conditions = Conditions::fit(vec![ConditionColumn { name: "class".into(), kind }], &class)?;
    let shape = MlpShape { condition: conditions.width(), ..MlpShape::new(2, &[64, 64, 64]) };
    // A tenth of the rows is trained without its class: that is the field u(x | ∅), which guidance needs.
    let trainer =
        Trainer::new(AffinePath::default()).steps(4000).conditions(conditions, class).condition_dropout(0.1);
    let flow = trainer.fit(Mlp::initialize(shape, &mut rng)?, &x_1, &mut rng)?;

    let (n, solver) = (4000, Solver::dopri5());
    let streams = rng.fork(Purpose::Source);
    let mut x_0 = Tensor::zeros(n, 2);
    Source::Normal.fill(&streams, 0, &mut x_0);
    println!("class    w   mean   exact   standard deviation   exact");
    for (k, name) in CLASSES.iter().enumerate() {
        let one = GaussianFlow::new(&MEANS[k], &covariance)?;
        for w in [0.0, 1.0, 2.0] {
            let given = Tensor::from_vec(vec![[0.0, 1.0][k]; n], n, 1)?;
            let drawn = flow.given(&given, w)?.sample_rows::<f64>(0..n, &solver, streams)?;
            let (none, given) = (both.velocity(flow.path()), one.velocity(flow.path()));
            let exact = solver.solve(&Guided::new(&none, &given, w), &x_0, 0.0..1.0)?;
            let [[mean, std], [exact_mean, exact_std]] = [moments(&drawn.x), moments(&exact.x)];
            assert!((mean - exact_mean).abs() < 0.05 && (std - exact_std).abs() < 0.05);
            println!("{name:6} {w:3.0} {mean:6.3}  {exact_mean:6.3} {std:20.3}   {exact_std:.3}");
        }
    }
    Ok(())
}
