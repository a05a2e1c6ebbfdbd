//! [`TableWriter::push_courses`]: rows at several times each, as they are on their way.
//!
//! # Shapes
//! NPY holds [N, K + 1, d]. CSV and Parquet have one line for each row and time, those of a row together: `sample`, the number of the row; `t`;
//! and the columns of the data, called `x1`, `x2`, ... where they have no names.

use std::io;

use super::npy::write_numbers;
use super::table::Format;
use super::writer::{Shape, TableWriter, wrong_times};
use crate::error::{Error, Result};
use crate::kernel::Real;
use crate::tensor::Tensor;

/// The header of CSV.
#[cfg(feature = "csv")]
pub(super) fn names(header: Option<&[String]>, cols: usize) -> Vec<String> {
    let columns = header.map_or_else(|| (1..=cols).map(|j| format!("x{j}")).collect(), <[String]>::to_vec);
    ["sample", "t"].map(str::to_owned).into_iter().chain(columns).collect()
}

impl<R: Real> TableWriter<R> {
    /// Writes the next rows at the times t: x holds one [N, d] for each of them. The first row has the number `first`.
    ///
    /// # Errors
    /// [`Error::Dimension`] if not as many times were announced ([`Shape::Courses`]), for matrices of other rows or columns, and
    /// for more rows than announced; [`Error::Io`] as in [`create`](Self::create).
    ///
    /// # Example
    /// ```
    /// use pushforward::Tensor;
    /// use pushforward::data::{Shape, TableWriter};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("x.npy");
    /// let (start, end) = (Tensor::from_rows(&[[0.0_f32], [1.0]]), Tensor::from_rows(&[[5.0], [6.0]]));
    /// let shape = Shape::Courses { rows: Some(2), times: 2, cols: 1 };
    /// let mut writer = TableWriter::create(&path, None, shape)?;
    /// writer.push_courses(0, &[0.0, 1.0], &[start, end])?;
    /// writer.finish()?;
    /// let numbers = &std::fs::read(&path)?[128..];
    /// assert_eq!(numbers, [0.0_f32, 5.0, 1.0, 6.0].map(f32::to_le_bytes).concat());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push_courses(&mut self, first: usize, t: &[f64], x: &[Tensor<R>]) -> Result<()> {
        let (times, cols) = match self.shape {
            Shape::Courses { times, cols, .. } => (times, cols),
            _ => (1, self.shape.cols()),
        };
        if !matches!(self.shape, Shape::Courses { .. }) || t.len() != times || x.len() != times {
            return Err(wrong_times(times, t.len().max(x.len())));
        }
        let rows = x.first().map_or(0, Tensor::rows);
        for x in x {
            x.check_cols("columns to write", cols, "write the columns that were announced")?;
            if x.rows() != rows {
                let remedy = "give the same rows at each time";
                return Err(Error::Dimension {
                    what: "rows to write",
                    expected: rows,
                    found: x.rows(),
                    remedy,
                });
            }
        }
        self.counts(rows)?;
        self.append_courses(first, t, x, rows).map_err(|source| self.refused(source))
    }

    #[cfg_attr(
        not(any(feature = "csv", feature = "parquet")),
        expect(unused_variables, reason = "NPY holds neither numbers of rows nor times")
    )]
    fn append_courses(&mut self, first: usize, t: &[f64], x: &[Tensor<R>], rows: usize) -> io::Result<()> {
        match self.format {
            #[cfg(feature = "csv")]
            Format::Csv => {
                use super::csv_text::{write_lines, write_row};
                use std::fmt::Write as _;
                let (cols, texts) = (self.shape.cols() + 2, &self.texts);
                let courses: Vec<(&f64, &Tensor<R>)> = t.iter().zip(x).collect();
                write_lines(&mut self.out, rows * t.len(), cols, |line, text| {
                    let (i, k) = (line / courses.len(), line % courses.len());
                    let Some((t, x)) = courses.get(k) else { return Ok(()) };
                    write!(text, "{},", first as u128 + i as u128)?; // beyond usize too
                    write_row(text, std::slice::from_ref(*t), &[])?;
                    text.push(',');
                    write_row(text, x.row(i), texts)
                })
            }
            Format::Npy => {
                let numbers: Vec<R> =
                    (0..rows).flat_map(|i| x.iter().flat_map(move |x| x.row(i).iter().copied())).collect();
                write_numbers(&mut self.out, &numbers)
            }
            #[cfg(feature = "parquet")]
            Format::Parquet => match &mut self.parquet {
                #[allow(clippy::cast_precision_loss, reason = "the writer refuses what is beyond 2^53")]
                Some(table) => (0..rows).try_for_each(|i| {
                    let sample = first as f64 + i as f64;
                    let lines = t.iter().zip(x).flat_map(|(t, x)| {
                        [sample, *t].into_iter().chain(x.row(i).iter().map(|x| x.to_f64()))
                    });
                    table.push(lines, &mut self.out)
                }),
                None => Ok(()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const TIMES: [f64; 3] = [0.0, 0.5, 1.0];

    fn courses(rows: usize) -> Vec<Tensor<f32>> {
        let x = |k: usize| (0..rows * 2).map(|i| (i * 10 + k) as f32).collect();
        (0..3).map(|k| Tensor::from_vec(x(k), rows, 2).unwrap()).collect()
    }

    fn create(path: &Path, header: Option<&[String]>, rows: Option<usize>) -> TableWriter<f32> {
        TableWriter::create(path, header, Shape::Courses { rows, times: 3, cols: 2 }).unwrap()
    }

    #[test]
    fn npy_has_three_dimensions_and_its_rows_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        let mut writer = create(&path, None, None);
        writer.push_courses(0, &TIMES, &courses(1)).unwrap();
        writer.push_courses(1, &TIMES, &courses(2)).unwrap();
        writer.finish().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert!(String::from_utf8_lossy(&bytes[..128]).contains("'shape': (3, 3, 2)"));
        let one = [0.0, 10.0, 1.0, 11.0, 2.0, 12.0_f32];
        let two = [20.0, 30.0, 21.0, 31.0, 22.0, 32.0_f32];
        let expected: Vec<u8> = [one, one, two].concat().iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(bytes[128..], expected);
    }

    #[cfg(feature = "csv")]
    #[test]
    fn csv_has_a_line_for_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        let header = ["a".to_owned(), "b,c".to_owned()];
        for (header, first) in [(None, "x1,x2"), (Some(&header[..]), "a,\"b,c\"")] {
            let mut writer = create(&path, header, Some(2));
            // A number of a row that f32 does not have.
            writer.push_courses(16_777_217, &TIMES, &courses(1)).unwrap();
            writer.push_courses(0, &TIMES, &courses(1)).unwrap();
            writer.finish().unwrap();
            let lines =
                "16777217,0,0,10\n16777217,0.5,1,11\n16777217,1,2,12\n0,0,0,10\n0,0.5,1,11\n0,1,2,12\n";
            assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("sample,t,{first}\n{lines}"));
        }
    }

    #[test]
    fn what_was_not_announced_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        let mut writer = create(&path, None, Some(2));
        assert!(writer.push(&Tensor::zeros(1, 2)).is_err());
        assert!(writer.push_courses(0, &TIMES[..2], &courses(1)).is_err());
        assert!(writer.push_courses(0, &TIMES, &courses(1)[..2]).is_err());
        let mut mixed = courses(1);
        mixed[2] = Tensor::zeros(2, 2);
        assert!(writer.push_courses(0, &TIMES, &mixed).is_err());
        mixed[2] = Tensor::zeros(1, 3);
        assert!(writer.push_courses(0, &TIMES, &mixed).is_err());
        assert!(writer.push_courses(0, &TIMES, &courses(3)).is_err());
        let shape = Shape::Matrix { rows: None, cols: 2 };
        let mut plain = TableWriter::<f32>::create(&path, None, shape).unwrap();
        assert!(plain.push_courses(0, &[0.0], &[Tensor::zeros(1, 2)]).is_err());
    }
}
