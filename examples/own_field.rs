//! A velocity of one's own: its flow, and the density that it makes of N(0, I) by the change of variables (E1, E21).
//!
//! `cargo run --release --example own_field`: u(x, y) = (-r² x - 3 y, -r² y + 3 x), r² = x² + y², draws inwards and turns. Its flow is known:
//! r_t = r_0 / sqrt(1 + 2 r_0² t), the angle grows by 3 t. What was N(0, I) at t = 0 lies in the disc r < sqrt(1/2) at t = 1, with
//! log p_1 = log p_0(x_0) - 2 ln(1 - 2 r²), r_0 = r / sqrt(1 - 2 r²). It prints the largest errors of x_1 and of log p_1 over 1000 rows
//! by `dopri5` for three tolerances. They are the solver's alone: of x_1 less than 10 tolerances, of log p_1, which is steep where r² is
//! near 1/2, less than 1000.

use pushforward::field::{DifferentialWorker, Worker};
use pushforward::likelihood::log_density;
use pushforward::rng::Purpose;
use pushforward::{DifferentiableField, Divergence, Result, Rng, Solver, Source, Tensor, VectorField};

const TURN: f64 = 3.0;

/// The field. To be solved it needs `dim` and `eval` alone.
struct Whirl;

impl VectorField<f64> for Whirl {
    fn dim(&self) -> usize {
        2
    }

    fn eval(&self, _t: &[f64], x: &Tensor<f64>, u: &mut Tensor<f64>) -> Result<()> {
        for i in 0..x.rows() {
            let &[a, b] = pair(x.row(i));
            let r2 = a * a + b * b;
            u.row_mut(i).copy_from_slice(&[-r2 * a - TURN * b, -r2 * b + TURN * a]);
        }
        Ok(())
    }
}

/// A log-density needs derivatives too. What evaluates a field again and again is its worker, which owns the memory for that, if it
/// needs any.
impl DifferentiableField<f64> for Whirl {
    fn differential_worker(&self, _rows: usize, _tangents: usize) -> Box<dyn DifferentialWorker<f64> + '_> {
        Box::new(Whirl)
    }
}

impl Worker<f64> for Whirl {
    fn eval(&mut self, t: &[f64], x: &Tensor<f64>, u: &mut Tensor<f64>) -> Result<()> {
        VectorField::eval(self, t, x, u)
    }
}

impl DifferentialWorker<f64> for Whirl {
    fn jvp(
        &mut self,
        t: &[f64],
        x: &Tensor<f64>,
        d_x: &Tensor<f64>,
        u: &mut Tensor<f64>,
        d_u: &mut Tensor<f64>,
    ) -> Result<()> {
        for k in 0..d_x.rows() {
            let [[xx, xy], [yx, yy]] = jacobian(x.row(k % x.rows())); // tangent k is one of row k mod B
            let &[a, b] = pair(d_x.row(k));
            d_u.row_mut(k).copy_from_slice(&[xx * a + xy * b, yx * a + yy * b]);
        }
        VectorField::eval(self, t, x, u)
    }

    fn vjp(
        &mut self,
        t: &[f64],
        x: &Tensor<f64>,
        w: &Tensor<f64>,
        u: &mut Tensor<f64>,
        d_x: &mut Tensor<f64>,
    ) -> Result<()> {
        for i in 0..x.rows() {
            let [[xx, xy], [yx, yy]] = jacobian(x.row(i));
            let &[a, b] = pair(w.row(i));
            d_x.row_mut(i).copy_from_slice(&[xx * a + yx * b, xy * a + yy * b]);
        }
        VectorField::eval(self, t, x, u)
    }
}

fn pair(row: &[f64]) -> &[f64; 2] {
    row.first_chunk().unwrap_or(&[f64::NAN; 2]) // rows are of length `dim`
}

/// du/dx.
fn jacobian(row: &[f64]) -> [[f64; 2]; 2] {
    let &[a, b] = pair(row);
    [[-3.0 * a * a - b * b, -2.0 * a * b - TURN], [-2.0 * a * b + TURN, -a * a - 3.0 * b * b]]
}

/// psi_1(x_0) and log p_1 there, exactly.
fn exact(row: &[f64]) -> ([f64; 2], f64) {
    let &[a, b] = pair(row);
    let shrink = 1.0 / (1.0 + 2.0 * (a * a + b * b)).sqrt();
    let (sin, cos) = TURN.sin_cos();
    let x_1 = [shrink * (cos * a - sin * b), shrink * (sin * a + cos * b)];
    // 1 - 2 r² = shrink².
    (x_1, Source::Normal.log_density(row) - 4.0 * shrink.ln())
}

#[allow(clippy::print_stdout, reason = "an example shows its result")]
fn main() -> Result<()> {
    let mut rng = Rng::from_seed(0);
    let mut x_0 = Tensor::zeros(1000, 2);
    Source::Normal.fill(&rng.fork(Purpose::Source), 0, &mut x_0);
    println!("tolerance   error of x_1   error of log p_1   evaluations a row");
    for tolerance in [1e-4, 1e-7, 1e-10] {
        let solver = Solver::dopri5().tolerance(tolerance);
        let x_1 = solver.solve(&Whirl, &x_0, 0.0..1.0)?.x;
        let scores = log_density(&Whirl, Source::Normal, &x_1, Divergence::Exact, &solver, &mut rng)?;
        let (mut of_x, mut of_log_p) = (0.0_f64, 0.0_f64);
        for (i, log_p) in scores.log_density.iter().enumerate() {
            let (x, exact_log_p) = exact(x_0.row(i));
            x.iter().zip(x_1.row(i)).for_each(|(a, b)| of_x = of_x.max((a - b).abs()));
            of_log_p = of_log_p.max((log_p - exact_log_p).abs());
        }
        assert!(of_x < 10.0 * tolerance && of_log_p < 1000.0 * tolerance);
        println!("{tolerance:9.0e} {of_x:14.1e} {of_log_p:18.1e} {:19.0}", scores.stats.nfe);
    }
    Ok(())
}
