//! Words for the policies, once: [`Display`](core::fmt::Display), `FromStr`, settings and serde.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use super::{FromSetting, Setting};
use crate::candidates::{Edge, MassRule};
use crate::ties::{ArgmaxTies, TiePolicy};
use crate::watermark::{ContextScope, SeedingScheme};

/// A word that stands for none of the values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word} is unknown; it must be one of {known}")]
pub struct UnknownWord {
    word: String,
    known: &'static str,
}

macro_rules! words {
    ($type:ident, $known:literal, $($variant:ident = $word:literal),*) => {
        impl $type {
            const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }

        impl FromStr for $type {
            type Err = UnknownWord;

            /// With `_` or `-` between the words.
            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                $(if word.split(['_', '-']).eq($word.split('_')) {
                    return Ok(Self::$variant);
                })*
                Err(UnknownWord { word: word.to_string(), known: $known })
            }
        }

        impl From<$type> for Setting {
            fn from(value: $type) -> Self {
                Self::Word(value.word().into())
            }
        }

        impl FromSetting for $type {
            fn expected() -> Cow<'static, str> {
                concat!("one of ", $known).into()
            }

            fn from_setting(setting: &Setting) -> Option<Self> {
                let Setting::Word(word) = setting else { return None };
                word.parse().ok()
            }
        }

        #[cfg(feature = "serde")]
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.word())
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <Cow<'de, str>>::deserialize(deserializer)?;
                word.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

words!(
    TiePolicy,
    "keep_all, lowest_id, highest_id, random, error",
    KeepAll = "keep_all",
    LowestId = "lowest_id",
    HighestId = "highest_id",
    Random = "random",
    Error = "error"
);
words!(
    ArgmaxTies,
    "lowest_id, highest_id, random, error",
    LowestId = "lowest_id",
    HighestId = "highest_id",
    Random = "random",
    Error = "error"
);
words!(
    MassRule,
    "drop_tail, reach, exceed",
    DropTail = "drop_tail",
    Reach = "reach",
    Exceed = "exceed"
);
words!(
    ContextScope,
    "none, single_turn, all",
    None = "none",
    SingleTurn = "single_turn",
    All = "all"
);
words!(SeedingScheme, "lefthash, selfhash", LeftHash = "lefthash", SelfHash = "selfhash");
words!(Edge, "keep, drop", Keep = "keep", Drop = "drop");
