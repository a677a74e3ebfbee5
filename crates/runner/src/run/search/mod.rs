//! Beams over the rows of a model's state.

mod ends;
mod settings;

use std::time::Instant;

use taper_models::{Outputs, RowId, State, StateError, Want, Work};
use taper_sampling::search::{BeamEnd, BeamRows, BeamSearch, Hypothesis, Reorder};
use taper_sampling::{DrawKey, Pipeline, Workspace};

use self::ends::Ends;
use self::settings::beam_settings;
use super::clock::Clock;
use super::marks::refuse_marks;
use super::prepared::Prepared;
use crate::error::{RequestError, RunError, refuse};
use crate::outcome::{
    BeamTreeNode, EffectiveConfig, FinishReason, MemoryUse, Outcome, SequenceOutcome, Usage,
    pipeline_as_data,
};
use crate::request::Request;
use crate::source::Source;

/// A beam search, one step at a time.
///
/// The prompt passes through the model once; the beams are forks of its row, so that they share what
/// they have in common, and all of them pass through the model together. Sequences are known when the
/// search is over, which is why this is not a [`Generation`](crate::Generation).
///
/// ```
/// use taper_runner::{Request, Search, Source, TableModel};
///
/// // Token 0 looks good at first; what follows token 1 is better.
/// let table = vec![vec![1.0, 0.8, 0.0], vec![0.0, 0.0, 9.0], vec![0.0, 0.0, 0.0]];
/// let model = TableModel::new(table, 64)?;
/// let mut request = Request::new(vec![0]);
/// request.config = serde_json::from_str(r#"{"eos_token_id": 2, "num_beams": 2, "max_new_tokens": 4}"#)?;
///
/// let source = Source { name: "table", model: &model, tokenizer: None };
/// let mut search = Search::new(source, request)?;
/// while search.advance()? {}
/// assert_eq!(search.into_outcome().sequences[0].tokens, [1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Search<'m> {
    source: Source<'m>,
    config: EffectiveConfig,
    traced: bool,
    pipeline: Pipeline,
    prompt: Vec<u32>,
    longest: usize,
    state: Box<dyn State>,
    outputs: Outputs,
    workspace: Workspace,
    /// The beams' rows in the model's state; none before the prompt's pass.
    states: Vec<RowId>,
    last: Vec<u32>,
    rows: BeamRows,
    beams: BeamSearch<FinishReason>,
    ends: Ends<'m>,
    clock: Clock,
}

impl<'m> Search<'m> {
    /// Checks the request and makes the pipeline; the model is not run yet.
    ///
    /// # Errors
    ///
    /// As [`Generation::new`](crate::Generation::new), when a setting of the search is out of its
    /// range or does not go with another, and when the model's state cannot fork.
    pub fn new(source: impl Into<Source<'m>>, request: Request) -> Result<Self, RequestError> {
        let source = source.into();
        if let Some(best_of) = request.best_of {
            return refuse("best_of", best_of, "left out with num_beams above 1");
        }
        if request.ask.kept_tokens {
            return refuse(
                "kept_ids",
                true,
                "false with num_beams above 1: beams draw from no kept set",
            );
        }
        let can = source.model.capabilities();
        let Prepared { prompt, config, pipeline, ask, .. } =
            Prepared::of(&source, request, |config| match config.guidance_scale {
                Some(scale) if scale != 1.0 => {
                    refuse("guidance_scale", scale, "1 with num_beams above 1")
                }
                _ if !can.fork && !can.reorder => {
                    let beams = config.num_beams.unwrap_or(1);
                    refuse("num_beams", beams, "1: the state of this model cannot fork")
                }
                _ => Ok(()),
            })?;
        refuse_marks(&pipeline, "num_beams above 1")?;
        // A token follows even a prompt that fills the context.
        let room = source.model.context_length().saturating_sub(prompt.len()).max(1);
        let longest = config.generation.max_new_tokens.unwrap_or(room).min(room);
        let settings = beam_settings(&config, longest)?;
        let beams = BeamSearch::with_reasons(settings, source.model.vocab_size())?;
        let first = pipeline.sequence(DrawKey::new(config.seed)).prompt(&prompt);
        let stops = config.generation.stops();
        Ok(Self {
            state: source.model.new_state(),
            outputs: Outputs::new(),
            workspace: Workspace::new(source.model.vocab_size()),
            states: Vec::new(),
            last: Vec::new(),
            rows: BeamRows::new(first),
            ends: Ends::new(source.tokenizer, &prompt, stops),
            clock: Clock::default(),
            traced: ask.trace,
            source,
            config,
            pipeline,
            prompt,
            longest,
            beams,
        })
    }

    /// The settings in effect, with the seed that was drawn if none was given.
    pub fn config(&self) -> &EffectiveConfig {
        &self.config
    }

    /// The prompt.
    pub fn prompt(&self) -> &[u32] {
        &self.prompt
    }

    /// The stages that each beam's scores go through.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// Tokens that the beams have by now.
    pub fn length(&self) -> usize {
        self.beams.length()
    }

    /// Bytes of the model's state: what beams have in common counts once.
    pub fn state_bytes(&self) -> usize {
        self.state.bytes()
    }

    /// One step: a pass of the model for all beams, and the choice of the next ones. Returns whether
    /// there is more to do.
    ///
    /// # Errors
    ///
    /// When the model fails, and when a beam's scores allow no search to go on: NaN, +∞, or no token
    /// that may follow while nothing has finished.
    pub fn advance(&mut self) -> Result<bool, RunError> {
        if self.beams.is_done() || self.clock.failed {
            return Ok(false);
        }
        let stepped = self.step();
        self.clock.failed = stepped.is_err();
        stepped?;
        Ok(!self.beams.is_done())
    }

    fn step(&mut self) -> Result<(), RunError> {
        self.rows.clear();
        self.forward()?;
        let began = Instant::now();
        let next = self.choose()?;
        let step = self.beams.length();
        self.rows.reorder(&next).map_err(|error| RunError::Beam {
            beam: 0,
            step,
            source: error.into(),
        })?;
        self.ends.reorder(&next)?;
        self.clock.sampler += began.elapsed();
        if !self.beams.is_done() {
            self.reorder(&next)?;
        }
        self.last = next.tokens;
        Ok(())
    }

    /// Passes the beams' last tokens through the model, and its logits through the stages.
    fn forward(&mut self) -> Result<(), RunError> {
        let dtype = self.config.logits_dtype;
        if self.clock.started.is_none() {
            self.clock.started = Some(Instant::now());
            self.states = vec![self.state.new_row()];
            let work = [Work { row: self.states[0], tokens: &self.prompt, want: Want::Last }];
            let began = Instant::now();
            let passed =
                dtype.forward(self.source.model, &mut *self.state, &work, &mut self.outputs);
            self.clock.prefill = began.elapsed();
            passed?;
            return self.score(0..1);
        }
        let beams = self.last.len();
        let together = if self.source.model.capabilities().batch { beams } else { 1 };
        for first in (0..beams).step_by(together.max(1)) {
            let group = first..(first + together).min(beams);
            let one = |beam: usize| {
                let tokens = std::slice::from_ref(&self.last[beam]);
                Work { row: self.states[beam], tokens, want: Want::Last }
            };
            let work: Vec<Work<'_>> = group.clone().map(one).collect();
            let began = Instant::now();
            let passed =
                dtype.forward(self.source.model, &mut *self.state, &work, &mut self.outputs);
            self.clock.decode += began.elapsed();
            passed?;
            self.clock.decoded += work.len();
            self.score(group)?;
        }
        Ok(())
    }

    fn score(&mut self, beams: std::ops::Range<usize>) -> Result<(), RunError> {
        let began = Instant::now();
        let step = self.beams.length();
        for (slot, beam) in beams.enumerate() {
            let logits = self.outputs.last(slot);
            let Self { rows, workspace, .. } = self;
            rows.push(beam, logits, workspace).map_err(|source| RunError::Beam {
                beam,
                step,
                source,
            })?;
        }
        self.clock.sampler += began.elapsed();
        Ok(())
    }

    fn choose(&mut self) -> Result<Reorder, RunError> {
        let (step, config) = (self.beams.length(), &self.config.generation);
        let over = config.max_time.is_some_and(|seconds| self.clock.is_over(seconds));
        // The length comes first, where the two meet.
        let late = (over && step + 1 < self.longest).then_some(FinishReason::MaxTime);
        let ends = &mut self.ends;
        let advanced = self
            .beams
            .advance_or_stop(&self.rows, |beam, token| ends.stops(beam.row, token).or(late));
        self.ends.check()?;
        advanced.map_err(|source| RunError::Search { step, source })
    }

    /// Gives each beam a row of its own in the model's state.
    fn reorder(&mut self, next: &Reorder) -> Result<(), StateError> {
        let parents: Vec<RowId> = next.parents.iter().map(|&beam| self.states[beam]).collect();
        if self.source.model.capabilities().reorder {
            self.states = self.state.reorder(&parents)?;
            return Ok(());
        }
        let forks = parents.iter().map(|&row| self.state.fork(row));
        let forks = forks.collect::<Result<Vec<_>, _>>()?;
        for row in std::mem::replace(&mut self.states, forks) {
            self.state.drop_row(row)?;
        }
        Ok(())
    }

    /// What there is: the best finished hypotheses. If the search was broken off, the best unfinished
    /// ones stand in for those that are missing, `cancelled`, or `error` if it failed.
    pub fn into_outcome(self) -> Outcome {
        let wanted = self.config.generation.num_return_sequences.unwrap_or(1);
        let mut sequences: Vec<_> =
            self.beams.hypotheses().into_iter().map(|found| self.finished(&found)).collect();
        if !self.beams.is_done() {
            let ended =
                if self.clock.failed { FinishReason::Error } else { FinishReason::Cancelled };
            let missing = wanted.saturating_sub(sequences.len());
            let unfinished = self.beams.unfinished().into_iter().take(missing);
            sequences.extend(unfinished.map(|(tokens, _)| self.sequence(tokens, ended)));
        }
        let tokenizer = self.source.tokenizer;
        // A tokenizer that fails on a token's name has nothing more to tell; the tree is left out.
        let tree = self.traced.then(|| {
            let nodes = self
                .beams
                .tree()
                .iter()
                .map(|node| BeamTreeNode::of(node, tokenizer, |end| self.reason(end)));
            nodes.collect::<Result<Vec<_>, _>>().ok()
        });
        let completion_tokens = sequences.iter().map(|sequence| sequence.tokens.len()).sum();
        Outcome {
            model: self.source.name.to_owned(),
            config: self.config,
            pipeline: pipeline_as_data(&self.pipeline),
            usage: Usage { prompt_tokens: self.prompt.len(), completion_tokens },
            prompt: None,
            prompt_tokens: self.prompt,
            prompt_logprobs: None,
            sequences,
            tree: tree.flatten(),
            speculation: None,
            timing: self.clock.timing(),
            memory: MemoryUse { state_bytes: Some(self.state.bytes()), ..MemoryUse::now() },
            engine: None,
        }
    }

    fn reason(&self, end: BeamEnd<FinishReason>) -> FinishReason {
        match end {
            BeamEnd::Eos => FinishReason::Eos,
            BeamEnd::Stopped(reason) => reason,
            // The model's context may have room for less than was asked for.
            _ if self.config.generation.max_new_tokens.is_some_and(|most| self.longest >= most) => {
                FinishReason::Length
            }
            _ => FinishReason::ContextFull,
        }
    }

    fn finished(&self, found: &Hypothesis<BeamEnd<FinishReason>>) -> SequenceOutcome {
        SequenceOutcome {
            score: Some(f64::from(found.score)),
            inclusion_probability: found.inclusion_probability,
            ..self.sequence(found.tokens.clone(), self.reason(found.reason))
        }
    }

    fn sequence(&self, tokens: Vec<u32>, finish_reason: FinishReason) -> SequenceOutcome {
        let text = self.ends.text(&tokens);
        let (score, inclusion_probability, steps) = (None, None, None);
        SequenceOutcome { tokens, text, finish_reason, score, inclusion_probability, steps }
    }
}
