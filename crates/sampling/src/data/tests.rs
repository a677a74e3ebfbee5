//! A pipeline goes to a document and back as it was, and a document says where it is wrong.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::*;
use crate::*;

fn refused(json: &str) -> (Option<String>, String) {
    let error = Pipeline::from_json(json).expect_err(json);
    (error.path().map(ToString::to_string), error.to_string())
}

/// Every built-in stage with each of its options, and every selector.
fn pipelines() -> Vec<Pipeline> {
    let window = Window::last(64);
    let edits = Pipeline::greedy()
        .then(ClassifierFreeGuidance::new(1.5).unwrap())
        .then(
            SequenceBias::new([([3, 1, 2].into(), -1.5), ([1].into(), f64::NEG_INFINITY)]).unwrap(),
        )
        .then(RepetitionPenalty::new(1.3).unwrap().window(window).exempt(&[7, 2]).reciprocal(true))
        .then(OccurrencePenalty::new(0.1, 0.0).unwrap().window(Window::ALL))
        .then(OccurrencePenalty::new(0.0, -0.2).unwrap())
        .then(OccurrencePenalty::new(0.3, 0.2).unwrap())
        .then(NoRepeatNgram::new(3).unwrap())
        .then(BadWords::new([[5].into(), [1, 2].into()]).unwrap().except(&[5]).window(window))
        .then(Dry::new(0.8, 1.75, 2).unwrap().window(window).breakers([[4].into()]).unwrap())
        .then(LogitBias::new([(3, 0.1), (1, f64::NEG_INFINITY)]).unwrap())
        .then(AllowedTokens::new(&[0, 33, 9], 40).unwrap())
        .then(SuppressTokens::new(&[8, 4]))
        .then(BeginSuppressTokens::new(&[2]).after_forced_bos(true))
        .then(MinLength::new(4, &[2]).unwrap())
        .then(MinNewTokens::new(4, &[2, 3]).unwrap())
        .then(ForcedBos::new(6))
        .then(ForcedEos::new(&[2], LengthLimit::New(9)).unwrap())
        .then(ForcedEos::new(&[2], LengthLimit::Total(9)).unwrap())
        .then(ExponentialDecay::new(5, 1.01, &[2]).unwrap())
        .then(RemoveInvalidValues);
    let ties = TiePolicy::Random;
    let cuts = Pipeline::selecting(MirostatV2::new(5.1, 0.1).unwrap())
        .then(Temperature::new(0.8).unwrap())
        .then(DynamicTemperature::new(0.3, 1.3, 1.1).unwrap().ties(ArgmaxTies::HighestId))
        .then(TopK::new(50).unwrap().ties(ties).min_tokens_to_keep(3))
        .then(TopP::new(0.9).unwrap().ties(ties).rule(MassRule::DropTail).min_tokens_to_keep(2))
        .then(MinP::new(0.05).unwrap().min_tokens_to_keep(2))
        .then(Typical::new(0.95).unwrap().rule(MassRule::Exceed).min_tokens_to_keep(2).ties(ties))
        .then(EpsilonCutoff::new(3e-4).unwrap().min_tokens_to_keep(2))
        .then(EtaCutoff::new(3e-4).unwrap().min_tokens_to_keep(2))
        .then(TopH::new(0.4).unwrap().ties(TiePolicy::KeepAll))
        .then(TopNSigma::new(1.1).unwrap())
        .then(Xtc::new(0.5, 0.1).unwrap().ties(TiePolicy::Error).min_tokens_to_keep(2))
        .then(ArgmaxOnly { ties: ArgmaxTies::Random })
        .then(Renormalize);
    let selectors = [
        Pipeline::draw(),
        Pipeline::selecting(Gumbel),
        Pipeline::selecting(Greedy { ties: ArgmaxTies::Error }),
        Pipeline::selecting(Mirostat::new(5.0, 0.3).unwrap()),
        Pipeline::selecting(AdaptiveP::new(0.1, 0.9).unwrap()),
        Pipeline::draw().then(TopK::new(1).unwrap()).then(Typical::new(0.2).unwrap()),
    ];
    [edits, cuts].into_iter().chain(selectors).collect()
}

#[test]
fn everything_comes_back_as_it_was() {
    for pipeline in pipelines() {
        let json = pipeline.to_json().expect("data");
        let back = Pipeline::from_json(&json).expect(&json);
        assert_eq!(format!("{back:?}"), format!("{pipeline:?}"), "{json}");
        assert_eq!(back.to_json().as_ref(), Ok(&json));
        assert_eq!(back.to_string(), pipeline.to_string());
        let by_serde: Pipeline = serde_json::from_str(&json).expect(&json);
        assert_eq!(format!("{by_serde:?}"), format!("{pipeline:?}"));
        let value = serde_json::to_value(&pipeline).expect("data");
        let by_value: Pipeline = serde_json::from_value(value).expect(&json);
        assert_eq!(format!("{by_value:?}"), format!("{pipeline:?}"));
    }
}

#[test]
fn a_document_and_a_line_say_the_same() {
    let pipeline = Pipeline::draw()
        .then(Temperature::new(0.8).unwrap())
        .then(TopK::new(50).unwrap())
        .then(TopP::new(0.9).unwrap().ties(TiePolicy::HighestId))
        .then(Xtc::new(0.5, 0.1).unwrap());
    assert_eq!(pipeline.to_string(), "temperature 0.8 → top_k 50 → top_p 0.9 → xtc 0.5 0.1 → draw");
    assert_eq!(
        pipeline.stages()[2].settings().expect("data").to_string(),
        "top_p 0.9 ties=highest_id"
    );
    let json = r#"[{"stage":"temperature","temperature":0.8},{"stage":"top_k","k":50,"ties":"lowest_id"},{"stage":"top_p","p":0.9,"rule":"reach","ties":"highest_id"},{"stage":"xtc","probability":0.5,"threshold":0.1,"ties":"lowest_id"},{"select":"draw"}]"#;
    assert_eq!(pipeline.to_json().expect("data"), json);
    // What is left out is as it is by default; a missing selector is a draw; both spellings are read.
    let short = r#"[{"temperature": 0.8, "stage": "temperature"}, {"stage": "top_k", "k": 50.0},
        {"stage": "top_p", "p": 0.9, "ties": "highest-id"},
        {"stage": "xtc", "probability": 0.5, "threshold": 0.1}]"#;
    assert_eq!(Pipeline::from_json(short).expect("a pipeline").to_json().expect("data"), json);
    assert_eq!(Pipeline::from_json("[]").expect("a pipeline").to_string(), "draw");
}

#[test]
fn a_wrong_document_is_refused_by_its_path() {
    let cases = [
        (
            r#"[{"stage":"top_kk","k":5}]"#,
            "[0]",
            "[0]: there is no stage top_kk; did you mean top_k?",
        ),
        (r#"[{"stage":"quadratic"}]"#, "[0]", "[0]: there is no stage quadratic"),
        (
            r#"[{"stage":"top_k","k":5},{"select":"gready"}]"#,
            "[1]",
            "[1]: there is no selector gready; did you mean greedy?",
        ),
        (
            r#"[{"stage":"temperature","temperature":1},{"stage":"top_k","k":0}]"#,
            "[1].k",
            "[1].k is 0; it must be at least 1 (leave the stage out to keep everything)",
        ),
        (
            r#"[{"stage":"xtc","probability":0.5,"threshold":0.7}]"#,
            "[0].threshold",
            "[0].threshold is 0.7; it must be in 0..=0.5 (two candidates cannot both have more)",
        ),
        (
            r#"[{"stage":"bad_words","words":[[1],[]]}]"#,
            "[0].words[1]",
            "[0].words[1] is empty; it must be a sequence of at least one token",
        ),
        (
            r#"[{"stage":"top_k"}]"#,
            "[0].k",
            "[0].k is missing; it must be a whole number, not negative",
        ),
        (
            r#"[{"stage":"top_k","k":-1}]"#,
            "[0].k",
            "[0].k: this must be a whole number, not negative",
        ),
        (
            r#"[{"stage":"top_k","k":1.5}]"#,
            "[0].k",
            "[0].k: this must be a whole number, not negative",
        ),
        (
            r#"[{"stage":"top_k","k":5,"tie":"random"}]"#,
            "[0].tie",
            "[0].tie: there is no setting tie; did you mean ties?",
        ),
        (
            r#"[{"stage":"top_k","k":5,"ties":"lowest"}]"#,
            "[0].ties",
            "[0].ties: this must be one of keep_all, lowest_id, highest_id, random, error",
        ),
        (
            r#"[{"stage":"top_k","k":5,"select":"draw"}]"#,
            "[0].select",
            "[0].select: there is no setting select",
        ),
        (
            r#"[{"select":"draw"},{"stage":"top_k","k":5}]"#,
            "[1]",
            "[1]: this must be left out: a selector is the last entry",
        ),
        (r#"[{"k":5}]"#, "[0]", "[0]: this must be an object with a stage or a select"),
        ("[5]", "[0]", "[0]: this must be an object with a stage or a select"),
        (r#"[{"stage":5}]"#, "[0].stage", "[0].stage: this must be a name"),
        (
            r#"{"stage":"top_k","k":5}"#,
            "$",
            r#"$: this must be a list of stages, [{"stage": "top_k", "k": 50}]"#,
        ),
    ];
    for (json, path, message) in cases {
        assert_eq!(refused(json), (Some(path.to_string()), message.to_string()));
        let by_serde = serde_json::from_str::<Pipeline>(json).expect_err(json);
        assert!(by_serde.to_string().starts_with(message), "{by_serde}");
    }
    for json in ["[", "[] []", r#"[{"stage":"top_k","k":5,"k":6}]"#] {
        let (path, message) = refused(json);
        assert!(path.is_none() && message.starts_with("the pipeline is not JSON: "), "{message}");
        assert!(message.contains("line 1 column"), "{message}");
    }
}

#[test]
fn what_is_no_data_is_named_and_a_strangers_stage_is_read() {
    let odd = |every: usize| {
        stage_fn("odd", move |c, _| c.keep_if(|id, _| !(id as usize).is_multiple_of(every)))
    };
    let pipeline = Pipeline::greedy().then(TopK::new(3).unwrap()).then(odd(2));
    let error = pipeline.to_json().expect_err("a closure");
    assert_eq!(error, PipelineError::NotData { stage: "odd".into() });
    assert!(serde_json::to_string(&pipeline).expect_err("a closure").to_string().contains("odd"));
    assert_eq!(pipeline.to_string(), "top_k 3 → odd → greedy");
    let registry = Registry::new().stage("odd", move |arguments| {
        let every = arguments.required("every")?;
        let domain = "at least 2";
        let checked =
            if every > 1 { Ok(every) } else { Err(SettingError::new("every", every, domain)) };
        Ok(odd(arguments.built(checked)?))
    });
    let read = registry.read_json(r#"[{"stage":"odd","every":2},{"select":"greedy"}]"#);
    assert_eq!(read.expect("a pipeline").to_string(), "odd → greedy");
    for (json, message) in [
        (r#"[{"stage":"odd","every":1}]"#, "[0].every is 1; it must be at least 2"),
        (r#"[{"stage":"ood","every":1}]"#, "[0]: there is no stage ood; did you mean odd?"),
        (r#"[{"stage":"odd"}]"#, "[0].every is missing; it must be a whole number, not negative"),
    ] {
        assert_eq!(registry.read_json(json).expect_err(json).to_string(), message);
    }
}

#[test]
fn policies_have_their_words_once() {
    for ties in [TiePolicy::KeepAll, TiePolicy::LowestId, TiePolicy::HighestId, TiePolicy::Random] {
        let word = ties.to_string();
        assert_eq!(word.parse(), Ok(ties));
        assert_eq!(word.replace('_', "-").parse(), Ok(ties));
        let json = serde_json::to_string(&ties).expect("a word");
        assert_eq!(json, format!("\"{word}\""));
        assert_eq!(serde_json::from_str::<TiePolicy>(&json).expect("a word"), ties);
    }
    assert_eq!("drop-tail".parse(), Ok(MassRule::DropTail));
    assert_eq!("keep".parse(), Ok(Edge::Keep));
    assert_eq!(
        "lowest".parse::<ArgmaxTies>().expect_err("half a word").to_string(),
        "lowest is unknown; it must be one of lowest_id, highest_id, random, error"
    );
}
