//! Settings that differ in where they run: here or on an engine, and with which model.
//!
//! `engine`, `model` and `tokenizer` are knobs of a spec, not of a request. A spec that turns them is divided
//! into one for each place, with that place's settings alone. Each is run as any other, in a folder of its
//! own, and the records are joined under the numbers and labels that the settings have in the whole.

use serde_json::Value;

use super::settings::settings;
use super::spec::{SettingSpec, Spec, SpecError};
use crate::knobs::Knobs;
use crate::told::shortened;

/// The knobs that say where a setting runs.
pub(super) const PLACE_KNOBS: [&str; 3] = ["engine", "model", "tokenizer"];

/// The engine that is this program.
const HERE: &str = "here";

/// Where settings run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Place {
    /// The engine's address; `None` for this program.
    pub engine: Option<String>,
    /// The model, as `--model` takes it, or by its name at the engine; `None` for the one that is there.
    pub model: Option<String>,
    /// The tokenizer that cuts prompts for an engine, as `--tokenizer` takes it.
    pub tokenizer: Option<String>,
}

/// The settings of a spec that run in one place.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PartOfSpec {
    /// Where.
    pub place: Place,
    /// The spec with these settings alone.
    pub spec: Spec,
    /// Their indices in the whole, in the order of `spec`.
    pub settings: Vec<usize>,
}

impl Place {
    /// In words: `here` or an address, and the model if one is named.
    pub fn name(&self) -> String {
        let engine = self.engine.as_deref().unwrap_or(HERE);
        match &self.model {
            Some(model) => format!("{engine}, {model}"),
            None => engine.to_owned(),
        }
    }

    fn of(knobs: &Knobs) -> Self {
        let text = |name: &str| knobs.get(name).and_then(Value::as_str).map(str::to_owned);
        Self {
            engine: text("engine").filter(|engine| engine != HERE),
            model: text("model"),
            tokenizer: text("tokenizer"),
        }
    }
}

impl Spec {
    /// Whether it says where its settings run.
    pub fn names_places(&self) -> bool {
        let swept = self.grid.iter().map(|axis| &axis.knob);
        let listed = self.settings.iter().flat_map(|setting| setting.knobs.keys());
        let mut all = self.base.keys().chain(swept).chain(listed);
        all.any(|knob| PLACE_KNOBS.contains(&knob.as_str()))
    }

    /// The spec divided by where its settings run. The control runs in the first place.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn by_place(&self) -> Result<Vec<PartOfSpec>, SpecError> {
        let mut parts: Vec<PartOfSpec> = Vec::new();
        for (index, resolved) in settings(self, None)?.into_iter().enumerate() {
            let setting = resolved.setting;
            if setting.control {
                continue;
            }
            let mut knobs = self.base.clone();
            knobs.extend(setting.knobs.clone());
            let place = Place::of(&knobs);
            let listed =
                SettingSpec { label: Some(setting.label), knobs: without_place(&setting.knobs) };
            let known = parts.iter_mut().find(|part| part.place == place);
            match known {
                Some(part) => {
                    part.spec.settings.push(listed);
                    part.settings.push(index);
                }
                None => parts.push(self.part(place, listed, index, parts.is_empty())),
            }
        }
        Ok(parts)
    }

    fn part(&self, place: Place, first: SettingSpec, index: usize, control: bool) -> PartOfSpec {
        let control = control && self.control;
        let spec = Self {
            base: without_place(&self.base),
            grid: Vec::new(),
            settings: vec![first],
            control,
            ..self.clone()
        };
        let settings = (0..usize::from(control)).chain([index]).collect();
        PartOfSpec { place, spec, settings }
    }
}

/// Refuses values that name no place.
pub(super) fn check_place(at: &str, knobs: &Knobs) -> Result<(), SpecError> {
    for name in PLACE_KNOBS {
        let Some(value) = knobs.get(name) else { continue };
        if value.as_str().is_none_or(|text| text.trim().is_empty()) {
            let domain = match name {
                "engine" => "\"here\" or an address, such as \"http://127.0.0.1:8080\"",
                "model" => "a model, as --model takes it, or its name at the engine",
                _ => "a folder, a GGUF file or \"builtin\"",
            };
            let value = shortened(&value.to_string()).into_owned();
            return Err(SpecError::Value { at: format!("{at}.{name}"), value, domain });
        }
    }
    let place = Place::of(knobs);
    if place.engine.is_none() && place.tokenizer.is_some() {
        let at = format!("{at}.tokenizer");
        let value = format!("{:?}", place.tokenizer.unwrap_or_default());
        let domain = "left out where no engine is named: a model here has its own";
        return Err(SpecError::Value { at, value, domain });
    }
    Ok(())
}

/// The knobs of requests alone.
pub(super) fn without_place(knobs: &Knobs) -> Knobs {
    let mut knobs = knobs.clone();
    knobs.retain(|name, _| !PLACE_KNOBS.contains(&name.as_str()));
    knobs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_divided_by_place() {
        let spec = Spec::parse(
            r#"
            title = "t"
            prompts = ["a"]
            control = true
            [base]
            do_sample = true
            tokenizer = "builtin"
            engine = "http://127.0.0.1:1"
            [grid]
            temperature = [0.5, 1.0]
            model = ["a", "b"]
            "#,
        )
        .unwrap();
        assert!(spec.names_places());
        let parts = spec.by_place().unwrap();
        let settings: Vec<&[usize]> = parts.iter().map(|part| &part.settings[..]).collect();
        assert_eq!(settings, [&[0, 1, 3][..], &[2, 4]]);
        assert_eq!(parts[1].place.name(), "http://127.0.0.1:1, b");
        let labels: Vec<_> =
            parts[1].spec.settings.iter().map(|one| one.label.clone().unwrap()).collect();
        assert_eq!(labels, ["temperature=0.5 model=b", "temperature=1.0 model=b"]);
        assert!(parts[0].spec.control && !parts[1].spec.control);
        assert!(parts.iter().all(|part| !part.spec.names_places()));
        assert_eq!(parts.iter().map(|part| part.spec.count()).sum::<usize>(), spec.count());
    }

    #[test]
    fn what_names_no_place_is_refused() {
        let of = |base: &str| {
            let text = format!("title = \"t\"\nprompts = [\"a\"]\n[base]\n{base}\n");
            Spec::parse(&text).unwrap_err().to_string()
        };
        assert!(of("engine = 8080").contains("base.engine is 8080; it must be \"here\""));
        assert!(of("model = \"\"").contains("base.model"));
        assert!(of("tokenizer = \"builtin\"").contains("left out where no engine is named"));
    }
}
