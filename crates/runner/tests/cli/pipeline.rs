//! A pipeline from a file, and the pipeline of a run as data.

use serde_json::{Value, json};

use crate::support::{Folder, generate, json};

const SHORT: [&str; 6] = ["x", "--seed", "3", "--max-new-tokens", "6", "--trace"];

fn file(folder: &Folder, document: &str) -> String {
    let path = folder.path().join("own.json");
    std::fs::write(&path, document).unwrap();
    path.display().to_string()
}

fn printed(format: &str, flags: &[&str]) -> String {
    let ran = generate(&[flags, &["--print-pipeline", format]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.stdout
}

#[test]
fn what_is_printed_runs_as_what_it_was_printed_of() {
    let flags =
        ["--do-sample", "true", "--temperature", "0.7", "--top-p", "0.9", "--eos-token-id", "none"];
    let document = printed("json", &flags);
    let data: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(data[0], json!({"stage": "temperature", "temperature": 0.7}));
    assert_eq!(data[1], json!({"stage": "top_k", "k": 50, "ties": "keep_all"}));
    assert_eq!(data[3], json!({"select": "draw"}));
    let folder = Folder::new();
    let path = file(&folder, &document);
    let by_flags = json(&[&SHORT[..], &flags].concat());
    let own = ["--pipeline", &path, "--eos-token-id", "none"];
    let by_file = json(&[&SHORT[..], &own].concat());
    assert_eq!(by_file["sequences"], by_flags["sequences"]);
    assert_eq!((&by_file["pipeline"], &by_flags["pipeline"]), (&data, &data));
    assert_eq!(by_file["config"]["semantics"], "pipeline");
    let traced = generate(&[&SHORT[..], &own].concat());
    let line = "stages   temperature 0.7 → top_k 50 → top_p 0.9 → draw\nseed     3\n";
    assert!(traced.stdout.contains(line), "{}", traced.stdout);
    let rust = printed("rust", &flags);
    assert!(rust.contains(".then(TopK::new(50)?.ties(TiePolicy::KeepAll))\n"), "{rust}");
}

#[test]
fn other_engines_pipelines_are_printed_too_and_other_orders_run() {
    let llama = printed("json", &["--semantics", "llama.cpp", "--mirostat", "2"]);
    assert!(llama.ends_with("{\"select\":\"mirostat_v2\",\"tau\":5.0,\"eta\":0.1}]\n"), "{llama}");
    let folder = Folder::new();
    let path = file(
        &folder,
        r#"[{"stage":"top_n_sigma","n":1},{"stage":"dry","multiplier":0.8,
        "base":1.75,"allowed":2},{"select":"greedy"}]"#,
    );
    let outcome = json(&[&SHORT[..], &["--pipeline", &path]].concat());
    let stages = outcome["sequences"][0]["steps"][0]["stages"].as_array().unwrap();
    let names: Vec<_> = stages.iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    assert_eq!(names, ["top_n_sigma", "dry"]);
}

#[test]
fn bad_pipelines_are_refused_by_file_and_path() {
    let folder = Folder::new();
    let cases = [
        (r#"[{"stage":"top_kk","k":5}]"#, "[0]: there is no stage top_kk; did you mean top_k?"),
        (r#"[{"stage":"top_k","k":0}]"#, "[0].k is 0; it must be at least 1"),
        (r#"[{"stage":"top_k","k":5,"p":1}]"#, "[0].p: there is no setting p"),
        ("[", "the pipeline is not JSON: EOF while parsing a list at line 1 column 1"),
    ];
    for (document, message) in cases {
        let path = file(&folder, document);
        let ran = generate(&["x", "--pipeline", &path]);
        assert_eq!(ran.code, Some(2), "{document}");
        assert!(ran.stderr.contains(message) && ran.stderr.contains("own.json"), "{}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    }
    let path = file(&folder, "[]");
    let run = |more: &[&str]| generate(&[&["x", "--pipeline", &path], more].concat());
    for (more, message) in [
        (&["--temperature", "0.5"][..], "--temperature: temperature is a setting of huggingface"),
        (&["--ties", "random"], "--ties: ties is random; it must be left out"),
        (&["--semantics", "vllm"], "--semantics"),
        (&["--mirostat", "2"], "--mirostat: huggingface has no such setting"),
    ] {
        let ran = run(more);
        assert_eq!(ran.code, Some(2), "{more:?}");
        assert!(ran.stderr.contains(message), "{}", ran.stderr);
    }
    let ran = run(&["--pipeline", "no such file"]);
    assert_eq!(ran.code, Some(2));
    let twice = r#"[{"stage":"top_k","k":5},{"stage":"top_k","k":4}]"#;
    let path = file(&folder, twice);
    let ran = generate(&["x", "--pipeline", &path, "--max-new-tokens", "1"]);
    assert!(ran.code == Some(0) && ran.stderr.starts_with("note: top_k comes twice\n"), "{ran:?}");
    let ran = generate(&["x", "--forced-prefix", "a", "--print-pipeline", "json"]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("--print-pipeline: forced_prefix has no settings"),
        "{}",
        ran.stderr
    );
}
