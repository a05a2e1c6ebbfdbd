//! [`Claim`]: one statement about an equation that a computation can refute.

use std::fmt;
use std::str::FromStr;
use std::time::Instant;

use crate::error::{Error, Result};

use super::chart::Chart;
use super::equations::Equation;

/// The type of number with which a claim is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 24 bits.
    F32,
    /// 53 bits.
    #[default]
    F64,
}

impl Precision {
    /// The word: `f32` or `f64`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        [Self::F32, Self::F64].into_iter().find(|real| real.word() == word).ok_or_else(|| Error::Unknown {
            what: "type of number",
            word: word.into(),
            known: "f32, f64",
        })
    }
}

/// Where a formula stands in the sources of this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The file, from the root of the crate.
    pub file: &'static str,
    /// The line, counted from 1.
    pub line: u32,
}

impl Place {
    /// The first line of a file that holds some words. In a constant it is found by the compiler, which stops if there
    /// is none: a place that has moved is found again, one that is gone is no place.
    ///
    /// # Panics
    /// If the words are not in the source.
    #[must_use]
    pub(super) const fn of(file: &'static str, source: &str, words: &str) -> Self {
        let (source, words) = (source.as_bytes(), words.as_bytes());
        let (mut line, mut i) = (1, 0);
        while i + words.len() <= source.len() {
            let mut k = 0;
            while k < words.len() && source[i + k] == words[k] {
                k += 1;
            }
            // `// E2` is not part of `// E29`.
            let ends = i + k >= source.len() || !source[i + k].is_ascii_digit();
            if k == words.len() && ends {
                return Self { file, line };
            }
            if source[i] == b'\n' {
                line += 1;
            }
            i += 1;
        }
        #[allow(clippy::panic, reason = "while constants are computed, which stops the compiler")]
        {
            panic!("these words are not in that file");
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// What a computation found: a number that should be 0, and how far from it may be.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The deviation, at least 0.
    pub measured: f64,
    /// The largest deviation that a right program has.
    pub bound: f64,
    /// Where the bound comes from: the order of a method, rounding, sampling.
    pub from: String,
    /// A picture of what was computed.
    pub chart: Option<Chart>,
    /// Why the numbers tell nothing, where the bound is too wide to refute anything.
    pub vague: Option<String>,
}

impl Finding {
    /// A deviation and its bound.
    pub(super) fn new(measured: f64, bound: f64, from: impl Into<String>) -> Self {
        Self { measured, bound, from: from.into(), chart: None, vague: None }
    }

    /// The same with a picture.
    pub(super) fn with_chart(self, chart: Chart) -> Self {
        Self { chart: Some(chart), ..self }
    }

    /// The same, of which is said that it tells nothing.
    pub(super) fn vague(self, why: impl Into<String>) -> Self {
        Self { vague: Some(why.into()), ..self }
    }

    /// Whether the deviation is within its bound; NaN is not.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.measured <= self.bound
    }
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The deviation is within its bound.
    Pass,
    /// It is not, or it could not be computed.
    Fail,
    /// The subject of the equation does not exist in this crate, or in the model; or it was computed with a bound too wide to
    /// refute anything.
    NotBuilt,
}

impl Verdict {
    /// The words: `pass`, `fail` or `not built`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NotBuilt => "not built",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

type Check<'a> = Box<dyn Fn(Precision) -> Result<Finding> + 'a>;

/// A statement about an equation, and the computation that could refute it.
pub struct Claim<'a> {
    /// The number of the equation, `E18`; a second claim about it has a word more, `E18.floor`.
    pub id: &'static str,
    /// The formula.
    pub equation: &'static str,
    /// What is computed.
    pub what: &'static str,
    /// Where the formula stands in the sources; none for what is not built.
    pub place: Option<Place>,
    /// Whether its subject is computed in f64 whatever type of number a network has.
    always_f64: bool,
    /// Why there is no computation, where there could be one.
    why: Option<String>,
    check: Option<Check<'a>>,
}

impl<'a> Claim<'a> {
    /// A claim and its computation.
    pub(super) fn new(
        id: &'static str,
        equation: &'static str,
        what: &'static str,
        place: Place,
        check: impl Fn(Precision) -> Result<Finding> + 'a,
    ) -> Self {
        let check: Check<'a> = Box::new(check);
        Self { id, equation, what, place: Some(place), always_f64: false, why: None, check: Some(check) }
    }

    /// The same about what this crate computes in f64 for networks of every type of number: the numbers of a path, of a method.
    pub(super) fn always_f64(self) -> Self {
        Self { always_f64: true, ..self }
    }

    /// The row for an equation whose subject does not exist.
    pub(super) fn not_built(equation: &'static Equation) -> Self {
        let Equation { id, formula, subject } = *equation;
        Self { id, equation: formula, what: subject, place: None, always_f64: false, why: None, check: None }
    }

    /// The row for what cannot be said about a subject, and why.
    pub(super) fn unknown(
        id: &'static str,
        equation: &'static str,
        what: &'static str,
        why: impl Into<String>,
    ) -> Self {
        Self { id, equation, what, place: None, always_f64: false, why: Some(why.into()), check: None }
    }

    /// Whether it has a computation.
    #[must_use]
    pub fn is_built(&self) -> bool {
        self.check.is_some()
    }

    /// Whether it is this claim, `E18.floor`, or one about this equation, `E18`.
    #[must_use]
    pub fn is_about(&self, id: &str) -> bool {
        self.id == id || self.id.split_once('.').is_some_and(|(equation, _)| equation == id)
    }

    /// The type of number it is computed with where this one is asked for: f64 if its subject has no other.
    #[must_use]
    pub fn real(&self, asked: Precision) -> Precision {
        if self.always_f64 { Precision::F64 } else { asked }
    }

    /// Computes it, with numbers of the type [`Claim::real`] says. An error on the way is a failure that says which.
    #[must_use]
    pub fn check(&self, real: Precision) -> Outcome {
        let (start, real) = (Instant::now(), self.real(real));
        let found = self.check.as_ref().map(|check| check(real));
        let verdict = match &found {
            None | Some(Ok(Finding { vague: Some(_), .. })) => Verdict::NotBuilt,
            Some(Ok(finding)) if finding.holds() => Verdict::Pass,
            Some(_) => Verdict::Fail,
        };
        let (finding, error) = match found {
            None => (None, self.why.clone()),
            Some(Ok(Finding { vague: Some(why), .. })) => (None, Some(why)),
            Some(Ok(finding)) => (Some(finding), None),
            Some(Err(error)) => (None, Some(error.to_string())),
        };
        Outcome { verdict, real, finding, error, seconds: start.elapsed().as_secs_f64() }
    }
}

impl fmt::Debug for Claim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("id", &self.id)
            .field("equation", &self.equation)
            .field("what", &self.what)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// What came of checking a claim.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Whether it holds.
    pub verdict: Verdict,
    /// The type of number it was computed with.
    pub real: Precision,
    /// The numbers, if they could be computed.
    pub finding: Option<Finding>,
    /// Why they could not: of what is not built, where that can be told.
    pub error: Option<String>,
    /// How long it took.
    pub seconds: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_line() {
        const PLACE: Place = Place::of("x.rs", "fn a()\n\nfn b()\nfn b()", "fn b");
        assert_eq!(PLACE.to_string(), "x.rs:3");
        const NUMBERED: Place = Place::of("x.rs", "a // E29\nb // E2, E3\n", "// E2");
        assert_eq!(NUMBERED.to_string(), "x.rs:2");
    }

    #[test]
    fn what_is_not_a_number_fails() {
        assert!(Finding::new(1.0, 1.0, "").holds());
        assert!(!Finding::new(f64::NAN, 1.0, "").holds());
        assert!(!Finding::new(0.0, f64::NAN, "").holds());
        let place = Place { file: "", line: 1 };
        let claim = Claim::new("E1.x", "", "", place, |_| {
            Err(Error::Setting { name: "n", value: "0".into(), remedy: "more" })
        });
        let outcome = claim.check(Precision::F64);
        assert_eq!((outcome.verdict, outcome.finding), (Verdict::Fail, None));
        assert_eq!(outcome.error.as_deref(), Some("`n` is 0: more"));
        assert!(claim.is_about("E1") && claim.is_about("E1.x") && !claim.is_about("E11"));
    }

    #[test]
    fn what_tells_nothing_does_not_pass() {
        let place = Place { file: "", line: 1 };
        let claim = Claim::new("E1", "", "", place, |_| Ok(Finding::new(1.0, 9.0, "").vague("too wide")));
        let outcome = claim.check(Precision::F64);
        assert_eq!((outcome.verdict, outcome.finding), (Verdict::NotBuilt, None));
        assert_eq!(outcome.error.as_deref(), Some("too wide"));
    }

    #[test]
    fn words_go_both_ways() {
        for real in [Precision::F32, Precision::F64] {
            assert_eq!(real.to_string().parse::<Precision>().unwrap(), real);
        }
        assert!("f16".parse::<Precision>().is_err());
    }
}
