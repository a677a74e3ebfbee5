//! What a GGUF file recommends to llama.cpp.

use serde_json::{Map, Value};
use taper_sampling::presets;

use super::{Kind, Knob, KnobValue};
use crate::error::RequestError;
use crate::semantics::{LlamaCpp, MirostatVersion, Recommended};

impl LlamaCpp {
    /// What llama.cpp starts from with a model: what its file recommends, which is in
    /// [`LoadedModel::sampling`](taper_models::LoadedModel::sampling), and its own defaults. `given`
    /// tells which settings have a value already, by their names here; the file's is not looked at.
    ///
    /// # Errors
    ///
    /// [`RequestError::Setting`], with the file's key, when a value is not what llama.cpp takes.
    pub fn for_model(
        sampling: &Map<String, Value>,
        given: impl Fn(&str) -> bool,
    ) -> Result<Recommended, RequestError> {
        let mut found = Recommended::default();
        for knob in super::all() {
            let Some(key) = knob.gguf.filter(|_| !given(knob.name)) else { continue };
            let Some(value) = sampling.get(key) else { continue };
            found.set(knob, value).map_err(|domain| RequestError::Setting {
                key,
                value: value.to_string(),
                domain,
            })?;
            found.check(key, knob.name, value)?;
        }
        if let Some(Value::Array(ids)) = sampling.get("tokenizer.ggml.suppress_tokens") {
            let ids = ids.iter().filter_map(|id| u32::try_from(id.as_u64()?).ok());
            found.settings.config.logit_bias.extend(ids.map(|id| (id, f64::NEG_INFINITY)));
        }
        Ok(found)
    }
}

impl Recommended {
    /// Sets one; what would be right if the value is not.
    fn set(&mut self, knob: &Knob, value: &Value) -> Result<(), String> {
        let (value, domain) = match knob.kind {
            Kind::Samplers => {
                let domain = "names of samplers, separated by semicolons".to_owned();
                (value.as_str().and_then(|names| knob.parse(names).ok()), domain)
            }
            Kind::Whole(_) => (Some(KnobValue::Whole(whole(value)?)), String::new()),
            Kind::OneOf(_) => {
                let domain = knob.kind.domain().replace("it must be ", "");
                (knob.parse(&whole(value)?.to_string()).ok(), domain)
            }
            _ => (Some(KnobValue::Number(number(value)?)), String::new()),
        };
        let value = value.ok_or_else(|| domain.clone())?;
        knob.set_llama_cpp(self, &value).map_err(|_| domain)
    }

    /// Whether a pipeline can be made with the setting.
    fn check(&self, key: &'static str, name: &str, value: &Value) -> Result<(), RequestError> {
        let mut settings = self.settings.clone();
        if name.starts_with("mirostat") {
            settings = settings.mirostat(self.mirostat.unwrap_or(MirostatVersion::Two));
        }
        let Err(error) = presets::llama_cpp(&settings.config, usize::MAX, None) else {
            return Ok(());
        };
        let error = error.to_string();
        let domain = error.split_once("it must be ").map_or(&*error, |(_, domain)| domain);
        Err(RequestError::Setting { key, value: value.to_string(), domain: domain.to_owned() })
    }
}

/// llama.cpp makes a number of a text, and a whole one of what is before the point.
fn number(value: &Value) -> Result<f64, String> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    };
    let number = number.filter(|number: &f64| (*number as f32).is_finite());
    number.ok_or_else(|| "a finite number".to_owned())
}

fn whole(value: &Value) -> Result<i128, String> {
    let number = number(value)?.trunc();
    let fits = number >= f64::from(i32::MIN) && number <= f64::from(i32::MAX);
    if fits { Ok(number as i128) } else { Err("a number that fits into 32 bits".to_owned()) }
}
