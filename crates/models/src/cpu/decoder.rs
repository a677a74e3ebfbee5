//! The decoder of a spec on the CPU, as a [`LanguageModel`].

use std::any::Any;
use std::sync::Arc;

use candle_core::DType;

use super::attention::{Angles, Rotation};
use super::cache::{CpuLayout, Recurrent};
use super::engine::Engine;
use super::layers::{Builder, Layer};
use super::math::{Add, Map, Scale, SoftCap};
use super::matrix::{Matrix, to_f32};
use super::parts::{Linear, Norm};
use super::rows::Rows;
use super::simd::Unit;
use crate::cache::{Advanced, Cache};
use crate::error::ModelError;
use crate::language_model::{Capabilities, LanguageModel, Outputs, State, Want, Work};
use crate::load::LoadError;
use crate::observe::{Observable, Observer};
use crate::passes::{Segment, check, passes};
use crate::spec::{DecoderSpec, HeadSpec};
use crate::threads::Threads;
use crate::watch::Watch;
use crate::weights::{HandedOut, Source, Stored, TensorSource};

/// Most tokens that are computed at once; longer work is done in several passes. It bounds the
/// memory that activations take.
const TOKENS_PER_PASS: usize = 512;

/// Most rows of logits that are computed at once: of a large vocabulary each takes a megabyte.
const LOGITS_AT_ONCE: usize = 64;

/// A model on the CPU: what a [`DecoderSpec`] asks for, computed on the weights where they lie.
///
/// The logits of a row have the same bits whatever else is in the call, however its tokens were cut
/// into calls, and on any number of threads.
#[derive(Debug)]
pub struct CpuDecoder {
    spec: DecoderSpec,
    engine: Engine,
    embedding: Matrix,
    /// One row for each position, in models that learn where they are.
    positions: Option<Matrix>,
    /// Each distinct rotation; layers refer to it by index.
    rotations: Vec<Rotation>,
    layers: Vec<Layer>,
    norm: Norm,
    head: Linear,
    weights: HandedOut,
    layout: Arc<CpuLayout>,
}

/// What the layers of one pass share.
pub(super) struct Pass<'a, 'w> {
    pub(super) cache: &'a mut Cache<CpuLayout>,
    pub(super) segments: &'a [Segment],
    /// By rotation.
    pub(super) angles: Vec<Angles>,
    /// What recurrent mixers have come to in this call.
    pub(super) advanced: &'a mut Advanced<Recurrent>,
    pub(super) watch: Option<&'a mut Watch<'w>>,
}

impl CpuDecoder {
    /// Takes the tensors that `spec` asks for from `source`, to compute on so many threads.
    ///
    /// Matrices stay in the type that they are stored in, unless they are to be converted to `dtype`;
    /// blocks of few bits always stay. What a source has in memory is shared, not copied.
    ///
    /// # Errors
    ///
    /// When a tensor is missing, cannot be read or has another shape than the spec says, and when
    /// the threads cannot be had.
    pub fn new(
        spec: &DecoderSpec,
        source: &dyn TensorSource,
        dtype: Option<DType>,
        threads: Threads,
    ) -> Result<Self, LoadError> {
        let engine = Engine::new(Unit::best(), threads.count()).map_err(LoadError::Threads)?;
        Self::with_engine(spec, source, dtype, engine)
    }

    pub(super) fn with_engine(
        spec: &DecoderSpec,
        source: &dyn TensorSource,
        dtype: Option<DType>,
        engine: Engine,
    ) -> Result<Self, LoadError> {
        let weights = Source::new(source, spec, dtype);
        let (vocab, hidden) = (spec.vocab_size, spec.hidden_size);
        let embedding = weights.matrix(&spec.embedding.weight, &[vocab, hidden])?;
        let embedding = Matrix::new(&embedding);
        let positions = spec.embedding.positions.as_ref();
        let positions = positions.map(|name| weights.get(name, &[spec.context_length, hidden]));
        let positions = positions.transpose()?.as_ref().map(Matrix::new);
        let rotations = spec.rotations();
        let mut builder = Builder {
            engine: &engine,
            weights: &weights,
            rotations: &rotations,
            attentions: 0,
            recurrent: 0,
        };
        let layers = spec.layers.iter().map(|layer| builder.layer(layer));
        let layers = layers.collect::<Result<_, _>>()?;
        let norm = Norm::new(&spec.norm, &weights)?;
        let head = match &spec.head {
            HeadSpec::Tied => Linear::tied(embedding.clone()),
            HeadSpec::Separate(head) => Linear::new(head, &weights)?,
        };
        Ok(Self {
            rotations: rotations.into_iter().map(Rotation::new).collect(),
            layout: Arc::new(CpuLayout::new(spec)),
            spec: spec.clone(),
            engine,
            embedding,
            positions,
            layers,
            norm,
            head,
            weights: weights.handed_out(),
        })
    }

    /// What the model is made of.
    pub fn spec(&self) -> &DecoderSpec {
        &self.spec
    }

    /// The vector unit that computes, such as `AVX-512`, and the number of threads.
    pub fn computes_on(&self) -> (&'static str, usize) {
        (self.engine.unit().name(), self.engine.threads())
    }

    /// Bytes of the matrices that lie inputs first, and were copied to turn them over.
    pub fn turned(&self) -> usize {
        self.weights.turned
    }

    /// Bytes of the matrices that were converted to another type.
    pub fn converted(&self) -> usize {
        self.weights.converted
    }

    /// The weights under the names that their source has for them.
    pub(crate) fn tensors(&self) -> &[(String, Stored)] {
        &self.weights.tensors
    }

    fn append(
        &self,
        state: &mut dyn State,
        work: &[Work<'_>],
        outputs: &mut Outputs,
        watch: Option<&mut Watch<'_>>,
    ) -> Result<(), ModelError> {
        let cache = (state as &mut dyn Any)
            .downcast_mut::<Cache<CpuLayout>>()
            .filter(|cache| Arc::ptr_eq(cache.layout(), &self.layout))
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
        cache: &mut Cache<CpuLayout>,
        work: &[Work<'_>],
        outputs: &mut Outputs,
        mut watch: Option<&mut Watch<'_>>,
    ) -> Result<Advanced<Recurrent>, ModelError> {
        for piece in work {
            cache.row_mut(piece.row)?.reserve(piece.tokens.len(), &self.layout)?;
        }
        let mut advanced = Advanced::new();
        for segments in passes(cache, work, TOKENS_PER_PASS)? {
            let positions = segments.iter().flat_map(|segment| {
                (segment.position..).take(segment.tokens.len()).collect::<Vec<_>>()
            });
            let positions: Vec<usize> = positions.collect();
            let size = self.layers.iter().map(Layer::size).sum::<usize>() + self.head.size();
            let mut pass = Pass {
                cache: &mut *cache,
                segments: &segments,
                angles: self.rotations.iter().map(|rotation| rotation.at(&positions)).collect(),
                advanced: &mut advanced,
                watch: watch.as_deref_mut(),
            };
            if pass.watch.is_some() {
                // An observer may not be one that another thread may call.
                self.pass(&mut pass, &positions, work, outputs);
            } else {
                let Pass { cache, segments, angles, advanced, .. } = pass;
                self.engine.enter(size * positions.len(), || {
                    let mut pass = Pass { cache, segments, angles, advanced, watch: None };
                    self.pass(&mut pass, &positions, work, outputs);
                });
            }
        }
        self.require_numbers(work, outputs)?;
        Ok(advanced)
    }

    fn pass(
        &self,
        pass: &mut Pass<'_, '_>,
        positions: &[usize],
        work: &[Work<'_>],
        outputs: &mut Outputs,
    ) {
        let mut x = self.embed(pass.segments, positions, work);
        for (index, layer) in self.layers.iter().enumerate() {
            show(pass, index, &x);
            layer.forward(&self.engine, &mut x, pass);
        }
        if pass.watch.as_ref().is_some_and(|watch| watch.wants().hidden) {
            show(pass, self.layers.len(), &self.norm.forward(&self.engine, &x));
        }
        let (mut wanted, mut places, mut end) = (Vec::new(), Vec::new(), 0);
        for segment in pass.segments {
            let piece = &work[segment.work];
            end += segment.tokens.len();
            let count = segment.wanted(piece);
            wanted.extend(end - count..end);
            let first = match piece.want {
                Want::All => segment.tokens.start,
                Want::Last => 0,
            };
            places.extend((first..first + count).map(|place| (segment.work, place)));
        }
        for (wanted, places) in wanted.chunks(LOGITS_AT_ONCE).zip(places.chunks(LOGITS_AT_ONCE)) {
            let logits = self.logits(&x.pick(wanted));
            for (index, &(piece, place)) in places.iter().enumerate() {
                let vocab = self.spec.vocab_size;
                let to = &mut outputs.logits_mut(piece)[place * vocab..][..vocab];
                to.copy_from_slice(logits.numbers(index));
            }
        }
    }

    fn embed(&self, segments: &[Segment], positions: &[usize], work: &[Work<'_>]) -> Rows {
        let tokens =
            segments.iter().flat_map(|segment| &work[segment.work].tokens[segment.tokens.clone()]);
        let tokens: Vec<usize> = tokens.map(|token| *token as usize).collect();
        let unit = self.engine.unit();
        let mut x = Rows::zeros(tokens.len(), self.spec.hidden_size);
        self.engine.each_row(&mut x, |index, row| {
            self.embedding.row(unit, tokens[index], row);
            if let Some(scale) = self.spec.embedding.scale {
                self.engine.run(Scale { x: row, factor: scale as f32 });
            }
            if let Some(table) = &self.positions {
                let mut place = row.to_vec();
                table.row(unit, positions[index], &mut place);
                self.engine.run(Add { to: row, x: &place });
            }
        });
        x
    }

    /// Rows `[hidden_size]` to rows `[vocab_size]`.
    fn logits(&self, hidden: &Rows) -> Rows {
        let normed = self.norm.forward(&self.engine, hidden);
        let mut logits = self.head.forward(&self.engine, &normed);
        if let Some(cap) = self.spec.logit_softcap {
            self.engine.each_row(&mut logits, |_, row| {
                self.engine.run(Map { x: row, function: SoftCap(cap as f32) });
            });
        }
        logits
    }

    /// A row with nothing but NaN comes from the weights, and looking for where is worth the time. One
    /// with a few is the sampler's to judge: its user may want the others.
    fn require_numbers(&self, work: &[Work<'_>], outputs: &Outputs) -> Result<(), ModelError> {
        let mut rows = (0..work.len())
            .flat_map(|index| outputs.logits(index).chunks_exact(self.spec.vocab_size));
        if !rows.any(|row| row.iter().all(|logit| logit.is_nan())) {
            return Ok(());
        }
        for (name, stored) in &self.weights.tensors {
            let found = to_f32(stored).into_iter().find(|number| !number.is_finite());
            if let Some(found) = found {
                return Err(ModelError::NotFinite { tensor: name.clone(), found });
            }
        }
        Ok(())
    }
}

/// Shows an observer, if there is one, what layer `index` is about to read.
fn show(pass: &mut Pass<'_, '_>, index: usize, x: &Rows) {
    if let Some(watch) = pass.watch.as_deref_mut().filter(|watch| watch.wants().hidden) {
        watch.hidden(pass.segments, index, x.width(), &x.to_vec());
    }
}

impl LanguageModel for CpuDecoder {
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
        Capabilities {
            truncate: !self.spec.is_recurrent(),
            batch_invariant: true,
            ..Capabilities::ALL
        }
    }

    fn new_state(&self) -> Box<dyn State> {
        Box::new(Cache::new(Arc::clone(&self.layout)))
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
        let width = self.spec.hidden_size;
        if hidden.len() != width {
            let what = format!("a hidden state of {} numbers; it must have {width}", hidden.len());
            return Err(candle_core::Error::Msg(what).into());
        }
        let (mut state, mut row) = (Rows::zeros(1, width), Vec::new());
        state.numbers_mut(0).copy_from_slice(hidden);
        self.engine.enter(self.head.size(), || row = self.logits(&state).numbers(0).to_vec());
        Ok(row)
    }
}
