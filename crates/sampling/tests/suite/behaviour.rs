//! What a step refuses, what its trace says, and that it allocates nothing.

use taper_sampling::reference::List;
use taper_sampling::*;

const INF: f32 = f32::INFINITY;

fn key() -> DrawKey {
    DrawKey::new(7)
}

fn refusal(pipeline: &Pipeline, row: &[f32]) -> String {
    let mut workspace = Workspace::new(row.len());
    let outcome =
        pipeline.select(row, &Step::new(key()), &mut workspace).map(|chosen| chosen.token);
    outcome.expect_err("the row must be refused").to_string()
}

#[test]
fn bad_rows_are_refused_by_name() {
    let greedy = Pipeline::greedy();
    let cut = || Pipeline::draw().then(TopK::new(2).unwrap());
    let all_banned = stage_fn("ban", |c: &mut Candidates<'_>, _: &StepContext<'_>| {
        c.map(|_, _| f32::NEG_INFINITY);
        Ok(())
    });
    let none =
        stage_fn("none", |c: &mut Candidates<'_>, _: &StepContext<'_>| c.keep_if(|_, _| false));
    let must = "scores must be finite or -inf";
    let cases: [(Pipeline, &[f32], String); 8] = [
        (Pipeline::greedy(), &[1.0, f32::NAN], format!("greedy: the score of token 1 is NaN; {must}")),
        (Pipeline::draw(), &[INF, 1.0], format!("draw: the score of token 0 is inf; {must}")),
        (cut(), &[1.0, 2.0, f32::NAN], format!("top_k: the score of token 2 is NaN; {must}")),
        (
            greedy,
            &[-INF, -INF],
            "greedy: all 2 candidates are masked (-inf); at least one must be allowed".into(),
        ),
        (
            Pipeline::draw().then(all_banned).then(TopP::new(0.5).unwrap()),
            &[1.0, 2.0, 3.0],
            "top_p: all 3 candidates are masked (-inf); at least one must be allowed".into(),
        ),
        (cut().then(none), &[1.0; 4], "none: no candidate is left; a cut must keep at least one".into()),
        (Pipeline::greedy(), &[], "greedy: no candidate is left; a cut must keep at least one".into()),
        (
            Pipeline::draw().then(TopK::new(2).unwrap().ties(TiePolicy::Error)),
            &[1.0, 3.0, 1.0],
            "top_k: 2 candidates tie at score 1 for 1 places; choose another tie policy to break it".into(),
        ),
    ];
    for (pipeline, row, want) in cases {
        assert_eq!(refusal(&pipeline, row), want);
    }
    let mut workspace = Workspace::new(3);
    let wrong =
        Pipeline::greedy().select(&[0.0; 2], &Step::new(key()), &mut workspace).unwrap_err();
    assert_eq!(wrong.to_string(), "the row has 2 logits but the workspace was built for 3");
}

/// Promise 1 is of any temperature: where scores would overflow, the limit is taken.
#[test]
fn a_temperature_beyond_single_precision_is_its_limit() {
    let coldest = f64::from(f32::from_bits(1));
    let rows: [(&[f32], &[u32]); 6] = [
        (&[1.0, 9.0, 8.999_999], &[1]),
        (&[-5.0, -4.0, -4.5], &[1]),
        (&[7.0, 3.0, 7.0, -INF], &[0, 2]),
        (&[0.0, -1e-30, -INF], &[0]),
        (&[3e38, 2.9e38, -3e38], &[0]),
        (&[-3e38, -3.1e38], &[0]),
    ];
    let mut workspaces: Vec<Workspace> = (0..5).map(Workspace::new).collect();
    for (row, best) in rows {
        for t in [coldest, 1e-40, 1e-38, 0.5] {
            let huge = row.iter().any(|x| x.is_finite() && x.abs() > 1e38);
            if t == 0.5 && !huge {
                continue;
            }
            let stages: [fn(f64) -> Pipeline; 3] = [
                |t| Pipeline::draw().then(Temperature::new(t).unwrap()),
                |t| Pipeline::draw().then(DynamicTemperature::new(t, t, 1.0).unwrap()),
                // What an edit stores is the same.
                |t| {
                    Pipeline::draw()
                        .then(Temperature::new(t).unwrap())
                        .then(Temperature::new(1e-9).unwrap())
                },
            ];
            for stage in stages {
                for seed in 0..8 {
                    let pipeline =
                        stage(t).then(TopK::new(50).unwrap()).then(TopP::new(0.9).unwrap());
                    let workspace = &mut workspaces[row.len()];
                    let step = Step::new(DrawKey::new(seed));
                    let token = pipeline.select(row, &step, workspace).unwrap().token;
                    assert!(best.contains(&token), "{row:?} at {t}: {token}");
                }
            }
            let mut list = List::new(row, Draws::new(DrawKey::new(0)));
            list.divide(t as f32);
            let pipeline = Pipeline::draw().then(Temperature::new(t).unwrap());
            let step = Step::new(DrawKey::new(0));
            let left = pipeline.process(row, &step, &mut workspaces[row.len()]).unwrap();
            for entry in list.entries() {
                assert_eq!(left.get(entry.id), Some(entry.score), "{row:?} at {t}");
            }
        }
    }
    // Not a matter of the temperature.
    let cold = Pipeline::draw().then(Temperature::new(coldest).unwrap());
    let must = "scores must be finite or -inf";
    for (row, score) in [([1.0, f32::NAN], "NaN"), ([1.0, INF], "inf")] {
        let want = format!("draw: the score of token 1 is {score}; {must}");
        assert_eq!(refusal(&cold, &row), want);
    }
}

#[test]
fn a_trace_says_which_stage_removed_which_token() {
    // Probabilities 0.4, 0.3, 0.15, 0.1, 0.05 after token 5 is banned.
    let mut row: Vec<f32> = [0.4_f32, 0.3, 0.15, 0.1, 0.05].iter().map(|p| p.ln()).collect();
    row.push(3.0);
    let ban =
        stage_fn("ban", |c: &mut Candidates<'_>, _: &StepContext<'_>| c.edit([5], |_, _| -INF));
    let pipeline =
        Pipeline::draw().then(ban).then(TopK::new(4).unwrap()).then(TopP::new(0.7).unwrap());
    let mut workspace = Workspace::new(row.len());
    let step = Step::new(key()).ask(Ask { top_logprobs: 2, ..Ask::everything() });
    let mut chosen = pipeline.select(&row, &step, &mut workspace).unwrap();

    assert_eq!(chosen.kept, Some(2));
    assert_eq!(chosen.top.iter().map(|t| t.0).collect::<Vec<_>>(), [5, 0]);
    let stages = chosen.trace.unwrap().stages();
    let counts: Vec<_> =
        stages.iter().map(|s| (s.stage.as_str(), s.before, s.after, s.ties)).collect();
    assert_eq!(counts, [("ban", 6, 5, 0), ("top_k", 5, 4, 0), ("top_p", 4, 2, 0)]);
    let e3 = 3.0_f64.exp();
    let removed = [e3 / (1.0 + e3), 0.05, 0.25 / 0.95];
    for (stage, want) in stages.iter().zip(removed) {
        assert!((stage.removed_mass.unwrap() - want).abs() < 1e-6, "{stage:?}");
    }
    let entropy = -[0.4_f64, 0.3, 0.15, 0.1, 0.05].iter().map(|p| p * p.ln()).sum::<f64>();
    assert!((stages[0].entropy_after.unwrap() - entropy).abs() < 1e-6);
    let token = chosen.token;
    assert_eq!(stages[0].rank_before, Some(token as usize + 2));
    let fates: Vec<_> = (0..6).map(|id| chosen.removed_by(id)).collect();
    assert_eq!(fates, [None, None, Some(2), Some(2), Some(1), Some(0)]);
    let share = [0.4, 0.3][token as usize] / 0.7;
    assert!((chosen.probability.unwrap() - share).abs() < 1e-6);
    assert!(
        (chosen.logprob.unwrap() - (f64::from(row[token as usize]) - (1.0 + e3).ln())).abs() < 1e-6
    );
}

#[test]
fn ties_are_counted_when_they_matter() {
    let ties = |k, policy| {
        let pipeline = Pipeline::draw().then(TopK::new(k).unwrap().ties(policy));
        let step = Step::new(key()).ask(Ask::everything());
        let mut workspace = Workspace::new(5);
        let chosen = pipeline.select(&[3.0, 2.0, 2.0, 2.0, 0.0], &step, &mut workspace).unwrap();
        (chosen.kept.unwrap(), chosen.trace.unwrap().stages()[0].ties)
    };
    assert_eq!(ties(2, TiePolicy::LowestId), (2, 3));
    assert_eq!(ties(2, TiePolicy::KeepAll), (4, 3));
    // The whole class fits: no policy had to decide.
    assert_eq!(ties(4, TiePolicy::LowestId), (4, 0));
    assert_eq!(ties(1, TiePolicy::KeepAll), (1, 0));
}

/// A division merges two logits; the order still knows which was larger.
#[test]
fn a_temperature_does_not_change_who_is_first() {
    const LOW: u32 = 0x3ff3_3334; // about 1.9
    let row = [f32::from_bits(LOW), f32::from_bits(LOW + 1)];
    assert_eq!(row[0] / 1.5, row[1] / 1.5, "the premise");
    let hot = || Pipeline::draw().then(Temperature::new(1.5).unwrap());
    let kept = |ties| {
        let pipeline = hot().then(TopK::new(1).unwrap().ties(ties));
        let mut workspace = Workspace::new(2);
        let left = pipeline.process(&row, &Step::new(key()), &mut workspace).unwrap();
        (left.len(), left.get(1).is_some())
    };
    assert_eq!(kept(TiePolicy::LowestId), (1, true));
    assert_eq!(kept(TiePolicy::KeepAll), (2, true), "scores tie, as Hugging Face sees them");
    // A second one divides what the first has left, and that is equal.
    let token = |pipeline: Pipeline| {
        pipeline.select(&row, &Step::new(key()), &mut Workspace::new(2)).unwrap().token
    };
    let twice = |pipeline: Pipeline| {
        pipeline.then(Temperature::new(1.5).unwrap()).then(Temperature::new(2.0).unwrap())
    };
    assert_eq!(token(twice(Pipeline::draw()).then(TopK::new(1).unwrap())), 0);
    assert_eq!(token(twice(Pipeline::greedy())), 0);
}

/// Promise 6, on a peaked row, a flat one under `KeepAll`, and one of nothing but ties.
#[test]
fn a_step_allocates_nothing() {
    let vocab = 5_000_u32;
    let rows: [Vec<f32>; 3] = [
        (0..vocab).map(|i| ((i * 7919) % vocab) as f32 * 0.01).collect(),
        (0..vocab).map(|i| ((i * 7919) % 64) as f32 * 0.01).collect(),
        vec![1.0; vocab as usize],
    ];
    let history = History::new(&[1, 2, 3, 1, 2]);
    let step = Step::new(key()).history(&history).ask(Ask { top_logprobs: 5, ..Ask::everything() });
    let mut workspace = Workspace::new(vocab as usize);
    for ties in [TiePolicy::KeepAll, TiePolicy::Random, TiePolicy::HighestId] {
        let pipeline = Pipeline::draw()
            .then(RepetitionPenalty::new(1.2).unwrap())
            .then(NoRepeatNgram::new(3).unwrap())
            .then(Temperature::new(0.8).unwrap())
            .then(TopK::new(2_000).unwrap().ties(ties))
            .then(TopP::new(0.95).unwrap().ties(ties))
            .then(MinP::new(0.01).unwrap());
        // The first step with this ask may size the trace.
        pipeline.select(&rows[0], &step, &mut workspace).unwrap();
        for row in &rows {
            let counted = allocation_counter::measure(|| {
                pipeline.select(row, &step, &mut workspace).unwrap();
            });
            assert_eq!(counted.count_total, 0, "{ties:?}");
        }
        let mut sequence = pipeline.sequence(key()).prompt(&[1, 2, 3, 1, 2]);
        for row in &rows {
            let counted = allocation_counter::measure(|| {
                sequence.select(row, &mut workspace).unwrap();
                sequence.redraw();
            });
            assert_eq!(counted.count_total, 0, "a sequence adds nothing");
        }
    }
}

/// What a step of a pipeline with an edit and two cuts says, of logits in any form.
fn said(logits: Logits<'_>, workspace: &mut Workspace) -> Result<String, SelectError> {
    let pipeline = Pipeline::draw()
        .then(RepetitionPenalty::new(1.5).unwrap())
        .then(Temperature::new(0.7).unwrap())
        .then(TopP::new(0.95).unwrap())
        .then(MinP::new(0.01).unwrap());
    let history = History::new(&[1, 3]);
    let ask = Ask { top_logprobs: 3, ..Ask::everything() };
    let step = Step::new(DrawKey::new(11)).history(&history).ask(ask);
    let mut chosen = pipeline.select(logits, &step, workspace)?;
    let kept: Vec<_> = {
        let mut kept = Vec::new();
        chosen.candidates().for_each(|id, score| kept.push((id, score)));
        kept
    };
    let Selection { token, logprob, rank, entropy, probability, top, trace, .. } = &chosen;
    Ok(format!(
        "{token} {logprob:?} {rank:?} {entropy:?} {probability:?} {top:?} {trace:?} {kept:?}"
    ))
}

#[test]
fn every_form_of_the_same_logits_says_the_same() {
    use half::{bf16, f16};
    // Multiples of 1/8 below 16: exact in all three precisions. Long enough for a sampled cut.
    let row: Vec<f32> = (0..9_000_u32)
        .map(|i| f32::from((i.wrapping_mul(2_654_435_761) >> 25) as u8) / 8.0 - 8.0)
        .collect();
    let mut workspace = Workspace::new(row.len());
    let want = said(Logits::F32(&row), &mut workspace).unwrap();
    let halves: Vec<f16> = row.iter().map(|&x| f16::from_f32(x)).collect();
    assert_eq!(said(halves[..].into(), &mut workspace).unwrap(), want);
    let brains: Vec<bf16> = row.iter().map(|&x| bf16::from_f32(x)).collect();
    assert_eq!(said(brains[..].into(), &mut workspace).unwrap(), want);
    let listed: Vec<(u32, f32)> = (0..9_000).zip(row.iter().copied()).rev().collect();
    assert_eq!(said(listed[..].into(), &mut workspace).unwrap(), want);

    // A list that leaves tokens out is the row without them, but for their count.
    let few: Vec<(u32, f32)> = listed.iter().copied().filter(|(id, _)| id % 3 == 0).collect();
    let masked: Vec<f32> =
        (0..).zip(&row).map(|(id, &x)| if id % 3 == 0 { x } else { f32::NEG_INFINITY }).collect();
    let step = Step::new(DrawKey::new(5)).ask(Ask { logprob: true, ..Ask::token() });
    let one = Choice::from(Pipeline::draw().select(&few, &step, &mut workspace).unwrap());
    let two = Choice::from(Pipeline::draw().select(&masked, &step, &mut workspace).unwrap());
    assert_eq!(one, two);
}

#[test]
fn bad_lists_are_refused_by_name() {
    let mut workspace = Workspace::new(4);
    let mut refusal =
        |list: &[(u32, f32)]| said(Logits::List(list), &mut workspace).unwrap_err().to_string();
    assert_eq!(
        refusal(&[(1, 0.0), (4, 1.0)]),
        "the list has a logit for token 4, outside the vocabulary of 4"
    );
    assert_eq!(
        refusal(&[(2, 0.0), (1, 1.0), (2, 3.0)]),
        "the list has two logits for token 2; it must have one"
    );
    assert_eq!(
        refusal(&[(2, f32::NAN)]),
        "top_p: the score of token 2 is NaN; scores must be finite or -inf"
    );
    assert_eq!(refusal(&[]), "top_p: no candidate is left; a cut must keep at least one");
}

/// The marks of who was removed when are written anew in each step, not cleared.
#[test]
fn a_trace_knows_nothing_of_the_step_before() {
    let (row, mut workspace) = ([1.0, 2.0, 3.0, 4.0], Workspace::new(4));
    let step = Step::new(DrawKey::new(1)).ask(Ask { trace: true, ..Ask::token() });
    let cut = Pipeline::draw().then(TopK::new(1).expect("in range"));
    let warm = Pipeline::draw().then(Temperature::new(0.5).expect("in range"));
    let ban = Pipeline::draw().then(SuppressTokens::new(&[1]));
    for (pipeline, removed) in [
        (&cut, [true, true, true, false]),
        (&warm, [false; 4]),
        (&cut, [true, true, true, false]),
        (&ban, [false, true, false, false]),
    ] {
        let mut chosen = pipeline.select(&row, &step, &mut workspace).expect("a row");
        assert_eq!([0, 1, 2, 3].map(|id| chosen.removed_by(id).is_some()), removed, "{pipeline}");
    }
}
