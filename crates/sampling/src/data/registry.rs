//! The constructors of stages and selectors by name, and the way from a document to a pipeline.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::arguments::near;
use super::{Arguments, Described, PipelineError, Setting};
use crate::pipeline::Pipeline;
use crate::selectors::{
    AdaptiveP, Draw, DualKeyGumbel, Greedy, Gumbel, GumbelWatermark, Mirostat, MirostatV2, Selector,
};
use crate::stage::Stage;
use crate::stages::{
    AllowedTokens, ArgmaxOnly, BadWords, BeginSuppressTokens, ClassifierFreeGuidance, Dry,
    DynamicTemperature, EpsilonCutoff, EtaCutoff, ExponentialDecay, ForcedBos, ForcedEos,
    GreenList, LogitBias, MinLength, MinNewTokens, MinP, NoRepeatNgram, OccurrencePenalty,
    RemoveInvalidValues, Renormalize, RepetitionPenalty, SequenceBias, SuppressTokens, SynthId,
    Temperature, TopH, TopK, TopNSigma, TopP, Typical, Xtc,
};

type Read<T> = fn(&mut Arguments) -> Result<Box<T>, PipelineError>;
type ReadOwn<T> = Box<dyn Fn(&mut Arguments) -> Result<Box<T>, PipelineError> + Send + Sync>;

fn stage<S: Described + Stage + 'static>(
    arguments: &mut Arguments,
) -> Result<Box<dyn Stage>, PipelineError> {
    Ok(Box::new(S::read(arguments)?))
}

fn selector<S: Described + Selector + 'static>(
    arguments: &mut Arguments,
) -> Result<Box<dyn Selector>, PipelineError> {
    Ok(Box::new(S::read(arguments)?))
}

/// Every stage under its name.
const STAGES: &[(&str, Read<dyn Stage>)] = &[
    ("allowed_tokens", stage::<AllowedTokens>),
    ("argmax_only", stage::<ArgmaxOnly>),
    ("bad_words", stage::<BadWords>),
    ("begin_suppress_tokens", stage::<BeginSuppressTokens>),
    ("classifier_free_guidance", stage::<ClassifierFreeGuidance>),
    ("dry", stage::<Dry>),
    ("dynamic_temperature", stage::<DynamicTemperature>),
    ("epsilon_cutoff", stage::<EpsilonCutoff>),
    ("eta_cutoff", stage::<EtaCutoff>),
    ("exponential_decay_length_penalty", stage::<ExponentialDecay>),
    ("forced_bos", stage::<ForcedBos>),
    ("forced_eos", stage::<ForcedEos>),
    // One stage, which is called by what it does.
    ("frequency_penalty", stage::<OccurrencePenalty>),
    ("frequency_presence_penalty", stage::<OccurrencePenalty>),
    ("presence_penalty", stage::<OccurrencePenalty>),
    ("green_list", stage::<GreenList>),
    ("logit_bias", stage::<LogitBias>),
    ("min_length", stage::<MinLength>),
    ("min_new_tokens", stage::<MinNewTokens>),
    ("min_p", stage::<MinP>),
    ("no_repeat_ngram", stage::<NoRepeatNgram>),
    ("remove_invalid_values", stage::<RemoveInvalidValues>),
    ("renormalize_logits", stage::<Renormalize>),
    ("repetition_penalty", stage::<RepetitionPenalty>),
    ("sequence_bias", stage::<SequenceBias>),
    ("suppress_tokens", stage::<SuppressTokens>),
    ("synth_id", stage::<SynthId>),
    ("temperature", stage::<Temperature>),
    ("top_h", stage::<TopH>),
    ("top_k", stage::<TopK>),
    ("top_n_sigma", stage::<TopNSigma>),
    ("top_p", stage::<TopP>),
    ("typical_p", stage::<Typical>),
    ("xtc", stage::<Xtc>),
];

/// Every selector under its name.
const SELECTORS: &[(&str, Read<dyn Selector>)] = &[
    ("adaptive_p", selector::<AdaptiveP>),
    ("draw", selector::<Draw>),
    ("dual_key_gumbel", selector::<DualKeyGumbel>),
    ("greedy", selector::<Greedy>),
    ("gumbel", selector::<Gumbel>),
    ("gumbel_watermark", selector::<GumbelWatermark>),
    ("mirostat", selector::<Mirostat>),
    ("mirostat_v2", selector::<MirostatV2>),
];

/// The stages and selectors that a document may name: those of this crate, and a caller's.
///
/// A document is a list of stages, each an object with the arguments of its constructor, and a selector
/// at the end; without one it is a draw. See [`Pipeline::from_json`] for those of this crate alone.
///
/// ```
/// use taper_sampling::prelude::*;
///
/// /// Bans all but every n-th token.
/// fn every(n: usize) -> impl Stage {
///     stage_fn("every", move |candidates, _| candidates.keep_if(|id, _| id as usize % n == 0))
/// }
///
/// let registry = Registry::new().stage("every", |arguments| Ok(every(arguments.required("n")?)));
/// let pipeline = registry.read(&Setting::from(vec![Setting::Map(vec![
///     ("stage".into(), "every".into()),
///     ("n".into(), 2_usize.into()),
/// ])]))?;
/// assert_eq!(pipeline.to_string(), "every → draw");
/// # Ok::<(), PipelineError>(())
/// ```
#[derive(Default)]
pub struct Registry {
    stages: Vec<(&'static str, ReadOwn<dyn Stage>)>,
    selectors: Vec<(&'static str, ReadOwn<dyn Selector>)>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self.stages.iter().map(|own| own.0).chain(self.selectors.iter().map(|own| own.0));
        f.debug_list().entries(own).finish()
    }
}

impl Registry {
    /// The stages and selectors of this crate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a stage of the caller's, which goes before one of this crate of the same name.
    #[must_use]
    pub fn stage<S: Stage + 'static>(
        mut self,
        name: &'static str,
        read: impl Fn(&mut Arguments) -> Result<S, PipelineError> + Send + Sync + 'static,
    ) -> Self {
        self.stages.push((name, Box::new(move |arguments| Ok(Box::new(read(arguments)?)))));
        self
    }

    /// Adds a selector of the caller's, which goes before one of this crate of the same name.
    #[must_use]
    pub fn selector<S: Selector + 'static>(
        mut self,
        name: &'static str,
        read: impl Fn(&mut Arguments) -> Result<S, PipelineError> + Send + Sync + 'static,
    ) -> Self {
        self.selectors.push((name, Box::new(move |arguments| Ok(Box::new(read(arguments)?)))));
        self
    }

    /// The pipeline of a document.
    ///
    /// # Errors
    ///
    /// [`PipelineError`] with the path of what is wrong.
    pub fn read(&self, document: &Setting) -> Result<Pipeline, PipelineError> {
        let Setting::List(entries) = document else {
            return expected("$".into(), "a list of stages, [{\"stage\": \"top_k\", \"k\": 50}]");
        };
        let (mut stages, mut chosen) = (Vec::new(), None);
        for (i, entry) in entries.iter().enumerate() {
            let path = format!("[{i}]");
            if chosen.is_some() {
                return expected(path, "left out: a selector is the last entry");
            }
            let Setting::Map(entry) = entry else {
                return expected(path, "an object with a stage or a select");
            };
            let mut entry = entry.clone();
            if let Some(name) = tag(&mut entry, "stage", &path)? {
                stages.push(build(&self.stages, STAGES, "stage", &name, path, entry)?);
            } else if let Some(name) = tag(&mut entry, "select", &path)? {
                chosen = Some(build(&self.selectors, SELECTORS, "selector", &name, path, entry)?);
            } else {
                return expected(path, "an object with a stage or a select");
            }
        }
        let mut pipeline = chosen.map_or_else(Pipeline::draw, Pipeline::selecting);
        for stage in stages {
            pipeline.push(stage);
        }
        Ok(pipeline)
    }
}

fn expected<T>(path: String, expected: &'static str) -> Result<T, PipelineError> {
    Err(PipelineError::Expected { path, expected: expected.into() })
}

type Entry = Vec<(Cow<'static, str>, Setting)>;

/// Takes the member that says what an entry is.
fn tag(entry: &mut Entry, key: &str, path: &str) -> Result<Option<String>, PipelineError> {
    let Some(at) = entry.iter().position(|(own, _)| own == key) else { return Ok(None) };
    match entry.remove(at).1 {
        Setting::Word(name) => Ok(Some(name.to_string())),
        _ => expected(format!("{path}.{key}"), "a name"),
    }
}

fn build<T: ?Sized>(
    own: &[(&'static str, ReadOwn<T>)],
    built_in: &[(&'static str, Read<T>)],
    kind: &'static str,
    name: &str,
    path: String,
    entry: Entry,
) -> Result<Box<T>, PipelineError> {
    let mut arguments = Arguments::new(path.clone(), entry);
    let built = if let Some((_, read)) = own.iter().rev().find(|(other, _)| *other == name) {
        read(&mut arguments)?
    } else if let Some((_, read)) = built_in.iter().find(|(other, _)| *other == name) {
        read(&mut arguments)?
    } else {
        let names = own.iter().map(|(name, _)| *name).chain(built_in.iter().map(|(name, _)| *name));
        let near = near(name, names);
        return Err(PipelineError::Unknown { path, kind, name: name.to_string(), near });
    };
    arguments.finish()?;
    Ok(built)
}
