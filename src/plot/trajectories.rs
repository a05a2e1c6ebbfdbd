//! Paths of samples from source to target.

use std::cmp::Ordering;

use super::colour::Ink;
use super::frame::{Frame, check_points, square_ranges};
use super::samples::dots;
use super::scene::{Anchor, Area, Scene};
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// Paths of n samples, all at the same times.
#[derive(Debug, Clone, Copy)]
pub struct Paths<'a> {
    /// What stands above them.
    pub title: &'a str,
    /// The times, ascending: the first is that of the source, the last that of the target.
    pub times: &'a [f64],
    /// The positions at each time, [n, 2] each; row i is path i.
    pub positions: &'a [Tensor<f64>],
}

/// Side of the frame and margins, in points.
const SIDE: f64 = 480.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 58.0;
const BOTTOM: f64 = 32.0;
/// Radius of the marks of both ends.
const END: f64 = 1.9;

/// Draws paths as thin lines, with their ends marked "source x_0" and "target x_1".
///
/// Made for up to some hundred paths: lines get fainter with their number. Runaways are left
/// outside the frame as in [`samples`](super::samples()).
///
/// # Errors
/// [`Error::Dimension`] if there are less than two times, not one matrix for each, or matrices that are
/// empty, of different sizes or without two columns; [`Error::NotFinite`] for NaN and infinity;
/// [`Error::Setting`] if the times do not ascend or the range of the positions overflows.
///
/// # Example
/// ```
/// use pushforward::{Tensor, plot};
///
/// let positions = [Tensor::from_rows(&[[0.0, 0.0]]), Tensor::from_rows(&[[1.0, 2.0]])];
/// let paths = plot::Paths { title: "one path", times: &[0.0, 1.0], positions: &positions };
/// assert!(plot::trajectories(&paths)?.picture(&plot::Look::default())?.width > 0);
/// # Ok::<(), pushforward::Error>(())
/// ```
pub fn trajectories(paths: &Paths<'_>) -> Result<Scene> {
    check(paths)?;
    let positions = paths.positions;
    let (x, y) = square_ranges(positions.iter())?;
    let area = Area { left: LEFT, top: TOP, right: LEFT + SIDE, bottom: TOP + SIDE };
    let frame = Frame { area, x, y };
    let mut scene = Scene::new(LEFT + SIDE + RIGHT, TOP + SIDE + BOTTOM);
    frame.guides(&mut scene);
    let n = positions[0].rows();
    let place = |x: &Tensor<f64>, i: usize| frame.at(x.row(i)[0], x.row(i)[1]);
    for i in 0..n {
        let path: Vec<(f64, f64)> = positions.iter().map(|x| place(x, i)).collect();
        scene.stroke(path, 0.45, area, Ink::Path, opacity(n));
    }
    let ends = [(&positions[0], Ink::Source), (&positions[positions.len() - 1], Ink::Target)];
    for (x, ink) in ends {
        for i in 0..n {
            end(&mut scene, place(x, i), area, ink);
        }
    }
    // The legend: a mark and its text, twice, to the right end of the frame.
    let legend = Area { left: 0.0, top: 0.0, right: LEFT + SIDE + RIGHT, bottom: TOP };
    let (baseline, first, second) = (TOP - 10.0, LEFT + 6.0, LEFT + 112.0);
    end(&mut scene, (first, baseline - 4.0), legend, Ink::Source);
    end(&mut scene, (second, baseline - 4.0), legend, Ink::Target);
    frame.draw(&mut scene, true);
    scene.text(paths.title, ((area.left + area.right) / 2.0, 24.0), Anchor::Centre, 15.0, Ink::Text);
    scene.text("source x\u{2080}", (first + 7.0, baseline), Anchor::Left, 11.5, Ink::Text);
    scene.text("target x\u{2081}", (second + 7.0, baseline), Anchor::Left, 11.5, Ink::Text);
    Ok(scene)
}

/// Draws the samples at each time as a scene of its own, all in one frame; with `trails` their ways until then.
///
/// # Errors
/// As [`trajectories`].
///
/// # Example
/// ```
/// use pushforward::{Tensor, plot};
///
/// let positions = [Tensor::from_rows(&[[0.0, 0.0]]), Tensor::from_rows(&[[1.0, 2.0]])];
/// let paths = plot::Paths { title: "one path", times: &[0.0, 1.0], positions: &positions };
/// assert_eq!(plot::motion(&paths, true)?.len(), 2);
/// # Ok::<(), pushforward::Error>(())
/// ```
pub fn motion(paths: &Paths<'_>, trails: bool) -> Result<Vec<Scene>> {
    check(paths)?;
    let positions = paths.positions;
    let (x, y) = square_ranges(positions.iter())?;
    let area = Area { left: LEFT, top: TOP, right: LEFT + SIDE, bottom: TOP + SIDE };
    let frame = Frame { area, x, y };
    let n = positions[0].rows();
    let mut scenes = Vec::new();
    for (k, t) in paths.times.iter().enumerate() {
        let mut scene = Scene::new(LEFT + SIDE + RIGHT, TOP + SIDE + BOTTOM);
        frame.guides(&mut scene);
        for i in 0..if trails && k > 0 { n } else { 0 } {
            let path = positions[..=k].iter().map(|x| frame.at(x.row(i)[0], x.row(i)[1])).collect();
            scene.stroke(path, 0.45, area, Ink::Path, opacity(n));
        }
        dots(&mut scene, &frame, &positions[k], Ink::Target, 1.0);
        frame.draw(&mut scene, true);
        scene.text(paths.title, ((area.left + area.right) / 2.0, 24.0), Anchor::Centre, 15.0, Ink::Text);
        scene.text(&format!("t = {t:.2}"), (LEFT + 6.0, TOP - 10.0), Anchor::Left, 11.5, Ink::Text);
        scenes.push(scene);
    }
    Ok(scenes)
}

/// Of the lines of n paths, chosen by eye: clear for a few dozen, a texture for several hundred.
#[allow(clippy::cast_possible_truncation, reason = "an opacity")]
pub(super) fn opacity(n: usize) -> f32 {
    (6.0 / (n as f64).sqrt()).clamp(0.12, 0.6) as f32
}

/// Draws the mark of one end: a dot with a thin rim, so that neighbours stay apart.
pub(super) fn end(scene: &mut Scene, at: (f64, f64), area: Area, ink: Ink) {
    scene.stroke(vec![at], END + 0.6, area, Ink::Ground, 0.8);
    scene.stroke(vec![at], END, area, ink, 1.0);
}

/// As [`check`] for positions of one column.
pub(super) fn check_ways(paths: &Paths<'_>) -> Result<()> {
    check_columns(paths, |x| {
        x.check_cols("columns of the positions", 1, "ways against the time are of one column")?;
        if x.rows() == 0 {
            let remedy = "give at least one path";
            return Err(Error::Dimension { what: "paths to draw", expected: 1, found: 0, remedy });
        }
        x.check_finite("the positions", "remove the path")
    })
}

fn check(paths: &Paths<'_>) -> Result<()> {
    check_columns(paths, check_points)
}

fn check_columns(paths: &Paths<'_>, good: impl Fn(&Tensor<f64>) -> Result<()>) -> Result<()> {
    let (times, positions) = (paths.times, paths.positions);
    if times.len() < 2 {
        let remedy = "give those of the source and the target at least";
        return Err(Error::Dimension { what: "times of a path", expected: 2, found: times.len(), remedy });
    }
    if positions.len() != times.len() {
        return Err(Error::Dimension {
            what: "matrices of positions",
            expected: times.len(),
            found: positions.len(),
            remedy: "give one for each time",
        });
    }
    if let Some(pair) = times.windows(2).find(|pair| pair[0].partial_cmp(&pair[1]) != Some(Ordering::Less)) {
        let value = format!("{} before {}", pair[0], pair[1]);
        return Err(Error::Setting { name: "times", value, remedy: "times ascend from source to target" });
    }
    for x in positions {
        good(x)?;
        if x.rows() != positions[0].rows() {
            return Err(Error::Dimension {
                what: "rows of positions",
                expected: positions[0].rows(),
                found: x.rows(),
                remedy: "every path needs a position at every time",
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::colour::{Theme, bytes};
    use super::super::picture::Picture;
    use super::super::scene::Look;
    use super::*;

    fn colour(picture: &Picture, x: f64, y: f64) -> [u8; 3] {
        // Ranges [-0.05, 1.05] over 480 points from (46, 58) down to 538.
        let at = |v: f64| 480.0 * (v + 0.05) / 1.1;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a pixel of the picture")]
        let (column, row) = ((2.0 * (46.0 + at(x))) as usize, (2.0 * (538.0 - at(y))) as usize);
        let k = 3 * (row * picture.width as usize + column);
        [picture.rgb[k], picture.rgb[k + 1], picture.rgb[k + 2]]
    }

    #[test]
    fn lines_go_from_source_to_target() {
        let positions = [
            Tensor::from_rows(&[[0.0, 0.0], [1.0, 0.2]]),
            Tensor::from_rows(&[[0.5, 0.1], [1.0, 0.6]]),
            Tensor::from_rows(&[[0.0, 1.0], [0.7, 0.9]]),
        ];
        let paths = Paths { title: "", times: &[0.0, 0.4, 1.0], positions: &positions };
        let picture = trajectories(&paths).unwrap().picture(&Look::default()).unwrap();
        for i in 0..2 {
            let at = |k: usize| (positions[k].row(i)[0], positions[k].row(i)[1]);
            assert_eq!(colour(&picture, at(0).0, at(0).1), bytes(Ink::Source.colour(Theme::Light)));
            assert_eq!(colour(&picture, at(2).0, at(2).1), bytes(Ink::Target.colour(Theme::Light)));
            // Darker than white on the line, in the middle and between times.
            assert!(colour(&picture, at(1).0, at(1).1)[0] < 230);
            assert!(colour(&picture, (at(1).0 + at(2).0) / 2.0, (at(1).1 + at(2).1) / 2.0)[0] < 230);
        }
        // The straight way from source to target is not on the first path.
        assert!(colour(&picture, 0.0, 0.55)[0] > 230);
        assert_eq!(trajectories(&paths).unwrap().picture(&Look::default()).unwrap(), picture);
    }

    #[test]
    fn bad_paths_are_errors() {
        let x = |rows| Tensor::<f64>::zeros(rows, 2);
        let draw =
            |times: &[f64], positions: &[Tensor<f64>]| trajectories(&Paths { title: "", times, positions });
        assert!(draw(&[0.0, 1.0], &[x(3), x(3)]).is_ok());
        assert!(matches!(draw(&[], &[]), Err(Error::Dimension { .. })));
        assert!(matches!(draw(&[0.0], &[x(3)]), Err(Error::Dimension { .. })));
        assert!(matches!(draw(&[0.0, 1.0], &[x(3)]), Err(Error::Dimension { .. })));
        assert!(matches!(draw(&[0.0, 1.0], &[x(3), x(2)]), Err(Error::Dimension { .. })));
        assert!(matches!(draw(&[0.0, 1.0], &[x(0), x(0)]), Err(Error::Dimension { .. })));
        assert!(matches!(draw(&[0.0, 1.0], &[x(3), Tensor::zeros(3, 1)]), Err(Error::Dimension { .. })));
        for times in [[1.0, 0.0], [0.0, 0.0], [0.0, f64::NAN]] {
            assert!(matches!(draw(&times, &[x(3), x(3)]), Err(Error::Setting { .. })));
        }
        let bad = Tensor::from_rows(&[[f64::INFINITY, 0.0]]);
        assert!(matches!(draw(&[0.0, 1.0], &[x(1), bad]), Err(Error::NotFinite { .. })));
    }
}
