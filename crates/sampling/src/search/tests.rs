//! What holds of a search, on tables small enough to know everything about.

mod drawn;
mod refused;
mod rows;

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::pipeline::Pipeline;
use crate::sequence::{DrawKey, Draws, Purpose};
use crate::stages::{Constraint, NoRepeatNgram, RepetitionPenalty, TopK};
use crate::{Accepted, Mask, SequenceError, StageError, StageMemory, Step, Workspace};

type Table = Vec<Vec<f32>>;
type Found = Hypothesis<BeamEnd>;

fn rows_of(pipeline: &Pipeline, key: DrawKey, prompt: &[u32]) -> BeamRows {
    BeamRows::new(pipeline.sequence(key).prompt(prompt))
}

fn last_of(rows: &BeamRows, beam: usize) -> u32 {
    *rows.beams()[beam].history().tokens().last().expect("a prompt")
}

/// Random logits; the last token is the end.
fn random_table(seed: u64, size: usize) -> Table {
    let mut series = Draws::new(DrawKey::new(seed)).series(Purpose::Custom(0));
    let mut logit = |at| ((series.bits(at) >> 11) as f64 / 9.007e15 * 6.0 - 3.0) as f32;
    let row = |r: u64| (0..size as u64).map(move |c| r * size as u64 + c);
    (0..size as u64).map(|r| row(r).map(&mut logit).collect()).collect()
}

/// Runs a search from the prompt `[0]`.
fn search(table: &Table, pipeline: &Pipeline, settings: &BeamSettings) -> Vec<Found> {
    let mut search = BeamSearch::new(settings.clone(), table.len()).expect("good settings");
    let mut rows = rows_of(pipeline, settings.key, &[0]);
    let mut workspace = Workspace::new(table.len());
    while !search.is_done() {
        rows.clear();
        for beam in 0..search.beams() {
            let row = &table[last_of(&rows, beam) as usize];
            rows.push(beam, row, &mut workspace).expect("a clean row");
        }
        let next = search.advance(&rows).expect("a possible step");
        rows.reorder(&next).expect("beams of this search");
    }
    let found = search.hypotheses();
    for hypothesis in &found {
        let last = hypothesis.tokens.last().expect("a token");
        let ended = settings.eos_token_ids.contains(last);
        assert_eq!(hypothesis.reason, if ended { BeamEnd::Eos } else { BeamEnd::Length });
    }
    found
}

fn greedy(table: &Table, pipeline: &Pipeline, settings: &BeamSettings) -> Vec<u32> {
    let mut history = crate::History::new(&[0]);
    let mut workspace = Workspace::new(table.len());
    while history.generated().len() < settings.max_new_tokens {
        let last = *history.tokens().last().expect("a prompt") as usize;
        let step = Step::new(DrawKey::new(0)).history(&history);
        let token = pipeline.select(&table[last], &step, &mut workspace).expect("a token").token;
        history.accept(token);
        if settings.eos_token_ids.contains(&token) {
            break;
        }
    }
    history.generated().to_vec()
}

/// The log-probability of a sequence after `[0]` under the table alone.
fn log_probability(table: &Table, tokens: &[u32]) -> f64 {
    let mut last = 0;
    let mut sum = 0.0;
    for &token in tokens {
        let row = &table[last];
        let norm = row.iter().map(|&x| f64::from(x).exp()).sum::<f64>().ln();
        sum += f64::from(row[token as usize]) - norm;
        last = token as usize;
    }
    sum
}

/// Every sequence that ends by the last token or by length, with its log-probability.
fn all_sequences(table: &Table, most: usize) -> Vec<(Vec<u32>, f64)> {
    let end = table.len() as u32 - 1;
    let (mut open, mut all) = (vec![Vec::new()], Vec::new());
    while let Some(tokens) = open.pop() {
        for token in 0..=end {
            let longer: Vec<u32> = tokens.iter().copied().chain([token]).collect();
            if token == end || longer.len() == most {
                let p = log_probability(table, &longer);
                all.push((longer, p));
            } else {
                open.push(longer);
            }
        }
    }
    all
}

fn settings(beams: usize, longest: usize, table: &Table, rule: SearchRule) -> BeamSettings {
    let eos = table.len() as u32 - 1;
    BeamSettings { rule, ..BeamSettings::new(beams, longest, &[eos]) }
}

const HUGGING_FACE: SearchRule =
    SearchRule::HuggingFace { early_stopping: EarlyStopping::Heuristic, sampled: false };
const SAMPLED: SearchRule =
    SearchRule::HuggingFace { early_stopping: EarlyStopping::Heuristic, sampled: true };

#[test]
fn the_canonical_rule_finds_the_optimum_where_it_has_room() {
    for seed in 0..60 {
        let table = random_table(seed, 4);
        let exponent = [-1.0, 0.0, 0.5, 1.0, 2.0][seed as usize % 5];
        let settings = BeamSettings {
            length_penalty: exponent,
            num_return_sequences: 5,
            // Three of four tokens go on, at four lengths.
            ..settings(81, 5, &table, SearchRule::Canonical)
        };
        let found = search(&table, &Pipeline::greedy(), &settings);
        let mut scores: Vec<f64> = all_sequences(&table, 5)
            .into_iter()
            .map(|(tokens, sum)| sum / (tokens.len() as f64).powf(exponent))
            .collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        for (got, want) in found.iter().zip(&scores) {
            assert!((f64::from(got.score) - want).abs() < 1e-5 * want.abs(), "seed {seed}");
        }
        assert_eq!(found.len(), 5);
    }
}

#[test]
fn scores_recompute_from_the_model() {
    for seed in 0..40 {
        let table = random_table(seed, 6);
        for rule in [HUGGING_FACE, SAMPLED, SearchRule::Canonical, SearchRule::Stochastic] {
            let settings = BeamSettings { num_return_sequences: 4, ..settings(4, 7, &table, rule) };
            for found in search(&table, &Pipeline::greedy(), &settings) {
                let sum = log_probability(&table, &found.tokens);
                let stochastic = rule == SearchRule::Stochastic;
                let length = if stochastic { 1.0 } else { found.tokens.len() as f64 };
                assert!((f64::from(found.sum) - sum).abs() < 1e-5, "{rule:?} seed {seed}");
                assert!((f64::from(found.score) - sum / length).abs() < 1e-5, "{rule:?}");
            }
        }
    }
}

/// Four tokens after which the text ends at once, by 7 or 8, and one, 5, that leads by way of 6 to a
/// long text that is certain. Per token that is the better one, but not after two tokens yet.
fn table_with_a_late_reward() -> Table {
    let ends = [0.005, 0.005, 0.005, 0.005, 0.005, 0.0025, 0.0025, 0.485, 0.485];
    let start = [0.0, 0.19, 0.19, 0.19, 0.19, 0.21, 0.0, 0.015, 0.015];
    let fork = [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.3, 0.05, 0.05];
    let long = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.9999, 0.00005, 0.00005];
    let rows = [start, ends, ends, ends, ends, fork, long, ends, ends];
    rows.iter().map(|row: &[f32; 9]| row.map(f32::ln).to_vec()).collect()
}

#[test]
fn hugging_faces_heuristic_stops_ahead_of_what_the_canonical_rule_finds() {
    let (table, pipeline) = (table_with_a_late_reward(), Pipeline::greedy());
    let best = |rule| {
        let settings = BeamSettings { eos_token_ids: vec![7, 8], ..settings(4, 10, &table, rule) };
        search(&table, &pipeline, &settings).remove(0)
    };
    let by = |early_stopping| SearchRule::HuggingFace { early_stopping, sampled: false };
    for early_stopping in [EarlyStopping::Heuristic, EarlyStopping::WhenFull] {
        let stopped = best(by(early_stopping));
        assert_eq!(stopped.tokens.len(), 2, "an end at once: {:?}", stopped.tokens);
    }
    for rule in [SearchRule::Canonical, by(EarlyStopping::Never)] {
        let optimum = best(rule);
        assert_eq!(optimum.tokens, [5, 6, 6, 6, 6, 6, 6, 6, 6, 6]);
        assert!(optimum.score > best(HUGGING_FACE).score);
    }
}

/// Greedy goes 1, 3, 6; two beams leave 1 because both continuations of 2 look better.
#[test]
fn two_beams_can_lose_to_greedy() {
    let mut table = vec![vec![-30.0_f32; 18]; 18];
    table[0][1] = 0.40_f32.ln();
    table[0][2] = 0.35_f32.ln();
    table[0][4] = 0.25_f32.ln();
    table[1][3] = 0.30_f32.ln();
    (8..15).for_each(|token| table[1][token] = 0.10_f32.ln());
    table[2][4] = 0.5_f32.ln();
    table[2][5] = 0.5_f32.ln();
    table[3][6] = 0.0;
    for spread in [4, 5] {
        (7..17).for_each(|token| table[spread][token] = 0.1_f32.ln());
    }
    (7..17).for_each(|token| table[token] = table[4].clone());
    let pipeline = Pipeline::greedy();
    for rule in [HUGGING_FACE, SearchRule::Canonical] {
        let settings = settings(2, 3, &table, rule);
        let alone = greedy(&table, &pipeline, &settings);
        assert_eq!(alone, [1, 3, 6]);
        let beams = &search(&table, &pipeline, &settings)[0];
        assert!(f64::from(beams.sum) < log_probability(&table, &alone), "{:?}", beams.tokens);
    }
}

#[test]
fn one_beam_is_greedy_where_a_shift_makes_no_difference() {
    for seed in 0..200 {
        let table = random_table(seed, 7);
        let early = [EarlyStopping::Heuristic, EarlyStopping::WhenFull][seed as usize % 2];
        let rule = SearchRule::HuggingFace { early_stopping: early, sampled: false };
        let settings = settings(1, 8, &table, rule);
        let pipeline = Pipeline::greedy()
            .then(NoRepeatNgram::new(2).expect("a size"))
            .then(TopK::new(3).expect("a count"));
        let beam = search(&table, &pipeline, &settings).remove(0);
        assert_eq!(beam.tokens, greedy(&table, &pipeline, &settings), "seed {seed}");
    }
}

/// Under beams the penalty always multiplies, because no log-probability is above 0; greedy decoding
/// shows it the logits, and divides.
#[test]
fn the_repetition_penalty_of_beams_is_another_than_that_of_greedy() {
    let table = vec![vec![2.0, 1.9], vec![2.0, 1.9]];
    let pipeline = Pipeline::greedy().then(RepetitionPenalty::new(1.04).expect("a penalty"));
    let settings = BeamSettings::new(1, 1, &[]);
    // 2 / 1.04 is still above 1.9; ln 0.525 · 1.04 is still above ln 0.475.
    assert_eq!(greedy(&table, &pipeline, &settings), [0]);
    let pipeline = Pipeline::greedy().then(RepetitionPenalty::new(1.1).expect("a penalty"));
    // 2 / 1.1 is below 1.9, but ln 0.525 · 1.1 is above ln 0.475.
    assert_eq!(greedy(&table, &pipeline, &settings), [1]);
    assert_eq!(search(&table, &pipeline, &settings)[0].tokens, [0]);
}

#[test]
fn a_permuted_vocabulary_gives_the_permuted_result() {
    // The prompt and the end stay where they are.
    let to = [0_u32, 3, 1, 4, 2, 5];
    for seed in 0..40 {
        let table = random_table(seed, 6);
        let mut permuted = table.clone();
        for (r, row) in table.iter().enumerate() {
            for (c, &logit) in row.iter().enumerate() {
                permuted[to[r] as usize][to[c] as usize] = logit;
            }
        }
        for rule in [HUGGING_FACE, SearchRule::Canonical] {
            let settings = BeamSettings { num_return_sequences: 3, ..settings(3, 6, &table, rule) };
            let found = search(&table, &Pipeline::greedy(), &settings);
            let other = search(&permuted, &Pipeline::greedy(), &settings);
            // Paths with the same steps in another order tie.
            for (a, b) in found.iter().zip(&other) {
                assert!((a.score - b.score).abs() < 1e-6, "seed {seed}");
            }
            let moved: Vec<u32> = found[0].tokens.iter().map(|&t| to[t as usize]).collect();
            let tied = (found[0].score - found[1].score).abs() < 1e-5;
            assert!(tied || moved == other[0].tokens, "seed {seed}");
        }
    }
}

#[test]
fn groups_pay_for_what_earlier_groups_took() {
    let table = vec![vec![1.0, 0.9, 0.5, 0.0]; 4];
    let plain = BeamSettings {
        num_return_sequences: 4,
        eos_token_ids: Vec::new(),
        ..settings(4, 1, &table, HUGGING_FACE)
    };
    let diverse = BeamSettings { num_beam_groups: 4, diversity_penalty: 0.3, ..plain.clone() };
    let found = |settings| -> Vec<(u32, f32)> {
        let found = search(&table, &Pipeline::greedy(), settings);
        found.iter().map(|f| (f.tokens[0], f.sum)).collect()
    };
    let tokens = |found: &[(u32, f32)]| found.iter().map(|&(token, _)| token).collect::<Vec<_>>();
    assert_eq!(tokens(&found(&plain)), [0, 1, 2, 3]);
    // The first takes 1.0; then 0.9 beats 1.0 − 0.3, which beats 0.9 − 0.3, which beats 0.5.
    let diverse = found(&diverse);
    assert_eq!(tokens(&diverse), [0, 1, 0, 1]);
    let gaps: Vec<f32> = diverse.iter().map(|&(_, sum)| diverse[0].1 - sum).collect();
    for (got, want) in gaps.iter().zip([0.0, 0.1, 0.3, 0.4]) {
        assert!((got - want).abs() < 1e-6, "{gaps:?}");
    }
}

/// Only tokens that differ from the one before, as a memory that each beam has for itself.
#[derive(Debug, Clone)]
struct NoDoubles(Vec<u32>);

impl StageMemory for NoDoubles {
    fn accept(&mut self, accepted: &Accepted) {
        self.0.push(!(1 << accepted.token));
    }

    fn rollback(&mut self, tokens: usize) {
        self.0.truncate(self.0.len() - tokens);
    }

    fn fork(&self) -> alloc::boxed::Box<dyn StageMemory> {
        alloc::boxed::Box::new(self.clone())
    }
}

impl Mask for NoDoubles {
    fn allowed(&self) -> Result<&[u32], StageError> {
        Ok(core::slice::from_ref(self.0.last().unwrap_or(&u32::MAX)))
    }
}

#[test]
fn each_beam_has_a_memory_of_its_own() {
    let table = random_table(11, 5);
    let pipeline = Pipeline::greedy().then(Constraint::new(NoDoubles(vec![!1])));
    for rule in [HUGGING_FACE, SAMPLED, SearchRule::Canonical, SearchRule::Stochastic] {
        let settings = BeamSettings { num_return_sequences: 4, ..settings(4, 9, &table, rule) };
        for found in search(&table, &pipeline, &settings) {
            let tokens: Vec<u32> = core::iter::once(0).chain(found.tokens).collect();
            assert!(tokens.windows(2).all(|pair| pair[0] != pair[1]), "{tokens:?}");
        }
    }
}

/// Searches that take turns, in one workspace, find what each finds alone.
#[test]
fn prompts_together_are_prompts_one_by_one() {
    let table = random_table(21, 6);
    let pipeline = Pipeline::greedy().then(NoRepeatNgram::new(2).expect("a size"));
    let settings = BeamSettings { num_return_sequences: 3, ..settings(3, 6, &table, HUGGING_FACE) };
    let starts: [&[u32]; 3] = [&[0], &[3, 1], &[2, 2, 4]];
    let fresh = |start: &&[u32]| {
        let search = BeamSearch::new(settings.clone(), 6).expect("good settings");
        (search, rows_of(&pipeline, settings.key, start))
    };
    let mut workspace = Workspace::new(6);
    let mut step = |(search, rows): &mut (BeamSearch, BeamRows)| {
        rows.clear();
        for beam in 0..search.beams() {
            let row = &table[last_of(rows, beam) as usize];
            rows.push(beam, row, &mut workspace).expect("a row");
        }
        let next = search.advance(&*rows).expect("a step");
        rows.reorder(&next).expect("beams of this search");
    };
    let mut together: Vec<_> = starts.iter().map(fresh).collect();
    while together.iter().any(|(search, _)| !search.is_done()) {
        together.iter_mut().filter(|(search, _)| !search.is_done()).for_each(&mut step);
    }
    for (start, (search, _)) in starts.iter().zip(&together) {
        let mut alone = fresh(start);
        while !alone.0.is_done() {
            step(&mut alone);
        }
        assert_eq!(alone.0.hypotheses(), search.hypotheses());
    }
}

/// Where fewer continuations are possible than there are beams, what fills the places is not returned.
#[test]
fn placeholders_are_never_returned() {
    let table = vec![vec![0.0, f32::NEG_INFINITY], vec![0.0, f32::NEG_INFINITY]];
    for early_stopping in [EarlyStopping::Heuristic, EarlyStopping::WhenFull, EarlyStopping::Never]
    {
        let rule = SearchRule::HuggingFace { early_stopping, sampled: false };
        let settings = BeamSettings { num_return_sequences: 3, ..settings(3, 4, &table, rule) };
        let found = search(&table, &Pipeline::greedy(), &settings);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].tokens, [0; 4]);
    }
}

#[test]
fn the_tree_says_what_became_of_each_candidate() {
    let table = random_table(2, 5);
    let settings = BeamSettings { num_return_sequences: 2, ..settings(3, 5, &table, HUGGING_FACE) };
    let mut search = BeamSearch::new(settings, 5).expect("settings");
    let pipeline = Pipeline::greedy();
    let mut rows = rows_of(&pipeline, DrawKey::new(0), &[0]);
    let mut workspace = Workspace::new(5);
    while !search.is_done() {
        rows.clear();
        for beam in 0..search.beams() {
            let row = &table[last_of(&rows, beam) as usize];
            rows.push(beam, row, &mut workspace).expect("a row");
        }
        let next = search.advance(&rows).expect("a step");
        rows.reorder(&next).expect("beams of this search");
    }
    let tree = search.tree();
    for (i, node) in tree.iter().enumerate() {
        let Some(parent) = node.parent else { continue };
        assert!(parent < i && tree[parent].fate == Fate::Kept);
        assert_eq!(tree[parent].length + 1, node.length);
        assert!(tree[parent].sum >= node.sum);
    }
    let finished = tree.iter().filter(|node| matches!(node.fate, Fate::Finished { .. })).count();
    assert_eq!(finished, 3, "as many as there are beams");
}

/// The limit stood in two places, and neither bound.
#[test]
fn a_search_ends_by_the_settings_alone_and_by_the_callers_reasons_before() {
    let table = random_table(4, 5);
    let settings = BeamSettings { num_return_sequences: 2, ..settings(2, 8, &table, HUGGING_FACE) };
    let found = search(&table, &Pipeline::greedy(), &settings);
    assert!(found.iter().all(|found| found.tokens.len() <= 8));
    let fresh = || BeamSearch::<char>::with_reasons(settings.clone(), 5).expect("settings");
    let mut search = fresh();
    let row = [0.5_f32, 0.2, 0.15, 0.1, 0.05].map(f32::ln);
    search.advance_or_stop(&row, |_, token| (token == 0).then_some('s')).expect("a step");
    let stopped = search.hypotheses();
    assert_eq!((&stopped[0].tokens[..], stopped[0].reason), (&[0][..], BeamEnd::Stopped('s')));
    // EOS is not asked about.
    let mut search = fresh();
    let eos = [0.05_f32, 0.1, 0.15, 0.2, 0.5].map(f32::ln);
    let asked = |_: BeamRef, token: u32| (token == 4).then_some('x');
    search.advance_or_stop(&eos, asked).expect("a step");
    assert_eq!(search.hypotheses()[0].reason, BeamEnd::Eos);
}

#[test]
fn logits_in_any_form_make_the_same_rows_and_foreign_steps_are_refused() {
    let table = random_table(3, 6);
    let pipeline = Pipeline::greedy().then(TopK::new(4).expect("a count"));
    let mut workspace = Workspace::new(6);
    let mut scores = |logits: crate::Logits<'_>| {
        let mut rows = rows_of(&pipeline, DrawKey::new(0), &[0]);
        rows.push(0, logits, &mut workspace).expect("a row");
        rows.scores().to_vec()
    };
    let row = &table[0];
    let listed: Vec<(u32, f32)> = (0..6).zip(row.iter().copied()).rev().collect();
    assert_eq!(scores((&listed).into()), scores(row.into()));
    let mut rows = rows_of(&pipeline, DrawKey::new(0), &[0]);
    let unknown = SequenceError::UnknownBeam { beam: 1, beams: 1 };
    assert_eq!(rows.push(1, row, &mut workspace), Err(unknown.into()));
    let foreign = Reorder { parents: vec![1], tokens: vec![0] };
    assert_eq!(rows.reorder(&foreign), Err(unknown));
    let twice = [(1, 0.0), (1, 1.0)];
    let refused = rows.push(0, &twice, &mut workspace).expect_err("two logits");
    assert_eq!(refused, crate::SelectError::ListedTwice { id: 1 });
}
