//! [`Reading`]: what is made of the cells of one column, which may hold texts.
//!
//! # Shapes
//! A text becomes its number among the texts of its column, from 0: in the order in which they come while they are still being
//! found out, and in the order of a schema where that is known.

use std::collections::HashMap;

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
        let mut occurs = vec![false; self.known.len()];
        cells.iter().for_each(|&cell| occurs[place(cell)] = true);
        let mut order: Vec<usize> = (0..self.known.len()).filter(|&k| occurs[k]).collect();
        let as_numbers: Option<Vec<f64>> =
            self.known.iter().map(|text| text.parse::<f64>().ok().filter(|x| x.is_finite())).collect();
        match as_numbers {
            Some(x) => order.sort_by(|&a, &b| x[a].total_cmp(&x[b]).then(self.known[a].cmp(&self.known[b]))),
            None => order.sort_by(|&a, &b| self.known[a].cmp(&self.known[b])),
        }
        let mut new = vec![f64::NAN; self.known.len()];
        for (&old, number) in order.iter().zip(0_u16..) {
            new[old] = number.into();
        }
        let categories = order.into_iter().map(|old| self.known[old].clone()).collect();
        Ok((Column::categorical(name, categories)?, move |cell| new[place(cell)]))
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
