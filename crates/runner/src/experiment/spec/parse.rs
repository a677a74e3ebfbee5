//! From TOML to a spec.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Axis, PromptSpec, PromptText, Seeds, SettingSpec, Spec, SpecError, Table};
use crate::experiment::places::PLACE_KNOBS;
use crate::experiment::settings::settings;
use crate::knobs::{Knobs, find, nearest};
use crate::told::shortened;

/// The keys of a spec.
const KEYS: [&str; 14] = [
    "title",
    "about",
    "prompts",
    "seeds",
    "runs",
    "control",
    "base",
    "grid",
    "settings",
    "top_logprobs",
    "trace",
    "kept_ids",
    "redraws",
    "tables",
];

impl Spec {
    /// Reads a spec and checks all that can be checked without a model.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, and where. Of a spec with more than ten thousand settings the
    /// combinations are not checked here but when they are made.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let file: Map<String, Value> = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = 1 + before.matches('\n').count();
            SpecError::Syntax { line, message: error.message().to_owned() }
        })?;
        if let Some(key) = file.keys().find(|key| !KEYS.contains(&key.as_str())) {
            // A knob at the top of the file is more likely one that lost its table.
            let similar = nearest(key, KEYS.into_iter());
            return Err(match find(key) {
                Ok(_) => SpecError::Value {
                    at: key.clone(),
                    value: "at the top of the spec".to_owned(),
                    domain: "in [base], [grid] or [[settings]]: it is a knob",
                },
                Err(_) => SpecError::UnknownKey { at: key.clone(), similar },
            });
        }
        let spec = read(&file)?;
        if spec.settings_count() <= 10_000 {
            settings(&spec, None)?;
        }
        Ok(spec)
    }
}

fn read(file: &Map<String, Value>) -> Result<Spec, SpecError> {
    let mut spec = Spec::new("", [""; 0]);
    let title = file.get("title").ok_or(SpecError::Missing("title"))?;
    spec.title = text("title", title)?;
    spec.about = file.get("about").map(|about| text("about", about)).transpose()?;
    spec.prompts = prompts(file.get("prompts").ok_or(SpecError::Missing("prompts"))?)?;
    if let Some(value) = file.get("seeds") {
        spec.seeds = seeds(value)?;
    }
    if let Some(value) = file.get("runs") {
        spec.runs = count("runs", value)?;
        if spec.runs == 0 {
            return wrong("runs", value, "a whole number, at least 1");
        }
    }
    let flags = [
        ("control", &mut spec.control),
        ("trace", &mut spec.trace),
        ("kept_ids", &mut spec.kept_ids),
    ];
    for (key, field) in flags {
        if let Some(value) = file.get(key) {
            let Some(flag) = value.as_bool() else { return wrong(key, value, "true or false") };
            *field = flag;
        }
    }
    for (key, field) in [("top_logprobs", &mut spec.top_logprobs), ("redraws", &mut spec.redraws)] {
        if let Some(value) = file.get(key) {
            *field = count(key, value)?;
        }
    }
    if let Some(value) = file.get("base") {
        spec.base = knobs("base", value)?;
    }
    if let Some(value) = file.get("grid") {
        spec.grid = grid(value)?;
    }
    if let Some(value) = file.get("settings") {
        spec.settings = listed(value)?;
    }
    if let Some(value) = file.get("tables") {
        spec.tables = tables(value)?;
    }
    Ok(spec)
}

fn prompts(value: &Value) -> Result<Vec<PromptSpec>, SpecError> {
    let Some(list) = value.as_array() else {
        return wrong("prompts", value, "a list of texts or tables");
    };
    if list.is_empty() {
        let instead = "give at least one prompt";
        return Err(SpecError::Empty { at: "prompts".to_owned(), instead });
    }
    let mut names = BTreeSet::new();
    let one = |(i, value): (usize, &Value)| {
        let at = format!("prompts[{i}]");
        let prompt = prompt(&at, value)?;
        let name = match (&prompt.name, &prompt.text) {
            (Some(name), _) => name.clone(),
            (None, PromptText::Text(text) | PromptText::Chat(text)) => text.clone(),
            (None, PromptText::Ids(ids)) => format!("{ids:?}"),
        };
        if !names.insert(name.clone()) {
            return Err(SpecError::Twice { what: "prompts", name });
        }
        Ok(prompt)
    };
    list.iter().enumerate().map(one).collect()
}

fn prompt(at: &str, value: &Value) -> Result<PromptSpec, SpecError> {
    const KEYS: [&str; 4] = ["name", "text", "ids", "chat"];
    let domain = "a text that is not empty, or a table with a `text`, `ids` or a `chat`";
    let table = match value {
        Value::String(text) if !text.is_empty() => {
            return Ok(PromptSpec { name: None, text: PromptText::Text(text.clone()) });
        }
        Value::Object(table) => table,
        _ => return wrong(at, value, domain),
    };
    if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let similar = nearest(key, KEYS.into_iter());
        return Err(SpecError::UnknownKey { at: format!("{at}.{key}"), similar });
    }
    let name = table.get("name").map(|name| text(&format!("{at}.name"), name)).transpose()?;
    let text = match (table.get("text"), table.get("ids"), table.get("chat")) {
        (Some(value), None, None) => PromptText::Text(text(&format!("{at}.text"), value)?),
        (None, None, Some(value)) => PromptText::Chat(text(&format!("{at}.chat"), value)?),
        (None, Some(ids), None) => {
            let list: Option<Vec<u32>> = serde_json::from_value(ids.clone()).ok();
            let Some(list) = list.filter(|list| !list.is_empty()) else {
                return wrong(&format!("{at}.ids"), ids, "a list of token ids, at least one");
            };
            PromptText::Ids(list)
        }
        _ => return wrong(at, value, domain),
    };
    Ok(PromptSpec { name, text })
}

fn seeds(value: &Value) -> Result<Seeds, SpecError> {
    let domain = "a list of whole numbers, or { first = 1, count = 20 }";
    let seeds = match value {
        Value::Array(list) => {
            let list: Option<Vec<u64>> = list.iter().map(Value::as_u64).collect();
            list.map(Seeds::List)
        }
        Value::Object(table) => {
            let number = |key: &str| table.get(key).and_then(Value::as_u64);
            let range = number("first").zip(number("count")).filter(|_| table.len() == 2);
            range.map(|(first, count)| Seeds::Range { first, count: count as usize })
        }
        _ => None,
    };
    let Some(seeds) = seeds else { return wrong("seeds", value, domain) };
    if seeds.count() == 0 {
        return Err(SpecError::Empty { at: "seeds".to_owned(), instead: "give at least one seed" });
    }
    Ok(seeds)
}

fn grid(value: &Value) -> Result<Vec<Axis>, SpecError> {
    let Some(table) = value.as_object() else {
        return wrong("grid", value, "a table of knobs with lists of values");
    };
    let empty = |at: String| SpecError::Empty { at, instead: "give a knob a list of values" };
    if table.is_empty() {
        return Err(empty("grid".to_owned()));
    }
    let one = |(knob, value): (&String, &Value)| {
        let at = || format!("grid.{knob}");
        known("grid", knob)?;
        let Some(values) = value.as_array() else {
            return wrong(&at(), value, "a list of values");
        };
        if values.is_empty() {
            return Err(empty(at()));
        }
        values
            .iter()
            .enumerate()
            .try_for_each(|(i, value)| finite(&format!("{}[{i}]", at()), value))?;
        Ok(Axis { knob: knob.clone(), values: values.clone() })
    };
    table.iter().map(one).collect()
}

fn listed(value: &Value) -> Result<Vec<SettingSpec>, SpecError> {
    let Some(list) = value.as_array() else {
        return wrong("settings", value, "a list of tables: [[settings]]");
    };
    if list.is_empty() {
        let instead = "give at least one setting";
        return Err(SpecError::Empty { at: "settings".to_owned(), instead });
    }
    let one = |(i, value): (usize, &Value)| {
        let at = format!("settings[{i}]");
        let Some(table) = value.as_object() else { return wrong(&at, value, "a table of knobs") };
        let mut table = table.clone();
        let label = table.shift_remove("label");
        let label = label.map(|label| text(&format!("{at}.label"), &label)).transpose()?;
        Ok(SettingSpec { label, knobs: knobs(&at, &Value::Object(table))? })
    };
    list.iter().enumerate().map(one).collect()
}

fn tables(value: &Value) -> Result<Vec<Table>, SpecError> {
    let domain = "a list of summary, prompts, jaccard, paired, kept, texts, steps";
    let Some(list) = value.as_array() else { return wrong("tables", value, domain) };
    let one = |value: &Value| value.as_str().and_then(Table::named);
    let read: Option<Vec<Table>> = list.iter().map(one).collect();
    read.map_or_else(|| wrong("tables", value, domain), Ok)
}

fn knobs(at: &str, value: &Value) -> Result<Knobs, SpecError> {
    let Some(table) = value.as_object() else { return wrong(at, value, "a table of knobs") };
    for (name, value) in table {
        known(at, name)?;
        finite(&format!("{at}.{name}"), value)?;
    }
    Ok(table.clone())
}

/// Refuses a name that is no knob's.
fn known(at: &str, name: &str) -> Result<(), SpecError> {
    if PLACE_KNOBS.contains(&name) {
        return Ok(());
    }
    find(name).map(drop).map_err(|source| SpecError::Knob { at: at.to_owned(), source })
}

/// TOML has numbers that JSON has not; they arrive as nothing.
fn finite(at: &str, value: &Value) -> Result<(), SpecError> {
    match value {
        Value::Null => {
            let (at, value) = (at.to_owned(), "inf or nan".to_owned());
            Err(SpecError::Value { at, value, domain: "finite" })
        }
        Value::Array(list) => list.iter().try_for_each(|value| finite(at, value)),
        _ => Ok(()),
    }
}

fn text(at: &str, value: &Value) -> Result<String, SpecError> {
    match value.as_str() {
        Some(text) if !text.trim().is_empty() => Ok(text.to_owned()),
        _ => wrong(at, value, "a text that is not empty"),
    }
}

fn count(at: &str, value: &Value) -> Result<usize, SpecError> {
    let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
    number.map_or_else(|| wrong(at, value, "a whole number, at least 0"), Ok)
}

fn wrong<T>(at: &str, value: &Value, domain: &'static str) -> Result<T, SpecError> {
    let value = shortened(&value.to_string()).into_owned();
    Err(SpecError::Value { at: at.to_owned(), value, domain })
}
