//! The loop from a prompt to tokens, as an iterator.

mod sequence;
mod speculation;

use std::collections::VecDeque;
use std::thread;
use std::time::Instant;

use taper_models::{Outputs, RowId, State, Want, Work};
use taper_sampling::{Ask, DrawKey, Guess, Pipeline, Workspace};

use self::sequence::{Chooser, Rows, Sequence};
pub use self::speculation::Draft;
use self::speculation::Speculation;
use super::clock::Clock;
use super::prepared::Prepared;
use crate::error::{RequestError, RunError, refuse};
use crate::inspect::{StepView, ViewAsk};
use crate::outcome::{
    EffectiveConfig, FinishReason, MemoryUse, Outcome, SequenceOutcome, StepReport, Usage,
    pipeline_as_data,
};
use crate::request::Request;
use crate::source::Source;

/// A token that was just chosen.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Step {
    /// Index of its sequence, from 0.
    pub sequence: usize,
    /// The token.
    pub token: u32,
    /// The text that it settled: empty while half a character, or what may be the beginning of a
    /// stop string, is held back.
    pub text: String,
    /// What is known of it, if anything was [asked](Request::ask) for.
    pub report: Option<StepReport>,
    /// What it was chosen from, stage by stage, if a [view](Generation::view) was asked for.
    pub view: Option<StepView>,
    /// Why the sequence ends here, if it does.
    pub finish: Option<FinishReason>,
}

/// A run, one token at a time.
///
/// The first [`next`](Iterator::next) passes the prompt through the model. Each round gives every
/// unfinished sequence a token; rows are passed through the model together. The caller keeps the
/// loop: stop asking, and [`into_outcome`](Self::into_outcome) has what there is. After an error
/// there are no more steps, and `into_outcome` still has what there was.
///
/// The sequences share one pass over the prompt. Sequence `i` draws from stream `i` of the seed,
/// so that a token depends on its row of logits, the seed, the sequence and the step alone. Under
/// guidance each sequence has a second row, which goes through the model in the same pass.
///
/// ```
/// use taper_runner::sampling::GenerationConfig;
/// use taper_runner::{Generation, Request, Source, TableModel};
///
/// // Three tokens that follow each other in a ring; 2 ends the text.
/// let table = vec![vec![0.0, 5.0, 0.0], vec![0.0, 0.0, 5.0], vec![5.0, 0.0, 0.0]];
/// let model = TableModel::new(table, 64)?;
/// let mut request = Request::new(vec![2]);
/// request.config = serde_json::from_str(r#"{"eos_token_id": 2}"#)?;
///
/// let source = Source { name: "ring", model: &model, tokenizer: None };
/// let mut generation = Generation::new(source, request)?;
/// for step in &mut generation {
///     println!("{}", step?.token);
/// }
/// assert_eq!(generation.into_outcome().sequences[0].tokens, [0, 1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Generation<'m> {
    source: Source<'m>,
    config: EffectiveConfig,
    ask: Ask,
    view: Option<ViewAsk>,
    redraws: usize,
    pipeline: Pipeline,
    prompt: Vec<u32>,
    state: Box<dyn State>,
    outputs: Outputs,
    workspace: Workspace,
    sequences: Vec<Sequence<'m>>,
    ready: VecDeque<Step>,
    error: Option<RunError>,
    clock: Clock,
    speculation: Option<Speculation<'m>>,
}

impl<'m> Generation<'m> {
    /// Checks the request and makes the pipeline; the model is not run yet.
    ///
    /// # Errors
    ///
    /// When the prompt is empty, has an unknown id or is longer than the model's context, and
    /// when a setting is out of its range or not available.
    pub fn new(source: impl Into<Source<'m>>, request: Request) -> Result<Self, RequestError> {
        let source = source.into();
        let Prepared { prompt, config, pipeline, ask, redraws } =
            Prepared::of(&source, request, |config| match config.num_beams {
                Some(beams) if beams > 1 => refuse("num_beams", beams, "1, or run as a Search"),
                _ => Ok(()),
            })?;
        Ok(Self {
            state: source.model.new_state(),
            outputs: Outputs::new(),
            workspace: Workspace::new(source.model.vocab_size()),
            sequences: Vec::new(),
            ready: VecDeque::new(),
            error: None,
            clock: Clock::default(),
            speculation: None,
            source,
            config,
            ask,
            view: None,
            redraws,
            pipeline,
            prompt,
        })
    }

    /// Has each [`Step`] bring the distributions that its token went through. They cost several more
    /// runs of the pipeline, and change no token.
    #[must_use]
    pub fn view(mut self, ask: ViewAsk) -> Self {
        self.view = Some(ask);
        self
    }

    /// The settings in effect, with the seed that was drawn if none was given.
    pub fn config(&self) -> &EffectiveConfig {
        &self.config
    }

    /// The prompt.
    pub fn prompt(&self) -> &[u32] {
        &self.prompt
    }

    /// The stages and the selector that the settings make.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// What there is, finished or not. Sequences that had not ended are `cancelled`, or `error`
    /// if the run failed; text that was held back for them is released.
    pub fn into_outcome(mut self) -> Outcome {
        let ended = if self.clock.failed { FinishReason::Error } else { FinishReason::Cancelled };
        if self.sequences.is_empty() {
            self.add_sequences(&[]);
        }
        let mut sequences: Vec<_> = self
            .sequences
            .into_iter()
            .map(|sequence| sequence.into_outcome(ended, self.ask != Ask::token()))
            .collect();
        let completion_tokens = sequences.iter().map(|sequence| sequence.tokens.len()).sum();
        if self.config.best_of.is_some() {
            // Stable, and what has no score, for a NaN among its logits, comes last.
            let score = |s: &SequenceOutcome| s.score.unwrap_or(f64::NEG_INFINITY);
            sequences.sort_by(|a, b| score(b).total_cmp(&score(a)));
            sequences.truncate(self.config.generation.num_return_sequences.unwrap_or(1));
        }
        Outcome {
            model: self.source.name.to_owned(),
            config: self.config,
            pipeline: pipeline_as_data(&self.pipeline),
            usage: Usage { prompt_tokens: self.prompt.len(), completion_tokens },
            prompt: None,
            prompt_tokens: self.prompt,
            prompt_logprobs: None,
            sequences,
            tree: None,
            speculation: self.speculation.map(|speculation| speculation.report),
            timing: self.clock.timing(),
            memory: MemoryUse::now(),
            engine: None,
        }
    }

    /// A token for each unfinished sequence.
    fn round(&mut self) -> Result<(), RunError> {
        if self.clock.started.is_none() {
            return self.prefill();
        }
        if self.speculation.is_some() {
            return self.speculative_round();
        }
        let active: Vec<usize> =
            (0..self.sequences.len()).filter(|&i| self.sequences[i].finish.is_none()).collect();
        let together = if self.source.model.capabilities().batch { active.len() } else { 1 };
        for group in active.chunks(together.max(1)) {
            self.decode(group)?;
            for (slot, &i) in group.iter().enumerate() {
                self.choose(i, slot, None, None)?;
            }
        }
        Ok(())
    }

    fn prefill(&mut self) -> Result<(), RunError> {
        let began = Instant::now();
        self.clock.started = Some(began);
        let own = self.state.new_row();
        let guide = self.config.guide.as_ref().map(|tokens| (self.state.new_row(), &tokens[..]));
        let both = [Some((own, &self.prompt[..])), guide].into_iter().flatten();
        let work: Vec<_> =
            both.map(|(row, tokens)| Work { row, tokens, want: Want::Last }).collect();
        let dtype = self.config.logits_dtype;
        let passed = dtype.forward(self.source.model, &mut *self.state, &work, &mut self.outputs);
        self.clock.prefill = began.elapsed();
        passed?;
        let first = Rows { own, guide: guide.map(|(row, _)| row) };
        let mut rows = vec![first];
        for _ in 1..self.config.streams() {
            rows.push(first.fork(&mut *self.state)?);
        }
        self.add_sequences(&rows);
        for i in 0..rows.len() {
            self.choose(i, 0, None, None)?;
        }
        Ok(())
    }

    /// One sequence for each row; without rows, those of a run that never began.
    fn add_sequences(&mut self, rows: &[Rows]) {
        let stops = self.config.generation.stops();
        let count = self.config.streams();
        let rows = rows.iter().copied().map(Some).chain(std::iter::repeat(None)).take(count);
        for row in rows {
            let stream = self.sequences.len() as u64;
            let key = DrawKey::new(self.config.seed).stream(stream);
            let sampling = self.pipeline.sequence(key).prompt(&self.prompt);
            let tokenizer = self.source.tokenizer;
            self.sequences.push(Sequence::new(row, sampling, tokenizer, stops));
        }
    }

    fn decode(&mut self, group: &[usize]) -> Result<(), RunError> {
        let tokens: Vec<(RowId, u32)> =
            group.iter().flat_map(|&i| self.sequences[i].next_tokens()).collect();
        let work = tokens.iter().map(|(row, token)| Work {
            row: *row,
            tokens: std::slice::from_ref(token),
            want: Want::Last,
        });
        let work: Vec<_> = work.collect();
        let began = Instant::now();
        let dtype = self.config.logits_dtype;
        let passed = thread::scope(|scope| {
            if self.config.grammar.is_some() {
                let sequences = self.sequences.iter_mut().enumerate();
                let sequences = sequences.filter(|(i, _)| group.contains(i));
                scope.spawn(|| sequences.for_each(|(_, sequence)| sequence.prepare()));
            }
            dtype.forward(self.source.model, &mut *self.state, &work, &mut self.outputs)
        });
        self.clock.decode += began.elapsed();
        passed?;
        self.clock.decoded += group.len();
        Ok(())
    }

    /// Chooses a token for sequence `i` from the logits of the `slot`-th sequence of the pass: those
    /// at `position` of its tokens, or the last.
    fn choose(
        &mut self,
        i: usize,
        slot: usize,
        position: Option<usize>,
        guess: Option<&Guess>,
    ) -> Result<u32, RunError> {
        // Its row, and then under guidance its second row.
        let guided = self.config.guide.is_some();
        let slot = slot * (1 + usize::from(guided));
        let chooser = Chooser {
            unconditional: guided.then(|| self.outputs.last(slot + 1)),
            config: &self.config,
            ask: self.ask,
            redraws: self.redraws,
            tokenizer: self.source.tokenizer,
            sequence: i,
        };
        let sequence = &mut self.sequences[i];
        let vocab_size = self.source.model.vocab_size();
        let logits = match position {
            Some(at) => &self.outputs.logits(slot)[at * vocab_size..][..vocab_size],
            None => self.outputs.last(slot),
        };
        let (choice, took) = chooser.choose(logits, sequence, guess, &mut self.workspace);
        self.clock.sampler += took;
        let choice = choice?;
        let view = match &self.view {
            Some(ask) => chooser.view(ask, logits, sequence, &choice, &mut self.workspace)?,
            None => None,
        };
        let token = choice.accepted.token;
        let (ends, limit) = (self.ends(token), self.limits(i));
        let sequence = &mut self.sequences[i];
        let text = sequence.accept(&choice, ends, limit)?;
        let finish = sequence.finish;
        let report = choice.report;
        self.ready.push_back(Step { sequence: i, token, text, report, view, finish });
        Ok(token)
    }

    /// Whether a token ends its sequence.
    fn ends(&self, token: u32) -> Option<FinishReason> {
        if self.config.generation.eos_ids().contains(&token) {
            Some(FinishReason::Eos)
        } else {
            let stops = self.config.semantics.stop_tokens().contains(&token);
            stops.then_some(FinishReason::StopToken)
        }
    }

    /// Tokens that the longer of a sequence's rows began with.
    fn longest(&self) -> usize {
        self.prompt.len().max(self.config.guide.as_ref().map_or(0, Vec::len))
    }

    /// Which limit the token that is about to be accepted runs into.
    fn limits(&self, i: usize) -> Option<FinishReason> {
        let config = &self.config.generation;
        let made = self.sequences[i].made() + 1;
        if config.max_new_tokens.is_some_and(|limit| made >= limit) {
            Some(FinishReason::Length)
        } else if self.longest() + made >= self.source.model.context_length() {
            Some(FinishReason::ContextFull)
        } else if config.max_time.is_some_and(|seconds| self.clock.is_over(seconds)) {
            Some(FinishReason::MaxTime)
        } else {
            None
        }
    }
}

impl Iterator for Generation<'_> {
    type Item = Result<Step, RunError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() && !self.clock.failed {
            self.error = self.round().err();
            self.clock.failed = self.error.is_some();
        }
        // What other sequences got before the failure comes first.
        match self.ready.pop_front() {
            Some(step) => Some(Ok(step)),
            None => self.error.take().map(Err),
        }
    }
}
