//! A pipeline as data: what each stage says of its settings, and the way back.
//!
//! - `setting`: a value, and its conversions.
//! - `settings`: the name of a stage with its values, in order.
//! - `refused`: the error of a constructor that refuses a value.
//! - `arguments`: the values of a document, asked for one by one.
//! - `registry`: the constructors by name, the built-in ones and a stranger's.
//! - `rust`: the code that makes it.
//! - `json`: the document itself, through serde.

mod arguments;
mod error;
#[cfg(feature = "serde")]
mod json;
mod policies;
mod refused;
mod registry;
mod rust;
mod setting;
mod settings;

pub use arguments::Arguments;
pub use error::PipelineError;
pub use policies::UnknownWord;
pub use refused::SettingError;
pub use registry::Registry;
pub use setting::{FromSetting, Setting};
pub use settings::Settings;

/// What a stage or a selector that reads back from its settings implements.
pub(crate) trait Described: Sized {
    /// Takes what the constructor takes, under the names of its arguments.
    fn read(arguments: &mut Arguments) -> Result<Self, PipelineError>;
}

#[cfg(all(test, feature = "serde"))]
mod tests;
