//! The memory a step works in.

use core::fmt;

use crate::candidates::Buffers;
use crate::pipeline::Trace;

/// The buffers of one decoding thread, sized for a vocabulary when built.
///
/// A step in a workspace allocates nothing, whatever the row looks like. It holds nothing of the
/// sequence: use one workspace for any number of sequences in turn. About 71 bytes a token of
/// vocabulary, 9 MB at 128 256, of which an ordinary step touches a small part.
pub struct Workspace {
    vocab_size: usize,
    pub(crate) buffers: Buffers,
    pub(crate) trace: Trace,
    pub(crate) top: alloc::vec::Vec<(u32, f64)>,
}

impl fmt::Debug for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workspace").field("vocab_size", &self.vocab_size).finish_non_exhaustive()
    }
}

impl Workspace {
    /// Buffers for rows of `vocab_size` logits.
    pub fn new(vocab_size: usize) -> Self {
        Self {
            vocab_size,
            buffers: Buffers::for_vocabulary(vocab_size),
            trace: Trace::default(),
            top: alloc::vec::Vec::new(),
        }
    }

    /// The row length this workspace was built for.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }
}
