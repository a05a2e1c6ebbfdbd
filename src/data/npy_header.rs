//! What stands before the numbers of an NPY file: magic, version, length and a Python dictionary with
//! three keys, the type of the numbers, their order and the shape.
//!
//! # Limits
//! The dictionary is read by a parser of its own that knows strings without escapes, `True`, `False`
//! and tuples of sizes: all that NumPy writes for arrays of plain numbers.
//!
//! # Source
//! As [`npy`](super::npy).

use std::io::{self, Read, Write};
use std::path::Path;

use super::table::{check_compression, unreadable};
use crate::error::{Error, Result};
use crate::kernel::Real;

pub(super) const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Headers end at a multiple of this, so that the numbers are aligned.
pub(super) const ALIGNMENT: usize = 64;

/// Longer headers are refused; NumPy itself, by default, refuses those above 10,000 bytes.
const MAX_HEADER: usize = 1 << 16;

/// What stands before the numbers.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) dtype: Dtype,
    pub(super) fortran_order: bool,
    pub(super) shape: Vec<usize>,
}

/// How one number is stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dtype {
    kind: Kind,
    /// 1, 2, 4 or 8.
    pub(super) width: usize,
    big_endian: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Signed,
    Unsigned,
    Float,
}

impl Dtype {
    /// Reads a type string: byte order, kind, width.
    fn parse(text: &str) -> Option<Self> {
        let mut chars = text.chars();
        let (order, kind) = (chars.next()?, chars.next()?);
        let (kind, widths): (_, &[usize]) = match kind {
            'b' => (Kind::Bool, &[1]),
            'i' => (Kind::Signed, &[1, 2, 4, 8]),
            'u' => (Kind::Unsigned, &[1, 2, 4, 8]),
            'f' => (Kind::Float, &[4, 8]),
            _ => return None,
        };
        let width = chars.as_str().parse().ok().filter(|width| widths.contains(width))?;
        let big_endian = match order {
            '<' => false,
            '>' => true,
            '|' if width == 1 => false,
            _ => return None,
        };
        Some(Self { kind, width, big_endian })
    }

    /// Whether it holds whole numbers only.
    pub(super) fn is_integer(self) -> bool {
        self.kind != Kind::Float
    }

    /// Appends the numbers that these bytes hold; a rest of less than `width` bytes is no number.
    #[allow(clippy::cast_precision_loss, reason = "integers beyond 2^53 are rounded to nearest, as stated")]
    pub(super) fn decode(self, bytes: &[u8], out: &mut Vec<f64>) {
        match (self.kind, self.width) {
            (Kind::Bool, _) => out.extend(bytes.iter().map(|&byte| f64::from(u8::from(byte != 0)))),
            (Kind::Signed, 1) => self.each(bytes, out, |b| f64::from(i8::from_le_bytes(b))),
            (Kind::Signed, 2) => self.each(bytes, out, |b| f64::from(i16::from_le_bytes(b))),
            (Kind::Signed, 4) => self.each(bytes, out, |b| f64::from(i32::from_le_bytes(b))),
            (Kind::Signed, _) => self.each(bytes, out, |b| i64::from_le_bytes(b) as f64),
            (Kind::Unsigned, 1) => self.each(bytes, out, |b| f64::from(u8::from_le_bytes(b))),
            (Kind::Unsigned, 2) => self.each(bytes, out, |b| f64::from(u16::from_le_bytes(b))),
            (Kind::Unsigned, 4) => self.each(bytes, out, |b| f64::from(u32::from_le_bytes(b))),
            (Kind::Unsigned, _) => self.each(bytes, out, |b| u64::from_le_bytes(b) as f64),
            (Kind::Float, 4) => self.each(bytes, out, |b| f64::from(f32::from_le_bytes(b))),
            (Kind::Float, _) => self.each(bytes, out, f64::from_le_bytes),
        }
    }

    /// One loop for each type, which the compiler can turn into SIMD.
    fn each<const W: usize>(self, bytes: &[u8], out: &mut Vec<f64>, number: impl Fn([u8; W]) -> f64) {
        let (numbers, _) = bytes.as_chunks::<W>();
        if self.big_endian {
            out.extend(numbers.iter().map(|&bytes| {
                let mut bytes = bytes;
                bytes.reverse();
                number(bytes)
            }));
        } else {
            out.extend(numbers.iter().map(|&bytes| number(bytes)));
        }
    }
}

/// Writes everything that stands before the numbers of an array of this shape.
pub(super) fn write_header<R: Real>(out: &mut impl Write, shape: &[usize]) -> io::Result<()> {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    // A Python tuple of one needs its comma.
    let comma = if shape.len() == 1 { "," } else { "" };
    let mut dictionary = format!(
        "{{'descr': '<f{}', 'fortran_order': False, 'shape': ({}{comma}), }}",
        size_of::<R>(),
        sizes.join(", ")
    );
    // Magic, version, length, dictionary, spaces, line end: together a multiple of the alignment.
    let before = MAGIC.len() + 2 + 2;
    let total = (before + dictionary.len() + 1).next_multiple_of(ALIGNMENT);
    dictionary.extend(std::iter::repeat_n(' ', total - before - dictionary.len() - 1));
    dictionary.push('\n');
    let length = u16::try_from(dictionary.len()).map_err(io::Error::other)?;
    out.write_all(MAGIC)?;
    out.write_all(&[1, 0])?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(dictionary.as_bytes())
}

/// The error of a file that is no such array.
pub(super) fn bad(file: &Path, found: String) -> Error {
    let remedy = "save a plain array of numbers with `numpy.save`";
    Error::Format { file: file.to_path_buf(), what: "NPY table", found, remedy }
}

/// Reads everything that stands before the numbers.
pub(super) fn read_header(reader: &mut impl Read, file: &Path) -> Result<Header> {
    let mut fill = |bytes: &mut [u8]| match reader.read_exact(bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(bad(file, "it ends within its header".to_owned()))
        }
        result => result.map_err(|source| unreadable(file, source)),
    };
    let mut start = [0; 8];
    fill(&mut start)?;
    check_compression(file, &start)?;
    if !start.starts_with(MAGIC) {
        return Err(bad(file, "it does not begin as NPY files do".to_owned()));
    }
    let [.., major, minor] = start;
    // The length has two bytes in version 1 and four in versions 2 and 3.
    let mut length = [0; 4];
    match (major, minor) {
        (1, 0) => fill(&mut length[..2])?,
        (2 | 3, 0) => fill(&mut length)?,
        _ => return Err(bad(file, format!("its version is {major}.{minor}, known are 1.0, 2.0 and 3.0"))),
    }
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_HEADER {
        return Err(bad(file, format!("its header has {length} bytes, at most {MAX_HEADER} are read")));
    }
    let mut text = vec![0; length];
    fill(&mut text)?;
    Literal { rest: &String::from_utf8_lossy(&text) }.header().map_err(|found| bad(file, found))
}

/// The header's Python dictionary, as far as it was not yet read.
#[derive(Debug)]
struct Literal<'a> {
    rest: &'a str,
}

/// A part of the header that was read, or what is wrong with it.
type Parsed<T> = std::result::Result<T, String>;

impl<'a> Literal<'a> {
    fn header(mut self) -> Parsed<Header> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.expect('{')?;
        while !self.eat('}') {
            let key = self.string()?;
            self.expect(':')?;
            let again = match key {
                "descr" => descr.replace(self.dtype()?).is_some(),
                "fortran_order" => fortran_order.replace(self.boolean()?).is_some(),
                "shape" => shape.replace(self.sizes()?).is_some(),
                _ => return Err(format!("its header has the unknown key {key:?}")),
            };
            if again {
                return Err(format!("its header has the key {key:?} twice"));
            }
            if !self.eat(',') {
                self.expect('}')?;
                break;
            }
        }
        if !self.rest.trim().is_empty() {
            return Err("its header goes on after its end".to_owned());
        }
        match (descr, fortran_order, shape) {
            (Some(dtype), Some(fortran_order), Some(shape)) => Ok(Header { dtype, fortran_order, shape }),
            _ => Err("its header lacks one of `descr`, `fortran_order` and `shape`".to_owned()),
        }
    }

    /// Goes past white space, and past this character if it comes next.
    fn eat(&mut self, wanted: char) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => self.rest = rest,
            None => return false,
        }
        true
    }

    fn expect(&mut self, wanted: char) -> Parsed<()> {
        if self.eat(wanted) {
            return Ok(());
        }
        let found: String = self.rest.chars().take(10).collect();
        Err(format!("its header has {found:?} where `{wanted}` belongs"))
    }

    /// A string in either kind of quotes, without escapes: no key and no type needs one.
    fn string(&mut self) -> Parsed<&'a str> {
        let quote = if self.eat('"') { '"' } else { '\'' };
        if quote == '\'' {
            self.expect(quote)?;
        }
        let (text, rest) = self.rest.split_once(quote).ok_or("its header ends within a string")?;
        self.rest = rest;
        Ok(text)
    }

    fn dtype(&mut self) -> Parsed<Dtype> {
        if self.eat('[') {
            return Err("it holds a structured array, not plain numbers".to_owned());
        }
        let text = self.string()?;
        if text.contains('O') {
            return Err(format!("it holds Python objects ({text:?}, a pickle), not numbers"));
        }
        Dtype::parse(text).ok_or_else(|| {
            format!("it holds {text:?}; read are f4, f8, integers and booleans, `x.astype('f8')` makes them")
        })
    }

    fn boolean(&mut self) -> Parsed<bool> {
        self.rest = self.rest.trim_start();
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest;
                return Ok(value);
            }
        }
        Err("its `fortran_order` is neither True nor False".to_owned())
    }

    fn sizes(&mut self) -> Parsed<Vec<usize>> {
        let mut sizes = Vec::new();
        self.expect('(')?;
        while !self.eat(')') {
            self.rest = self.rest.trim_start();
            let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
            let (digits, rest) = self.rest.split_at(end);
            sizes.push(digits.parse().map_err(|_| format!("its shape has {digits:?} where a size belongs"))?);
            // Python 2 wrote long integers with an L.
            self.rest = rest.strip_prefix('L').unwrap_or(rest);
            if !self.eat(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(sizes)
    }
}
