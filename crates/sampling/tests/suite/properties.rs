//! The fast paths against the naive reference, and the promises, over adversarial rows.

use crate::support::{Cut, Op, cases, cut, history, long_row, op, row, unconditional};
use crate::traces::check_trace;
use proptest::prelude::*;
use taper_sampling::reference::List;
use taper_sampling::testkit::*;
use taper_sampling::*;

fn entries(candidates: &Candidates<'_>) -> Vec<(u32, u32)> {
    let mut out = Vec::new();
    // −0.0 and +0.0 are one score.
    candidates.for_each(|id, score| out.push((id, (score + 0.0).to_bits())));
    out
}

fn pipeline_of(ops: &[Op], mut pipeline: Pipeline) -> Pipeline {
    for op in ops {
        pipeline.push(op.stage());
    }
    pipeline
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(3_000)))]

    #[test]
    fn any_pipeline_agrees_with_the_reference(
        row in row(),
        ops in prop::collection::vec(op(), 0..5),
        tokens in prop::collection::vec(0_u32..6, 0..24),
        seed: u64,
    ) {
        let key = DrawKey::new(seed).stream(3).step(9);
        let tokens: Vec<u32> = tokens.into_iter().map(|t| t % row.len() as u32).collect();
        let history = history(&tokens);
        let mut list = List::new(&row, Draws::new(key));
        for op in &ops {
            prop_assume!(!op.is_undecided(&list));
            op.apply(&mut list, &history, row.len());
            // From here on the pipeline refuses; the reference has no word for it.
            prop_assume!(list.max() > f32::NEG_INFINITY && list.max() < f32::INFINITY);
        }
        let mut workspace = Workspace::new(row.len());
        let unconditional = unconditional(row.len());
        let step = Step::new(key).history(&history).unconditional(&unconditional);
        let pipeline = pipeline_of(&ops, Pipeline::draw());
        let mut candidates = pipeline.process(&row, &step, &mut workspace).unwrap();
        let want: Vec<_> = list.entries().iter().map(|e| (e.id, (e.score + 0.0).to_bits())).collect();
        prop_assert_eq!(entries(&candidates), want);
        prop_assert_eq!(candidates.mass().unwrap(), list.mass());
        for ties in [ArgmaxTies::LowestId, ArgmaxTies::HighestId, ArgmaxTies::Random] {
            prop_assert_eq!(candidates.argmax(ties).ok(), list.argmax(ties.into()));
        }
        for u in [0.0, 0.3, 0.999_999_999, 1.0 - f64::EPSILON / 2.0] {
            prop_assert_eq!(candidates.pick(u).ok(), list.pick(u));
            let bent = |score: f32| -(score - 1.5).abs();
            prop_assert_eq!(candidates.pick_as(u, bent).ok(), rescored(&list, bent).pick(u));
        }
        prop_assert_eq!(
            candidates.pick_by_gumbel(Purpose::Gumbel).ok(),
            list.pick_by_gumbel(Purpose::Gumbel)
        );
        let ordered = list.ordered(TiePolicy::LowestId);
        let leading: Vec<f32> = ordered.iter().take(7).map(|e| e.score).collect();
        prop_assert_eq!(candidates.leading(7).unwrap(), &leading[..]);
        let second = ordered.get(1).unwrap_or(&ordered[0]);
        prop_assert_eq!(candidates.kth(2).unwrap(), second.score);
        prop_assert_eq!(candidates.mean_score().unwrap(), f64::from(list.max()) - list.mean_gap());

        // A traced step chooses the same token, and its account is consistent.
        let traced = step.ask(Ask { top_logprobs: 3, ..Ask::everything() });
        let bare = pipeline.select(&row, &step, &mut workspace).unwrap().token;
        let mut full = pipeline.select(&row, &traced, &mut workspace).unwrap();
        prop_assert_eq!(full.token, bare);
        prop_assert_eq!(entries(full.candidates()), entries_of(&list));
        check_trace(&pipeline, &ops, &row, &traced, &mut workspace)?;
    }

    /// Promise 1, for candidates that an arbitrary pipeline lets through. A temperature after another one
    /// divides what that has left, where logits may have become equal: then both come before greedy search.
    #[test]
    fn top_k_one_is_greedy_under_lowest_id(
        row in row(),
        ops in prop::collection::vec(op(), 0..3),
        t in 0.01_f32..50.0,
        seed: u64,
    ) {
        let step = Step::new(DrawKey::new(seed));
        let mut workspace = Workspace::new(row.len());
        let divides = |op: &Op| matches!(op, Op::Cut(Cut::Divide(_) | Cut::Dynamic(..)));
        let mut hot = ops.clone();
        hot.push(Op::Cut(Cut::Divide(t)));
        let before = if ops.iter().any(divides) { &hot } else { &ops };
        let mut greedy_after = |ops: &[Op]| {
            pipeline_of(ops, Pipeline::greedy()).select(&row, &step, &mut workspace).map(|s| s.token)
        };
        let (Ok(first), Ok(greedy)) = (greedy_after(&ops), greedy_after(before)) else { return Ok(()) };
        let hot = pipeline_of(&hot, Pipeline::draw()).then(TopK::new(1).unwrap());
        let mut chosen = hot.select(&row, &step, &mut workspace).unwrap();
        prop_assert_eq!(chosen.token, greedy);
        prop_assert_eq!(chosen.candidates().len(), 1);
        // Whichever token that is, none had a higher score before.
        let token = chosen.token;
        let left = pipeline_of(&ops, Pipeline::draw()).process(&row, &step, &mut workspace).unwrap();
        prop_assert_eq!(left.get(token), left.get(first));
    }

    /// A pending division reads, bit for bit, as one carried out at once.
    #[test]
    fn lazy_temperature_equals_eager(ops in prop::collection::vec(op(), 0..3), t in 0.01_f32..9.0, seed: u64) {
        let eager = stage_fn("eager", move |c: &mut Candidates<'_>, _: &StepContext<'_>| { c.map(|_, s| s / t); Ok(()) });
        // Cuts that see only scores: what the undivided values add is told apart in `cuts_keep_all`.
        let ops: Vec<Op> = ops.into_iter().map(cuts_keep_all).collect();
        let lazy = pipeline_of(&ops, Pipeline::draw().then(Temperature::new(f64::from(t)).unwrap()));
        let eager = pipeline_of(&ops, Pipeline::draw().then(eager));
        let (mut lazy, mut eager) = (PipelineSampler::new(lazy), PipelineSampler::new(eager));
        let compared = same_sets(&mut lazy, &mut eager, &Rows::new(seed).count(8));
        prop_assume!(!matches!(&compared, Err(v) if matches!(v.finding, Finding::Untested { .. })));
        prop_assert_eq!(compared, Ok(()));
    }

    /// Promises 2 and 3 over arbitrary bit patterns: a listed, allowed token or a typed error.
    #[test]
    fn arbitrary_bits_never_yield_a_wrong_token(
        bits in prop::collection::vec(any::<u32>(), 0..80),
        ops in prop::collection::vec(op(), 0..4),
        seed: u64,
    ) {
        let row: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
        let mut workspace = Workspace::new(row.len());
        let mut sequence = pipeline_of(&ops, Pipeline::draw()).sequence(DrawKey::new(seed));
        match sequence.select_given(&row, Ask::everything(), &mut workspace) {
            Ok(mut chosen) => {
                let token = chosen.token;
                let score = chosen.candidates().get(token).expect("listed");
                prop_assert!(score.is_finite());
                prop_assert!(chosen.kept.unwrap() >= 1);
            }
            Err(SelectError::Stage { source, .. }) => {
                use StageError::{AllMasked, Empty, NotFinite, NothingAllowed};
                let refused = matches!(
                    source,
                    NotFinite { .. } | AllMasked { .. } | Empty | NothingAllowed { .. }
                );
                prop_assert!(refused, "{source}");
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(100)))]

    /// Rows long enough for a cut by mass to start from a sample, with what may mislead it.
    #[test]
    fn long_rows_agree_with_the_reference(
        row in long_row(),
        t in prop_oneof![Just(1.0_f32), 0.3_f32..4.0],
        cut in cut().prop_filter("finds its boundary in the whole row", looks_at_the_whole_row),
        next in cut().prop_filter("does too", looks_at_the_whole_row),
        u in 0.0_f64..1.0,
    ) {
        let key = DrawKey::new(5);
        let all = [Op::Cut(Cut::Divide(t)), Op::Cut(cut), Op::Cut(next)];
        for last in 1..=all.len() {
            let ops = &all[..last];
            let mut list = List::new(&row, Draws::new(key));
            for op in ops {
                prop_assume!(!op.is_undecided(&list));
                op.apply(&mut list, &History::new(&[]), row.len());
                prop_assume!(list.max() > f32::NEG_INFINITY);
            }
            let mut workspace = Workspace::new(row.len());
            let pipeline = pipeline_of(ops, Pipeline::draw());
            let mut candidates = pipeline.process(&row, &Step::new(key), &mut workspace).unwrap();
            // A draw may come before anybody has asked who is left, and after.
            prop_assert_eq!(candidates.pick(u).ok(), list.pick(u));
            prop_assert_eq!(candidates.len(), list.entries().len());
            prop_assert_eq!(entries(&candidates), entries_of(&list));
            prop_assert_eq!(candidates.mass().unwrap(), list.mass());
            candidates.map(|_, score| score);
            prop_assert_eq!(entries(&candidates), entries_of(&list));
            prop_assert_eq!(candidates.pick(u).ok(), list.pick(u));
            if last == all.len() {
                let traced = Step::new(key).ask(Ask::everything());
                check_trace(&pipeline, ops, &row, &traced, &mut workspace)?;
            }
        }
    }
}

fn looks_at_the_whole_row(cut: &Cut) -> bool {
    matches!(
        cut,
        Cut::TopK(..)
            | Cut::TopP(..)
            | Cut::MinP(..)
            | Cut::From(..)
            | Cut::Typical(..)
            | Cut::Nearest(..)
    )
}

/// Where the k-th best is one of very many, whether they are above, at or below it, or banned.
#[test]
fn top_k_agrees_with_the_reference_among_many_equals() {
    const LEN: u32 = 9_000;
    let rows: [fn(u32) -> f32; 6] = [
        |_| 0.5,
        |id| if id % 700 == 3 { 2.0 } else { 0.5 },
        |id| if id % 3 == 0 { 2.0 } else { 0.5 },
        |id| if id % 640 == 5 { id as f32 } else { f32::NEG_INFINITY },
        |id| if id % 2 == 0 { 0.0 } else { -0.0 },
        |id| if id % 250 == 1 { -0.0 } else { -1e-45 },
    ];
    let mut workspace = Workspace::new(LEN as usize);
    for (r, row) in rows.into_iter().enumerate() {
        let row: Vec<f32> = (0..LEN).map(row).collect();
        for k in [29, 35, 36, 2_000, 8_999] {
            for ties in [TiePolicy::LowestId, TiePolicy::HighestId, TiePolicy::KeepAll] {
                let pipeline = Pipeline::draw().then(TopK::new(k).unwrap().ties(ties));
                let step = Step::new(DrawKey::new(1));
                let candidates = pipeline.process(&row, &step, &mut workspace).unwrap();
                let mut list = List::new(&row, Draws::new(DrawKey::new(1)));
                list.keep_top(k, ties);
                assert_eq!(entries(&candidates), entries_of(&list), "row {r}, {k}, {ties:?}");
            }
        }
    }
}

/// The list with other scores; what is banned stays so.
fn rescored(list: &List, f: impl Fn(f32) -> f32) -> List {
    let mut list = list.clone();
    list.map(|_, score| if score > f32::NEG_INFINITY { f(score) } else { score });
    list
}

fn entries_of(list: &List) -> Vec<(u32, u32)> {
    list.entries().iter().map(|e| (e.id, (e.score + 0.0).to_bits())).collect()
}

fn cuts_keep_all(op: Op) -> Op {
    match op {
        Op::Cut(cut) => Op::Cut(cut.keeping_all_ties()),
        Op::Edit(edit) => Op::Edit(edit),
    }
}
