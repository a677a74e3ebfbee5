//! Keys that must not be seen.

use core::fmt;

use super::sha256::sha256;
use crate::data::{Setting, SettingError};

/// The secret of a watermark: with it the mark can be found, and made.
///
/// It is never shown: [`Debug`](fmt::Debug) hides it, it has no `Display` and no `Serialize`, the
/// settings of a stage leave it out, and errors do not quote it.
///
/// ```
/// use taper_sampling::watermark::WatermarkKey;
/// assert_eq!(format!("{:?}", WatermarkKey::new(42)), "WatermarkKey(hidden)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WatermarkKey(u64);

impl WatermarkKey {
    /// A key of 64 bits.
    pub const fn new(key: u64) -> Self {
        Self(key)
    }

    pub(super) const fn get(self) -> u64 {
        self.0
    }

    /// The key, for an engine that computes with signed integers of 64 bits.
    pub(super) fn signed(self, argument: &'static str) -> Result<i64, SettingError> {
        i64::try_from(self.0).map_err(|_| hidden(argument, "in 0..2^63"))
    }

    /// The key of a part, as vLLM derives it: the first 64 bits of SHA-256 over the name of the part and
    /// the key, big endian.
    ///
    /// ```
    /// use taper_sampling::watermark::WatermarkKey;
    /// let key_a = WatermarkKey::new(15_691_511_769_010_696_906);
    /// assert_eq!(WatermarkKey::new(0).derive(b"key_a"), key_a);
    /// ```
    #[must_use]
    pub fn derive(self, part: &[u8]) -> Self {
        let digest = sha256(&[part, &self.0.to_be_bytes()]);
        Self(digest[..8].iter().fold(0, |key, &byte| key << 8 | u64::from(byte)))
    }
}

/// A refused key, without its value.
fn hidden(argument: &'static str, domain: &'static str) -> SettingError {
    SettingError::new(argument, Setting::Word("hidden".into()), domain)
}

impl fmt::Debug for WatermarkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WatermarkKey(hidden)")
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for WatermarkKey {
    /// A whole number; the error for another value does not quote it.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Written {
            Key(u64),
            Other(serde::de::IgnoredAny),
        }
        match Written::deserialize(deserializer)? {
            Written::Key(key) => Ok(Self(key)),
            Written::Other(_) => {
                Err(serde::de::Error::custom("a watermark key must be a whole number in 0..2^64"))
            }
        }
    }
}
