//! What the ways of drawing times are worth: the noise of the loss and of its gradient.
//!
//! For each sampling of times and each weight, at a new network and at a trained one, the relative standard deviation of the loss
//! of a batch, and that of its gradient: sqrt(tr Cov g) / |E g|. `--short` measures with few batches.

use pushforward::data::Standardize;
use pushforward::objective::{Objective, Share, TimeSampling, TimeWeight};
use pushforward::rng::Purpose;
use pushforward::{AffinePath, Mlp, Rng, Source, Tensor, Trainer, data::toy};

const BATCH: usize = 512;

/// The relative standard deviation of the loss, the standard deviation of the gradient, and the norm of its mean.
fn noise(mlp: &Mlp, x_1: &Tensor, times: TimeSampling, weight: TimeWeight, batches: u32) -> [f64; 3] {
    let objective = Objective::new(mlp.shape(), AffinePath::default(), Source::Normal).timed(times, weight);
    let mut worker = objective.worker(BATCH);
    let streams = Rng::from_seed(9).fork(Purpose::Batch);
    let share = Share { first: 0, rows: BATCH, batch: BATCH };
    let count = mlp.parameters().len();
    let (mut loss, mut losses, mut sum, mut squares) = (0.0, 0.0, vec![0.0; count], 0.0);
    for b in 0..batches {
        let mut gradient = vec![0.0_f32; count];
        let stream = &mut streams.stream(b.into());
        let found =
            objective.draw_and_add(&mut worker, mlp.weights(), x_1, None, None, stream, share, &mut gradient);
        loss += found;
        losses += found * found;
        for (sum, g) in sum.iter_mut().zip(&gradient) {
            *sum += f64::from(*g);
            squares += f64::from(g * g);
        }
    }
    let n = f64::from(batches);
    let of_mean = sum.iter().map(|s| (s / n).powi(2)).sum::<f64>();
    let variance = (squares / n - of_mean) * n / (n - 1.0);
    // The mean of n batches has a part of their noise.
    let mean = (of_mean - variance / n).max(0.0).sqrt();
    [((losses / n - (loss / n).powi(2)).max(0.0)).sqrt() / (loss / n), variance.sqrt(), mean]
}

#[allow(clippy::print_stdout, reason = "an example shows its result")]
fn main() -> pushforward::Result<()> {
    let short = std::env::args().any(|word| word == "--short");
    let (batches, steps) = if short { (20, 100) } else { (2000, 3000) };
    let mut rng = Rng::from_seed(0);
    let tables: [(&str, Tensor); 2] = [
        ("checkerboard", toy::checkerboard(50_000, &mut rng)),
        ("8gaussians", toy::eight_gaussians(50_000, &mut rng)),
    ];
    println!("relative standard deviation of a batch of {BATCH}: loss, gradient (and |E g|)");
    for (name, x_1) in &tables {
        let new = Mlp::new(2, &[64, 64, 64], &mut rng)?;
        let trainer = Trainer::new(AffinePath::default()).steps(steps);
        let trained = trainer.fit(new.clone(), x_1, &mut rng)?;
        let z_1: Tensor = Standardize::fit(&x_1.cast())?.to_model(&x_1.cast::<f64>())?.cast();
        for (state, mlp) in [("new", &new), ("trained", trained.velocity())] {
            for weight in [TimeWeight::None, TimeWeight::Target, TimeWeight::Noise] {
                for times in TimeSampling::ALL {
                    let [loss, gradient, mean] = noise(mlp, &z_1, times, weight, batches);
                    println!(
                        "{name:12} {state:7} {:6} {:12} {loss:.4} {:7.2} ({gradient:.4} / {mean:.4})",
                        weight.word(),
                        times.word(),
                        gradient / mean
                    );
                }
            }
        }
    }
    Ok(())
}
