//! The error of a constructor that refuses a value.

use alloc::borrow::Cow;
use alloc::boxed::Box;

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
#[error("{} is {}; it must be {}", .0.setting, .0.value, .0.domain)]
pub struct SettingError(
    /// In a box, since it rides in the errors of most of what embeds this crate.
    Box<Refused>,
);

#[derive(Debug, Clone, PartialEq)]
struct Refused {
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
        let (setting, value, domain) = (argument.into(), value.into(), domain.into());
        Self(Box::new(Refused { setting, value, domain, argument }))
    }

    /// The same under the name by which the caller knows the setting; a place in its value stays:
    /// `bad_words[2]` becomes `bad_words_ids[2]`.
    #[must_use]
    pub fn called(mut self, name: &str) -> Self {
        let place = &self.0.setting[self.key().len()..];
        self.0.setting = [name, place].concat().into();
        self
    }

    /// The name of the setting, and the place in its value, if it is one of several.
    pub fn setting(&self) -> &str {
        &self.0.setting
    }

    /// The name of the setting without the place in its value: `bad_words` of `bad_words[2]`.
    pub fn key(&self) -> &str {
        self.0.setting.split(['[', ' ']).next().unwrap_or_default()
    }

    /// Its value.
    pub fn value(&self) -> &Setting {
        &self.0.value
    }

    /// What it may be.
    pub fn domain(&self) -> &str {
        &self.0.domain
    }

    /// The argument of the constructor that it was.
    pub fn argument(&self) -> &'static str {
        self.0.argument
    }
}
