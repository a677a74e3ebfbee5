//! The rows as a table that other programs read.

use std::io;

use super::facts::METRICS;
use super::{Row, Summary};

impl Summary {
    /// A line for each row: the setting and its knobs, then the numbers. A prompt of `*` is all prompts.
    pub(super) fn csv(&self) -> io::Result<Vec<u8>> {
        let mut table = csv::Writer::from_writer(Vec::new());
        table.write_record(self.columns())?;
        for row in &self.rows {
            table.write_record(self.line(row))?;
        }
        table.into_inner().map_err(|error| io::Error::other(error.to_string()))
    }

    fn columns(&self) -> Vec<String> {
        let mut columns: Vec<String> = ["prompt", "setting", "control"].map(str::to_owned).to_vec();
        columns.extend(self.manifest.swept.iter().map(|knob| format!("knob:{knob}")));
        columns.extend(
            ["runs", "failed", "unique", "unique_per_prompt", "unique_overall"].map(str::to_owned),
        );
        for pair in ["jaccard_within", "jaccard_between"] {
            columns.extend(["min", "mean", "max"].map(|part| format!("{pair}_{part}")));
        }
        columns.extend(["kept_min", "kept_max"].map(str::to_owned));
        for metric in METRICS {
            columns.extend(["", "_low", "_high"].map(|part| format!("{metric}{part}")));
        }
        columns.extend(["finish_reasons", "tokens_per_s", "sampler_share"].map(str::to_owned));
        columns
    }

    fn line(&self, row: &Row) -> Vec<String> {
        let setting = &self.manifest.settings[row.setting];
        let prompt = row.prompt.map_or("*", |prompt| &self.manifest.prompts[prompt].name);
        let mut line = vec![prompt.to_owned(), setting.label.clone(), setting.control.to_string()];
        let knob = |name: &String| setting.knobs.get(name).filter(|_| !setting.control);
        line.extend(self.manifest.swept.iter().map(|name| match knob(name) {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        }));
        line.extend([row.runs, row.failed, row.unique].map(|count| count.to_string()));
        line.push((row.unique as f64 / row.prompts as f64).to_string());
        line.push(row.unique_overall.to_string());
        let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        for spread in [row.jaccard_within, row.jaccard_between] {
            line.push(number(spread.map(|spread| spread.min)));
            line.push(number(spread.map(|spread| spread.mean)));
            line.push(number(spread.map(|spread| spread.max)));
        }
        line.push(number(row.kept.map(|(least, _)| least as f64)));
        line.push(number(row.kept.map(|(_, most)| most as f64)));
        for estimate in row.metrics {
            let interval = estimate.and_then(|estimate| estimate.interval);
            line.push(number(estimate.map(|estimate| estimate.mean)));
            line.push(number(interval.map(|(low, _)| low)));
            line.push(number(interval.map(|(_, high)| high)));
        }
        let reasons = row.finish_reasons.iter().map(|(reason, count)| format!("{reason}:{count}"));
        line.push(reasons.collect::<Vec<_>>().join(" "));
        line.push(number(row.tokens_per_s));
        line.push(number(row.sampler_share));
        line
    }
}
