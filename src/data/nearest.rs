//! Which of some names was meant: the one with the fewest letters to change.
//!
//! # Math
//! The distance of Levenshtein: insertions, deletions and replacements of one letter, found row by row of its table.

use crate::error::Error;

/// Letters of a name that count: a longer one is told from others by its beginning.
const LETTERS: usize = 64;

/// The error of a name that is none of `known`, with the one that is nearest to it, in letters of any case.
///
/// # Example
/// ```
/// let error = pushforward::data::no_such("flag", "stps", ["seed", "steps"]);
/// assert_eq!(error.to_string(), "there is no flag `stps`: the nearest is `steps`");
/// ```
pub fn no_such<'a>(what: &'static str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Error {
    Error::Name { what, name: name.to_owned(), nearest: nearest(name, known).to_owned() }
}

/// The one of `known` that is nearest to `name`.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> &'a str {
    let wanted = letters(name);
    known.into_iter().min_by_key(|known| distance(&wanted, &letters(known))).unwrap_or_default()
}

fn letters(name: &str) -> Vec<char> {
    name.chars().flat_map(char::to_lowercase).take(LETTERS).collect()
}

fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        // What stood above on the left, and what now stands on the left.
        let (mut diagonal, mut left) = (i, i + 1);
        for (above, y) in row.iter_mut().skip(1).zip(b) {
            let replaced = diagonal + usize::from(x != y);
            diagonal = *above;
            left = replaced.min(diagonal + 1).min(left + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_textbook() {
        // kitten -> sitten -> sittin -> sitting.
        for (a, b, expected) in
            [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("ab", "ab", 0), ("flaw", "lawn", 2)]
        {
            assert_eq!(distance(&letters(a), &letters(b)), expected, "{a} {b}");
        }
    }

    #[test]
    fn the_nearest_name_is_told() {
        let text = no_such("column", "speces", ["island", "species", "sex"]).to_string();
        assert_eq!(text, "there is no column `speces`: the nearest is `species`");
        assert!(no_such("column", "SEX", ["species", "sex"]).to_string().ends_with("`sex`"));
    }
}
