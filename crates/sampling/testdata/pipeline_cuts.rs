use taper_sampling::prelude::*;

pub fn pipeline() -> Result<Pipeline, SettingError> {
    Ok(Pipeline::selecting(MirostatV2::new(5.1, 0.1)?)
        .then(Temperature::new(0.8)?)
        .then(DynamicTemperature::new(0.3, 1.3, 1.1)?.ties(ArgmaxTies::HighestId))
        .then(TopK::new(50)?.min_tokens_to_keep(3).ties(TiePolicy::Random))
        .then(TopP::new(0.9)?.rule(MassRule::DropTail).min_tokens_to_keep(2).ties(TiePolicy::Random))
        .then(MinP::new(0.05)?.min_tokens_to_keep(2))
        .then(Typical::new(0.95)?.rule(MassRule::Exceed).min_tokens_to_keep(2).ties(TiePolicy::Random))
        .then(EpsilonCutoff::new(0.0003)?.min_tokens_to_keep(2))
        .then(EtaCutoff::new(0.0003)?.min_tokens_to_keep(2))
        .then(TopH::new(0.4)?.ties(TiePolicy::KeepAll))
        .then(TopNSigma::new(1.1)?)
        .then(Xtc::new(0.5, 0.1)?.min_tokens_to_keep(2).ties(TiePolicy::Error))
        .then(ArgmaxOnly { ties: ArgmaxTies::Random })
        .then(Renormalize))
}
