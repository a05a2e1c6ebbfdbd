//! Columns one by one and two by two: histograms on the diagonal, samples below it, the data above.

use super::colour::Ink;
use super::frame::{Frame, Range, robust_range};
use super::samples::{dots, grouped};
use super::scene::{Anchor, Area, Scene};
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// Samples in any dimension, and the data that they are held against.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a> {
    /// What stands above them.
    pub title: &'a str,
    /// The name of each column.
    pub names: &'a [String],
    /// The samples, [n, d].
    pub samples: &'a Tensor<f64>,
    /// The data, [m, d].
    pub data: Option<&'a Tensor<f64>>,
}

/// The most columns of a picture: more would be too small to be seen.
pub const MOST_COLUMNS: usize = 6;

const LEFT: f64 = 46.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 62.0;
const BOTTOM: f64 = 46.0;
const GAP: f64 = 8.0;
/// Height of a single histogram.
const SINGLE: (f64, f64) = (480.0, 300.0);
/// The fewest and most bars of a histogram.
const BARS: (f64, f64) = (10.0, 60.0);
/// Points that the numbers of an axis are apart at least: the frames are small.
const APART: f64 = 38.0;
/// Width of a letter of a name.
const POINTS_A_LETTER: f64 = 6.6;

/// Draws histograms of all columns and, of two or more, each pair of them: samples below the diagonal, the data above.
///
/// Each column has its own unit, and one range for samples and data that holds all but runaways, as in [`samples`](super::samples()).
///
/// # Errors
/// [`Error::Dimension`] if there is no column, more than [`MOST_COLUMNS`], not one name for each, or a set is empty or has other
/// columns; [`Error::NotFinite`] for NaN and infinity; [`Error::Setting`] if the range of a column overflows.
///
/// # Example
/// ```
/// use pushforward::{Tensor, plot};
///
/// let samples = Tensor::from_rows(&[[0.0, 1.0, 2.0], [2.0, 0.0, 1.0], [1.0, 2.0, 0.0]]);
/// let names = ["a", "b", "c"].map(String::from);
/// let columns = plot::Columns { title: "three columns", names: &names, samples: &samples, data: None };
/// assert!(plot::pairs(&columns)?.picture(&plot::Look::default())?.width > 0);
/// # Ok::<(), pushforward::Error>(())
/// ```
pub fn pairs(columns: &Columns<'_>) -> Result<Scene> {
    let ranges = check(columns)?;
    let d = ranges.len();
    let (width, height) =
        if d == 1 { SINGLE } else { ((520.0 / d as f64).max(105.0), (520.0 / d as f64).max(105.0)) };
    let place = |k: usize, size: f64| k as f64 * (size + GAP);
    let right = LEFT + place(d, width) - GAP;
    let mut scene = Scene::new(right + RIGHT, TOP + place(d, height) - GAP + BOTTOM);
    for i in 0..d {
        for j in 0..d {
            let (left, top) = (LEFT + place(j, width), TOP + place(i, height));
            let area = Area { left, top, right: left + width, bottom: top + height };
            if i == j {
                histogram(&mut scene, columns, j, ranges[j], area, d == 1);
                continue;
            }
            let set = if i > j {
                Some((columns.samples, Ink::Target))
            } else {
                columns.data.map(|data| (data, Ink::Source))
            };
            let Some((set, ink)) = set else { continue };
            let frame = Frame { area, x: ranges[j], y: ranges[i] };
            let points = (0..set.rows()).flat_map(|row| [set.row(row)[j], set.row(row)[i]]).collect();
            dots(&mut scene, &frame, &Tensor::from_vec(points, set.rows(), 2)?, ink, 0.6);
            frame.outline(&mut scene);
        }
    }
    // Numbers stand at the left and the lower edge alone, names below them.
    for k in 0..d {
        let left = LEFT + place(k, width);
        let bottom = TOP + place(d, height) - GAP;
        let area = Area { left, top: bottom, right: left + width, bottom };
        Frame { area, x: ranges[k], y: (0.0, 1.0) }.numbers_of_x(&mut scene, APART);
        let name = shortened(&columns.names[k], width);
        scene.text(&name, (left + width / 2.0, bottom + 34.0), Anchor::Centre, 11.0, Ink::Text);
        if k > 0 {
            let top = TOP + place(k, height);
            let area = Area { left: LEFT, top, right: LEFT, bottom: top + height };
            Frame { area, x: (0.0, 1.0), y: ranges[k] }.numbers_of_y(&mut scene, APART);
        }
    }
    scene.text(columns.title, ((LEFT + right) / 2.0, 24.0), Anchor::Centre, 15.0, Ink::Text);
    legend(&mut scene, columns);
    Ok(scene)
}

/// Says which colour is what, and how many rows there are.
fn legend(scene: &mut Scene, columns: &Columns<'_>) {
    let area = Area { left: 0.0, top: 0.0, right: scene.width, bottom: TOP };
    let y = TOP - 16.0;
    let mut left = LEFT + 6.0;
    let sets = [(Some(columns.samples), Ink::Target, "samples"), (columns.data, Ink::Source, "data")];
    for (set, ink, word) in sets {
        let Some(set) = set else { continue };
        scene.stroke(vec![(left, y - 4.0)], 2.6, area, ink, 1.0);
        let text = format!("{word}, {} rows", grouped(set.rows()));
        scene.text(&text, (left + 7.0, y), Anchor::Left, 11.0, Ink::Text);
        left += 150.0;
    }
}

/// Bars of the data and a line of the samples, both of area 1.
fn histogram(
    scene: &mut Scene,
    columns: &Columns<'_>,
    column: usize,
    range: Range,
    area: Area,
    numbers: bool,
) {
    let n = columns.samples.rows().min(columns.data.map_or(usize::MAX, Tensor::rows));
    let bars = bars(n);
    let heights = |set: &Tensor<f64>| shares(set, column, range, bars);
    let (samples, data) = (heights(columns.samples), columns.data.map(heights));
    let most = samples.iter().chain(data.iter().flatten()).fold(0.0_f64, |most, &h| most.max(h));
    let wide = (range.1 - range.0) / bars as f64;
    let density = |share: f64| share / wide;
    let frame = Frame { area, x: range, y: (0.0, density(1.08 * most.max(f64::MIN_POSITIVE))) };
    if let Some(data) = &data {
        for (k, &share) in data.iter().enumerate() {
            let (left, top) = frame.at(range.0 + k as f64 * wide, density(share));
            let right = frame.at(range.0 + (k + 1) as f64 * wide, 0.0).0;
            scene.fill(Area { left, top, right, bottom: area.bottom }, Ink::Bar);
        }
    }
    let mut line = vec![frame.at(range.0, 0.0)];
    for (k, &share) in samples.iter().enumerate() {
        let (a, b) = (range.0 + k as f64 * wide, range.0 + (k + 1) as f64 * wide);
        line.extend([frame.at(a, density(share)), frame.at(b, density(share))]);
    }
    line.push(frame.at(range.1, 0.0));
    scene.stroke(line, 0.6, area, Ink::Target, 1.0);
    frame.outline(scene);
    if numbers {
        frame.numbers_of_y(scene, APART);
        scene.text("density", (area.left - 4.0, TOP - 16.0), Anchor::Right, 10.5, Ink::Quiet);
    }
}

/// Bars for a number of rows: the square root of it, as long as they can be seen.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "10 to 60")]
fn bars(rows: usize) -> usize {
    (rows as f64).sqrt().clamp(BARS.0, BARS.1) as usize
}

/// The share of the rows in each of n equal parts of a range; runaways are in none.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of a bar")]
fn shares(set: &Tensor<f64>, column: usize, range: Range, n: usize) -> Vec<f64> {
    let mut counts = vec![0_u32; n];
    for i in 0..set.rows() {
        let share = (set.row(i)[column] - range.0) / (range.1 - range.0);
        if (0.0..=1.0).contains(&share) {
            counts[((share * n as f64) as usize).min(n - 1)] += 1;
        }
    }
    counts.into_iter().map(|count| f64::from(count) / set.rows() as f64).collect()
}

/// A name that fits into a width in points.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of letters")]
fn shortened(name: &str, width: f64) -> String {
    let most = (width / POINTS_A_LETTER) as usize;
    if name.chars().count() <= most {
        return name.to_owned();
    }
    name.chars().take(most.saturating_sub(2)).chain("..".chars()).collect()
}

/// The range of each column.
fn check(columns: &Columns<'_>) -> Result<Vec<Range>> {
    let d = columns.samples.cols();
    let wrong = |what, expected, found, remedy| Err(Error::Dimension { what, expected, found, remedy });
    if d == 0 || d > MOST_COLUMNS {
        return wrong("columns of the samples", d.clamp(1, MOST_COLUMNS), d, "give one to six");
    }
    if columns.names.len() != d {
        return wrong("names of columns", d, columns.names.len(), "give one for each column");
    }
    let sets = || std::iter::once(columns.samples).chain(columns.data);
    for set in sets() {
        set.check_cols("columns of the data", d, "samples and data have the same columns")?;
        if set.rows() == 0 {
            return wrong("rows to draw", 1, 0, "give at least one row");
        }
        set.check_finite("the rows to draw", "remove the row")?;
    }
    (0..d)
        .map(|j| {
            let (low, high) = sets()
                .map(|set| robust_range(set, j))
                .fold((f64::INFINITY, f64::NEG_INFINITY), |all, own| (all.0.min(own.0), all.1.max(own.1)));
            super::frame::widened(low, high)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::scene::{Look, Mark};
    use super::*;

    fn table(rows: usize, d: usize) -> Tensor<f64> {
        let data = (0..rows * d).map(|k| (k as f64 * 0.7).sin() + (k % d) as f64).collect();
        Tensor::from_vec(data, rows, d).unwrap()
    }

    #[test]
    fn shares_are_those_of_a_histogram() {
        let x = Tensor::from_vec(vec![0.0, 0.1, 0.5, 0.99, 1.0, 7.0, -2.0, 0.5], 8, 1).unwrap();
        let found = shares(&x, 0, (0.0, 1.0), 2);
        assert!((found[0] - 0.25).abs() < 1e-12 && (found[1] - 0.5).abs() < 1e-12);
    }

    #[test]
    fn samples_are_below_and_data_above() {
        let (samples, data, names) = (table(50, 3), table(70, 3), ["a", "b", "c"].map(String::from));
        let scene =
            pairs(&Columns { title: "t", names: &names, samples: &samples, data: Some(&data) }).unwrap();
        let dots = |wanted: Ink| {
            let places = scene.marks.iter().filter_map(|mark| match mark {
                Mark::Stroke { points, ink, area, .. } if *ink == wanted && points.len() == 1 => {
                    Some((area.left - LEFT, area.top - TOP))
                }
                _ => None,
            });
            places.filter(|(_, top)| *top >= 0.0).collect::<Vec<_>>()
        };
        assert!(dots(Ink::Target).len() > 140 && dots(Ink::Target).iter().all(|(left, top)| left < top));
        assert!(dots(Ink::Source).len() > 200 && dots(Ink::Source).iter().all(|(left, top)| left > top));
    }

    #[test]
    fn every_dimension_is_drawn_or_refused() {
        for d in 1..=MOST_COLUMNS {
            let names: Vec<String> = (0..d).map(|j| format!("a long name of column {j}")).collect();
            let rows = table(20, d);
            let scene = pairs(&Columns { title: "t", names: &names, samples: &rows, data: None }).unwrap();
            assert!(scene.picture(&Look::default()).unwrap().width > 0);
        }
        let seven: Vec<String> = (0..7).map(|j| j.to_string()).collect();
        let (one, two) = (table(5, 1), table(5, 2));
        let draw = |names: &[String], samples: &Tensor<f64>, data: Option<&Tensor<f64>>| {
            pairs(&Columns { title: "t", names, samples, data }).map(|_| ())
        };
        assert!(draw(&seven[..1], &Tensor::from_vec(vec![3.0; 4], 4, 1).unwrap(), None).is_ok());
        assert!(matches!(draw(&seven, &table(5, 7), None), Err(Error::Dimension { .. })));
        assert!(matches!(draw(&seven[..1], &two, None), Err(Error::Dimension { .. })));
        assert!(matches!(draw(&seven[..1], &one, Some(&two)), Err(Error::Dimension { .. })));
        assert!(matches!(draw(&seven[..1], &Tensor::zeros(0, 1), None), Err(Error::Dimension { .. })));
        let huge = Tensor::from_vec(vec![-1e308, 1e308], 2, 1).unwrap();
        assert!(matches!(draw(&seven[..1], &huge, None), Err(Error::Setting { .. })));
    }

    #[test]
    fn names_are_cut_to_fit() {
        assert_eq!(shortened("bill_length_mm", 66.0), "bill_len..");
        assert_eq!(shortened("mass", 66.0), "mass");
    }
}
