//! What a run needs of a model.

use taper_models::tokenizers::Tokenizer;
use taper_models::{LanguageModel, LoadedModel};

/// What generates: a model, and the tokenizer that makes text of its tokens.
#[derive(Debug, Clone, Copy)]
pub struct Source<'m> {
    /// What to call it in the outcome.
    pub name: &'m str,
    /// The model.
    pub model: &'m dyn LanguageModel,
    /// Without one the tokens have no text.
    pub tokenizer: Option<&'m Tokenizer>,
}

impl<'m> From<&'m LoadedModel> for Source<'m> {
    fn from(loaded: &'m LoadedModel) -> Self {
        Self { name: &loaded.name, model: &*loaded.model, tokenizer: loaded.tokenizer.as_ref() }
    }
}
