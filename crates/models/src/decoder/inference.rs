//! Decoding: the decoder as a [`LanguageModel`].

use std::any::Any;
use std::sync::Arc;

use candle_core::{Device, Error, Tensor};

use super::Decoder;
use super::context::{Cached, Context};
use super::cpu::Floats;
use super::kernels::Kernels;
use crate::cache::{Advanced, Cache, CacheLayout, Recurrent};
use crate::error::ModelError;
use crate::language_model::{Capabilities, LanguageModel, Outputs, State, Want, Work};
use crate::observe::{Observable, Observer};
use crate::passes::{Segment, check, passes};
use crate::watch::Watch;

/// Most tokens that are computed at once; longer work is done in several passes. It bounds the
/// scores, which would otherwise take the square of a prompt's length.
const TOKENS_PER_PASS: usize = 256;

impl LanguageModel for Decoder {
    fn family(&self) -> &str {
        &self.spec.family
    }

    fn vocab_size(&self) -> usize {
        self.spec.vocab_size
    }

    fn context_length(&self) -> usize {
        self.spec.context_length
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { truncate: !self.spec.is_recurrent(), ..Capabilities::ALL }
    }

    fn new_state(&self) -> Box<dyn State> {
        Box::new(Cache::new(Arc::clone(&self.cache_layout)))
    }

    fn forward(
        &self,
        state: &mut dyn State,
        work: &[Work<'_>],
        outputs: &mut Outputs,
    ) -> Result<(), ModelError> {
        self.append(state, work, outputs, None)
    }

    fn observable(&self) -> Option<Observable> {
        Some(self.spec.observable())
    }

    fn forward_observed(
        &self,
        state: &mut dyn State,
        work: &[Work<'_>],
        outputs: &mut Outputs,
        observer: &mut dyn Observer,
    ) -> Result<(), ModelError> {
        self.append(state, work, outputs, Some(&mut Watch::new(observer, &self.spec)))
    }

    fn read_out(&self, hidden: &[f32]) -> Result<Vec<f32>, ModelError> {
        let hidden = Tensor::new(hidden, &self.device)?.unsqueeze(0)?.to_dtype(self.dtype)?;
        Ok(self.logits(&hidden, Kernels::Fused)?.flatten_all()?.to_vec1()?)
    }
}

impl Decoder {
    /// [`forward`](LanguageModel::forward), watched or not.
    fn append(
        &self,
        state: &mut dyn State,
        work: &[Work<'_>],
        outputs: &mut Outputs,
        watch: Option<&mut Watch<'_>>,
    ) -> Result<(), ModelError> {
        let cache = (state as &mut dyn Any)
            .downcast_mut::<Cache<CacheLayout>>()
            .filter(|cache| Arc::ptr_eq(cache.layout(), &self.cache_layout))
            .ok_or(ModelError::ForeignState)?;
        check(&self.spec, cache, work)?;
        outputs.reset(self.spec.vocab_size, work);
        let result = self.compute(cache, work, outputs, watch);
        for piece in work {
            let row = cache.row_mut(piece.row)?;
            match result {
                Ok(_) => row.commit(row.len() + piece.tokens.len()),
                Err(_) => row.roll_back(),
            }
        }
        cache.advance(result?)?;
        Ok(())
    }

    /// Leaves keys and values behind the rows' ends and the logits in `outputs`.
    fn compute(
        &self,
        cache: &mut Cache<CacheLayout>,
        work: &[Work<'_>],
        outputs: &mut Outputs,
        mut watch: Option<&mut Watch<'_>>,
    ) -> Result<Advanced<Recurrent>, ModelError> {
        for piece in work {
            let row = cache.row_mut(piece.row)?;
            row.reserve(piece.tokens.len(), &self.cache_layout)?;
        }
        let mut advanced = Advanced::new();
        for segments in passes(cache, work, TOKENS_PER_PASS)? {
            let mut context = Cached::new(cache, &segments, &mut advanced, watch.as_deref_mut());
            self.pass(&mut context, work, &segments, outputs)?;
        }
        // A row with nothing but NaN comes from the weights, and looking for where is worth the time.
        // One with a few is the sampler's to judge: its user may want the others.
        let mut rows = (0..work.len())
            .flat_map(|index| outputs.logits(index).chunks_exact(self.spec.vocab_size));
        if rows.any(|row| row.iter().all(|logit| logit.is_nan())) {
            self.require_finite_weights()?;
        }
        Ok(advanced)
    }

    /// Where NaN comes out of a model, the weights may be why.
    fn require_finite_weights(&self) -> Result<(), ModelError> {
        for (name, tensor) in &self.tensors {
            let numbers = tensor.numbers()?;
            if let Some(found) = numbers.into_iter().find(|number| !number.is_finite()) {
                return Err(ModelError::NotFinite { tensor: name.clone(), found });
            }
        }
        Ok(())
    }

    fn pass(
        &self,
        context: &mut Cached<'_, '_>,
        work: &[Work<'_>],
        segments: &[Segment],
        outputs: &mut Outputs,
    ) -> candle_core::Result<()> {
        let (mut ids, mut positions, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
        for segment in segments {
            let piece = &work[segment.work];
            ids.extend_from_slice(&piece.tokens[segment.tokens.clone()]);
            positions.extend((segment.position..).take(segment.tokens.len()));
            let end = ids.len() as u32;
            wanted.extend(end - segment.wanted(piece) as u32..end);
        }
        let ids = Tensor::new(ids, &self.device)?;
        let hidden = self.hidden(&ids, &positions, context)?;
        if context.shows_hidden() {
            context.show(self.layers.len(), &self.norm.forward(&hidden, Kernels::Fused)?)?;
        }
        if wanted.is_empty() {
            return Ok(());
        }
        // As in a step of decoding: all of them are wanted, and nothing has to be gathered.
        let hidden = if wanted.len() == positions.len() {
            hidden
        } else {
            hidden.index_select(&Tensor::new(wanted, &self.device)?, 0)?
        };
        let logits = self.logits(&hidden, Kernels::Fused)?;
        let logits = logits.to_device(&Device::Cpu)?;
        let logits = Floats::of(&logits).ok_or_else(|| Error::msg("logits are not f32"))?;
        let rows = logits.contiguous().ok_or_else(|| Error::msg("logits are not in rows"))?;
        distribute(rows, work, segments, self.spec.vocab_size, outputs);
        Ok(())
    }
}

/// Copies the rows of a pass, one per wanted token, to where the caller looks for them.
fn distribute(
    mut rows: &[f32],
    work: &[Work<'_>],
    segments: &[Segment],
    vocab_size: usize,
    outputs: &mut Outputs,
) {
    for segment in segments {
        let piece = &work[segment.work];
        let (own, rest) = rows.split_at(segment.wanted(piece) * vocab_size);
        let offset = match piece.want {
            Want::All => segment.tokens.start * vocab_size,
            Want::Last => 0,
        };
        outputs.logits_mut(segment.work)[offset..][..own.len()].copy_from_slice(own);
        rows = rest;
    }
}
