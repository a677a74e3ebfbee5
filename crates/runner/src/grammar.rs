//! What the text must look like: a grammar that every sequence is held to.

#[cfg(feature = "llguidance")]
mod token_bytes;

use serde::Serialize;
use taper_sampling::Pipeline;

use crate::error::RequestError;
use crate::semantics::Semantics;
use crate::source::Source;

/// A grammar for the generated text; EOS may come only where the text is complete in it.
///
/// It takes a build with the feature `llguidance`, and a model with a tokenizer and an EOS token. A run
/// that reaches its limit first ends in the middle of the text, with the reason `length`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TextGrammar {
    /// JSON that a JSON schema allows; the schema, itself JSON.
    JsonSchema(String),
    /// What a regular expression matches as a whole.
    Regex(String),
    /// What a context-free grammar derives, in llguidance's variant of Lark's notation.
    #[serde(rename = "grammar")]
    Lark(String),
}

impl TextGrammar {
    /// Its name among the settings.
    pub fn key(&self) -> &'static str {
        match self {
            Self::JsonSchema(_) => "json_schema",
            Self::Regex(_) => "regex",
            Self::Lark(_) => "grammar",
        }
    }
}

/// The pipeline, with the grammar where the engine has one: transformers after its processors and
/// before its warpers, the others before all else. llama.cpp itself first tries a token and masks only
/// when that one is refused, which with cuts is another distribution.
#[cfg(feature = "llguidance")]
pub(crate) fn constrain(
    mut pipeline: Pipeline,
    grammar: &TextGrammar,
    eos: &[u32],
    semantics: &Semantics,
    source: &Source<'_>,
) -> Result<Pipeline, RequestError> {
    use taper_sampling::{Constraint, Grammar};

    let key = grammar.key();
    let refused = |reason: String| RequestError::Grammar { key, reason };
    let tokenizer = source.tokenizer.ok_or_else(|| {
        refused("a grammar needs text, and the model has no tokenizer.json".into())
    })?;
    let vocabulary =
        token_bytes::vocabulary(tokenizer, source.model.vocab_size(), eos).map_err(refused)?;
    let matcher = match grammar {
        TextGrammar::JsonSchema(schema) => Grammar::json_schema(schema, &vocabulary),
        TextGrammar::Regex(pattern) => Grammar::regex(pattern, &vocabulary),
        TextGrammar::Lark(grammar) => Grammar::lark(grammar, &vocabulary),
    };
    let matcher = matcher.map_err(|error| refused(error.to_string()))?;
    let place = match semantics {
        Semantics::HuggingFace => processors(&pipeline),
        Semantics::LlamaCpp(_) | Semantics::Vllm(_) | Semantics::Own(_) => 0,
    };
    pipeline.insert(place, Constraint::new(matcher).named("grammar"));
    Ok(pipeline)
}

#[cfg(not(feature = "llguidance"))]
pub(crate) fn constrain(
    _: Pipeline,
    grammar: &TextGrammar,
    _: &[u32],
    _: &Semantics,
    _: &Source<'_>,
) -> Result<Pipeline, RequestError> {
    let reason = "this build has no grammars; build it with `--features llguidance`".to_owned();
    Err(RequestError::Grammar { key: grammar.key(), reason })
}

/// How many stages of transformers' list come before its warpers. A processor may lift a ban
/// (`remove_invalid_values` does), so the grammar comes after them all.
#[cfg(feature = "llguidance")]
fn processors(pipeline: &Pipeline) -> usize {
    const WARPERS: [&str; 9] = [
        "temperature",
        "top_h",
        "top_k",
        "top_p",
        "min_p",
        "typical_p",
        "epsilon_cutoff",
        "eta_cutoff",
        "renormalize_logits",
    ];
    let mut stages = pipeline.stages().iter();
    let first = stages.position(|stage| WARPERS.contains(&stage.name()));
    first.unwrap_or(pipeline.stages().len())
}
