//! The specs that come with the program.

use crate::knobs::nearest;

/// A spec that comes with the program; the file itself is in `specs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shipped {
    /// Its name.
    pub name: &'static str,
    /// Its TOML.
    pub text: &'static str,
}

/// There is no file and no spec of the program of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no file {name:?}, and no spec of that name comes with the program{}; `taper sweep --list` names those that do", .similar.map_or_else(String::new, |similar| format!("; there is a similar one: '{similar}'")))]
pub struct UnknownSpec {
    /// What was asked for.
    pub name: String,
    /// The spec that was perhaps meant.
    pub similar: Option<&'static str>,
}

impl Shipped {
    /// The spec of a name.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn find(name: &str) -> Result<&'static Self, UnknownSpec> {
        let similar = || nearest(name, shipped().iter().map(|spec| spec.name));
        let found = shipped().iter().find(|spec| spec.name == name);
        found.ok_or_else(|| UnknownSpec { name: name.to_owned(), similar: similar() })
    }
}

/// The specs that come with the program: one for each thing that decoding does which is worth seeing.
///
/// ```
/// use taper_runner::experiment::{Spec, shipped};
///
/// for spec in shipped() {
///     println!("{}: {}", spec.name, Spec::parse(spec.text)?.title);
/// }
/// # Ok::<(), taper_runner::experiment::SpecError>(())
/// ```
pub fn shipped() -> &'static [Shipped] {
    &[
        Shipped {
            name: "greedy_vs_sampling",
            text: include_str!("../../specs/greedy_vs_sampling.toml"),
        },
        Shipped { name: "temperature", text: include_str!("../../specs/temperature.toml") },
        Shipped { name: "top_k", text: include_str!("../../specs/top_k.toml") },
        Shipped { name: "top_p", text: include_str!("../../specs/top_p.toml") },
        Shipped { name: "min_p", text: include_str!("../../specs/min_p.toml") },
        Shipped {
            name: "min_max_new_tokens",
            text: include_str!("../../specs/min_max_new_tokens.toml"),
        },
        Shipped { name: "haiku_prompts", text: include_str!("../../specs/haiku_prompts.toml") },
        Shipped {
            name: "per_token_probabilities",
            text: include_str!("../../specs/per_token_probabilities.toml"),
        },
        Shipped { name: "beams", text: include_str!("../../specs/beams.toml") },
        Shipped { name: "repetition", text: include_str!("../../specs/repetition.toml") },
        Shipped { name: "semantics", text: include_str!("../../specs/semantics.toml") },
    ]
}
