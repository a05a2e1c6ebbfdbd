//! Paths of samples from source to target.

use std::cmp::Ordering;

use super::canvas::{Anchor, Area, Canvas};
use super::colour::{PATH, SOURCE, TARGET, TEXT, WHITE};
use super::frame::{Frame, check_points, square_ranges};
use super::picture::Picture;
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
/// assert!(plot::trajectories(&paths)?.width > 0);
/// # Ok::<(), pushforward::Error>(())
/// ```
pub fn trajectories(paths: &Paths<'_>) -> Result<Picture> {
    check(paths)?;
    let positions = paths.positions;
    let (x, y) = square_ranges(positions.iter())?;
    let area = Area { left: LEFT, top: TOP, right: LEFT + SIDE, bottom: TOP + SIDE };
    let frame = Frame { area, x, y };
    let mut canvas = Canvas::new(LEFT + SIDE + RIGHT, TOP + SIDE + BOTTOM);
    frame.guides(&mut canvas);
    let n = positions[0].rows();
    let place = |x: &Tensor<f64>, i: usize| frame.at(x.row(i)[0], x.row(i)[1]);
    // Chosen by eye: clear lines for a few dozen paths, a texture for several hundred.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "an opacity")]
    let opacity = (6.0 / (n as f64).sqrt()).clamp(0.12, 0.6) as f32;
    for i in 0..n {
        let path: Vec<(f64, f64)> = positions.iter().map(|x| place(x, i)).collect();
        canvas.mark(&path, 0.45, area, PATH, opacity);
    }
    let ends = [(&positions[0], SOURCE), (&positions[positions.len() - 1], TARGET)];
    for (x, colour) in ends {
        for i in 0..n {
            end(&mut canvas, place(x, i), area, colour);
        }
    }
    // The legend: a mark and its text, twice, to the right end of the frame.
    let legend = Area { left: 0.0, top: 0.0, right: LEFT + SIDE + RIGHT, bottom: TOP };
    let (baseline, first, second) = (TOP - 10.0, LEFT + 6.0, LEFT + 112.0);
    end(&mut canvas, (first, baseline - 4.0), legend, SOURCE);
    end(&mut canvas, (second, baseline - 4.0), legend, TARGET);
    canvas.finish(|page| {
        frame.draw(page, true)?;
        page.text(paths.title, ((area.left + area.right) / 2.0, 24.0), Anchor::Centre, 15.0, TEXT)?;
        page.text("source x\u{2080}", (first + 7.0, baseline), Anchor::Left, 11.5, TEXT)?;
        page.text("target x\u{2081}", (second + 7.0, baseline), Anchor::Left, 11.5, TEXT)
    })
}

/// Draws the mark of one end: a dot with a thin white rim, so that neighbours stay apart.
fn end(canvas: &mut Canvas, at: (f64, f64), area: Area, colour: super::colour::Colour) {
    canvas.mark(&[at], END + 0.6, area, WHITE, 0.8);
    canvas.mark(&[at], END, area, colour, 1.0);
}

fn check(paths: &Paths<'_>) -> Result<()> {
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
        check_points(x)?;
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
    use super::super::colour::bytes;
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
        let picture = trajectories(&paths).unwrap();
        for i in 0..2 {
            let at = |k: usize| (positions[k].row(i)[0], positions[k].row(i)[1]);
            assert_eq!(colour(&picture, at(0).0, at(0).1), bytes(SOURCE));
            assert_eq!(colour(&picture, at(2).0, at(2).1), bytes(TARGET));
            // Darker than white on the line, in the middle and between times.
            assert!(colour(&picture, at(1).0, at(1).1)[0] < 230);
            assert!(colour(&picture, (at(1).0 + at(2).0) / 2.0, (at(1).1 + at(2).1) / 2.0)[0] < 230);
        }
        // The straight way from source to target is not on the first path.
        assert!(colour(&picture, 0.0, 0.55)[0] > 230);
        assert_eq!(trajectories(&paths).unwrap(), picture);
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
