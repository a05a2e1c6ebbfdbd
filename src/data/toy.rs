//! [`Toy`]: eight two-dimensional distributions that can be drawn without a file.
//!
//! # Math
//! u is uniform on [0, 1), z is a pair of independent N(0, 1), k is a uniform index; all are drawn
//! anew for each row. Every toy is about as wide as N(0, I) or two to three times as wide.
//! - `checkerboard`: uniform over the 8 dark unit squares of a 4 x 4 board [-2, 2]^2 (a square is dark
//!   where floor(a) + floor(b) is even), divided by 0.45. Density 0.45^2 / 8 = 0.0253125 on the dark
//!   squares, entropy 3.6765 nats.
//! - `moons`: a = pi u; half of the rows (cos a - 1/2, sin a - 1/4), half of them minus that; + 0.1 z.
//! - `8gaussians`: 2 (cos b, sin b) + 0.2 z, b = k pi / 4, k = 0 ... 7.
//! - `rings`: r (cos 2 pi u, sin 2 pi u) + 0.08 z, r = k / 2, k = 1 ... 4.
//! - `pinwheel`: 2 Rot(b) (r, s), r = 1 + 0.3 z_1, s = 0.1 z_2, b = 2 pi k / 5 + exp(r) / 4, k = 0 ... 4.
//! - `swissroll`: a / 5 (cos a, sin a) + 0.1 z, a = 3 pi / 2 (1 + 2 u).
//! - `spirals`: +- a / 3 (cos a, sin a) + 0.1 z, a = 3 pi sqrt(u), either sign for half of the rows.
//! - `gaussian`: N(m, S) with m = [`GAUSSIAN_MEAN`] and S = [`GAUSSIAN_COVARIANCE`], so that the flow
//!   to it is known in closed form (E18).
//!
//! # Shapes
//! [n, 2]; row i depends on the seed (and on how often the key was forked before) and on i only.
//!
//! # Limits
//! Rows are drawn in f64 and then rounded: a row of the checkerboard in f32 may so be moved onto the
//! edge of its square, one in some millions. More than 500 lines, as each formula stands beside its test.
//!
//! # Source
//! The shapes are customary in papers on normalising flows, W. Grathwohl et al. 2019 (FFJORD),
//! arXiv:1810.01367 among them. The formulas above are this crate's own, scales included: compare
//! numbers with another program only after comparing the formulas.

#![allow(clippy::indexing_slicing, reason = "two columns of its own rows, no bytes of a file")]

use std::f64::consts::{FRAC_PI_4, PI, TAU};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::kernel::Real;
use crate::rng::{Purpose, ROWS_PER_STREAM, Rng, Stream, Streams};
use crate::tensor::Tensor;

/// What the checkerboard of unit squares is divided by.
const CHECKERBOARD_SCALE: f64 = 0.45;

/// Mean of [`Toy::Gaussian`].
pub const GAUSSIAN_MEAN: [f64; 2] = [1.0, -0.5];

/// Lower Cholesky factor L of the covariance S = L L^T of [`Toy::Gaussian`].
const GAUSSIAN_FACTOR: [[f64; 2]; 2] = [[1.2, 0.0], [0.6, 0.5]];

/// Covariance of [`Toy::Gaussian`]: standard deviations 1.2 and 0.78, correlation 0.77.
pub const GAUSSIAN_COVARIANCE: [[f64; 2]; 2] = [[1.44, 0.72], [0.72, 0.61]];

/// A distribution that can be drawn without a file; the formulas are at the head of
/// [the module](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Toy {
    /// Uniform over the dark squares of a board.
    Checkerboard,
    /// Two half circles that reach into each other.
    Moons,
    /// Eight narrow normals on a circle.
    EightGaussians,
    /// Four circles around one centre.
    Rings,
    /// Five bent blades.
    Pinwheel,
    /// One spiral arm.
    SwissRoll,
    /// Two spiral arms.
    Spirals,
    /// One correlated normal.
    Gaussian,
}

impl Toy {
    /// Columns of every toy.
    pub const DIM: usize = 2;

    /// All of them, in the order of their documentation.
    pub const ALL: [Self; 8] = [
        Self::Checkerboard,
        Self::Moons,
        Self::EightGaussians,
        Self::Rings,
        Self::Pinwheel,
        Self::SwissRoll,
        Self::Spirals,
        Self::Gaussian,
    ];

    /// The word: `checkerboard`, `moons`, `8gaussians`, `rings`, `pinwheel`, `swissroll`, `spirals`,
    /// `gaussian`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Checkerboard => "checkerboard",
            Self::Moons => "moons",
            Self::EightGaussians => "8gaussians",
            Self::Rings => "rings",
            Self::Pinwheel => "pinwheel",
            Self::SwissRoll => "swissroll",
            Self::Spirals => "spirals",
            Self::Gaussian => "gaussian",
        }
    }

    /// Draws n rows, [n, 2]. A shorter draw with the same key is the beginning of a longer one.
    ///
    /// # Example
    /// ```
    /// use pushforward::{Rng, Tensor, data::Toy};
    ///
    /// let toy: Toy = "rings".parse()?;
    /// let x: Tensor<f64> = toy.sample(1000, &mut Rng::from_seed(0));
    /// assert_eq!((x.rows(), x.cols()), (1000, 2));
    /// # Ok::<(), pushforward::Error>(())
    /// ```
    ///
    /// # Panics
    /// As [`Tensor::zeros`], for more rows than memory has a place for.
    #[must_use]
    pub fn sample<R: Real>(self, n: usize, rng: &mut Rng) -> Tensor<R> {
        self.rows(0..n, &rng.fork(Purpose::Data))
    }

    /// Draws rows `rows` of the one infinite sequence that belongs to `streams`, [n, 2]: block by block,
    /// a toy of any length needs no memory.
    ///
    /// # Example
    /// ```
    /// use pushforward::{Rng, Tensor, data::Toy, rng::Purpose};
    ///
    /// let all: Tensor = Toy::Moons.sample(1000, &mut Rng::from_seed(0));
    /// let streams = Rng::from_seed(0).fork(Purpose::Data);
    /// assert_eq!(Toy::Moons.rows(900..910, &streams), all.slice_rows(900..910));
    /// ```
    ///
    /// # Panics
    /// As [`Tensor::zeros`], for more rows than memory has a place for.
    #[must_use]
    pub fn rows<R: Real>(self, rows: Range<usize>, streams: &Streams) -> Tensor<R> {
        let (first_block, skipped) = (rows.start / ROWS_PER_STREAM, rows.start % ROWS_PER_STREAM);
        let mut x = Tensor::zeros(rows.len(), Toy::DIM);
        let head = (ROWS_PER_STREAM - skipped).min(x.rows());
        let (head, whole) = x.as_mut_slice().split_at_mut(head * Toy::DIM);
        self.draw_block(streams, first_block, skipped, head);
        whole.par_chunks_mut(ROWS_PER_STREAM * Toy::DIM).enumerate().for_each(|(b, rows)| {
            self.draw_block(streams, first_block + 1 + b, 0, rows);
        });
        x
    }

    /// Draws rows of one block of [`ROWS_PER_STREAM`], after leaving out its first `skipped` rows.
    fn draw_block<R: Real>(self, streams: &Streams, block: usize, skipped: usize, rows: &mut [R]) {
        let mut stream = streams.stream(block as u64);
        for _ in 0..skipped {
            self.draw(&mut stream);
        }
        for row in rows.chunks_exact_mut(Toy::DIM) {
            row.copy_from_slice(&self.draw(&mut stream).map(R::from_f64));
        }
    }

    /// Draws one row by the formula at the head of this file.
    fn draw(self, stream: &mut Stream) -> [f64; 2] {
        match self {
            Self::Checkerboard => {
                // Dark squares: columns 0 ... 3, in each the two rows of the column's parity.
                let square = stream.below(8);
                let (column, upper) = (square / 2, square % 2);
                let corner = [count(column) - 2.0, count(2 * upper + column % 2) - 2.0];
                corner.map(|edge| (edge + stream.uniform()) / CHECKERBOARD_SCALE)
            }
            Self::Moons => {
                let sign = either_sign(stream);
                let (sin, cos) = (PI * stream.uniform()).sin_cos();
                noisy([sign * (cos - 0.5), sign * (sin - 0.25)], 0.1, stream)
            }
            Self::EightGaussians => {
                let angle = count(stream.below(8)) * FRAC_PI_4;
                noisy(polar(2.0, angle), 0.2, stream)
            }
            Self::Rings => {
                let radius = count(stream.below(4) + 1) / 2.0;
                let angle = TAU * stream.uniform();
                noisy(polar(radius, angle), 0.08, stream)
            }
            Self::Pinwheel => {
                let blade = count(stream.below(5)) * (TAU / 5.0);
                let (r, s) = (1.0 + 0.3 * stream.normal(), 0.1 * stream.normal());
                let (sin, cos) = (blade + r.exp() / 4.0).sin_cos();
                [2.0 * (cos * r - sin * s), 2.0 * (sin * r + cos * s)]
            }
            Self::SwissRoll => {
                let a = 1.5 * PI * (1.0 + 2.0 * stream.uniform());
                noisy(polar(a / 5.0, a), 0.1, stream)
            }
            Self::Spirals => {
                let sign = either_sign(stream);
                let a = 3.0 * PI * stream.uniform().sqrt();
                noisy(polar(sign * a / 3.0, a), 0.1, stream)
            }
            Self::Gaussian => {
                let z = [stream.normal(), stream.normal()];
                let l_z = GAUSSIAN_FACTOR.map(|row| row[0] * z[0] + row[1] * z[1]);
                [GAUSSIAN_MEAN[0] + l_z[0], GAUSSIAN_MEAN[1] + l_z[1]]
            }
        }
    }
}

impl fmt::Display for Toy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Toy {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|toy| toy.word() == word).ok_or_else(|| Error::Unknown {
            what: "toy",
            word: word.to_owned(),
            known: "checkerboard moons 8gaussians rings pinwheel swissroll spirals gaussian",
        })
    }
}

/// Draws n rows of [`Toy::Checkerboard`], [n, 2].
///
/// # Example
/// ```
/// use pushforward::{Rng, Tensor, data::toy};
///
/// let x: Tensor = toy::checkerboard(100, &mut Rng::from_seed(0));
/// assert!((0..100).all(|i| toy::checkerboard_is_dark(x.row(i))));
/// ```
#[must_use]
pub fn checkerboard<R: Real>(n: usize, rng: &mut Rng) -> Tensor<R> {
    Toy::Checkerboard.sample(n, rng)
}

/// Draws n rows of [`Toy::Moons`], [n, 2].
#[must_use]
pub fn moons<R: Real>(n: usize, rng: &mut Rng) -> Tensor<R> {
    Toy::Moons.sample(n, rng)
}

/// Draws n rows of [`Toy::EightGaussians`], [n, 2].
#[must_use]
pub fn eight_gaussians<R: Real>(n: usize, rng: &mut Rng) -> Tensor<R> {
    Toy::EightGaussians.sample(n, rng)
}

/// Draws n rows of [`Toy::Rings`], [n, 2].
#[must_use]
pub fn rings<R: Real>(n: usize, rng: &mut Rng) -> Tensor<R> {
    Toy::Rings.sample(n, rng)
}

/// Draws n rows of [`Toy::Pinwheel`], [n, 2].
#[must_use]
pub fn pinwheel<R: Real>(n: usize, rng: &mut Rng) -> Tensor<R> {
    Toy::Pinwheel.sample(n, rng)
}

/// Draws n rows of [`Toy::SwissRoll`], [n, 2].
#[must_use]
pub fn swissroll<R: Real>(n: usize, rng: &mut Rng) -> Tensor<R> {
    Toy::SwissRoll.sample(n, rng)
}

/// Draws n rows of [`Toy::Spirals`], [n, 2].
#[must_use]
pub fn spirals<R: Real>(n: usize, rng: &mut Rng) -> Tensor<R> {
    Toy::Spirals.sample(n, rng)
}

/// Draws n rows of [`Toy::Gaussian`], [n, 2].
#[must_use]
pub fn gaussian<R: Real>(n: usize, rng: &mut Rng) -> Tensor<R> {
    Toy::Gaussian.sample(n, rng)
}

/// Whether x, of length 2, lies in a dark square of [`Toy::Checkerboard`]; left and lower edges belong
/// to a square, the others do not. What has not two numbers lies in none.
#[must_use]
pub fn checkerboard_is_dark<R: Real>(x: &[R]) -> bool {
    let &[x, y] = x else { return false };
    let on_board = [x, y].map(|x| (x.to_f64() * CHECKERBOARD_SCALE).floor());
    on_board.iter().all(|edge| (-2.0..2.0).contains(edge))
        && (on_board[0] + on_board[1]).rem_euclid(2.0) < 0.5
}

/// The log-density of [`Toy::Checkerboard`] at x, of length 2, in nats: ln 0.0253125 = -3.6765 on the
/// dark squares, negative infinity elsewhere.
#[must_use]
pub fn checkerboard_log_density<R: Real>(x: &[R]) -> f64 {
    if !checkerboard_is_dark(x) {
        return f64::NEG_INFINITY;
    }
    // 8 squares, each of side 1 / 0.45.
    (CHECKERBOARD_SCALE * CHECKERBOARD_SCALE / 8.0).ln()
}

/// A small index as a number.
#[allow(clippy::cast_precision_loss, reason = "indices here are below ten")]
fn count(index: usize) -> f64 {
    index as f64
}

fn either_sign(stream: &mut Stream) -> f64 {
    2.0 * count(stream.below(2)) - 1.0
}

fn polar(radius: f64, angle: f64) -> [f64; 2] {
    let (sin, cos) = angle.sin_cos();
    [radius * cos, radius * sin]
}

fn noisy(x: [f64; 2], std: f64, stream: &mut Stream) -> [f64; 2] {
    x.map(|x| x + std * stream.normal())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean (x, y) and covariance (xx, xy, yy) of each toy, by hand from its formula.
    fn moments(toy: Toy) -> [f64; 5] {
        match toy {
            // On the board E a^2 = 4^2 / 12; column centres -1.5 -.5 .5 1.5 hold rows of mean centre
            // -.5 .5 -.5 .5: E ab = (.75 - .25 - .25 + .75) / 4.
            Toy::Checkerboard => {
                let square = 0.45 * 0.45;
                [0.0, 0.0, 4.0 / 3.0 / square, 0.25 / square, 4.0 / 3.0 / square]
            }
            // E cos^2 = E sin^2 = 1/2, E cos = E sin cos = 0, E sin = 2/pi; symmetric about 0.
            Toy::Moons => [0.0, 0.0, 0.75 + 0.01, 0.125 - 1.0 / PI, 0.5 - 1.0 / PI + 0.0625 + 0.01],
            Toy::EightGaussians => [0.0, 0.0, 2.04, 0.0, 2.04],
            // E r^2 = (1 + 4 + 9 + 16) / 16.
            Toy::Rings => [0.0, 0.0, 1.875 / 2.0 + 0.0064, 0.0, 1.875 / 2.0 + 0.0064],
            // Five-fold symmetry: isotropic, E |x|^2 = 4 (E r^2 + E s^2).
            Toy::Pinwheel => [0.0, 0.0, 2.0 * 1.1, 0.0, 2.0 * 1.1],
            // a uniform on [3 pi/2, 9 pi/2]: E a cos a = 2, E a sin a = 2/(3 pi), E a^2 = 39 pi^2/4,
            // E a^2 cos 2a = -1/2, E a^2 sin 2a = 3 pi.
            Toy::SwissRoll => {
                let (m, n, square) = (2.0 / 5.0, 2.0 / (15.0 * PI), 9.75 * PI * PI);
                [
                    m,
                    n,
                    (square - 0.5) / 50.0 - m * m + 0.01,
                    3.0 * PI / 50.0 - m * n,
                    (square + 0.5) / 50.0 - n * n + 0.01,
                ]
            }
            // Density of a: 2a/(3 pi)^2 on [0, 3 pi]: E a^2 = 9 pi^2/2, E a^2 cos 2a = 3/2,
            // E a^2 sin 2a = 1/(2 pi) - 3 pi; symmetric about 0.
            Toy::Spirals => {
                let square = 4.5 * PI * PI;
                [
                    0.0,
                    0.0,
                    (square + 1.5) / 18.0 + 0.01,
                    (0.5 / PI - 3.0 * PI) / 18.0,
                    (square - 1.5) / 18.0 + 0.01,
                ]
            }
            Toy::Gaussian => {
                let ([m, n], [[a, b], [_, c]]) = (GAUSSIAN_MEAN, GAUSSIAN_COVARIANCE);
                [m, n, a, b, c]
            }
        }
    }

    fn rows(x: &Tensor<f64>) -> impl Iterator<Item = [f64; 2]> {
        (0..x.rows()).map(|i| [x.row(i)[0], x.row(i)[1]])
    }

    /// Mean of f over the rows, and its standard error.
    fn mean(x: &Tensor<f64>, f: impl Fn([f64; 2]) -> f64) -> (f64, f64) {
        let n = x.rows() as f64;
        let mean = rows(x).map(&f).sum::<f64>() / n;
        let variance = rows(x).map(|row| (f(row) - mean).powi(2)).sum::<f64>() / n;
        (mean, (variance / n).sqrt())
    }

    #[test]
    fn moments_are_those_of_the_formulas() {
        /// 40 comparisons: one of them beyond five standard errors has a probability of 2e-5.
        const STANDARD_ERRORS: f64 = 5.0;
        for toy in Toy::ALL {
            let x: Tensor<f64> = toy.sample(200_000, &mut Rng::from_seed(1));
            let [m, n, xx, xy, yy] = moments(toy);
            let check = |what: &str, expected: f64, f: &dyn Fn([f64; 2]) -> f64| {
                let (found, error) = mean(&x, f);
                let bound = STANDARD_ERRORS * error;
                assert!(
                    (found - expected).abs() < bound,
                    "{toy}, {what}: {found} +- {error}, not {expected}"
                );
            };
            check("mean of x", m, &|[x, _]| x);
            check("mean of y", n, &|[_, y]| y);
            check("variance of x", xx, &|[x, _]| (x - m).powi(2));
            check("covariance", xy, &|[x, y]| (x - m) * (y - n));
            check("variance of y", yy, &|[_, y]| (y - n).powi(2));
        }
    }

    #[test]
    fn rows_lie_near_their_curves() {
        /// 20,000 pairs of normals: one beyond seven standard deviations has a probability of 5e-7.
        const NOISE_STDS: f64 = 7.0;
        let draw = |toy: Toy| toy.sample(20_000, &mut Rng::from_seed(2));
        let nearest = |x: [f64; 2], centre: &dyn Fn(usize) -> [f64; 2], n: usize| {
            (0..n).map(|k| (x[0] - centre(k)[0]).hypot(x[1] - centre(k)[1])).fold(f64::INFINITY, f64::min)
        };
        let x = draw(Toy::EightGaussians);
        for row in rows(&x) {
            assert!(nearest(row, &|k| polar(2.0, count(k) * FRAC_PI_4), 8) < NOISE_STDS * 0.2);
        }
        let x = draw(Toy::Rings);
        for [x, y] in rows(&x) {
            let r = x.hypot(y);
            assert!((1..=4).any(|k| (r - count(k) / 2.0).abs() < NOISE_STDS * 0.08));
        }
        // 400 points of each curve are at most 0.03 apart.
        let on_grid = |k: usize| k as f64 / 400.0;
        let x = draw(Toy::Moons);
        for row in rows(&x) {
            let moon = |k: usize| [(PI * on_grid(k)).cos() - 0.5, (PI * on_grid(k)).sin() - 0.25];
            let other = [-row[0], -row[1]];
            assert!(nearest(row, &moon, 401).min(nearest(other, &moon, 401)) < NOISE_STDS * 0.1 + 0.03);
        }
    }

    #[test]
    fn the_covariance_of_the_gaussian_is_that_of_its_factor() {
        let l = GAUSSIAN_FACTOR;
        for i in 0..2 {
            for j in 0..2 {
                let product = l[i][0] * l[j][0] + l[i][1] * l[j][1];
                assert!((product - GAUSSIAN_COVARIANCE[i][j]).abs() < 1e-15);
            }
        }
    }

    /// Pearson's statistic of counts that should all be equal.
    fn chi_square(counts: &[u32]) -> f64 {
        let expected = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
        counts.iter().map(|&c| (f64::from(c) - expected).powi(2) / expected).sum()
    }

    #[test]
    fn the_checkerboard_is_uniform_over_its_dark_squares() {
        let x: Tensor<f64> = checkerboard(80_000, &mut Rng::from_seed(3));
        let (mut squares, mut inside) = ([0_u32; 16], [0_u32; 16]);
        for row in rows(&x) {
            assert!(checkerboard_is_dark(&row));
            let board = row.map(|x| x * 0.45 + 2.0);
            #[allow(clippy::cast_possible_truncation, reason = "a cell number below 16")]
            let cell = |x: [f64; 2], n: f64| ((x[0] * n).floor() * 4.0 + (x[1] * n).floor()) as usize;
            squares[cell(board, 1.0)] += 1;
            inside[cell(board.map(f64::fract), 4.0)] += 1;
        }
        let dark: Vec<u32> = squares.into_iter().filter(|&c| c > 0).collect();
        assert_eq!(dark.len(), 8);
        // The 1e-4 quantiles of chi-square with 7 and with 15 degrees of freedom.
        assert!(chi_square(&dark) < 29.88, "{dark:?}");
        assert!(chi_square(&inside) < 44.26, "{inside:?}");
    }

    #[test]
    fn the_checkerboard_has_its_known_density() {
        assert!(!checkerboard_is_dark(&[0.1]) && !checkerboard_is_dark(&[0.1; 3]));
        let dark = checkerboard_log_density(&[0.1, 0.1]);
        assert!((dark - -3.6765).abs() < 5e-5 && (dark.exp() - 0.025_312_5).abs() < 1e-15);
        // Edges and the world outside: the corner (-2, -2) belongs to a dark square, (2, 2) to none.
        let at = |a: f64, b: f64| checkerboard_is_dark(&[a / 0.45, b / 0.45]);
        assert!(at(-2.0, -2.0) && !at(2.0, 2.0) && at(0.5, -1.5) && !at(0.5, -0.5) && !at(2.5, 2.5));
        assert!(!at(f64::NAN, 0.5) && !at(f64::INFINITY, 0.5) && !at(-2.5, 0.5));
        // Midpoints of a grid whose lines hold all edges: the sum is the integral but for rounding.
        let n = 240;
        let (from, step) = (-3.0 / 0.45, 6.0 / 0.45 / f64::from(n));
        let mut mass = 0.0;
        for i in 0..n {
            for j in 0..n {
                let x = [i, j].map(|i| from + (f64::from(i) + 0.5) * step);
                mass += checkerboard_log_density(&x).exp() * step * step;
            }
        }
        assert!((mass - 1.0).abs() < 1e-10, "{mass}");
    }

    #[test]
    fn a_short_draw_begins_a_long_one_and_precisions_agree() {
        for toy in Toy::ALL {
            let long: Tensor<f64> = toy.sample(1000, &mut Rng::from_seed(4));
            for n in [0, 1, 63, 64, 65, 1000] {
                let short: Tensor<f64> = toy.sample(n, &mut Rng::from_seed(4));
                assert_eq!(short, long.slice_rows(0..n));
            }
            let single: Tensor = toy.sample(1000, &mut Rng::from_seed(4));
            assert_eq!(single, long.cast());
            let mut rng = Rng::from_seed(4);
            let (first, second) = (toy.sample::<f64>(10, &mut rng), toy.sample::<f64>(10, &mut rng));
            assert_ne!(first, second);
        }
    }

    #[test]
    fn words_are_read_and_written() {
        for toy in Toy::ALL {
            assert_eq!(toy.to_string().parse::<Toy>().unwrap(), toy);
            let text = "Moon".parse::<Toy>().unwrap_err().to_string();
            assert!(text.contains(toy.word()), "{text}");
        }
    }
}
