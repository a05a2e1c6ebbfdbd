//! [`svg`]: a chart as SVG.

use plotters::prelude::{
    BLACK, ChartBuilder, Circle, Color as _, IntoDrawingArea as _, LineSeries, RGBColor, Rectangle,
    SVGBackend, WHITE,
};

use super::super::chart::{Axis, Chart, Mark};
use crate::error::{Error, Result};
use crate::plot::register_font;

/// Width and height in pixels.
const SIZE: (u32, u32) = (400, 250);
/// Colours that those who see fewer of them tell apart (M. Okabe, K. Ito, 2008): blue, vermilion, green, purple.
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(204, 121, 167)];
/// The share of a range that is left free at its ends.
const MARGIN: f64 = 0.05;

/// The chart as one `svg` element.
///
/// # Errors
/// [`Error::Picture`] if there is nothing to draw or the drawing library refuses.
pub(super) fn svg(chart: &Chart) -> Result<String> {
    register_font()?;
    let mut out = String::new();
    draw(chart, &mut out)?;
    // Inside a page an `svg` element needs no name of its language.
    Ok(out.replace(r#" xmlns="http://www.w3.org/2000/svg""#, "").trim().to_owned())
}

fn draw(chart: &Chart, out: &mut String) -> Result<()> {
    let refused = |e: &dyn std::error::Error| Error::Picture { what: "a chart", found: e.to_string() };
    let place = |axis: &Axis, value: f64| if axis.log { value.log10() } else { value };
    let points =
        |k: usize| chart.series[k].points.iter().map(|&(x, y)| (place(&chart.x, x), place(&chart.y, y)));
    let all = || (0..chart.series.len()).flat_map(points).filter(|(x, y)| x.is_finite() && y.is_finite());
    let bars = chart.series.iter().any(|series| series.mark == Mark::Bar);
    let [Some(x), Some(y)] = [range(all().map(|p| p.0), false), range(all().map(|p| p.1), bars)] else {
        return Err(Error::Picture { what: "a chart", found: "it has no points".into() });
    };
    let root = SVGBackend::with_string(out, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(|e| refused(&e))?;
    let mut area = ChartBuilder::on(&root)
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(58)
        .build_cartesian_2d(x.0..x.1, y.0..y.1)
        .map_err(|e| refused(&e))?;
    let label = |axis: &Axis, value: f64| if axis.log { power(value) } else { number(value) };
    area.configure_mesh()
        .x_desc(&chart.x.label)
        .y_desc(&chart.y.label)
        .x_labels(6)
        .y_labels(6)
        .max_light_lines(1)
        .x_label_formatter(&|value| label(&chart.x, *value))
        .y_label_formatter(&|value| label(&chart.y, *value))
        .draw()
        .map_err(|e| refused(&e))?;
    for (k, series) in chart.series.iter().enumerate() {
        let colour = COLOURS[k % COLOURS.len()];
        let kept = || points(k).filter(|(x, y)| x.is_finite() && y.is_finite());
        let drawn = match series.mark {
            Mark::Line => area.draw_series(LineSeries::new(kept(), colour.stroke_width(2))),
            Mark::Dot => area.draw_series(kept().map(|at| Circle::new(at, 3, colour.filled()))),
            Mark::Bar => {
                let wide = kept().nth(1).zip(kept().next()).map_or(1.0, |(b, a)| b.0 - a.0);
                let bar = |(x, y): (f64, f64)| {
                    Rectangle::new([(x - wide / 2.0, 0.0), (x + wide / 2.0, y)], colour.mix(0.4).filled())
                };
                area.draw_series(kept().map(bar))
            }
        }
        .map_err(|e| refused(&e))?;
        drawn
            .label(series.name.clone())
            .legend(move |(x, y)| Rectangle::new([(x, y - 4), (x + 12, y + 4)], colour.filled()));
    }
    area.configure_series_labels()
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.2))
        .draw()
        .map_err(|e| refused(&e))?;
    root.present().map_err(|e| refused(&e))
}

/// The range of some numbers with a margin; from 0 if bars stand on it. None of nothing.
fn range(values: impl Iterator<Item = f64>, from_zero: bool) -> Option<(f64, f64)> {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    if low > high {
        return None;
    }
    let low = if from_zero { low.min(0.0) } else { low };
    let wide = if high > low { high - low } else { 1.0 };
    let below = if from_zero { 0.0 } else { MARGIN * wide };
    Some((low - below, high + MARGIN * wide))
}

/// The number of which this is the logarithm.
fn power(exponent: f64) -> String {
    if (exponent - exponent.round()).abs() < 1e-9 {
        format!("1e{exponent:.0}")
    } else {
        format!("{:.1e}", 10.0_f64.powf(exponent))
    }
}

/// A number as short as an axis needs it.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::super::super::chart::Series;
    use super::*;

    fn chart(mark: Mark, points: Vec<(f64, f64)>) -> Chart {
        Chart {
            x: Axis::log("h"),
            y: Axis::linear("error"),
            series: vec![Series { name: "a < b".into(), mark, points }],
        }
    }

    #[test]
    fn every_mark_is_drawn() {
        for (mark, element) in [(Mark::Line, "<polyline"), (Mark::Dot, "<circle"), (Mark::Bar, "<rect")] {
            let picture = svg(&chart(mark, vec![(0.1, 2.0), (1.0, 3.0), (10.0, 5.0)])).unwrap();
            assert!(picture.starts_with("<svg") && picture.ends_with("</svg>"), "{picture}");
            assert!(picture.contains(element) && picture.contains("a &lt; b"), "{picture}");
            assert!(!picture.contains("<script") && !picture.contains("NaN"), "{picture}");
        }
    }

    #[test]
    fn odd_points_do_no_harm() {
        assert!(svg(&chart(Mark::Line, vec![])).is_err());
        assert!(svg(&chart(Mark::Line, vec![(1.0, f64::NAN), (0.0, 1.0)])).is_err());
        assert!(svg(&chart(Mark::Dot, vec![(1.0, 1.0)])).is_ok());
        assert!(!svg(&chart(Mark::Line, vec![(1.0, 1.0), (2.0, f64::INFINITY)])).unwrap().contains("inf"));
    }
}
