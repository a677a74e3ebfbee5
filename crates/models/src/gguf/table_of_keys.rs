//! Holds the tables of `docs/gguf.md` against llama.cpp's keys and against those that are looked up.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use super::architecture::Architecture;
use super::metadata::{Metadata, Value};
use super::refused::{REFUSED, check};
use super::{GgufType, config, export_gguf, open, sampling, tokenizer, tokenizer_config};

const PAGE: &str = include_str!("../../../../docs/gguf.md");
const LLAMA_CPP: &str = include_str!("../../testdata/gguf/llama_cpp_list.txt");

/// A key of every architecture, as one of each.
fn each(key: &str) -> Vec<String> {
    match key.strip_prefix('*') {
        Some(rest) => {
            Architecture::supported().iter().map(|name| format!("{name}{rest}")).collect()
        }
        None => vec![key.to_owned()],
    }
}

/// The keys in the first column of the table under a heading.
fn table(heading: &str) -> BTreeSet<String> {
    let (_, section) = PAGE.split_once(&format!("## {heading}\n")).unwrap();
    let section = section.split_once("\n## ").unwrap().0;
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.map(|row| row.split(" | ").next().unwrap().trim_end_matches('`'));
    let keys: Vec<_> = cells.flat_map(|cell| cell.split("`, `")).flat_map(each).collect();
    let different: BTreeSet<_> = keys.iter().cloned().collect();
    assert_eq!(keys.len(), different.len(), "{heading}: a key is there twice");
    different
}

/// The keys that loading a model of this folder's kind looks up.
fn asked(model: &str) -> BTreeSet<String> {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("model.gguf");
    export_gguf(testdata.join(model), &path, GgufType::F16, Some(1)).unwrap();
    let (_, header) = open(&path).unwrap();
    let name = header.metadata.text("general.architecture").unwrap();
    let architecture = Architecture::named(name).unwrap();
    let config = config::config(&header, architecture).unwrap();
    let rows = config["vocab_size"].as_u64().unwrap() as usize;
    tokenizer::read(&header.metadata, rows).unwrap();
    tokenizer_config(&header.metadata).unwrap();
    sampling::recommended(&header.metadata, rows).unwrap();
    config::rotation_gain(&header.metadata, architecture).unwrap();
    header.metadata.asked()
}

#[test]
fn each_key_of_llama_cpp_is_in_one_table_and_the_code_looks_up_what_they_say() {
    let (obeyed, refused, idle) = (table("Obeyed"), table("Refused"), table("Without effect"));
    let known: BTreeSet<_> = obeyed.union(&refused).chain(&idle).cloned().collect();
    let twice = known.len() != obeyed.len() + refused.len() + idle.len();
    assert!(!twice, "a key is in two tables");

    let read: BTreeSet<_> = LLAMA_CPP.lines().flat_map(each).collect();
    let missing: Vec<_> = read.difference(&known).collect();
    assert!(missing.is_empty(), "llama.cpp reads {missing:?}");

    let models = ["gemma3_text", "llama", "gguf/fused", "qwen2", "qwen3", "gguf/spm"];
    let asked: BTreeSet<_> = models.into_iter().flat_map(asked).collect();
    let used: BTreeSet<_> = obeyed.union(&refused).cloned().collect();
    let unused: Vec<_> = used.difference(&asked).collect();
    assert!(unused.is_empty(), "nothing looks up {unused:?}");
    let untold: Vec<_> = asked.difference(&used).collect();
    assert!(untold.is_empty(), "the page is silent on {untold:?}");
}

#[test]
fn what_is_refused_is_refused_by_name() {
    for name in REFUSED.iter().map(|refused| refused.name) {
        let key = format!("llama.{name}");
        let metadata =
            |value| Metadata::new(HashMap::from([(key.clone(), Value::List(vec![value]))]));
        let error = check(&metadata(Value::Real(7.5)), Architecture::Llama).unwrap_err();
        assert!(error.to_string().starts_with(&format!("`{key}` is ")), "{error}");
        check(&Metadata::new(HashMap::new()), Architecture::Llama).unwrap();
    }
    for refused in &REFUSED {
        for number in refused.neutral {
            let key = format!("qwen3.{}", refused.name);
            let metadata = Metadata::new(HashMap::from([(key, Value::Real(*number))]));
            check(&metadata, Architecture::Qwen3).unwrap();
        }
    }
}
