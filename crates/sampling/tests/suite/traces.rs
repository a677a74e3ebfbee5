//! A trace against the candidates before and after each stage, which are looked at without one.

use std::collections::HashMap;

use proptest::prelude::*;
use taper_sampling::*;

use crate::support::{Cut, Op};

/// The candidates between two stages.
struct State {
    /// The score of each token that is listed.
    scores: Vec<Option<f32>>,
    probabilities: Vec<f64>,
    /// The place of the winner.
    rank: Option<usize>,
    entropy: f64,
    best: f32,
}

impl State {
    fn after(
        stages: usize,
        pipeline: &Pipeline,
        row: &[f32],
        step: &Step<'_>,
        workspace: &mut Workspace,
        winner: u32,
    ) -> Self {
        let mut candidates = pipeline.process_first(stages, row, step, workspace).unwrap();
        let ids = 0..row.len() as u32;
        let norm = candidates.normaliser().unwrap();
        let share = |score: f32| exp(norm.log_probability(score));
        let scores: Vec<_> = ids.map(|id| candidates.get(id)).collect();
        Self {
            probabilities: scores.iter().map(|score| score.map_or(0.0, share)).collect(),
            scores,
            rank: candidates.rank(winner).unwrap(),
            entropy: candidates.entropy().unwrap(),
            best: candidates.max().unwrap(),
        }
    }

    fn is_running(&self, id: usize) -> bool {
        self.scores[id].is_some_and(|score| score > f32::NEG_INFINITY)
    }

    fn running(&self) -> usize {
        (0..self.scores.len()).filter(|&id| self.is_running(id)).count()
    }
}

/// Whether the trace of a step says what its stages did.
pub(crate) fn check_trace(
    pipeline: &Pipeline,
    ops: &[Op],
    row: &[f32],
    step: &Step<'_>,
    workspace: &mut Workspace,
) -> Result<(), TestCaseError> {
    let mut chosen = pipeline.select(row, step, workspace).unwrap();
    let winner = chosen.token;
    let trace = chosen.trace.unwrap().stages().to_vec();
    let removed_by: Vec<_> = (0..row.len() as u32).map(|id| chosen.removed_by(id)).collect();
    prop_assert_eq!(chosen.removed_by(row.len() as u32), None);
    prop_assert_eq!(trace.len(), ops.len());

    let mut before = State::after(0, pipeline, row, step, workspace, winner);
    let mut fates = vec![None; row.len()];
    for (stage, (told, op)) in trace.iter().zip(ops).enumerate() {
        let after = State::after(stage + 1, pipeline, row, step, workspace, winner);
        prop_assert_eq!((told.before, told.after), (before.running(), after.running()));
        prop_assert_eq!(told.rank_before, before.rank);
        for (number, want) in [
            (told.probability_before, before.probabilities[winner as usize]),
            (told.entropy_before, before.entropy),
            (told.entropy_after, after.entropy),
            (told.removed_mass, removed_mass(&before, &after)),
        ] {
            // A trace multiplies where scores are divided, which is a matter of their last bits.
            let bits = 4.0 * f32::EPSILON * before.best.abs().max(after.best.abs());
            let within = 3e-6 + f64::from(bits);
            let number = number.expect("there is a mass");
            prop_assert!((number - want).abs() < within, "{told:?}: {number} is {want}");
        }
        prop_assert!((0.0..=1.0).contains(&told.removed_mass.unwrap()), "{told:?}");
        if let Some(sharing) = divided(&before, &after) {
            prop_assert_eq!(told.ties, sharing);
        } else if !keeps_all(op) {
            prop_assert_eq!(told.ties, 0);
        }
        for (id, fate) in fates.iter_mut().enumerate() {
            if after.is_running(id) {
                *fate = None;
            } else if before.scores[id].is_some() && after.scores[id].is_none()
                || before.is_running(id)
            {
                // Who was banned before is not removed once more.
                *fate = fate.or(Some(stage));
            }
        }
        before = after;
    }
    prop_assert_eq!(removed_by, fates);
    Ok(())
}

/// What those had that are no longer in the running.
fn removed_mass(before: &State, after: &State) -> f64 {
    let gone = (0..before.scores.len()).filter(|&id| !after.is_running(id));
    gone.map(|id| before.probabilities[id]).sum()
}

/// How many had the score of which some are listed still and some are not.
fn divided(before: &State, after: &State) -> Option<usize> {
    let mut classes: HashMap<u32, (usize, usize)> = HashMap::new();
    for (score, left) in before.scores.iter().zip(&after.scores) {
        // −0.0 and +0.0 are one score, and a banned token has none.
        if let Some(score) = score.filter(|&score| score > f32::NEG_INFINITY) {
            let class = classes.entry((score + 0.0).to_bits()).or_default();
            class.0 += 1;
            class.1 += usize::from(left.is_some());
        }
    }
    classes.values().find(|(all, left)| (1..*all).contains(left)).map(|class| class.0)
}

fn keeps_all(op: &Op) -> bool {
    let ties = match op {
        Op::Cut(
            Cut::TopK(_, ties)
            | Cut::TopP(.., ties)
            | Cut::Typical(.., ties)
            | Cut::Nearest(.., ties)
            | Cut::TopH(_, ties)
            | Cut::DropTop(_, ties)
            | Cut::Xtc(.., ties),
        ) => *ties,
        _ => return false,
    };
    ties == TiePolicy::KeepAll
}

fn trace_of(row: &[f32], pipeline: &Pipeline) -> (Vec<StageTrace>, Vec<Option<usize>>) {
    let mut workspace = Workspace::new(row.len());
    let step = Step::new(DrawKey::new(1)).ask(Ask { trace: true, ..Ask::token() });
    let mut chosen = pipeline.select(row, &step, &mut workspace).unwrap();
    let removed_by = (0..row.len() as u32).map(|id| chosen.removed_by(id)).collect();
    (chosen.trace.unwrap().stages().to_vec(), removed_by)
}

/// Of the listed tokens only those that can be chosen tie; a cut among banned ones divides nothing.
#[test]
fn banned_tokens_are_no_ties() {
    let mut forced = vec![f32::NEG_INFINITY; 2048];
    forced[7] = 1.0;
    let all = [TiePolicy::KeepAll, TiePolicy::LowestId, TiePolicy::HighestId, TiePolicy::Random];
    for ties in all.into_iter().chain([TiePolicy::Error]) {
        for t in [1.0, 0.5] {
            let cuts = Pipeline::draw()
                .then(Temperature::new(t).unwrap())
                .then(Typical::new(0.5).unwrap().ties(ties).min_tokens_to_keep(40))
                .then(TopK::new(37).unwrap().ties(ties))
                .then(TopP::new(0.9).unwrap().ties(ties).min_tokens_to_keep(30))
                .then(MinP::new(0.1).unwrap().min_tokens_to_keep(20))
                .then(TopH::new(0.9).unwrap().ties(ties));
            let (stages, _) = trace_of(&forced, &cuts);
            let counts: Vec<_> = stages.iter().map(|stage| stage.ties).collect();
            assert_eq!(counts, [0; 6], "{ties:?}, {t}");
        }
    }
    // Those that can be chosen still tie.
    forced[9] = 1.0;
    let (stages, _) = trace_of(&forced, &Pipeline::draw().then(TopK::new(1).unwrap()));
    assert_eq!(stages[0].ties, 2);
}

#[test]
fn a_temperature_may_ban() {
    let pipeline = Pipeline::greedy()
        .then(TopK::new(2).unwrap())
        .then(Temperature::new(0.5).unwrap())
        .then(TopP::new(0.9).unwrap());
    // Twice the last is −∞.
    let (stages, removed_by) = trace_of(&[0.0, f32::NEG_INFINITY, -3e38], &pipeline);
    let counts: Vec<_> = stages.iter().map(|stage| (stage.before, stage.after)).collect();
    assert_eq!(counts, [(2, 2), (2, 1), (1, 1)]);
    assert_eq!(removed_by, [None, Some(0), Some(1)]);
}

#[test]
fn a_stage_may_cut_twice_and_edit_between() {
    let mixed = stage_fn("mixed", |candidates: &mut Candidates<'_>, _: &StepContext<'_>| {
        candidates.keep_top(4, TiePolicy::LowestId)?;
        candidates.divide(0.5)?;
        candidates.keep_mass(0.6, MassRule::Reach, 1, TiePolicy::LowestId)?;
        candidates.edit([0], |_, _| f32::NEG_INFINITY)
    });
    let row = [0.4_f32, 0.3, 0.2, 0.05, 0.05].map(f32::ln);
    let (stages, removed_by) = trace_of(&row, &Pipeline::draw().then(mixed));
    // Of the whole 0.95 is left, of the squares of 0.4, 0.3, 0.2 and 0.05 the first two, of those the second.
    let left = 0.95 * (0.25 / 0.2925) * (0.09 / 0.25);
    assert!((stages[0].removed_mass.unwrap() - (1.0 - left)).abs() < 1e-6, "{stages:?}");
    assert_eq!((stages[0].before, stages[0].after), (5, 1));
    assert_eq!(removed_by, [Some(0), None, Some(0), Some(0), Some(0)]);
}

/// Takes the best of the first half of the mass, and does not say that it cuts.
#[derive(Debug)]
struct Half;

impl Selector for Half {
    fn name(&self) -> &'static str {
        "half"
    }

    fn select(
        &self,
        candidates: &mut Candidates<'_>,
        _: &StepContext<'_>,
    ) -> Result<u32, StageError> {
        candidates.keep_mass(0.5, MassRule::Reach, 1, TiePolicy::LowestId)?;
        candidates.argmax(ArgmaxTies::LowestId)
    }
}

#[test]
fn a_cut_after_a_trace_is_its_own() {
    let row = [0.4_f32, 0.3, 0.2, 0.05, 0.05].map(f32::ln);
    let mut workspace = Workspace::new(row.len());
    let step = Step::new(DrawKey::new(1)).ask(Ask { trace: true, ..Ask::token() });
    let mut chosen = Pipeline::selecting(Half).select(&row, &step, &mut workspace).unwrap();
    let candidates = chosen.candidates();
    candidates.keep_mass(0.85, MassRule::Reach, 1, TiePolicy::LowestId).unwrap();
    assert_eq!(candidates.len(), 3);
}
