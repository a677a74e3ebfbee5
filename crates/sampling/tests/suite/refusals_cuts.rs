//! What cuts, reshaping stages, selectors and their verbs refuse, and in which words.

use taper_sampling::*;

const INF: f32 = f32::INFINITY;

fn key(seed: u64) -> DrawKey {
    DrawKey::new(seed)
}

/// The knobs that every engine has. Zeros of both signs, the first value past each end, what is
/// infinite or 0 only in single precision.
#[test]
fn common_knobs_out_of_range_are_refused_by_name() {
    let mut refused: Vec<(String, String)> = Vec::new();
    let mut check = |got: String, want: String| refused.push((got, want));
    for t in [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e-60, 1e60] {
        check(
            Temperature::new(t).unwrap_err().to_string(),
            format!(
                "temperature is {t}; it must be above 0 and finite (for the most likely token, decode greedily)"
            ),
        );
        check(
            RepetitionPenalty::new(t).unwrap_err().to_string(),
            format!("repetition_penalty is {t}; it must be above 0 and finite (1 is off)"),
        );
    }
    for p in [-0.1, -1e-60, 1.5, 1.0_f64.next_up(), f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        check(TopP::new(p).unwrap_err().to_string(), format!("top_p is {p}; it must be in 0..=1"));
        check(MinP::new(p).unwrap_err().to_string(), format!("min_p is {p}; it must be in 0..=1"));
    }
    check(
        TopK::new(0).unwrap_err().to_string(),
        "top_k is 0; it must be at least 1 (leave the stage out to keep everything)".into(),
    );
    check(
        NoRepeatNgram::new(0).unwrap_err().to_string(),
        "no_repeat_ngram_size is 0; it must be at least 1 (leave the stage out to allow repetition)"
            .into(),
    );
    for (got, want) in refused {
        assert_eq!(got, want);
    }
}

/// A k beyond the vocabulary asks for everything, which is there.
#[test]
fn more_than_there_is_is_no_error() {
    let row = [3.0, -INF, 1.0];
    for k in [3, 4, usize::MAX] {
        let pipelines = [
            Pipeline::draw().then(TopK::new(k).unwrap()),
            Pipeline::draw().then(TopP::new(0.0).unwrap().min_tokens_to_keep(k)),
            Pipeline::draw().then(MinP::new(1.0).unwrap().min_tokens_to_keep(k)),
            Pipeline::draw().then(Typical::new(0.0).unwrap().min_tokens_to_keep(k)),
            Pipeline::draw().then(EpsilonCutoff::new(0.9).unwrap().min_tokens_to_keep(k)),
            Pipeline::draw().then(EtaCutoff::new(0.9).unwrap().min_tokens_to_keep(k)),
        ];
        for pipeline in pipelines {
            let mut workspace = Workspace::new(3);
            let step = Step::new(key(1)).ask(Ask::everything());
            let chosen = pipeline.select(&row, &step, &mut workspace).unwrap();
            assert_eq!(chosen.kept, Some(2), "{pipeline} {k}");
        }
    }
}

/// Every message, word for word; each value that is out of range has one.
#[test]
fn knobs_out_of_range_are_refused_by_name() {
    let off = "(leave the stage out to keep everything)";
    let mut refused: Vec<(String, String)> = Vec::new();
    let mut check = |got: String, want: String| refused.push((got, want));
    for p in [-0.1, 1.5, f64::NAN] {
        check(
            Typical::new(p).unwrap_err().to_string(),
            format!("typical_p is {p}; it must be in 0..=1"),
        );
        check(
            Xtc::new(p, 0.1).unwrap_err().to_string(),
            format!("xtc_probability is {p}; it must be in 0..=1"),
        );
        check(
            AdaptiveP::new(p, 0.5).unwrap_err().to_string(),
            format!(
                "adaptive_target is {p}; it must be in 0..=1 (use an ordinary draw to turn it off)"
            ),
        );
    }
    for e in [0.0, -0.1, 1.0, 2.0, f64::NAN, 1e-60, 0.999_999_999_999] {
        let domain = format!("it must be above 0 and below 1 {off}");
        check(
            EpsilonCutoff::new(e).unwrap_err().to_string(),
            format!("epsilon_cutoff is {e}; {domain}"),
        );
        check(EtaCutoff::new(e).unwrap_err().to_string(), format!("eta_cutoff is {e}; {domain}"));
    }
    for h in [0.0, -1.0, 1.000_1, f64::NAN, 1e-60] {
        check(
            TopH::new(h).unwrap_err().to_string(),
            format!("top_h is {h}; it must be above 0 and at most 1"),
        );
    }
    for n in [0.0, -1.0, f64::INFINITY, f64::NAN, 1e-60, 1e60] {
        check(
            TopNSigma::new(n).unwrap_err().to_string(),
            format!("top_n_sigma is {n}; it must be above 0 and finite {off}"),
        );
    }
    for t in [-0.1, 0.6, f64::NAN] {
        check(
            Xtc::new(0.5, t).unwrap_err().to_string(),
            format!(
                "xtc_threshold is {t}; it must be in 0..=0.5 (two candidates cannot both have more)"
            ),
        );
    }
    for t in [-0.1, f64::INFINITY, f64::NAN] {
        check(
            DynamicTemperature::new(t, 2.0, 1.0).unwrap_err().to_string(),
            format!("low is {t}; it must be at least 0 and finite"),
        );
        check(
            DynamicTemperature::new(0.5, 2.0, t).unwrap_err().to_string(),
            format!("dynatemp_exponent is {t}; it must be at least 0 and finite"),
        );
        check(
            Mirostat::new(t, 0.1).unwrap_err().to_string(),
            format!("mirostat_tau is {t}; it must be at least 0 and finite"),
        );
        check(
            Mirostat::new(5.0, t).unwrap_err().to_string(),
            format!("mirostat_eta is {t}; it must be at least 0 and finite"),
        );
        check(
            MirostatV2::new(t, 0.1).unwrap_err().to_string(),
            format!("mirostat_tau is {t}; it must be at least 0 and finite"),
        );
        check(
            MirostatV2::new(5.0, t).unwrap_err().to_string(),
            format!("mirostat_eta is {t}; it must be at least 0 and finite"),
        );
    }
    for (low, high) in [(0.5, 0.4), (0.0, 0.0), (0.5, f64::NAN), (0.5, f64::INFINITY), (0.0, 1e-60)]
    {
        check(
            DynamicTemperature::new(low, high, 1.0).unwrap_err().to_string(),
            format!(
                "high is {high}; it must be above 0, at least the lower one ({low}) and finite"
            ),
        );
    }
    for decay in [-0.1, 0.995, f64::NAN] {
        check(
            AdaptiveP::new(0.5, decay).unwrap_err().to_string(),
            format!("adaptive_decay is {decay}; it must be in 0..=0.99"),
        );
    }
    for (got, want) in refused {
        assert_eq!(got, want);
    }
}

/// Each stage and selector meets a row it cannot work on, and says which token is to blame.
#[test]
fn bad_rows_are_refused_by_every_cut() {
    let pipelines = || {
        [
            Pipeline::greedy(),
            Pipeline::draw(),
            Pipeline::draw().then(TopK::new(2).unwrap()),
            Pipeline::draw().then(TopP::new(0.5).unwrap()),
            Pipeline::draw().then(MinP::new(0.5).unwrap()),
            Pipeline::draw().then(Typical::new(0.5).unwrap()),
            Pipeline::draw().then(EpsilonCutoff::new(0.5).unwrap()),
            Pipeline::draw().then(EtaCutoff::new(0.5).unwrap()),
            Pipeline::draw().then(TopH::new(0.5).unwrap()),
            Pipeline::draw().then(TopNSigma::new(1.0).unwrap()),
            Pipeline::draw().then(Xtc::new(1.0, 0.1).unwrap()),
            Pipeline::draw().then(DynamicTemperature::new(0.5, 1.0, 1.0).unwrap()),
            Pipeline::draw().then(ArgmaxOnly::default()),
            Pipeline::draw().then(Renormalize),
            Pipeline::selecting(Gumbel),
            Pipeline::selecting(Mirostat::new(5.0, 0.1).unwrap()),
            Pipeline::selecting(MirostatV2::new(5.0, 0.1).unwrap()),
            Pipeline::selecting(AdaptiveP::new(0.5, 0.9).unwrap()),
        ]
    };
    let cases: [(&[f32], &str); 4] = [
        (&[], "no candidate is left; a cut must keep at least one"),
        (&[1.0, f32::NAN, 2.0], "the score of token 1 is NaN; scores must be finite or -inf"),
        (&[1.0, 2.0, INF], "the score of token 2 is inf; scores must be finite or -inf"),
        (&[-INF, -INF], "all 2 candidates are masked (-inf); at least one must be allowed"),
    ];
    for (row, want) in cases {
        for pipeline in pipelines() {
            let name = match pipeline.stages().first().map(Stage::name) {
                // It leaves fewer than two candidates alone, and the draw has to refuse them.
                Some("dynamic_temperature") if row.is_empty() => "draw",
                Some(name) => name,
                None => pipeline.selector().name(),
            };
            let mut workspace = Workspace::new(row.len());
            let refused = pipeline.sequence(key(0)).select(row, &mut workspace).unwrap_err();
            assert_eq!(refused.to_string(), format!("{name}: {want}"));
        }
    }
}

#[test]
fn verbs_refuse_bad_arguments() {
    let refusal = |verb: fn(&mut Candidates<'_>) -> Result<(), StageError>| {
        let pipeline = Pipeline::greedy();
        let mut workspace = Workspace::new(3);
        let mut candidates =
            pipeline.process(&[1.0, 2.0, 2.0], &Step::new(key(0)), &mut workspace).unwrap();
        verb(&mut candidates).unwrap_err().to_string()
    };
    assert_eq!(
        refusal(|c| c.keep_nearest(|_| 0.0, -1.0, MassRule::Reach, 1, TiePolicy::LowestId)),
        "p is -1; it must be at least 0"
    );
    assert_eq!(
        refusal(|c| c.keep_nearest(|_| f32::NAN, 0.5, MassRule::Reach, 1, TiePolicy::LowestId)),
        "a distance is NaN; it must be a number"
    );
    for t in [0.0, -1.0, f32::NAN, INF] {
        let pipeline = Pipeline::greedy();
        let mut workspace = Workspace::new(1);
        let mut candidates = pipeline.process(&[1.0], &Step::new(key(0)), &mut workspace).unwrap();
        assert_eq!(
            candidates.divide(t).unwrap_err().to_string(),
            format!("temperature is {t}; it must be above 0 and finite")
        );
    }
    for p in [-0.5, f64::NAN] {
        let pipeline = Pipeline::greedy();
        let mut workspace = Workspace::new(1);
        let mut candidates = pipeline.process(&[1.0], &Step::new(key(0)), &mut workspace).unwrap();
        let refused = candidates.keep_mass(p, MassRule::Reach, 1, TiePolicy::LowestId);
        assert_eq!(refused.unwrap_err().to_string(), format!("p is {p}; it must be at least 0"));
    }
    let outside = "token 3 is outside the vocabulary of 3";
    assert_eq!(refusal(|c| c.restore(3, 0.0)), outside);
    assert_eq!(refusal(|c| c.force(&[0, 3], 0.0)), outside);
    assert_eq!(refusal(|c| c.edit([0, 3], |_, s| s)), outside);
    let removed = "token 0 was removed by an earlier cut and cannot be revived";
    assert_eq!(
        refusal(|c| c.keep_top(1, TiePolicy::LowestId).and_then(|()| c.restore(0, 1.0))),
        removed
    );
    let none = "no candidate is left; a cut must keep at least one";
    assert_eq!(refusal(|c| c.keep_top(0, TiePolicy::LowestId)), none);
    assert_eq!(refusal(|c| c.keep_from(9.0, Edge::Keep, 0)), none);
    assert_eq!(refusal(|c| c.keep_if(|_, _| false)), none);
    assert_eq!(refusal(|c| c.pick(f64::NAN).map(drop)), "u is NaN; it must be in 0..1");
    assert_eq!(refusal(|c| c.drop_top(3, TiePolicy::LowestId)), none);
    assert_eq!(refusal(|c| c.kth(0).map(drop)), none);
    assert_eq!(
        refusal(|c| c.drop_top(1, TiePolicy::Error)),
        "2 candidates tie at score 2 for 1 places; choose another tie policy to break it"
    );
    assert_eq!(refusal(|c| c.pick_as(1.0, |s| s).map(drop)), "u is 1; it must be in 0..1");
    assert_eq!(
        refusal(|c| c.pick_as(0.5, |_| f32::NAN).map(drop)),
        "the score of token 0 is NaN; scores must be finite or -inf"
    );
    assert_eq!(
        refusal(|c| c.pick_as(0.5, |_| -INF).map(drop)),
        "all 3 candidates are masked (-inf); at least one must be allowed"
    );
}
