//! From knobs to the settings of a run.

use serde_json::{Map, Value};
use taper_models::LoadedModel;
use taper_sampling::GenerationConfig;

use super::knob::{HUGGING_FACE, LLAMA_CPP};
use super::{Knob, KnobError, KnobValue, Knobs, find, model_config, named};
use crate::error::RequestError;
use crate::request::Request;
use crate::semantics::{LlamaCpp, Semantics, Vllm};
use crate::told::shortened;

/// Knobs with the values that they are turned to, each of its knob's kind.
///
/// ```
/// use taper_runner::knobs::{Knobs, Turned};
///
/// let knobs: Knobs = serde_json::from_str(r#"{"semantics": "vllm", "top_k": 20, "min_tokens": "3"}"#)?;
/// let turned = Turned::read(&knobs)?;
/// assert_eq!(turned.engine(), "vllm");
/// assert_eq!(turned.get("min_tokens").map(ToString::to_string), Some("3".to_owned()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Turned {
    all: Vec<(&'static Knob, KnobValue)>,
}

impl Turned {
    /// What a spec says.
    ///
    /// # Errors
    ///
    /// A name that is no knob's, one that the engine does not know, and a value that the knob cannot
    /// have.
    pub fn read(knobs: &Knobs) -> Result<Self, KnobError> {
        let mut turned = Self::default();
        if let (Some(knob), Some(value)) = (named("semantics"), knobs.get("semantics")) {
            turned.turn(knob, read(knob, value)?);
        }
        let engine = turned.engine();
        let known = knobs.iter().map(|(name, value)| {
            let knob = find(name)?;
            foreign(knob, engine).map_or(Ok((knob, value)), Err)
        });
        for (knob, value) in known.collect::<Result<Vec<_>, _>>()? {
            turned.turn(knob, read(knob, value)?);
        }
        Ok(turned)
    }

    /// Turns a knob, once more if it was turned before. The value must be of the knob's kind.
    pub fn turn(&mut self, knob: &'static Knob, value: KnobValue) {
        self.all.retain(|(other, _)| *other != knob);
        self.all.push((knob, value));
    }

    /// The value that a knob was turned to.
    pub fn get(&self, name: &str) -> Option<&KnobValue> {
        self.all.iter().find(|(knob, _)| knob.name == name).map(|(_, value)| value)
    }

    /// The knobs with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Knob, &KnobValue)> {
        self.all.iter().map(|(knob, value)| (*knob, value))
    }

    /// The engine whose rules are asked for.
    pub fn engine(&self) -> &'static str {
        let name = self.get("semantics").map_or(HUGGING_FACE, KnobValue::text);
        let engines = named("semantics").map_or(&[][..], |knob| knob.engines);
        engines.iter().find(|engine| **engine == name).copied().unwrap_or(HUGGING_FACE)
    }

    /// Refuses what the engine does not know.
    ///
    /// # Errors
    ///
    /// The first such knob.
    pub fn check_engine(&self) -> Result<(), KnobError> {
        let engine = self.engine();
        self.all.iter().find_map(|(knob, _)| foreign(knob, engine)).map_or(Ok(()), Err)
    }

    /// What they say of when to stop, and under Hugging Face's rules of how to decode.
    ///
    /// # Errors
    ///
    /// A value that the setting cannot have.
    pub fn config(&self) -> Result<GenerationConfig, KnobError> {
        let hugging_face = self.engine() == HUGGING_FACE;
        let mut config = GenerationConfig::default();
        for (knob, value) in self.iter() {
            let counts = hugging_face || knob.is_shared();
            if let Some(setter) = knob.config.filter(|_| counts) {
                (setter.put)(&mut config, value).map_err(|_| mismatch(knob, value))?;
            }
        }
        Ok(config)
    }

    /// Whose rules, with the settings that they alone know; `file` is the model's own config, and
    /// `sampling` what its GGUF file recommends.
    ///
    /// # Errors
    ///
    /// A value that the setting cannot have, here or in the model's file.
    pub fn semantics(
        &self,
        file: &GenerationConfig,
        sampling: &Map<String, Value>,
    ) -> Result<Semantics, KnobError> {
        Ok(match self.engine() {
            HUGGING_FACE => Semantics::HuggingFace,
            LLAMA_CPP => {
                let mut found = LlamaCpp::for_model(sampling, |name| self.get(name).is_some())?;
                for (knob, value) in self.iter() {
                    knob.set_llama_cpp(&mut found, value).map_err(|_| mismatch(knob, value))?;
                }
                Semantics::LlamaCpp(found.in_force())
            }
            _ => {
                let mut settings = Vllm::for_model(file)?;
                for (knob, value) in self.iter() {
                    if let Some(setter) = knob.vllm {
                        (setter.put)(&mut settings, value).map_err(|_| mismatch(knob, value))?;
                    }
                }
                Semantics::Vllm(settings)
            }
        })
    }

    /// Sets in a request what the runner itself acts on. Without a model texts are not made into tokens.
    ///
    /// # Errors
    ///
    /// When a text cannot be made into tokens.
    pub fn apply(
        &self,
        request: &mut Request,
        loaded: Option<&LoadedModel>,
    ) -> Result<(), KnobError> {
        for (knob, value) in self.iter() {
            if let Some(own) = knob.own {
                let told = |source: RequestError| KnobError::Text { name: knob.name, source };
                own(request, value, loaded).map_err(told)?;
            }
        }
        Ok(())
    }

    /// A request without a prompt and a seed. What the model says counts where the knobs say nothing;
    /// without a model that is nothing.
    ///
    /// # Errors
    ///
    /// A value that is out of its range, or that the setting cannot have.
    pub fn request(&self, loaded: Option<&LoadedModel>) -> Result<Request, KnobError> {
        let mut file = loaded.map(model_config).transpose()?.unwrap_or_default();
        // What is turned here goes before it, whatever it is there.
        file.extra.retain(|name, _| self.get(name).is_none());
        let none = Map::new();
        let sampling = loaded.map_or(&none, |loaded| &loaded.sampling);
        let mut request = Request::new(Vec::new());
        request.semantics = self.semantics(&file, sampling)?;
        let user = self.config()?;
        request.semantics.validate(&user)?;
        request.config = user.or(request.semantics.heed(file));
        self.apply(&mut request, loaded)?;
        Ok(request)
    }
}

fn foreign(knob: &'static Knob, engine: &'static str) -> Option<KnobError> {
    (!knob.engines.contains(&engine)).then_some(KnobError::Foreign { knob, engine })
}

fn read(knob: &'static Knob, value: &Value) -> Result<KnobValue, KnobError> {
    knob.read(value).map_err(|domain| refused(knob, &value.to_string(), domain))
}

fn refused(knob: &'static Knob, value: &str, domain: String) -> KnobError {
    KnobError::Value { name: knob.name, value: shortened(value).into_owned(), domain }
}

/// A whole number is below what the engine has; of what else is read the setting takes all.
fn mismatch(knob: &'static Knob, value: &KnobValue) -> KnobError {
    let domain = knob.kind.type_in_config();
    let domain = domain.strip_prefix("a whole number, ").unwrap_or(&domain);
    refused(knob, &value.to_string(), format!("it must be {domain}"))
}
