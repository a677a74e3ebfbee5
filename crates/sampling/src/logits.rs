//! What a step starts from.

use alloc::vec::Vec;

#[cfg(feature = "half")]
use half::{bf16, f16};

use crate::kernels::rows::visits;
use crate::pipeline::SelectError;

/// The logits of one position: a dense row in one of three precisions, or a list.
///
/// A row in half precision is widened to `f32`, which loses nothing, and the step goes on in `f32`.
/// Of a list, a token that is not on it counts as removed before the first stage.
///
/// ```
/// use taper_sampling::prelude::*;
///
/// let mut sampler = Sampler::new(Pipeline::greedy(), 100);
/// assert_eq!(sampler.next(&[(42, 1.5), (7, 2.5)])?, 7);
/// # Ok::<(), SelectError>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Logits<'r> {
    /// One logit for each token of the vocabulary. Borrowed, and never written.
    F32(&'r [f32]),
    /// The same in IEEE half precision.
    #[cfg(feature = "half")]
    F16(&'r [f16]),
    /// The same in bfloat16.
    #[cfg(feature = "half")]
    Bf16(&'r [bf16]),
    /// Tokens with their logits, in any order, each token at most once.
    List(&'r [(u32, f32)]),
}

/// A slice, a vector and an array of one kind of entry.
macro_rules! from_rows {
    ($entry:ty, $variant:ident) => {
        impl<'r> From<&'r [$entry]> for Logits<'r> {
            fn from(entries: &'r [$entry]) -> Self {
                Self::$variant(entries)
            }
        }

        impl<'r> From<&'r Vec<$entry>> for Logits<'r> {
            fn from(entries: &'r Vec<$entry>) -> Self {
                Self::$variant(entries)
            }
        }

        impl<'r, const N: usize> From<&'r [$entry; N]> for Logits<'r> {
            fn from(entries: &'r [$entry; N]) -> Self {
                Self::$variant(entries)
            }
        }
    };
}

from_rows!(f32, F32);
from_rows!((u32, f32), List);
#[cfg(feature = "half")]
from_rows!(f16, F16);
#[cfg(feature = "half")]
from_rows!(bf16, Bf16);

impl Logits<'_> {
    /// Logits given: one per token, or as many as are on the list.
    pub fn len(&self) -> usize {
        match *self {
            Self::F32(row) => row.len(),
            #[cfg(feature = "half")]
            Self::F16(row) => row.len(),
            #[cfg(feature = "half")]
            Self::Bf16(row) => row.len(),
            Self::List(list) => list.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is one for each token, in order.
    pub(crate) fn is_row(&self) -> bool {
        !matches!(self, Self::List(_))
    }

    /// Checks that these are logits of a vocabulary of this size.
    pub(crate) fn check(self, vocab_size: usize) -> Result<(), SelectError> {
        let Self::List(list) = self else {
            let row = self.len();
            let fits = row == vocab_size;
            return if fits {
                Ok(())
            } else {
                Err(SelectError::RowLength { row, workspace: vocab_size })
            };
        };
        match list.iter().find(|(id, _)| *id as usize >= vocab_size) {
            Some(&(id, _)) => Err(SelectError::UnknownToken { id, vocab_size }),
            None => Ok(()),
        }
    }

    /// Writes a row of all of them, −∞ for a token that is not listed, over what `out` has.
    pub(crate) fn widen(self, vocab_size: usize, out: &mut Vec<f32>) -> Result<(), SelectError> {
        self.check(vocab_size)?;
        out.clear();
        match self {
            Self::F32(row) => out.extend_from_slice(row),
            #[cfg(feature = "half")]
            Self::F16(row) => out.extend(row.iter().map(|x| x.to_f32())),
            #[cfg(feature = "half")]
            Self::Bf16(row) => out.extend(row.iter().map(|x| x.to_f32())),
            Self::List(list) => {
                let mut ids: Vec<u32> = list.iter().map(|&(id, _)| id).collect();
                ids.sort_unstable();
                if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
                    return Err(SelectError::ListedTwice { id: pair[0] });
                }
                out.resize(vocab_size, f32::NEG_INFINITY);
                for &(id, logit) in list {
                    out[id as usize] = logit;
                }
            }
        }
        Ok(())
    }

    /// The logit of a token, if it has one.
    pub fn get(&self, token: u32) -> Option<f32> {
        let at = token as usize;
        match *self {
            Self::F32(row) => row.get(at).copied(),
            #[cfg(feature = "half")]
            Self::F16(row) => row.get(at).map(|x| x.to_f32()),
            #[cfg(feature = "half")]
            Self::Bf16(row) => row.get(at).map(|x| x.to_f32()),
            Self::List(list) => list.iter().find(|(id, _)| *id == token).map(|&(_, logit)| logit),
        }
    }

    /// The place of a token with this logit, from 1, equals by lower id. `block_max` are those of a row,
    /// if they are known.
    pub(crate) fn rank(&self, token: u32, logit: f32, block_max: Option<&[f32]>) -> usize {
        let first = |id: u32, other: f32| other > logit || (other == logit && id < token);
        let counted = match *self {
            Self::F32(row) => visits::count_before(row, block_max, token as usize, logit),
            #[cfg(feature = "half")]
            Self::F16(row) => (0..).zip(row).filter(|&(id, x)| first(id, x.to_f32())).count(),
            #[cfg(feature = "half")]
            Self::Bf16(row) => (0..).zip(row).filter(|&(id, x)| first(id, x.to_f32())).count(),
            Self::List(list) => list.iter().filter(|&&(id, x)| first(id, x)).count(),
        };
        1 + counted
    }
}
