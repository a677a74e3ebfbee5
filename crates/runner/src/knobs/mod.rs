//! The knobs: every setting of a run that a person can turn, in one table.
//!
//! The flags of `taper generate`, the knobs of a spec, `--help`, the hints at misspelt names, the notes on
//! settings without effect and the ranges in errors are made of [`all`]; so can a form with fields and
//! sliders be.
//!
//! ```
//! use taper_runner::knobs::{self, Kind};
//!
//! let top_p = knobs::find("top_p")?;
//! assert_eq!(top_p.flag(), "--top-p");
//! assert_eq!(top_p.engines, ["huggingface", "llama.cpp", "vllm"]);
//! assert_eq!(knobs::find("typical_p")?.name_under("llama.cpp"), Some("typ_p"));
//!
//! let sliders = knobs::all().filter(|knob| knob.usual.is_some());
//! assert!(sliders.into_iter().all(|knob| matches!(knob.kind, Kind::Number(_) | Kind::Whole(_))));
//!
//! let refused = knobs::find("xtc_threshold")?.parse("2").unwrap_err();
//! assert_eq!(refused, "it must be in 0..=1 (above 0.5 is off)");
//! # Ok::<(), taper_runner::knobs::KnobError>(())
//! ```

mod error;
mod idle;
mod kind;
mod knob;
mod model_file;
mod read;
mod recommended;
mod rules;
mod table;
mod turned;
mod value;
mod vllm_file;
pub mod words;

use serde_json::{Map, Value};

pub use self::error::KnobError;
pub use self::idle::Idle;
pub use self::kind::{Choice, Kind, Range, Texts, Whole};
pub use self::knob::{Group, Knob, Needs};
pub(crate) use self::model_file::settle;
pub use self::model_file::{ModelConfigError, file_of, model_config, unused_settings};
pub use self::turned::Turned;
pub use self::value::KnobValue;

/// Knobs with their values, as a spec and a record have them.
pub type Knobs = Map<String, Value>;

/// Flags of `taper generate` that say what to report, which a spec says elsewhere.
const REPORTED: [&str; 2] = ["top_logprobs", "trace"];

/// All knobs, those of one group in the order in which a pipeline acts on them.
pub fn all() -> impl Iterator<Item = &'static Knob> {
    table::TABLES.iter().copied().flatten()
}

/// The knob of a name, whether or not a spec can turn it.
pub(crate) fn named(name: &str) -> Option<&'static Knob> {
    all().find(|knob| knob.name == name)
}

/// The knob of a name that a spec can turn.
///
/// # Errors
///
/// When there is none: what there is instead, or one with a similar name.
pub fn find(name: &str) -> Result<&'static Knob, KnobError> {
    if let Some(&name) = REPORTED.iter().find(|reported| **reported == name) {
        let instead = "it is no knob; write it at the top of the spec";
        return Err(KnobError::Elsewhere { name, instead });
    }
    match named(name) {
        Some(&Knob { name, instead: Some(instead), .. }) => {
            Err(KnobError::Elsewhere { name, instead })
        }
        Some(knob) => Ok(knob),
        None => {
            let turned = all().filter(|knob| knob.instead.is_none());
            let similar = nearest(name, turned.map(|knob| knob.name));
            Err(KnobError::Unknown { name: name.to_owned(), similar })
        }
    }
}

/// Hugging Face's warpers, by their settings: what acts only where tokens are drawn.
pub(crate) fn warpers() -> impl Iterator<Item = &'static str> {
    let acts = |knob: &&Knob| knob.needs == Needs::Drawing && knob.config.is_some();
    all().filter(acts).map(|knob| knob.name)
}

/// Which of `names` a misspelt one was perhaps meant to be.
pub(crate) fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let plain = name.replace('-', "_").to_lowercase();
    let scored = names.map(|known| (strsim::jaro_winkler(&plain, known), known));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(likeness, _)| *likeness > 0.8).map(|(_, known)| known)
}

#[cfg(test)]
mod tests;
