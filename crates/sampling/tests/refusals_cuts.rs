//! What cuts, reshaping stages, selectors and their verbs refuse, and in which words.

use taper_sampling::*;

const INF: f32 = f32::INFINITY;

fn key(seed: u64) -> DrawKey {
    DrawKey::new(seed)
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
                "xtc_threshold is {t}; it must be in 0..=0.5 (two candidates can not both have more)"
            ),
        );
    }
    for t in [-0.1, f64::INFINITY, f64::NAN] {
        check(
            DynamicTemperature::new(t, 2.0, 1.0).unwrap_err().to_string(),
            format!("the lower temperature is {t}; it must be at least 0 and finite"),
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
            MirostatV2::new(5.0, t).unwrap_err().to_string(),
            format!("mirostat_eta is {t}; it must be at least 0 and finite"),
        );
    }
    for (low, high) in [(0.5, 0.4), (0.0, 0.0), (0.5, f64::NAN), (0.5, f64::INFINITY), (0.0, 1e-60)]
    {
        check(
            DynamicTemperature::new(low, high, 1.0).unwrap_err().to_string(),
            format!(
                "the upper temperature is {high}; it must be above 0, at least the lower one ({low}) and finite"
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

/// Each stage and selector meets a row it can not work on, and says which token is to blame.
#[test]
fn bad_rows_are_refused_by_every_cut() {
    let pipelines = || {
        [
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
    let cases: [(&[f32], &str); 3] = [
        (&[1.0, f32::NAN, 2.0], "the score of token 1 is NaN; scores must be finite or -inf"),
        (&[1.0, 2.0, INF], "the score of token 2 is inf; scores must be finite or -inf"),
        (&[-INF, -INF], "all 2 candidates are masked (-inf); at least one must be allowed"),
    ];
    for (row, want) in cases {
        for pipeline in pipelines() {
            let name = pipeline.stages().first().map_or(pipeline.selector().name(), |s| s.name());
            let mut workspace = Workspace::new(row.len());
            let refused = pipeline.select(row, &Step::new(key(0)), &mut workspace).unwrap_err();
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
    let none = "no candidate is left; a cut must keep at least one";
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
