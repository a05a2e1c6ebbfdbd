//! [`Canvas`]: marks with positions between pixels; [`Page`]: text and straight edges on top of them.
//!
//! All pictures are laid out in points and drawn with two pixels a point, if nothing else is asked for: glyphs snap to whole pixels.

use std::sync::OnceLock;

use plotters::coord::Shift;
use plotters::prelude::{
    BitMapBackend, DrawingArea, IntoDrawingArea as _, IntoFont as _, RGBColor, Rectangle,
};
use plotters::style::{Color as _, FontStyle, TextStyle, register_font};

use super::colour::{Colour, Ink, Theme, bytes, mix};
use super::picture::Picture;
use super::scene::{Anchor, Area};
use crate::error::{Error, Result};

/// Pixels in f32, so that thousands of faint marks add up without rounding.
pub(super) struct Canvas {
    /// Pixels a point.
    scale: f64,
    width: usize,
    height: usize,
    pixels: Vec<Colour>,
    /// How much of each pixel the mark being drawn covers, 0 ..= 1.
    cover: Vec<f32>,
    /// The pixels that it touches.
    touched: Vec<usize>,
}

impl Canvas {
    /// An empty canvas, its size in points.
    pub(super) fn new(size: (f64, f64), scale: f64, theme: Theme) -> Self {
        let (width, height) = (pixel(size.0 * scale), pixel(size.1 * scale));
        let n = width * height;
        let pixels = vec![Ink::Ground.colour(theme); n];
        Self { scale, width, height, pixels, cover: vec![0.0; n], touched: Vec::new() }
    }

    /// Draws one mark: dots and lines of the given radius along `points` (in points), cut off at `area`.
    /// However often it crosses itself, it is one mark of one opacity.
    pub(super) fn mark(
        &mut self,
        points: &[(f64, f64)],
        radius: f64,
        area: Area,
        colour: Colour,
        opacity: f32,
    ) {
        match points {
            [only] => self.capsule(*only, *only, radius, area),
            _ => points.windows(2).for_each(|pair| self.line(pair[0], pair[1], radius, area)),
        }
        for k in self.touched.drain(..) {
            self.pixels[k] = mix(self.pixels[k], colour, opacity * self.cover[k]);
            self.cover[k] = 0.0;
        }
    }

    /// Adds the segment a b to the mark in short pieces, whose bounding boxes are small.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of pieces")]
    fn line(&mut self, a: (f64, f64), b: (f64, f64), radius: f64, area: Area) {
        const PIECE: f64 = 12.0;
        let pieces = ((b.0 - a.0).hypot(b.1 - a.1) / PIECE).clamp(1.0, 200.0) as u32;
        let at = |k: u32| {
            let s = f64::from(k) / f64::from(pieces);
            (a.0 + s * (b.0 - a.0), a.1 + s * (b.1 - a.1))
        };
        for k in 0..pieces {
            self.capsule(at(k), at(k + 1), radius, area);
        }
    }

    /// Adds what is within `radius` of the segment a b to the mark: a pixel is covered by how far
    /// its centre is inside the edge, from half a pixel outside (0) to half a pixel inside (1).
    #[allow(clippy::cast_possible_truncation, reason = "a coverage")]
    fn capsule(&mut self, a: (f64, f64), b: (f64, f64), radius: f64, area: Area) {
        let k = self.scale;
        let (a, b) = ((a.0 * k, a.1 * k), (b.0 * k, b.1 * k));
        let reach = radius * k + 0.5;
        let columns = pixel((area.left * k).max(a.0.min(b.0) - reach - 1.0))
            ..pixel((area.right * k).min(a.0.max(b.0) + reach + 1.0)).min(self.width);
        let rows = pixel((area.top * k).max(a.1.min(b.1) - reach - 1.0))
            ..pixel((area.bottom * k).min(a.1.max(b.1) + reach + 1.0)).min(self.height);
        let (d, e) = (b.0 - a.0, b.1 - a.1);
        let length = d * d + e * e;
        for row in rows {
            for column in columns.clone() {
                let (x, y) = (column as f64 + 0.5 - a.0, row as f64 + 0.5 - a.1);
                let s = if length > 0.0 { ((x * d + y * e) / length).clamp(0.0, 1.0) } else { 0.0 };
                let depth = reach - (x - s * d).hypot(y - s * e);
                let k = row * self.width + column;
                // Not so if a runaway's coordinates overflow: NaN is no ink.
                if depth > f64::from(self.cover[k]) {
                    if self.cover[k] <= 0.0 {
                        self.touched.push(k);
                    }
                    self.cover[k] = depth.min(1.0) as f32;
                }
            }
        }
    }

    /// Gives each pixel of `area` the colour of its centre, which comes in points.
    pub(super) fn fill(&mut self, area: Area, colour: impl Fn(f64, f64) -> Colour) {
        let k = self.scale;
        // A hairline is a pixel however small the picture.
        let span = |from: f64, to: f64| {
            let (first, last) = (pixel(from * k), pixel(to * k));
            first..if to > from { last.max(first + 1) } else { last }
        };
        let (rows, columns) = (span(area.top, area.bottom), span(area.left, area.right));
        for row in rows.start..rows.end.min(self.height) {
            for column in columns.start..columns.end.min(self.width) {
                let centre = ((column as f64 + 0.5) / k, (row as f64 + 0.5) / k);
                self.pixels[row * self.width + column] = colour(centre.0, centre.1);
            }
        }
    }

    /// Rounds to bytes, lets `draw` add text and edges, and gives the picture.
    pub(super) fn finish(self, draw: impl FnOnce(&Page<'_>) -> Result<()>) -> Result<Picture> {
        register()?;
        let side = |n: usize| u32::try_from(n).map_err(|e| refused(&e));
        let (width, height) = (side(self.width)?, side(self.height)?);
        let mut rgb: Vec<u8> = self.pixels.iter().flat_map(|&c| bytes(c)).collect();
        {
            let area = BitMapBackend::with_buffer(&mut rgb, (width, height)).into_drawing_area();
            let page = Page { scale: self.scale, area };
            draw(&page)?;
        }
        Ok(Picture { width, height, rgb })
    }
}

/// The finished marks, with text and edges on top; positions and sizes in points.
pub(super) struct Page<'a> {
    scale: f64,
    area: DrawingArea<BitMapBackend<'a>, Shift>,
}

impl Page<'_> {
    /// Writes one line with its baseline at `at`; the letters are `size` points an em.
    pub(super) fn text(
        &self,
        text: &str,
        at: (f64, f64),
        anchor: Anchor,
        size: f64,
        colour: Colour,
    ) -> Result<()> {
        let style = style(size * self.scale, colour);
        let width = self.area.estimate_text_size(text, &style).map_err(|e| refused(&e))?.0;
        let shift = match anchor {
            Anchor::Left => 0.0,
            Anchor::Centre => f64::from(width) / 2.0,
            Anchor::Right => f64::from(width),
        };
        // Plotters puts the baseline half a font height below the position.
        let y = at.1 * self.scale - style.font.get_size() / 2.0;
        let position = (whole(at.0 * self.scale - shift), whole(y));
        self.area.draw_text(text, &style, position).map_err(|e| refused(&e))
    }

    /// Fills a rectangle of at least a pixel; its edges go to the nearest pixels.
    pub(super) fn rectangle(&self, area: Area, colour: Colour) -> Result<()> {
        let [left, top, right, bottom] =
            [area.left, area.top, area.right, area.bottom].map(|side| whole(side * self.scale));
        let corners = [(left, top), (right.max(left.saturating_add(1)), bottom.max(top.saturating_add(1)))];
        // Plotters' rectangle ends before its right column and its last row.
        self.area.draw(&Rectangle::new(corners, rgb(colour).filled())).map_err(|e| refused(&e))
    }
}

/// The font of a text, `size` pixels an em: plotters' size is the height from descent to ascent, 0.928 + 0.236 em in
/// DejaVu Sans.
fn style(size: f64, colour: Colour) -> TextStyle<'static> {
    let mut style = TextStyle::from(("sans-serif", size * 1.164).into_font());
    style.color = rgb(colour).to_backend_color();
    style
}

fn rgb(colour: Colour) -> RGBColor {
    let [r, g, b] = bytes(colour);
    RGBColor(r, g, b)
}

/// The font of all pictures.
pub(super) const FONT: &[u8] = include_bytes!("DejaVuSans-subset.ttf");

/// Gives plotters its only font, once in the life of the program.
pub(crate) fn register() -> Result<()> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    if *REGISTERED.get_or_init(|| register_font("sans-serif", FontStyle::Normal, FONT).is_ok()) {
        return Ok(());
    }
    Err(Error::Picture { what: "text", found: "the font in this program cannot be read".into() })
}

fn refused(e: &dyn std::error::Error) -> Error {
    Error::Picture { what: "text and frames", found: e.to_string() }
}

/// The pixel edge nearest to a position; 0 for what is to the left of it.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast to usize saturates")]
fn pixel(position: f64) -> usize {
    position.round() as usize
}

#[allow(clippy::cast_possible_truncation, reason = "a cast to i32 saturates")]
fn whole(pixels: f64) -> i32 {
    pixels.round() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Area = Area { left: 0.0, top: 0.0, right: 20.0, bottom: 10.0 };
    const BLACK: Colour = [0.0; 3];

    fn blank(width: f64, height: f64) -> Canvas {
        Canvas::new((width, height), 2.0, Theme::Light)
    }

    fn ink(canvas: &Canvas) -> f32 {
        canvas.pixels.iter().map(|p| (255.0 - p[0]) / 255.0).sum()
    }

    #[test]
    fn a_dot_covers_its_area_wherever_it_is() {
        // Radius 1.5 points = 3 pixels: 9 pi pixels. The linear edge is off by less than 2 %.
        for at in [(10.0, 5.0), (10.1, 5.2), (9.87, 4.63)] {
            let mut canvas = blank(20.0, 10.0);
            canvas.mark(&[at], 1.5, ALL, BLACK, 1.0);
            assert!((ink(&canvas) / (9.0 * std::f32::consts::PI) - 1.0).abs() < 0.02);
        }
    }

    #[test]
    fn a_line_that_returns_is_as_dark_as_one_that_does_not() {
        let (mut once, mut twice) = (blank(20.0, 10.0), blank(20.0, 10.0));
        once.mark(&[(2.0, 2.0), (17.0, 8.0)], 0.5, ALL, BLACK, 0.5);
        twice.mark(&[(2.0, 2.0), (17.0, 8.0), (2.0, 2.0)], 0.5, ALL, BLACK, 0.5);
        assert!((ink(&once) - ink(&twice)).abs() < 1e-3);
        // Two marks are darker than one.
        once.mark(&[(2.0, 2.0), (17.0, 8.0)], 0.5, ALL, BLACK, 0.5);
        assert!(ink(&once) > 1.3 * ink(&twice));
    }

    #[test]
    fn nothing_leaves_the_area() {
        let area = Area { left: 5.0, top: 2.0, right: 15.0, bottom: 8.0 };
        let mut canvas = blank(20.0, 10.0);
        canvas.mark(&[(-1e6, -1e6), (1e6, 1e6)], 3.0, area, BLACK, 1.0);
        canvas.mark(&[(-50.0, 3.0)], 3.0, area, BLACK, 1.0);
        for (k, p) in canvas.pixels.iter().enumerate() {
            let (x, y) = (k % 40, k / 40);
            let inside = (10..30).contains(&x) && (4..16).contains(&y);
            assert!(inside || p[0] > 254.0, "{x} {y}");
        }
        assert!(ink(&canvas) > 10.0);
        // What overflows is not drawn at all.
        let mut canvas = blank(20.0, 10.0);
        canvas.mark(&[(-1e200, 1e250), (1e300, 5.0)], 3.0, area, BLACK, 1.0);
        assert!(ink(&canvas) < 1e-6);
    }

    #[test]
    fn a_rectangle_has_exactly_its_pixels() {
        let edge = Area { left: 3.0, top: 1.0, right: 3.5, bottom: 4.0 };
        let picture = blank(20.0, 10.0).finish(|page| page.rectangle(edge, BLACK)).unwrap();
        let dark = (0..40 * 20).filter(|&k| picture.rgb[3 * k] < 255);
        assert!(dark.eq((2..8).map(|row| row * 40 + 6)));
        // In a picture of a fifth of the size it is still there.
        let small = Canvas::new((20.0, 10.0), 0.4, Theme::Light);
        let picture = small.finish(|page| page.rectangle(edge, BLACK)).unwrap();
        assert!(picture.rgb.chunks(3).any(|pixel| pixel[0] == 0));
        let mut small = Canvas::new((20.0, 10.0), 0.4, Theme::Light);
        small.fill(edge, |_, _| BLACK);
        assert!(ink(&small) > 0.9);
    }

    #[test]
    fn letters_are_black_on_white_and_stay_at_home() {
        let picture = blank(60.0, 30.0)
            .finish(|page| page.text("x\u{2080} \u{2248} 1", (30.0, 20.0), Anchor::Centre, 12.0, BLACK))
            .unwrap();
        let dark: Vec<usize> = (0..120 * 60).filter(|&k| picture.rgb[3 * k] < 64).collect();
        assert!(dark.len() > 50);
        // Above the baseline and the subscript below it, around the middle.
        assert!(dark.iter().all(|k| (18..46).contains(&(k / 120)) && (20..100).contains(&(k % 120))));
    }
}
