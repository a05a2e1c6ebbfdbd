//! [`Frame`]: the rectangle in which data is drawn, with its ranges and the numbers at its edges.

use super::colour::Ink;
use super::scene::{Anchor, Area, Scene};
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// Thickness of a line in points: one pixel.
const HAIR: f64 = 0.5;
/// Length of a tick.
const TICK: f64 = 4.0;
/// Letters at the axes, points an em.
const LABEL: f64 = 10.5;
/// Points that the numbers of an axis are apart at least: side by side, and one above the other.
const ACROSS: f64 = 64.0;
const UPWARD: f64 = 42.0;

/// An interval of data, lower end first.
pub(super) type Range = (f64, f64);

/// Where data stands on the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    /// Its rectangle in points.
    pub(super) area: Area,
    /// The data at its left and right edge.
    pub(super) x: Range,
    /// The data at its lower and upper edge.
    pub(super) y: Range,
}

impl Frame {
    /// The place of a data point on the page, in points.
    pub(super) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let a = &self.area;
        let (s, t) = ((x - self.x.0) / (self.x.1 - self.x.0), (y - self.y.0) / (self.y.1 - self.y.0));
        (a.left + s * (a.right - a.left), a.bottom - t * (a.bottom - a.top))
    }

    /// Whether a data point is inside.
    pub(super) fn holds(&self, x: f64, y: f64) -> bool {
        (self.x.0..=self.x.1).contains(&x) && (self.y.0..=self.y.1).contains(&y)
    }

    /// Draws faint lines at the ticks, under the data.
    pub(super) fn guides(&self, scene: &mut Scene) {
        let a = self.area;
        for (x, _) in ticks(self.x, (a.right - a.left) / ACROSS) {
            let left = self.at(x, 0.0).0 - HAIR / 2.0;
            scene.fill(Area { left, right: left + HAIR, ..a }, Ink::Guide);
        }
        for (y, _) in ticks(self.y, (a.bottom - a.top) / UPWARD) {
            let top = self.at(0.0, y).1 - HAIR / 2.0;
            scene.fill(Area { top, bottom: top + HAIR, ..a }, Ink::Guide);
        }
    }

    /// Draws the edges, the ticks and their numbers; the numbers of y only where there is room for them.
    pub(super) fn draw(&self, scene: &mut Scene, numbers_of_y: bool) {
        self.outline(scene);
        self.numbers_of_x(scene, ACROSS);
        if numbers_of_y {
            self.numbers_of_y(scene, UPWARD);
        }
    }

    /// Draws ticks and their numbers below the frame, about `apart` points apart at least.
    pub(super) fn numbers_of_x(&self, scene: &mut Scene, apart: f64) {
        let a = self.area;
        for (x, text) in ticks(self.x, (a.right - a.left) / apart) {
            let x = self.at(x, 0.0).0;
            let (left, right) = (x - HAIR / 2.0, x + HAIR / 2.0);
            scene.rectangle(Area { left, right, top: a.bottom, bottom: a.bottom + TICK }, Ink::Line);
            scene.text(&text, (x, a.bottom + TICK + 12.0), Anchor::Centre, LABEL, Ink::Quiet);
        }
    }

    /// Draws ticks and their numbers to the left of the frame, about `apart` points apart at least.
    pub(super) fn numbers_of_y(&self, scene: &mut Scene, apart: f64) {
        let a = self.area;
        for (y, text) in ticks(self.y, (a.bottom - a.top) / apart) {
            let y = self.at(self.x.0, y).1;
            let (top, bottom) = (y - HAIR / 2.0, y + HAIR / 2.0);
            scene.rectangle(Area { top, bottom, left: a.left - TICK, right: a.left }, Ink::Line);
            scene.text(&text, (a.left - TICK - 3.0, y + 0.36 * LABEL), Anchor::Right, LABEL, Ink::Quiet);
        }
    }

    /// Draws the four edges just outside the frame.
    pub(super) fn outline(&self, scene: &mut Scene) {
        outline(scene, self.area);
    }

    /// Draws numbers and ticks to the right of the frame: those of a colour bar.
    pub(super) fn draw_right(&self, scene: &mut Scene) {
        let a = self.area;
        outline(scene, a);
        for (y, text) in ticks(self.y, (a.bottom - a.top) / UPWARD) {
            let y = self.at(0.0, y).1;
            let (top, bottom) = (y - HAIR / 2.0, y + HAIR / 2.0);
            scene.rectangle(Area { top, bottom, left: a.right, right: a.right + TICK }, Ink::Line);
            scene.text(&text, (a.right + TICK + 3.0, y + 0.36 * LABEL), Anchor::Left, LABEL, Ink::Quiet);
        }
    }
}

/// Draws the four edges just outside an area.
fn outline(scene: &mut Scene, a: Area) {
    let outer =
        Area { left: a.left - HAIR, top: a.top - HAIR, right: a.right + HAIR, bottom: a.bottom + HAIR };
    for edge in [
        Area { right: a.left, ..outer },
        Area { left: a.right, ..outer },
        Area { bottom: a.top, ..outer },
        Area { top: a.bottom, ..outer },
    ] {
        scene.rectangle(edge, Ink::Line);
    }
}

/// Checks a matrix of points in the plane.
pub(super) fn check_points(points: &Tensor<f64>) -> Result<()> {
    points.check_cols("columns of the points", 2, "choose two columns to draw")?;
    if points.rows() == 0 {
        let remedy = "give at least one point";
        return Err(Error::Dimension { what: "points to draw", expected: 1, found: 0, remedy });
    }
    points.check_finite("the points", "remove the row")
}

/// Square ranges of x and y, of equal length, that hold nearly all points of all sets.
///
/// From each set and column: what lies between the quantiles 0.2 % and 99.8 %, a tenth of that more
/// at each end if there is data; so a few runaways do not shrink the rest to a dot.
pub(super) fn square_ranges<'a>(
    sets: impl Iterator<Item = &'a Tensor<f64>> + Clone,
) -> Result<(Range, Range)> {
    let range = |column: usize| {
        let mut all = (f64::INFINITY, f64::NEG_INFINITY);
        for set in sets.clone() {
            let of_set = robust_range(set, column);
            all = (all.0.min(of_set.0), all.1.max(of_set.1));
        }
        all
    };
    let (x, y) = (range(0), range(1));
    let span = (x.1 - x.0).max(y.1 - y.0);
    let largest = x.0.abs().max(x.1.abs()).max(y.0.abs()).max(y.1.abs());
    if !(8.0 * span).is_finite() {
        let remedy = "their range overflows: divide them by a common factor";
        return Err(Error::Setting { name: "points", value: format!("up to {largest:e}"), remedy });
    }
    // 5 % of air; one single point still gets a frame that its numbers can resolve.
    let half = (0.55 * span).max(largest * 1e-6);
    let half = if half > 0.0 { half } else { 0.5 };
    let around = |r: Range| {
        let centre = 0.5 * r.0 + 0.5 * r.1;
        (centre - half, centre + half)
    };
    Ok((around(x), around(y)))
}

/// A range with 5 % of air at both ends, wide enough that its numbers resolve.
pub(super) fn widened(low: f64, high: f64) -> Result<Range> {
    let (span, largest) = (high - low, low.abs().max(high.abs()));
    if !(8.0 * span).is_finite() {
        let remedy = "its range overflows: divide the numbers by a common factor";
        return Err(Error::Setting { name: "range", value: format!("({low:e}, {high:e})"), remedy });
    }
    let half = (0.55 * span).max(largest * 1e-6);
    let half = if half > 0.0 { half } else { 0.5 };
    let centre = 0.5 * low + 0.5 * high;
    Ok((centre - half, centre + half))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index below the rows")]
pub(super) fn robust_range(set: &Tensor<f64>, column: usize) -> Range {
    const QUANTILE: f64 = 0.002;
    let mut sorted: Vec<f64> = (0..set.rows()).map(|i| set.row(i)[column]).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len() - 1;
    let skipped = (QUANTILE * last as f64) as usize;
    let (low, high) = (sorted[skipped], sorted[last - skipped]);
    let more = 0.1 * (high - low);
    (sorted[0].max(low - more), sorted[last].min(high + more))
}

/// Round numbers in a range, about `most` at most, with their text.
fn ticks(range: Range, most: f64) -> Vec<(f64, String)> {
    let least_step = (range.1 - range.0) / most.max(1.0);
    let power = least_step.log10().floor();
    let step = [1.0, 2.0, 5.0, 10.0]
        .iter()
        .map(|k| k * 10.0_f64.powf(power))
        .find(|&s| s >= least_step * (1.0 - 1e-9));
    let step = step.unwrap_or(least_step);
    let (first, last) = ((range.0 / step - 1e-9).ceil(), (range.1 / step + 1e-9).floor());
    // The bound only matters where rounding fails: steps below the spacing of floating-point numbers.
    let mut ticks = Vec::new();
    let mut k = first;
    while k <= last && ticks.len() <= 64 {
        ticks.push((k * step, number(k * step, step)));
        k += 1.0;
    }
    ticks
}

/// A tick's number with as many digits as its step asks for, and a real minus.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of digits below 8")]
fn number(value: f64, step: f64) -> String {
    let largest = value.abs();
    let text = if largest < step / 2.0 {
        "0".to_owned()
    } else if largest >= 1e6 || step < 1e-4 {
        // Digits from the first of the value to the last that the step changes.
        let digits = (largest.log10().floor() - (step * 1.0001).log10().floor()).clamp(0.0, 8.0) as usize;
        format!("{value:.digits$e}")
    } else {
        let digits = (-(step * 1.0001).log10().floor()).clamp(0.0, 8.0) as usize;
        format!("{value:.digits$}")
    };
    text.replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(range: Range, most: f64) -> Vec<String> {
        ticks(range, most).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(texts((-4.2, 4.2), 6.0), ["\u{2212}4", "\u{2212}2", "0", "2", "4"]);
        assert_eq!(texts((0.0, 0.0275), 6.0), ["0", "0.005", "0.010", "0.015", "0.020", "0.025"]);
        assert_eq!(texts((0.0, 3e9), 3.0), ["0", "1e9", "2e9", "3e9"]);
        assert_eq!(texts((0.0, 2.5e-7), 3.0), ["0", "1e\u{2212}7", "2e\u{2212}7"]);
        // Ranges at the edge of what a number resolves end, too.
        assert!(ticks((1e16, 1e16 + 4.0), 6.0).len() <= 65);
    }

    #[test]
    fn runaways_do_not_set_the_ranges() {
        #[allow(clippy::cast_precision_loss, reason = "small numbers")]
        let mut data: Vec<f64> = (0..4000).map(|k| (k / 2) as f64 / 2000.0).collect();
        data[4] = 1e9;
        let points = Tensor::from_vec(data, 2000, 2).unwrap();
        let (x, y) = square_ranges([&points].into_iter()).unwrap();
        assert!(x.0 > -0.2 && x.1 < 1.3);
        assert!(((x.1 - x.0) - (y.1 - y.0)).abs() < 1e-12);
    }

    #[test]
    fn a_point_has_its_place() {
        let area = Area { left: 10.0, top: 20.0, right: 110.0, bottom: 220.0 };
        let frame = Frame { area, x: (-1.0, 1.0), y: (0.0, 4.0) };
        // y points up: its lower end is at the bottom.
        assert_eq!((frame.at(-1.0, 0.0), frame.at(1.0, 4.0)), ((10.0, 220.0), (110.0, 20.0)));
        assert!(frame.holds(0.0, 2.0) && !frame.holds(0.0, 4.1) && !frame.holds(-1.1, 2.0));
    }
}
