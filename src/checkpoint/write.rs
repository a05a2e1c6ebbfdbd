//! [`Contents`]: what goes into a file.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{
    ALIGNMENT, CHECKED, Content, ENTRY, HEADER, Kind, MARK, MOST_SECTIONS, NAME, PIECE, VERSION, fields,
};
use crate::error::{Error, Result};
use crate::file::AtomicFile;

/// The sections of a file, in their order. Numbers are borrowed: writing takes no memory for them.
#[derive(Debug)]
pub struct Contents<'a> {
    kind: Kind,
    sections: Vec<Section<'a>>,
}

#[derive(Debug)]
struct Section<'a> {
    name: &'static str,
    data: Data<'a>,
}

#[derive(Debug)]
enum Data<'a> {
    Fields(Vec<u8>),
    /// One part after the other.
    Numbers(Vec<&'a [f32]>),
}

impl<'a> Contents<'a> {
    /// A file without sections.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { kind, sections: Vec::new() }
    }

    /// Adds a value as fields.
    ///
    /// # Errors
    /// [`Error::Setting`] if it is larger than 64 MiB or of a type that no file can hold; if the name is taken or is no ASCII of 1
    /// to 24 bytes; if there are 64 sections.
    pub fn fields<T: Serialize>(self, name: &'static str, value: &T) -> Result<Self> {
        let bytes = fields::encode(value).map_err(|problem| Error::Setting {
            name,
            value: problem.to_string(),
            remedy: "fields of a file hold at most 64 MiB",
        })?;
        self.with(name, Data::Fields(bytes))
    }

    /// Adds numbers.
    ///
    /// # Errors
    /// As [`Contents::fields`] for the name and the number of sections.
    pub fn numbers(self, name: &'static str, numbers: &'a [f32]) -> Result<Self> {
        self.parts(name, [numbers])
    }

    /// Adds numbers that lie in several places.
    ///
    /// # Errors
    /// As [`Contents::numbers`].
    pub fn parts(self, name: &'static str, parts: impl IntoIterator<Item = &'a [f32]>) -> Result<Self> {
        self.with(name, Data::Numbers(parts.into_iter().collect()))
    }

    fn with(mut self, name: &'static str, data: Data<'a>) -> Result<Self> {
        let refused = |remedy| Error::Setting { name: "section", value: format!("{name:?}"), remedy };
        if self.sections.len() >= MOST_SECTIONS {
            return Err(refused("a file has at most 64 sections"));
        }
        if !(1..=NAME).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(refused("a name is 1 to 24 visible ASCII characters"));
        }
        if self.sections.iter().any(|section| section.name == name) {
            return Err(refused("each section has a name of its own"));
        }
        self.sections.push(Section { name, data });
        Ok(self)
    }

    /// Writes the file, which is replaced only once the new one is complete.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut file = AtomicFile::create(path)?;
        self.write_to(&mut file).map_err(|source| Error::Io {
            action: "write",
            path: path.into(),
            source,
        })?;
        file.commit()
    }

    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Memory takes everything.
        let _ = self.write_to(&mut bytes);
        bytes
    }

    /// Writes the bytes of the file, front to back.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        let mut end = (HEADER + ENTRY * self.sections.len()) as u64;
        let mut table = Vec::with_capacity(ENTRY * self.sections.len());
        for section in &self.sections {
            let (offset, length) = (end.next_multiple_of(ALIGNMENT), section.data.length());
            table.extend(section.name.bytes().chain(std::iter::repeat(0)).take(NAME));
            table.extend(section.data.content().number().to_le_bytes());
            table.extend([0; 4]);
            table.extend(offset.to_le_bytes());
            table.extend(length.to_le_bytes());
            let mut hash = Sha256::new();
            section.data.pieces(|bytes| {
                hash.update(bytes);
                Ok(())
            })?;
            table.extend(hash.finalize());
            end = offset + length;
        }
        let count = u32::try_from(self.sections.len()).map_err(io::Error::other)?;
        let mut header = Vec::with_capacity(HEADER);
        header.extend(MARK);
        for number in [VERSION, self.kind.number(), count, 0] {
            header.extend(number.to_le_bytes());
        }
        header.extend(end.to_le_bytes());
        debug_assert_eq!(header.len(), CHECKED);
        let hash = Sha256::new().chain_update(&header).chain_update(&table).finalize();
        header.extend(hash);
        out.write_all(&header)?;
        out.write_all(&table)?;
        let mut written = (header.len() + table.len()) as u64;
        for section in &self.sections {
            while !written.is_multiple_of(ALIGNMENT) {
                out.write_all(&[0])?;
                written += 1;
            }
            section.data.pieces(|bytes| out.write_all(bytes))?;
            written += section.data.length();
        }
        Ok(())
    }
}

impl Data<'_> {
    fn content(&self) -> Content {
        match self {
            Self::Fields(_) => Content::Fields,
            Self::Numbers(_) => Content::Numbers,
        }
    }

    fn length(&self) -> u64 {
        match self {
            Self::Fields(bytes) => bytes.len() as u64,
            Self::Numbers(parts) => parts.iter().map(|part| size_of_val(*part) as u64).sum(),
        }
    }

    fn pieces(&self, mut to: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        match self {
            Self::Fields(bytes) => to(bytes),
            Self::Numbers(parts) => parts.iter().try_for_each(|part| pieces(part, &mut to)),
        }
    }
}

/// The bytes of numbers, some at a time.
pub(super) fn pieces<E>(
    numbers: &[f32],
    mut to: impl FnMut(&[u8]) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let mut bytes = Vec::with_capacity(PIECE.min(size_of_val(numbers)));
    for piece in numbers.chunks(PIECE / size_of::<f32>()) {
        bytes.clear();
        bytes.extend(piece.iter().flat_map(|number| number.to_le_bytes()));
        to(&bytes)?;
    }
    Ok(())
}
