//! Settings that would change the tokens and that this crate cannot apply.

use serde_json::Value;

use super::GenerationConfig;

impl GenerationConfig {
    /// The first setting that would change the tokens but that this crate cannot apply yet, with
    /// its value.
    pub fn unsupported(&self) -> Option<(&str, &Value)> {
        self.extra
            .iter()
            .find(|(key, value)| {
                let known = NOT_YET.iter().find(|(name, _)| name == key);
                known.is_some_and(|(_, off)| !off.matches(value))
            })
            .map(|(key, value)| (key.as_str(), value))
    }
}

/// The value at which a setting does nothing; `null` does nothing for any of them.
#[derive(Debug, Clone, Copy)]
enum Off {
    At(f64),
    False,
    Empty,
}

impl Off {
    fn matches(self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Null) => true,
            (Self::At(off), value) => value.as_f64() == Some(off),
            (Self::False, value) => value == &Value::Bool(false),
            (Self::Empty, Value::Array(items)) => items.is_empty(),
            (Self::Empty, Value::Object(items)) => items.is_empty(),
            (Self::Empty, _) => false,
        }
    }
}

/// Settings of Hugging Face transformers 5.23 that change which tokens come out and have no stage
/// or search here yet.
const NOT_YET: &[(&str, Off)] = &[
    ("constraints", Off::Empty),
    ("dola_layers", Off::Empty),
    ("encoder_no_repeat_ngram_size", Off::At(0.0)),
    ("encoder_repetition_penalty", Off::At(1.0)),
    ("force_words_ids", Off::Empty),
    ("penalty_alpha", Off::At(0.0)),
    ("token_healing", Off::False),
];
