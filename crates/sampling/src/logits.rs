//! What a step starts from.

#[cfg(feature = "half")]
use half::{bf16, f16};

use crate::kernels::visits;

/// The logits of one position: a dense row in one of three precisions, or a list.
///
/// A row in half precision is widened to `f32`, which loses nothing, and the step goes on in `f32`.
/// Of a list, a token that is not on it counts as removed before the first stage.
///
/// ```
/// use taper_sampling::*;
///
/// let pipeline = Pipeline::greedy();
/// let (step, mut workspace) = (Step::new(DrawKey::new(7)), Workspace::new(100));
/// let listed = [(42, 1.5), (7, 2.5)];
/// assert_eq!(pipeline.select_from(Logits::List(&listed), &step, &mut workspace)?.token, 7);
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

impl<'r> From<&'r [f32]> for Logits<'r> {
    fn from(row: &'r [f32]) -> Self {
        Self::F32(row)
    }
}

#[cfg(feature = "half")]
impl<'r> From<&'r [f16]> for Logits<'r> {
    fn from(row: &'r [f16]) -> Self {
        Self::F16(row)
    }
}

#[cfg(feature = "half")]
impl<'r> From<&'r [bf16]> for Logits<'r> {
    fn from(row: &'r [bf16]) -> Self {
        Self::Bf16(row)
    }
}

impl<'r> From<&'r [(u32, f32)]> for Logits<'r> {
    fn from(list: &'r [(u32, f32)]) -> Self {
        Self::List(list)
    }
}

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
