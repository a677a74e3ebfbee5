//! A value of a setting.

use alloc::borrow::Cow;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;

use crate::sequence::Window;
use crate::stages::LengthLimit;
use crate::watermark::WatermarkKey;

/// A value of a setting: what JSON can say, and ±∞.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Setting {
    /// Yes or no.
    Flag(bool),
    /// A count, or a token.
    Count(u64),
    /// A number.
    Number(f64),
    /// A word, such as a tie policy.
    Word(Cow<'static, str>),
    /// A list.
    List(Vec<Setting>),
    /// Values by name.
    Map(Vec<(Cow<'static, str>, Setting)>),
}

impl fmt::Display for Setting {
    /// As in JSON, but words bare, long lists cut short, and a number of single precision as short as it
    /// is in that: 0.95, not 0.949999988079071.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 6;
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Count(count) => write!(f, "{count}"),
            Self::Number(number) if f64::from(*number as f32) == *number => {
                write!(f, "{}", *number as f32)
            }
            Self::Number(number) => write!(f, "{number}"),
            Self::Word(word) => f.write_str(word),
            Self::List(list) if list.is_empty() => f.write_str("empty"),
            Self::List(list) => {
                f.write_str("[")?;
                for (i, item) in list.iter().take(SHOWN).enumerate() {
                    write!(f, "{}{item}", if i > 0 { ", " } else { "" })?;
                }
                if list.len() > SHOWN {
                    write!(f, ", and {} more", list.len() - SHOWN)?;
                }
                f.write_str("]")
            }
            Self::Map(entries) => {
                f.write_str("{")?;
                for (i, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{key}: {value}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str("}")
            }
        }
    }
}

impl From<bool> for Setting {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u32> for Setting {
    fn from(token: u32) -> Self {
        Self::Count(token.into())
    }
}

impl From<u64> for Setting {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<usize> for Setting {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl From<f64> for Setting {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<f32> for Setting {
    /// The shortest decimal number that rounds to it: 0.8, not 0.800000011920929.
    fn from(number: f32) -> Self {
        let short = number.to_string().parse().ok();
        let same = short.filter(|&short: &f64| short as f32 == number);
        Self::Number(same.unwrap_or(f64::from(number)))
    }
}

impl From<&'static str> for Setting {
    fn from(word: &'static str) -> Self {
        Self::Word(word.into())
    }
}

impl<T: Clone + Into<Self>> From<&[T]> for Setting {
    fn from(items: &[T]) -> Self {
        Self::List(items.iter().cloned().map(Into::into).collect())
    }
}

impl<T: Into<Self>> From<Vec<T>> for Setting {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl<A: Into<Self>, B: Into<Self>> From<(A, B)> for Setting {
    fn from((one, other): (A, B)) -> Self {
        Self::List([one.into(), other.into()].into())
    }
}

impl From<Window> for Setting {
    fn from(window: Window) -> Self {
        let mut entries = Vec::from([("prompt".into(), window.prompt.into())]);
        entries.extend(window.last.map(|last| ("last".into(), last.into())));
        Self::Map(entries)
    }
}

impl From<LengthLimit> for Setting {
    fn from(limit: LengthLimit) -> Self {
        let (key, tokens) = match limit {
            LengthLimit::Total(tokens) => ("total", tokens),
            LengthLimit::New(tokens) => ("new", tokens),
        };
        Self::Map([(key.into(), tokens.into())].into())
    }
}

/// What a [`Setting`] can be read as.
pub trait FromSetting: Sized {
    /// What it must be, for an error: "a number".
    fn expected() -> Cow<'static, str>;

    /// The value, if the setting is one.
    fn from_setting(setting: &Setting) -> Option<Self>;
}

macro_rules! from_setting {
    ($type:ty, $expected:expr, $read:expr) => {
        impl FromSetting for $type {
            fn expected() -> Cow<'static, str> {
                $expected.into()
            }

            fn from_setting(setting: &Setting) -> Option<Self> {
                let read: fn(&Setting) -> Option<Self> = $read;
                read(setting)
            }
        }
    };
}

fn count(setting: &Setting) -> Option<u64> {
    match *setting {
        Setting::Count(count) => Some(count),
        // Some formats have one kind of number.
        Setting::Number(number) if (0.0..9e15).contains(&number) && number % 1.0 == 0.0 => {
            Some(number as u64)
        }
        _ => None,
    }
}

from_setting!(bool, "true or false", |setting| match setting {
    Setting::Flag(flag) => Some(*flag),
    _ => None,
});
from_setting!(usize, "a whole number, not negative", |s| usize::try_from(count(s)?).ok());
from_setting!(u32, "a token id", |s| u32::try_from(count(s)?).ok());
from_setting!(u64, "a whole number, not negative", count);
from_setting!(WatermarkKey, "a secret whole number in 0..2^64", |setting| {
    count(setting).map(WatermarkKey::new)
});
from_setting!(f64, "a number", |setting| match setting {
    Setting::Number(number) => Some(*number),
    Setting::Count(count) => Some(*count as f64),
    // JSON has no word for them.
    Setting::Word(word) if word == "-inf" => Some(f64::NEG_INFINITY),
    Setting::Word(word) if word == "inf" => Some(f64::INFINITY),
    _ => None,
});

from_setting!(Window, "{\"prompt\": true or false, \"last\": a count, if any}", |setting| {
    let Setting::Map(entries) = setting else { return None };
    let mut window = Window { prompt: true, last: None };
    for (key, value) in entries {
        match &**key {
            "prompt" => window.prompt = FromSetting::from_setting(value)?,
            "last" => window.last = Some(FromSetting::from_setting(value)?),
            _ => return None,
        }
    }
    Some(window)
});

from_setting!(LengthLimit, "{\"total\": a count} or {\"new\": a count}", |setting| {
    let Setting::Map(entries) = setting else { return None };
    let [(key, value)] = &entries[..] else { return None };
    let tokens = FromSetting::from_setting(value)?;
    match &**key {
        "total" => Some(LengthLimit::Total(tokens)),
        "new" => Some(LengthLimit::New(tokens)),
        _ => None,
    }
});

impl<T: FromSetting> FromSetting for Vec<T> {
    fn expected() -> Cow<'static, str> {
        alloc::format!("a list, each entry {}", T::expected()).into()
    }

    fn from_setting(setting: &Setting) -> Option<Self> {
        let Setting::List(items) = setting else { return None };
        items.iter().map(T::from_setting).collect()
    }
}

impl<A: FromSetting, B: FromSetting> FromSetting for (A, B) {
    fn expected() -> Cow<'static, str> {
        alloc::format!("a list of two, {} and {}", A::expected(), B::expected()).into()
    }

    fn from_setting(setting: &Setting) -> Option<Self> {
        let Setting::List(items) = setting else { return None };
        let [one, other] = &items[..] else { return None };
        Some((A::from_setting(one)?, B::from_setting(other)?))
    }
}

#[cfg(feature = "serde")]
mod json {
    use serde::de::{Error, MapAccess, SeqAccess, Visitor};
    use serde::ser::{SerializeMap, SerializeSeq};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::*;
    use alloc::string::String;

    impl Serialize for Setting {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self {
                Self::Flag(flag) => serializer.serialize_bool(*flag),
                Self::Count(count) => serializer.serialize_u64(*count),
                Self::Number(number) if *number == f64::INFINITY => serializer.serialize_str("inf"),
                Self::Number(number) if *number == f64::NEG_INFINITY => {
                    serializer.serialize_str("-inf")
                }
                Self::Number(number) => serializer.serialize_f64(*number),
                Self::Word(word) => serializer.serialize_str(word),
                Self::List(items) => {
                    let mut list = serializer.serialize_seq(Some(items.len()))?;
                    for item in items {
                        list.serialize_element(item)?;
                    }
                    list.end()
                }
                Self::Map(entries) => {
                    let mut map = serializer.serialize_map(Some(entries.len()))?;
                    for (key, value) in entries {
                        map.serialize_entry(key, value)?;
                    }
                    map.end()
                }
            }
        }
    }

    impl<'de> Deserialize<'de> for Setting {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(Any)
        }
    }

    struct Any;

    impl<'de> Visitor<'de> for Any {
        type Value = Setting;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("true, false, a number, a text, a list or an object")
        }

        fn visit_bool<E: Error>(self, flag: bool) -> Result<Setting, E> {
            Ok(Setting::Flag(flag))
        }

        fn visit_u64<E: Error>(self, count: u64) -> Result<Setting, E> {
            Ok(Setting::Count(count))
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<Setting, E> {
            let count = u64::try_from(number).map(Setting::Count);
            Ok(count.unwrap_or(Setting::Number(number as f64)))
        }

        fn visit_f64<E: Error>(self, number: f64) -> Result<Setting, E> {
            Ok(Setting::Number(number))
        }

        fn visit_str<E: Error>(self, word: &str) -> Result<Setting, E> {
            Ok(Setting::Word(word.to_string().into()))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Setting, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element()? {
                list.push(item);
            }
            Ok(Setting::List(list))
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Setting, A::Error> {
            let mut map: Vec<(Cow<'static, str>, Setting)> = Vec::new();
            while let Some((key, value)) = entries.next_entry::<String, Setting>()? {
                if map.iter().any(|(other, _)| *other == key) {
                    return Err(A::Error::custom(alloc::format!("the key {key} comes twice")));
                }
                map.push((key.into(), value));
            }
            Ok(Setting::Map(map))
        }
    }
}
