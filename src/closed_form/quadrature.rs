//! [`integrate`]: integrals over (0, 1) of functions that may change steeply towards both ends.
//!
//! # Math
//! (0, 1) is cut at 1/2 and each half again and again towards its end: panels \[2^-k-1, 2^-k\] and their mirror images, each
//! with the Gauss-Legendre rule of 16 points. A function whose features scale with the distance to an end is equally smooth on
//! each panel: s / (s (1 - e)² + e²), for one, has poles at e = ± i sqrt(s), never nearer to a panel than three half-widths
//! of it, so that the rule's error is below (3 + sqrt 8)^-32 = 3e-25 of it, whatever s > 0 is.
//!
//! # Limits
//! The last panels end 2^-51 before the ends. If the outermost ones still hold as much as those before, the integral
//! diverges like one of 1/e, or worse: infinity comes back, as it does for what all but does so, e^-p with p above 0.93. Points near 1 are rounded by 2^-53: a peak of width w there costs
//! 2^-53 / w of the integral.
//!
//! # Source
//! P. Davis, P. Rabinowitz, "Methods of Numerical Integration", 1984 (Gauss-Legendre rules and their errors).

/// Points of the rule on a panel.
const POINTS: usize = 16;
/// Panels towards each end.
const PANELS: i32 = 50;
/// What the last panel may hold as a share of the one 16 before it: an integrable e^-0.9 leaves 2^-1.6 = 0.33 there.
const LEFT: f64 = 0.5;

/// The integral of f over (0, 1), or infinity.
pub(super) fn integrate(f: impl Fn(f64) -> f64) -> f64 {
    let rule = gauss_legendre();
    let mut total = 0.0;
    for mirrored in [false, true] {
        let mut panels = Vec::new();
        for k in 1..=PANELS {
            let low = 2.0_f64.powi(-k - 1);
            let panel = rule.iter().map(|&(x, weight)| {
                let e = low * (1.5 + 0.5 * x); // from the end, in [2^-k-1, 2^-k]
                weight * f(if mirrored { 1.0 - e } else { e })
            });
            panels.push(0.5 * low * panel.sum::<f64>());
        }
        let last = panels.len() - 1;
        if panels[last].abs() > LEFT * panels[last - 16].abs() && panels[last].abs() > f64::MIN_POSITIVE {
            return f64::INFINITY;
        }
        // The smallest first.
        total += panels.iter().rev().sum::<f64>();
    }
    total
}

/// Nodes in (-1, 1) and weights: the roots of the Legendre polynomial by Newton's method.
fn gauss_legendre() -> [(f64, f64); POINTS] {
    #[allow(clippy::cast_precision_loss, reason = "small whole numbers")]
    std::array::from_fn(|i| {
        let n = POINTS as f64;
        let mut x = (std::f64::consts::PI * (i as f64 + 0.75) / (n + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..10 {
            let (mut p, mut before) = (x, 1.0);
            for k in 2..=POINTS {
                let k = k as f64;
                (p, before) = (((2.0 * k - 1.0) * x * p - (k - 1.0) * before) / k, p);
            }
            slope = n * (x * p - before) / (x * x - 1.0);
            x -= p / slope;
        }
        (x, 2.0 / ((1.0 - x * x) * slope * slope))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Roundings of 800 terms.
    const BOUND: f64 = 1e-13;

    #[test]
    fn polynomials_peaks_and_roots() {
        // The panels end 2^-51 before 0: that part of the integral is left out.
        for (f, exact) in [
            ((|_| 1.0) as fn(f64) -> f64, 1.0),
            (|x| x.powi(9), 0.1),
            (|x| 1.0 / ((1.0 - x) * (1.0 - x) + 1e-4), (1e2_f64).atan() * 1e2),
            (|x| x.ln(), -1.0),
        ] {
            assert!((integrate(f) / exact - 1.0).abs() < BOUND, "{} {exact}", integrate(f));
        }
        // 1 / sqrt x leaves out 2 sqrt(2^-51).
        assert!((integrate(|x| 1.0 / x.sqrt()) - 2.0).abs() < 5e-8);
    }

    #[test]
    fn what_diverges_is_infinite() {
        assert!(integrate(|x| 1.0 / x) == f64::INFINITY && integrate(|x| 1.0 / (1.0 - x)) == f64::INFINITY);
        // However much lies away from that end.
        assert!(integrate(|x| 1.0 / x + 1e3 * x) == f64::INFINITY);
    }
}
