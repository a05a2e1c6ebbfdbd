//! Tables as NPY, NumPy's file of one array: [`read_npy`], [`write_npy`] and [`write_npy_vector`].
//!
//! # Shapes
//! A two-dimensional array is a table [N, d], a one-dimensional one has a single column. Written are
//! version 1.0, little endian, C order, `<f4` or `<f8`.
//!
//! # Limits
//! Read are versions 1, 2 and 3, C and Fortran order, either byte order; f4, f8, integers of 1 to 8
//! bytes (those beyond 2^53 are rounded to nearest) and booleans. Arrays of objects are pickles, which
//! can run code when they are read: they are refused, as are structured arrays, text, complex numbers
//! and half precision. NaN is a missing cell, infinity an error. No length that a header claims is
//! trusted: memory grows with the bytes that are really there, and a file that is shorter or longer
//! than its shape says is an error.
//!
//! # Source
//! NumPy Enhancement Proposal 1, "A Simple File Format for NumPy Arrays", and the documentation of
//! `numpy.lib.format`.

use std::io::{self, Read, Write};
use std::path::Path;

use super::npy_header::write_header;
use super::reader::TableReader;
use super::table::{ReadOptions, Table};
use crate::error::Result;
use crate::kernel::Real;
use crate::tensor::Tensor;

/// Bytes that are read or written at a time, a multiple of every width: they and their numbers stay in
/// the second cache.
pub(super) const CHUNK: usize = 1 << 17;

/// Reads an NPY table; `file` names it in messages, in which the line of a cell is its row, counted
/// from 1.
///
/// # Errors
/// As [`Table::read`].
pub fn read_npy(reader: impl Read, file: &Path, options: &ReadOptions) -> Result<Table> {
    TableReader::npy(reader, file, options)?.read_all()
}

/// Writes a table as an array of shape [N, d], `<f4` or `<f8` as R is f32 or f64.
///
/// # Errors
/// What the system says.
///
/// # Example
/// ```
/// use std::path::Path;
///
/// use pushforward::Tensor;
/// use pushforward::data::{ReadOptions, read_npy, write_npy};
///
/// let mut file = Vec::new();
/// write_npy(&mut file, &Tensor::from_rows(&[[1.0_f32, 2.0], [3.0, 4.0]]))?;
/// let table = read_npy(&file[..], Path::new("x.npy"), &ReadOptions::default())?;
/// assert_eq!(table.values.row(1), [3.0, 4.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_npy<R: Real>(out: &mut impl Write, values: &Tensor<R>) -> io::Result<()> {
    write_header::<R>(out, &[values.rows(), values.cols()])?;
    write_numbers(out, values.as_slice())
}

/// Writes numbers as an array of shape `[N]`, for example one score for each row.
///
/// # Errors
/// What the system says.
pub fn write_npy_vector<R: Real>(out: &mut impl Write, values: &[R]) -> io::Result<()> {
    write_header::<R>(out, &[values.len()])?;
    write_numbers(out, values)
}

/// Writes numbers, little endian.
pub(super) fn write_numbers<R: Real>(out: &mut impl Write, values: &[R]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(CHUNK.min(size_of_val(values)));
    for values in values.chunks(CHUNK / size_of::<R>()) {
        bytes.resize(size_of_val(values), 0); // the last ones may be fewer
        if size_of::<R>() == size_of::<f32>() {
            for (bytes, x) in bytes.as_chunks_mut().0.iter_mut().zip(values) {
                *bytes = f32::from_f64(x.to_f64()).to_le_bytes();
            }
        } else {
            for (bytes, x) in bytes.as_chunks_mut().0.iter_mut().zip(values) {
                *bytes = x.to_f64().to_le_bytes();
            }
        }
        out.write_all(&bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::npy_header::{ALIGNMENT, MAGIC};
    use super::super::table::Missing;
    use super::*;

    // Written by NumPy 2.4.6: numpy.lib.format.write_array(f, x, version). The spaces that pad the
    // headers are put in by `numpy`, below.

    /// x = [[1.5, -2.0], [0.1, 3e100]], version (1, 0).
    const C_F8: [&[u8]; 3] = [
        b"\x93NUMPY\x01\x00v\x00",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }",
        b"\x00\x00\x00\x00\x00\x00\xf8?\x00\x00\x00\x00\x00\x00\x00\xc0\
          \x9a\x99\x99\x99\x99\x99\xb9?;%_\xb8\x83n\xcbT",
    ];
    /// x = asfortranarray([[1, 2], [3, 4], [5, 6]]), dtype '>f4', version (1, 0).
    const FORTRAN_F4: [&[u8]; 3] = [
        b"\x93NUMPY\x01\x00v\x00",
        b"{'descr': '>f4', 'fortran_order': True, 'shape': (3, 2), }",
        b"?\x80\x00\x00@@\x00\x00@\xa0\x00\x00@\x00\x00\x00@\x80\x00\x00@\xc0\x00\x00",
    ];
    /// x = [1, -2, 300], dtype '<i2', version (2, 0).
    const VECTOR_I2: [&[u8]; 3] = [
        b"\x93NUMPY\x02\x00t\x00\x00\x00",
        b"{'descr': '<i2', 'fortran_order': False, 'shape': (3,), }",
        b"\x01\x00\xfe\xff,\x01",
    ];
    /// x = [[True], [False]], version (3, 0).
    const BOOL: [&[u8]; 3] = [
        b"\x93NUMPY\x03\x00t\x00\x00\x00",
        b"{'descr': '|b1', 'fortran_order': False, 'shape': (2, 1), }",
        b"\x01\x00",
    ];

    fn numpy([start, dictionary, numbers]: [&[u8]; 3]) -> Vec<u8> {
        let mut file = [start, dictionary].concat();
        file.resize(127, b' ');
        file.push(b'\n');
        file.extend(numbers);
        file
    }

    /// A file of version 1.0 with this dictionary.
    fn file(dictionary: &str, numbers: &[u8]) -> Vec<u8> {
        let length = u16::try_from(dictionary.len()).unwrap().to_le_bytes();
        [&MAGIC[..], &[1, 0], &length, dictionary.as_bytes(), numbers].concat()
    }

    fn array(descr: &str, shape: &str, numbers: &[u8]) -> Vec<u8> {
        file(&format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n"), numbers)
    }

    fn read(bytes: impl AsRef<[u8]>) -> Result<Table> {
        read_npy(bytes.as_ref(), Path::new("t.npy"), &ReadOptions::default())
    }

    fn message(bytes: impl AsRef<[u8]>) -> String {
        read(bytes).unwrap_err().to_string()
    }

    #[test]
    fn what_numpy_wrote_is_read() {
        let table = read(numpy(C_F8)).unwrap();
        assert_eq!(table.values, Tensor::from_rows(&[[1.5, -2.0], [0.1, 3e100]]));
        assert_eq!((table.header, table.dropped), (None, 0));
        let table = read(numpy(FORTRAN_F4)).unwrap();
        assert_eq!(table.values, Tensor::from_rows(&[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));
        assert_eq!(read(numpy(VECTOR_I2)).unwrap().values, Tensor::from_rows(&[[1.0], [-2.0], [300.0]]));
        assert_eq!(read(numpy(BOOL)).unwrap().values, Tensor::from_rows(&[[1.0], [0.0]]));
    }

    #[test]
    fn what_is_written_is_what_numpy_writes() {
        let mut out = Vec::new();
        write_npy(&mut out, &Tensor::from_rows(&[[1.5, -2.0], [0.1, 3e100]])).unwrap();
        assert!(out == numpy(C_F8));
        // A vector of f32: NumPy's header of numpy.array([1, 2], '<f4') but for its length of padding.
        let mut out = Vec::new();
        write_npy_vector(&mut out, &[1.0_f32, 2.0]).unwrap();
        assert!(out[10..].starts_with(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } "));
        assert_eq!((out.len(), &out[128..]), (136, &b"\0\0\x80?\0\0\0@"[..]));
    }

    #[test]
    fn headers_are_aligned_and_equally_long_whatever_the_shape() {
        let sizes = (0..19).map(|digits| 10_usize.pow(digits)).chain([0, usize::MAX]);
        for (rows, cols) in sizes.clone().flat_map(|rows| sizes.clone().map(move |cols| (rows, cols))) {
            let mut out = Vec::new();
            write_header::<f64>(&mut out, &[rows, cols]).unwrap();
            assert!(out.len() == 2 * ALIGNMENT && out.ends_with(b"\n"));
            assert_eq!(usize::from(u16::from_le_bytes([out[8], out[9]])) + 10, out.len());
        }
    }

    #[test]
    fn every_type_is_decoded() {
        for (descr, bytes, expected) in [
            ("|b1", &[2][..], 1.0),
            ("|i1", &[0x80], -128.0),
            ("<u1", &[0x80], 128.0),
            ("<i2", &[0xfe, 0xff], -2.0),
            (">i2", &[0xff, 0xfe], -2.0),
            (">u2", &[0xff, 0xfe], 65_534.0),
            ("<i4", &[0, 0, 0, 0x80], -2_147_483_648.0),
            (">u4", &[0x80, 0, 0, 1], 2_147_483_649.0),
            ("<i8", &[0xff; 8], -1.0),
            (">i8", &[0x80, 0, 0, 0, 0, 0, 0, 0], -2_f64.powi(63)),
            ("<u8", &[0xff; 8], 2_f64.powi(64)),
            ("<f4", &[0, 0, 0xc0, 0x3f], 1.5),
            (">f4", &[0x3f, 0xc0, 0, 0], 1.5),
            ("<f8", &[0, 0, 0, 0, 0, 0, 0xf8, 0xbf], -1.5),
            (">f8", &[0xbf, 0xf8, 0, 0, 0, 0, 0, 0], -1.5),
        ] {
            let table = read(array(descr, "(1,)", bytes)).unwrap();
            assert_eq!(table.values.as_slice(), [expected], "{descr}");
        }
    }

    #[test]
    fn other_spellings_of_a_header_are_read() {
        let one = 1.0_f64.to_le_bytes();
        for dictionary in [
            "{\"shape\":(1L,1L),\"fortran_order\":False,\"descr\":\"<f8\"}",
            "  { 'fortran_order' : True , 'descr' : '<f8' , 'shape' : ( 1 , ) , }  \n",
        ] {
            assert_eq!(read(file(dictionary, &one)).unwrap().values.as_slice(), [1.0]);
        }
    }

    #[test]
    fn what_is_no_table_is_refused_by_name() {
        let good = numpy(C_F8);
        let with = |at: usize, byte: u8| {
            let mut file = good.clone();
            file[at] = byte;
            file
        };
        let dictionary = |text: &str| file(text, &[0; 8]);
        for (bytes, part) in [
            (Vec::new(), "ends within its header"),
            (good[..7].to_vec(), "ends within its header"),
            (good[..100].to_vec(), "ends within its header"),
            (with(0, b'x'), "does not begin as NPY files do"),
            (with(6, 4), "version is 4.0"),
            (with(7, 1), "version is 1.1"),
            (good[..good.len() - 1].to_vec(), "ends before the last of its 2 x 2 numbers"),
            ([&good[..], &[0]].concat(), "more bytes follow its 2 x 2 numbers"),
            ([&MAGIC[..], &[2, 0], &[0xff; 4]].concat(), "header has 4294967295 bytes"),
            (array("|O", "(2,)", b"pickle"), "Python objects (\"|O\", a pickle)"),
            (array("<c16", "(1,)", &[0; 16]), "it holds \"<c16\""),
            (array("<f2", "(1,)", &[0; 2]), "it holds \"<f2\""),
            (array("|f8", "(1,)", &[0; 8]), "it holds \"|f8\""),
            (array("<U5", "(1,)", &[0; 20]), "it holds \"<U5\""),
            (array("", "(1,)", &[0; 8]), "it holds \"\""),
            (array("<i3", "(1,)", &[0; 3]), "it holds \"<i3\""),
            (array("<f8", "()", &[0; 8]), "has 0 dimensions"),
            (array("<f8", "(1, 1, 1)", &[0; 8]), "has 3 dimensions"),
            (array("<f8", "(0, 3)", &[]), "no rows"),
            (array("<f8", "(0, 1000000000000000000)", &[]), "no rows"),
            (array("<f8", "(3, 0)", &[]), "no columns"),
            (array("<f8", "(1000000000000000000,)", &[]), "ends before the last"),
            (array("<f8", "(1, 1000000000000000000)", &[]), "columns, at most 65536"),
            (array("<f8", "(4294967296, 4294967296)", &[]), "beyond all memory"),
            (array("<f8", "(99999999999999999999,)", &[]), "where a size belongs"),
            (array("<f8", "(-1,)", &[]), "where a size belongs"),
            (array("<f8", "(1 2)", &[]), "where `)` belongs"),
            (array("<f8", "[1]", &[0; 8]), "where `(` belongs"),
            (
                dictionary("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}"),
                "structured array",
            ),
            (dictionary("{'descr': '<f8', 'fortran_order': 0, 'shape': (1,)}"), "neither True nor False"),
            (dictionary("{'descr': '<f8', 'shape': (1,)}"), "lacks one of"),
            (dictionary("{'descr': '<f8', 'descr': '<f8'}"), "twice"),
            (dictionary("{'colour': '<f8'}"), "unknown key \"colour\""),
            (dictionary("{'descr': '<f8"), "ends within a string"),
            (
                dictionary("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)} + 1"),
                "goes on after its end",
            ),
            (dictionary("no dictionary"), "where `{` belongs"),
            (dictionary(""), "where `{` belongs"),
        ] {
            let found = message(&bytes);
            assert!(found.contains(part), "{part}: {found}");
        }
    }

    #[test]
    fn nan_and_infinity_are_what_they_are_in_csv() {
        let x = Tensor::from_rows(&[[1.0, 2.0], [f64::NAN, 3.0], [4.0, 5.0]]);
        let mut out = Vec::new();
        write_npy(&mut out, &x).unwrap();
        assert!(message(&out).starts_with("t.npy, line 2, column 1: \"NaN\" is missing"));
        let drop = ReadOptions { missing: Missing::Drop, ..ReadOptions::default() };
        let table = read_npy(&out[..], Path::new("t.npy"), &drop).unwrap();
        assert_eq!((table.values.as_slice(), table.dropped), (&[1.0, 2.0, 4.0, 5.0][..], 1));
        let pick = ReadOptions { columns: Some(vec!["x2".to_owned()]), ..ReadOptions::default() };
        let table = read_npy(&out[..], Path::new("t.npy"), &pick).unwrap();
        assert_eq!(table.values.as_slice(), [2.0, 3.0, 5.0]);
        let mut out = Vec::new();
        write_npy(&mut out, &Tensor::from_rows(&[[1.0, f64::NEG_INFINITY]])).unwrap();
        let found = read_npy(&out[..], Path::new("t.npy"), &drop).unwrap_err().to_string();
        assert_eq!(found, "t.npy, line 1, column 2: \"-inf\" is infinite: use finite numbers only");
    }

    proptest! {
        #[test]
        fn any_table_reads_back_the_same(rows in 1..70_usize, cols in 1..6_usize, seed: u64) {
            // More bytes than a chunk where there are 70 rows of 30 columns.
            let bits = |i: usize| (seed ^ i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let finite = |x: f64| if x.is_finite() { x } else { 0.5 };
            let data: Vec<f64> = (0..rows * cols * 5).map(|i| finite(f64::from_bits(bits(i)))).collect();
            let x = Tensor::from_vec(data, rows, cols * 5).unwrap();
            let mut out = Vec::new();
            write_npy(&mut out, &x).unwrap();
            prop_assert_eq!(read(&out).unwrap().values, x.clone());
            let mut transposed = Vec::new();
            for j in 0..x.cols() {
                transposed.extend((0..rows).flat_map(|i| x.row(i)[j].to_le_bytes()));
            }
            let dictionary = format!("{{'descr': '<f8', 'fortran_order': True, 'shape': ({rows}, {}), }}", x.cols());
            prop_assert_eq!(read(file(&dictionary, &transposed)).unwrap().values, x);
        }

        #[test]
        fn any_bytes_give_a_table_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
            let _ = read([&MAGIC[..], &[1, 0], &bytes].concat());
        }

        #[test]
        fn any_header_gives_a_table_or_an_error(text in "[ {}()':,0-9LOTFalseru<>|bif\u{e9}]{0,80}") {
            let _ = read(file(&text, &[0; 64]));
            let _ = read(file(&format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {text}"), &[0; 64]));
        }

        #[test]
        fn damage_gives_a_table_or_an_error(which in 0..4_usize, at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            let mut file = numpy([C_F8, FORTRAN_F4, VECTOR_I2, BOOL][which]);
            let at = at.index(file.len());
            file[at] = byte;
            if let Ok(table) = read(&file) {
                prop_assert!(table.values.check_finite("x", "").is_ok() && table.values.rows() > 0);
            }
            // Whatever is cut off is missed.
            prop_assert!(read(&numpy([C_F8, FORTRAN_F4, VECTOR_I2, BOOL][which])[..cut.index(file.len())]).is_err());
        }
    }
}
