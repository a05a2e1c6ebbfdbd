//! Learns the checkerboard, draws from it and scores what it drew.

use pushforward::{
    AffinePath, Coupling, Divergence, Mlp, Rng, Scheduler, Solver, Tensor, Trainer, data::toy,
};

#[allow(clippy::print_stdout, reason = "an example shows its result")]
fn main() -> pushforward::Result<()> {
    let mut rng = Rng::from_seed(0);
    let x_1: Tensor = toy::checkerboard(100_000, &mut rng); // target samples, [100000, 2]

    let path = AffinePath::new(Scheduler::CondOt); // x_t = t x_1 + (1 - t) x_0
    let velocity = Mlp::new(2, &[64, 64, 64], &mut rng)?; // u(t, x; theta)
    let flow = Trainer::new(path)
        .coupling(Coupling::Independent) // each x_1 gets an x_0 drawn without looking at it
        .steps(5_000)
        .fit(velocity, &x_1, &mut rng)?;
    flow.save("checkerboard.pf")?;

    let solver = Solver::midpoint().steps(50);
    let drawn = flow.sample(10_000, &solver, &mut rng)?; // t = 0 -> 1
    let score = flow.log_density(&drawn.x, Divergence::Exact, &solver, &mut rng)?; // t = 1 -> 0
    println!("{} NFE, mean log p = {:.3} nats", drawn.stats.nfe, score.mean());
    Ok(())
}
