//! Why a document makes no pipeline, or a pipeline no document.

use alloc::borrow::Cow;
use alloc::string::String;

use super::SettingError;

/// Why a document makes no pipeline, or a pipeline no document. A path says where: `[1].k` is the
/// member `k` of the second entry.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// Not JSON at all.
    #[error("the pipeline is not JSON: {reason}")]
    NotJson {
        /// What is wrong, and where.
        reason: String,
    },
    /// Something else than a list of stages.
    #[error("{path}: this must be {expected}")]
    Expected {
        /// Where.
        path: String,
        /// What belongs there.
        expected: Cow<'static, str>,
    },
    /// No constructor has this name.
    #[error("{path}: there is no {kind} {name}{}", Near(*near))]
    Unknown {
        /// Where.
        path: String,
        /// `stage`, `selector` or `setting`.
        kind: &'static str,
        /// The name.
        name: String,
        /// The nearest name that there is.
        near: Option<&'static str>,
    },
    /// A setting that a constructor needs.
    #[error("{path} is missing; it must be {expected}")]
    Missing {
        /// Where it belongs.
        path: String,
        /// What it must be.
        expected: Cow<'static, str>,
    },
    /// A setting out of its range, called by its path.
    #[error("{0}")]
    Refused(SettingError),
    /// A stage or a selector that has no settings to write: a closure, a grammar.
    #[error("{stage} has no settings that could be written down; leave it out, or give it some")]
    NotData {
        /// Its name.
        stage: String,
    },
}

struct Near(Option<&'static str>);

impl core::fmt::Display for Near {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Some(near) => write!(f, "; did you mean {near}?"),
            None => Ok(()),
        }
    }
}

impl PipelineError {
    /// Where in the document, if it is one of a document.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Expected { path, .. }
            | Self::Unknown { path, .. }
            | Self::Missing { path, .. } => Some(path),
            Self::Refused(refused) => Some(refused.setting()),
            Self::NotJson { .. } | Self::NotData { .. } => None,
        }
    }
}
