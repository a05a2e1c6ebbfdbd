//! Values as a flat list of tokens that carry their names: small structures whose fields can be told apart by any reader.
//!
//! The list is flat so that no file can make its decoder recurse: how deep a value goes is said by the type that is read.
//!
//! More than 500 lines: serde asks for a function for each of its types, most of them of one line.

use std::fmt::{self, Display};

use serde::de::{DeserializeSeed, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::ser::{self, Serialize, Serializer};
use serde::{Deserialize, Deserializer, de};

use super::MOST_FIELD_BYTES;
use crate::error::Error;

/// One token: head of [`checkpoint`](super).
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
enum Token {
    Nothing,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    List(u64),
    Fields(u64),
}

/// Why a value could not be told or understood.
#[derive(Debug)]
pub(super) struct Problem(String);

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Problem {}

impl ser::Error for Problem {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl de::Error for Problem {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// The bytes of a value.
pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Problem> {
    let config = bincode::config::standard().with_limit::<MOST_FIELD_BYTES>();
    let bytes = bincode::serde::encode_to_vec(tokens(value)?, config).map_err(|e| Problem(e.to_string()))?;
    if bytes.len() > MOST_FIELD_BYTES {
        return Err(Problem(format!("{} bytes are more than 64 MiB", bytes.len())));
    }
    Ok(bytes)
}

/// The value of these bytes, all of them.
pub(super) fn decode<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<T, Problem> {
    let tokens = decode_tokens(bytes)?;
    let mut reader = Reader { tokens: &tokens };
    let value = T::deserialize(&mut reader)?;
    if reader.tokens.is_empty() { Ok(value) } else { Err(Problem("values are left over".into())) }
}

/// The names and values of these bytes, as [`flat`] gives them.
pub(super) fn decode_flat(bytes: &[u8]) -> Result<Vec<(String, String)>, Problem> {
    flatten(&decode_tokens(bytes)?)
}

/// Lists the fields of a value, those inside fields as `outer.inner`, each with its value as text: what two settings differ in
/// can be named without knowing them.
///
/// # Errors
/// [`Error::Setting`] if the value is of a type that no file can hold (a number of 128 bits, a map whose keys are no texts).
///
/// # Example
/// ```
/// let adam = pushforward::nn::Adam::default();
/// assert_eq!(pushforward::checkpoint::flat(&adam)?[0], ("lr".into(), "0.002".into()));
/// # Ok::<(), pushforward::Error>(())
/// ```
pub fn flat<T: Serialize>(value: &T) -> crate::error::Result<Vec<(String, String)>> {
    tokens(value).and_then(|tokens| flatten(&tokens)).map_err(|problem| Error::Setting {
        name: "value",
        value: problem.to_string(),
        remedy: "give one of numbers, texts, lists and named fields",
    })
}

fn decode_tokens(bytes: &[u8]) -> Result<Vec<Token>, Problem> {
    let config = bincode::config::standard().with_limit::<MOST_FIELD_BYTES>();
    match bincode::serde::decode_from_slice(bytes, config) {
        Ok((tokens, used)) if used == bytes.len() => Ok(tokens),
        Ok((_, used)) => Err(Problem(format!("{} bytes are left over", bytes.len() - used))),
        Err(error) => Err(Problem(error.to_string())),
    }
}

fn tokens<T: Serialize>(value: &T) -> Result<Vec<Token>, Problem> {
    let mut writer = Writer { tokens: Vec::new() };
    value.serialize(&mut writer)?;
    Ok(writer.tokens)
}

/// A list or fields whose values are being listed.
struct Open {
    prefix: String,
    fields: bool,
    /// The name of the value that comes next.
    name: Option<String>,
    next: u64,
    count: u64,
}

fn flatten(tokens: &[Token]) -> Result<Vec<(String, String)>, Problem> {
    let (mut found, mut open): (_, Vec<Open>) = (Vec::new(), Vec::new());
    for token in tokens {
        let mut name = String::new();
        if let Some(outer) = open.last_mut() {
            if outer.fields && outer.name.is_none() {
                let Token::Text(text) = token else { return Err(Problem("a name is no text".into())) };
                outer.name = Some(text.clone());
                continue;
            }
            let own = outer.name.take().unwrap_or_else(|| outer.next.to_string());
            name = if outer.prefix.is_empty() { own } else { format!("{}.{own}", outer.prefix) };
            outer.next += 1;
        }
        let value = match token {
            Token::List(0) | Token::Fields(0) | Token::Nothing => "none".to_owned(),
            Token::Bool(value) => value.to_string(),
            Token::Unsigned(value) => value.to_string(),
            Token::Signed(value) => value.to_string(),
            Token::Float(value) => value.to_string(),
            Token::Text(value) => value.clone(),
            &Token::List(count) | &Token::Fields(count) => {
                let fields = matches!(token, Token::Fields(_));
                open.push(Open { prefix: name, fields, name: None, next: 0, count });
                continue;
            }
        };
        found.push((name, value));
        while open.pop_if(|outer| outer.next == outer.count).is_some() {}
    }
    if open.is_empty() { Ok(found) } else { Err(Problem("values are missing".into())) }
}

/// Makes tokens of a value.
struct Writer {
    tokens: Vec<Token>,
}

impl Writer {
    fn push(&mut self, token: Token) -> Result<(), Problem> {
        self.tokens.push(token);
        Ok(())
    }

    /// Begins a list or fields; how many is filled in at the end.
    fn begin(&mut self, fields: bool) -> Result<Counted<'_>, Problem> {
        let at = self.tokens.len();
        self.push(if fields { Token::Fields(0) } else { Token::List(0) })?;
        Ok(Counted { writer: self, at, count: 0 })
    }

    /// The name of a variant whose content follows.
    fn variant(&mut self, name: &str) -> Result<(), Problem> {
        self.push(Token::Fields(1))?;
        self.push(Token::Text(name.into()))
    }
}

/// A list or fields that are being written.
struct Counted<'a> {
    writer: &'a mut Writer,
    at: usize,
    count: u64,
}

impl Counted<'_> {
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Problem> {
        self.count += 1;
        value.serialize(&mut *self.writer)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Problem> {
        self.writer.push(Token::Text(name.into()))?;
        self.value(value)
    }

    fn finish(self) -> Result<(), Problem> {
        if let Some(Token::List(count) | Token::Fields(count)) = self.writer.tokens.get_mut(self.at) {
            *count = self.count;
        }
        Ok(())
    }
}

impl<'a> Serializer for &'a mut Writer {
    type Ok = ();
    type Error = Problem;
    type SerializeSeq = Counted<'a>;
    type SerializeTuple = Counted<'a>;
    type SerializeTupleStruct = Counted<'a>;
    type SerializeTupleVariant = Counted<'a>;
    type SerializeMap = Counted<'a>;
    type SerializeStruct = Counted<'a>;
    type SerializeStructVariant = Counted<'a>;

    fn serialize_bool(self, v: bool) -> Result<(), Problem> {
        self.push(Token::Bool(v))
    }
    fn serialize_i8(self, v: i8) -> Result<(), Problem> {
        self.push(Token::Signed(v.into()))
    }
    fn serialize_i16(self, v: i16) -> Result<(), Problem> {
        self.push(Token::Signed(v.into()))
    }
    fn serialize_i32(self, v: i32) -> Result<(), Problem> {
        self.push(Token::Signed(v.into()))
    }
    fn serialize_i64(self, v: i64) -> Result<(), Problem> {
        self.push(Token::Signed(v))
    }
    fn serialize_u8(self, v: u8) -> Result<(), Problem> {
        self.push(Token::Unsigned(v.into()))
    }
    fn serialize_u16(self, v: u16) -> Result<(), Problem> {
        self.push(Token::Unsigned(v.into()))
    }
    fn serialize_u32(self, v: u32) -> Result<(), Problem> {
        self.push(Token::Unsigned(v.into()))
    }
    fn serialize_u64(self, v: u64) -> Result<(), Problem> {
        self.push(Token::Unsigned(v))
    }
    fn serialize_f32(self, v: f32) -> Result<(), Problem> {
        self.push(Token::Float(v.into()))
    }
    fn serialize_f64(self, v: f64) -> Result<(), Problem> {
        self.push(Token::Float(v))
    }
    fn serialize_char(self, v: char) -> Result<(), Problem> {
        self.push(Token::Text(v.into()))
    }
    fn serialize_str(self, v: &str) -> Result<(), Problem> {
        self.push(Token::Text(v.into()))
    }
    fn serialize_bytes(self, v: &[u8]) -> Result<(), Problem> {
        v.serialize(self)
    }
    fn serialize_none(self) -> Result<(), Problem> {
        self.push(Token::Nothing)
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Problem> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<(), Problem> {
        self.push(Token::Nothing)
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Problem> {
        self.push(Token::Nothing)
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Problem> {
        self.push(Token::Text(variant.into()))
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Problem> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Problem> {
        self.variant(variant)?;
        value.serialize(self)
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Counted<'a>, Problem> {
        self.begin(false)
    }
    fn serialize_tuple(self, _: usize) -> Result<Counted<'a>, Problem> {
        self.begin(false)
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Counted<'a>, Problem> {
        self.begin(false)
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Counted<'a>, Problem> {
        self.variant(variant)?;
        self.begin(false)
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Counted<'a>, Problem> {
        self.begin(true)
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Counted<'a>, Problem> {
        self.begin(true)
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Counted<'a>, Problem> {
        self.variant(variant)?;
        self.begin(true)
    }
}

impl ser::SerializeSeq for Counted<'_> {
    type Ok = ();
    type Error = Problem;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Problem> {
        self.value(value)
    }
    fn end(self) -> Result<(), Problem> {
        self.finish()
    }
}

impl ser::SerializeTuple for Counted<'_> {
    type Ok = ();
    type Error = Problem;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Problem> {
        self.value(value)
    }
    fn end(self) -> Result<(), Problem> {
        self.finish()
    }
}

impl ser::SerializeTupleStruct for Counted<'_> {
    type Ok = ();
    type Error = Problem;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Problem> {
        self.value(value)
    }
    fn end(self) -> Result<(), Problem> {
        self.finish()
    }
}

impl ser::SerializeTupleVariant for Counted<'_> {
    type Ok = ();
    type Error = Problem;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Problem> {
        self.value(value)
    }
    fn end(self) -> Result<(), Problem> {
        self.finish()
    }
}

impl ser::SerializeMap for Counted<'_> {
    type Ok = ();
    type Error = Problem;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Problem> {
        key.serialize(&mut *self.writer)
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Problem> {
        self.value(value)
    }
    fn end(self) -> Result<(), Problem> {
        self.finish()
    }
}

impl ser::SerializeStruct for Counted<'_> {
    type Ok = ();
    type Error = Problem;
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Problem> {
        self.field(name, value)
    }
    fn end(self) -> Result<(), Problem> {
        self.finish()
    }
}

impl ser::SerializeStructVariant for Counted<'_> {
    type Ok = ();
    type Error = Problem;
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Problem> {
        self.field(name, value)
    }
    fn end(self) -> Result<(), Problem> {
        self.finish()
    }
}

/// Makes a value of tokens.
struct Reader<'de> {
    tokens: &'de [Token],
}

impl<'de> Reader<'de> {
    fn next(&mut self) -> Result<&'de Token, Problem> {
        let (first, rest) = self.tokens.split_first().ok_or_else(|| Problem("values are missing".into()))?;
        self.tokens = rest;
        Ok(first)
    }
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.next()? {
            Token::Nothing => visitor.visit_unit(),
            Token::Bool(value) => visitor.visit_bool(*value),
            Token::Unsigned(value) => visitor.visit_u64(*value),
            Token::Signed(value) => visitor.visit_i64(*value),
            Token::Float(value) => visitor.visit_f64(*value),
            Token::Text(value) => visitor.visit_borrowed_str(value),
            Token::List(count) => {
                let mut values = Values { reader: self, left: *count };
                let value = visitor.visit_seq(&mut values)?;
                if values.left == 0 { Ok(value) } else { Err(Problem("a list is too long".into())) }
            }
            Token::Fields(count) => visitor.visit_map(Values { reader: self, left: *count }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if let Some((Token::Nothing, rest)) = self.tokens.split_first() {
            self.tokens = rest;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self.next()? {
            Token::Text(name) => visitor.visit_enum(Variant { name, content: None }),
            Token::Fields(1) => match self.next()? {
                Token::Text(name) => visitor.visit_enum(Variant { name, content: Some(self) }),
                _ => Err(Problem("the name of a variant is no text".into())),
            },
            _ => Err(Problem("a variant has no name".into())),
        }
    }

    /// What is not known has a meaning that would be lost.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Problem> {
        Err(Problem("it has a field that this version does not know".into()))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier
    }
}

/// The values of a list, or the names and values of fields. How many are said to follow is not told to who collects them.
struct Values<'a, 'de> {
    reader: &'a mut Reader<'de>,
    left: u64,
}

impl<'de> SeqAccess<'de> for &mut Values<'_, 'de> {
    type Error = Problem;
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Problem> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

impl<'de> MapAccess<'de> for Values<'_, 'de> {
    type Error = Problem;
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Problem> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.reader).map(Some)
    }
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Problem> {
        seed.deserialize(&mut *self.reader)
    }
}

/// A variant and its content, if it has one.
struct Variant<'a, 'de> {
    name: &'de str,
    content: Option<&'a mut Reader<'de>>,
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Problem;
    type Variant = Self;
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Problem> {
        let name = de::value::BorrowedStrDeserializer::new(self.name);
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> Variant<'_, 'de> {
    fn lacks_content(&self) -> Problem {
        Problem(format!("the variant {} lacks its content", self.name))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Problem;
    fn unit_variant(self) -> Result<(), Problem> {
        if self.content.is_none() {
            return Ok(());
        }
        Err(Problem(format!("the variant {} has a content", self.name)))
    }
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Problem> {
        let lacking = self.lacks_content();
        seed.deserialize(self.content.ok_or(lacking)?)
    }
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Problem> {
        let lacking = self.lacks_content();
        self.content.ok_or(lacking)?.deserialize_any(visitor)
    }
    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let lacking = self.lacks_content();
        self.content.ok_or(lacking)?.deserialize_any(visitor)
    }
}
