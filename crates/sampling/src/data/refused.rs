//! The error of a constructor that refuses a value.

use alloc::borrow::Cow;

use super::Setting;

/// A setting outside what a stage, a selector or an engine accepts.
///
/// ```
/// use taper_sampling::prelude::*;
/// let refused = TopK::new(0).unwrap_err();
/// assert_eq!((refused.setting(), refused.value()), ("top_k", &Setting::Count(0)));
/// assert_eq!(
///     refused.to_string(),
///     "top_k is 0; it must be at least 1 (leave the stage out to keep everything)"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{setting} is {value}; it must be {domain}")]
pub struct SettingError {
    setting: Cow<'static, str>,
    value: Setting,
    domain: Cow<'static, str>,
    argument: &'static str,
}

impl SettingError {
    /// A value of the argument of a constructor; the setting has the name of the argument, unless it is
    /// [`called`](Self::called) otherwise.
    pub fn new(
        argument: &'static str,
        value: impl Into<Setting>,
        domain: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { setting: argument.into(), value: value.into(), domain: domain.into(), argument }
    }

    /// The same under the name by which the caller knows the setting; a place in its value stays:
    /// `bad_words[2]` becomes `bad_words_ids[2]`.
    #[must_use]
    pub fn called(self, name: &str) -> Self {
        let place = &self.setting[self.key().len()..];
        let setting = [name, place].concat();
        Self { setting: setting.into(), ..self }
    }

    /// The name of the setting, and the place in its value, if it is one of several.
    pub fn setting(&self) -> &str {
        &self.setting
    }

    /// The name of the setting without the place in its value: `bad_words` of `bad_words[2]`.
    pub fn key(&self) -> &str {
        self.setting.split(['[', ' ']).next().unwrap_or_default()
    }

    /// Its value.
    pub fn value(&self) -> &Setting {
        &self.value
    }

    /// What it may be.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The argument of the constructor that it was.
    pub fn argument(&self) -> &'static str {
        self.argument
    }
}
