//! The settings of a spec, one by one.

use std::collections::BTreeSet;

use serde_json::Value;
use taper_models::LoadedModel;

use super::manifest::Setting;
use super::places::{check_place, without_place};
use super::spec::{Spec, SpecError};
use crate::knobs::{KnobError, Knobs, Turned, find};
use crate::request::Request;

/// What the control is called.
const CONTROL: &str = "greedy";

/// A setting, and the request that it makes of a prompt and a seed.
#[derive(Debug, Clone)]
pub(super) struct Resolved {
    pub(super) setting: Setting,
    pub(super) request: Request,
}

/// All settings of a spec: the control, the grid, the list. Without a model it is checked what can be
/// checked.
pub(super) fn settings(
    spec: &Spec,
    loaded: Option<&LoadedModel>,
) -> Result<Vec<Resolved>, SpecError> {
    let mut all = Vec::new();
    if spec.control {
        all.push(control(spec, loaded)?);
    }
    let combinations = Combinations::of(spec);
    for knobs in combinations {
        all.push(resolve(spec, None, knobs, "grid", loaded)?);
    }
    for (i, listed) in spec.settings.iter().enumerate() {
        let at = format!("settings[{i}]");
        all.push(resolve(spec, listed.label.clone(), listed.knobs.clone(), &at, loaded)?);
    }
    if spec.grid.is_empty() && spec.settings.is_empty() {
        all.push(resolve(spec, Some("base".to_owned()), Knobs::new(), "base", loaded)?);
    }
    let mut labels = BTreeSet::new();
    let twice = all.iter().find(|resolved| !labels.insert(&resolved.setting.label));
    match twice.map(|resolved| resolved.setting.label.clone()) {
        None => Ok(all),
        Some(name) => Err(SpecError::Twice { what: "settings", name }),
    }
}

fn control(spec: &Spec, loaded: Option<&LoadedModel>) -> Result<Resolved, SpecError> {
    let shared = spec.base.iter().filter(|(name, _)| find(name).is_ok_and(|knob| knob.of_control));
    let mut all: Knobs = shared.map(|(name, value)| (name.clone(), value.clone())).collect();
    let knobs: Knobs = [("do_sample".to_owned(), Value::Bool(false))].into_iter().collect();
    all.extend(knobs.clone());
    // A model's own file may ask for beams or penalties; greedy is without them.
    let plain = [("num_beams", Value::from(1)), ("repetition_penalty", Value::from(1.0))];
    all.extend(plain.map(|(name, value)| (name.to_owned(), value)));
    let request = request("control", &all, loaded)?;
    let setting = Setting { label: CONTROL.to_owned(), knobs, control: true };
    Ok(Resolved { setting, request })
}

fn resolve(
    spec: &Spec,
    label: Option<String>,
    knobs: Knobs,
    at: &str,
    loaded: Option<&LoadedModel>,
) -> Result<Resolved, SpecError> {
    let mut all = spec.base.clone();
    all.extend(knobs.clone());
    let request = request(at, &all, loaded)?;
    let label = label.unwrap_or_else(|| describe(&knobs));
    Ok(Resolved { setting: Setting { label, knobs, control: false }, request })
}

fn request(at: &str, knobs: &Knobs, loaded: Option<&LoadedModel>) -> Result<Request, SpecError> {
    check_place(at, knobs)?;
    let refused = |source: KnobError| SpecError::Knob { at: at.to_owned(), source };
    Turned::read(&without_place(knobs)).and_then(|turned| turned.request(loaded)).map_err(refused)
}

/// `temperature=0.7 top_p=0.9`.
fn describe(knobs: &Knobs) -> String {
    let one = |(name, value): (&String, &Value)| match value {
        Value::String(text) => format!("{name}={text}"),
        value => format!("{name}={value}"),
    };
    knobs.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// Counts through the grid like a clock, the last knob fastest.
struct Combinations<'s> {
    spec: &'s Spec,
    next: Option<Vec<usize>>,
}

impl<'s> Combinations<'s> {
    fn of(spec: &'s Spec) -> Self {
        let some = !spec.grid.is_empty() && spec.grid.iter().all(|axis| !axis.values.is_empty());
        Self { spec, next: some.then(|| vec![0; spec.grid.len()]) }
    }
}

impl Iterator for Combinations<'_> {
    type Item = Knobs;

    fn next(&mut self) -> Option<Knobs> {
        let mut at = self.next.take()?;
        let axes = &self.spec.grid;
        let pairs = axes.iter().zip(&at);
        let knobs = pairs.map(|(axis, &i)| (axis.knob.clone(), axis.values[i].clone())).collect();
        for (knob, axis) in axes.iter().enumerate().rev() {
            at[knob] += 1;
            if at[knob] < axis.values.len() {
                self.next = Some(at);
                break;
            }
            at[knob] = 0;
        }
        Some(knobs)
    }
}
