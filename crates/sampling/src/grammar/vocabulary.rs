//! The bytes of every token, as a grammar needs them.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use llguidance::api::ParserLimits;
use llguidance::toktrie::{
    ApproximateTokEnv, INVALID_TOKEN, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie,
};
use llguidance::{ParserFactory, panic_utils};

use super::GrammarError;

/// A vocabulary as a [`Grammar`](super::Grammar) reads it: the bytes of every token, and which
/// tokens end a text.
///
/// Making one takes a while, as all tokens are sorted into a trie; cloning is free. A grammar
/// works on bytes, so a token may hold part of a character.
#[derive(Clone)]
pub struct GrammarVocabulary {
    factory: Arc<ParserFactory>,
}

/// What llguidance writes before the name of a special token, so that no text matches it.
const SPECIAL: u8 = TokTrie::SPECIAL_TOKEN_MARKER;

/// llguidance packs the length and the id of a token into 10 and 24 bits, and fails beyond.
const MOST_BYTES: usize = 1 << 10;
const MOST_TOKENS: usize = (1 << 24) - 1;

impl GrammarVocabulary {
    /// The vocabulary in which token `id` stands for the bytes `tokens[id]`. A token without bytes
    /// has no place in any text, and of tokens with the same bytes one is ever allowed.
    ///
    /// `special` are tokens such as `<s>`, which have a name and no text: a text that looks the
    /// same is not them. `eos` are those that may come where the grammar is satisfied.
    ///
    /// # Errors
    ///
    /// [`GrammarError::Vocabulary`] if there are no EOS tokens, if an id is outside the vocabulary,
    /// and for what llguidance refuses, such as a token of more than 1024 bytes.
    pub fn new(tokens: &[Vec<u8>], special: &[u32], eos: &[u32]) -> Result<Self, GrammarError> {
        let refuse = |what: String| Err(GrammarError::Vocabulary(what));
        if eos.is_empty() {
            return refuse("it has no EOS token; a text must be able to end".to_string());
        }
        if let Some(id) =
            [special, eos].concat().into_iter().find(|&id| id as usize >= tokens.len())
        {
            return refuse(format!("token {id} is outside the vocabulary of {}", tokens.len()));
        }
        if tokens.len() > MOST_TOKENS {
            return refuse(format!("it has {} tokens; {MOST_TOKENS} is the most", tokens.len()));
        }
        // One byte goes to the marker.
        if let Some(id) = tokens.iter().position(|token| token.len() >= MOST_BYTES) {
            let bytes = tokens[id].len();
            return refuse(format!("token {id} has {bytes} bytes; {} is the most", MOST_BYTES - 1));
        }
        let mut tokens = tokens.to_vec();
        for &id in special.iter().chain(eos) {
            let name = &mut tokens[id as usize];
            if name.first() != Some(&SPECIAL) {
                name.insert(0, SPECIAL);
            }
        }
        let info = TokRxInfo::new(tokens.len() as u32, INVALID_TOKEN);
        let made = panic_utils::catch_unwind(|| {
            let trie = TokTrie::from(&info, &tokens).with_eos_tokens(eos);
            Ok(Arc::new(ApproximateTokEnv::new(trie)))
        });
        Self::from_env(
            &(made.map_err(|error| GrammarError::Vocabulary(super::told(&error)))? as TokEnv),
        )
    }

    /// The vocabulary of an environment that is there already.
    ///
    /// # Errors
    ///
    /// [`GrammarError::Vocabulary`] for what llguidance refuses.
    pub fn from_env(tokens: &TokEnv) -> Result<Self, GrammarError> {
        let slices = llguidance::earley::SlicedBiasComputer::general_slices();
        let made = ParserFactory::new(tokens, InferenceCapabilities::default(), &slices);
        let mut factory = made.map_err(|error| GrammarError::Vocabulary(super::told(&error)))?;
        // It would print warnings, and put the whole grammar into its errors.
        factory.quiet();
        *factory.limits_mut() = ParserLimits { verbose_errors: false, ..ParserLimits::default() };
        Ok(Self { factory: Arc::new(factory) })
    }

    pub(super) fn factory(&self) -> &ParserFactory {
        &self.factory
    }

    /// The EOS tokens; an environment may name some that it does not have.
    pub(super) fn eos(&self) -> impl Iterator<Item = u32> {
        let trie = self.factory.tok_env().tok_trie();
        trie.eos_tokens().iter().copied().filter(|&token| (token as usize) < trie.vocab_size())
    }
}

impl fmt::Debug for GrammarVocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens = self.factory.tok_env().tok_trie().vocab_size();
        f.debug_struct("GrammarVocabulary").field("tokens", &tokens).finish_non_exhaustive()
    }
}
