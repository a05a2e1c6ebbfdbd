//! [`Column`]: what one column of a table holds, and what the network is given of it.
//!
//! # Math
//! A cell x of a table and the numbers y that stand for it:
//! ```text
//! numeric            y = x
//! integer            y = x + u, u uniform in (-1/2, 1/2) in training and 0 elsewhere; back: the nearest whole number
//! categorical of K   y = e_k, the k-th of K unit vectors, x = k the number of its category; back: the largest of the K numbers
//! with bounds        y = ln(x - lo) - ln(hi - x) of the above ([`Bounds`]); of an integer from lo to hi between lo - 1/2 and hi + 1/2
//! ```
//! A density of y is one of x only if y has as many numbers as x: there is none of a category. For an integer, u makes it one of
//! x + u, whose integral over the cell of x is the probability of x.
//!
//! # Limits
//! An integer lies within ±2^53. At most [`Column::MOST_CATEGORIES`] categories: each is a column of the network.
//!
//! # Source
//! Noise for whole numbers: L. Theis, A. van den Oord, M. Bethge, "A note on the evaluation of generative models", 2016, section 3.1.

use super::bounds::Bounds;
use super::kind::Kind;
use crate::error::{Error, Result};

/// Beyond it not every whole number is an f64.
const LARGEST_INTEGER: f64 = (1_u64 << 53) as f64;

/// What one column of a table holds.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Stored")]
pub struct Column {
    name: String,
    kind: Kind,
    bounds: Option<Bounds>,
    categories: Vec<String>,
}

/// The same before it was checked.
#[derive(serde::Deserialize)]
struct Stored {
    name: String,
    kind: Kind,
    bounds: Option<Bounds>,
    categories: Vec<String>,
}

impl Column {
    /// The most categories of a column.
    pub const MOST_CATEGORIES: usize = 256;

    /// A column of real numbers.
    #[must_use]
    pub fn numeric(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: Kind::Numeric, bounds: None, categories: Vec::new() }
    }

    /// A column of whole numbers.
    #[must_use]
    pub fn integer(name: impl Into<String>) -> Self {
        Self { kind: Kind::Integer, ..Self::numeric(name) }
    }

    /// A column of texts, each one of `categories`; a cell of a table is the number of its text among these, from 0.
    ///
    /// # Errors
    /// [`Error::Setting`] if there are none, more than [`Column::MOST_CATEGORIES`], or two that are equal.
    pub fn categorical(name: impl Into<String>, categories: Vec<String>) -> Result<Self> {
        let name = name.into();
        let refused = |value: String, remedy| Err(Error::Setting { name: "categories", value, remedy });
        if !(1..=Self::MOST_CATEGORIES).contains(&categories.len()) {
            let found = format!("{} of column {name}", categories.len());
            return refused(found, "give from 1 to 256, or leave the column out");
        }
        let mut seen = std::collections::HashSet::new();
        if let Some(twice) = categories.iter().find(|text| !seen.insert(text.as_str())) {
            return refused(format!("{twice:?} twice in column {name}"), "give each of them once");
        }
        Ok(Self { kind: Kind::Categorical, categories, ..Self::numeric(name) })
    }

    /// The same column with bounds: numbers lie between them, whole numbers may be lo or hi.
    ///
    /// # Errors
    /// [`Error::Setting`] for a categorical column, and for bounds of an integer column that are no whole numbers.
    pub fn bounded(self, bounds: Bounds) -> Result<Self> {
        let refused = |remedy| {
            let value = format!("{bounds} of column {}", self.name);
            Err(Error::Setting { name: "bounds", value, remedy })
        };
        match self.kind {
            Kind::Categorical => return refused("texts have no bounds: leave them out"),
            Kind::Integer if ![bounds.lo(), bounds.hi()].into_iter().all(is_integer) => {
                return refused(
                    "the column is integer: give whole numbers, which it may reach, or call it numeric",
                );
            }
            _ => {}
        }
        Ok(Self { bounds: Some(bounds), ..self })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its cells are.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What its numbers lie between.
    #[must_use]
    pub fn bounds(&self) -> Option<Bounds> {
        self.bounds
    }

    /// Its texts; none but of a categorical column.
    #[must_use]
    pub fn categories(&self) -> &[String] {
        &self.categories
    }

    /// How many numbers stand for a cell.
    #[must_use]
    pub fn width(&self) -> usize {
        self.categories.len().max(1)
    }

    /// Whether the network is given its cells as they are.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.kind == Kind::Numeric && self.bounds.is_none()
    }

    /// What is wrong with a cell of a table, and what to do about it.
    #[must_use]
    pub fn fault(&self, x: f64) -> Option<&'static str> {
        match (self.kind, self.bounds) {
            (Kind::Categorical, _) => (!is_integer(x) || x < 0.0 || x >= self.categories.len() as f64)
                .then_some(
                    "is the number of none of its categories: give one from 0 to below how many there are",
                ),
            (Kind::Integer, _) if !is_integer(x) => Some(
                "is no whole number within ±2^53, as the column has: round it, or call the column numeric (`--numeric`)",
            ),
            (Kind::Integer, Some(bounds)) if x < bounds.lo() || x > bounds.hi() => {
                Some("is outside the bounds of the column: widen them, or leave such rows out")
            }
            (Kind::Numeric, Some(bounds)) if !bounds.contain(x) => Some(
                "is at or outside the bounds of the column, between which its numbers must lie: widen them, or leave such rows out",
            ),
            (Kind::Numeric, None) if !x.is_finite() => Some("is no finite number: leave such rows out"),
            _ => None,
        }
    }

    /// Appends the numbers that stand for a sound cell; `shift` in (-1/2, 1/2) moves an integer inside its cell of width 1.
    pub(super) fn encode(&self, x: f64, shift: f64, out: &mut Vec<f64>) {
        let x = match self.kind {
            Kind::Categorical => {
                let indicated = |k: usize| if is_same(k as f64, x) { 1.0 } else { 0.0 };
                out.extend((0..self.categories.len()).map(indicated));
                return;
            }
            // What is rounded into the next cell stays at home.
            Kind::Integer if is_same((x + shift).round(), x) => x + shift,
            _ => x,
        };
        out.push(
            self.between().map_or(x, |between| {
                between.to_line(x.clamp(between.lo().next_up(), between.hi().next_down()))
            }),
        );
    }

    /// The cell for which these numbers stand.
    pub(super) fn decode(&self, y: &[f64]) -> f64 {
        if self.kind == Kind::Categorical {
            let larger = |best: (usize, f64), next: (usize, f64)| if next.1 > best.1 { next } else { best };
            return y.iter().copied().enumerate().reduce(larger).map_or(0, |(k, _)| k) as f64;
        }
        let y = y.first().copied().unwrap_or(f64::NAN);
        let x = self.between().map_or(y, |between| between.from_line(y));
        match (self.kind, self.bounds) {
            (Kind::Integer, None) => x.round() + 0.0, // no -0
            (Kind::Integer, Some(bounds)) => x.round().clamp(bounds.lo(), bounds.hi()) + 0.0,
            _ => x,
        }
    }

    /// ln |dx/dy| at a sound cell, in nats.
    pub(super) fn log_slope(&self, x: f64) -> f64 {
        self.between().map_or(0.0, |between| between.log_slope(x))
    }

    /// The ends of what is mapped to the line.
    fn between(&self) -> Option<Bounds> {
        let bounds = self.bounds?;
        match self.kind {
            // The ends are whole numbers of one cell each.
            Kind::Integer => Bounds::new(bounds.lo() - 0.5, bounds.hi() + 0.5).ok(),
            _ => Some(bounds),
        }
    }
}

/// Whether x is a whole number that has its cell in f64.
pub(super) fn is_integer(x: f64) -> bool {
    x.abs() <= LARGEST_INTEGER && x.fract().abs() <= 0.0
}

/// Whether two whole numbers are the same.
fn is_same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 0.0
}

impl TryFrom<Stored> for Column {
    type Error = Error;

    fn try_from(Stored { name, kind, bounds, categories }: Stored) -> Result<Self> {
        let column = match kind {
            Kind::Categorical => Self::categorical(name, categories)?,
            kind => Self { kind, ..Self::numeric(name) },
        };
        match bounds {
            None => Ok(column),
            Some(bounds) => column.bounded(bounds),
        }
    }
}
