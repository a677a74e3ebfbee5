//! Where a page stands: a text, and the settings under which it goes on.

use serde::Deserialize;
use serde_json::Value;
use taper_models::LoadedModel;
use taper_sampling::{DrawKey, Given, Pipeline, Sequence};

use super::rows::{Row, Rows, Turn};
use super::{Denied, Explorer};
use crate::knobs::{Knobs, Turned};
use crate::outcome::EffectiveConfig;
use crate::request::Request;
use crate::run::Generation;

/// A text and its settings, as a page sends them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    /// Prompt and continuation.
    pub(super) tokens: Vec<u32>,
    /// How many of them are the prompt.
    pub(super) prompt: usize,
    /// The settings that differ from those that the program was started with.
    #[serde(default)]
    pub(super) knobs: Knobs,
    /// Stages that are switched off, by their place in the pipeline.
    #[serde(default)]
    pub(super) off: Vec<usize>,
    /// The tab, and the number of its question.
    #[serde(default)]
    pub(super) tab: String,
    #[serde(default)]
    pub(super) turn: u64,
}

/// A place that has been checked, ready for the sampler.
pub(super) struct Ready<'m> {
    pub(super) loaded: &'m LoadedModel,
    pub(super) config: EffectiveConfig,
    /// All stages, those that are switched off among them.
    pub(super) whole: Pipeline,
    /// Of each stage that is on, its place among all.
    pub(super) on: Vec<usize>,
    /// What samples.
    pub(super) pipeline: Pipeline,
    pub(super) sequence: Sequence,
    row: Row,
    /// The row that guidance leads away from.
    guide: Option<Row>,
}

impl<'m> Ready<'m> {
    /// # Errors
    ///
    /// When the text is empty, too long or has a token that there is not, when a setting is refused, and
    /// when the model fails.
    pub(super) fn of(explorer: &'m Explorer, place: &Place) -> Result<Self, Denied> {
        let loaded = &*explorer.loaded;
        let generation = explorer.settle(place)?;
        let (whole, config) = (generation.pipeline().clone(), generation.config().clone());
        let (pipeline, on) = without(&whole, &place.off);
        let vocab_size = loaded.model.vocab_size();
        if let Some(&id) = place.tokens.iter().find(|&&id| id as usize >= vocab_size) {
            return Err(Denied::new(format!(
                "token {id} does not exist; ids are below {vocab_size}"
            )));
        }
        let context = loaded.model.context_length();
        if place.tokens.len() >= context {
            let what = "the text fills the model's context";
            return Err(Denied::new(format!("{what} of {context} tokens; go back, or begin anew")));
        }
        let turn = Turn { tab: place.tab.clone(), number: place.turn };
        let turn = (!place.tab.is_empty()).then_some(&turn);
        let rows = &explorer.rows;
        let row = rounded(rows, &place.tokens, turn, &config)?;
        let made = &place.tokens[place.prompt..];
        let guide = config.guide.as_ref().map(|guide| [&guide[..], made].concat());
        let guide = guide.map(|tokens| rounded(rows, &tokens, turn, &config)).transpose()?;
        let key = DrawKey::new(config.seed);
        let mut sequence = pipeline.sequence(key).prompt(&place.tokens[..place.prompt]);
        for &token in made {
            sequence.accept(token).map_err(Denied::new)?;
        }
        sequence.prepare();
        Ok(Self { loaded, config, whole, on, pipeline, sequence, row, guide })
    }

    /// The logits of the next token.
    pub(super) fn row(&self) -> &[f32] {
        &self.row
    }

    /// What comes with a step besides the row.
    pub(super) fn given(&self) -> Given<'_> {
        let given = Given::default();
        self.guide.as_ref().map_or(given, |row| given.unconditional(&row[..]))
    }
}

impl Explorer {
    /// The run that a place's settings make, which is not begun.
    fn settle(&self, place: &Place) -> Result<Generation<'_>, Denied> {
        let mut request = self.request(place)?;
        // A step is one token of one text.
        (request.config.num_beams, request.config.num_return_sequences) = (None, None);
        request.best_of = None;
        Generation::new(&*self.loaded, request).map_err(Denied::new)
    }

    /// The run that a place's settings ask for.
    pub(super) fn request(&self, place: &Place) -> Result<Request, Denied> {
        if place.prompt == 0 || place.prompt > place.tokens.len() {
            return Err(Denied::new("the prompt is empty; type some text"));
        }
        let mut knobs = self.knobs.clone();
        knobs.extend(place.knobs.clone());
        // It is no knob of a spec, which has a list of them.
        let seed = knobs.shift_remove("seed").map(|value| seed(&value)).transpose()?;
        let turned = Turned::read(&knobs).map_err(Denied::new)?;
        let mut request = turned.request(Some(&*self.loaded)).map_err(Denied::new)?;
        request.prompt = place.tokens[..place.prompt].to_vec();
        request.seed = seed.or(Some(self.seed));
        Ok(request)
    }
}

fn seed(value: &Value) -> Result<u64, Denied> {
    let refused =
        || Denied::new(format!("seed is {value}; it must be a whole number in 0..={}", u64::MAX));
    value.as_u64().ok_or_else(refused)
}

/// The pipeline without some of its stages, and the places of those that are left.
fn without(whole: &Pipeline, off: &[usize]) -> (Pipeline, Vec<usize>) {
    let on: Vec<usize> = (0..whole.stages().len()).filter(|i| !off.contains(i)).collect();
    let mut pipeline = whole.selecting_alone();
    for &i in &on {
        pipeline.push(whole.stages()[i].clone());
    }
    (pipeline, on)
}

/// A row, in the precision that the settings ask for.
fn rounded(
    rows: &Rows,
    tokens: &[u32],
    turn: Option<&Turn>,
    config: &EffectiveConfig,
) -> Result<Row, Denied> {
    let row = rows.get(tokens, turn).map_err(Denied::new)?;
    if config.logits_dtype.is_usual() {
        return Ok(row);
    }
    let mut rounded = row.to_vec();
    config.logits_dtype.round(&mut rounded);
    Ok(rounded.into())
}
