//! Pictures of what a flow does: samples, densities, fields, trajectories, columns, curves.
//!
//! Each function checks its input and gives a [`Scene`], which becomes pixels ([`Scene::picture`], PNG) or SVG ([`Scene::svg`]), on
//! white or on nearly black ([`Look`]); [`animation`] makes a GIF of several pictures, [`page`] a page of several scenes. Nothing
//! here opens a file.
//!
//! # Shapes
//! Points are [n, 2]: the first column goes to the right, the second up, and a unit is as long in one as in the other. [`pairs`]
//! takes one to six columns, each with a unit of its own.
//!
//! # Limits
//! Text is ASCII, Greek and some mathematics; another character leaves a box. The
//! same input gives the same bytes: one thread draws, in f32, in the order of the rows.
//!
//! # Source
//! Text and frames: `plotters`, with a subset of DejaVu Sans 2.35, `DejaVuSans-subset.ttf`, made with
//! fontTools: hinting, layout tables and other glyphs left out, and an empty contour put at the origin of
//! each glyph, because plotters places a glyph by the left end of its ink and so would lose the space
//! before it. The licence beside it allows changes under a name without "Bitstream", "Vera" or "Arev".
//! Points, lines and heat maps are drawn here: they need positions between pixels and exact blending.

mod animation;
mod base64;
mod canvas;
mod colour;
mod contour;
mod curves;
mod density;
mod field;
mod frame;
mod pairs;
mod picture;
mod samples;
mod scene;
mod svg;
mod trajectories;

pub use animation::animation;
pub(crate) use canvas::register as register_font;
pub use colour::Theme;
pub use curves::{Curve, Curves, Style, curves, ways};
pub use density::{Grid, density};
pub use field::{Field, field};
pub use pairs::{Columns, MOST_COLUMNS, pairs};
pub use picture::Picture;
pub use samples::{Panel, samples};
pub use scene::{Look, Scene};
pub use svg::{escape, font_face, page};
pub use trajectories::{Paths, motion, trajectories};
