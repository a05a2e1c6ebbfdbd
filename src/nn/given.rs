//! [`Given`]: a network as a field, each row under its own condition.
//!
//! # Math
//! u(t, x_i; y_i) with y_i the condition of row i of a batch, or y = 0 for all rows where none is given: what an [`Mlp`] by
//! itself answers. A condition does not depend on x, so that derivatives are those of the same network.
//!
//! # Shapes
//! t has length B, x and u are [B, d], the conditions [N, c]: a batch may be any rows of these N ([`Worker::set_rows`]).

use std::sync::Arc;

use super::mlp::Mlp;
use crate::autodiff::{Derivatives, DivergenceReplay, ProbeReplay, Replay};
use crate::error::{Error, Result};
use crate::field::{DifferentiableField, DifferentialWorker, DrawnProbes, Probes, VectorField, Worker};
use crate::kernel::{Real, Rows, RowsMut};
use crate::tensor::Tensor;

/// A network whose rows have conditions.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a, R: Real = f32> {
    mlp: &'a Mlp<R>,
    conditions: Option<&'a Tensor<R>>,
}

impl<R: Real> Mlp<R> {
    /// The network with a condition for each row, [N, c].
    ///
    /// # Errors
    /// [`Error::Dimension`] if the network's conditions have another number of columns.
    ///
    /// # Example
    /// ```
    /// use pushforward::{Mlp, Rng, Tensor, VectorField, nn::MlpShape};
    ///
    /// let shape = MlpShape { condition: 1, ..MlpShape::new(2, &[16]) };
    /// let mlp = Mlp::initialize(shape, &mut Rng::from_seed(0))?;
    /// let (x, y) = (Tensor::from_rows(&[[1.0, -1.0]]), Tensor::from_rows(&[[0.5]]));
    /// let (mut with, mut without) = (Tensor::zeros(1, 2), Tensor::zeros(1, 2));
    /// mlp.given(&y)?.eval(&[0.5], &x, &mut with)?;
    /// mlp.eval(&[0.5], &x, &mut without)?;
    /// assert!(with != without);
    /// # Ok::<(), pushforward::Error>(())
    /// ```
    pub fn given<'a>(&'a self, conditions: &'a Tensor<R>) -> Result<Given<'a, R>> {
        let remedy = "give the numbers of a condition that the network was made for";
        conditions.check_cols("columns of the conditions", self.shape().condition, remedy)?;
        Ok(Given { mlp: self, conditions: Some(conditions) })
    }

    fn alone(&self) -> Given<'_, R> {
        Given { mlp: self, conditions: None }
    }
}

impl<'a, R: Real> Given<'a, R> {
    fn beside(self, rows: usize) -> Beside<'a, R> {
        Beside { conditions: self.conditions, rows: (0..rows).collect() }
    }

    fn plain(self, rows: usize, derivatives: Derivatives) -> MlpWorker<'a, R> {
        let replay = Replay::new(Arc::clone(self.mlp.recorded().0), rows, derivatives);
        MlpWorker { mlp: self.mlp, beside: self.beside(rows), replay }
    }

    fn differential(self, rows: usize, tangents: usize) -> MlpWorker<'a, R> {
        self.plain(rows, Derivatives { inputs: true, tangents, ..Derivatives::default() })
    }

    /// None for a network without hidden layers, whose plain way is the shortest.
    fn divergence(self, rows: usize) -> Option<MlpDivergence<'a, R>> {
        let (tape, vars) = self.mlp.recorded();
        let replay = DivergenceReplay::new(Arc::clone(tape), rows, vars.x, vars.u)?;
        Some(MlpDivergence { mlp: self.mlp, beside: self.beside(rows), replay })
    }

    fn probes(self, rows: usize, probes: Probes) -> Option<MlpProbes<'a, R>> {
        let ((tape, vars), count) = (self.mlp.recorded(), probes.count);
        let replay = ProbeReplay::new(Arc::clone(tape), rows, count, vars.x, vars.u)?;
        Some(MlpProbes {
            mlp: self.mlp,
            beside: self.beside(rows),
            replay,
            drawn: DrawnProbes::new(probes, rows),
            one: vec![R::ZERO; count * self.mlp.shape().dim],
            count,
        })
    }
}

impl<R: Real> VectorField<R> for Given<'_, R> {
    fn dim(&self) -> usize {
        self.mlp.shape().dim
    }

    fn eval(&self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        self.worker(x.rows()).eval(t, x, u)
    }

    fn worker(&self, rows: usize) -> Box<dyn Worker<R> + '_> {
        Box::new(self.plain(rows, Derivatives::default()))
    }
}

impl<R: Real> DifferentiableField<R> for Given<'_, R> {
    fn differential_worker(&self, rows: usize, tangents: usize) -> Box<dyn DifferentialWorker<R> + '_> {
        Box::new(self.differential(rows, tangents))
    }

    fn divergence_worker(&self, rows: usize) -> Box<dyn Worker<R> + '_> {
        match self.divergence(rows) {
            Some(worker) => Box::new(worker),
            None => self.trace_by_tangents(rows),
        }
    }

    fn probe_worker(&self, rows: usize, probes: Probes) -> Box<dyn Worker<R> + '_> {
        match self.probes(rows, probes) {
            Some(worker) => Box::new(worker),
            None => self.along_probes(rows, probes),
        }
    }
}

impl<R: Real> VectorField<R> for Mlp<R> {
    fn dim(&self) -> usize {
        self.shape().dim
    }

    fn eval(&self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        self.worker(x.rows()).eval(t, x, u)
    }

    fn worker(&self, rows: usize) -> Box<dyn Worker<R> + '_> {
        Box::new(self.alone().plain(rows, Derivatives::default()))
    }
}

impl<R: Real> DifferentiableField<R> for Mlp<R> {
    fn differential_worker(&self, rows: usize, tangents: usize) -> Box<dyn DifferentialWorker<R> + '_> {
        Box::new(self.alone().differential(rows, tangents))
    }

    fn divergence_worker(&self, rows: usize) -> Box<dyn Worker<R> + '_> {
        match self.alone().divergence(rows) {
            Some(worker) => Box::new(worker),
            None => self.trace_by_tangents(rows),
        }
    }

    fn probe_worker(&self, rows: usize, probes: Probes) -> Box<dyn Worker<R> + '_> {
        match self.alone().probes(rows, probes) {
            Some(worker) => Box::new(worker),
            None => self.along_probes(rows, probes),
        }
    }
}

/// The conditions of the rows that a worker is asked about.
struct Beside<'a, R: Real> {
    conditions: Option<&'a Tensor<R>>, // [N, c]
    rows: Vec<usize>,
}

impl<R: Real> Beside<'_, R> {
    fn set_rows(&mut self, rows: &[usize]) {
        self.rows.clear();
        self.rows.extend_from_slice(rows);
    }

    /// Writes the condition of each of n rows into the network's input for it.
    fn write(&self, mut to: RowsMut<'_, R>, n: usize) -> Result<()> {
        for i in 0..n {
            match self.conditions {
                None => to.row_mut(i).fill(R::ZERO),
                Some(conditions) => {
                    let known = self.rows.get(i).filter(|&&row| row < conditions.rows());
                    let &row = known.ok_or_else(|| Error::Dimension {
                        what: "rows of the conditions",
                        expected: self.rows.get(i).map_or(n, |row| row + 1),
                        found: conditions.rows(),
                        remedy: "give one for each row",
                    })?;
                    to.row_mut(i).copy_from_slice(conditions.row(row));
                }
            }
        }
        Ok(())
    }
}

/// Writes t, x and the conditions into the inputs of a replay, evaluates it, and reads u.
fn forward<R: Real>(
    mlp: &Mlp<R>,
    beside: &Beside<'_, R>,
    replay: &mut Replay<R>,
    t: &[R],
    x: &Tensor<R>,
    u: &mut Tensor<R>,
) -> Result<()> {
    let vars = mlp.recorded().1;
    let (n, dim) = (x.rows(), mlp.shape().dim);
    let remedy = "one time and one velocity for each row of x";
    x.check_cols("columns of x", dim, "they must be the dimension of the network")?;
    u.check_cols("columns of u", dim, "they must be the dimension of the network")?;
    for (what, found, expected) in
        [("times", t.len(), n), ("rows of u", u.rows(), n), ("rows of x", n, n.min(replay.capacity()))]
    {
        if found != expected {
            return Err(Error::Dimension { what, expected, found, remedy });
        }
    }
    replay.input_mut(vars.t, n).copy_from(Rows::new(t, 1, 1), 0);
    replay.input_mut(vars.x, n).copy_from(rows(x), 0);
    if let Some(condition) = vars.condition {
        beside.write(replay.input_mut(condition, n), n)?;
    }
    replay.forward(mlp.weights(), n);
    copy_out(replay.value(vars.u, n), u);
    Ok(())
}

fn check_rates(rate: &[f64], expected: usize) -> Result<()> {
    if rate.len() == expected {
        return Ok(());
    }
    let remedy = "one for each number that a row of x carries";
    Err(Error::Dimension { what: "rates", expected, found: rate.len(), remedy })
}

/// A network whose rows carry its divergence.
struct MlpDivergence<'a, R: Real> {
    mlp: &'a Mlp<R>,
    beside: Beside<'a, R>,
    replay: DivergenceReplay<R>,
}

impl<R: Real> Worker<R> for MlpDivergence<'_, R> {
    fn set_rows(&mut self, rows: &[usize]) {
        self.beside.set_rows(rows);
    }

    fn eval(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        forward(self.mlp, &self.beside, self.replay.replay(), t, x, u)
    }

    fn eval_carry(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>, rate: &mut [f64]) -> Result<()> {
        self.eval(t, x, u)?;
        check_rates(rate, x.rows())?;
        self.replay.divergence(self.mlp.weights(), rate); // E22
        Ok(())
    }
}

/// A network whose rows carry its derivative along each of their probes.
struct MlpProbes<'a, R: Real> {
    mlp: &'a Mlp<R>,
    beside: Beside<'a, R>,
    replay: ProbeReplay<R>,
    drawn: DrawnProbes,
    one: Vec<R>, // [K, d], the probes of one row
    count: usize,
}

impl<R: Real> Worker<R> for MlpProbes<'_, R> {
    fn eval(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        forward(self.mlp, &self.beside, self.replay.replay(), t, x, u)
    }

    fn carries(&self) -> usize {
        self.count
    }

    fn set_rows(&mut self, rows: &[usize]) {
        self.beside.set_rows(rows);
        self.drawn.set_rows(rows);
    }

    fn eval_carry(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>, rate: &mut [f64]) -> Result<()> {
        self.eval(t, x, u)?;
        check_rates(rate, x.rows() * self.count)?;
        let replay = &mut self.replay;
        self.drawn.draw(x.rows(), x.cols(), &mut self.one, |i, probes| replay.set_probes(i, probes))?;
        self.replay.along(self.mlp.weights(), x.rows(), rate); // E22
        Ok(())
    }
}

/// A network with the buffers to evaluate it.
struct MlpWorker<'a, R: Real> {
    mlp: &'a Mlp<R>,
    beside: Beside<'a, R>,
    replay: Replay<R>,
}

impl<R: Real> MlpWorker<'_, R> {
    fn forward(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        forward(self.mlp, &self.beside, &mut self.replay, t, x, u)
    }
}

/// A matrix as the rows of a kernel.
fn rows<R: Real>(x: &Tensor<R>) -> Rows<'_, R> {
    Rows::new(x.as_slice(), x.cols(), x.cols())
}

/// Copies rows of a replay into a matrix.
fn copy_out<R: Real>(from: Rows<'_, R>, to: &mut Tensor<R>) {
    let cols = to.cols();
    RowsMut::new(to.as_mut_slice(), cols, cols).copy_from(from, 0);
}

impl<R: Real> Worker<R> for MlpWorker<'_, R> {
    fn set_rows(&mut self, rows: &[usize]) {
        self.beside.set_rows(rows);
    }

    fn eval(&mut self, t: &[R], x: &Tensor<R>, u: &mut Tensor<R>) -> Result<()> {
        self.forward(t, x, u)
    }
}

impl<R: Real> DifferentialWorker<R> for MlpWorker<'_, R> {
    fn jvp(
        &mut self,
        t: &[R],
        x: &Tensor<R>,
        d_x: &Tensor<R>,
        u: &mut Tensor<R>,
        d_u: &mut Tensor<R>,
    ) -> Result<()> {
        let vars = self.mlp.recorded().1;
        self.forward(t, x, u)?;
        let mut tangents = self.replay.tangent_mut(vars.x, x.rows());
        for (what, tensor) in [("rows of d_x", d_x), ("rows of d_u", &*d_u)] {
            if tensor.rows() != tangents.rows() || tensor.cols() != x.cols() {
                return Err(Error::Dimension {
                    what,
                    expected: tangents.rows(),
                    found: tensor.rows(),
                    remedy: "give [K B, d] for K tangents of B rows",
                });
            }
        }
        tangents.copy_from(rows(d_x), 0);
        self.replay.jvp(vars.u, self.mlp.weights(), x.rows());
        copy_out(self.replay.tangent(vars.u, x.rows()), d_u);
        Ok(())
    }

    fn vjp(
        &mut self,
        t: &[R],
        x: &Tensor<R>,
        w: &Tensor<R>,
        u: &mut Tensor<R>,
        d_x: &mut Tensor<R>,
    ) -> Result<()> {
        let vars = self.mlp.recorded().1;
        self.forward(t, x, u)?;
        for (what, tensor) in [("rows of w", w), ("rows of d_x", &*d_x)] {
            if tensor.rows() != x.rows() || tensor.cols() != x.cols() {
                return Err(Error::Dimension {
                    what,
                    expected: x.rows(),
                    found: tensor.rows(),
                    remedy: "give the shape of x",
                });
            }
        }
        self.replay.cotangent_mut(vars.u, x.rows()).copy_from(rows(w), 0);
        self.replay.vjp(vars.u, self.mlp.weights(), None, x.rows());
        copy_out(self.replay.cotangent(vars.x, x.rows()), d_x);
        Ok(())
    }
}
