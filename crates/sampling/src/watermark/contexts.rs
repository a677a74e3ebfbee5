//! The context that a watermark of vLLM's goes by, and whether it was used before.

use super::NO_TOKEN;
use crate::data::{Arguments, PipelineError, SettingError, Settings};
use crate::sequence::History;

/// Which text is searched for a context that occurred before; where one is found, the token is drawn
/// without the mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ContextScope {
    /// None: a context that comes again draws the same way again, and a text may run in a loop.
    None,
    /// The generated tokens.
    #[default]
    SingleTurn,
    /// The prompt too; and the first tokens, whose contexts are not full, are not marked.
    All,
}

/// How many places back vLLM searches unless told otherwise.
const USUAL_HISTORY: usize = 8192;

/// The last `width` tokens generated, and where to search for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Contexts {
    width: usize,
    pub(crate) scope: ContextScope,
    /// 0 for all places.
    pub(crate) max_history: usize,
}

impl Contexts {
    pub(crate) fn new(width: usize) -> Result<Self, SettingError> {
        check_width(width)?;
        Ok(Self { width, scope: ContextScope::default(), max_history: USUAL_HISTORY })
    }

    /// The context of the next token.
    pub(crate) fn next(self, history: &History) -> impl ExactSizeIterator<Item = u32> {
        let generated = history.generated();
        context(generated, generated.len(), self.width)
    }

    /// Whether the next token is to be drawn without the mark.
    pub(crate) fn is_spent(self, history: &History) -> bool {
        let text = match self.scope {
            ContextScope::None => return false,
            ContextScope::SingleTurn => history.generated(),
            ContextScope::All if history.generated().len() < self.width => return true,
            ContextScope::All => history.tokens(),
        };
        let first = match self.max_history {
            0 => 0,
            most => text.len().saturating_sub(most),
        };
        (first..text.len()).any(|at| context(text, at, self.width).eq(self.next(history)))
    }

    pub(crate) fn describe(self, settings: Settings) -> Settings {
        settings
            .with("context_width", self.width)
            .policy("scope", self.scope, ContextScope::default())
            .option("max_history", self.max_history, USUAL_HISTORY)
    }

    pub(crate) fn read(arguments: &mut Arguments) -> Result<Self, PipelineError> {
        let width = arguments.required("context_width")?;
        let scope = arguments.optional("scope", ContextScope::default())?;
        let max_history = arguments.optional("max_history", USUAL_HISTORY)?;
        Ok(Self { scope, max_history, ..arguments.built(Self::new(width))? })
    }
}

pub(super) fn check_width(width: usize) -> Result<(), SettingError> {
    if width == 0 {
        return Err(SettingError::new("context_width", width, "at least 1"));
    }
    Ok(())
}

/// The `width` tokens before a place of the text.
pub(super) fn context(
    text: &[u32],
    at: usize,
    width: usize,
) -> impl ExactSizeIterator<Item = u32> + Clone {
    (0..width).map(move |i| (at + i).checked_sub(width).map_or(NO_TOKEN, |place| text[place]))
}
