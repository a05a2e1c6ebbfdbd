//! A density on a regular grid as a heat map.

use super::canvas::{Anchor, Area, Canvas};
use super::colour::{TEXT, viridis};
use super::frame::Frame;
use super::picture::Picture;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// A density on a regular grid of cells.
///
/// Row i, column j of `values` belongs to the centre of a cell: with h = (x.1 - x.0) / columns and
/// k = (y.1 - y.0) / rows that is (x.0 + (j + 1/2) h, y.0 + (i + 1/2) k). So row 0 is the lowest y, and
/// the sum of all values times h k is the mass on the grid.
#[derive(Debug, Clone, Copy)]
pub struct Grid<'a> {
    /// What stands above it.
    pub title: &'a str,
    /// Densities per unit of area, [rows, columns], not below 0.
    pub values: &'a Tensor<f64>,
    /// The left edge of the first and the right edge of the last column.
    pub x: (f64, f64),
    /// The lower edge of the first and the upper edge of the last row.
    pub y: (f64, f64),
}

/// The longer side of the map, and the margins, in points.
const SIDE: f64 = 420.0;
/// The shorter side is at least this, so that from 3.5 : 1 on units differ.
const SHORTEST: f64 = 120.0;
const LEFT: f64 = 46.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 32.0;
/// The colour bar: its distance from the map, its width, the space for its numbers.
const BAR_GAP: f64 = 20.0;
const BAR: f64 = 16.0;
const BAR_NUMBERS: f64 = 72.0;

/// Draws a density as a heat map with a colour bar, y pointing up.
///
/// Colours go from 0 to the largest value in equal steps; a cell is a rectangle of one colour. A unit
/// is as long in x as in y up to a ratio of the sides of 3.5 : 1.
///
/// # Errors
/// [`Error::Dimension`] if the grid is empty; [`Error::NotFinite`] for NaN and infinity;
/// [`Error::Setting`] for a value below 0 and for an axis whose ends are not finite and in order.
///
/// # Example
/// ```
/// use pushforward::{Tensor, plot};
///
/// let values = Tensor::from_rows(&[[0.1, 0.2], [0.3, 0.4]]);
/// let grid = plot::Grid { title: "density", values: &values, x: (0.0, 2.0), y: (0.0, 2.0) };
/// assert!(plot::density(&grid)?.width > 0);
/// # Ok::<(), pushforward::Error>(())
/// ```
pub fn density(grid: &Grid<'_>) -> Result<Picture> {
    let most = check(grid)?;
    let (rows, columns) = (grid.values.rows(), grid.values.cols());
    let spans = (grid.x.1 - grid.x.0, grid.y.1 - grid.y.0);
    let longest = spans.0.max(spans.1);
    let side = |span: f64| (SIDE * span / longest).round().max(SHORTEST);
    let map = Area { left: LEFT, top: TOP, right: LEFT + side(spans.0), bottom: TOP + side(spans.1) };
    let map = Frame { area: map, x: grid.x, y: grid.y };
    let left = map.area.right + BAR_GAP;
    let bar = Frame { area: Area { left, right: left + BAR, ..map.area }, x: (0.0, 1.0), y: (0.0, most) };

    let mut canvas = Canvas::new(left + BAR + BAR_NUMBERS, map.area.bottom + BOTTOM);
    canvas.fill(map.area, |across, down| {
        let (x, y) = map.data_at((across, down));
        let (i, j) = (cell(y, grid.y, rows), cell(x, grid.x, columns));
        viridis(grid.values.row(i)[j] / most)
    });
    canvas.fill(bar.area, |across, down| viridis(bar.data_at((across, down)).1 / most));
    canvas.finish(|page| {
        map.draw(page, true)?;
        bar.draw_right(page)?;
        let middle = (map.area.left + map.area.right) / 2.0;
        page.text(grid.title, (middle, 24.0), Anchor::Centre, 15.0, TEXT)?;
        page.text("density,", (bar.area.left, TOP - 21.0), Anchor::Left, 10.5, TEXT)?;
        page.text("per unit area", (bar.area.left, TOP - 8.0), Anchor::Left, 10.5, TEXT)
    })
}

/// Checks the grid and gives its largest value, 1 if all are 0.
fn check(grid: &Grid<'_>) -> Result<f64> {
    for (what, found) in
        [("rows of the grid", grid.values.rows()), ("columns of the grid", grid.values.cols())]
    {
        if found == 0 {
            return Err(Error::Dimension { what, expected: 1, found, remedy: "give at least one cell" });
        }
    }
    grid.values.check_finite("the density", "look at that cell")?;
    if let Some(value) = grid.values.as_slice().iter().find(|&&v| v < 0.0) {
        let remedy = "a density is not below 0 (a log-density must be exponentiated)";
        return Err(Error::Setting { name: "values", value: value.to_string(), remedy });
    }
    for (name, (low, high)) in [("x", grid.x), ("y", grid.y)] {
        // Wide enough for its numbers to resolve, and with a finite length.
        if !(high - low > 1e-9 * low.abs().max(high.abs()) && (high - low).is_finite()) {
            let remedy = "give the lower end of the axis, then a higher one";
            return Err(Error::Setting { name, value: format!("({low}, {high})"), remedy });
        }
    }
    let most = grid.values.as_slice().iter().fold(0.0_f64, |m, &v| m.max(v));
    Ok(if most > 0.0 { most } else { 1.0 })
}

/// The cell of n between the ends of an axis.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast to usize saturates")]
#[allow(clippy::cast_precision_loss, reason = "a count")]
fn cell(x: f64, axis: (f64, f64), n: usize) -> usize {
    (((x - axis.0) / (axis.1 - axis.0) * n as f64) as usize).min(n - 1)
}

#[cfg(test)]
mod tests {
    use super::super::colour::bytes;
    use super::*;

    /// The colour at a share of the map's width and height from its lower left corner.
    fn colour(picture: &Picture, right: usize, up: usize, width: usize, height: usize) -> [u8; 3] {
        let (column, row) = (2 * (46 + right), 2 * (40 + height - up));
        assert!(right < width);
        let k = 3 * (row * picture.width as usize + column);
        [picture.rgb[k], picture.rgb[k + 1], picture.rgb[k + 2]]
    }

    #[test]
    fn the_first_row_is_at_the_bottom() {
        // Two rows, three columns: 420 points wide, 280 high.
        let values = Tensor::from_rows(&[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]);
        let grid = Grid { title: "", values: &values, x: (-3.0, 3.0), y: (0.0, 4.0) };
        let picture = density(&grid).unwrap();
        for i in 0..2 {
            for j in 0..3 {
                let found = colour(&picture, 70 + 140 * j, 70 + 140 * i, 420, 280);
                assert_eq!(found, bytes(viridis(values.row(i)[j] / 5.0)), "row {i}, column {j}");
            }
        }
        assert_eq!(density(&grid).unwrap(), picture);
    }

    #[test]
    fn bad_grids_are_errors() {
        let values = Tensor::from_rows(&[[0.0, 1.0], [2.0, 3.0]]);
        let grid = |values: &Tensor<f64>, x, y| density(&Grid { title: "t", values, x, y });
        let unit = (0.0, 1.0);
        assert!(matches!(grid(&Tensor::zeros(0, 2), unit, unit), Err(Error::Dimension { .. })));
        assert!(matches!(grid(&Tensor::zeros(2, 0), unit, unit), Err(Error::Dimension { .. })));
        for axis in [(1.0, 0.0), (0.0, 0.0), (f64::NAN, 1.0), (0.0, f64::INFINITY), (-1e308, 1e308)] {
            assert!(matches!(grid(&values, axis, unit), Err(Error::Setting { name: "x", .. })));
            assert!(matches!(grid(&values, unit, axis), Err(Error::Setting { name: "y", .. })));
        }
        assert!(matches!(
            grid(&Tensor::from_rows(&[[0.0, f64::NAN]]), unit, unit),
            Err(Error::NotFinite { .. })
        ));
        assert!(matches!(grid(&Tensor::from_rows(&[[-1.0]]), unit, unit), Err(Error::Setting { .. })));
        grid(&Tensor::zeros(3, 3), unit, (0.0, 1e-3)).unwrap();
        grid(&Tensor::from_rows(&[[1e-300, 1e300]]), (1e5, 1e5 + 1.0), unit).unwrap();
    }
}
