//! The value of a knob once it is read.

use std::fmt;

use serde::de::value::{Error, SeqDeserializer, StrDeserializer};
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde_json::{Number, Value};

/// The value of a knob once it is read. Other than JSON it has −∞ and NaN, which engines refuse in
/// words of their own.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum KnobValue {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Whole(i128),
    /// Any other number.
    Number(f64),
    /// A text, or a name.
    Text(String),
    /// Several, as of tokens or of pairs.
    List(Vec<KnobValue>),
}

impl KnobValue {
    /// A value of JSON; `None` for what no knob is.
    pub(super) fn of_json(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null | Value::Object(_) => return None,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(whole), _) => Self::Whole(i128::from(whole)),
                (_, Some(whole)) => Self::Whole(i128::from(whole)),
                _ => Self::Number(number.as_f64()?),
            },
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(all) => Self::List(all.iter().map(Self::of_json).collect::<Option<_>>()?),
        })
    }

    /// What several flags come to: a list of all their values, in which an empty one takes back those
    /// before it.
    pub fn joined(values: Vec<Self>) -> Option<Self> {
        if values.len() < 2 {
            return values.into_iter().next();
        }
        let mut all = Vec::new();
        for value in values {
            match value {
                Self::List(items) if items.is_empty() => all.clear(),
                Self::List(items) => all.extend(items),
                one => all.push(one),
            }
        }
        Some(Self::List(all))
    }

    /// As JSON; `None` for what JSON does not have.
    pub fn to_json(&self) -> Option<Value> {
        Some(match self {
            Self::Bool(flag) => Value::Bool(*flag),
            Self::Whole(number) => match (i64::try_from(*number), u64::try_from(*number)) {
                (Ok(whole), _) => whole.into(),
                (_, Ok(whole)) => whole.into(),
                _ => return None,
            },
            Self::Number(number) => Value::Number(Number::from_f64(*number)?),
            Self::Text(text) => Value::String(text.clone()),
            Self::List(all) => Value::Array(all.iter().map(Self::to_json).collect::<Option<_>>()?),
        })
    }

    pub(super) fn text(&self) -> &str {
        if let Self::Text(text) = self { text } else { "" }
    }

    /// As the type of a setting.
    pub(super) fn to<T: DeserializeOwned>(&self) -> Result<T, Mismatch> {
        T::deserialize(self).map_err(|_| Mismatch)
    }
}

/// The value is not of the setting's type, which may have a narrower range than the knob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mismatch;

impl fmt::Display for KnobValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(flag) => flag.fmt(f),
            Self::Whole(number) => number.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
            Self::List(all) => {
                let all: Vec<String> = all.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", all.join(", "))
            }
        }
    }
}

impl From<u32> for KnobValue {
    fn from(id: u32) -> Self {
        Self::Whole(i128::from(id))
    }
}

impl From<f64> for KnobValue {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<String> for KnobValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<KnobValue>> From<Vec<T>> for KnobValue {
    fn from(all: Vec<T>) -> Self {
        Self::List(all.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<KnobValue>> From<(T, f64)> for KnobValue {
    fn from((first, number): (T, f64)) -> Self {
        Self::List(vec![first.into(), Self::Number(number)])
    }
}

impl<'de> IntoDeserializer<'de> for &'de KnobValue {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for &'de KnobValue {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            KnobValue::Bool(flag) => visitor.visit_bool(*flag),
            KnobValue::Whole(number) => match (u64::try_from(*number), i64::try_from(*number)) {
                (Ok(number), _) => visitor.visit_u64(number),
                (_, Ok(number)) => visitor.visit_i64(number),
                _ => visitor.visit_i128(*number),
            },
            KnobValue::Number(number) => visitor.visit_f64(*number),
            KnobValue::Text(text) => visitor.visit_borrowed_str(text),
            KnobValue::List(all) => visitor.visit_seq(SeqDeserializer::new(all.iter())),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        StrDeserializer::new(self.text()).deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
