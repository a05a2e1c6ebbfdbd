//! Writing tables as CSV: [`write_csv`].
//!
//! # Limits
//! Commas between cells, `.` in numbers, LF at the end of lines. Numbers have the fewest digits that
//! read back as the same number of their precision: 17 at most in f64, 9 in f32.

use std::fmt;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::ops::Range;

use csv::WriterBuilder;
use rayon::prelude::*;

use crate::kernel::Real;
use crate::tensor::Tensor;

/// Numbers whose text one thread makes at a time: some 0.1 ms of work.
const NUMBERS_IN_PART: usize = 1 << 11;

/// Parts whose texts are in memory together: at most about 3 MB, whatever the table.
const PARTS_AT_A_TIME: usize = 64;

/// Bytes of a number and its comma, but for a few: the text then need not grow.
const USUAL_DIGITS: usize = 22;

/// From here on and below its inverse, a number is written with an exponent.
const PLAIN: std::ops::Range<f64> = 1e-5..1e16;

/// Writes a table as CSV: the header, quoted where it must be, and each number with the fewest digits
/// that read back as the same number of its precision; what is not finite becomes `NaN`, `inf`, `-inf`.
///
/// # Errors
/// What the system says; [`io::ErrorKind::InvalidInput`] if the header has not one name for each column.
pub fn write_csv<R: Real>(
    out: &mut impl Write,
    header: Option<&[String]>,
    values: &Tensor<R>,
) -> io::Result<()> {
    if let Some(names) = header {
        if names.len() != values.cols() {
            let problem =
                format!("a header of {} names for {} columns: one for each", names.len(), values.cols());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        write_names(out, names)?;
    }
    write_rows(out, values, &[])
}

/// Writes the header line.
pub(super) fn write_names(out: &mut impl Write, names: &[String]) -> io::Result<()> {
    // By way of memory: `csv` would hide the kind of an error of `out`.
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    writer.write_record(names).map_err(io::Error::other)?;
    let line = writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
    out.write_all(&line)
}

/// A text as it stands in a cell: in quotes where it must be.
pub(super) fn cell(text: &str) -> io::Result<String> {
    let mut line = Vec::new();
    // Beside another cell: alone, what is empty would be quoted.
    write_names(&mut line, &[text.to_owned(), String::new()])?;
    let line = String::from_utf8(line).map_err(io::Error::other)?;
    Ok(line.trim_end_matches('\n').trim_end_matches(',').to_owned())
}

/// Writes rows without a header. A column that has `texts`, one for each of its numbers as [`cell`] makes it, is written as these.
pub(super) fn write_rows<R: Real>(
    out: &mut impl Write,
    values: &Tensor<R>,
    texts: &[Vec<String>],
) -> io::Result<()> {
    write_lines(out, values.rows(), values.cols(), |i, text| write_row(text, values.row(i), texts))
}

/// Writes lines of about `cols` numbers, each as `line` puts it. Their texts are made in parallel and written in order.
pub(super) fn write_lines(
    out: &mut impl Write,
    lines: usize,
    cols: usize,
    line: impl Fn(usize, &mut String) -> fmt::Result + Sync,
) -> io::Result<()> {
    let lines_in_part = (NUMBERS_IN_PART / cols.max(1)).max(1);
    let parts = lines.div_ceil(lines_in_part);
    let text = |lines: Range<usize>| {
        let mut text = String::with_capacity(lines.len() * (cols * USUAL_DIGITS + 1));
        for i in lines {
            line(i, &mut text)?;
            text.push('\n');
        }
        Ok(text)
    };
    for first in (0..parts).step_by(PARTS_AT_A_TIME) {
        let texts: Vec<String> = (first..parts.min(first + PARTS_AT_A_TIME))
            .into_par_iter()
            .map(|part| text(part * lines_in_part..lines.min((part + 1) * lines_in_part)))
            .collect::<std::result::Result<_, _>>()
            .map_err(|error: fmt::Error| io::Error::other(error))?;
        for text in texts {
            out.write_all(text.as_bytes())?;
        }
    }
    Ok(())
}

/// The cells of a row, with commas between them.
pub(super) fn write_row<R: Real>(text: &mut String, row: &[R], texts: &[Vec<String>]) -> fmt::Result {
    for (j, &x) in row.iter().enumerate() {
        if j > 0 {
            text.push(',');
        }
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "what is no number of a text finds none, and is written as it is"
        )]
        if let Some(known) = texts.get(j).and_then(|texts| texts.get(x.to_f64() as usize)) {
            text.push_str(known);
            continue;
        }
        let magnitude = x.to_f64().abs();
        // Both are shortest round-trip digits; `Debug` adds the exponent where it is shorter.
        if PLAIN.contains(&magnitude) || magnitude <= 0.0 {
            write!(text, "{x}")?;
        } else {
            write!(text, "{x:?}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::super::csv::read_csv;
    use super::super::table::{ReadOptions, Table};
    use super::*;

    fn read(text: impl AsRef<[u8]>) -> Table {
        read_csv(text.as_ref(), Path::new("t.csv"), &ReadOptions::default()).unwrap()
    }

    fn written<R: Real>(header: Option<&[String]>, values: &Tensor<R>) -> String {
        let mut out = Vec::new();
        write_csv(&mut out, header, values).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_header_of_other_columns_is_refused() {
        let names = ["a".to_owned()];
        let refused = write_csv(&mut Vec::new(), Some(&names), &Tensor::<f64>::zeros(1, 2)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        assert!(refused.to_string().contains("1 names for 2 columns"));
    }

    #[test]
    fn numbers_are_written_shortest_in_their_precision() {
        let row = [0.1, 1.0, -0.0, 1e300, 5e-324, 123_456_789.0, 1e-5, 9e-6, f64::NAN, f64::NEG_INFINITY];
        let text = written(None, &Tensor::from_rows(&[row]));
        assert_eq!(text, "0.1,1,-0,1e300,5e-324,123456789,0.00001,9e-6,NaN,-inf\n");
        assert_eq!(
            written(None, &Tensor::from_rows(&[[0.1_f32, 16_777_216.0, 1e38]])),
            "0.1,16777216,1e38\n"
        );
        let header = ["a".to_owned(), "b, c".to_owned(), "d\"\ne".to_owned()];
        let text = written(Some(&header), &Tensor::from_rows(&[[1.0, 2.0, 3.0]]));
        assert_eq!(text, "a,\"b, c\",\"d\"\"\ne\"\n1,2,3\n");
        assert_eq!(read(text).names(), header);
    }

    #[test]
    fn rows_stay_in_order_however_many_there_are() {
        // More than all parts that are in memory together, and rows longer than a part.
        for (rows, cols) in [(PARTS_AT_A_TIME * NUMBERS_IN_PART + 3, 1), (3, NUMBERS_IN_PART + 1)] {
            let values: Vec<f64> = (0..rows * cols).map(|i| i as f64 / 8.0).collect();
            let x = Tensor::from_vec(values, rows, cols).unwrap();
            let text = written(None, &x);
            assert!(text.lines().count() == rows && read(text).values == x);
        }
    }

    proptest! {
        #[test]
        fn f64_read_back_the_same(bits in prop::collection::vec(any::<u64>(), 1..30)) {
            let values: Vec<f64> = bits.into_iter().map(f64::from_bits).filter(|x| x.is_finite()).collect();
            prop_assume!(!values.is_empty());
            let n = values.len();
            let x = Tensor::from_vec(values, n, 1).unwrap();
            let back = read(written(None, &x)).values;
            for (a, b) in x.as_slice().iter().zip(back.as_slice()) {
                prop_assert_eq!(a.to_bits(), b.to_bits());
            }
        }

        #[test]
        fn f32_read_back_the_same(bits in prop::collection::vec(any::<u32>(), 1..30)) {
            let values: Vec<f32> = bits.into_iter().map(f32::from_bits).filter(|x| x.is_finite()).collect();
            prop_assume!(!values.is_empty());
            let n = values.len();
            let x = Tensor::from_vec(values, 1, n).unwrap();
            let back: Tensor = read(written(None, &x)).values.cast();
            for (a, b) in x.as_slice().iter().zip(back.as_slice()) {
                prop_assert_eq!(a.to_bits(), b.to_bits());
            }
        }
    }
}
