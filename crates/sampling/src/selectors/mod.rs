//! The last step: one token out of the candidates that are left.

mod adaptive_p;
mod draw;
mod dual_key_gumbel;
mod greedy;
mod gumbel;
mod gumbel_watermark;
mod mirostat;
mod mirostat_v2;

pub use adaptive_p::AdaptiveP;
pub use draw::Draw;
pub use dual_key_gumbel::DualKeyGumbel;
pub use greedy::Greedy;
pub use gumbel::Gumbel;
pub use gumbel_watermark::GumbelWatermark;
pub use mirostat::Mirostat;
pub use mirostat_v2::MirostatV2;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use crate::candidates::Candidates;
use crate::data::Settings;
use crate::error::StageError;
use crate::sequence::StageMemory;
use crate::stage::StepContext;

/// Chooses the token. Like a [`Stage`](crate::Stage) it is immutable and shared.
pub trait Selector: fmt::Debug + Send + Sync {
    /// The name by which traces and errors call it.
    fn name(&self) -> &str;

    /// What it says of its settings, for [`Pipeline`](crate::Pipeline)s as data; `None` if it cannot be
    /// written down.
    fn settings(&self) -> Option<Settings> {
        None
    }

    /// One of the candidates; never a banned one.
    ///
    /// # Errors
    ///
    /// Whatever a verb refuses.
    fn select(
        &self,
        candidates: &mut Candidates<'_>,
        step: &StepContext<'_>,
    ) -> Result<u32, StageError>;

    /// Whether it takes the best candidate, for [`Pipeline::lints`](crate::Pipeline::lints).
    fn takes_best(&self) -> bool {
        false
    }

    /// Whether it is a draw from the distribution that it is given, with nothing besides: of such a
    /// draw speculative decoding can keep the distribution.
    fn draws_plainly(&self) -> bool {
        false
    }

    /// Whether it cuts the candidates before it chooses among them, so that a trace should have an
    /// entry for it.
    fn truncates(&self) -> bool {
        false
    }

    /// A fresh memory for a new sequence, if the selector keeps one.
    fn new_memory(&self) -> Option<Box<dyn StageMemory>> {
        None
    }
}

macro_rules! selector_behind {
    ($($pointer:ident)*) => {
        $(impl<S: Selector + ?Sized> Selector for $pointer<S> {
            fn name(&self) -> &str {
                (**self).name()
            }

            fn select(
                &self,
                candidates: &mut Candidates<'_>,
                step: &StepContext<'_>,
            ) -> Result<u32, StageError> {
                (**self).select(candidates, step)
            }

            fn settings(&self) -> Option<Settings> {
                (**self).settings()
            }

            fn takes_best(&self) -> bool {
                (**self).takes_best()
            }

            fn draws_plainly(&self) -> bool {
                (**self).draws_plainly()
            }

            fn truncates(&self) -> bool {
                (**self).truncates()
            }

            fn new_memory(&self) -> Option<Box<dyn StageMemory>> {
                (**self).new_memory()
            }
        })*
    };
}

selector_behind!(Box Arc);
