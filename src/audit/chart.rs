//! [`Chart`]: what a claim has computed, as lines and points to be drawn.

/// A picture of some numbers against others.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// What is to the right.
    pub x: Axis,
    /// What is up.
    pub y: Axis,
    /// What is drawn.
    pub series: Vec<Series>,
}

/// What an axis says.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Its name, with its unit if it has one.
    pub label: String,
    /// Whether it is logarithmic; then its numbers are above 0.
    pub log: bool,
}

/// Some points of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What they are.
    pub name: String,
    /// How they are drawn.
    pub mark: Mark,
    /// (x, y) in the order in which they are joined.
    pub points: Vec<(f64, f64)>,
}

/// How points are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Joined by lines.
    Line,
    /// One by one.
    Dot,
    /// As bars from 0 up, each as wide as the distance to the next: a histogram.
    Bar,
}

impl Axis {
    /// An axis with equal distances for equal differences.
    #[must_use]
    pub fn linear(label: impl Into<String>) -> Self {
        Self { label: label.into(), log: false }
    }

    /// An axis with equal distances for equal ratios.
    #[must_use]
    pub fn log(label: impl Into<String>) -> Self {
        Self { label: label.into(), log: true }
    }
}
