//! A density on a regular grid as a heat map with contours.

use super::colour::{Colour, Ink, viridis};
use super::contour::contour;
use super::frame::{Frame, Range};
use super::scene::{Anchor, Area, Scene};
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
    /// Lines of equal density: how many, at equal steps between 0 and the largest value.
    pub contours: usize,
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
/// let grid = plot::Grid { title: "density", values: &values, x: (0.0, 2.0), y: (0.0, 2.0), contours: 3 };
/// assert!(plot::density(&grid)?.picture(&plot::Look::default())?.width > 0);
/// # Ok::<(), pushforward::Error>(())
/// ```
pub fn density(grid: &Grid<'_>) -> Result<Scene> {
    let most = check(grid)?;
    let colours = grid.values.as_slice().iter().map(|value| viridis(value / most)).collect();
    let (mut scene, map) =
        Map { title: grid.title, x: grid.x, y: grid.y, most, bar: ["density,", "per unit area"] }.draw(
            grid.values.cols(),
            colours,
            viridis,
        );
    let (rows, columns) = (grid.values.rows() as f64, grid.values.cols() as f64);
    let place = |x: f64, y: f64| {
        let between = |(low, high): Range, share: f64| low + share * (high - low);
        map.at(between(grid.x, (x + 0.5) / columns), between(grid.y, (y + 0.5) / rows))
    };
    for k in 1..=grid.contours {
        let level = most * k as f64 / (grid.contours + 1) as f64;
        for line in contour(grid.values, level) {
            let line = line.into_iter().map(|(x, y)| place(x, y)).collect();
            scene.stroke(line, 0.4, map.area, Ink::OnMap, 0.55);
        }
    }
    Ok(scene)
}

/// A coloured map with its colour bar.
pub(super) struct Map<'a> {
    pub(super) title: &'a str,
    pub(super) x: Range,
    pub(super) y: Range,
    /// The value of the bar's upper end; its lower end is 0.
    pub(super) most: f64,
    /// Two lines above the bar.
    pub(super) bar: [&'a str; 2],
}

/// Colours of the bar, from 0 up.
const SHADES: usize = 256;

impl Map<'_> {
    /// Draws cells of these colours, the lowest row first, and the bar with those of its shares.
    pub(super) fn draw(
        &self,
        columns: usize,
        colours: Vec<Colour>,
        shade: impl Fn(f64) -> Colour,
    ) -> (Scene, Frame) {
        let spans = (self.x.1 - self.x.0, self.y.1 - self.y.0);
        let longest = spans.0.max(spans.1);
        let side = |span: f64| (SIDE * span / longest).round().max(SHORTEST);
        let map = Area { left: LEFT, top: TOP, right: LEFT + side(spans.0), bottom: TOP + side(spans.1) };
        let map = Frame { area: map, x: self.x, y: self.y };
        let left = map.area.right + BAR_GAP;
        let bar = Area { left, right: left + BAR, ..map.area };
        let bar = Frame { area: bar, x: (0.0, 1.0), y: (0.0, self.most) };

        let mut scene = Scene::new(left + BAR + BAR_NUMBERS, map.area.bottom + BOTTOM);
        scene.cells(map.area, columns, colours);
        let shades = (0..SHADES).map(|k| shade((k as f64 + 0.5) / SHADES as f64)).collect();
        scene.cells(bar.area, 1, shades);
        map.draw(&mut scene, true);
        bar.draw_right(&mut scene);
        let middle = (map.area.left + map.area.right) / 2.0;
        scene.text(self.title, (middle, 24.0), Anchor::Centre, 15.0, Ink::Text);
        for (line, y) in self.bar.into_iter().zip([TOP - 21.0, TOP - 8.0]) {
            scene.text(line, (bar.area.left, y), Anchor::Left, 10.5, Ink::Text);
        }
        (scene, map)
    }
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
    check_axes(grid.x, grid.y)?;
    let most = grid.values.as_slice().iter().fold(0.0_f64, |m, &v| m.max(v));
    Ok(if most > 0.0 { most } else { 1.0 })
}

/// Looks whether the ends of both axes are in order.
pub(super) fn check_axes(x: Range, y: Range) -> Result<()> {
    for (name, (low, high)) in [("x", x), ("y", y)] {
        // Wide enough for its numbers to resolve, and with a finite length.
        if !(high - low > 1e-9 * low.abs().max(high.abs()) && (high - low).is_finite()) {
            let remedy = "give the lower end of the axis, then a higher one";
            return Err(Error::Setting { name, value: format!("({low}, {high})"), remedy });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::colour::bytes;
    use super::super::picture::Picture;
    use super::super::scene::Look;
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
        let grid = Grid { title: "", values: &values, x: (-3.0, 3.0), y: (0.0, 4.0), contours: 0 };
        let picture = density(&grid).unwrap().picture(&Look::default()).unwrap();
        for i in 0..2 {
            for j in 0..3 {
                let found = colour(&picture, 70 + 140 * j, 70 + 140 * i, 420, 280);
                assert_eq!(found, bytes(viridis(values.row(i)[j] / 5.0)), "row {i}, column {j}");
            }
        }
        assert_eq!(density(&grid).unwrap().picture(&Look::default()).unwrap(), picture);
    }

    #[test]
    fn bad_grids_are_errors() {
        let values = Tensor::from_rows(&[[0.0, 1.0], [2.0, 3.0]]);
        let grid = |values: &Tensor<f64>, x, y| density(&Grid { title: "t", values, x, y, contours: 2 });
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
