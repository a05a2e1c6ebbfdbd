use std::collections::BTreeMap;
use std::path::Path;

use super::*;

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
enum Word {
    Plain,
    #[serde(rename = "sized")]
    Sized(u32),
    Pair(i8, f32),
    Named {
        a: Option<bool>,
        b: Vec<u8>,
    },
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Value {
    words: Vec<Word>,
    text: String,
    number: f64,
    none: Option<u64>,
    some: Option<Vec<f64>>,
    unit: (),
    map: BTreeMap<String, i64>,
}

fn value() -> Value {
    Value {
        words: vec![
            Word::Plain,
            Word::Sized(u32::MAX),
            Word::Pair(-7, f32::MIN_POSITIVE),
            Word::Named { a: Some(true), b: vec![0, 255] },
        ],
        text: "Grüße".into(),
        number: -0.0,
        none: None,
        some: Some(vec![]),
        unit: (),
        map: [("x".to_owned(), i64::MIN), ("y".to_owned(), 3)].into(),
    }
}

const NUMBERS: [f32; 5] = [1.5, -2.0, f32::MIN_POSITIVE, f32::MAX, 0.0];

fn file() -> &'static Path {
    Path::new("x.pf")
}

fn bytes() -> Vec<u8> {
    let contents = Contents::new(Kind::Model).fields("first", &value()).unwrap();
    contents.numbers("second", &NUMBERS).unwrap().numbers("third", &[]).unwrap().to_bytes()
}

fn load(bytes: &[u8]) -> Result<(Value, Vec<f32>), String> {
    let mut loaded = decode(bytes, file(), Kind::Model).map_err(|e| e.to_string())?;
    let value = loaded.fields("first").map_err(|e| e.to_string())?;
    let numbers = loaded.numbers("second").map_err(|e| e.to_string())?;
    assert!(loaded.numbers("third").unwrap().is_empty());
    loaded.end().unwrap();
    Ok((value, numbers))
}

/// Where section i begins and ends, from the table.
fn section(bytes: &[u8], i: usize) -> std::ops::Range<usize> {
    let at = |from: usize| usize::from_le_bytes(bytes[from..from + 8].try_into().unwrap());
    let entry = HEADER + i * ENTRY + NAME + 8;
    at(entry)..at(entry) + at(entry + 8)
}

#[test]
fn what_was_written_is_read() {
    let (read, numbers) = load(&bytes()).unwrap();
    assert_eq!(read, value());
    assert!(read.number.is_sign_negative());
    assert_eq!(numbers.map_bits(), NUMBERS.to_vec().map_bits());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.pf");
    let all = value();
    let contents = Contents::new(Kind::Model).fields("first", &all).unwrap();
    let contents = contents.numbers("second", &NUMBERS).unwrap().numbers("third", &[]).unwrap();
    contents.write(&path).unwrap();
    assert!(std::fs::read(&path).unwrap() == bytes());
    assert_eq!(super::read(&path, Kind::Model).unwrap().fields::<Value>("first").unwrap(), all);
}

trait Bits {
    fn map_bits(self) -> Vec<u32>;
}

impl Bits for Vec<f32> {
    fn map_bits(self) -> Vec<u32> {
        self.into_iter().map(f32::to_bits).collect()
    }
}

#[test]
fn the_bytes_are_the_documented_ones() {
    let bytes = bytes();
    assert_eq!(bytes[..20], [MARK.as_slice(), &[1, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0][..]].concat()[..20]);
    assert_eq!(bytes[24..32], (bytes.len() as u64).to_le_bytes());
    let numbers = section(&bytes, 1);
    assert!(numbers.start.is_multiple_of(64));
    assert_eq!(bytes[numbers], NUMBERS.map(f32::to_le_bytes).concat()[..]);
    // The example of FIPS 180-4 for one block: SHA-256("abc"); here of a section that holds "abcd" as one f32.
    let of = |number: &[f32]| {
        Contents::new(Kind::Model).numbers("n", number).unwrap().to_bytes()[HEADER + 48..HEADER + 80].to_vec()
    };
    // sha256sum of the four bytes 61 62 63 64.
    let expected = "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589";
    let hex: String = of(&[f32::from_le_bytes(*b"abcd")]).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, expected);
}

#[test]
fn every_flipped_bit_is_found_and_its_section_named() {
    let whole = bytes();
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << bit;
            let said = load(&damaged).unwrap_err();
            let named = match at {
                0..8 => "does not begin as one",
                8..12 => "this program reads 1",
                _ if at < HEADER + 3 * ENTRY => "header",
                _ if section(&whole, 0).contains(&at) => "section `first` is damaged",
                _ if section(&whole, 1).contains(&at) => "section `second` is damaged",
                _ if at < section(&whole, 0).start => "before section `first`",
                _ if at < section(&whole, 1).start => "before section `second`",
                _ => "before section `third`",
            };
            assert!(said.contains(named), "bit {bit} of byte {at}: {said}, not {named}");
        }
    }
}

#[test]
fn every_truncation_and_extension_is_found_and_named() {
    let whole = bytes();
    for n in 0..whole.len() {
        let said = load(&whole[..n]).unwrap_err();
        let named = match n {
            0..8 => "does not begin as one",
            8..64 => "header",
            _ if n < HEADER + 3 * ENTRY => "section table",
            _ if n < section(&whole, 0).end => "section `first`",
            _ if n < section(&whole, 1).end => "section `second`",
            _ => "section `third`",
        };
        assert!(said.contains(named), "{n} bytes: {said}");
    }
    for more in [1, 64, 1000] {
        let said = load(&[whole.as_slice(), &vec![0; more]].concat()).unwrap_err();
        assert!(said.contains(&format!("{more} bytes follow after its end")), "{said}");
    }
}

#[test]
fn another_version_and_another_kind_are_named() {
    let mut other = bytes();
    other[8] = 7;
    let said = load(&other).unwrap_err();
    assert!(said.contains("format version is 7") && said.contains("reads 1"), "{said}");
    let said = decode(&bytes(), file(), Kind::Training).unwrap_err().to_string();
    assert!(said.contains("x.pf is no usable training state: it is a model"), "{said}");
}

#[test]
fn what_a_file_claims_is_not_allocated() {
    // A right checksum around a section of 2^50 bytes, and around a list of 2^60 values.
    let contents = Contents::new(Kind::Model).fields("first", &value()).unwrap();
    let mut bytes = contents.numbers("second", &NUMBERS).unwrap().numbers("third", &[]).unwrap().to_bytes();
    let entry = HEADER + ENTRY + NAME + 16;
    bytes[entry..entry + 8].copy_from_slice(&(1_u64 << 50).to_le_bytes());
    let third = (section(&bytes, 1).start as u64 + (1 << 50)).to_le_bytes();
    let entry = HEADER + 2 * ENTRY + NAME + 8;
    bytes[entry..entry + 8].copy_from_slice(&third);
    bytes[24..32].copy_from_slice(&third);
    let hash =
        sha2::Sha256::new().chain_update(&bytes[..CHECKED]).chain_update(&bytes[HEADER..HEADER + 3 * ENTRY]);
    bytes[CHECKED..HEADER].copy_from_slice(&hash.finalize());
    let said = load(&bytes).unwrap_err();
    assert!(said.contains("it ends in section `second`") && said.contains("1125899906842624"), "{said}");
    // One list token that says 2^60 values, as varints.
    let claim = [[1, 6, 253].as_slice(), &(1_u64 << 60).to_le_bytes()].concat();
    assert!(fields::decode::<Vec<f64>>(&claim).unwrap_err().to_string().contains("missing"));
    let claim = [[253].as_slice(), &(1_u64 << 60).to_le_bytes()].concat();
    assert!(fields::decode::<Vec<f64>>(&claim).is_err());
    assert!(fields::decode_flat(&claim).is_err());
}

#[test]
fn fields_are_found_by_name_and_unknown_ones_refused() {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Old {
        b: u8,
        a: f32,
    }
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct New {
        a: f32,
        b: u8,
        c: Option<u8>,
        #[serde(default)]
        d: u16,
    }
    let (old, new) = (Old { b: 2, a: 0.5 }, New { a: 0.5, b: 2, c: None, d: 0 });
    assert_eq!(fields::decode::<New>(&fields::encode(&old).unwrap()).unwrap(), new);
    let said = fields::decode::<Old>(&fields::encode(&new).unwrap()).unwrap_err().to_string();
    assert!(said.contains("does not know"), "{said}");
    let lacking = fields::decode::<Old>(&fields::encode(&BTreeMap::from([("a", 1)])).unwrap());
    assert!(lacking.unwrap_err().to_string().contains("missing field `b`"));
}

#[test]
fn fields_are_listed_with_their_place() {
    let found = flat(&value()).unwrap();
    let of = |name: &str| found.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
    assert_eq!(of("words.0"), Some("Plain"));
    assert_eq!(of("words.1.sized"), Some("4294967295"));
    assert_eq!(of("words.2.Pair.0"), Some("-7"));
    assert_eq!(of("words.3.Named.b.1"), Some("255"));
    assert_eq!((of("none"), of("some"), of("map.y")), (Some("none"), Some("none"), Some("3")));
    assert_eq!(fields::decode_flat(&fields::encode(&value()).unwrap()).unwrap(), found);
    assert_eq!(flat(&3_u8).unwrap(), [(String::new(), "3".to_owned())]);
    assert!(flat(&3_u128).unwrap_err().to_string().contains("128"));
}

#[test]
fn fingerprints_tell_where_a_part_ends() {
    assert_eq!(fingerprint(&[&[1.0], &[2.0]]).len(), 64);
    assert_ne!(fingerprint(&[&[1.0], &[2.0]]), fingerprint(&[&[1.0, 2.0]]));
    assert_ne!(fingerprint(&[&[0.0]]), fingerprint(&[&[-0.0]]));
}

#[test]
fn a_section_that_no_reader_would_find_is_refused() {
    let first = || Contents::new(Kind::Model).numbers("first", &NUMBERS).unwrap();
    for name in ["first", "", "with a blank", "é", "a_name_of_more_than_24_bytes"] {
        assert!(first().numbers(name, &NUMBERS).unwrap_err().to_string().contains(name), "{name}");
        assert!(
            first().fields(name, &value()).is_err() && first().parts(name, [&NUMBERS[..]]).is_err(),
            "{name}"
        );
    }
    let names: Vec<&'static str> = (0..65).map(|i| &*format!("n{i}").leak()).collect();
    let full =
        names[..64].iter().try_fold(Contents::new(Kind::Model), |all, name| all.numbers(name, &[])).unwrap();
    assert!(full.numbers(names[64], &[]).unwrap_err().to_string().contains("64"));
}
