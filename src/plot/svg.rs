//! Scenes as SVG, and pages of them as HTML: text stays text, in the font of the pictures, and nothing is loaded from elsewhere.
//!
//! Marks are cut off at their frames by `svg` elements inside: these need no names, so that many pictures share a page.

use std::fmt::Write as _;

use super::base64::base64;
use super::canvas::FONT;
use super::colour::{Ink, Theme, bytes};
use super::scene::{Anchor, Area, Letter, Look, Mark, Scene, image};
use crate::error::Result;

/// What the font is called in a file, and what is taken where it cannot be used.
const FAMILY: &str = "Pushforward, DejaVu Sans, sans-serif";

/// Positions beyond are off every page: numbers in SVG must stay small.
const FAR: f64 = 1e5;

impl Scene {
    /// The scene as a file of its own, with the font in it: one pixel a point, or the largest of its shape within `look`.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) for a side of less than 64 or more than 16384 pixels.
    ///
    /// # Example
    /// ```
    /// use pushforward::{Tensor, plot};
    ///
    /// let points = Tensor::from_rows(&[[0.0, 0.0], [1.0, 2.0]]);
    /// let scene = plot::samples(&[plot::Panel { title: "data", points: &points }])?;
    /// assert!(scene.svg(&plot::Look::default())?.contains(">data</text>"));
    /// # Ok::<(), pushforward::Error>(())
    /// ```
    pub fn svg(&self, look: &Look) -> Result<String> {
        let start = r#"<svg xmlns="http://www.w3.org/2000/svg" "#;
        Ok(format!("{}\n", self.element(start, &format!("<style>{}</style>\n", font_face()), look)?))
    }

    /// The scene as an element of a page, which has the font.
    ///
    /// # Errors
    /// As [`Scene::svg`].
    pub fn svg_in_page(&self, look: &Look) -> Result<String> {
        self.element("<svg ", "", look)
    }

    fn element(&self, start: &str, style: &str, look: &Look) -> Result<String> {
        let scale = if look.width.or(look.height).is_some() { self.scale(look)? } else { 1.0 };
        let size = [self.width * scale, self.height * scale, self.width, self.height].map(number);
        let [width, height, points_across, points_down] = size;
        let mut out = format!(
            "{start}width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {points_across} {points_down}\" \
             font-family=\"{FAMILY}\" role=\"img\">\n{style}"
        );
        let page = Area { left: 0.0, top: 0.0, right: self.width, bottom: self.height };
        rectangle(&mut out, page, Ink::Ground, look.theme);
        self.write_marks(&mut out, look.theme)?;
        for letter in &self.letters {
            match letter {
                Letter::Rectangle { area, ink } => rectangle(&mut out, *area, *ink, look.theme),
                Letter::Text { text, at, anchor, size, ink } => {
                    let anchor = match anchor {
                        Anchor::Left => "start",
                        Anchor::Centre => "middle",
                        Anchor::Right => "end",
                    };
                    let [x, y, size] = [at.0, at.1, *size].map(number);
                    let _ = writeln!(
                        out,
                        "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" text-anchor=\"{anchor}\" fill=\"{}\">{}</text>",
                        colour(*ink, look.theme),
                        escape(text)
                    );
                }
            }
        }
        out += "</svg>";
        Ok(out)
    }

    fn write_marks(&self, out: &mut String, theme: Theme) -> Result<()> {
        let mut open: Option<String> = None;
        for mark in &self.marks {
            let group = match mark {
                Mark::Stroke { points, radius, area, ink, opacity } => {
                    let paint = match points.len() {
                        1 => format!("fill=\"{}\" fill-opacity=\"{opacity}\"", colour(*ink, theme)),
                        _ => format!(
                            "fill=\"none\" stroke=\"{}\" stroke-opacity=\"{opacity}\" stroke-width=\"{}\" \
                             stroke-linecap=\"round\" stroke-linejoin=\"round\"",
                            colour(*ink, theme),
                            number(2.0 * radius)
                        ),
                    };
                    let [x, y, across, down] =
                        [area.left, area.top, area.right - area.left, area.bottom - area.top].map(number);
                    Some(format!(
                        "<svg x=\"{x}\" y=\"{y}\" width=\"{across}\" height=\"{down}\" viewBox=\"{x} {y} {across} {down}\"><g {paint}>\n"
                    ))
                }
                Mark::Fill { .. } | Mark::Cells { .. } => None,
            };
            if group != open {
                if open.is_some() {
                    *out += "</g></svg>\n";
                }
                *out += group.as_deref().unwrap_or("");
                open = group;
            }
            match mark {
                Mark::Stroke { points, radius, .. } => stroke(out, points, *radius),
                Mark::Fill { area, ink } => rectangle(out, *area, *ink, theme),
                Mark::Cells { area, columns, colours } => {
                    let mut png = Vec::new();
                    image(*columns, colours).write_png(&mut png)?;
                    let [x, y, across, down] =
                        [area.left, area.top, area.right - area.left, area.bottom - area.top].map(number);
                    let _ = writeln!(
                        out,
                        "<image x=\"{x}\" y=\"{y}\" width=\"{across}\" height=\"{down}\" preserveAspectRatio=\"none\" \
                         style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{}\"/>",
                        base64(&png)
                    );
                }
            }
        }
        if open.is_some() {
            *out += "</g></svg>\n";
        }
        Ok(())
    }
}

/// A page of pictures that needs no script and no network: a title, and each scene with what stands below it.
///
/// # Errors
/// As [`Scene::svg`].
pub fn page(title: &str, scenes: &[(&Scene, &str)], look: &Look) -> Result<String> {
    let [ground, text] = [Ink::Ground, Ink::Text].map(|ink| colour(ink, look.theme));
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{0}</title>\n\
         <style>{1}\nbody {{ background: {ground}; color: {text}; font: 15px/1.5 {FAMILY}; margin: 2rem auto; max-width: 68rem; padding: 0 1rem; }}\n\
         figure {{ margin: 1rem 0; }} svg {{ max-width: 100%; height: auto; }}</style>\n</head>\n<body>\n<h1>{0}</h1>\n",
        escape(title),
        font_face()
    );
    for (scene, caption) in scenes {
        let _ = writeln!(
            out,
            "<figure>{}\n<figcaption>{}</figcaption></figure>",
            scene.svg_in_page(look)?,
            escape(caption)
        );
    }
    out += "</body>\n</html>\n";
    Ok(out)
}

/// The rule of a style sheet that gives a file the font of the pictures.
#[must_use]
pub fn font_face() -> String {
    format!("@font-face{{font-family:Pushforward;src:url(data:font/ttf;base64,{})}}", base64(FONT))
}

/// Text that SVG and HTML do not read as anything else. What XML cannot hold is left out.
///
/// # Example
/// ```
/// assert_eq!(pushforward::plot::escape("a < b"), "a &lt; b");
/// ```
#[must_use]
pub fn escape(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn stroke(out: &mut String, points: &[(f64, f64)], radius: f64) {
    let near = |v: f64| number(v.clamp(-FAR, FAR));
    if let [(x, y)] = points {
        let _ = writeln!(out, "<circle cx=\"{}\" cy=\"{}\" r=\"{}\"/>", near(*x), near(*y), number(radius));
        return;
    }
    let points = points.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
    let points: Vec<String> = points.map(|(x, y)| format!("{},{}", near(*x), near(*y))).collect();
    let _ = writeln!(out, "<polyline points=\"{}\"/>", points.join(" "));
}

fn rectangle(out: &mut String, area: Area, ink: Ink, theme: Theme) {
    let sides = [area.left, area.top, area.right - area.left, area.bottom - area.top];
    let [x, y, across, down] = sides.map(number);
    let fill = colour(ink, theme);
    let _ = writeln!(out, "<rect x=\"{x}\" y=\"{y}\" width=\"{across}\" height=\"{down}\" fill=\"{fill}\"/>");
}

fn colour(ink: Ink, theme: Theme) -> String {
    let [r, g, b] = bytes(ink.colour(theme));
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// A position with two digits, a hundredth of a point.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: Area = Area { left: 10.0, top: 20.0, right: 90.0, bottom: 60.0 };

    fn scene() -> Scene {
        let mut scene = Scene::new(100.0, 80.0);
        scene.fill(AREA, Ink::Guide);
        scene.cells(AREA, 2, vec![[0.0; 3], [255.0, 0.0, 0.0]]);
        scene.stroke(vec![(20.0, 30.0)], 1.5, AREA, Ink::Target, 0.5);
        scene.stroke(vec![(30.0, 30.0)], 1.5, AREA, Ink::Target, 0.5);
        scene.stroke(vec![(20.0, 30.0), (1e300, f64::NAN), (-1e300, 40.0)], 0.5, AREA, Ink::Path, 1.0);
        scene.text("a < b & \u{1}c", (50.0, 12.0), Anchor::Centre, 10.0, Ink::Text);
        scene
    }

    #[test]
    fn everything_is_there_and_every_element_ends() {
        let text = scene().svg(&Look::default()).unwrap();
        for words in [
            "viewBox=\"0 0 100 80\"",
            "<circle cx=\"20\" cy=\"30\" r=\"1.5\"/>",
            "points=\"20,30 -100000,40\"",
            "a &lt; b &amp; c</text>",
            "data:image/png;base64,",
            "data:font/ttf;base64,",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        // Two dots of one kind are in one group.
        assert_eq!((text.matches("<g ").count(), text.matches("</g>").count()), (2, 2));
        assert_eq!(text.matches("<svg").count(), text.matches("</svg>").count());
        assert!(!text.contains("NaN") && !text.contains("inf"));
        let wide = scene().svg(&Look { width: Some(500), ..Look::default() }).unwrap();
        assert!(wide.contains("width=\"500\" height=\"400\" viewBox=\"0 0 100 80\""), "{wide}");
    }

    #[test]
    fn a_page_asks_for_nothing() {
        let look = Look { theme: Theme::Dark, ..Look::default() };
        let page = page("of <this>", &[(&scene(), "x > y"), (&scene(), "")], &look).unwrap();
        for words in ["<title>of &lt;this&gt;</title>", "x &gt; y", "<svg "] {
            assert!(page.contains(words), "{words}");
        }
        for asking in ["<script", "http:", "https:", "src=", "@import"] {
            assert!(!page.contains(asking), "{asking}");
        }
        assert_eq!(page.matches("url(").count(), page.matches("url(data:").count());
    }

    #[test]
    fn sizes_out_of_reason_are_refused() {
        for side in [0, 63, 16385] {
            let look = Look { height: Some(side), ..Look::default() };
            assert!(scene().svg(&look).is_err() && scene().picture(&look).is_err(), "{side}");
        }
    }
}
