//! The name of a stage or a selector with its values.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::Setting;

/// What a stage or a selector says of itself: the name that it is read back by, and the arguments of its
/// constructor under their names.
///
/// ```
/// use taper_sampling::prelude::*;
/// let top_k = TopK::new(50)?.ties(TiePolicy::KeepAll);
/// let settings = top_k.settings().unwrap();
/// assert_eq!(settings.to_string(), "top_k 50 ties=keep_all");
/// assert_eq!(settings.get("k"), Some(&Setting::Count(50)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    name: String,
    entries: Vec<Entry>,
    /// An argument that is not told.
    hidden: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    key: Cow<'static, str>,
    value: Setting,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Argument,
    Option,
    /// A policy as it is by default, which is written and not shown.
    Usual,
}

impl Settings {
    /// A stage without arguments.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_string(), entries: Vec::new(), hidden: None }
    }

    /// Says that there is a secret argument, which is not written: to read the stage back, a document must
    /// be given it.
    #[must_use]
    pub fn hiding(self, key: &'static str) -> Self {
        Self { hidden: Some(key), ..self }
    }

    /// The secret argument, if there is one.
    pub fn hidden(&self) -> Option<&'static str> {
        self.hidden
    }

    /// Appends an argument of the constructor.
    #[must_use]
    pub fn with(self, key: &'static str, value: impl Into<Setting>) -> Self {
        self.push(key, value.into(), Kind::Argument)
    }

    /// Appends an option, unless it is as it is by default.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "defaults are literals")]
    pub fn option<T: Into<Setting> + PartialEq>(
        self,
        key: &'static str,
        value: T,
        default: T,
    ) -> Self {
        if value == default { self } else { self.push(key, value.into(), Kind::Option) }
    }

    /// Appends an option that is written also where it is as it is by default: a tie policy, say.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "defaults are literals")]
    pub fn policy<T: Into<Setting> + PartialEq>(
        self,
        key: &'static str,
        value: T,
        default: T,
    ) -> Self {
        let kind = if value == default { Kind::Usual } else { Kind::Option };
        self.push(key, value.into(), kind)
    }

    fn push(mut self, key: &'static str, value: Setting, kind: Kind) -> Self {
        self.entries.push(Entry { key: key.into(), value, kind });
        self
    }

    /// The name that it is read back by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The values by name, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.entries.iter().map(|entry| (&*entry.key, &entry.value))
    }

    /// A value by name.
    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.iter().find(|(own, _)| *own == key).map(|(_, value)| value)
    }

    /// Whether an option is as it is by default.
    pub(crate) fn is_usual(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key && entry.kind == Kind::Usual)
    }

    /// The arguments that are numbers, for the line of a pipeline.
    pub(crate) fn write_numbers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arguments = self.entries.iter().filter(|entry| entry.kind == Kind::Argument);
        for entry in arguments {
            match entry.value {
                Setting::Count(count) => write!(f, " {count}")?,
                // With a point, so that it is told from a count.
                Setting::Number(number) if f64::from(number as f32) == number => {
                    write!(f, " {:?}", number as f32)?;
                }
                Setting::Number(number) => write!(f, " {number:?}")?,
                _ => {}
            }
        }
        Ok(())
    }
}

impl fmt::Display for Settings {
    /// The name and its values; a single argument stands bare, others after their names, and options
    /// where they are not as they are by default.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        let arguments = self.entries.iter().filter(|entry| entry.kind == Kind::Argument).count();
        for entry in self.entries.iter().filter(|entry| entry.kind != Kind::Usual) {
            if arguments == 1 && entry.kind == Kind::Argument {
                write!(f, " {}", entry.value)?;
            } else {
                write!(f, " {}={}", entry.key, entry.value)?;
            }
        }
        Ok(())
    }
}

#[cfg(feature = "serde")]
impl Settings {
    /// As a JSON object whose first member says what it is.
    pub(crate) fn serialize_as<S: serde::Serializer>(
        &self,
        tag: &'static str,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(1 + self.entries.len()))?;
        map.serialize_entry(tag, &self.name)?;
        for (key, value) in self.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}
