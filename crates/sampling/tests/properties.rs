//! The fast paths against the naive reference, and the promises, over adversarial rows.

use proptest::prelude::*;
use taper_sampling::reference::List;
use taper_sampling::*;

/// What a test pipeline is made of; each has a twin in the reference.
#[derive(Debug, Clone)]
enum Op {
    Divide(f32),
    TopK(usize, TiePolicy),
    TopP(f64, MassRule, usize, TiePolicy),
    MinP(f64),
    Penalty(f64),
    Ngram(usize),
    From(f32, Edge, usize),
}

impl Op {
    fn stage(&self) -> Box<dyn Stage> {
        match *self {
            Self::Divide(t) => Box::new(Temperature::new(f64::from(t)).unwrap()),
            Self::TopK(k, ties) => Box::new(TopK::new(k).unwrap().ties(ties)),
            Self::TopP(p, rule, least, ties) => {
                Box::new(TopP::new(p).unwrap().rule(rule).min_tokens_to_keep(least).ties(ties))
            }
            Self::MinP(p) => Box::new(MinP::new(p).unwrap()),
            Self::Penalty(r) => Box::new(RepetitionPenalty::new(r).unwrap()),
            Self::Ngram(n) => Box::new(NoRepeatNgram::new(n).unwrap()),
            Self::From(floor, edge, least) => {
                Box::new(stage_fn("from", move |c, _| c.keep_from(floor, edge, least)))
            }
        }
    }

    fn apply(&self, list: &mut List, tokens: &[u32]) {
        match *self {
            Self::Divide(t) if t != 1.0 => list.divide(t),
            Self::Divide(_) => {}
            Self::TopK(k, ties) => list.keep_top(k, ties),
            Self::TopP(p, rule, least, ties) => list.keep_mass(p, rule, least, ties),
            Self::MinP(p) => list.min_p(p),
            Self::Penalty(r) => list.repetition_penalty(r as f32, tokens),
            Self::Ngram(n) => list.no_repeat_ngram(n, tokens),
            Self::From(floor, edge, least) => list.keep_from(floor, edge, least.max(1)),
        }
    }
}

fn ties() -> impl Strategy<Value = TiePolicy> {
    use TiePolicy::{HighestId, KeepAll, LowestId, Random};
    prop::sample::select(vec![KeepAll, LowestId, HighestId, Random])
}

fn op() -> impl Strategy<Value = Op> {
    let rules = vec![MassRule::DropTail, MassRule::Reach, MassRule::Exceed];
    let share = prop_oneof![0.0..1.0_f64, prop::sample::select(vec![0.0, 0.25, 0.5, 0.75, 1.0])];
    prop_oneof![
        prop_oneof![0.01_f32..4.0, prop::sample::select(vec![0.5_f32, 1.0, 3.0, 1e-3, 1e6])]
            .prop_map(Op::Divide),
        (1_usize..40, ties()).prop_map(|(k, t)| Op::TopK(k, t)),
        (share.clone(), prop::sample::select(rules), 0_usize..5, ties())
            .prop_map(|(p, r, m, t)| Op::TopP(p, r, m, t)),
        share.prop_map(Op::MinP),
        (0.3_f64..3.0).prop_map(Op::Penalty),
        (1_usize..4).prop_map(Op::Ngram),
        (-9.0_f32..9.0, prop::sample::select(vec![Edge::Keep, Edge::Drop]), 1_usize..4)
            .prop_map(|(f, e, m)| Op::From(f, e, m)),
    ]
}

/// Logits that collide: a coarse grid, both zeros, neighbours in the last place, subnormals, −∞,
/// and now and then a huge spread.
fn logit() -> impl Strategy<Value = f32> {
    let one_up = f32::from_bits(1.0_f32.to_bits() + 1);
    let odd = vec![0.0, -0.0, 1e-42, -1e-42, 1.0, one_up, f32::NEG_INFINITY, -1e30, 88.0];
    prop_oneof![
        4 => (-32_i32..32).prop_map(|i| i as f32 / 4.0),
        2 => -9.0_f32..9.0,
        1 => prop::sample::select(odd),
    ]
}

fn row() -> impl Strategy<Value = Vec<f32>> {
    prop_oneof![prop::collection::vec(logit(), 1..60), prop::collection::vec(logit(), 900..1400)]
        .prop_filter("something must be allowed", |r| r.iter().any(|&x| x > f32::NEG_INFINITY))
}

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
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_pipeline_agrees_with_the_reference(
        row in row(),
        ops in prop::collection::vec(op(), 0..5),
        tokens in prop::collection::vec(0_u32..20, 0..12),
        seed: u64,
    ) {
        let key = DrawKey { seed, stream: 3, step: 9 };
        let tokens: Vec<u32> = tokens.into_iter().map(|t| t % row.len() as u32).collect();
        let history = History::new(&tokens);
        let mut list = List::new(&row, Draws::new(key));
        for op in &ops {
            op.apply(&mut list, &tokens);
            // From here on the pipeline refuses; the reference has no word for it.
            prop_assume!(list.max() > f32::NEG_INFINITY && list.max() < f32::INFINITY);
        }
        let mut workspace = Workspace::new(row.len());
        let step = Step::new(key).history(&history);
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
        }

        // A traced step chooses the same token, and its account is consistent.
        let traced = step.ask(Ask { top_logprobs: 3, ..Ask::everything() });
        let bare = pipeline.select(&row, &step, &mut workspace).unwrap().token;
        let mut full = pipeline.select(&row, &traced, &mut workspace).unwrap();
        prop_assert_eq!(full.token, bare);
        prop_assert_eq!(entries(full.candidates()), entries_of(&list));
        prop_assert_eq!(full.removed_by(bare), None);
        let stages = full.trace.unwrap().stages();
        prop_assert_eq!(stages.len(), ops.len());
        prop_assert!(stages.windows(2).all(|w| w[0].after == w[1].before));
        for stage in stages {
            prop_assert!((0.0..=1.0).contains(&stage.removed_mass), "{stage:?}");
            prop_assert!(stage.rank_before >= 1 && stage.probability_before >= 0.0);
        }
        for id in 0..row.len() as u32 {
            let running = full.candidates().get(id).is_some_and(|s| s > f32::NEG_INFINITY);
            if running {
                prop_assert_eq!(full.removed_by(id), None);
            }
        }
    }

    /// Promise 1, for candidates that an arbitrary pipeline lets through.
    #[test]
    fn top_k_one_is_greedy_under_lowest_id(
        row in row(),
        ops in prop::collection::vec(op(), 0..3),
        t in 0.01_f64..50.0,
        seed: u64,
    ) {
        let step = Step::new(DrawKey::new(seed));
        let mut workspace = Workspace::new(row.len());
        let Ok(greedy) = pipeline_of(&ops, Pipeline::greedy())
            .select(&row, &step, &mut workspace).map(|s| s.token) else { return Ok(()) };
        let mut hot = pipeline_of(&ops, Pipeline::draw());
        hot.push(Box::new(Temperature::new(t).unwrap()));
        hot.push(Box::new(TopK::new(1).unwrap()));
        let mut chosen = hot.select(&row, &step, &mut workspace).unwrap();
        prop_assert_eq!(chosen.token, greedy);
        prop_assert_eq!(chosen.candidates().len(), 1);
    }

    /// A pending division reads, bit for bit, as one carried out at once.
    #[test]
    fn lazy_temperature_equals_eager(row in row(), ops in prop::collection::vec(op(), 0..3), t in 0.01_f32..9.0) {
        let step = Step::new(DrawKey::new(1));
        let eager = stage_fn("eager", move |c: &mut Candidates<'_>, _: &StepContext<'_>| { c.map(|_, s| s / t); Ok(()) });
        // Cuts that see only scores: what the undivided values add is told apart in `cuts_keep_all`.
        let ops: Vec<Op> = ops.into_iter().map(cuts_keep_all).collect();
        let lazy = pipeline_of(&ops, Pipeline::draw().then(Temperature::new(f64::from(t)).unwrap()));
        let eager = pipeline_of(&ops, Pipeline::draw().then(eager));
        let (mut one, mut two) = (Workspace::new(row.len()), Workspace::new(row.len()));
        match (lazy.process(&row, &step, &mut one), eager.process(&row, &step, &mut two)) {
            (Ok(a), Ok(b)) => prop_assert_eq!(entries(&a), entries(&b)),
            (a, b) => prop_assert_eq!(a.err(), b.err()),
        }
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
        let step = Step::new(DrawKey::new(seed)).ask(Ask::everything());
        match pipeline_of(&ops, Pipeline::draw()).select(&row, &step, &mut workspace) {
            Ok(mut chosen) => {
                let token = chosen.token;
                let score = chosen.candidates().get(token).expect("listed");
                prop_assert!(score.is_finite());
                prop_assert!(chosen.kept.unwrap() >= 1);
            }
            Err(SelectError::Stage { source, .. }) => {
                use StageError::{AllMasked, Empty, NotFinite};
                let refused = matches!(source, NotFinite { .. } | AllMasked { .. } | Empty);
                prop_assert!(refused, "{source}");
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}

fn entries_of(list: &List) -> Vec<(u32, u32)> {
    list.entries().iter().map(|e| (e.id, (e.score + 0.0).to_bits())).collect()
}

fn cuts_keep_all(op: Op) -> Op {
    match op {
        Op::TopK(k, _) => Op::TopK(k, TiePolicy::KeepAll),
        Op::TopP(p, rule, _, _) => Op::TopP(p, rule, 1, TiePolicy::KeepAll),
        Op::From(floor, edge, _) => Op::From(floor, edge, 1),
        other => other,
    }
}
