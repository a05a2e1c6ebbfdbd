//! [`Pages`]: the pages of one column chunk of a Parquet file, checked and decompressed.
//!
//! # Limits
//! The page reader of the crate `parquet` takes as much memory as a page says it needs, and unpacks gzip and Brotli however much
//! comes out. Here a page says at most 256 MiB, and of that no more is taken than its bytes can hold; a dictionary or a list of
//! lengths has no more entries than its bytes; a checksum is compared where there is one. Zstandard, LZO, the LZ4 of Hadoop,
//! and texts stored as differences from those before (DELTA_BYTE_ARRAY) are refused by name.
//!
//! # Source
//! Apache Parquet format 2.12: `parquet.thrift`, "Encodings", "Compression"; Apache Thrift, "Thrift compact protocol encoding".

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};

/// The most bytes of a page, unpacked; writers make pages of about 1 MiB.
const MOST_PAGE_BYTES: usize = 1 << 28;

/// What LZ4 makes of a byte at most; Snappy makes less.
const MOST_RATIO: usize = 255;

/// The first try to read the header of a page, and the longest: it may hold the least and the greatest text.
const HEADER_BYTES: [u64; 2] = [1 << 9, 1 << 16];

/// Bytes that are read at a time of what is unpacked.
const BUFFER: usize = 1 << 15;

/// How the pages of a column are unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    None,
    Snappy,
    Gzip,
    Brotli,
    Lz4,
}

impl Codec {
    /// That of a column, or what it is called and cannot be unpacked.
    pub(super) fn of(compression: Compression) -> std::result::Result<Self, &'static str> {
        match compression {
            Compression::UNCOMPRESSED => Ok(Self::None),
            Compression::SNAPPY => Ok(Self::Snappy),
            Compression::GZIP(_) => Ok(Self::Gzip),
            Compression::BROTLI(_) => Ok(Self::Brotli),
            Compression::LZ4_RAW => Ok(Self::Lz4),
            Compression::ZSTD(_) => Err("zstd"),
            Compression::LZ4 => Err("the LZ4 of Hadoop"),
            Compression::LZO => Err("LZO"),
        }
    }

    /// Unpacks bytes of which `size` come out.
    fn unpack(self, bytes: Vec<u8>, size: usize) -> Result<Vec<u8>> {
        if matches!(self, Self::Snappy | Self::Lz4) && size / MOST_RATIO > bytes.len() {
            return Err(wrong("a page says that it unpacks to more than its bytes can hold"));
        }
        let found = match self {
            Self::None => bytes,
            Self::Snappy => {
                let mut out = vec![0; size];
                let said = snap::raw::decompress_len(&bytes).map_err(wrong)?;
                if said != size {
                    return Err(wrong("a page does not unpack to what it says"));
                }
                let length = snap::raw::Decoder::new().decompress(&bytes, &mut out).map_err(wrong)?;
                out.truncate(length);
                out
            }
            Self::Lz4 => {
                let mut out = vec![0; size];
                let length = lz4_flex::block::decompress_into(&bytes, &mut out).map_err(wrong)?;
                out.truncate(length);
                out
            }
            Self::Gzip => read_out(MultiGzDecoder::new(&bytes[..]), size)?,
            Self::Brotli => read_out(brotli_decompressor::Decompressor::new(&bytes[..], BUFFER), size)?,
        };
        if found.len() != size {
            return Err(wrong("a page does not unpack to what it says"));
        }
        Ok(found)
    }
}

/// What comes out, and one byte more than there should be.
fn read_out(reader: impl Read, size: usize) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    reader.take(size as u64 + 1).read_to_end(&mut out)?;
    Ok(out)
}

/// What the pages of a column hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values {
    /// The least bytes of a value in a dictionary.
    pub(super) width: usize,
    /// Whether some may be missing.
    pub(super) optional: bool,
}

/// The pages of a column chunk, one after the other.
#[derive(Debug)]
pub(super) struct Pages {
    file: Arc<File>,
    /// Where the next page begins, and how many bytes of the chunk are left from there.
    next: u64,
    left: u64,
    codec: Codec,
    values: Values,
    has_dictionary: bool,
}

impl Pages {
    /// Those that stand in `left` bytes from `next` on.
    pub(super) fn new(file: Arc<File>, next: u64, left: u64, codec: Codec, values: Values) -> Self {
        Self { file, next, left, codec, values, has_dictionary: false }
    }

    /// Reads the next bytes of the chunk.
    fn read(&mut self, bytes: u64) -> io::Result<Vec<u8>> {
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(self.next))?;
        let mut out = Vec::new();
        file.take(bytes.min(self.left)).read_to_end(&mut out)?;
        Ok(out)
    }

    /// Reads the header of the next page and goes past it.
    fn header(&mut self) -> Result<Header> {
        for bytes in HEADER_BYTES {
            let start = self.read(bytes)?;
            if let Some((header, length)) = Header::parse(&start) {
                self.next += length;
                self.left -= length;
                return Ok(header);
            }
        }
        Err(wrong("there is no header of a page where one should be"))
    }

    /// The next page that holds values.
    fn page(&mut self) -> Result<Option<Page>> {
        while self.left > 0 {
            let header = self.header()?;
            let packed = size(header.get(0, 3))?;
            if packed as u64 > self.left {
                return Err(wrong("a page is longer than its column"));
            }
            let unpacked = size(header.get(0, 2))?;
            if unpacked > MOST_PAGE_BYTES || packed > MOST_PAGE_BYTES {
                return Err(wrong("a page has more than 256 MiB"));
            }
            let bytes = self.read(packed as u64)?;
            if bytes.len() < packed {
                return Err(wrong("the file ends inside a page"));
            }
            self.next += packed as u64;
            self.left -= packed as u64;
            if let Some(expected) = header.get(0, 4) {
                let mut crc = flate2::Crc::new();
                crc.update(&bytes);
                if i64::from(crc.sum().cast_signed()) != expected {
                    return Err(wrong("a page is damaged: its checksum does not fit"));
                }
            }
            match header.get(0, 1) {
                Some(0) => return self.data(&header, bytes, unpacked).map(Some),
                Some(2) => return self.dictionary(&header, bytes, unpacked).map(Some),
                Some(3) => return self.data_2(&header, bytes, unpacked).map(Some),
                _ => {} // an index: nothing is looked up
            }
        }
        Ok(None)
    }

    fn dictionary(&mut self, header: &Header, bytes: Vec<u8>, unpacked: usize) -> Result<Page> {
        let buf = self.codec.unpack(bytes, unpacked)?;
        let num_values = count(header.get(7, 1))?;
        if self.has_dictionary || num_values as usize > buf.len() / self.values.width {
            return Err(wrong("its dictionary is longer than its bytes, or not the only one"));
        }
        self.has_dictionary = true;
        let encoding = match encoding(header.get(7, 2))? {
            plain @ (Encoding::PLAIN | Encoding::PLAIN_DICTIONARY) => plain,
            other => return Err(wrong(format!("its dictionary has the encoding {other}"))),
        };
        let is_sorted = header.get(7, 3) == Some(1);
        Ok(Page::DictionaryPage { buf: buf.into(), num_values, encoding, is_sorted })
    }

    fn data(&mut self, header: &Header, bytes: Vec<u8>, unpacked: usize) -> Result<Page> {
        let buf = self.codec.unpack(bytes, unpacked)?;
        let (num_values, encoding) = (count(header.get(5, 1))?, encoding(header.get(5, 2))?);
        let levels = if self.values.optional {
            if header.get(5, 3) != Some(3) {
                return Err(wrong(
                    "its missing values are in the encoding BIT_PACKED, which nobody writes any more",
                ));
            }
            let length = buf.first_chunk().copied().map(u32::from_le_bytes).unwrap_or_default();
            (length as usize).saturating_add(4)
        } else {
            0
        };
        let values = buf.get(levels..).ok_or_else(|| wrong("a page ends before its values"))?;
        self.check_values(encoding, values, num_values)?;
        Ok(Page::DataPage {
            buf: buf.into(),
            num_values,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        })
    }

    fn data_2(&mut self, header: &Header, mut bytes: Vec<u8>, unpacked: usize) -> Result<Page> {
        let [num_values, num_nulls, num_rows] = [1, 2, 3].map(|field| count(header.get(8, field)));
        let (num_values, num_nulls, num_rows) = (num_values?, num_nulls?, num_rows?);
        let encoding = encoding(header.get(8, 4))?;
        let [def_levels_byte_len, rep_levels_byte_len] = [5, 6].map(|field| count(header.get(8, field)));
        let (def_levels_byte_len, rep_levels_byte_len) = (def_levels_byte_len?, rep_levels_byte_len?);
        let levels = (def_levels_byte_len as usize).saturating_add(rep_levels_byte_len as usize);
        if levels > bytes.len() || levels > unpacked || num_nulls > num_values {
            return Err(wrong("a page ends before its values"));
        }
        if self.codec != Codec::None && header.get(8, 7) != Some(0) && unpacked > levels {
            let values = self.codec.unpack(bytes.split_off(levels), unpacked - levels)?;
            bytes.extend_from_slice(&values);
        }
        self.check_values(encoding, bytes.get(levels..).unwrap_or_default(), num_values)?;
        Ok(Page::DataPageV2 {
            buf: bytes.into(),
            num_values,
            encoding,
            num_nulls,
            num_rows,
            def_levels_byte_len,
            rep_levels_byte_len,
            is_compressed: false,
            statistics: None,
        })
    }

    /// Refuses encodings of which the crate would believe a length.
    fn check_values(&self, encoding: Encoding, values: &[u8], count: u32) -> Result<()> {
        match encoding {
            Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY if !self.has_dictionary => {
                Err(wrong("its values stand in a dictionary that is not there"))
            }
            Encoding::DELTA_BINARY_PACKED | Encoding::DELTA_LENGTH_BYTE_ARRAY => {
                // Values of a block, its parts, and all values: numbers that the crate takes memory for.
                let mut header = Compact { bytes: values, at: 0 };
                let numbers = [header.varint(), header.varint(), header.varint()];
                match numbers {
                    _ if count == 0 || values.is_empty() => Ok(()),
                    [Some(block), Some(parts), Some(all)]
                        if block <= 1 << 16 && parts <= block && all <= u64::from(count) =>
                    {
                        Ok(())
                    }
                    _ => Err(wrong("a page holds more differences than values")),
                }
            }
            Encoding::PLAIN
            | Encoding::RLE
            | Encoding::PLAIN_DICTIONARY
            | Encoding::RLE_DICTIONARY
            | Encoding::BYTE_STREAM_SPLIT => Ok(()),
            other => Err(wrong(format!("it has the encoding {other}, which is not read"))),
        }
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.page()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        Err(ParquetError::NYI("pages are read in their order".into()))
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.page().map(drop)
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.page().transpose()
    }
}

fn wrong(what: impl ToString) -> ParquetError {
    ParquetError::General(what.to_string())
}

fn size(field: Option<i64>) -> Result<usize> {
    field
        .and_then(|size| usize::try_from(size).ok())
        .ok_or_else(|| wrong("a page does not say how long it is"))
}

fn count(field: Option<i64>) -> Result<u32> {
    let count =
        field.and_then(|count| u32::try_from(count).ok()).filter(|&count| count <= i32::MAX.cast_unsigned());
    count.ok_or_else(|| wrong("a page does not say how much it holds"))
}

fn encoding(field: Option<i64>) -> Result<Encoding> {
    Ok(match field {
        Some(0) => Encoding::PLAIN,
        Some(2) => Encoding::PLAIN_DICTIONARY,
        Some(3) => Encoding::RLE,
        Some(5) => Encoding::DELTA_BINARY_PACKED,
        Some(6) => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        Some(7) => Encoding::DELTA_BYTE_ARRAY,
        Some(8) => Encoding::RLE_DICTIONARY,
        Some(9) => Encoding::BYTE_STREAM_SPLIT,
        _ => return Err(wrong("its values have an unknown encoding")),
    })
}

/// Fields of a header and of what it holds are counted from 1 to 8.
const FIELDS: usize = 9;

/// The numbers of the header of a page: those of its own fields at 0, those of the fields of its field k at k.
#[derive(Debug, Default)]
struct Header([[Option<i64>; FIELDS]; FIELDS]);

impl Header {
    fn get(&self, outer: usize, field: usize) -> Option<i64> {
        *self.0.get(outer)?.get(field)?
    }

    /// The header at the start of some bytes, and its length, if all of it is there.
    fn parse(bytes: &[u8]) -> Option<(Self, u64)> {
        let (mut header, mut compact) = (Self::default(), Compact { bytes, at: 0 });
        compact.structure(0, 0, &mut header)?;
        Some((header, compact.at as u64))
    }
}

/// Bytes in the compact protocol of Thrift.
struct Compact<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Compact<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A number with its sign in its last bit.
    fn integer(&mut self) -> Option<i64> {
        let number = self.varint()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    fn skip(&mut self, bytes: u64) -> Option<()> {
        self.at = self.at.checked_add(usize::try_from(bytes).ok()?).filter(|&at| at <= self.bytes.len())?;
        Some(())
    }

    /// Goes past a structure, the field `outer` of a header, or the header itself, and keeps its numbers.
    fn structure(&mut self, outer: usize, depth: usize, header: &mut Header) -> Option<()> {
        let mut field = 0_usize;
        loop {
            let byte = self.byte()?;
            if byte == 0 {
                return Some(());
            }
            field = match byte >> 4 {
                0 => usize::try_from(self.integer()?).ok()?,
                more => field.checked_add(more.into())?,
            };
            let number = match byte & 15 {
                1 => 1,
                2 => 0,
                3 => self.byte()?.cast_signed().into(),
                4..=6 => self.integer()?,
                7 => {
                    self.skip(8)?;
                    continue;
                }
                8 => {
                    let length = self.varint()?;
                    self.skip(length)?;
                    continue;
                }
                12 if depth == 0 => {
                    self.structure(field, 1, header)?;
                    continue;
                }
                // Statistics: nothing of them is kept.
                12 if depth < 4 => {
                    self.structure(FIELDS, depth + 1, header)?;
                    continue;
                }
                _ => return None, // a header has no lists
            };
            if let Some(place) = header.0.get_mut(outer).and_then(|fields| fields.get_mut(field)) {
                *place = Some(number);
            }
        }
    }
}
