//! Stages that remove, ban by rank or probability, or reshape the whole distribution.

use proptest::prelude::*;
use taper_sampling::reference::List;
use taper_sampling::*;

#[derive(Debug, Clone)]
pub(crate) enum Cut {
    Divide(f32),
    TopK(usize, TiePolicy),
    TopP(f64, MassRule, usize, TiePolicy),
    MinP(f64),
    From(f32, Edge, usize),
    Typical(f64, MassRule, usize, TiePolicy),
    Nearest(f32, f64, MassRule, usize, TiePolicy),
    Epsilon(f64, usize),
    Eta(f64, usize),
    TopH(f64, TiePolicy),
    TopNSigma(f64),
    DropTop(usize, TiePolicy),
    Xtc(f64, f64, usize, TiePolicy),
    Dynamic(f64, f64, f64),
    ArgmaxOnly,
    Renormalize,
}

impl Cut {
    pub(crate) fn stage(&self) -> Box<dyn Stage> {
        match *self {
            Self::Divide(t) => Box::new(Temperature::new(f64::from(t)).unwrap()),
            Self::TopK(k, ties) => Box::new(TopK::new(k).unwrap().ties(ties)),
            Self::TopP(p, rule, least, ties) => {
                Box::new(TopP::new(p).unwrap().rule(rule).min_tokens_to_keep(least).ties(ties))
            }
            Self::MinP(p) => Box::new(MinP::new(p).unwrap()),
            Self::From(floor, edge, least) => {
                Box::new(stage_fn("from", move |c, _| match c.keep_from(floor, edge, least) {
                    // With no least number, a floor that nothing reaches is let go.
                    Err(StageError::Empty) => Ok(()),
                    done => done,
                }))
            }
            Self::Typical(p, rule, least, ties) => {
                Box::new(Typical::new(p).unwrap().rule(rule).min_tokens_to_keep(least).ties(ties))
            }
            Self::Nearest(place, p, rule, least, ties) => {
                Box::new(stage_fn("nearest", move |c, _| {
                    c.keep_nearest(move |s| (s - place).abs(), p, rule, least, ties)
                }))
            }
            Self::Epsilon(e, least) => {
                Box::new(EpsilonCutoff::new(e).unwrap().min_tokens_to_keep(least))
            }
            Self::Eta(e, least) => Box::new(EtaCutoff::new(e).unwrap().min_tokens_to_keep(least)),
            Self::TopH(h, ties) => Box::new(TopH::new(h).unwrap().ties(ties)),
            Self::TopNSigma(n) => Box::new(TopNSigma::new(n).unwrap()),
            // One always stays.
            Self::DropTop(k, ties) => Box::new(stage_fn("drop", move |c, _| {
                let k = k.min(c.eligible().saturating_sub(1));
                c.drop_top(k, ties)
            })),
            Self::Xtc(p, t, least, ties) => {
                Box::new(Xtc::new(p, t).unwrap().min_tokens_to_keep(least).ties(ties))
            }
            Self::Dynamic(low, high, e) => Box::new(DynamicTemperature::new(low, high, e).unwrap()),
            Self::ArgmaxOnly => Box::new(ArgmaxOnly::default()),
            Self::Renormalize => Box::new(Renormalize),
        }
    }

    pub(crate) fn apply(&self, list: &mut List) {
        match *self {
            Self::Divide(t) => list.divide(t),
            Self::TopK(k, ties) => list.keep_top(k, ties),
            Self::TopP(p, rule, least, ties) => list.keep_mass(p, rule, least, ties),
            Self::MinP(p) => list.min_p(p),
            Self::From(floor, edge, least) => list.keep_from(floor, edge, least.max(1)),
            Self::Typical(p, rule, least, ties) => list.typical(p, rule, least, ties),
            Self::Nearest(place, p, rule, least, ties) => {
                list.keep_nearest(|s| (s - place).abs(), p, rule, least, ties);
            }
            Self::Epsilon(e, least) => list.epsilon_cutoff(e as f32, least),
            Self::Eta(e, least) => list.eta_cutoff(e as f32, least),
            Self::TopH(h, ties) => list.top_h(h as f32, ties),
            Self::TopNSigma(n) => list.top_n_sigma(n as f32),
            Self::DropTop(k, ties) => {
                let eligible = list.entries().iter().filter(|e| e.score > f32::NEG_INFINITY);
                let k = k.min(eligible.count() - 1);
                list.drop_top(k, ties);
            }
            Self::Xtc(p, t, least, ties) => list.xtc(p, t as f32, least, ties),
            Self::Dynamic(low, high, e) => {
                list.dynamic_temperature(low as f32, high as f32, e as f32);
            }
            Self::ArgmaxOnly => list.ban_all_but_best(TiePolicy::LowestId),
            Self::Renormalize => list.renormalize(),
        }
    }

    pub(crate) fn is_undecided(&self, list: &List) -> bool {
        let Self::TopNSigma(n) = *self else { return false };
        let floor = list.sigma_floor(n as f32);
        let near = |score: f32| (score - floor).abs() <= 1e-6 * floor.abs().max(list.max().abs());
        list.entries().iter().any(|e| near(e.score))
    }

    /// The same with a policy that looks at scores alone.
    pub(crate) fn keeping_all_ties(self) -> Self {
        use TiePolicy::KeepAll;
        match self {
            Self::TopK(k, _) => Self::TopK(k, KeepAll),
            Self::TopP(p, rule, _, _) => Self::TopP(p, rule, 1, KeepAll),
            // A least number is filled up in the order, which is not of scores alone.
            Self::From(floor, edge, _) => Self::From(floor, edge, 0),
            Self::Typical(p, rule, _, _) => Self::Typical(p, rule, 0, KeepAll),
            Self::Nearest(place, p, rule, _, _) => Self::Nearest(place, p, rule, 0, KeepAll),
            Self::TopH(h, _) => Self::TopH(h, KeepAll),
            Self::DropTop(k, _) => Self::DropTop(k, KeepAll),
            Self::Xtc(p, t, least, _) => Self::Xtc(p, t, least, KeepAll),
            Self::ArgmaxOnly => Self::Renormalize,
            Self::Dynamic(_, high, e) => Self::Dynamic(high, high, e),
            other => other,
        }
    }
}

fn ties() -> impl Strategy<Value = TiePolicy> {
    use TiePolicy::{HighestId, KeepAll, LowestId, Random};
    prop::sample::select(vec![KeepAll, LowestId, HighestId, Random])
}

fn share() -> impl Strategy<Value = f64> {
    prop_oneof![0.0..1.0_f64, prop::sample::select(vec![0.0, 0.25, 0.5, 0.75, 1.0])]
}

/// A share, a rule, a least number and a tie policy.
fn by_mass() -> impl Strategy<Value = (f64, MassRule, usize, TiePolicy)> {
    let rules = vec![MassRule::DropTail, MassRule::Reach, MassRule::Exceed];
    (share(), prop::sample::select(rules), 0_usize..5, ties())
}

fn small() -> impl Strategy<Value = f64> {
    prop_oneof![1e-9..0.5_f64, prop::sample::select(vec![0.5, 0.25, 0.125, 1e-3, 1e-20, 0.99])]
}

pub(crate) fn cut() -> impl Strategy<Value = Cut> {
    let temperature =
        prop_oneof![0.01_f32..4.0, prop::sample::select(vec![0.5_f32, 1.0, 3.0, 1e-3, 1e6])];
    let edges = prop::sample::select(vec![Edge::Keep, Edge::Drop]);
    prop_oneof![
        temperature.prop_map(Cut::Divide),
        (1_usize..40, ties()).prop_map(|(k, t)| Cut::TopK(k, t)),
        by_mass().prop_map(|(p, r, m, t)| Cut::TopP(p, r, m, t)),
        share().prop_map(Cut::MinP),
        (-9.0_f32..9.0, edges, 1_usize..4).prop_map(|(f, e, m)| Cut::From(f, e, m)),
        by_mass().prop_map(|(p, r, m, t)| Cut::Typical(p, r, m, t)),
        (-4_i32..4, by_mass()).prop_map(|(place, (p, r, m, t))| Cut::Nearest(
            place as f32,
            p,
            r,
            m,
            t
        )),
        (small(), 0_usize..4).prop_map(|(e, m)| Cut::Epsilon(e, m)),
        (small(), 0_usize..4).prop_map(|(e, m)| Cut::Eta(e, m)),
        (prop_oneof![0.01..1.0_f64, Just(1.0)], ties()).prop_map(|(h, t)| Cut::TopH(h, t)),
        (0.1..4.0_f64).prop_map(Cut::TopNSigma),
        (0_usize..9, ties()).prop_map(|(k, t)| Cut::DropTop(k, t)),
        (share(), 0.0..0.5_f64, 0_usize..5, ties()).prop_map(|(p, t, m, i)| Cut::Xtc(p, t, m, i)),
        (0.0..1.0_f64, 1.0..3.0_f64, 0.0..3.0_f64).prop_map(|(l, h, e)| Cut::Dynamic(l, h, e)),
        Just(Cut::ArgmaxOnly),
        Just(Cut::Renormalize),
    ]
}
