//! A velocity field in the plane: its speed as colours, its direction as streamlines.
//!
//! # Math
//! A streamline follows u_t at one fixed t. It is drawn with steps of equal length by the midpoint method, the velocity linear
//! between the centres of cells. Lines keep apart: each takes the squares of a coarse grid that it goes through, and ends before
//! one that is taken.

use super::colour::{Ink, viridis};
use super::density::Map;
use super::scene::Scene;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// A velocity on a regular grid of cells, as [`Grid`](super::Grid) lays them out.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// What stands above it.
    pub title: &'a str,
    /// The velocity at the centre of each cell, [rows x columns, 2], row after row, the lowest first.
    pub velocity: &'a Tensor<f64>,
    /// Cells in a row.
    pub columns: usize,
    /// The left edge of the first and the right edge of the last column.
    pub x: (f64, f64),
    /// The lower edge of the first and the upper edge of the last row.
    pub y: (f64, f64),
}

/// Squares of the coarse grid along each side.
const SQUARES: usize = 26;
/// Length of a step, and of the shortest line that is drawn, as shares of a square.
const STEP: f64 = 0.1;
const SHORTEST: f64 = 2.5;
/// Steps of a line in each direction: one that goes in circles ends.
const MOST_STEPS: usize = 2000;
/// Length of an arrow's sides in points.
const ARROW: f64 = 4.5;
/// The lightest colours of the map are left out: lines on it are white.
const DARKER: f64 = 0.8;

/// Draws a velocity field: speeds from 0 to the largest as colours, streamlines with arrows on top.
///
/// # Errors
/// [`Error::Dimension`] if the grid has less than 2 x 2 cells or not two numbers each; [`Error::NotFinite`] for NaN and infinity;
/// [`Error::Setting`] for an axis whose ends are not finite and in order.
///
/// # Example
/// ```
/// use pushforward::{Tensor, plot};
///
/// let velocity = Tensor::from_rows(&[[1.0, 0.0], [1.0, 0.5], [0.5, 1.0], [0.0, 1.0]]);
/// let field = plot::Field { title: "u", velocity: &velocity, columns: 2, x: (0.0, 1.0), y: (0.0, 1.0) };
/// assert!(plot::field(&field)?.picture(&plot::Look::default())?.width > 0);
/// # Ok::<(), pushforward::Error>(())
/// ```
pub fn field(field: &Field<'_>) -> Result<Scene> {
    let rows = check(field)?;
    let speed: Vec<f64> = (0..field.velocity.rows())
        .map(|i| field.velocity.row(i)[0].hypot(field.velocity.row(i)[1]))
        .collect();
    let most = speed.iter().fold(0.0_f64, |most, &v| most.max(v));
    let most = if most > 0.0 { most } else { 1.0 };
    let shade = |share: f64| viridis(DARKER * share);
    let colours = speed.iter().map(|v| shade(v / most)).collect();
    let map = Map { title: field.title, x: field.x, y: field.y, most, bar: ["speed,", "per unit of t"] };
    let (mut scene, frame) = map.draw(field.columns, colours, shade);
    let lines = Lines { field, rows, taken: vec![false; SQUARES * SQUARES] }.all();
    let (width, height) = (frame.area.right - frame.area.left, frame.area.bottom - frame.area.top);
    for line in lines {
        let line: Vec<(f64, f64)> = line
            .into_iter()
            .map(|(x, y)| (frame.area.left + x * width, frame.area.bottom - y * height))
            .collect();
        if let Some([a, b]) =
            line.windows(2).nth(line.len() / 2).and_then(|pair| <[_; 2]>::try_from(pair).ok())
        {
            let along = (b.1 - a.1).atan2(b.0 - a.0);
            let side = |turn: f64| {
                let angle = along + turn;
                (b.0 - ARROW * angle.cos(), b.1 - ARROW * angle.sin())
            };
            scene.stroke(vec![side(0.5), b, side(-0.5)], 0.55, frame.area, Ink::OnMap, 0.9);
        }
        scene.stroke(line, 0.4, frame.area, Ink::OnMap, 0.75);
    }
    Ok(scene)
}

/// Streamlines that keep apart, in shares of both sides.
struct Lines<'a> {
    field: &'a Field<'a>,
    rows: usize,
    taken: Vec<bool>,
}

impl Lines<'_> {
    /// From the middle outwards.
    fn all(mut self) -> Vec<Vec<(f64, f64)>> {
        let middle = |k: usize| (k as f64 + 0.5) / SQUARES as f64;
        let mut seeds: Vec<(f64, f64)> =
            (0..SQUARES * SQUARES).map(|k| (middle(k % SQUARES), middle(k / SQUARES))).collect();
        seeds.sort_by(|a, b| {
            let far = |p: &(f64, f64)| (p.0 - 0.5).hypot(p.1 - 0.5);
            far(a).total_cmp(&far(b)) // a stable sort: equal ones stay in their order
        });
        seeds.into_iter().filter_map(|seed| self.through(seed)).collect()
    }

    /// The line through a point, if there is room for it.
    fn through(&mut self, seed: (f64, f64)) -> Option<Vec<(f64, f64)>> {
        let first = square(seed)?;
        if self.taken[first] {
            return None;
        }
        self.taken[first] = true;
        let mut own = vec![first];
        let mut line = self.follow(seed, -1.0, &mut own);
        line.reverse();
        line.push(seed);
        line.extend(self.follow(seed, 1.0, &mut own));
        if line.len() as f64 * STEP < SHORTEST {
            for square in own {
                self.taken[square] = false;
            }
            return None;
        }
        Some(line)
    }

    /// The points after `at`, forwards or backwards, into squares that nobody has taken.
    fn follow(&mut self, mut at: (f64, f64), sign: f64, own: &mut Vec<usize>) -> Vec<(f64, f64)> {
        let step = sign * STEP / SQUARES as f64;
        let (mut line, mut here) = (Vec::new(), square(at));
        while line.len() < MOST_STEPS {
            let Some(half) = self.direction(at) else { break };
            let middle = (at.0 + 0.5 * step * half.0, at.1 + 0.5 * step * half.1);
            let Some(whole) = self.direction(middle) else { break };
            at = (at.0 + step * whole.0, at.1 + step * whole.1);
            let Some(into) = square(at) else { break };
            if here != Some(into) {
                if self.taken[into] {
                    break;
                }
                self.taken[into] = true;
                own.push(into);
                here = Some(into);
            }
            line.push(at);
        }
        line
    }

    /// The direction of the velocity on the page, of length 1; nothing where it is 0.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of a cell")]
    fn direction(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        let columns = self.field.columns;
        let (j, i) = (x * columns as f64 - 0.5, y * self.rows as f64 - 0.5);
        let (j, i) = (j.clamp(0.0, (columns - 1) as f64), i.clamp(0.0, (self.rows - 1) as f64));
        let (low_j, low_i) = ((j as usize).min(columns - 2), (i as usize).min(self.rows - 2));
        let (s, t) = (j - low_j as f64, i - low_i as f64);
        let at = |i: usize, j: usize, c: usize| self.field.velocity.row(i * columns + j)[c];
        let [u, v] = [0, 1].map(|c| {
            let below = (1.0 - s) * at(low_i, low_j, c) + s * at(low_i, low_j + 1, c);
            let above = (1.0 - s) * at(low_i + 1, low_j, c) + s * at(low_i + 1, low_j + 1, c);
            (1.0 - t) * below + t * above
        });
        // In shares of the sides.
        let (u, v) = (u / (self.field.x.1 - self.field.x.0), v / (self.field.y.1 - self.field.y.0));
        let length = u.hypot(v);
        (length > 0.0 && length.is_finite()).then(|| (u / length, v / length))
    }
}

/// The square of a point, if it is on the page.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of a square")]
fn square((x, y): (f64, f64)) -> Option<usize> {
    let inside = (0.0..1.0).contains(&x) && (0.0..1.0).contains(&y);
    inside.then(|| (y * SQUARES as f64) as usize * SQUARES + (x * SQUARES as f64) as usize)
}

/// Checks the field and gives its rows.
fn check(field: &Field<'_>) -> Result<usize> {
    let (velocity, columns) = (field.velocity, field.columns);
    velocity.check_cols("columns of the velocity", 2, "a field is drawn in the plane")?;
    let rows = velocity.rows().checked_div(columns).unwrap_or(0);
    for (what, found) in [("rows of the grid", rows), ("columns of the grid", columns)] {
        if found < 2 {
            return Err(Error::Dimension { what, expected: 2, found, remedy: "give at least two" });
        }
    }
    if rows * columns != velocity.rows() {
        let (expected, found) = (rows * columns, velocity.rows());
        let remedy = "give one for each cell";
        return Err(Error::Dimension { what: "velocities of the grid", expected, found, remedy });
    }
    velocity.check_finite("the velocity", "look at that cell")?;
    super::density::check_axes(field.x, field.y)?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: usize = 20;

    fn grid(f: impl Fn(f64, f64) -> [f64; 2]) -> Tensor<f64> {
        let centre = |k: usize| -1.0 + 2.0 * (k as f64 + 0.5) / N as f64;
        Tensor::from_vec((0..N * N).flat_map(|k| f(centre(k % N), centre(k / N))).collect(), N * N, 2)
            .unwrap()
    }

    fn lines(velocity: &Tensor<f64>) -> Vec<Vec<(f64, f64)>> {
        let field = Field { title: "", velocity, columns: N, x: (-1.0, 1.0), y: (-1.0, 1.0) };
        Lines { field: &field, rows: N, taken: vec![false; SQUARES * SQUARES] }.all()
    }

    #[test]
    fn streamlines_follow_the_field_and_keep_apart() {
        // To the right: one line in each row of squares, each straight and from side to side.
        let found = lines(&grid(|_, _| [3.0, 0.0]));
        assert_eq!(found.len(), SQUARES);
        for line in &found {
            assert!(line.iter().all(|p| (p.1 - line[0].1).abs() < 1e-12));
            assert!(
                line[0].0 < 0.01 && line[line.len() - 1].0 > 0.99 && line.windows(2).all(|p| p[1].0 > p[0].0)
            );
        }
        // In circles: the distance from the middle stays, but for the steps and the linear cells.
        for line in lines(&grid(|x, y| [-y, x])) {
            let r = |p: &(f64, f64)| (p.0 - 0.5).hypot(p.1 - 0.5);
            assert!(line.iter().all(|p| (r(p) - r(&line[0])).abs() < 2e-3));
        }
        assert!(lines(&grid(|_, _| [0.0, 0.0])).is_empty());
    }

    #[test]
    fn bad_fields_are_errors() {
        let good = grid(|x, y| [x, y]);
        let draw = |velocity: &Tensor<f64>, columns, x| {
            field(&Field { title: "t", velocity, columns, x, y: (0.0, 1.0) }).map(|_| ())
        };
        assert!(draw(&good, N, (0.0, 1.0)).is_ok());
        for columns in [0, 1, 3, N * N] {
            assert!(matches!(draw(&good, columns, (0.0, 1.0)), Err(Error::Dimension { .. })), "{columns}");
        }
        assert!(matches!(draw(&Tensor::zeros(9, 3), 3, (0.0, 1.0)), Err(Error::Dimension { .. })));
        assert!(matches!(draw(&good, N, (1.0, 0.0)), Err(Error::Setting { name: "x", .. })));
        let bad = grid(|x, _| [1.0 / x.max(0.0) - 1.0 / x.max(0.0), 0.0]);
        assert!(matches!(draw(&bad, N, (0.0, 1.0)), Err(Error::NotFinite { .. })));
    }
}
