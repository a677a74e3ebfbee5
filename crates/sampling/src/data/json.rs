//! A pipeline as JSON, and in any other format of serde.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::ser::{Error as _, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{PipelineError, Registry, Setting, Settings};
use crate::pipeline::Pipeline;

impl Registry {
    /// The pipeline of a JSON document.
    ///
    /// # Errors
    ///
    /// As [`Registry::read`], and [`PipelineError::NotJson`].
    pub fn read_json(&self, json: &str) -> Result<Pipeline, PipelineError> {
        let document: Setting = serde_json::from_str(json)
            .map_err(|error| PipelineError::NotJson { reason: error.to_string() })?;
        self.read(&document)
    }
}

impl Pipeline {
    /// The pipeline of a JSON document: a list of stages with the arguments of their constructors, and
    /// the selector; without one it is a draw.
    ///
    /// ```
    /// use taper_sampling::prelude::*;
    /// let json = r#"[{"stage":"top_k","k":50,"ties":"lowest_id"},{"select":"draw"}]"#;
    /// let pipeline = Pipeline::from_json(json)?;
    /// assert_eq!(pipeline.to_string(), "top_k 50 → draw");
    /// assert_eq!(pipeline.to_json()?, json);
    /// let refused = Pipeline::from_json(r#"[{"stage":"top_k","k":0}]"#).unwrap_err();
    /// assert_eq!(refused.path(), Some("[0].k"));
    /// # Ok::<(), PipelineError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PipelineError`] with the path of what is wrong.
    pub fn from_json(json: &str) -> Result<Self, PipelineError> {
        Registry::new().read_json(json)
    }

    /// The pipeline as a JSON document.
    ///
    /// # Errors
    ///
    /// [`PipelineError::NotData`] for a stage without settings: a closure, a grammar.
    pub fn to_json(&self) -> Result<String, PipelineError> {
        self.described()?;
        serde_json::to_string(self)
            .map_err(|error| PipelineError::NotJson { reason: error.to_string() })
    }
}

struct Tagged<'s>(&'static str, &'s Settings);

impl Serialize for Tagged<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.1.serialize_as(self.0, serializer)
    }
}

impl Serialize for Pipeline {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (stages, selector): (Vec<Settings>, _) = self.described().map_err(S::Error::custom)?;
        let mut list = serializer.serialize_seq(Some(stages.len() + 1))?;
        for stage in &stages {
            list.serialize_element(&Tagged("stage", stage))?;
        }
        list.serialize_element(&Tagged("select", &selector))?;
        list.end()
    }
}

impl<'de> Deserialize<'de> for Pipeline {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Registry::new().read(&Setting::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
