//! Sets of points side by side, in the same axes.

use super::colour::Ink;
use super::frame::{Frame, check_points, square_ranges};
use super::scene::{Anchor, Area, Scene};
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// One of several sets of points.
#[derive(Debug, Clone, Copy)]
pub struct Panel<'a> {
    /// What stands above it.
    pub title: &'a str,
    /// The points, [n, 2].
    pub points: &'a Tensor<f64>,
}

/// Side of a panel, space between panels, and the margins, in points.
const SIDE: f64 = 400.0;
const GAP: f64 = 22.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 52.0;
const BOTTOM: f64 = 32.0;

/// Draws sets of points side by side as small half-transparent dots.
///
/// All panels share their axes, and a unit is as long in x as in y. Dots get smaller and fainter with
/// the number of points, so that up to some hundred thousand still show their structure. The
/// axes hold all but runaways (points outside the quantiles 0.2 % and 99.8 % by more than a tenth
/// of what is between them); those left out are counted above their panel.
///
/// # Errors
/// [`Error::Dimension`] if there is no panel, more than 8, or a set is empty or has not two columns;
/// [`Error::NotFinite`] for NaN and infinity; [`Error::Setting`] if the range of the points overflows.
///
/// # Example
/// ```
/// use pushforward::{Tensor, plot};
///
/// let points = Tensor::from_rows(&[[0.0, 0.0], [1.0, 2.0]]);
/// let scene = plot::samples(&[plot::Panel { title: "data", points: &points }])?;
/// let picture = scene.picture(&plot::Look::default())?;
/// assert_eq!(picture.rgb.len(), (picture.width * picture.height * 3) as usize);
/// # Ok::<(), pushforward::Error>(())
/// ```
pub fn samples(panels: &[Panel<'_>]) -> Result<Scene> {
    if panels.is_empty() || panels.len() > 8 {
        let (expected, remedy) = if panels.is_empty() { (1, "give at least one") } else { (8, "give fewer") };
        return Err(Error::Dimension { what: "panels", expected, found: panels.len(), remedy });
    }
    for panel in panels {
        check_points(panel.points)?;
    }
    let (x, y) = square_ranges(panels.iter().map(|p| p.points))?;
    let mut frames = Vec::new();
    let mut left = LEFT;
    for _ in panels {
        frames.push(Frame { area: Area { left, top: TOP, right: left + SIDE, bottom: TOP + SIDE }, x, y });
        left += SIDE + GAP;
    }
    let mut scene = Scene::new(left - GAP + RIGHT, TOP + SIDE + BOTTOM);
    let mut outside = Vec::new();
    for (frame, panel) in frames.iter().zip(panels) {
        frame.guides(&mut scene);
        outside.push(dots(&mut scene, frame, panel.points, Ink::Target, 1.0));
    }
    for (k, (frame, panel)) in frames.iter().zip(panels).enumerate() {
        frame.draw(&mut scene, k == 0);
        let middle = (frame.area.left + frame.area.right) / 2.0;
        scene.text(panel.title, (middle, 24.0), Anchor::Centre, 15.0, Ink::Text);
        let count = match outside[k] {
            0 => format!("{} points", grouped(panel.points.rows())),
            out => format!("{} points, {} of them outside", grouped(panel.points.rows()), grouped(out)),
        };
        scene.text(&count, (middle, 42.0), Anchor::Centre, 10.5, Ink::Quiet);
    }
    Ok(scene)
}

/// Draws the points that the frame holds, `size` times as large as usual, and counts the others.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a count; an opacity")]
pub(super) fn dots(scene: &mut Scene, frame: &Frame, points: &Tensor<f64>, ink: Ink, size: f64) -> usize {
    // Chosen by eye: radius 1.6 points up to 2,000 dots, 1.07 at 10,000, 0.6 from 100,000 on; then
    // only the opacity falls further, so that more dots still show where they are denser.
    let n = points.rows() as f64;
    let radius = (1.6 * (2000.0 / n).powf(0.25)).clamp(0.6, 1.6);
    let opacity = (0.6 * (10_000.0 / n).powf(0.35)).clamp(0.06, 0.6) as f32;
    let mut outside = 0;
    for i in 0..points.rows() {
        let (x, y) = (points.row(i)[0], points.row(i)[1]);
        if frame.holds(x, y) {
            scene.stroke(vec![frame.at(x, y)], size * radius, frame.area, ink, opacity);
        } else {
            outside += 1;
        }
    }
    outside
}

/// A count with a comma between thousands.
pub(super) fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (k, digit) in digits.chars().enumerate() {
        if k > 0 && (digits.len() - k).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::picture::Picture;
    use super::super::scene::{Look, SCALE};
    use super::*;

    fn drawn(panels: &[Panel<'_>]) -> Picture {
        samples(panels).unwrap().picture(&Look::default()).unwrap()
    }

    fn darkness(picture: &Picture, x: f64, y: f64) -> u8 {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a pixel of the picture")]
        let (column, row) = ((x * SCALE) as usize, (y * SCALE) as usize);
        255 - picture.rgb[3 * (row * picture.width as usize + column)]
    }

    #[test]
    fn a_known_point_is_on_its_pixel() {
        // Ranges: [0, 1] and 5 % of air, [-0.05, 1.05], over 400 points from (46, 52) down to 452.
        let points = Tensor::from_rows(&[[0.0, 0.0], [1.0, 1.0], [0.3, 0.71]]);
        let picture = drawn(&[Panel { title: "", points: &points }]);
        let (x, y) = (46.0 + 400.0 * 0.35 / 1.1, 452.0 - 400.0 * 0.76 / 1.1);
        assert!(darkness(&picture, x, y) > 100);
        // A radius of 1.6 points: nothing 3 points away, and nothing where y down would put it.
        for (dx, dy) in [(3.0, 0.0), (-3.0, 0.0), (0.0, 3.0), (0.0, -3.0)] {
            assert!(darkness(&picture, x + dx, y + dy) < 20);
        }
        assert!(darkness(&picture, x, 52.0 + 400.0 * 0.76 / 1.1) < 20);
    }

    #[test]
    fn panels_share_their_axes() {
        let small = Tensor::from_rows(&[[0.0, 0.0], [1.0, 1.0], [0.3, 0.71]]);
        let large = Tensor::from_rows(&[[0.0, 0.0], [2.0, 2.0]]);
        let picture =
            drawn(&[Panel { title: "small", points: &small }, Panel { title: "large", points: &large }]);
        assert_eq!((picture.width, picture.height), (2 * (46 + 400 + 22 + 400 + 20), 2 * (52 + 400 + 32)));
        // [-0.1, 2.1] in both; the right panel starts 422 points further on.
        let at = |v: f64| 400.0 * (v + 0.1) / 2.2;
        assert!(darkness(&picture, 46.0 + at(0.3), 452.0 - at(0.71)) > 100);
        assert!(darkness(&picture, 468.0 + at(2.0), 452.0 - at(2.0)) > 100);
        assert!(darkness(&picture, 468.0 + at(0.3), 452.0 - at(0.71)) < 20);
    }

    #[test]
    fn the_same_points_give_the_same_bytes() {
        let points = Tensor::from_rows(&[[0.1, 0.2], [5.0, -1.0], [2.0, 2.5]]);
        let draw = || drawn(&[Panel { title: "data", points: &points }]);
        assert_eq!(draw(), draw());
    }

    #[test]
    fn bad_points_are_errors_and_odd_ones_are_drawn() {
        let draw = |points: &Tensor<f64>| samples(&[Panel { title: "t", points }]);
        assert!(matches!(samples(&[]), Err(Error::Dimension { .. })));
        assert!(matches!(draw(&Tensor::zeros(0, 2)), Err(Error::Dimension { .. })));
        assert!(matches!(draw(&Tensor::zeros(5, 3)), Err(Error::Dimension { .. })));
        assert!(matches!(draw(&Tensor::from_rows(&[[0.0, f64::NAN]])), Err(Error::NotFinite { .. })));
        assert!(matches!(
            draw(&Tensor::from_rows(&[[-1e308, 0.0], [1e308, 0.0]])),
            Err(Error::Setting { .. })
        ));
        for odd in [0.0, 1e-300, 1e16, 1e300] {
            draw(&Tensor::from_rows(&[[odd, 0.0], [odd, 0.0]])).unwrap();
        }
        let point = Tensor::zeros(1, 2);
        let many = [Panel { title: "", points: &point }; 9];
        assert!(matches!(samples(&many), Err(Error::Dimension { .. })));
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
