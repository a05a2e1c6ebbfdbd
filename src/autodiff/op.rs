//! The operations of a tape: each with its forward, its vjp and its jvp side by side.
//!
//! In a vjp the cotangent of the result comes in and the cotangents of the operands are added to; in a jvp the tangents of the
//! operands come in and those of the result are written. An operand that is not differentiated has neither.

use super::replay::{Buffer, Cotangents};
use super::tape::Var;
use super::weights::Weights;
use crate::kernel::{
    Activation, Real, Rows, Simd, Start, activate, apply, multiply, multiply_each, product,
    squared_distances, sum_products, weight_gradient,
};

/// One operation.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Input,
    Fourier(Fourier),
    Concat(Concat),
    Linear(Linear),
    SquaredError(SquaredError),
}

/// y = (sin(w_1 t), ..., sin(w_K t), cos(w_1 t), ..., cos(w_K t)), w_k = pi k.
#[derive(Debug, Clone)]
pub(super) struct Fourier {
    pub(super) t: Var,
    pub(super) frequencies: usize,
}

impl Fourier {
    #[allow(clippy::cast_precision_loss, reason = "a handful of frequencies")]
    fn frequency(k: usize) -> f64 {
        std::f64::consts::PI * (k + 1) as f64
    }

    pub(super) fn forward<R: Real>(&self, values: &[Buffer<R>], y: &mut Buffer<R>, rows: usize) {
        for i in 0..rows {
            let t = values[self.t.0].row(i)[0].to_f64();
            for k in 0..self.frequencies {
                let (sin, cos) = (Self::frequency(k) * t).sin_cos();
                y.row_mut(i)[k] = R::from_f64(sin);
                y.row_mut(i)[self.frequencies + k] = R::from_f64(cos);
            }
        }
    }

    /// d_t = sum over k of w_k (cos(w_k t) d_y_k - sin(w_k t) d_y_{K+k})
    pub(super) fn vjp<R: Real>(
        &self,
        y: &Buffer<R>,
        d_y: &Buffer<R>,
        d: &mut Cotangents<'_, R>,
        rows: usize,
    ) {
        let Some(d_t) = d.zeroed(self.t, rows) else { return };
        for i in 0..rows {
            let (y, d_y) = (y.row(i), d_y.row(i));
            for k in 0..self.frequencies {
                let (sin, cos) = (y[k], y[self.frequencies + k]);
                d_t.row_mut(i)[0] +=
                    R::from_f64(Self::frequency(k)) * (cos * d_y[k] - sin * d_y[self.frequencies + k]);
            }
        }
    }

    /// d_y_k = w_k cos(w_k t) d_t, d_y_{K+k} = -w_k sin(w_k t) d_t
    pub(super) fn jvp<R: Real>(
        &self,
        y: &Buffer<R>,
        d_t: &Buffer<R>,
        d_y: &mut Buffer<R>,
        rows: usize,
        tangents: usize,
    ) {
        for i in 0..tangents * rows {
            let (y, d_t) = (y.row(i % rows), d_t.row(i)[0]);
            for k in 0..self.frequencies {
                let rate = R::from_f64(Self::frequency(k)) * d_t;
                d_y.row_mut(i)[k] = rate * y[self.frequencies + k];
                d_y.row_mut(i)[self.frequencies + k] = -(rate * y[k]);
            }
        }
    }
}

/// y = (left, right).
#[derive(Debug, Clone)]
pub(super) struct Concat {
    pub(super) left: Var,
    pub(super) right: Var,
    pub(super) left_cols: usize,
}

impl Concat {
    pub(super) fn forward<R: Real>(&self, values: &[Buffer<R>], y: &mut Buffer<R>, rows: usize) {
        let mut y = y.rows_mut(rows);
        y.copy_from(values[self.left.0].rows(rows), 0);
        y.copy_from(values[self.right.0].rows(rows), self.left_cols);
    }

    /// d_left += the first columns of d_y, d_right += the rest
    pub(super) fn vjp<R: Real>(&self, d_y: &Buffer<R>, d: &mut Cotangents<'_, R>, rows: usize) {
        for (var, first) in [(self.left, 0), (self.right, self.left_cols)] {
            let Some(d_x) = d.zeroed(var, rows) else { continue };
            for i in 0..rows {
                for (d_x, d_y) in d_x.row_mut(i).iter_mut().zip(&d_y.row(i)[first..]) {
                    *d_x += *d_y;
                }
            }
        }
    }

    /// d_y = (d_left, d_right); the columns of an operand without tangents stay 0
    pub(super) fn jvp<R: Real>(
        &self,
        d_x: &[Option<Buffer<R>>],
        d_y: &mut Buffer<R>,
        rows: usize,
        tangents: usize,
    ) {
        for (var, first) in [(self.left, 0), (self.right, self.left_cols)] {
            let Some(d_x) = &d_x[var.0] else { continue };
            d_y.rows_mut(tangents * rows).copy_from(d_x.rows(tangents * rows), first);
        }
    }
}

/// y = f(z), z = x w + b; f the activation, or the identity.
#[derive(Debug, Clone)]
pub(super) struct Linear {
    pub(super) x: Var,
    pub(super) matrix: usize,
    pub(super) activation: Option<Activation>,
}

impl Linear {
    /// Writes y, and f'(z) where there is an activation and derivatives will be wanted.
    pub(super) fn forward<R: Real>(
        &self,
        weights: &Weights<R>,
        values: &[Buffer<R>],
        y: &mut Buffer<R>,
        slope: Option<&mut Buffer<R>>,
        rows: usize,
    ) {
        let start = Start::Bias(weights.bias(self.matrix));
        product(
            weights.simd(),
            values[self.x.0].rows(rows),
            weights.forward(self.matrix),
            start,
            y.rows_mut(rows),
        );
        match (self.activation, slope) {
            (Some(f), Some(slope)) => activate(weights.simd(), f, y.rows_mut(rows), slope.rows_mut(rows)),
            (Some(f), None) => apply(weights.simd(), f, y.rows_mut(rows)),
            (None, _) => {}
        }
    }

    /// d_z = f'(z) d_y (in place); d_w += xᵀ d_z, d_b += sum over rows of d_z; d_x += d_z wᵀ
    pub(super) fn vjp<R: Real>(
        &self,
        weights: &Weights<R>,
        x: &Buffer<R>,
        slope: Option<&Buffer<R>>,
        d_y: &mut Buffer<R>,
        d: &mut Cotangents<'_, R>,
        rows: usize,
    ) {
        let simd = weights.simd();
        if let Some(slope) = slope {
            multiply(simd, slope.rows(rows), d_y.rows_mut(rows));
        }
        let d_z = d_y.rows(rows);
        if let Some(gradient) = d.gradient.as_deref_mut() {
            let matrix = weights.matrix(self.matrix);
            let (d_w, d_b) =
                gradient[matrix.weight().start..matrix.bias().end].split_at_mut(matrix.weight().len());
            weight_gradient(simd, x.rows(rows), d_z, d_w, d_b);
        }
        if let Some((d_x, start)) = d.started(self.x) {
            product(simd, d_z, weights.transposed(self.matrix), start, d_x.rows_mut(rows));
        }
    }

    /// d_y = f'(z) (d_x w), for each tangent
    pub(super) fn jvp<R: Real>(
        &self,
        weights: &Weights<R>,
        slope: Option<&Buffer<R>>,
        d_x: &Buffer<R>,
        d_y: &mut Buffer<R>,
        rows: usize,
        tangents: usize,
    ) {
        let all = tangents * rows;
        product(weights.simd(), d_x.rows(all), weights.forward(self.matrix), Start::Zero, d_y.rows_mut(all));
        if let Some(slope) = slope {
            multiply(weights.simd(), slope.rows(rows), d_y.rows_mut(all));
        }
    }
}

/// The divergence of a chain of layers, tr(du/dx): the tangents of a row stand one after the other, row i d + k the k-th of
/// row i, and both ends of the chain need no product.
impl Linear {
    /// The d unit tangents of each row through the first layer: d_y = f'(z) w[k], row k of w.
    pub(super) fn jvp_units<R: Real>(
        &self,
        weights: &Weights<R>,
        slope: Option<Rows<'_, R>>,
        d: usize,
        d_y: &mut Buffer<R>,
        rows: usize,
    ) {
        let w = &weights.parameters()[weights.matrix(self.matrix).weight()];
        let cols = d_y.cols();
        let w = Rows::new(&w[..d * cols], cols, cols);
        if let Some(slope) = slope {
            return multiply_each(weights.simd(), slope, Some(w), d_y.rows_mut(d * rows));
        }
        for i in 0..rows {
            d_y.range_mut(i * d..(i + 1) * d).copy_from(w, 0);
        }
    }

    /// The d tangents of each row through a layer in the middle: d_y = f'(z) (d_x w).
    pub(super) fn jvp_each<R: Real>(
        &self,
        weights: &Weights<R>,
        slope: Option<Rows<'_, R>>,
        d: usize,
        d_x: &Buffer<R>,
        d_y: &mut Buffer<R>,
        rows: usize,
    ) {
        let all = d * rows;
        product(weights.simd(), d_x.rows(all), weights.forward(self.matrix), Start::Zero, d_y.rows_mut(all));
        if let Some(slope) = slope {
            multiply_each(weights.simd(), slope, None, d_y.rows_mut(all));
        }
    }

    /// wᵀ row after row: what [`Linear::trace`] wants of the last layer.
    pub(super) fn transpose<R: Real>(&self, weights: &Weights<R>, transposed: &mut Buffer<R>, d: usize) {
        let w = &weights.parameters()[weights.matrix(self.matrix).weight()];
        for k in 0..d {
            for (x, w) in transposed.row_mut(k).iter_mut().zip(w[k..].iter().step_by(d)) {
                *x = *w;
            }
        }
    }

    /// The trace over the last layer: sum over k of <d_x[k], column k of w>, one number a row.
    pub(super) fn trace<R: Real>(
        weights: &Weights<R>,
        transposed: &Buffer<R>,
        d: usize,
        d_x: &Buffer<R>,
        trace: &mut [f64],
    ) {
        sum_products(weights.simd(), d_x.rows(d * trace.len()), transposed.rows(d), trace);
    }
}

/// y = |u - target|², one number a row.
#[derive(Debug, Clone)]
pub(super) struct SquaredError {
    pub(super) u: Var,
    pub(super) target: Var,
}

impl SquaredError {
    pub(super) fn forward<R: Real>(&self, simd: Simd, values: &[Buffer<R>], y: &mut Buffer<R>, rows: usize) {
        let (u, target) = (&values[self.u.0], &values[self.target.0]);
        squared_distances(simd, u.rows(rows), target.rows(rows), y.rows_mut(rows));
    }

    /// d_u += 2 (u - target) d_y, d_target -= the same
    pub(super) fn vjp<R: Real>(
        &self,
        values: &[Buffer<R>],
        d_y: &Buffer<R>,
        d: &mut Cotangents<'_, R>,
        rows: usize,
    ) {
        let (u, target) = (&values[self.u.0], &values[self.target.0]);
        for (var, sign) in [(self.u, 2.0), (self.target, -2.0)] {
            let Some(d_x) = d.zeroed(var, rows) else { continue };
            for i in 0..rows {
                let scale = R::from_f64(sign) * d_y.row(i)[0];
                for (d_x, (&u, &v)) in d_x.row_mut(i).iter_mut().zip(u.row(i).iter().zip(target.row(i))) {
                    *d_x += scale * (u - v);
                }
            }
        }
    }

    /// d_y = 2 <u - target, d_u - d_target>
    pub(super) fn jvp<R: Real>(
        &self,
        values: &[Buffer<R>],
        d_x: &[Option<Buffer<R>>],
        d_y: &mut Buffer<R>,
        rows: usize,
        tangents: usize,
    ) {
        let (u, target) = (&values[self.u.0], &values[self.target.0]);
        for i in 0..tangents * rows {
            let difference = u.row(i % rows).iter().zip(target.row(i % rows)).map(|(&u, &v)| u - v);
            let mut sum = R::ZERO;
            for (j, e) in difference.enumerate() {
                for (var, sign) in [(self.u, 2.0), (self.target, -2.0)] {
                    let Some(d_x) = &d_x[var.0] else { continue };
                    sum += R::from_f64(sign) * e * d_x.row(i)[j];
                }
            }
            d_y.row_mut(i)[0] = sum;
        }
    }
}
