//! The testkit's properties, of our own pipelines. Each is shown to be able to fail in the unit
//! tests beside it.

use taper_sampling::testkit::*;
use taper_sampling::*;

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn rows() -> Rows {
    Rows::new(2026)
}

fn draw(stage: impl Stage + 'static) -> PipelineSampler {
    PipelineSampler::new(Pipeline::draw().then(stage))
}

const TIES: [TiePolicy; 4] =
    [TiePolicy::KeepAll, TiePolicy::LowestId, TiePolicy::HighestId, TiePolicy::Random];

/// Every cut, under every tie policy that it has.
fn cuts() -> Result<Vec<PipelineSampler>, Refusal> {
    let mut cuts = vec![
        draw(MinP::new(0.1)?),
        draw(EpsilonCutoff::new(0.01)?),
        draw(EtaCutoff::new(0.01)?),
        draw(TopNSigma::new(1.3)?),
        draw(ArgmaxOnly::default()),
    ];
    for ties in TIES {
        cuts.push(draw(TopK::new(5)?.ties(ties)));
        cuts.push(draw(TopP::new(0.8)?.ties(ties)));
        cuts.push(draw(Typical::new(0.8)?.ties(ties)));
        cuts.push(draw(TopH::new(0.6)?.ties(ties)));
        cuts.push(draw(Xtc::new(1.0, 0.1)?.ties(ties)));
    }
    Ok(cuts)
}

fn selectors() -> Result<Vec<PipelineSampler>, Refusal> {
    Ok([
        Pipeline::greedy(),
        Pipeline::draw(),
        Pipeline::selecting(Gumbel),
        Pipeline::selecting(Mirostat::new(3.0, 0.1)?),
        Pipeline::selecting(MirostatV2::new(3.0, 0.1)?),
        Pipeline::selecting(AdaptiveP::new(0.1, 0.9)?),
    ]
    .map(PipelineSampler::new)
    .into())
}

/// Promises 2, 3 and 5.
#[test]
fn every_cut_and_selector_draws_from_what_it_keeps() -> Outcome {
    for mut sampler in cuts()?.into_iter().chain(selectors()?) {
        replays(&mut sampler, &rows())?;
        refuses_bad_rows(&mut sampler)?;
        never_draws_banned(&mut sampler, &rows())?;
        draws_from_kept(&mut sampler, &rows())?;
    }
    Ok(())
}

#[test]
fn a_cut_only_cuts_whatever_the_ids_and_the_level() -> Outcome {
    for mut cut in cuts()? {
        only_cuts(&mut cut, &rows())?;
        is_permutation_equivariant(&mut cut, &rows())?;
        is_shift_invariant(&mut cut, &rows())?;
    }
    Ok(())
}

/// Promise 1, and the way there. `properties.rs` has it behind arbitrary stages.
#[test]
fn top_k_of_one_and_cold_draws_are_greedy() -> Outcome {
    for t in [0.01, 0.7, 1.5, 40.0] {
        let best = |ties| -> Result<_, Refusal> {
            let hot = Pipeline::draw().then(Temperature::new(t)?);
            Ok(PipelineSampler::new(hot.then(TopK::new(1)?.ties(ties))))
        };
        is_greedy(&mut best(TiePolicy::LowestId)?, Equals::LowestId, &rows())?;
        is_greedy(&mut best(TiePolicy::HighestId)?, Equals::HighestId, &rows())?;
        is_greedy(&mut best(TiePolicy::Random)?, Equals::Any, &rows())?;
        let kept_all = is_greedy(&mut best(TiePolicy::KeepAll)?, Equals::LowestId, &rows());
        assert!(kept_all.is_err(), "promise 1 says that this one may not be");
    }
    for selector in [|| Pipeline::draw(), || Pipeline::selecting(Gumbel)] {
        cold_is_greedy(
            |t| Ok(PipelineSampler::new(selector().then(Temperature::new(t)?))),
            &rows(),
        )?;
    }
    Ok(())
}

#[test]
fn knobs_loosen() -> Outcome {
    let shares = [0.0, 0.1, 0.3, 0.5, 0.8, 0.95, 1.0];
    let floors = [0.9, 0.5, 0.2, 0.05, 1e-3, 1e-6];
    loosens(|k| Ok(draw(TopK::new(k as usize)?)), &[1.0, 2.0, 3.0, 10.0, 1e4], &rows())?;
    loosens(|n| Ok(draw(TopNSigma::new(n)?)), &[0.1, 0.5, 1.0, 2.0, 5.0], &rows())?;
    loosens(|floor| Ok(draw(MinP::new(floor)?)), &floors, &rows())?;
    loosens(|floor| Ok(draw(EpsilonCutoff::new(floor)?)), &floors, &rows())?;
    loosens(|floor| Ok(draw(EtaCutoff::new(floor)?)), &floors, &rows())?;
    for ties in TIES {
        loosens(|p| Ok(draw(TopP::new(p)?.ties(ties))), &shares, &rows())?;
        loosens(|p| Ok(draw(Typical::new(p)?.ties(ties))), &shares, &rows())?;
        loosens(|h| Ok(draw(TopH::new(h)?.ties(ties))), &shares[1..], &rows())?;
    }
    Ok(())
}

#[test]
fn some_cuts_are_idempotent_and_some_knobs_off() -> Outcome {
    for ties in TIES {
        is_idempotent(&mut draw(TopK::new(5)?.ties(ties)), &rows())?;
    }
    is_idempotent(&mut draw(MinP::new(0.1)?), &rows())?;
    is_idempotent(&mut draw(EpsilonCutoff::new(0.05)?), &rows())?;
    is_idempotent(&mut draw(ArgmaxOnly::default()), &rows())?;
    assert!(is_idempotent(&mut draw(TopP::new(0.5)?), &rows()).is_err(), "it renormalises");

    is_identity(&mut draw(Temperature::new(1.0)?), &rows())?;
    is_identity(&mut draw(TopK::new(1100)?), &rows())?;
    is_identity(&mut draw(TopP::new(1.0)?), &rows())?;
    is_identity(&mut draw(Typical::new(1.0)?), &rows())?;
    is_identity(&mut draw(MinP::new(0.0)?), &rows())?;
    is_identity(&mut draw(RepetitionPenalty::new(1.0)?).history(&History::new(&[0])), &rows())?;
    Ok(())
}

/// Among them the one that candle's top-p after top-k does not hold: see `examples/check_candle.rs`.
#[test]
fn a_cut_sees_what_the_cut_before_it_left() -> Outcome {
    let both = Pipeline::draw().then(TopK::new(6)?).then(TopP::new(0.6)?);
    let (mut first, mut second) = (draw(TopK::new(6)?), draw(TopP::new(0.6)?));
    composes(&mut PipelineSampler::new(both), &mut first, &mut second, &rows())?;
    let both = Pipeline::draw().then(Temperature::new(1.3)?).then(Typical::new(0.7)?);
    let (mut first, mut second) = (draw(Temperature::new(1.3)?), draw(Typical::new(0.7)?));
    composes(&mut PipelineSampler::new(both), &mut first, &mut second, &rows())?;
    Ok(())
}

#[test]
fn penalties_lower() -> Outcome {
    let said = || History::new(&[0, 0]);
    never_raises(&mut draw(RepetitionPenalty::new(1.3)?).history(&said()), &[0], &rows())?;
    never_raises(&mut draw(OccurrencePenalty::new(0.5, 0.2)?).history(&said()), &[0], &rows())?;
    never_raises(&mut draw(Dry::new(0.8, 1.75, 1)?).history(&said()), &[0], &rows())?;
    Ok(())
}
