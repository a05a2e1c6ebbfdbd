//! Pictures of what a flow does in the plane: samples, densities, trajectories.
//!
//! Each function checks its input, draws, and gives a [`Picture`]; nothing here opens a file.
//!
//! # Shapes
//! Points are [n, 2]: the first column goes to the right, the second up.
//!
//! # Limits
//! Two dimensions. Text is ASCII, Greek and some mathematics; another character leaves a box. The
//! same input gives the same bytes: one thread draws, in f32, in the order of the rows.
//!
//! # Source
//! Text and frames: `plotters`, with a subset of DejaVu Sans 2.35, `DejaVuSans-subset.ttf`, made with
//! fontTools: hinting, layout tables and other glyphs left out, and an empty contour put at the origin of
//! each glyph, because plotters places a glyph by the left end of its ink and so would lose the space
//! before it. The licence beside it allows changes under a name without "Bitstream", "Vera" or "Arev".
//! Points, lines and heat maps are drawn here: they need positions between pixels and exact blending.

mod canvas;
mod colour;
mod density;
mod frame;
mod picture;
mod samples;
mod trajectories;

pub(crate) use canvas::register as register_font;
pub use density::{Grid, density};
pub use picture::Picture;
pub use samples::{Panel, samples};
pub use trajectories::{Paths, trajectories};
