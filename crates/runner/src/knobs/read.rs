//! The values of knobs in JSON and TOML: of the type that the setting has, or in the words of its flag.

use serde::de::DeserializeOwned;
use serde_json::Value;
use taper_sampling::presets::LlamaCppSampler;

use super::{Kind, Knob, KnobValue};

impl Knob {
    /// The value that JSON stands for, whether it is of the setting's own type or in the words of the
    /// flag.
    ///
    /// # Errors
    ///
    /// What it must be.
    pub fn read(&self, value: &Value) -> Result<KnobValue, String> {
        let read = |text: &str| self.parse(text);
        match self.kind {
            Kind::Ids { none: true, .. } => of_list::<Vec<u32>>(value, read, "[1, 2]"),
            Kind::Ids { .. } => of_list::<Vec<u32>>(value, read, "[1, 2, 3]"),
            Kind::Sequences => {
                let empty = value.as_array().is_some_and(|all| all.iter().any(is_empty));
                let found = of_list::<Vec<Vec<u32>>>(value, read, "[[1, 2], [3]]");
                if empty { Err(self.kind.domain()) } else { found }
            }
            Kind::SequenceBias => of_list::<Vec<(Vec<u32>, f64)>>(value, read, "[[[1, 2], -4.5]]"),
            Kind::Decay => of_list::<(usize, f64)>(value, read, "[20, 1.05]"),
            Kind::LogitBias => of_list::<Vec<(u32, f64)>>(value, read, "[[5, 1.5]]"),
            Kind::Samplers => {
                let like = "[\"top_k\", \"temperature\"]";
                of_list::<Vec<LlamaCppSampler>>(value, read, like)
            }
            Kind::Texts(_) => texts(value, read),
            Kind::Text { .. } | Kind::File => match value {
                Value::String(text) => Ok(KnobValue::Text(text.clone())),
                _ => Err("it must be a text".to_owned()),
            },
            Kind::Json => match value {
                Value::Object(_) => Ok(KnobValue::Text(value.to_string())),
                Value::String(text) => self.parse(text),
                _ => Err(self.kind.domain()),
            },
            Kind::Bool | Kind::Whole(_) | Kind::Number(_) | Kind::OneOf(_) | Kind::Id => {
                scalar(value, self.kind)
            }
        }
    }
}

fn is_empty(list: &Value) -> bool {
    list.as_array().is_some_and(Vec::is_empty)
}

/// What the word for it is read as.
fn scalar(value: &Value, kind: Kind) -> Result<KnobValue, String> {
    let domain = || kind.domain_in_json();
    let read = match value {
        Value::String(text) => kind.parse(text).map_err(|_| domain())?,
        Value::Bool(_) | Value::Number(_) => {
            kind.parse(&value.to_string()).map_err(|_| domain())?
        }
        _ => return Err(domain()),
    };
    match read {
        KnobValue::Number(number) if !number.is_finite() => Err("it must be finite".to_owned()),
        read => Ok(read),
    }
}

/// A list of type `L`, or a text or a number that can be read as one.
fn of_list<L: DeserializeOwned>(
    value: &Value,
    read: impl Fn(&str) -> Result<KnobValue, String>,
    like: &str,
) -> Result<KnobValue, String> {
    let domain = || read("").err().unwrap_or_default();
    let known = match value {
        Value::String(text) => read(text),
        Value::Number(number) => read(&number.to_string()),
        value => match serde_json::from_value::<L>(value.clone()) {
            Ok(_) => KnobValue::of_json(value).ok_or_else(domain),
            Err(_) => Err(domain()),
        },
    };
    known.map_err(|domain| format!("{domain}, or a list: {like}"))
}

/// A text in the words of the flag, or a list of texts as they are.
fn texts(
    value: &Value,
    read: impl Fn(&str) -> Result<KnobValue, String>,
) -> Result<KnobValue, String> {
    let refused = || "it must be a text that is not empty, or a list of such texts".to_owned();
    match value {
        Value::String(text) => read(text).map_err(|_| refused()),
        Value::Array(all) => {
            let is_text = |one: &Value| one.as_str().is_some_and(|text| !text.is_empty());
            let known = all.iter().all(is_text).then(|| KnobValue::of_json(value)).flatten();
            known.ok_or_else(refused)
        }
        _ => Err(refused()),
    }
}
