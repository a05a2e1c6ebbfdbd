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

impl Chart {
    /// Numbers as a histogram, and the density of the normal law that they should have.
    #[allow(clippy::cast_precision_loss, reason = "a count is far below 2^53")]
    pub(super) fn histogram(values: &[f64], mean: f64, variance: f64) -> Self {
        const BARS: usize = 40;
        let (low, wide) = (mean - 4.0 * variance.sqrt(), 8.0 * variance.sqrt() / BARS as f64);
        let middle = |k: usize| low + (k as f64 + 0.5) * wide;
        let count = |k: usize| {
            let from = low + k as f64 * wide;
            let inside = values.iter().filter(|x| (from..from + wide).contains(*x)).count();
            inside as f64 / (values.len() as f64 * wide)
        };
        let density =
            |x: f64| (-0.5 * (x - mean).powi(2) / variance).exp() / (std::f64::consts::TAU * variance).sqrt();
        Self {
            x: Axis::linear("x"),
            y: Axis::linear("density"),
            series: vec![
                Series {
                    name: "samples".into(),
                    mark: Mark::Bar,
                    points: (0..BARS).map(|k| (middle(k), count(k))).collect(),
                },
                Series {
                    name: "their law".into(),
                    mark: Mark::Line,
                    points: (0..BARS).map(|k| (middle(k), density(middle(k)))).collect(),
                },
            ],
        }
    }
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
