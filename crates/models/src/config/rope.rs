//! The rotations that a `config.json` describes.

use serde_json::Value;

use super::{Config, ConfigError};
use crate::spec::{RopeScaling, RopeSpec, Yarn};

impl<'a> Config<'a> {
    /// The rotation of heads of width `head_dim`.
    ///
    /// transformers 5 keeps everything in `rope_parameters`; before that the base was `rope_theta`
    /// and the rest `rope_scaling`, whose oldest form says `type` for `rope_type`.
    pub(crate) fn rope(self, head_dim: usize, default_theta: f64) -> Result<RopeSpec, ConfigError> {
        let parameters = match self.optional_object("rope_parameters")? {
            Some(parameters) => Some(parameters),
            None => self.optional_object("rope_scaling")?,
        };
        self.rope_with(parameters, "rope_theta", head_dim, default_theta)
    }

    /// The rotation that `parameters` describe, if there are any; a base that they do not give is
    /// found under `theta_key`.
    pub(crate) fn rope_with(
        self,
        parameters: Option<Config<'a>>,
        theta_key: &'static str,
        head_dim: usize,
        default_theta: f64,
    ) -> Result<RopeSpec, ConfigError> {
        let nested = parameters.map(|parameters| parameters.optional_positive("rope_theta"));
        let theta = match nested.transpose()?.flatten() {
            Some(theta) => theta,
            None => self.optional_positive(theta_key)?.unwrap_or(default_theta),
        };
        let scaling = match parameters {
            Some(parameters) => self.rope_scaling(parameters, theta)?,
            None => RopeScaling::None,
        };
        even_width("head_dim", head_dim)?;
        Ok(RopeSpec { dim: head_dim, theta, scaling, gain: 1.0 })
    }

    /// How much of a head of width `head_dim` is rotated.
    pub(crate) fn rotated_width(self, head_dim: usize, default: f64) -> Result<usize, ConfigError> {
        let key = "partial_rotary_factor";
        let expected = "a number above 0 and up to 1, which gives an even part of the head";
        let read = |value: &Value| {
            // Rounded towards zero, as transformers does.
            let width = (value.as_f64()? * head_dim as f64) as usize;
            (width > 0 && width <= head_dim && width.is_multiple_of(2)).then_some(width)
        };
        let nested = match self.optional_object("rope_parameters")? {
            Some(parameters) => parameters.optional(key, expected, read)?,
            None => None,
        };
        match nested {
            Some(width) => Ok(width),
            None => match self.optional(key, expected, read)? {
                Some(width) => Ok(width),
                None => even_width("head_dim", (default * head_dim as f64) as usize),
            },
        }
    }

    fn rope_scaling(self, parameters: Config<'a>, theta: f64) -> Result<RopeScaling, ConfigError> {
        let kind = match parameters.optional_text("rope_type")? {
            Some(kind) => Some(kind),
            None => parameters.optional_text("type")?,
        };
        match kind {
            None | Some("default") => Ok(RopeScaling::None),
            Some("linear") => Ok(RopeScaling::Linear { factor: parameters.positive("factor")? }),
            Some("llama3") => self.llama3_scaling(parameters),
            Some("yarn") => self.yarn(parameters, theta).map(RopeScaling::Yarn),
            Some(other) => Err(ConfigError::Invalid {
                key: "rope_type",
                found: format!("`{other}`"),
                expected: "one of default, linear, llama3, yarn",
            }),
        }
    }

    fn llama3_scaling(self, parameters: Config<'a>) -> Result<RopeScaling, ConfigError> {
        let low_freq_factor = parameters.positive("low_freq_factor")?;
        let high_freq_factor = parameters.positive("high_freq_factor")?;
        if high_freq_factor <= low_freq_factor {
            return Err(ConfigError::Invalid {
                key: "high_freq_factor",
                found: high_freq_factor.to_string(),
                expected: "a number above `low_freq_factor`",
            });
        }
        Ok(RopeScaling::Llama3 {
            factor: parameters.positive("factor")?,
            low_freq_factor,
            high_freq_factor,
            original_context: self.original_context(parameters)?,
        })
    }

    fn yarn(self, parameters: Config<'a>, theta: f64) -> Result<Yarn, ConfigError> {
        if theta <= 1.0 {
            return Err(ConfigError::Invalid {
                key: "rope_theta",
                found: theta.to_string(),
                expected: "a number above 1: yarn divides by its logarithm",
            });
        }
        let factor = parameters.positive("factor")?;
        let scales = (
            parameters.optional_positive("mscale")?,
            parameters.optional_positive("mscale_all_dim")?,
        );
        let amplitude = match (parameters.optional_positive("attention_factor")?, scales) {
            (Some(amplitude), _) => amplitude,
            (None, (Some(all), Some(dim))) => Yarn::scale(factor, all) / Yarn::scale(factor, dim),
            (None, _) => Yarn::scale(factor, 1.0),
        };
        Ok(Yarn {
            factor,
            original_context: self.original_context(parameters)?,
            beta_fast: parameters.optional_positive("beta_fast")?.unwrap_or(32.0),
            beta_slow: parameters.optional_positive("beta_slow")?.unwrap_or(1.0),
            truncate: parameters.flag("truncate", true)?,
            amplitude,
        })
    }

    /// The context that a model was trained on first. Beside the rotation it counts more than within, and
    /// without it the context was never lengthened; so transformers has it.
    fn original_context(self, parameters: Config<'a>) -> Result<usize, ConfigError> {
        let key = "original_max_position_embeddings";
        let said = match self.optional_size(key)? {
            Some(said) => Some(said),
            None => parameters.optional_size(key)?,
        };
        said.map_or_else(|| self.size("max_position_embeddings"), Ok)
    }
}

fn even_width(key: &'static str, width: usize) -> Result<usize, ConfigError> {
    if width.is_multiple_of(2) && width > 0 {
        return Ok(width);
    }
    Err(ConfigError::Invalid {
        key,
        found: width.to_string(),
        expected: "an even number, since the rotation works on pairs",
    })
}
