//! What a token was chosen from: the distribution before the first stage and after each.

use std::cmp::Ordering;
use std::collections::HashSet;

use serde::Serialize;
use taper_sampling::{
    Ask, Candidates, Normaliser, Pipeline, SelectError, StageTrace, Step, Workspace,
};

use crate::error::RunError;

/// What to show of the distributions of a step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ViewAsk {
    /// How many tokens to list: the best of the model's, the best of what was left, the best of what
    /// each stage removed, and those at a boundary that stayed and that went.
    pub top: usize,
    /// Tokens to list in any case; those that are none of the vocabulary's are left out.
    pub tokens: Vec<u32>,
}

/// The distributions of one step.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StepView {
    /// What each stage did; the selector is the last of them if it cuts before it chooses.
    pub stages: Vec<StageView>,
    /// The way of some tokens through the stages: the best of the model's in their order, then those
    /// that only the stages brought among the best, the chosen one, and those asked for.
    pub tokens: Vec<TokenPath>,
}

/// What one stage did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StageView {
    /// Its name.
    pub stage: String,
    /// Tokens that could be chosen before it.
    pub before: usize,
    /// Tokens that could be chosen after it.
    pub after: usize,
    /// The share of the mass it received that it removed, `0..=1`; `None` when there was no mass.
    pub removed_mass: Option<f64>,
    /// Equal scores that its boundary met.
    pub ties: usize,
    /// Entropy (nats) received; `None` when there was no mass.
    pub entropy_before: Option<f64>,
    /// Entropy (nats) left; `None` when there was no mass.
    pub entropy_after: Option<f64>,
    /// The best of the tokens that it removed or banned, best first, with the probabilities that
    /// they had.
    pub removed: Vec<TokenShare>,
    /// The tokens that tied, if any did and the cut was one by score: those that stayed first.
    pub boundary: Vec<BoundaryToken>,
}

/// A token with a probability.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TokenShare {
    /// The token.
    pub token: u32,
    /// Its own text.
    pub text: String,
    /// Its probability; `None` where the scores have none.
    pub probability: Option<f64>,
}

/// A token at the score at which a cut fell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BoundaryToken {
    /// The token.
    pub token: u32,
    /// Its own text.
    pub text: String,
    /// Whether it stayed.
    pub kept: bool,
}

/// The way of a token through the stages.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TokenPath {
    /// The token.
    pub token: u32,
    /// Its own text.
    pub text: String,
    /// Whether it is the one that was chosen.
    pub chosen: bool,
    /// The stage that removed or banned it for good.
    pub removed_by: Option<String>,
    /// Where it stood in the model's row and then after each stage; `None` where it could not be
    /// chosen.
    pub places: Vec<Option<Place>>,
}

/// Where a token stands in a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Place {
    /// From 1, equals by lower id.
    pub rank: usize,
    /// Its probability; `None` where the scores have none.
    pub probability: Option<f64>,
    /// Its score: the logit, as the stages have changed it.
    pub score: f32,
}

/// A row of logits, and what is done with it.
#[derive(Debug)]
pub(crate) struct Row<'r> {
    pub(crate) pipeline: &'r Pipeline,
    pub(crate) logits: &'r [f32],
    pub(crate) step: Step<'r>,
}

impl Row<'_> {
    /// The scores before the first stage and after each.
    ///
    /// The stages run again for every look: a pipeline is a function of row, history, memory and
    /// key, so each run repeats the first.
    pub(crate) fn snapshots(&self, workspace: &mut Workspace) -> Result<Snapshots, SelectError> {
        let (pipeline, stages) = (self.pipeline, self.pipeline.stages().len());
        let mut scores = Vec::with_capacity(stages + 2);
        for count in 0..=stages {
            let mut left = pipeline.process_first(count, self.logits, &self.step, workspace)?;
            scores.push(Snapshot::of(&mut left));
        }
        let traced = self.step.ask(Ask { trace: true, ..Ask::token() });
        let mut selection = pipeline.select(self.logits, &traced, workspace)?;
        let trace = selection.trace.map(|trace| trace.stages().to_vec()).unwrap_or_default();
        if trace.len() > stages {
            scores.push(Snapshot::of(selection.candidates()));
        }
        Ok(Snapshots { scores, trace })
    }
}

/// The scores of all tokens between two stages.
#[derive(Debug)]
struct Snapshot {
    /// By token; −∞ for one that cannot be chosen.
    scores: Vec<f32>,
    /// The tokens that can be chosen, best first, equals by lower id.
    order: Vec<u32>,
    /// By token, its place in the order; 0 for one that cannot be chosen.
    ranks: Vec<usize>,
    normaliser: Option<Normaliser>,
}

/// The scores before the first stage and after each, and the account of the stages.
#[derive(Debug)]
pub(crate) struct Snapshots {
    scores: Vec<Snapshot>,
    trace: Vec<StageTrace>,
}

impl Snapshot {
    fn of(candidates: &mut Candidates<'_>) -> Self {
        let mut scores = vec![f32::NEG_INFINITY; candidates.vocab_size()];
        candidates.for_each(|id, score| scores[id as usize] = score);
        let score = |id: u32| scores[id as usize];
        // A NaN is above nothing, so that the order below is a total one.
        let can_be_chosen = |&id: &u32| score(id) > f32::NEG_INFINITY;
        let mut order: Vec<u32> = (0..scores.len() as u32).filter(can_be_chosen).collect();
        order.sort_unstable_by(|&a, &b| {
            score(b).partial_cmp(&score(a)).unwrap_or(Ordering::Equal).then(a.cmp(&b))
        });
        let mut ranks = vec![0; scores.len()];
        for (&id, rank) in order.iter().zip(1..) {
            ranks[id as usize] = rank;
        }
        Self { normaliser: candidates.normaliser().ok(), scores, order, ranks }
    }

    fn score(&self, token: u32) -> f32 {
        self.scores.get(token as usize).copied().unwrap_or(f32::NEG_INFINITY)
    }

    fn rank(&self, token: u32) -> Option<usize> {
        self.ranks.get(token as usize).copied().filter(|&rank| rank > 0)
    }

    fn can_be_chosen(&self, token: u32) -> bool {
        self.rank(token).is_some()
    }

    fn probability(&self, token: u32) -> Option<f64> {
        self.normaliser.map(|norm| norm.log_probability(self.score(token)).exp())
    }

    fn place(&self, token: u32) -> Option<Place> {
        let (probability, score) = (self.probability(token), self.score(token));
        self.rank(token).map(|rank| Place { rank, probability, score })
    }
}

impl Snapshots {
    /// What was asked for, with the texts of the tokens.
    pub(crate) fn view(
        &self,
        ask: &ViewAsk,
        chosen: u32,
        text: impl Fn(u32) -> Result<String, RunError>,
    ) -> Result<StepView, RunError> {
        let pairs = self.scores.windows(2).zip(&self.trace);
        let stages = pairs.map(|(pair, trace)| stage_view(&pair[0], &pair[1], trace, ask, &text));
        let tokens = self.listed(ask, chosen).into_iter();
        let paths = tokens.map(|token| self.path(token, chosen, &text));
        Ok(StepView {
            stages: stages.collect::<Result<_, _>>()?,
            tokens: paths.collect::<Result<_, _>>()?,
        })
    }

    fn listed(&self, ask: &ViewAsk, chosen: u32) -> Vec<u32> {
        let ends = self.scores.first().into_iter().chain(self.scores.last());
        let best = ends.flat_map(|row| row.order.iter().copied().take(ask.top));
        let vocab_size = self.scores.first().map_or(0, |row| row.scores.len());
        let asked = ask.tokens.iter().copied().filter(|&token| (token as usize) < vocab_size);
        let mut seen = HashSet::new();
        best.chain([chosen]).chain(asked).filter(|&token| seen.insert(token)).collect()
    }

    fn path(
        &self,
        token: u32,
        chosen: u32,
        text: &impl Fn(u32) -> Result<String, RunError>,
    ) -> Result<TokenPath, RunError> {
        let places: Vec<_> = self.scores.iter().map(|scores| scores.place(token)).collect();
        // A later stage may have revived what an earlier one banned: the last loss counts.
        let gone = places.last().is_some_and(Option::is_none);
        let lost = places.windows(2).rposition(|pair| pair[0].is_some() && pair[1].is_none());
        let removed_by = lost.filter(|_| gone).and_then(|stage| self.trace.get(stage));
        Ok(TokenPath {
            token,
            text: text(token)?,
            chosen: token == chosen,
            removed_by: removed_by.map(|trace| trace.stage.clone()),
            places,
        })
    }
}

fn stage_view(
    before: &Snapshot,
    after: &Snapshot,
    trace: &StageTrace,
    ask: &ViewAsk,
    text: &impl Fn(u32) -> Result<String, RunError>,
) -> Result<StageView, RunError> {
    let gone = || before.order.iter().copied().filter(|&id| !after.can_be_chosen(id));
    let removed = gone().take(ask.top).map(|token| {
        Ok(TokenShare { token, text: text(token)?, probability: before.probability(token) })
    });
    let tied = boundary(before, after, gone().next(), trace.ties);
    let (kept, cut): (Vec<u32>, Vec<u32>) = tied.iter().partition(|&&id| after.can_be_chosen(id));
    let named = [kept, cut].into_iter().flat_map(|tied| tied.into_iter().take(ask.top));
    let boundary = named.map(|token| {
        Ok(BoundaryToken { token, text: text(token)?, kept: after.can_be_chosen(token) })
    });
    Ok(StageView {
        stage: trace.stage.clone(),
        before: trace.before,
        after: trace.after,
        removed_mass: trace.removed_mass,
        ties: trace.ties,
        entropy_before: trace.entropy_before,
        entropy_after: trace.entropy_after,
        removed: removed.collect::<Result<_, RunError>>()?,
        boundary: boundary.collect::<Result<_, RunError>>()?,
    })
}

/// The tokens at the score at which a cut fell, in order: those that share the lowest score that
/// stayed, if the cut took none above it and they are as many as the trace says. A cut in another
/// order (typical, the top of XTC) has no such score, and nothing is listed.
fn boundary(before: &Snapshot, after: &Snapshot, first_gone: Option<u32>, ties: usize) -> Vec<u32> {
    let last = before.order.iter().rfind(|&&id| after.can_be_chosen(id));
    let Some(lowest) = last.map(|&id| before.score(id)).filter(|_| ties > 0) else {
        return Vec::new();
    };
    let at = |&id: &u32| before.score(id) == lowest;
    let tied: Vec<u32> = before.order.iter().copied().filter(at).collect();
    let took_above = first_gone.is_some_and(|id| before.score(id) > lowest);
    if took_above || tied.len() != ties { Vec::new() } else { tied }
}

#[cfg(test)]
mod tests {
    use taper_sampling::{DrawKey, MirostatV2, Temperature, TiePolicy, TopK};

    use super::*;

    fn look(pipeline: &Pipeline, logits: &[f32], ask: &ViewAsk) -> StepView {
        let memory = pipeline.new_memory();
        let step = Step::new(DrawKey::new(1)).memory(&memory);
        let mut workspace = Workspace::new(logits.len());
        let chosen = pipeline.select(logits, &step, &mut workspace).unwrap().token;
        let row = Row { pipeline, logits, step };
        let snapshots = row.snapshots(&mut workspace).unwrap();
        snapshots.view(ask, chosen, |token| Ok(format!("<{token}>"))).unwrap()
    }

    fn ids(tokens: &[TokenShare]) -> Vec<u32> {
        tokens.iter().map(|token| token.token).collect()
    }

    #[test]
    fn a_tie_at_the_boundary_names_who_stayed() {
        let logits = [1.0, 3.0, 3.0, 2.0];
        let ask = ViewAsk { top: 3, tokens: vec![0] };
        for (ties, kept) in
            [(TiePolicy::KeepAll, [true, true]), (TiePolicy::HighestId, [false, true])]
        {
            let top_k = TopK::new(1).unwrap().ties(ties);
            let view = look(&Pipeline::draw().then(top_k), &logits, &ask);
            let [stage] = &view.stages[..] else { panic!("one stage") };
            assert_eq!(stage.ties, 2);
            let told: Vec<_> = stage.boundary.iter().map(|tied| (tied.token, tied.kept)).collect();
            let first = if kept[0] { 1 } else { 2 };
            assert_eq!(told, [(first, true), (3 - first, kept[0])]);
            let removed: &[u32] = if kept[0] { &[3, 0] } else { &[1, 3, 0] };
            assert_eq!(ids(&stage.removed), removed);
        }
    }

    #[test]
    fn a_token_asked_for_is_followed_to_the_stage_that_removed_it() {
        let pipeline =
            Pipeline::draw().then(Temperature::new(0.5).unwrap()).then(TopK::new(2).unwrap());
        let logits = [0.0, 1.0, 2.0, 3.0];
        let ask = ViewAsk { top: 1, tokens: vec![0, 2, 99] };
        let view = look(&pipeline, &logits, &ask);
        let path = |token| view.tokens.iter().find(|path| path.token == token).unwrap();
        assert_eq!(path(0).removed_by.as_deref(), Some("top_k"));
        let ranks: Vec<_> =
            path(0).places.iter().map(|place| place.map(|place| place.rank)).collect();
        assert_eq!(ranks, [Some(4), Some(4), None]);
        assert_eq!(path(2).removed_by, None);
        // After the temperature the scores are twice as far apart.
        let all: f64 = (0..4).map(|i| f64::from(2 * i).exp()).sum();
        let share = path(2).places[1].unwrap().probability.unwrap();
        assert!((share - 4_f64.exp() / all).abs() < 1e-6, "{share}");
        assert!(view.tokens.iter().all(|path| path.token != 99));
    }

    #[test]
    fn a_selector_that_cuts_is_the_last_stage() {
        let pipeline = Pipeline::selecting(MirostatV2::new(1.0, 0.1).unwrap());
        let view = look(&pipeline, &[0.0, 1.0, 9.0], &ViewAsk { top: 3, tokens: vec![] });
        let [stage] = &view.stages[..] else { panic!("the selector alone") };
        assert_eq!((stage.stage.as_str(), stage.before, stage.after), ("mirostat_v2", 3, 1));
        assert_eq!(ids(&stage.removed), [1, 0]);
        assert_eq!(view.tokens[1].removed_by.as_deref(), Some("mirostat_v2"));
    }
}
