//! [`Columns`]: which columns of a file are taken, and what is made of their cells.

use std::path::{Path, PathBuf};

use super::nearest::no_such;
use super::table::{Missing, ReadOptions, bad_table, no_rows};
use super::texts::{Reading, Unknown};
use crate::error::{Error, Result};

/// Characters of a cell that a message repeats.
const QUOTED_CHARS: usize = 40;

/// Characters of the list of columns that a message repeats.
const LISTED_CHARS: usize = 400;

/// What a cell holds.
pub(super) enum Cell {
    Number(f64),
    Missing,
    /// No number but a text; where numbers alone are read, what is wrong with it and what to do.
    #[cfg_attr(
        not(any(feature = "csv", feature = "parquet")),
        expect(dead_code, reason = "NPY holds numbers")
    )]
    Text(&'static str),
    /// Nothing that can be used: what is wrong with it and what to do.
    Unusable(&'static str),
}

impl Cell {
    /// A number from a table that can hold NaN and infinity themselves.
    pub(super) fn of(x: f64) -> Self {
        match x {
            x if x.is_finite() => Self::Number(x),
            x if x.is_nan() => Self::Missing,
            _ => Self::Unusable("is infinite: use finite numbers only"),
        }
    }
}

/// The columns that are taken of a file, and how many rows were left out for them.
#[derive(Debug)]
pub(super) struct Columns {
    file: PathBuf,
    missing: Missing,
    /// The names of the columns that are taken, where the file has names.
    header: Option<Vec<String>>,
    /// How many columns the file has. (A header may lie about it: nothing is allocated for them here.)
    cols: usize,
    /// The places in the file of the columns that are taken; `None` for all of them in order.
    picked: Option<Vec<usize>>,
    /// How the cells of each column that is taken are read; empty where all are numbers.
    readings: Vec<Reading>,
    dropped: usize,
}

impl Columns {
    /// All columns of a file that has `cols` of them, or those that the options name.
    pub(super) fn new(
        file: &Path,
        options: &ReadOptions,
        header: Option<Vec<String>>,
        cols: usize,
    ) -> Result<Self> {
        if let Some(name) = header.as_deref().and_then(first_duplicate) {
            let found = format!("two columns are called `{name}`");
            return Err(bad_table(file, found, "give every column a name of its own"));
        }
        if let Some(names) = header.as_deref().filter(|names| names.len() != cols) {
            let found = format!("{} names stand above {cols} columns", names.len());
            return Err(bad_table(file, found, "give every column a name, or none of them"));
        }
        let (file, missing) = (file.into(), options.missing);
        let mut columns =
            Self { file, missing, header, cols, picked: None, readings: Vec::new(), dropped: 0 };
        if let Some(wanted) = &options.columns {
            columns.pick(wanted)?;
        }
        Ok(columns)
    }

    /// Takes only these of the columns that were taken so far, in this order; without names they are
    /// called `x1`, `x2`, ...
    pub(super) fn pick(&mut self, wanted: &[String]) -> Result<()> {
        if wanted.is_empty() {
            let remedy = "name at least one, or none to take them all";
            return Err(bad_table(&self.file, "no column was picked", remedy));
        }
        if let Some(name) = first_duplicate(wanted) {
            let found = format!("column `{name}` was picked twice");
            return Err(bad_table(&self.file, found, "name every column once"));
        }
        let places: Vec<usize> = wanted.iter().map(|name| self.find(name)).collect::<Result<_>>()?;
        if self.header.is_some() {
            self.header = Some(wanted.to_vec());
        }
        self.picked = Some(places.into_iter().map(|place| self.in_file(place)).collect());
        self.readings.clear();
        Ok(())
    }

    /// Reads the columns that are taken in these ways from now on, one for each.
    pub(super) fn read_as(&mut self, readings: Vec<Reading>) {
        self.readings = readings;
    }

    /// What was found out about each column, if ways to read them were given.
    pub(super) fn readings(&self) -> &[Reading] {
        &self.readings
    }

    /// The names of the columns that are taken: their own, or `x1`, `x2`, ...
    pub(super) fn names(&self) -> Vec<String> {
        self.header.clone().unwrap_or_else(|| numbered(self.count()))
    }

    /// The place of a name among the columns that are taken, or the error that names the nearest.
    pub(super) fn place_of(&self, name: &str) -> Result<usize> {
        let names = self.names();
        let place = names.iter().position(|known| known == name);
        place.ok_or_else(|| no_such("column", name, names.iter().map(String::as_str)))
    }

    /// How many columns are taken.
    pub(super) fn count(&self) -> usize {
        self.picked.as_ref().map_or(self.cols, Vec::len)
    }

    /// Whether finite numbers are taken as they stand: all columns in their order, and none of them as texts.
    pub(super) fn are_plain(&self) -> bool {
        self.picked.is_none() && !self.readings.iter().any(|reading| matches!(reading, Reading::Texts(_)))
    }

    /// The names of the columns that are taken, where the file has names.
    pub(super) fn header(&self) -> Option<&[String]> {
        self.header.as_deref()
    }

    /// How many rows were left out.
    pub(super) fn dropped(&self) -> usize {
        self.dropped
    }

    /// The file, as messages name it.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Appends one row to `out`; false if it is left out. `cell` gives what stands in a column of the
    /// file, `place` the line and the text of it for the message. A row that is left out must be sound
    /// otherwise.
    pub(super) fn push(
        &mut self,
        cell: impl Fn(usize) -> Cell,
        place: impl Fn(usize) -> (u64, String),
        out: &mut Vec<f64>,
    ) -> Result<bool> {
        let before = out.len();
        let mut complete = true;
        for k in 0..self.count() {
            let column = self.in_file(k);
            let found = cell(column);
            let reading = self.readings.get_mut(k);
            let remedy = match (found, reading) {
                (Cell::Number(x), None | Some(Reading::Numbers)) => {
                    out.push(x);
                    continue;
                }
                (Cell::Number(x), Some(reading @ Reading::Undecided)) => {
                    *reading = Reading::Numbers;
                    out.push(x);
                    continue;
                }
                (Cell::Missing, _) if self.missing == Missing::Drop => {
                    complete = false;
                    continue;
                }
                (Cell::Missing, _) => "is missing: fill it in, or leave such rows out (`--missing drop`)",
                (Cell::Number(_), Some(Reading::Texts(texts))) if !texts.may_be_numbers() => {
                    "is a number, and those above are texts: mend them (is the first line a header?), or call the column categorical (`--categorical`)"
                }
                (Cell::Text(_), Some(reading @ (Reading::Undecided | Reading::Texts(_))))
                | (Cell::Number(_), Some(reading @ Reading::Texts(_))) => {
                    let (line, text) = place(column);
                    match reading.number(&text) {
                        Ok(number) => {
                            out.push(number);
                            continue;
                        }
                        Err(unknown) => return Err(self.refused(k, line, text, unknown)),
                    }
                }
                (Cell::Text(_), Some(Reading::Numbers)) => {
                    "is not a number, as those above are: mend it, or call the column categorical (`--categorical`)"
                }
                (Cell::Text(remedy), None) | (Cell::Unusable(remedy), _) => remedy,
            };
            let (line, text) = place(column);
            return Err(Error::Cell {
                file: self.file.clone(),
                line,
                column: self.name(k),
                text: shortened(&text, QUOTED_CHARS),
                remedy,
            });
        }
        if !complete {
            out.truncate(before);
            self.dropped += 1;
        }
        Ok(complete)
    }

    /// The error of a text that has no number.
    fn refused(&self, k: usize, line: u64, text: String, unknown: Unknown) -> Error {
        match unknown {
            Unknown::TooMany => {
                let most = super::Column::MOST_CATEGORIES;
                let found = format!("column {} has more than {most} different texts", self.name(k));
                bad_table(&self.file, found, "leave it out (`--columns`), or bring its texts into groups")
            }
            Unknown::Nearest(nearest) => Error::Category {
                file: self.file.clone(),
                line,
                column: self.name(k),
                text: shortened(&text, QUOTED_CHARS),
                nearest: shortened(&nearest, QUOTED_CHARS),
            },
        }
    }

    /// The error of a file of which no row was taken.
    pub(super) fn nothing_taken(&self) -> Error {
        if self.dropped == 0 {
            return no_rows(&self.file);
        }
        let found = format!("each of its {} rows has a missing cell", self.dropped);
        bad_table(&self.file, found, "fill them in, or pick columns that are complete")
    }

    /// Where the k-th of the columns that are taken stands in the file.
    pub(super) fn in_file(&self, k: usize) -> usize {
        self.picked.as_ref().and_then(|picked| picked.get(k)).copied().unwrap_or(k)
    }

    /// What a message calls the k-th column that is taken: its name, or its number in the file counted
    /// from 1.
    pub(super) fn name(&self, k: usize) -> String {
        match self.header.as_ref().and_then(|names| names.get(k)) {
            Some(name) if !name.is_empty() => name.clone(),
            _ => (self.in_file(k) + 1).to_string(),
        }
    }

    /// The place of a name among the columns that are taken.
    fn find(&self, wanted: &str) -> Result<usize> {
        let place = match &self.header {
            Some(names) => names.iter().position(|name| name == wanted),
            None => numbered_place(wanted).filter(|&k| k < self.count()),
        };
        place.ok_or_else(|| {
            // No more names than the message can show: a header may claim any number of columns.
            let names = self.header.clone().unwrap_or_else(|| numbered(self.count().min(LISTED_CHARS)));
            let listed = shortened(&names.join(", "), LISTED_CHARS);
            let found = format!("there is no column `{wanted}` among {listed}");
            bad_table(&self.file, found, "pick from these, spelled as they are")
        })
    }
}

/// The names of columns that have none: `x1`, `x2`, ...
pub(super) fn numbered(cols: usize) -> Vec<String> {
    (1..=cols).map(|j| format!("x{j}")).collect()
}

/// The place of a name among those.
fn numbered_place(name: &str) -> Option<usize> {
    let number: usize = name.strip_prefix('x')?.parse().ok()?;
    // Only one spelling is the name: not `x01` nor `x+1`.
    number.checked_sub(1).filter(|_| name == format!("x{number}"))
}

fn first_duplicate(names: &[String]) -> Option<&str> {
    let mut seen = std::collections::HashSet::new();
    names.iter().find(|name| !seen.insert(name.as_str())).map(String::as_str)
}

/// The beginning of a text, as much as a message can bear.
fn shortened(text: &str, chars: usize) -> String {
    if text.chars().nth(chars).is_none() {
        return text.to_owned();
    }
    text.chars().take(chars).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    fn columns(header: Option<Vec<String>>, cols: usize) -> Columns {
        Columns::new(Path::new("t"), &ReadOptions::default(), header, cols).unwrap()
    }

    #[test]
    fn long_cells_are_cut_between_characters() {
        assert_eq!(shortened(&"ü".repeat(40), 40), "ü".repeat(40));
        assert_eq!(shortened(&"ü".repeat(41), 40), format!("{}…", "ü".repeat(40)));
    }

    #[test]
    fn numbers_stand_for_names_in_one_spelling() {
        for (k, name) in numbered(12).iter().enumerate() {
            assert_eq!(numbered_place(name), Some(k));
        }
        for name in ["x0", "x01", "x+1", "x", "1", "X1", "x1 ", "y1", "x99999999999999999999"] {
            assert_eq!(numbered_place(name), None, "{name}");
        }
    }

    #[test]
    fn who_picks_twice_picks_among_what_was_picked() {
        let mut named = columns(Some(words(&["a", "b", "c"])), 3);
        named.pick(&words(&["c", "a"])).unwrap();
        assert_eq!(named.header(), Some(&words(&["c", "a"])[..]));
        assert!(named.pick(&words(&["b"])).is_err());
        named.pick(&words(&["a"])).unwrap();
        let mut out = Vec::new();
        let taken =
            named.push(|j| Cell::Number([10.0, 20.0, 30.0][j]), |_| (0, String::new()), &mut out).unwrap();
        assert!(taken && out == [10.0]);
        let mut numbered = columns(None, 3);
        numbered.pick(&words(&["x3", "x2"])).unwrap();
        assert_eq!((numbered.count(), numbered.in_file(0), numbered.name(0)), (2, 2, "3".to_owned()));
        assert!(numbered.pick(&words(&["x3"])).is_err());
    }

    #[test]
    fn columns_that_a_header_only_claims_cost_nothing() {
        let mut many = columns(None, usize::MAX);
        let text = many.pick(&words(&["y"])).unwrap_err().to_string();
        assert!(text.starts_with("t: there is no column `y` among x1, x2, ") && text.len() < 600, "{text}");
        many.pick(&[format!("x{}", usize::MAX)]).unwrap();
        assert_eq!(many.in_file(0), usize::MAX - 1);
    }
}
