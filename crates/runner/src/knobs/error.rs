//! Why a knob cannot be turned so.

use super::{Knob, ModelConfigError};
use crate::error::RequestError;
use crate::told::shortened;

/// Why a knob cannot be turned so.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KnobError {
    /// There is no such knob.
    #[error("{}: there is no such knob{}", shortened(name), .similar.map_or_else(String::new, |name| format!("; there is a similar one: '{name}'")))]
    Unknown {
        /// What was written.
        name: String,
        /// The knob that was perhaps meant.
        similar: Option<&'static str>,
    },
    /// It is a flag of `taper generate` and no knob of a spec.
    #[error("{name}: {instead}")]
    Elsewhere {
        /// Its name.
        name: &'static str,
        /// What there is instead.
        instead: &'static str,
    },
    /// The engine whose rules are asked for has no such setting.
    #[error("{}: {engine} {}, or use semantics = {}", .knob.name, .knob.kin_under(engine).map_or_else(|| "has no such setting; leave it out".to_owned(), |kin| format!("calls it {}; use that", kin.name)), .knob.engines.join(" or "))]
    Foreign {
        /// The knob.
        knob: &'static Knob,
        /// The engine.
        engine: &'static str,
    },
    /// The value has the wrong type, or is out of its range.
    #[error("{name} is {value}; {domain}")]
    Value {
        /// The knob.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        domain: String,
    },
    /// The text cannot be made into tokens.
    #[error("{name}: {source}")]
    Text {
        /// The knob.
        name: &'static str,
        /// Why.
        source: RequestError,
    },
    /// The model's own settings cannot be read.
    #[error("the model's {0}")]
    Model(#[from] ModelConfigError),
    /// The value is out of its range, or does not go with another.
    #[error(transparent)]
    Request(#[from] RequestError),
}
