//! The metadata of a GGUF file: keys with values.

use std::collections::HashMap;
use std::fmt;

use super::error::GgufError;

/// A value, whatever the width in which it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Natural(u64),
    Whole(i64),
    Real(f64),
    Flag(bool),
    Text(String),
    /// A text that is not UTF-8.
    Bytes(Vec<u8>),
    List(Vec<Value>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Natural(number) => number.fmt(f),
            Self::Whole(number) => number.fmt(f),
            Self::Real(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
            Self::Text(text) if text.len() < 80 => write!(f, "`{text}`"),
            Self::Text(text) => write!(f, "a text of {} bytes", text.len()),
            Self::Bytes(bytes) => write!(f, "{} bytes that are not UTF-8", bytes.len()),
            Self::List(list) => write!(f, "a list of {} values", list.len()),
        }
    }
}

impl Value {
    pub(super) fn text(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Bytes(error.into_bytes()),
        }
    }

    /// A number, or a flag as 0 or 1.
    pub(super) fn as_number(&self) -> Option<f64> {
        match self {
            Self::Natural(number) => Some(*number as f64),
            Self::Whole(number) => Some(*number as f64),
            Self::Real(number) => Some(*number),
            Self::Flag(flag) => Some(f64::from(u8::from(*flag))),
            Self::Text(_) | Self::Bytes(_) | Self::List(_) => None,
        }
    }

    fn as_count(&self) -> Option<usize> {
        match self {
            Self::Natural(number) => usize::try_from(*number).ok(),
            Self::Whole(number) => usize::try_from(*number).ok(),
            _ => None,
        }
    }

    fn as_real(&self) -> Option<f64> {
        match self {
            Self::Real(number) => Some(*number).filter(|number| number.is_finite()),
            _ => None,
        }
    }

    fn as_flag(&self) -> Option<bool> {
        match self {
            Self::Flag(flag) => Some(*flag),
            _ => None,
        }
    }

    fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn as_list<'a, T>(&'a self, read: impl Fn(&'a Value) -> Option<T>) -> Option<Vec<T>> {
        match self {
            Self::List(list) => list.iter().map(read).collect(),
            _ => None,
        }
    }
}

/// All keys of a file.
#[derive(Debug)]
pub(super) struct Metadata {
    values: HashMap<String, Value>,
    /// Every key that was looked up, for the test of the table of keys.
    #[cfg(test)]
    asked: std::sync::Mutex<std::collections::BTreeSet<String>>,
}

impl Metadata {
    pub(super) fn new(values: HashMap<String, Value>) -> Self {
        Self {
            values,
            #[cfg(test)]
            asked: std::sync::Mutex::default(),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        #[cfg(test)]
        self.asked.lock().unwrap().insert(key.to_owned());
        self.values.get(key)
    }

    #[cfg(test)]
    pub(super) fn asked(&self) -> std::collections::BTreeSet<String> {
        self.asked.lock().unwrap().clone()
    }

    fn optional<'a, T>(
        &'a self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, GgufError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        if let Value::Bytes(_) = value {
            return Err(GgufError::Text(format!("the value of `{key}`")));
        }
        read(value).map(Some).ok_or_else(|| GgufError::Value {
            key: key.to_owned(),
            found: value.to_string(),
            expected: expected.to_owned(),
        })
    }

    pub(super) fn optional_count(&self, key: &str) -> Result<Option<usize>, GgufError> {
        self.optional(key, "a whole number from 0 on", Value::as_count)
    }

    /// A number that holds for each of `layers`, which may be said once or for each.
    pub(super) fn layer_count(&self, key: &str, layers: usize) -> Result<Option<usize>, GgufError> {
        let expected = "a whole number from 0 on, the same for every layer";
        self.optional(key, expected, |value| {
            let Value::List(list) = value else { return value.as_count() };
            let first = list.first()?;
            let alike = list.len() == layers && list.iter().all(|other| other == first);
            first.as_count().filter(|_| alike)
        })
    }

    pub(super) fn count(&self, key: &str) -> Result<usize, GgufError> {
        required(key, self.optional_count(key)?)
    }

    pub(super) fn optional_real(&self, key: &str) -> Result<Option<f64>, GgufError> {
        self.optional(key, "a finite number, stored as f32 or f64", Value::as_real)
    }

    pub(super) fn real(&self, key: &str) -> Result<f64, GgufError> {
        required(key, self.optional_real(key)?)
    }

    pub(super) fn optional_flag(&self, key: &str) -> Result<Option<bool>, GgufError> {
        self.optional(key, "true or false", Value::as_flag)
    }

    pub(super) fn optional_text(&self, key: &str) -> Result<Option<&str>, GgufError> {
        self.optional(key, "a text", Value::as_text)
    }

    pub(super) fn text(&self, key: &str) -> Result<&str, GgufError> {
        required(key, self.optional_text(key)?)
    }

    pub(super) fn optional_texts(&self, key: &str) -> Result<Option<Vec<&str>>, GgufError> {
        self.optional(key, "a list of texts", |value| value.as_list(Value::as_text))
    }

    pub(super) fn texts(&self, key: &str) -> Result<Vec<&str>, GgufError> {
        required(key, self.optional_texts(key)?)
    }

    pub(super) fn optional_counts(&self, key: &str) -> Result<Option<Vec<usize>>, GgufError> {
        let expected = "a list of whole numbers from 0 on";
        self.optional(key, expected, |value| value.as_list(Value::as_count))
    }

    /// Those of a list of numbers that are ids of `tokens` tokens.
    pub(super) fn optional_ids(
        &self,
        key: &str,
        tokens: usize,
    ) -> Result<Option<Vec<usize>>, GgufError> {
        self.optional(key, "a list of ids", |value| {
            let whole = value.as_list(|value| {
                matches!(value, Value::Natural(_) | Value::Whole(_)).then_some(value)
            });
            let ids = whole?.into_iter().filter_map(Value::as_count);
            Some(ids.filter(|id| *id < tokens).collect())
        })
    }

    pub(super) fn optional_reals(&self, key: &str) -> Result<Option<Vec<f64>>, GgufError> {
        let expected = "a list of finite numbers";
        self.optional(key, expected, |value| value.as_list(Value::as_real))
    }

    /// One flag for each of `count` layers: listed, or by the rule that every so many-th is false.
    pub(super) fn layer_flags(
        &self,
        key: &str,
        count: usize,
    ) -> Result<Option<Vec<bool>>, GgufError> {
        let expected = "true or false for each layer, or a whole number";
        self.optional(key, expected, |value| {
            if let Value::List(_) = value {
                let flag = |value: &Value| value.as_flag().or_else(|| Some(value.as_count()? != 0));
                return value.as_list(flag).filter(|flags| flags.len() == count);
            }
            let period = value.as_count()?;
            let flag = |number: usize| period == 0 || !number.is_multiple_of(period);
            Some((1..=count).map(flag).collect())
        })
    }
}

fn required<T>(key: &str, value: Option<T>) -> Result<T, GgufError> {
    value.ok_or_else(|| GgufError::MissingKey(key.to_owned()))
}
