//! [`Reading`]: what is made of the cells of one column, which may hold texts.
//!
//! # Shapes
//! A text becomes its number among the texts of its column, from 0: in the order in which they come while they are still being
//! found out, and in the order of a schema where that is known.

use std::collections::{HashMap, HashSet};

use super::column::Column;
use super::nearest::nearest;
use crate::error::Result;

/// How the cells of a column are read.
#[derive(Debug)]
pub(super) enum Reading {
    /// As numbers.
    Numbers,
    /// As what the first cell is that is not missing.
    Undecided,
    /// As texts.
    Texts(Texts),
}

/// The texts of a column.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// In the order of their numbers.
    known: Vec<String>,
    numbers: HashMap<String, usize>,
    /// Whether somebody said that they are texts, so that numbers are some too.
    declared: bool,
    /// Whether no other ones are taken.
    closed: bool,
}

/// Why a text has no number.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// There are as many others as a column may have.
    TooMany,
    /// It is none of those that are known, of which this one is nearest.
    Nearest(String),
}

impl Reading {
    /// The number of a text: the first of a column makes it one of texts.
    pub(super) fn number(&mut self, text: &str) -> std::result::Result<f64, Unknown> {
        if let Self::Texts(texts) = self {
            return texts.number(text);
        }
        let mut texts = Texts::default();
        let number = texts.number(text);
        *self = Self::Texts(texts);
        number
    }
}

impl Texts {
    /// Those of a column whose categories are known.
    pub(super) fn of(column: &Column) -> Self {
        let known = column.categories().to_vec();
        let numbers = known.iter().enumerate().map(|(number, text)| (text.clone(), number)).collect();
        Self { known, numbers, declared: true, closed: true }
    }

    /// Those of a column that is declared to hold texts.
    pub(super) fn declared() -> Self {
        Self { declared: true, ..Self::default() }
    }

    /// Whether a number is one of them.
    pub(super) fn may_be_numbers(&self) -> bool {
        self.declared
    }

    /// The number of a text.
    #[allow(clippy::cast_precision_loss, reason = "at most 256 categories")]
    fn number(&mut self, text: &str) -> std::result::Result<f64, Unknown> {
        if let Some(&number) = self.numbers.get(text) {
            return Ok(number as f64);
        }
        if self.closed {
            return Err(Unknown::Nearest(nearest(text, self.known.iter().map(String::as_str)).to_owned()));
        }
        let number = self.known.len();
        if number == Column::MOST_CATEGORIES {
            return Err(Unknown::TooMany);
        }
        self.known.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        Ok(number as f64)
    }

    /// The column whose cells are these numbers: its categories are the texts that occur, in the order of the alphabet, or of the
    /// numbers that they all are; and what becomes of the number of a cell.
    pub(super) fn column(&self, name: &str, cells: &[f64]) -> Result<(Column, impl Fn(f64) -> f64 + use<>)> {
        let occurs: HashSet<usize> = cells.iter().map(|&cell| place(cell)).collect();
        let number = |text: &String| text.parse::<f64>().ok().filter(|x| x.is_finite());
        let are_numbers = self.known.iter().all(|text| number(text).is_some());
        // Each text that occurs, with its number so far.
        let mut order: Vec<(usize, &String)> =
            self.known.iter().enumerate().filter(|(old, _)| occurs.contains(old)).collect();
        order.sort_by(|(_, a), (_, b)| {
            let [x, y] = [a, b].map(|text| number(text).filter(|_| are_numbers).unwrap_or_default());
            x.total_cmp(&y).then(a.cmp(b))
        });
        let new: HashMap<usize, f64> =
            order.iter().zip(0_u16..).map(|((old, _), number)| (*old, number.into())).collect();
        let categories = order.into_iter().map(|(_, text)| text.clone()).collect();
        let renumbered = move |cell| new.get(&place(cell)).copied().unwrap_or(f64::NAN);
        Ok((Column::categorical(name, categories)?, renumbered))
    }
}

/// The place in a list that a number of a category is.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number from 0 to 255")]
fn place(cell: f64) -> usize {
    cell as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_numbered_as_they_come_and_ordered_at_the_end() {
        let mut reading = Reading::Undecided;
        for (text, number) in [("b", 0.0), ("c", 1.0), ("b", 0.0), ("a", 2.0)] {
            assert_eq!(reading.number(text), Ok(number));
        }
        let Reading::Texts(texts) = &reading else { panic!("{reading:?}") };
        let (column, new) = texts.column("letter", &[0.0, 0.0, 2.0]).unwrap();
        assert_eq!(column.categories(), ["a", "b"]);
        assert_eq!((new(0.0), new(2.0)), (1.0, 0.0));
        let mut known = Texts::of(&column);
        assert_eq!(known.number("b"), Ok(1.0));
        assert_eq!(known.number("B"), Err(Unknown::Nearest("b".into())));
    }

    #[test]
    fn texts_that_are_numbers_are_ordered_as_numbers() {
        let mut texts = Texts::default();
        for text in ["10", "9", "-1"] {
            texts.number(text).unwrap();
        }
        assert_eq!(texts.column("n", &[0.0, 1.0, 2.0]).unwrap().0.categories(), ["-1", "9", "10"]);
    }

    #[test]
    fn there_may_not_be_any_number_of_them() {
        let mut texts = Texts::default();
        for k in 0..Column::MOST_CATEGORIES {
            texts.number(&k.to_string()).unwrap();
        }
        assert_eq!(texts.number("one more"), Err(Unknown::TooMany));
        assert_eq!(texts.number("255"), Ok(255.0));
    }
}
