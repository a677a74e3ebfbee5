//! What the edits refuse, with the exact words, and that they allocate nothing.

use taper_sampling::*;

const INF: f64 = f64::INFINITY;

fn words<T: std::fmt::Debug, E: std::fmt::Display>(built: Result<T, E>) -> String {
    built.expect_err("must be refused").to_string()
}

#[test]
fn numbers_out_of_range_are_refused() {
    let must = "it must be finite (0 is off)";
    let bias = |bias| words(SequenceBias::new([(vec![1], 0.0), (vec![2, 3], bias)]));
    let cases = [
        (words(OccurrencePenalty::new(f64::NAN, 0.0)), format!("frequency_penalty is NaN; {must}")),
        (words(OccurrencePenalty::new(0.0, -INF)), format!("presence_penalty is -inf; {must}")),
        (words(Dry::new(INF, 1.75, 2)), format!("dry_multiplier is inf; {must}")),
        (words(Dry::new(0.8, 0.5, 2)), "dry_base is 0.5; it must be at least 1 and finite".into()),
        (
            words(ClassifierFreeGuidance::new(f64::NAN)),
            "guidance_scale is NaN; it must be finite (1 is off)".into(),
        ),
        (
            words(ExponentialDecay::new(0, 0.0, &[1])),
            "exponential_decay_length_penalty is 0; it must be a factor above 0 and finite \
             (1 is off)"
                .into(),
        ),
        (bias(INF), "sequence_bias[1] is inf; it must be finite, or -inf for a ban".into()),
        (
            words(LogitBias::new([(7, f64::NAN)])),
            "logit_bias of token 7 is NaN; it must be finite, or -inf for a ban".into(),
        ),
    ];
    for (got, want) in cases {
        assert_eq!(got, want);
    }
    assert!(SequenceBias::new([(vec![1], -INF)]).is_ok() && LogitBias::new([(1, -INF)]).is_ok());
}

/// Each value outside the domain, the last ones finite but not in single precision.
#[test]
fn every_value_out_of_range_is_refused_by_name() {
    let finite = "it must be finite (0 is off)";
    let ban = "it must be finite, or -inf for a ban";
    for x in [f64::NAN, INF, 1e60, -1e60] {
        let cases = [
            (words(OccurrencePenalty::new(x, 0.0)), format!("frequency_penalty is {x}; {finite}")),
            (words(OccurrencePenalty::new(0.0, x)), format!("presence_penalty is {x}; {finite}")),
            (words(Dry::new(x, 1.75, 2)), format!("dry_multiplier is {x}; {finite}")),
            (
                words(Dry::new(0.8, x, 2)),
                format!("dry_base is {x}; it must be at least 1 and finite"),
            ),
            (
                words(ClassifierFreeGuidance::new(x)),
                format!("guidance_scale is {x}; it must be finite (1 is off)"),
            ),
            (words(SequenceBias::new([(vec![1], x)])), format!("sequence_bias[0] is {x}; {ban}")),
            (words(LogitBias::new([(1, x)])), format!("logit_bias of token 1 is {x}; {ban}")),
        ];
        for (got, want) in cases {
            assert_eq!(got, want);
        }
    }
    for factor in [0.0, -1.0, f64::NAN, INF] {
        assert_eq!(
            words(ExponentialDecay::new(0, factor, &[1])),
            format!(
                "exponential_decay_length_penalty is {factor}; it must be a factor above 0 \
                 and finite (1 is off)"
            )
        );
    }
}

#[test]
fn lists_that_say_nothing_are_refused() {
    let none: [(Vec<u32>, f64); 0] = [];
    let no_words: [Vec<u32>; 0] = [];
    let (one, leave) = ("it must be a sequence of at least one token", "(leave the stage out");
    let cases = [
        (
            words(SequenceBias::new(none)),
            format!("sequence_bias is empty; it must be a list of at least one sequence {leave} for none)"),
        ),
        (
            words(SequenceBias::new([(vec![], 1.0)])),
            format!("sequence_bias[0] is empty; {one}"),
        ),
        (
            words(BadWords::new(no_words)),
            format!("bad_words is empty; it must be a list of at least one sequence {leave} for none)"),
        ),
        (
            words(BadWords::new([vec![1], vec![]])),
            format!("bad_words[1] is empty; {one}"),
        ),
        (words(LogitBias::new([])), format!("logit_bias is empty; it must be a list of at least one token {leave} for none)")),
        (
            words(LogitBias::new([(3, 1.0), (3, 2.0)])),
            "logit_bias is given twice for token 3; it must be given once".into(),
        ),
        (
            words(AllowedTokens::new(&[], 9)),
            format!("allowed_tokens is empty; it must be a list of at least one token {leave} to allow all)"),
        ),
        (
            words(AllowedTokens::new(&[1, 9], 9)),
            "allowed_tokens[1] is 9; it must be below 9, the size of the vocabulary".into(),
        ),
        (
            words(ForcedEos::new(&[], LengthLimit::New(3))),
            "forced_eos_token_id is empty; it must be a list of the tokens that may end the text".into(),
        ),
        (
            words(MinLength::new(3, &[])),
            "min_length is without EOS tokens; it must be given at least one to hold back".into(),
        ),
        (
            words(MinNewTokens::new(3, &[])),
            "min_new_tokens is without EOS tokens; it must be given at least one to hold back".into(),
        ),
        (
            words(ExponentialDecay::new(3, 1.5, &[])),
            "exponential_decay_length_penalty is without EOS tokens; it must be given at least one to \
             raise"
                .into(),
        ),
        (
            words(Dry::new(1.0, 2.0, 1).and_then(|dry| dry.breakers([vec![1], vec![]]))),
            format!("dry_sequence_breakers[1] is empty; {one}"),
        ),
    ];
    for (got, want) in cases {
        assert_eq!(got, want);
    }
}

fn refusal(stage: Box<dyn Stage>, step: &Step<'_>) -> String {
    let mut pipeline = Pipeline::greedy();
    pipeline.push(stage);
    let mut workspace = Workspace::new(3);
    let chosen = pipeline.select(&[0.0, 1.0, 2.0], step, &mut workspace).map(|s| s.token);
    chosen.expect_err("must be refused").to_string()
}

#[test]
fn ids_outside_the_vocabulary_are_refused_where_they_count() {
    let mut history = History::new(&[1]);
    let outside = "token 9 is outside the vocabulary of 3";
    let first = history.clone();
    let first = Step::new(DrawKey::new(0)).history(&first);
    let cases: [(Box<dyn Stage>, &str); 9] = [
        (Box::new(SuppressTokens::new(&[9])), "suppress_tokens"),
        (Box::new(BeginSuppressTokens::new(&[9])), "begin_suppress_tokens"),
        (Box::new(ForcedBos::new(9)), "forced_bos"),
        (Box::new(ForcedEos::new(&[9], LengthLimit::New(1)).unwrap()), "forced_eos"),
        (Box::new(MinLength::new(5, &[9]).unwrap()), "min_length"),
        (Box::new(MinNewTokens::new(5, &[9]).unwrap()), "min_new_tokens"),
        (Box::new(LogitBias::new([(9, 1.0)]).unwrap()), "logit_bias"),
        (Box::new(SequenceBias::new([(vec![1, 9], 1.0)]).unwrap()), "sequence_bias"),
        (Box::new(BadWords::new([vec![9]]).unwrap()), "bad_words"),
    ];
    for (stage, name) in cases {
        assert_eq!(refusal(stage, &first), format!("{name}: {outside}"));
    }
    // A repetition that ends in a token the model does not have.
    let repeating = History::new(&[1, 9, 1]);
    let repeats = Step::new(DrawKey::new(0)).history(&repeating);
    let cases: [(Box<dyn Stage>, &str); 3] = [
        (Box::new(RepetitionPenalty::new(2.0).unwrap()), "repetition_penalty"),
        (Box::new(NoRepeatNgram::new(2).unwrap()), "no_repeat_ngram"),
        (Box::new(Dry::new(0.8, 1.75, 1).unwrap()), "dry"),
    ];
    for (stage, name) in cases {
        assert_eq!(refusal(stage, &repeats), format!("{name}: {outside}"));
    }
    history.accept(9);
    let second = Step::new(DrawKey::new(0)).history(&history);
    for window in [Window::ALL, Window::GENERATED, Window::last(1)] {
        let stage = OccurrencePenalty::new(1.0, 0.0).unwrap().window(window);
        assert_eq!(refusal(Box::new(stage), &second), format!("frequency_penalty: {outside}"));
    }
    let decay = ExponentialDecay::new(0, 1.5, &[9]).unwrap();
    assert_eq!(
        refusal(Box::new(decay), &second),
        format!("exponential_decay_length_penalty: {outside}")
    );
}

#[test]
fn a_removed_token_can_not_be_forced() {
    let history = History::new(&[1]);
    let step = Step::new(DrawKey::new(0)).history(&history);
    let pipeline = Pipeline::greedy().then(TopK::new(1).unwrap()).then(ForcedBos::new(0));
    let error =
        pipeline.select(&[0.0, 1.0], &step, &mut Workspace::new(2)).map(|s| s.token).unwrap_err();
    assert_eq!(
        error.to_string(),
        "forced_bos: token 0 was removed by an earlier cut and cannot be revived"
    );
}

#[test]
fn guidance_needs_a_second_row_that_means_something() {
    let guided = || ClassifierFreeGuidance::new(2.0).unwrap();
    let step = Step::new(DrawKey::new(0));
    let cases: [(Step<'_>, &str); 4] = [
        (step, "the step came with 0 unconditional logits; there must be 3"),
        (
            step.unconditional(&[1.0; 2]),
            "the step came with 2 unconditional logits; there must be 3",
        ),
        (
            step.unconditional(&[0.0, f32::NAN, 0.0]),
            "the score of token 1 is NaN; scores must be finite or -inf",
        ),
        (
            step.unconditional(&[f32::NEG_INFINITY; 3]),
            "all 3 candidates are masked (-inf); at least one must be allowed",
        ),
    ];
    for (step, want) in cases {
        assert_eq!(refusal(Box::new(guided()), &step), format!("classifier_free_guidance: {want}"));
    }
}

#[derive(Debug, Clone)]
struct OnlyZero;

impl StageMemory for OnlyZero {
    fn accept(&mut self, _: &Accepted) {}
    fn rollback(&mut self, _: usize) {}
    fn fork(&self) -> Box<dyn StageMemory> {
        Box::new(self.clone())
    }
}

impl Mask for OnlyZero {
    fn allowed(&self) -> Result<&[u32], StageError> {
        Ok(&[1])
    }
}

#[test]
fn a_constraint_without_its_memory_is_refused() {
    let history = History::new(&[1]);
    let constraint = || Constraint::new(OnlyZero).named("json");
    let pipeline = Pipeline::greedy().then(constraint());
    let step = Step::new(DrawKey::new(0)).history(&history);
    let row = [0.0, 1.0, 2.0];
    assert_eq!(
        refusal(Box::new(constraint()), &step),
        "json: this stage remembers, and the step came without a memory; select with a Sequence, or \
         give the step one of new_memory"
    );
    let memory = pipeline.new_memory();
    let step = step.memory(&memory);
    assert_eq!(pipeline.select(&row, &step, &mut Workspace::new(3)).unwrap().token, 0);
}

/// Forcing is told of as a ban of all the others, once.
#[test]
fn a_trace_of_a_forced_token_adds_up() {
    let row: Vec<f32> = [0.5_f32, 0.3, 0.2].iter().map(|p| p.ln()).collect();
    let history = History::new(&[1]);
    let step = Step::new(DrawKey::new(0)).history(&history).ask(Ask::everything());
    let pipeline = Pipeline::draw().then(ForcedBos::new(2));
    let mut workspace = Workspace::new(3);
    let mut chosen = pipeline.select(&row, &step, &mut workspace).unwrap();
    assert_eq!((chosen.token, chosen.kept, chosen.probability), (2, Some(1), Some(1.0)));
    let stage = &chosen.trace.unwrap().stages()[0];
    assert!((stage.removed_mass.unwrap() - 0.8).abs() < 1e-6, "{stage:?}");
    assert_eq!([0, 1, 2].map(|id| chosen.removed_by(id)), [Some(0), Some(0), None]);
}

/// Promise 6, with a text that is longer than the vocabulary.
#[test]
fn edits_allocate_nothing() {
    let vocab = 50_u32;
    let row: Vec<f32> = (0..vocab).map(|i| (i * 37 % vocab) as f32 * 0.1).collect();
    let prompt: Vec<u32> = (0..400).map(|i| i * i % vocab).collect();
    let mut history = History::new(&prompt);
    (0..300).for_each(|i| history.accept(i % 7));
    let unconditional = vec![0.5; vocab as usize];
    let pipeline = Pipeline::draw()
        .then(ClassifierFreeGuidance::new(1.5).unwrap())
        .then(SequenceBias::new([(vec![5, 6, 0], 1.0), (vec![3], -1.0)]).unwrap())
        .then(RepetitionPenalty::new(1.1).unwrap().window(Window::last(64)).exempt(&[4]))
        .then(OccurrencePenalty::new(0.1, 0.1).unwrap().window(Window::last(500)))
        .then(Dry::new(0.8, 1.75, 2).unwrap().breakers([vec![9], vec![4, 8]]).unwrap())
        .then(BadWords::new([vec![7], vec![5, 2]]).unwrap())
        .then(MinNewTokens::new(500, &[0]).unwrap())
        .then(RemoveInvalidValues)
        .then(ExponentialDecay::new(299, 1.5, &[1]).unwrap())
        .then(SuppressTokens::new(&[8]))
        .then(LogitBias::new([(2, 0.5)]).unwrap())
        .then(AllowedTokens::new(&(0..40).collect::<Vec<_>>(), vocab as usize).unwrap());
    let mut workspace = Workspace::new(vocab as usize);
    for ask in [Ask::token(), Ask::everything()] {
        let step = Step::new(DrawKey::new(3)).history(&history).unconditional(&unconditional);
        let step = step.ask(ask);
        // The first step with this ask may size the trace.
        pipeline.select(&row, &step, &mut workspace).unwrap();
        let counted = allocation_counter::measure(|| {
            pipeline.select(&row, &step, &mut workspace).unwrap();
        });
        assert_eq!(counted.count_total, 0, "{ask:?}");
    }
}
