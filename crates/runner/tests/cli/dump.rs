//! `--dump`: the file of what a model computes on its way.

use std::fs;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use crate::support::{Folder, json, llama, taper, tokens};

fn models() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/testdata"))
}

fn numbers(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let tensor = file.tensor(name).unwrap();
    assert_eq!(tensor.dtype(), Dtype::F32, "{name}");
    tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn ids(file: &SafeTensors<'_>, name: &str) -> Vec<u32> {
    let tensor = file.tensor(name).unwrap();
    assert_eq!(tensor.dtype(), Dtype::U32, "{name}");
    tensor.data().as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
}

/// What the file says of itself.
fn about(bytes: &[u8]) -> Value {
    let (_, metadata) = SafeTensors::read_metadata(bytes).unwrap();
    serde_json::from_str(&metadata.metadata().as_ref().unwrap()["taper"]).unwrap()
}

/// A model with windows, and one where most layers do not attend.
#[test]
fn the_file_has_the_numbers_of_transformers() {
    let inner = fs::read(models().join("inner.safetensors")).unwrap();
    let inner = SafeTensors::deserialize(&inner).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out.safetensors");
    for (folder, others) in [("gemma3_text", vec![]), ("nemotron_h", vec![0, 1, 2, 4])] {
        let tokens = ids(&inner, &format!("{folder}.tokens"));
        let text: Vec<_> = tokens.iter().map(u32::to_string).collect();
        let (model, text) = (models().join(folder), text.join(","));
        let score = ["score", "--model", model.to_str().unwrap(), "--prompt-ids", &text];
        let ran =
            taper(score.iter().chain(&["--dump", "hidden,attention", file.to_str().unwrap()]));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let got = fs::read(&file).unwrap();
        assert_eq!(about(&got)["layers_without_attention"], serde_json::json!(others));
        let got = SafeTensors::deserialize(&got).unwrap();
        assert_eq!(ids(&got, "tokens"), tokens);
        let prefix = format!("{folder}.");
        let mut names: Vec<_> =
            inner.names().into_iter().filter_map(|name| name.strip_prefix(&prefix)).collect();
        let mut got_names = got.names();
        got_names.sort_unstable();
        names.sort_unstable();
        assert_eq!(got_names, names);
        for name in names.into_iter().filter(|name| *name != "tokens") {
            let theirs = format!("{prefix}{name}");
            let shape = |file: &SafeTensors<'_>, name| file.tensor(name).unwrap().shape().to_vec();
            assert_eq!(shape(&got, name), shape(&inner, &theirs), "{theirs}");
            let pairs = numbers(&got, name).into_iter().zip(numbers(&inner, &theirs));
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "{theirs}: {worst}");
        }
    }
}

#[test]
fn a_run_is_dumped_with_what_it_made() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("out.safetensors");
    let greedy = ["--do-sample", "false", "--eos-token-id", "none", "--max-new-tokens", "5"];
    for beams in ["1", "3"] {
        let dump = ["--num-beams", beams, "--dump", "hidden", file.to_str().unwrap()];
        let made = json(&[&["--prompt-ids", "1,9"], &greedy[..], &dump].concat());
        let bytes = fs::read(&file).unwrap();
        let got = SafeTensors::deserialize(&bytes).unwrap();
        let want = [1, 9].into_iter().chain(tokens(&made).into_iter().map(|id| id as u32));
        assert_eq!(ids(&got, "tokens"), want.collect::<Vec<_>>());
        let mut names = got.names();
        names.sort_unstable();
        assert_eq!(
            names,
            ["hidden_states.0", "hidden_states.1", "hidden_states.2", "hidden_states.3", "tokens"]
        );
        assert_eq!(about(&bytes)["model"], "llama");
    }
}

#[test]
fn a_dump_that_can_not_be_is_refused_before_the_run() {
    let flag = "--dump <hidden,attention> <FILE.safetensors>";
    let domain = "it must be hidden, attention, or both with a comma between";
    let no_folder = "/nowhere/at/all/x: there is no such folder to write to";
    let long = vec!["9"; 513].join(",");
    let cases: &[(&[&str], String)] = &[
        (
            &["generate", "x", "--dump", "logits", "x"],
            format!("invalid value 'logits' for '{flag}': {domain}"),
        ),
        (
            &["score", "--prompt-ids", "1,2", "--dump", "hidden,", "x"],
            format!("invalid value 'hidden,' for '{flag}': {domain}"),
        ),
        (
            &["generate", "x", "--dump", "hidden", "/nowhere/at/all/x"],
            format!("--dump: {no_folder}"),
        ),
        (
            &["generate", "x", "--dump", "hidden", "x", "--num-return-sequences", "2"],
            "--dump: it shows one text; leave --num-return-sequences out".to_owned(),
        ),
        (
            &["score", "--prompt-ids", &long, "--dump", "hidden", "x"],
            "--dump: the text has 513 tokens; the model holds at most 512".to_owned(),
        ),
    ];
    let llama = llama();
    for (args, line) in cases {
        let ran = taper(args.iter().chain(&["--model", llama.to_str().unwrap()]));
        assert_eq!(ran.stderr, format!("error: {line}\n"), "{args:?}");
        assert_eq!((ran.code, &ran.stdout[..]), (Some(2), ""), "{args:?}");
    }
}

#[test]
fn attention_is_refused_where_no_layer_attends() {
    let folder = Folder::new();
    fs::copy(models().join("nemotron_h/config.json"), folder.file("config.json")).unwrap();
    for (key, value) in [
        ("layers_block_type", serde_json::json!(["linear_attention", "moe"])),
        ("num_hidden_layers", 2.into()),
    ] {
        folder.set("config.json", key, value);
    }
    let out = folder.file("out.safetensors");
    let out = out.to_str().unwrap();
    let run = |what| {
        let args = ["--prompt-ids", "1,9", "--random-weights", "1", "--max-new-tokens", "2"];
        folder.run(&[&args[..], &["--dump", what, out]].concat())
    };
    let ran = run("hidden,attention");
    let why =
        "no layer of this model attends, so that there are no attention weights; leave them out";
    assert_eq!(ran.stderr, format!("error: --dump: {why}\n"));
    assert_eq!(ran.code, Some(2));
    assert_eq!(run("hidden").code, Some(0));
    let bytes = fs::read(out).unwrap();
    assert_eq!(about(&bytes)["layers_without_attention"], serde_json::json!([0, 1]));
}
