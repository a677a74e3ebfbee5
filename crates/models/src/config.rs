//! Reading a `config.json` strictly: every value that is used is checked, and an error names the key.

use serde_json::{Map, Value};

use crate::spec::{RopeScaling, RopeSpec};

/// Why a `config.json` does not describe a model that this crate can build.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is not JSON.
    #[error("not valid JSON: {0}")]
    Syntax(String),
    /// The text is JSON, but not an object.
    #[error("expected a JSON object at the top")]
    NotAnObject,
    /// A key that has no default is absent.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A value has the wrong type or lies outside its range.
    #[error("`{key}` is {found}; expected {expected}")]
    Invalid {
        /// The key.
        key: &'static str,
        /// What the file says, as JSON.
        found: String,
        /// What would be right.
        expected: &'static str,
    },
    /// No family is registered for the `model_type`.
    #[error("model_type `{found}` is not supported; supported: {}", supported.join(", "))]
    UnsupportedFamily {
        /// What the file says.
        found: String,
        /// The families of this build.
        supported: Vec<&'static str>,
    },
    /// The query heads cannot be shared out evenly among the key and value heads.
    #[error("`num_attention_heads` {heads} is not a multiple of `num_key_value_heads` {kv_heads}")]
    HeadsDoNotDivide {
        /// Query heads.
        heads: usize,
        /// Key and value heads.
        kv_heads: usize,
    },
    /// The config gives no `head_dim`, and the hidden size cannot be cut into heads.
    #[error(
        "`hidden_size` {hidden_size} is not a multiple of `num_attention_heads` {heads}, and \
         there is no `head_dim`"
    )]
    HiddenDoesNotDivide {
        /// Width of the residual stream.
        hidden_size: usize,
        /// Query heads.
        heads: usize,
    },
}

/// Widths and counts beyond this are refused: their products must not overflow, and no model comes
/// near it.
const LARGEST_SIZE: usize = 1 << 24;
const LARGEST_LAYER_COUNT: usize = 4096;

/// How far a layer's attention reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LayerType {
    Full,
    Sliding,
}

/// A JSON object that is read key by key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Config<'a>(&'a Map<String, Value>);

impl<'a> Config<'a> {
    pub(crate) fn new(value: &'a Value) -> Result<Self, ConfigError> {
        value.as_object().map(Self).ok_or(ConfigError::NotAnObject)
    }

    /// A key that is `null` counts as absent, as it does in transformers.
    pub(crate) fn value(self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// Reads `key` with `read`, which answers `None` for what it does not accept.
    pub(crate) fn optional<T>(
        self,
        key: &'static str,
        expected: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        self.value(key)
            .map(|value| read(value).ok_or_else(|| invalid(key, value, expected)))
            .transpose()
    }

    pub(crate) fn optional_size(self, key: &'static str) -> Result<Option<usize>, ConfigError> {
        self.optional(key, "a whole number from 1 to 16777216", |value| {
            let size = usize::try_from(value.as_u64()?).ok()?;
            (1..=LARGEST_SIZE).contains(&size).then_some(size)
        })
    }

    pub(crate) fn size(self, key: &'static str) -> Result<usize, ConfigError> {
        self.optional_size(key)?.ok_or(ConfigError::Missing(key))
    }

    /// Like [`optional_size`](Self::optional_size), for keys in which `null` means none and absence
    /// means `default`.
    pub(crate) fn nullable_size(
        self,
        key: &'static str,
        default: usize,
    ) -> Result<Option<usize>, ConfigError> {
        if self.0.contains_key(key) { self.optional_size(key) } else { Ok(Some(default)) }
    }

    pub(crate) fn optional_count(self, key: &'static str) -> Result<Option<usize>, ConfigError> {
        self.optional(key, "a whole number", |value| usize::try_from(value.as_u64()?).ok())
    }

    pub(crate) fn layer_count(self) -> Result<usize, ConfigError> {
        let key = "num_hidden_layers";
        self.optional(key, "a whole number from 1 to 4096", |value| {
            let count = usize::try_from(value.as_u64()?).ok()?;
            (1..=LARGEST_LAYER_COUNT).contains(&count).then_some(count)
        })?
        .ok_or(ConfigError::Missing(key))
    }

    pub(crate) fn optional_positive(self, key: &'static str) -> Result<Option<f64>, ConfigError> {
        self.optional(key, "a finite number above 0", |value| {
            value.as_f64().filter(|x| *x > 0.0 && x.is_finite())
        })
    }

    pub(crate) fn positive(self, key: &'static str) -> Result<f64, ConfigError> {
        self.optional_positive(key)?.ok_or(ConfigError::Missing(key))
    }

    pub(crate) fn flag(self, key: &'static str, default: bool) -> Result<bool, ConfigError> {
        let value = self.optional(key, "true or false", Value::as_bool)?;
        Ok(value.unwrap_or(default))
    }

    pub(crate) fn optional_text(self, key: &'static str) -> Result<Option<&'a str>, ConfigError> {
        self.optional(key, "a string", Value::as_str)
    }

    /// `layer_types`, which must name each of `count` layers.
    pub(crate) fn layer_types(self, count: usize) -> Result<Option<Vec<LayerType>>, ConfigError> {
        let expected = "full_attention or sliding_attention for each layer";
        self.optional("layer_types", expected, |value| {
            let types = value.as_array()?.iter().map(|kind| match kind.as_str()? {
                "full_attention" => Some(LayerType::Full),
                "sliding_attention" => Some(LayerType::Sliding),
                _ => None,
            });
            let types = types.collect::<Option<Vec<_>>>()?;
            (types.len() == count).then_some(types)
        })
    }

    fn optional_object(self, key: &'static str) -> Result<Option<Config<'a>>, ConfigError> {
        self.optional(key, "an object", |value| value.as_object().map(Config))
    }

    /// The rotation of heads of width `dim`.
    ///
    /// transformers 5 keeps everything in `rope_parameters`; before that the base was `rope_theta`
    /// and the rest `rope_scaling`, whose oldest form says `type` for `rope_type`.
    pub(crate) fn rope(self, dim: usize, default_theta: f64) -> Result<RopeSpec, ConfigError> {
        if !dim.is_multiple_of(2) {
            return Err(ConfigError::Invalid {
                key: "head_dim",
                found: dim.to_string(),
                expected: "an even number, since the rotation works on pairs",
            });
        }
        let parameters = match self.optional_object("rope_parameters")? {
            Some(parameters) => Some(parameters),
            None => self.optional_object("rope_scaling")?,
        };
        let nested_theta = match parameters {
            Some(parameters) => parameters.optional_positive("rope_theta")?,
            None => None,
        };
        let theta = match nested_theta {
            Some(theta) => theta,
            None => self.optional_positive("rope_theta")?.unwrap_or(default_theta),
        };
        let scaling = parameters.map_or(Ok(RopeScaling::None), Config::rope_scaling)?;
        Ok(RopeSpec { dim, theta, scaling })
    }

    fn rope_scaling(self) -> Result<RopeScaling, ConfigError> {
        let kind = match self.optional_text("rope_type")? {
            Some(kind) => Some(kind),
            None => self.optional_text("type")?,
        };
        match kind {
            None | Some("default") => Ok(RopeScaling::None),
            Some("linear") => Ok(RopeScaling::Linear { factor: self.positive("factor")? }),
            Some("llama3") => self.llama3_scaling(),
            Some(other) => Err(ConfigError::Invalid {
                key: "rope_type",
                found: format!("`{other}`"),
                expected: "one of default, linear, llama3",
            }),
        }
    }

    fn llama3_scaling(self) -> Result<RopeScaling, ConfigError> {
        let low_freq_factor = self.positive("low_freq_factor")?;
        let high_freq_factor = self.positive("high_freq_factor")?;
        if high_freq_factor <= low_freq_factor {
            return Err(ConfigError::Invalid {
                key: "high_freq_factor",
                found: high_freq_factor.to_string(),
                expected: "a number above `low_freq_factor`",
            });
        }
        Ok(RopeScaling::Llama3 {
            factor: self.positive("factor")?,
            low_freq_factor,
            high_freq_factor,
            original_context: self.size("original_max_position_embeddings")?,
        })
    }
}

/// The error for a value that is there and cannot be used.
pub(crate) fn invalid(key: &'static str, found: &Value, expected: &'static str) -> ConfigError {
    ConfigError::Invalid { key, found: found.to_string(), expected }
}
