//! One sequence of a run, and the choice of its next token.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use taper_models::tokenizers::Tokenizer;
use taper_models::{RowId, State, StateError};
use taper_sampling::{
    Accepted, Ask, Given, Guess, History, Pipeline, Selection, Step, Trace, Workspace,
};

use crate::detokenizer::{Detokenizer, token_text};
use crate::drawn::Left;
use crate::error::RunError;
use crate::inspect::{Row, StepView, ViewAsk};
use crate::outcome::{
    EffectiveConfig, FinishReason, Redraw, SequenceOutcome, StageReport, StepReport, TopToken,
};
use crate::paths::{Paths, named};
use crate::request::OnError;

/// The bit that tells the streams of draws for the report alone.
const REDRAWN: u64 = 1 << 62;

/// A sequence's rows in the model's state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows {
    pub(super) own: RowId,
    /// The row that guidance leads away from.
    pub(super) guide: Option<RowId>,
}

impl Rows {
    pub(super) fn fork(self, state: &mut dyn State) -> Result<Self, StateError> {
        let guide = self.guide.map(|row| state.fork(row)).transpose()?;
        Ok(Self { own: state.fork(self.own)?, guide })
    }
}

#[derive(Debug)]
pub(super) struct Sequence<'m> {
    /// `None` if the run never began.
    rows: Option<Rows>,
    sampling: taper_sampling::Sequence,
    detokenizer: Option<Detokenizer<'m>>,
    text: String,
    reports: Vec<StepReport>,
    /// The sum of the log-probabilities, if they are to rank the sequence; NaN if a row had none.
    sum: Option<f64>,
    pub(super) finish: Option<FinishReason>,
}

/// A token that was chosen and not accepted yet.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) accepted: Accepted,
    pub(super) report: Option<StepReport>,
    /// Under the model itself, if sequences are ranked.
    pub(super) logprob: Option<f64>,
}

impl<'m> Sequence<'m> {
    pub(super) fn new(
        rows: Option<Rows>,
        sampling: taper_sampling::Sequence,
        tokenizer: Option<&'m Tokenizer>,
        stops: &[String],
    ) -> Self {
        let prompt = sampling.history().prompt();
        Self {
            rows,
            detokenizer: tokenizer.map(|tokenizer| Detokenizer::new(tokenizer, prompt, stops)),
            sampling,
            text: String::new(),
            reports: Vec::new(),
            sum: None,
            finish: None,
        }
    }

    pub(super) fn history(&self) -> &History {
        self.sampling.history()
    }

    /// What guesses at its next tokens go on from, by the random numbers of another stream.
    pub(super) fn draft(&self, stream: u64) -> taper_sampling::Sequence {
        self.sampling.fork(stream)
    }

    pub(super) fn row(&self) -> Option<RowId> {
        self.rows.map(|rows| rows.own)
    }

    /// Goes on in another row, which holds the same; it has no second one.
    pub(super) fn move_to(&mut self, own: RowId) {
        self.rows = Some(Rows { own, guide: None });
    }

    /// How many tokens it has after the prompt.
    pub(super) fn made(&self) -> usize {
        self.history().generated().len()
    }

    /// Its last token, which the next pass appends to each of its rows.
    pub(super) fn next_tokens(&self) -> impl Iterator<Item = (RowId, u32)> {
        let rows = self.rows.into_iter().flat_map(|rows| [Some(rows.own), rows.guide]);
        rows.flatten().zip(self.history().tokens().last().copied().into_iter().cycle())
    }

    /// Computes what the next token needs beside its logits: a grammar's mask.
    pub(super) fn prepare(&mut self) {
        self.sampling.prepare();
    }

    /// Takes a token; `ends` is why there is nothing after it by its id, and `limit` by the numbers.
    /// Returns the text that it settled.
    pub(super) fn accept(
        &mut self,
        choice: &Choice,
        ends: Option<FinishReason>,
        limit: Option<FinishReason>,
    ) -> Result<String, RunError> {
        let token = choice.accepted.token;
        self.sampling.accept(token)?;
        self.reports.extend(choice.report.clone());
        if let Some(logprob) = choice.logprob {
            *self.sum.get_or_insert(0.0) += logprob;
        }
        let (mut text, mut stopped) = (String::new(), false);
        if let Some(detokenizer) = &mut self.detokenizer
            && ends != Some(FinishReason::StopToken)
        {
            let piece = detokenizer.push(token)?;
            (text, stopped) = (piece.text, piece.stopped);
        }
        self.finish = ends.or(stopped.then_some(FinishReason::StopString)).or(limit);
        if let Some(detokenizer) = &mut self.detokenizer
            && self.finish.is_some()
            && !stopped
        {
            text.push_str(&detokenizer.finish()?);
        }
        self.text.push_str(&text);
        Ok(text)
    }

    pub(super) fn into_outcome(mut self, ended: FinishReason, reported: bool) -> SequenceOutcome {
        if let Some(detokenizer) = &mut self.detokenizer
            && self.finish.is_none()
        {
            // A tokenizer that fails here failed before; what it settled until then stands.
            self.text.push_str(&detokenizer.finish().unwrap_or_default());
        }
        let made = self.history().generated().len() as f64;
        let score = self.sum.map(|sum| sum / made).filter(|mean| mean.is_finite());
        SequenceOutcome {
            tokens: self.history().generated().to_vec(),
            text: self.text,
            finish_reason: self.finish.unwrap_or(ended),
            score,
            inclusion_probability: None,
            steps: reported.then_some(self.reports),
        }
    }
}

/// What it takes to choose a token for one sequence.
#[derive(Debug)]
pub(super) struct Chooser<'c> {
    pub(super) config: &'c EffectiveConfig,
    /// The logits of the row that guidance leads away from.
    pub(super) unconditional: Option<&'c [f32]>,
    pub(super) ask: Ask,
    /// How many times to draw the step again for the report.
    pub(super) redraws: usize,
    pub(super) tokenizer: Option<&'c Tokenizer>,
    pub(super) sequence: usize,
}

impl Chooser<'_> {
    /// The next token, and how long the choice took, the making of the report apart.
    pub(super) fn choose(
        &self,
        logits: &[f32],
        sequence: &mut Sequence<'_>,
        guess: Option<&Guess>,
        workspace: &mut Workspace,
    ) -> (Result<Choice, RunError>, Duration) {
        let made = sequence.made();
        let ranked = self.config.best_of.is_some();
        let ask = Ask {
            logprob: self.ask.logprob || ranked,
            // Who removed an alternative is told by a trace.
            trace: self.ask.trace || self.ask.top_logprobs > 0,
            ..self.ask
        };
        let given = self.given().ask(ask);
        let began = Instant::now();
        let sampling = &mut sequence.sampling;
        let selected = match guess {
            Some(guess) => sampling.select_with_guess(logits, given, guess, workspace),
            None => sampling.select_given(logits, given, workspace),
        };
        let took = began.elapsed();
        let pipeline = sampling.pipeline();
        let mut choice = match selected {
            Ok(mut selection) => self.report(logits, &mut selection, pipeline).map(|report| {
                let logprob = ranked.then(|| selection.logprob.unwrap_or(f64::NAN));
                Choice { accepted: selection.accepted(), report, logprob }
            }),
            Err(source) if self.config.on_error == OnError::Refuse => {
                Err(RunError::Select { sequence: self.sequence, step: made, source })
            }
            Err(source) => self.argmax(logits, made, source.to_string()),
        };
        if let Ok(Choice { report: Some(report), .. }) = &mut choice
            && (self.ask.trace && self.ask.logprob)
            && report.passed_over.is_none()
            && let Err(error) = self.add_paths(report, logits, sequence, workspace)
        {
            return (Err(error), took);
        }
        if let Ok(Choice { report: Some(report), .. }) = &mut choice
            && self.redraws > 0
            && report.passed_over.is_none()
        {
            match self.redraw(logits, sequence, workspace) {
                Ok(redrawn) => report.redraws = Some(redrawn),
                Err(error) => return (Err(error), took),
            }
        }
        (choice, took)
    }

    /// What comes with a step.
    fn given(&self) -> Given<'_> {
        let given = Given::default();
        self.unconditional.map_or(given, |row| given.unconditional(row))
    }

    /// The step that a token was just chosen at, to be looked at once more.
    fn step<'s>(&'s self, sequence: &'s Sequence<'_>) -> Step<'s> {
        sequence.sampling.step().given(self.given())
    }

    /// The distributions that a token just chosen went through; `None` if there were none because
    /// [`OnError::Argmax`] passed an error over.
    pub(super) fn view(
        &self,
        ask: &ViewAsk,
        logits: &[f32],
        sequence: &Sequence<'_>,
        choice: &Choice,
        workspace: &mut Workspace,
    ) -> Result<Option<StepView>, RunError> {
        if choice.report.as_ref().is_some_and(|report| report.passed_over.is_some()) {
            return Ok(None);
        }
        let (step, chosen) = (self.step(sequence), choice.accepted.token);
        let row = Row { pipeline: sequence.sampling.pipeline(), logits, step };
        let failed =
            |source| RunError::Select { sequence: self.sequence, step: sequence.made(), source };
        let snapshots = row.snapshots(workspace).map_err(failed)?;
        snapshots.view(ask, chosen, |token| self.text(token)).map(Some)
    }

    /// How the tokens of a report came through the stages, and what those moved.
    fn add_paths(
        &self,
        report: &mut StepReport,
        logits: &[f32],
        sequence: &Sequence<'_>,
        workspace: &mut Workspace,
    ) -> Result<(), RunError> {
        let listed = report.top.iter().flatten().map(|top| top.token);
        let drawn = report.drawn.iter().flat_map(|drawn| drawn.top.iter().map(|top| top.token));
        let tokens: Vec<u32> = [report.token].into_iter().chain(listed).chain(drawn).collect();
        let (pipeline, step) = (sequence.sampling.pipeline(), self.step(sequence));
        let found = Paths::of(pipeline, logits, &step, &tokens, workspace);
        let found = found.map_err(|source| RunError::Select {
            sequence: self.sequence,
            step: sequence.made(),
            source,
        })?;
        let mut ranks = found.ranks.into_iter();
        report.ranks = ranks.next().unwrap_or_default();
        let listed = report.top.iter_mut().flatten().map(|top| &mut top.ranks);
        let drawn = report.drawn.iter_mut().flat_map(|drawn| &mut drawn.top);
        let places = listed.chain(drawn.map(|top| &mut top.ranks));
        places.zip(ranks).for_each(|(place, ranks)| *place = ranks);
        for (stage, shifts) in report.stages.iter_mut().flatten().zip(&found.moved) {
            let shifts = shifts.as_ref().map(|shifts| named(shifts, |token| self.text(token)));
            stage.moved = shifts.transpose()?;
        }
        Ok(())
    }

    /// What comes up in the same place under other randomness.
    fn redraw(
        &self,
        logits: &[f32],
        sequence: &Sequence<'_>,
        workspace: &mut Workspace,
    ) -> Result<Vec<Redraw>, RunError> {
        let mut counts = BTreeMap::new();
        for again in 0..self.redraws as u64 {
            // Streams that no sequence has: those of sequences count from 0.
            let stream = REDRAWN | self.sequence as u64 | again << 24;
            let mut other = sequence.draft(stream);
            let selected = other.select_given(logits, self.given(), workspace);
            let selection = selected.map_err(|source| RunError::Select {
                sequence: self.sequence,
                step: sequence.made(),
                source,
            })?;
            *counts.entry(selection.token).or_insert(0) += 1;
        }
        let mut counts: Vec<(u32, usize)> = counts.into_iter().collect();
        counts.sort_by_key(|&(_, count)| Reverse(count));
        let one = |(token, count)| Ok(Redraw { token, text: self.text(token)?, count });
        counts.into_iter().map(one).collect()
    }

    /// [`OnError::Argmax`]: the best of what is finite.
    fn argmax(&self, logits: &[f32], step: usize, reason: String) -> Result<Choice, RunError> {
        let mut best: Option<(usize, f32)> = None;
        for (id, &logit) in logits.iter().enumerate() {
            if logit.is_finite() && best.is_none_or(|(_, most)| logit > most) {
                best = Some((id, logit));
            }
        }
        let nothing = RunError::NoFiniteLogit { sequence: self.sequence, step };
        let token = best.ok_or(nothing)?.0 as u32;
        let report = StepReport {
            token,
            text: self.text(token)?,
            logprob: None,
            probability: None,
            rank: None,
            kept: None,
            entropy: None,
            drawn: None,
            kept_set: None,
            ranks: Vec::new(),
            top: None,
            stages: None,
            redraws: None,
            passed_over: Some(reason),
        };
        let report = (self.ask != Ask::token()).then_some(report);
        let logprob = self.config.best_of.map(|_| f64::NAN);
        Ok(Choice { accepted: Accepted { token, probability: None }, report, logprob })
    }

    fn report(
        &self,
        logits: &[f32],
        selection: &mut Selection<'_>,
        pipeline: &Pipeline,
    ) -> Result<Option<StepReport>, RunError> {
        if self.ask == Ask::token() {
            return Ok(None);
        }
        let top = (self.ask.top_logprobs > 0).then(|| self.top(selection, pipeline)).transpose()?;
        let norm = selection.row_normaliser;
        let asked = self.ask.probability || self.ask.kept_tokens;
        let left = asked.then(|| Left::of(selection).ok()).flatten();
        let own = |token: u32| {
            let logit = logits.get(token as usize).copied();
            let logprob = norm.zip(logit).map(|(norm, logit)| norm.log_probability(logit));
            logprob.filter(|logprob| logprob.is_finite())
        };
        let drawn = left.as_ref();
        let drawn = drawn.map(|left| left.drawn(self.ask.top_logprobs, own, |id| self.text(id)));
        let kept_set = left.as_ref().filter(|_| self.ask.kept_tokens).map(Left::kept_set);
        Ok(Some(StepReport {
            token: selection.token,
            text: self.text(selection.token)?,
            logprob: selection.logprob,
            probability: selection.probability,
            rank: selection.rank,
            kept: selection.kept,
            entropy: selection.entropy,
            drawn: drawn.transpose()?,
            kept_set,
            ranks: Vec::new(),
            top,
            stages: selection.trace.filter(|_| self.ask.trace).map(stage_reports),
            redraws: None,
            passed_over: None,
        }))
    }

    fn top(
        &self,
        selection: &mut Selection<'_>,
        pipeline: &Pipeline,
    ) -> Result<Vec<TopToken>, RunError> {
        let listed = selection.top;
        let one = |&(token, logprob): &(u32, f64)| {
            let removed_by = selection.removed_by(token).map(|stage| stage_name(pipeline, stage));
            let probability = selection.candidates().probability(token).ok();
            let (text, ranks) = (self.text(token)?, Vec::new());
            Ok(TopToken { token, text, logprob, probability, removed_by, ranks })
        };
        listed.iter().map(one).collect()
    }

    fn text(&self, token: u32) -> Result<String, RunError> {
        self.tokenizer.map_or(Ok(String::new()), |tokenizer| token_text(tokenizer, token))
    }
}

/// After the stages comes the selector, which may cut too.
fn stage_name(pipeline: &Pipeline, index: usize) -> String {
    let stage = pipeline.stages().get(index);
    stage.map_or_else(|| pipeline.selector().name(), |stage| stage.name()).to_owned()
}

fn stage_reports(trace: &Trace) -> Vec<StageReport> {
    let of_stage = |stage: &taper_sampling::StageTrace| StageReport {
        stage: stage.stage.clone(),
        before: stage.before,
        after: stage.after,
        removed_mass: stage.removed_mass,
        ties: stage.ties,
        moved: None,
    };
    trace.stages().iter().map(of_stage).collect()
}
