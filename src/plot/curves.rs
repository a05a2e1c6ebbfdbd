//! Numbers against a number: the loss of a training, a density on the line, ways on the line.

use super::colour::Ink;
use super::frame::{Frame, Range, widened};
use super::scene::{Anchor, Area, Scene};
use super::trajectories::{Paths, check_ways, end, opacity};
use crate::error::{Error, Result};

/// Curves in one frame.
#[derive(Debug, Clone, Copy)]
pub struct Curves<'a> {
    /// What stands above them.
    pub title: &'a str,
    /// What is to the right, with its unit if it has one.
    pub x: &'a str,
    /// What is up.
    pub y: &'a str,
    /// What is drawn, the first at the bottom.
    pub series: &'a [Curve<'a>],
}

/// One of several curves.
#[derive(Debug, Clone, Copy)]
pub struct Curve<'a> {
    /// What it is.
    pub name: &'a str,
    /// How it is drawn.
    pub style: Style,
    /// (x, y) in the order of x; of bars the middles of their upper ends, at equal distances.
    pub points: &'a [(f64, f64)],
}

/// How a curve is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A line in blue: what the picture is about.
    First,
    /// A line in orange: what it is held against.
    Second,
    /// A faint line, behind others.
    Faint,
    /// Bars from 0 up: a histogram.
    Bars,
}

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 62.0;
const BOTTOM: f64 = 50.0;
/// The share of the numbers above the frame: a loss begins far above where it ends.
const ABOVE: f64 = 0.01;
const AREA: Area = Area { left: LEFT, top: TOP, right: LEFT + WIDTH, bottom: TOP + HEIGHT };

/// Draws curves in one frame. It holds all numbers but the uppermost hundredth of each line; bars stand on 0.
///
/// # Errors
/// [`Error::Dimension`] if there is no curve or one has no points; [`Error::Setting`] for a number that is not finite.
///
/// # Example
/// ```
/// use pushforward::plot::{Curve, Curves, Look, Style, curves};
///
/// let loss = [Curve { name: "loss", style: Style::First, points: &[(1.0, 2.0), (2.0, 1.5), (3.0, 1.4)] }];
/// let scene = curves(&Curves { title: "training", x: "step", y: "loss", series: &loss })?;
/// assert!(scene.picture(&Look::default())?.width > 0);
/// # Ok::<(), pushforward::Error>(())
/// ```
pub fn curves(curves: &Curves<'_>) -> Result<Scene> {
    let (x, y) = ranges(curves)?;
    let frame = Frame { area: AREA, x, y };
    let mut scene = framed(curves.title, curves.x, curves.y);
    frame.guides(&mut scene);
    let mut left = LEFT + 6.0;
    for curve in curves.series {
        let place = |&(x, y): &(f64, f64)| frame.at(x, y);
        let ink = match curve.style {
            Style::First => Ink::Target,
            Style::Second => Ink::Source,
            Style::Faint => Ink::Path,
            Style::Bars => Ink::Bar,
        };
        if curve.style == Style::Bars {
            let wide = curve.points.windows(2).next().map_or(1.0, |pair| pair[1].0 - pair[0].0);
            for &(x, y) in curve.points {
                let (from, top) = frame.at(x - wide / 2.0, y);
                let area =
                    Area { left: from, top, right: frame.at(x + wide / 2.0, y).0, bottom: AREA.bottom };
                scene
                    .fill(Area { left: area.left.max(LEFT), right: area.right.min(AREA.right), ..area }, ink);
            }
        } else {
            let (radius, opacity) = if curve.style == Style::Faint { (0.3, 0.6) } else { (0.75, 1.0) };
            scene.stroke(curve.points.iter().map(place).collect(), radius, AREA, ink, opacity);
        }
        if curves.series.len() > 1 {
            let legend = Area { left: 0.0, top: 0.0, right: LEFT + WIDTH + RIGHT, bottom: TOP };
            scene.stroke(vec![(left, TOP - 14.0), (left + 12.0, TOP - 14.0)], 1.5, legend, ink, 1.0);
            scene.text(curve.name, (left + 19.0, TOP - 10.0), Anchor::Left, 11.0, Ink::Text);
            left += 150.0;
        }
    }
    frame.draw(&mut scene, true);
    Ok(scene)
}

/// Draws paths of one column against the time, with their ends marked.
///
/// # Errors
/// As [`trajectories`](super::trajectories()), for positions [n, 1].
///
/// # Example
/// ```
/// use pushforward::{Tensor, plot};
///
/// let positions = [Tensor::from_rows(&[[0.0]]), Tensor::from_rows(&[[2.0]])];
/// let paths = plot::Paths { title: "one path", times: &[0.0, 1.0], positions: &positions };
/// assert!(plot::ways(&paths)?.picture(&plot::Look::default())?.width > 0);
/// # Ok::<(), pushforward::Error>(())
/// ```
pub fn ways(paths: &Paths<'_>) -> Result<Scene> {
    check_ways(paths)?;
    let values = paths.positions.iter().flat_map(|x| x.as_slice().iter().copied());
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
    let (start, stop) = (paths.times[0], paths.times[paths.times.len() - 1]);
    let air = 0.02 * (stop - start);
    let frame = Frame { area: AREA, x: (start - air, stop + air), y: widened(low, high)? };
    let mut scene = framed(paths.title, "t", "x");
    frame.guides(&mut scene);
    let n = paths.positions[0].rows();
    for i in 0..n {
        let along = paths.times.iter().zip(paths.positions).map(|(&t, x)| frame.at(t, x.row(i)[0]));
        scene.stroke(along.collect(), 0.45, AREA, Ink::Path, opacity(n));
    }
    let last = paths.positions.len() - 1;
    for (t, x, ink) in
        [(start, &paths.positions[0], Ink::Source), (stop, &paths.positions[last], Ink::Target)]
    {
        for i in 0..n {
            end(&mut scene, frame.at(t, x.row(i)[0]), AREA, ink);
        }
    }
    frame.draw(&mut scene, true);
    Ok(scene)
}

/// The title and the names of the axes.
fn framed(title: &str, x: &str, y: &str) -> Scene {
    let mut scene = Scene::new(LEFT + WIDTH + RIGHT, TOP + HEIGHT + BOTTOM);
    scene.text(title, (LEFT + WIDTH / 2.0, 24.0), Anchor::Centre, 15.0, Ink::Text);
    scene.text(x, (LEFT + WIDTH / 2.0, TOP + HEIGHT + 38.0), Anchor::Centre, 11.0, Ink::Text);
    scene.text(y, (LEFT - 8.0, TOP - 10.0), Anchor::Right, 11.0, Ink::Text);
    scene
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index below the points")]
fn ranges(curves: &Curves<'_>) -> Result<(Range, Range)> {
    let wrong = |what| {
        let remedy = "give at least one";
        Err(Error::Dimension { what, expected: 1, found: 0, remedy })
    };
    if curves.series.is_empty() {
        return wrong("curves");
    }
    let (mut across, mut up) = ((f64::INFINITY, f64::NEG_INFINITY), (f64::INFINITY, f64::NEG_INFINITY));
    for curve in curves.series {
        if curve.points.is_empty() {
            return wrong("points of a curve");
        }
        if let Some((x, y)) = curve.points.iter().find(|(x, y)| !x.is_finite() || !y.is_finite()) {
            let remedy = "leave such points out";
            return Err(Error::Setting { name: "points", value: format!("({x}, {y})"), remedy });
        }
        let mut values: Vec<f64> = curve.points.iter().map(|point| point.1).collect();
        values.sort_unstable_by(f64::total_cmp);
        let skipped = if curve.style == Style::Bars { 0 } else { (ABOVE * values.len() as f64) as usize };
        let low = if curve.style == Style::Bars { 0.0 } else { values[0] };
        up = (up.0.min(low), up.1.max(values[values.len() - 1 - skipped]));
        let ends = curve.points.iter().map(|point| point.0);
        across = ends.fold(across, |(a, b), x| (a.min(x), b.max(x)));
    }
    let (low, high) = widened(up.0, up.1)?;
    // Nothing is below 0 where nothing was.
    let low = if up.0 >= 0.0 && low < 0.0 { 0.0 } else { low };
    let across = if across.1 > across.0 { across } else { widened(across.0, across.1)? };
    Ok((across, (low, high)))
}

#[cfg(test)]
mod tests {
    use super::super::scene::Look;
    use super::*;
    use crate::tensor::Tensor;

    fn draw(series: &[Curve<'_>]) -> Result<Scene> {
        curves(&Curves { title: "t", x: "x", y: "y", series })
    }

    #[test]
    fn ranges_hold_what_matters() {
        let mut points: Vec<(f64, f64)> =
            (0..1000).map(|k| (f64::from(k), 1.0 + 1.0 / (1.0 + f64::from(k)))).collect();
        points[0].1 = 1e6;
        let curve = Curve { name: "loss", style: Style::First, points: &points };
        let (x, y) = ranges(&Curves { title: "", x: "", y: "", series: &[curve] }).unwrap();
        assert!((x.0, x.1) == (0.0, 999.0) && y.0 > 0.9 && y.1 < 1.3, "{y:?}");
        let bars = Curve { name: "", style: Style::Bars, points: &[(0.0, 2.0), (1.0, 3.0)] };
        let (_, y) = ranges(&Curves { title: "", x: "", y: "", series: &[bars] }).unwrap();
        assert!(y.0.abs() < 1e-12 && y.1 > 3.0);
    }

    #[test]
    fn every_style_is_drawn_and_bad_points_are_errors() {
        let points = [(0.0, 1.0), (1.0, 2.0), (2.0, 0.5)];
        let of = |style| Curve { name: "n", style, points: &points };
        let scene = draw(&[of(Style::Bars), of(Style::Faint), of(Style::Second), of(Style::First)]).unwrap();
        assert!(scene.picture(&Look::default()).unwrap().width > 0);
        assert!(draw(&[Curve { points: &points[..1], ..of(Style::First) }]).is_ok());
        assert!(matches!(draw(&[]), Err(Error::Dimension { .. })));
        assert!(matches!(draw(&[Curve { points: &[], ..of(Style::First) }]), Err(Error::Dimension { .. })));
        for bad in [(f64::NAN, 0.0), (0.0, f64::INFINITY)] {
            assert!(matches!(
                draw(&[Curve { points: &[bad], ..of(Style::First) }]),
                Err(Error::Setting { .. })
            ));
        }
    }

    #[test]
    fn ways_are_of_one_column() {
        let x = |rows, columns| Tensor::<f64>::zeros(rows, columns);
        let draw = |positions: &[Tensor<f64>]| ways(&Paths { title: "t", times: &[0.0, 1.0], positions });
        assert!(draw(&[x(3, 1), x(3, 1)]).is_ok());
        assert!(matches!(draw(&[x(3, 2), x(3, 2)]), Err(Error::Dimension { .. })));
        assert!(matches!(draw(&[x(3, 1), x(2, 1)]), Err(Error::Dimension { .. })));
    }
}
