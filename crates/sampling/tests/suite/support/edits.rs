//! Stages that change scores.

use proptest::collection::vec;
use proptest::prelude::*;
use taper_sampling::reference::List;
use taper_sampling::*;

#[derive(Debug, Clone)]
pub(crate) enum Edit {
    Repetition { penalty: f64, window: Window, exempt: Vec<u32> },
    Occurrence { frequency: f32, presence: f32, window: Window },
    Dry { multiplier: f32, base: f32, allowed: usize, window: Window, breakers: Vec<Vec<u32>> },
    Bias { sequences: Vec<(Vec<u32>, f32)>, window: Window },
    BadWords { words: Vec<Vec<u32>>, eos: u32 },
    LogitBias(Vec<(u32, f32)>),
    Ngram(usize),
    Suppress(Vec<u32>),
    BeginSuppress(Vec<u32>),
    Allow(Vec<u32>),
    ForcedBos(u32),
    ForcedEos(Vec<u32>, LengthLimit),
    MinLength(usize, Vec<u32>),
    MinNew(usize, Vec<u32>),
    Decay(usize, f64, Vec<u32>),
    RemoveInvalid,
    Guide(f64),
}

/// A token of a vocabulary that has so many.
fn fit(ids: &[u32], vocab_size: usize) -> Vec<u32> {
    ids.iter().map(|id| id % vocab_size as u32).collect()
}

/// Distinct, with the last number that was given to each.
fn last_of_each<K: PartialEq, V>(pairs: impl Iterator<Item = (K, V)>) -> Vec<(K, V)> {
    let mut distinct: Vec<(K, V)> = Vec::new();
    for (key, value) in pairs {
        match distinct.iter_mut().find(|(other, _)| *other == key) {
            Some(earlier) => earlier.1 = value,
            None => distinct.push((key, value)),
        }
    }
    distinct
}

/// The row that the model would give without the prompt.
pub(crate) fn unconditional(vocab_size: usize) -> Vec<f32> {
    (0..vocab_size).map(|id| (id * 7 % 5) as f32 - 1.5).collect()
}

impl Edit {
    /// The ids are fitted to the vocabulary when it is known, that is at the step.
    pub(crate) fn stage(&self) -> Box<dyn Stage> {
        let edit = self.clone();
        Box::new(stage_fn("edit", move |c: &mut Candidates<'_>, step: &StepContext<'_>| {
            let without_a_row = matches!(edit, Self::Guide(_)) && step.unconditional().is_none();
            if c.is_empty() || without_a_row || edit.is_about_removed(c) {
                return Ok(());
            }
            edit.fitted(c.vocab_size()).apply(c, step)
        }))
    }

    /// To force what a cut removed is an error, and not what is tested here.
    fn is_about_removed(&self, c: &Candidates<'_>) -> bool {
        let removed = |ids: &[u32]| fit(ids, c.vocab_size()).iter().any(|&id| c.get(id).is_none());
        match self {
            Self::ForcedBos(id) => removed(&[*id]),
            Self::ForcedEos(ids, _) => removed(ids),
            _ => false,
        }
    }

    fn fitted(&self, v: usize) -> Box<dyn Stage> {
        match self.clone() {
            Self::Repetition { penalty, window, exempt } => Box::new(
                RepetitionPenalty::new(penalty).unwrap().window(window).exempt(&fit(&exempt, v)),
            ),
            Self::Occurrence { frequency, presence, window } => {
                let stage = OccurrencePenalty::new(f64::from(frequency), f64::from(presence));
                Box::new(stage.unwrap().window(window))
            }
            Self::Dry { multiplier, base, allowed, window, breakers } => {
                let dry = Dry::new(f64::from(multiplier), f64::from(base), allowed).unwrap();
                let breakers = breakers.iter().map(|b| fit(b, v));
                Box::new(dry.window(window).breakers(breakers).unwrap())
            }
            Self::Bias { sequences, window } => {
                let fitted = sequences.iter().map(|(s, bias)| (fit(s, v), f64::from(*bias)));
                Box::new(SequenceBias::new(fitted).unwrap().window(window))
            }
            Self::BadWords { words, eos } => {
                let words = words.iter().map(|word| fit(word, v));
                Box::new(BadWords::new(words).unwrap().except(&fit(&[eos], v)))
            }
            Self::LogitBias(biases) => {
                let fitted = biases.iter().map(|&(id, bias)| (id % v as u32, f64::from(bias)));
                Box::new(LogitBias::new(last_of_each(fitted)).unwrap())
            }
            Self::Ngram(n) => Box::new(NoRepeatNgram::new(n).unwrap()),
            Self::Suppress(ids) => Box::new(SuppressTokens::new(&fit(&ids, v))),
            Self::BeginSuppress(ids) => Box::new(BeginSuppressTokens::new(&fit(&ids, v))),
            Self::Allow(ids) => Box::new(AllowedTokens::new(&fit(&ids, v), v).unwrap()),
            Self::ForcedBos(id) => Box::new(ForcedBos::new(id % v as u32)),
            Self::ForcedEos(ids, limit) => Box::new(ForcedEos::new(&fit(&ids, v), limit).unwrap()),
            Self::MinLength(n, eos) => Box::new(MinLength::new(n, &fit(&eos, v)).unwrap()),
            Self::MinNew(n, eos) => Box::new(MinNewTokens::new(n, &fit(&eos, v)).unwrap()),
            Self::Decay(start, factor, eos) => {
                Box::new(ExponentialDecay::new(start, factor, &fit(&eos, v)).unwrap())
            }
            Self::RemoveInvalid => Box::new(RemoveInvalidValues),
            Self::Guide(scale) => Box::new(ClassifierFreeGuidance::new(scale).unwrap()),
        }
    }

    pub(crate) fn apply(&self, list: &mut List, history: &History, v: usize) {
        let (length, made) = (history.tokens().len(), history.generated().len());
        let listed = |ids: &[u32]| ids.iter().all(|id| list.ids().contains(id));
        match self {
            Self::Repetition { penalty, window, exempt } => {
                list.repetition_penalty(*penalty as f32, history.within(*window), &fit(exempt, v));
            }
            Self::Occurrence { frequency, presence, window } => {
                list.occurrence_penalty(*frequency, *presence, history.within(*window));
            }
            Self::Dry { multiplier, base, allowed, window, breakers } => {
                let breakers: Vec<_> = breakers.iter().map(|b| fit(b, v)).collect();
                list.dry((*multiplier, *base, *allowed), &breakers, history.within(*window));
            }
            Self::Bias { sequences, window } => {
                let fitted = sequences.iter().map(|(s, bias)| (fit(s, v), *bias));
                list.sequence_bias(&last_of_each(fitted), history.within(*window));
            }
            Self::BadWords { words, eos } => {
                let words = words.iter().map(|w| fit(w, v)).filter(|w| *w != fit(&[*eos], v));
                let bans = last_of_each(words.map(|word| (word, f32::NEG_INFINITY)));
                list.sequence_bias(&bans, history.tokens());
            }
            Self::LogitBias(biases) => {
                let fitted = last_of_each(biases.iter().map(|&(id, b)| (vec![id % v as u32], b)));
                list.sequence_bias(&fitted, &[]);
            }
            Self::Ngram(n) => list.no_repeat_ngram(*n, history.tokens()),
            Self::Suppress(ids) => list.ban(&fit(ids, v)),
            Self::BeginSuppress(ids) if made == 0 => list.ban(&fit(ids, v)),
            Self::Allow(ids) => list.allow(&fit(ids, v)),
            Self::ForcedBos(id) if length == 1 && listed(&fit(&[*id], v)) => {
                list.force(&fit(&[*id], v));
            }
            Self::ForcedEos(ids, limit) => {
                let left = match limit {
                    LengthLimit::Total(limit) => *limit as i64 - length as i64,
                    LengthLimit::New(limit) => *limit as i64 - made as i64,
                };
                if left == 1 && listed(&fit(ids, v)) {
                    list.force(&fit(ids, v));
                }
            }
            Self::MinLength(n, eos) if length < *n => list.ban(&fit(eos, v)),
            Self::MinNew(n, eos) if made < *n => list.ban(&fit(eos, v)),
            Self::Decay(start, factor, eos) => {
                list.exponential_decay(made.saturating_sub(*start) as u32, *factor, &fit(eos, v));
            }
            Self::RemoveInvalid => list.remove_invalid_values(),
            Self::Guide(scale) => list.guide(*scale as f32, &unconditional(v)),
            // At this position they do nothing.
            Self::BeginSuppress(_)
            | Self::ForcedBos(_)
            | Self::MinLength(..)
            | Self::MinNew(..) => {}
        }
    }
}

fn ids() -> impl Strategy<Value = Vec<u32>> {
    vec(0_u32..8, 1..4)
}

fn window() -> impl Strategy<Value = Window> {
    (any::<bool>(), prop::option::of(0_usize..15))
        .prop_map(|(prompt, last)| Window { prompt, last })
}

pub(crate) fn edit() -> impl Strategy<Value = Edit> {
    let sequence = || vec(0_u32..6, 1..4);
    let coarse = || (-8_i32..8).prop_map(|i| i as f32 / 2.0);
    let limit = prop_oneof![
        (0_usize..25).prop_map(LengthLimit::Total),
        (0_usize..14).prop_map(LengthLimit::New)
    ];
    prop_oneof![
        1 => (0.3_f64..3.0, window(), vec(0_u32..8, 0..3))
            .prop_map(|(penalty, window, exempt)| Edit::Repetition { penalty, window, exempt }),
        1 => (coarse(), coarse(), window()).prop_map(|(frequency, presence, window)| Edit::Occurrence {
            frequency,
            presence,
            window
        }),
        4 => (coarse(), 1.0_f32..3.0, 0_usize..4, window(), vec(sequence(), 0..3)).prop_map(
            |(multiplier, base, allowed, window, breakers)| Edit::Dry {
                multiplier,
                base,
                allowed,
                window,
                breakers
            }
        ),
        2 => (vec((sequence(), coarse()), 1..9), window())
            .prop_map(|(sequences, window)| Edit::Bias { sequences, window }),
        1 => (vec(sequence(), 1..4), 0_u32..6).prop_map(|(words, eos)| Edit::BadWords { words, eos }),
        1 => vec((0_u32..8, coarse()), 1..4).prop_map(Edit::LogitBias),
        1 => (1_usize..4).prop_map(Edit::Ngram),
        1 => ids().prop_map(Edit::Suppress),
        1 => ids().prop_map(Edit::BeginSuppress),
        1 => ids().prop_map(Edit::Allow),
        1 => (0_u32..8).prop_map(Edit::ForcedBos),
        1 => (ids(), limit).prop_map(|(ids, limit)| Edit::ForcedEos(ids, limit)),
        1 => (0_usize..30, ids()).prop_map(|(n, eos)| Edit::MinLength(n, eos)),
        1 => (0_usize..15, ids()).prop_map(|(n, eos)| Edit::MinNew(n, eos)),
        1 => (0_usize..12, 0.5_f64..2.0, ids()).prop_map(|(s, f, eos)| Edit::Decay(s, f, eos)),
        1 => Just(Edit::RemoveInvalid),
        1 => (-2.0_f64..4.0).prop_map(Edit::Guide),
    ]
}
