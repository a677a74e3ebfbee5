//! The values of one entry of a document, asked for by the constructor that takes them.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{FromSetting, PipelineError, Setting, SettingError};

/// The settings of one stage in a document. A constructor asks for what it takes; what is left over is
/// refused.
#[derive(Debug)]
pub struct Arguments {
    path: String,
    entries: Vec<(Cow<'static, str>, Setting)>,
    /// What was asked for.
    known: Vec<&'static str>,
}

impl Arguments {
    pub(super) fn new(path: String, entries: Vec<(Cow<'static, str>, Setting)>) -> Self {
        Self { path, entries, known: Vec::new() }
    }

    /// A setting that must be there.
    ///
    /// # Errors
    ///
    /// [`PipelineError::Missing`], and [`PipelineError::Expected`] for one of another type.
    pub fn required<T: FromSetting>(&mut self, key: &'static str) -> Result<T, PipelineError> {
        let expected = T::expected();
        let missing = PipelineError::Missing { path: self.path_of(key), expected };
        self.take(key)?.ok_or(missing)
    }

    /// A setting that may be left out.
    ///
    /// # Errors
    ///
    /// [`PipelineError::Expected`] for one of another type.
    pub fn optional<T: FromSetting>(
        &mut self,
        key: &'static str,
        default: T,
    ) -> Result<T, PipelineError> {
        Ok(self.take(key)?.unwrap_or(default))
    }

    /// The outcome of a constructor: a refused argument is called by its path in the document.
    ///
    /// # Errors
    ///
    /// [`PipelineError::Refused`].
    pub fn built<T>(&self, built: Result<T, SettingError>) -> Result<T, PipelineError> {
        built.map_err(|refused| {
            let path = self.path_of(refused.argument());
            PipelineError::Refused(refused.called(&path))
        })
    }

    fn take<T: FromSetting>(&mut self, key: &'static str) -> Result<Option<T>, PipelineError> {
        self.known.push(key);
        let Some(at) = self.entries.iter().position(|(own, _)| own == key) else { return Ok(None) };
        let (_, value) = self.entries.remove(at);
        match T::from_setting(&value) {
            Some(value) => Ok(Some(value)),
            None => {
                Err(PipelineError::Expected { path: self.path_of(key), expected: T::expected() })
            }
        }
    }

    fn path_of(&self, key: &str) -> String {
        alloc::format!("{}.{key}", self.path)
    }

    /// Refuses what was not asked for.
    pub(super) fn finish(self) -> Result<(), PipelineError> {
        let Some((key, _)) = self.entries.first() else { return Ok(()) };
        let near = near(key, self.known.iter().copied());
        let (path, name) = (self.path_of(key), key.to_string());
        Err(PipelineError::Unknown { path, kind: "setting", name, near })
    }
}

/// The nearest of the names, if it is near: of at most a third as many edits as it has letters.
pub(super) fn near(name: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let distance = |other: &str| {
        let other: Vec<char> = other.chars().collect();
        let mut row: Vec<usize> = (0..=other.len()).collect();
        for (i, a) in name.chars().enumerate() {
            let mut corner = core::mem::replace(&mut row[0], i + 1);
            for (j, &b) in other.iter().enumerate() {
                let best = (row[j] + 1).min(row[j + 1] + 1).min(corner + usize::from(a != b));
                corner = core::mem::replace(&mut row[j + 1], best);
            }
        }
        row[other.len()]
    };
    let nearest = names.map(|other| (distance(other), other)).min()?;
    (nearest.0 * 3 <= nearest.1.len().max(3)).then_some(nearest.1)
}
