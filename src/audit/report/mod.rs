//! [`page`]: an audit as one HTML page that needs no script and no network.
//!
//! # Limits
//! Formulas are MathML, which browsers set since 2023; pictures are SVG on a white ground.

mod drawing;
mod mathml;

use std::fmt::Write as _;

use self::drawing::svg;
use self::mathml::{escape, mathml};
use super::claim::{Claim, Finding, Outcome, Verdict};
use crate::error::Result;

const STYLE: &str = "
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 68rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid #8884; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
article { border-top: 1px solid #8884; padding: .6rem 0 1rem; }
article h2 { font-size: 1.05rem; margin: .4rem 0; }
pre { overflow-x: auto; padding: .6rem; border: 1px solid #8884; }
figure { margin: 1rem 0; }
math { font-size: 1.15rem; }
svg { background: #fff; border-radius: 4px; max-width: 100%; height: auto; }
.pass { color: #0a7d44; } .fail { color: #c8102e; font-weight: 700; } .not { color: #888; white-space: nowrap; }
@media (prefers-color-scheme: dark) { .pass { color: #4cc38a; } .fail { color: #ff6b6b; } }
.small { color: #888; font-size: .85rem; }
";

/// The page: a summary, then each claim with its formula, its numbers and its picture.
///
/// `facts` are lines below the title: what was audited, with which type of number.
///
/// # Errors
/// [`Error::Picture`](crate::Error::Picture) if a chart cannot be drawn.
pub fn page(title: &str, facts: &[String], checked: &[(&Claim<'_>, Outcome)]) -> Result<String> {
    let count = |verdict| checked.iter().filter(|(_, outcome)| outcome.verdict == verdict).count();
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<p>{} claims hold, {} fail, {} equations are not built. A claim holds if what was measured is at most its bound.</p>",
        count(Verdict::Pass),
        count(Verdict::Fail),
        count(Verdict::NotBuilt)
    );
    out += "<table>\n<tr><th>claim</th><th>what is computed</th><th>measured</th><th>bound</th><th>verdict</th><th>seconds</th></tr>\n";
    for (claim, outcome) in checked {
        let _ = writeln!(
            out,
            "<tr><td><a href=\"#{0}\">{0}</a></td><td>{1}</td>{2}<td class=\"{3}\">{4}</td><td class=\"number\">{5:.2}</td></tr>",
            claim.id,
            escape(claim.what),
            numbers(outcome),
            class(outcome.verdict),
            outcome.verdict,
            outcome.seconds
        );
    }
    out += "</table>\n";
    for (claim, outcome) in checked {
        write_claim(&mut out, claim, outcome)?;
    }
    Ok(document(title, facts, &out))
}

/// A page around the HTML `body`: its title, lines of facts below that, and the style of all reports.
///
/// # Example
/// ```
/// let page = pushforward::audit::report::document("a < b", &[], "<p>text</p>");
/// assert!(page.contains("<title>a &lt; b</title>") && page.contains("<p>text</p>"));
/// ```
#[must_use]
pub fn document(title: &str, facts: &[String], body: &str) -> String {
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{0}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{0}</h1>\n",
        escape(title)
    );
    for fact in facts {
        let _ = writeln!(out, "<p class=\"small\">{}</p>", escape(fact));
    }
    out + body + "</body>\n</html>\n"
}

fn write_claim(out: &mut String, claim: &Claim<'_>, outcome: &Outcome) -> Result<()> {
    let _ = writeln!(
        out,
        "<article id=\"{0}\">\n<h2>{0} <span class=\"{1}\">{2}</span></h2>\n<p>{3}</p>\n<p>{4}</p>",
        claim.id,
        class(outcome.verdict),
        outcome.verdict,
        mathml(claim.equation),
        escape(claim.what)
    );
    if let Some(finding) = &outcome.finding {
        let _ = writeln!(
            out,
            "<p>Measured <b>{}</b>, bound <b>{}</b>, in {}: {}.</p>",
            short(finding.measured),
            short(finding.bound),
            outcome.real,
            escape(&finding.from)
        );
        let picture = finding.chart.as_ref().map_or_else(|| Ok(scale(finding)), svg)?;
        let _ = writeln!(out, "<figure>{picture}</figure>");
    }
    if let Some(error) = &outcome.error {
        let class = class(outcome.verdict);
        let _ = writeln!(out, "<p class=\"{class}\">{}</p>", escape(error));
    }
    if let Some(place) = claim.place {
        let _ = writeln!(out, "<p class=\"small\">implemented in <code>{place}</code></p>");
    }
    *out += "</article>\n";
    Ok(())
}

/// What was measured as a point on a scale of powers of ten, where what the bound allows ends at three quarters of it.
fn scale(finding: &Finding) -> String {
    /// Powers of ten below and above the bound.
    const DECADES: [f64; 2] = [12.0, 4.0];
    const WIDTH: f64 = 480.0;
    let of_bound = (finding.measured / finding.bound).abs().log10();
    let place = |decades: f64| WIDTH * (decades + DECADES[0]) / (DECADES[0] + DECADES[1]);
    // 0 of anything is at the left end, as NaN, which is within no bound, is at the right one.
    let at = if of_bound.is_nan() { DECADES[1] } else { of_bound.clamp(-DECADES[0], DECADES[1]) };
    let (bound, at) = (place(0.0), place(at).clamp(6.0, WIDTH - 6.0));
    format!(
        "<svg width=\"{WIDTH}\" height=\"40\" role=\"img\" aria-label=\"measured beside the bound, in powers of ten\">\
         <rect x=\"0\" y=\"20\" width=\"{bound}\" height=\"12\" fill=\"#bcd9ee\"/>\
         <rect x=\"{bound}\" y=\"20\" width=\"{}\" height=\"12\" fill=\"#f2cfa5\"/>\
         <line x1=\"{bound}\" y1=\"15\" x2=\"{bound}\" y2=\"37\" stroke=\"#333\" stroke-width=\"2\"/>\
         <text x=\"{bound}\" y=\"11\" font-size=\"11\" text-anchor=\"middle\" fill=\"#333\">bound</text>\
         <circle cx=\"{at:.1}\" cy=\"26\" r=\"6\" fill=\"#0072b2\"/></svg>",
        WIDTH - bound
    )
}

fn numbers(outcome: &Outcome) -> String {
    let cells = outcome
        .finding
        .as_ref()
        .map_or([String::new(), String::new()], |finding| [short(finding.measured), short(finding.bound)]);
    cells.map(|cell| format!("<td class=\"number\">{cell}</td>")).concat()
}

fn short(value: f64) -> String {
    format!("{value:.3e}")
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::NotBuilt => "not",
    }
}

#[cfg(test)]
mod tests {
    use super::super::claim::{Place, Precision};
    use super::*;

    #[test]
    fn a_page_holds_everything_and_asks_for_nothing() {
        let place = Place { file: "src/a.rs", line: 7 };
        let good = Claim::new("E1", "x_1 < 2", "a < b & c", place, |_| Ok(Finding::new(0.5, 1.0, "x > y")));
        let bad = Claim::new("E2", "x", "", place, |_| Ok(Finding::new(2.0, 1.0, "")));
        let checked: Vec<_> = [&good, &bad].map(|claim| (claim, claim.check(Precision::F64))).into();
        let html = page("an audit", &["of <this>".into()], &checked).unwrap();
        for words in [
            "of &lt;this&gt;",
            "a &lt; b &amp; c",
            "x &gt; y",
            "src/a.rs:7",
            "5.000e-1",
            "1 claims hold, 1 fail",
        ] {
            assert!(html.contains(words), "{words}: {html}");
        }
        // What is within its bound stands left of it, what is not right of it.
        let places: Vec<f64> = html
            .split("<circle cx=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().parse().unwrap())
            .collect();
        assert!(places.len() == 2 && places[0] < 360.0 && places[1] > 360.0, "{places:?}");
        for measured in [0.0, f64::INFINITY, f64::NAN] {
            assert!(scale(&Finding::new(measured, 1.0, "")).contains("<circle cx=\""));
        }
        for asking in ["<script", "http:", "https:", "src=", "@import", "url("] {
            assert!(!html.contains(asking), "{asking}");
        }
    }
}
