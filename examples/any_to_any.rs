//! Any law to any other: two moons to eight gaussians, with rows paired at random and by optimal transport (E25).
//!
//! `cargo run --release --example any_to_any`: the source is a table and not N(0, I). Fresh moons are pushed forward by 2, 8 and
//! 100 steps of Euler. It prints the distance W2 of what comes out from fresh rows of the eight gaussians, and that of fresh rows from
//! fresh rows, which nothing but luck can beat; with 100 steps both couplings must be less than 0.3 above it. Pairs by optimal
//! transport make the ways straight: 2 steps must be less than 0.1 worse than 100. Those of pairs at random are bent: 2 steps must be
//! more than 1 worse.

use pushforward::data::toy;
use pushforward::metrics::exact_w2;
use pushforward::{AffinePath, Coupling, Mlp, Rng, Solver, Tensor, Trainer};

/// Eight gaussians, far enough from the moons that rows have a way to go: those of the toy, twice as large.
fn eight(n: usize, rng: &mut Rng) -> Tensor {
    let mut x = toy::eight_gaussians(n, rng);
    x.as_mut_slice().iter_mut().for_each(|x| *x *= 2.0);
    x
}

#[allow(clippy::print_stdout, reason = "an example shows its result")]
fn main() -> pushforward::Result<()> {
    let mut rng = Rng::from_seed(0);
    let (x_0, x_1): (Tensor, Tensor) = (toy::moons(10_000, &mut rng), eight(10_000, &mut rng));
    let (fresh_0, fresh_1, others): (Tensor, _, _) =
        (toy::moons(2000, &mut rng), eight(2000, &mut rng), eight(2000, &mut rng));

    println!("W2 to 2000 fresh rows   2 steps   8 steps   100 steps   fresh rows themselves");
    let itself = exact_w2(&others, &fresh_1)?;
    for coupling in [Coupling::Independent, Coupling::ExactOt] {
        let velocity = Mlp::new(2, &[64, 64, 64], &mut rng)?;
        let trainer = Trainer::new(AffinePath::default()).coupling(coupling).steps(3000).batch(256);
        let flow = trainer.fit_from(velocity, &x_0, &x_1, &mut rng)?;
        let w2 = |steps| exact_w2(&flow.decode(&fresh_0, &Solver::euler().steps(steps))?.x, &fresh_1);
        let [two, eight, hundred] = [w2(2)?, w2(8)?, w2(100)?];
        assert!(hundred < itself + 0.3);
        assert!(if coupling == Coupling::ExactOt { two < hundred + 0.1 } else { two > hundred + 1.0 });
        println!("{:21} {two:9.3} {eight:9.3} {hundred:11.3} {itself:23.3}", coupling.to_string());
    }
    Ok(())
}
