//! From the settings of a run to the fields of an engine.

use serde_json::{Map, Value, json};

use super::dialect::Dialect;
use super::error::EngineError;
use super::table::{Cell, Row, find, rows};
use super::wanted::Wanted;

/// Fields that a call fills in itself.
const OF_CALL: [&str; 4] = ["max_new_tokens", "seed", "num_return_sequences", "stop_strings"];

/// The most stop strings that an engine takes.
const MOST_STOPS: usize = 4;

/// A window of llama.cpp's that no context reaches. The server sets memory aside for all of it.
const WHOLE_TEXT: u32 = 1 << 20;

/// The fields that say how to sample: every one that the engine has, so that none of the server's own
/// defaults has a part in it.
///
/// # Errors
///
/// [`EngineError::Refused`] where the engine would ignore a setting, clamp it, or mean something
/// else by it.
pub fn translate(wanted: &Wanted, dialect: Dialect) -> Result<Map<String, Value>, EngineError> {
    for knob in wanted.knobs.keys() {
        let row = find(knob, wanted.rules);
        refuse_unless_sent(knob, &wanted.knobs[knob], row, dialect)?;
    }
    if !wanted.stops.is_empty() && matches!(dialect, Dialect::Vllm | Dialect::OpenAi) {
        let many = wanted.stops.len();
        if many > MOST_STOPS {
            let why = format!("{dialect} takes at most {MOST_STOPS}");
            return Err(EngineError::Refused(format!("stop_strings: there are {many}; {why}")));
        }
    }
    if !wanted.stop_tokens.is_empty() {
        let row = find("stop_token_ids", wanted.rules);
        refuse_unless_sent("stop_token_ids", &json!(wanted.stop_tokens), row, dialect)?;
    }
    if wanted.sequences > 1 {
        let row = find("num_return_sequences", wanted.rules);
        refuse_unless_sent("num_return_sequences", &json!(wanted.sequences), row, dialect)?;
    }
    check_order(wanted, dialect)?;
    check_ranges(wanted, dialect)?;
    let mut fields = Map::new();
    for row in rows().iter().filter(|row| !OF_CALL.contains(&row.knob)) {
        let (Cell::Sent(field, off) | Cell::Flag(field, off, _)) = row.at(dialect) else {
            continue;
        };
        if !off.is_empty() && !fields.contains_key(field) {
            put(&mut fields, field, serde_json::from_str(off).unwrap_or_default());
        }
    }
    for (knob, value) in &wanted.knobs {
        let Some(row) = find(knob, wanted.rules) else { continue };
        let (Cell::Sent(field, _) | Cell::Flag(field, ..)) = row.at(dialect) else { continue };
        encode(&mut fields, dialect, wanted, knob, field, value);
    }
    finish(&mut fields, dialect, wanted);
    Ok(fields)
}

fn refuse_unless_sent(
    knob: &str,
    value: &Value,
    row: Option<&'static Row>,
    dialect: Dialect,
) -> Result<(), EngineError> {
    let why = match row.map(|row| row.at(dialect)) {
        Some(Cell::Sent(..) | Cell::Flag(..)) => return Ok(()),
        Some(Cell::Ignored) => format!("{dialect} ignores it"),
        Some(Cell::Differs(how)) => format!("{dialect} means something else by it ({how})"),
        Some(Cell::Lacks) | None => format!("{dialect} has no such setting"),
    };
    let engines: Vec<&str> = row.into_iter().flat_map(Row::engines).map(Dialect::name).collect();
    let those = match engines.as_slice() {
        [] => "leave it out, or run it without --engine".to_owned(),
        engines => format!("leave it out, or use {}", engines.join(" or ")),
    };
    let value = value.to_string();
    let value = crate::told::shortened(&value);
    Err(EngineError::Refused(format!("{knob} is {value}; {why}; {those}")))
}

/// Cuts by mass depend on whether the temperature comes before or after them.
fn check_order(wanted: &Wanted, dialect: Dialect) -> Result<(), EngineError> {
    let temperature = wanted.number("temperature").unwrap_or(1.0);
    if wanted.greedy || temperature == 1.0 || dialect == Dialect::LlamaCpp {
        return Ok(());
    }
    let at = |name| wanted.order.iter().position(|link| *link == name);
    for (knob, link) in [("top_p", "top_p"), ("min_p", "min_p"), ("typical_p", "typ_p")] {
        let before = at(link) < at("temperature");
        if wanted.knobs.contains_key(knob) && at(link).is_some() && before {
            let rules = wanted.rules;
            return Err(EngineError::Refused(format!(
                "{knob} comes before the temperature under {rules}, and {dialect} has it after; \
                 use temperature 1, or the engine's own rules by --semantics"
            )));
        }
    }
    Ok(())
}

/// Values that an engine would clamp or refuse, which its error does not always say.
fn check_ranges(wanted: &Wanted, dialect: Dialect) -> Result<(), EngineError> {
    let within = |knob: &str, low: f64, high: f64| {
        let Some(value) = wanted.number(knob) else { return Ok(()) };
        if (low..=high).contains(&value) {
            return Ok(());
        }
        let most = if high == f64::MAX { String::new() } else { format!(" and at most {high}") };
        let why = format!("{dialect} takes at least {low}{most}");
        Err(EngineError::Refused(format!("{knob} is {value}; {why}")))
    };
    within("temperature", 0.0, f64::MAX)?;
    for share in ["top_p", "min_p", "typical_p"] {
        within(share, 0.0, 1.0)?;
    }
    within("dry_base", 1.0, f64::MAX)?;
    let of_openai = !matches!(dialect, Dialect::LlamaCpp | Dialect::Transformers | Dialect::SgLang);
    if of_openai {
        within("temperature", 0.0, 2.0)?;
    }
    if let Some(temperature) = wanted.number("temperature")
        && dialect == Dialect::Vllm
        && temperature > 0.0
        && temperature < 0.01
    {
        let why = "vllm raises it to 0.01; use 0 for the best token each time";
        return Err(EngineError::Refused(format!("temperature is {temperature}; {why}")));
    }
    if dialect != Dialect::LlamaCpp && dialect != Dialect::Transformers {
        within("frequency_penalty", -2.0, 2.0)?;
        within("presence_penalty", -2.0, 2.0)?;
    }
    let biases = wanted.knobs.get("logit_bias").and_then(Value::as_array);
    if matches!(dialect, Dialect::Vllm | Dialect::OpenAi) {
        for pair in biases.into_iter().flatten() {
            let bias = pair.get(1).and_then(Value::as_f64);
            if !bias.is_some_and(|bias| bias.abs() <= 100.0) {
                let why = format!("{dialect} clamps biases to ±100");
                return Err(EngineError::Refused(format!("logit_bias has {pair}; {why}")));
            }
        }
    }
    Ok(())
}

/// Sets a field; `a.b` is the field `b` of an object `a`.
fn put(fields: &mut Map<String, Value>, field: &str, value: Value) {
    match field.split_once('.') {
        Some((outer, inner)) => {
            let object = fields.entry(outer).or_insert_with(|| json!({}));
            object[inner] = value;
        }
        None => drop(fields.insert(field.to_owned(), value)),
    }
}

fn encode(
    fields: &mut Map<String, Value>,
    dialect: Dialect,
    wanted: &Wanted,
    knob: &str,
    field: &str,
    value: &Value,
) {
    let value = match (knob, dialect) {
        ("logit_bias", Dialect::LlamaCpp) => {
            // JSON has no −∞; the server has a word for it.
            let pairs = value.as_array().into_iter().flatten();
            let pairs = pairs
                .map(|pair| if pair[1].is_null() { json!([pair[0], false]) } else { pair.clone() });
            pairs.collect()
        }
        ("logit_bias", _) => {
            let pairs = value.as_array().into_iter().flatten();
            Value::Object(pairs.map(|pair| (pair[0].to_string(), pair[1].clone())).collect())
        }
        ("repetition_penalty", Dialect::LlamaCpp) => {
            fields.insert("repeat_last_n".to_owned(), json!(WHOLE_TEXT));
            value.clone()
        }
        ("json_schema", Dialect::SgLang) => json!(value.to_string()),
        ("json_schema", Dialect::Max | Dialect::OpenAi) => {
            json!({"type": "json_schema", "json_schema": {"name": "schema", "schema": value, "strict": true}})
        }
        ("eos_token_id", Dialect::Vllm | Dialect::SgLang | Dialect::Max) => {
            let ids = wanted.eos.clone().unwrap_or_default();
            let all: Vec<u32> = ids.into_iter().chain(wanted.stop_tokens.iter().copied()).collect();
            fields.insert("stop_token_ids".to_owned(), json!(all));
            json!(true)
        }
        _ => value.clone(),
    };
    put(fields, field, value);
}

/// What follows from several settings together.
fn finish(fields: &mut Map<String, Value>, dialect: Dialect, wanted: &Wanted) {
    if !wanted.stop_tokens.is_empty() && !wanted.knobs.contains_key("eos_token_id") {
        fields.insert("stop_token_ids".to_owned(), json!(wanted.stop_tokens));
    }
    if wanted.greedy {
        fields.insert("temperature".to_owned(), json!(0.0));
    }
    match dialect {
        Dialect::LlamaCpp => {
            let mut order: Vec<&str> = wanted.order.clone();
            // With it goes the temperature, without which nothing is greedy.
            if !order.contains(&"temperature") {
                order.push("temperature");
            }
            fields.insert("samplers".to_owned(), json!(order));
        }
        // What it means by it is not for us, and off all the same.
        Dialect::SgLang => drop(fields.insert("repetition_penalty".to_owned(), json!(1.0))),
        Dialect::Transformers => {
            fields.insert("do_sample".to_owned(), json!(!wanted.greedy));
            if wanted.greedy {
                for warper in crate::knobs::warpers() {
                    fields.remove(warper);
                }
            }
        }
        _ => {}
    }
}
