//! Reading a `config.json` strictly: every value that is used is checked, and an error names the key.

mod rope;

use serde_json::{Map, Value};

use crate::spec::Activation;

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
    /// The tensors would not fit into any memory.
    #[error(
        "the sizes make a tensor `{name}` of shape {shape:?}, with which the weights are more than \
         2^44 numbers; no model is so large"
    )]
    TooLarge {
        /// The tensor that goes beyond.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
    },
}

/// Widths and counts beyond this are refused: their products must not overflow, and no model comes
/// near it.
const LARGEST_SIZE: usize = 1 << 24;
const LARGEST_PART_COUNT: usize = 4096;
/// In all layers together. Beyond it the names of their tensors alone would fill the memory.
const MOST_EXPERTS: usize = 1 << 17;

/// How far a layer's attention reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LayerType {
    Full,
    Sliding,
}

/// How many heads there are: `all` for queries, `kv` for keys and values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads {
    pub(crate) all: usize,
    pub(crate) kv: usize,
}

impl Heads {
    /// The width of a head: what the config says, or else the hidden size cut into heads.
    pub(crate) fn cut(self, hidden_size: usize, said: Option<usize>) -> Result<usize, ConfigError> {
        match said {
            Some(width) => Ok(width),
            None if hidden_size.is_multiple_of(self.all) => Ok(hidden_size / self.all),
            None => Err(ConfigError::HiddenDoesNotDivide { hidden_size, heads: self.all }),
        }
    }
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

    pub(crate) fn size_or(self, key: &'static str, default: usize) -> Result<usize, ConfigError> {
        Ok(self.optional_size(key)?.unwrap_or(default))
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

    /// A count of layers or of experts: each has tensors of its own.
    pub(crate) fn optional_part_count(
        self,
        key: &'static str,
    ) -> Result<Option<usize>, ConfigError> {
        self.optional(key, "a whole number from 1 to 4096", |value| {
            let count = usize::try_from(value.as_u64()?).ok()?;
            (1..=LARGEST_PART_COUNT).contains(&count).then_some(count)
        })
    }

    pub(crate) fn part_count(self, key: &'static str) -> Result<usize, ConfigError> {
        self.optional_part_count(key)?.ok_or(ConfigError::Missing(key))
    }

    pub(crate) fn layer_count(self) -> Result<usize, ConfigError> {
        self.part_count("num_hidden_layers")
    }

    /// Query and key heads, which must divide.
    pub(crate) fn heads(self, defaults: Option<(usize, usize)>) -> Result<Heads, ConfigError> {
        let key = "num_attention_heads";
        let all = self.optional_size(key)?.or(defaults.map(|(all, _)| all));
        let all = all.ok_or(ConfigError::Missing(key))?;
        let kv = self.optional_size("num_key_value_heads")?;
        let kv = kv.unwrap_or(defaults.map_or(all, |(_, kv)| kv));
        if all.is_multiple_of(kv) {
            Ok(Heads { all, kv })
        } else {
            Err(ConfigError::HeadsDoNotDivide { heads: all, kv_heads: kv })
        }
    }

    /// Whether so many layers, which a list spells one by one, can be built.
    pub(crate) fn is_layer_count(count: usize) -> bool {
        (1..=LARGEST_PART_COUNT).contains(&count)
    }

    /// Refuses `count` experts in each of `layers` if they are too many.
    pub(crate) fn check_experts(
        key: &'static str,
        count: usize,
        layers: usize,
    ) -> Result<(), ConfigError> {
        if count * layers <= MOST_EXPERTS {
            return Ok(());
        }
        let expected = "fewer: at most 131072 experts in all layers";
        Err(ConfigError::Invalid { key, found: count.to_string(), expected })
    }

    /// How many of `count` experts a token goes through.
    pub(crate) fn chosen_experts(self, count: usize) -> Result<usize, ConfigError> {
        let key = "num_experts_per_tok";
        let chosen = self.size(key)?;
        if chosen <= count {
            return Ok(chosen);
        }
        let expected = "a whole number up to the number of experts";
        Err(ConfigError::Invalid { key, found: chosen.to_string(), expected })
    }

    pub(crate) fn activation(
        self,
        key: &'static str,
        default: Activation,
    ) -> Result<Activation, ConfigError> {
        let expected = "one of silu, gelu, gelu_new, gelu_pytorch_tanh, relu, relu2";
        let read = self.optional(key, expected, |value| match value.as_str()? {
            "silu" | "swish" => Some(Activation::Silu),
            "gelu" => Some(Activation::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Some(Activation::GeluTanh),
            "relu" => Some(Activation::Relu),
            "relu2" => Some(Activation::SquaredRelu),
            _ => None,
        })?;
        Ok(read.unwrap_or(default))
    }

    /// Refuses any value of `key` but those that `accepts` names: what it asks for is not built.
    pub(crate) fn require(
        self,
        key: &'static str,
        expected: &'static str,
        accepts: impl Fn(&Value) -> bool,
    ) -> Result<(), ConfigError> {
        self.optional(key, expected, |value| accepts(value).then_some(())).map(drop)
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

    pub(crate) fn optional_object(
        self,
        key: &'static str,
    ) -> Result<Option<Config<'a>>, ConfigError> {
        self.optional(key, "an object", |value| value.as_object().map(Config))
    }
}

/// The error for a value that is there and cannot be used.
pub(crate) fn invalid(key: &'static str, found: &Value, expected: &'static str) -> ConfigError {
    ConfigError::Invalid { key, found: found.to_string(), expected }
}
