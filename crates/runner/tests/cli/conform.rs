//! Cases that the engines themselves made, and what is said of those that differ.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use taper_runner::conform::conform;

use crate::support::{Ran, taper};

fn of_runner(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(file)
}

fn of_sampling(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sampling/testdata").join(file)
}

fn assert_conforms(path: &Path, cases: usize) {
    let found = conform(path).expect("the cases can be read");
    let differ: Vec<_> = found.failed.iter().map(ToString::to_string).collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert_eq!(found.passed, cases);
}

#[test]
fn transformers_processors_agree() {
    assert_conforms(&of_sampling("processors.jsonl"), 439);
}

#[test]
fn llama_cpp_samplers_agree() {
    assert_conforms(&of_sampling("llamacpp.jsonl"), 171);
}

#[test]
fn the_vllm_sampler_agrees() {
    assert_conforms(&of_sampling("vllm.jsonl"), 124);
}

#[test]
fn watermarks_and_their_detectors_agree() {
    assert_conforms(&of_sampling("watermark.jsonl"), 220);
}

#[test]
fn transformers_generation_agrees() {
    assert_conforms(&of_runner("generate.jsonl"), 119);
    assert_conforms(&of_runner("generate_beams.jsonl"), 160);
    assert_conforms(&of_runner("group_beams.jsonl"), 80);
}

#[test]
fn transformers_beams_agree_on_a_model() {
    let llama = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/testdata/llama");
    assert_conforms(&llama, 13);
}

#[test]
fn transformers_chat_templates_agree() {
    assert_conforms(&of_runner("chat.jsonl"), 26);
    assert_conforms(&of_runner("chat_micro.jsonl"), 197);
    assert_conforms(&of_runner("chat/chats.jsonl"), 80);
}

/// Templates at random: what is not done here is an error that says so, and never another prompt.
#[test]
fn templates_of_a_grammar_agree_or_are_refused() {
    let found = conform(&of_runner("chat/grammar.jsonl")).expect("the cases can be read");
    let wrong: Vec<_> = found.failed.iter().map(ToString::to_string).collect();
    let wrong: Vec<_> = wrong.iter().filter(|of| !of.contains("not supported")).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(found.failed.len() < 10 && found.passed > 550, "{}", found.passed);
}

/// Runs the program on these cases.
fn run(cases: &[Value]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cases.jsonl");
    let lines: Vec<_> = cases.iter().map(Value::to_string).collect();
    fs::write(&file, lines.join("\n\n")).unwrap();
    taper(["conform", file.to_str().unwrap()])
}

/// The first case of a file whose name starts so, changed.
fn case(path: &Path, name: &str, change: impl FnOnce(&mut Value)) -> Value {
    let text = fs::read_to_string(path).unwrap();
    let mut cases = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut case = cases.find(|case| case["name"].as_str().unwrap().starts_with(name)).unwrap();
    change(&mut case);
    case
}

#[test]
fn a_case_that_differs_is_told_and_fails() {
    let llama_cpp = of_sampling("llamacpp.jsonl");
    let good = case(&llama_cpp, "mirostat/", |_| {});
    let shifted = case(&llama_cpp, "penalties/", |case| case["expect"]["scores"][0] = json!(99.0));
    let revived = case(&llama_cpp, "mirostat_v2/", |case| {
        let scores = case["expect"]["scores"].as_array_mut().unwrap();
        *scores.iter_mut().find(|score| score.is_null()).unwrap() = json!(1.0);
    });
    let mistaken = case(&of_runner("generate.jsonl"), "", |case| {
        case["expect"]["sequences"][0].as_array_mut().unwrap().push(json!(0));
    });
    let ran = run(&[good.clone(), shifted.clone(), revived, mistaken]);
    assert_eq!(ran.code, Some(1));
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{}", ran.stdout);
    let name = shifted["name"].as_str().unwrap();
    assert!(lines[0].starts_with(&format!("{name}: token 0 is ")), "{}", lines[0]);
    assert!(lines[0].contains("expected 99; 1 of "), "{}", lines[0]);
    assert!(lines[1].contains(" is removed, expected 1; "), "{}", lines[1]);
    assert!(lines[2].contains(": sequence 0 is ["), "{}", lines[2]);
    assert_eq!(lines[3], "1 passed, 3 failed");
    assert_eq!(ran.stderr, "error: 3 cases differ from their engine\n");
    let ran = run(&[good]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "1 passed, 0 failed\n"));
}

#[test]
fn what_can_not_be_run_is_named_and_counts_as_failed() {
    let beams = case(&of_runner("generate.jsonl"), "beam", |case| {
        case["config"]["penalty_alpha"] = json!(0.6);
        case["name"] = json!("beam");
    });
    let setting = case(&of_sampling("llamacpp.jsonl"), "", |case| {
        case["config"]["tail_free"] = json!(1.0);
        case["name"] = json!("setting");
    });
    let ran = run(&[
        beams,
        json!({"suite": "astrology", "name": "suite"}),
        json!({"suite": "hf-processors", "name": "nothing"}),
        setting,
    ]);
    assert_eq!(ran.code, Some(1));
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(lines[0], "beam: penalty_alpha is 0.6; that is not available yet, leave it out");
    assert_eq!(lines[1], "suite: the suite `astrology` cannot be run by this build");
    assert!(lines[2].starts_with("nothing: `config` of the case: "), "{}", lines[2]);
    assert!(lines[3].contains("unknown field `tail_free`"), "{}", lines[3]);
    assert_eq!(lines[4], "0 passed, 4 failed");
}

#[test]
fn a_path_that_can_not_be_read_is_bad_input() {
    assert_eq!(taper(["conform"]).code, Some(2));
    let ran = taper(["conform", "no/such/file.jsonl"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.starts_with("error: no/such/file.jsonl: "), "{}", ran.stderr);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cases.jsonl");
    fs::write(&file, "\n{\"suite\"").unwrap();
    let ran = taper(["conform", file.to_str().unwrap()]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("cases.jsonl line 2: "), "{}", ran.stderr);
    let ran = taper(["conform", folder.path().to_str().unwrap()]);
    assert!(ran.stderr.contains("cases.jsonl line 2: "), "a folder of one file: {}", ran.stderr);
    fs::remove_file(file).unwrap();
    let ran = taper(["conform", folder.path().to_str().unwrap()]);
    assert!(
        ran.stderr.contains(": it holds no cases; expected files of JSON Lines"),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.code, Some(2));
}

#[test]
fn cases_without_a_suite_are_told_what_they_lack() {
    let file = of_runner("guidance.jsonl");
    let ran = taper(["conform", file.to_str().unwrap()]);
    let want = format!(
        "error: {}: its cases name no `suite`, without which they cannot be run; the suites are \
         chat-template, hf-generate, hf-processors, llamacpp-samplers, tokenizer, vllm-sampler, \
         watermark-gumbel, watermark-kgw, watermark-synthid\n",
        file.display()
    );
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr), (Some(2), "", want));
    let ran = run(&[json!({"suite": "astrology", "name": "a"}), json!({"name": "b"})]);
    assert!(
        ran.stdout.contains("\nb: the case names no `suite`; there are chat-template, "),
        "{ran:?}"
    );
}

#[test]
fn a_folder_stands_for_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let good = case(&of_sampling("vllm.jsonl"), "", |_| {});
    fs::write(at("b.jsonl"), good.to_string()).unwrap();
    fs::write(at("a.jsonl"), "{\"name\": \"x\"}\n").unwrap();
    fs::write(at("notes.txt"), "no cases").unwrap();
    let llama = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/testdata/llama");
    fs::create_dir(at("llama")).unwrap();
    for file in ["config.json", "model.safetensors", "expected.json"] {
        fs::copy(llama.join(file), at("llama").join(file)).unwrap();
    }
    let ran = taper(["conform", folder.path().to_str().unwrap()]);
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert!(lines[0].contains("a.jsonl: ") && lines[0].contains("name no `suite`"), "{lines:?}");
    assert_eq!(lines[1..], ["14 passed, 1 failed"]);
}
