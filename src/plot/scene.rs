//! [`Scene`]: marks, edges and text of a picture, before it is known what it becomes: pixels or SVG, light or dark.

use super::canvas::Canvas;
use super::colour::{Colour, Ink, Theme, bytes};
use super::picture::Picture;
use crate::error::{Error, Result};

/// Pixels a point where no size is asked for.
pub(super) const SCALE: f64 = 2.0;

/// The longest side of a picture in pixels.
const MOST_PIXELS: f64 = 16_384.0;

/// Where marks may be: [left, right) and [top, bottom) in points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

/// Which end of a text its position is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Left,
    Centre,
    Right,
}

/// What lies under the text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Mark {
    /// Dots and lines along `points`: however often one crosses itself, it has one opacity.
    Stroke { points: Vec<(f64, f64)>, radius: f64, area: Area, ink: Ink, opacity: f32 },
    /// A rectangle of one colour.
    Fill { area: Area, ink: Ink },
    /// Equal rectangles in rows, the lowest first.
    Cells { area: Area, columns: usize, colours: Vec<Colour> },
}

/// What lies on top of all marks.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Letter {
    /// A rectangle whose edges go to the nearest pixels.
    Rectangle { area: Area, ink: Ink },
    /// One line with its baseline at `at`; the letters are `size` points an em.
    Text { text: String, at: (f64, f64), anchor: Anchor, size: f64, ink: Ink },
}

/// A picture as a list of what is drawn, in points; [`Scene::picture`] and [`Scene::svg`] draw it.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) marks: Vec<Mark>,
    pub(super) letters: Vec<Letter>,
}

/// How a scene is drawn: on which ground and how large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// The ground and the colours on it.
    pub theme: Theme,
    /// The most pixels across; without it and `height` two a point.
    pub width: Option<u32>,
    /// The most pixels down.
    pub height: Option<u32>,
}

impl Scene {
    /// An empty scene, sizes in points.
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self { width, height, marks: Vec::new(), letters: Vec::new() }
    }

    pub(super) fn stroke(
        &mut self,
        points: Vec<(f64, f64)>,
        radius: f64,
        area: Area,
        ink: Ink,
        opacity: f32,
    ) {
        self.marks.push(Mark::Stroke { points, radius, area, ink, opacity });
    }

    pub(super) fn fill(&mut self, area: Area, ink: Ink) {
        self.marks.push(Mark::Fill { area, ink });
    }

    pub(super) fn cells(&mut self, area: Area, columns: usize, colours: Vec<Colour>) {
        self.marks.push(Mark::Cells { area, columns, colours });
    }

    pub(super) fn rectangle(&mut self, area: Area, ink: Ink) {
        self.letters.push(Letter::Rectangle { area, ink });
    }

    pub(super) fn text(&mut self, text: &str, at: (f64, f64), anchor: Anchor, size: f64, ink: Ink) {
        self.letters.push(Letter::Text { text: text.into(), at, anchor, size, ink });
    }

    /// The scene as pixels: the largest picture of its shape within `look`.
    ///
    /// # Errors
    /// [`Error::Setting`] for a side of less than 64 or more than 16384 pixels.
    ///
    /// # Example
    /// ```
    /// use pushforward::{Tensor, plot};
    ///
    /// let points = Tensor::from_rows(&[[0.0, 0.0], [1.0, 2.0]]);
    /// let scene = plot::samples(&[plot::Panel { title: "data", points: &points }])?;
    /// let look = plot::Look { theme: plot::Theme::Dark, width: Some(600), height: None };
    /// assert_eq!(scene.picture(&look)?.width, 600);
    /// # Ok::<(), pushforward::Error>(())
    /// ```
    pub fn picture(&self, look: &Look) -> Result<Picture> {
        let mut canvas = Canvas::new((self.width, self.height), self.scale(look)?, look.theme);
        for mark in &self.marks {
            match mark {
                Mark::Stroke { points, radius, area, ink, opacity } => {
                    canvas.mark(points, *radius, *area, ink.colour(look.theme), *opacity);
                }
                Mark::Fill { area, ink } => canvas.fill(*area, |_, _| ink.colour(look.theme)),
                Mark::Cells { area, columns, colours } => {
                    let rows = colours.len() / columns;
                    canvas.fill(*area, |x, y| {
                        let across = (x - area.left) / (area.right - area.left);
                        let up = (area.bottom - y) / (area.bottom - area.top);
                        colours[part(up, rows) * columns + part(across, *columns)]
                    });
                }
            }
        }
        canvas.finish(|page| {
            for letter in &self.letters {
                match letter {
                    Letter::Rectangle { area, ink } => page.rectangle(*area, ink.colour(look.theme))?,
                    Letter::Text { text, at, anchor, size, ink } => {
                        page.text(text, *at, *anchor, *size, ink.colour(look.theme))?;
                    }
                }
            }
            Ok(())
        })
    }

    /// Pixels a point.
    pub(super) fn scale(&self, look: &Look) -> Result<f64> {
        let mut scale = f64::INFINITY;
        for (name, side, points) in [("width", look.width, self.width), ("height", look.height, self.height)]
        {
            let Some(pixels) = side else { continue };
            if !(64.0..=MOST_PIXELS).contains(&f64::from(pixels)) {
                let remedy = "give 64 to 16384 pixels";
                return Err(Error::Setting { name, value: pixels.to_string(), remedy });
            }
            scale = scale.min(f64::from(pixels) / points);
        }
        let scale = if scale.is_finite() { scale } else { SCALE };
        Ok(scale.min(MOST_PIXELS / self.width.max(self.height)))
    }
}

/// Which of n equal parts a share in 0 ..= 1 is in.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast to usize saturates")]
fn part(share: f64, n: usize) -> usize {
    ((share * n as f64) as usize).min(n - 1)
}

/// The bytes of cells as they stand in an image: the uppermost row first.
pub(super) fn image(columns: usize, colours: &[Colour]) -> Picture {
    let rows = colours.len() / columns;
    let rgb = (0..rows).rev().flat_map(|i| &colours[i * columns..(i + 1) * columns]).flat_map(|&c| bytes(c));
    let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Picture { width: side(columns), height: side(rows), rgb: rgb.collect() }
}
