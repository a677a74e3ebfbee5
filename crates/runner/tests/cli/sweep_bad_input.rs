//! Specs and folders that are not right: what, where, and what would be right.

use std::fs;

use taper_runner::experiment::{Plan, Shipped, Spec, shipped};
use taper_runner::models::{LoadOptions, load_builtin};
use taper_runner::sampling::{DrawKey, Draws, Purpose};

use crate::support::{llama, taper};
use crate::sweep::{run, spec};

/// A spec with these lines after the least that there must be.
fn with(lines: &str) -> String {
    format!("title = 'x'\nprompts = ['a']\n{lines}")
}

#[test]
fn what_is_wrong_in_a_spec_is_said_with_its_place() {
    let cases = [
        ("title = ", "line 1: "),
        ("prompts = ['a']", "title is missing"),
        ("title = 'x'", "prompts is missing"),
        (
            "title = 'x'\nprompts = []",
            "prompts is empty, so that there is nothing to run; give at least one prompt",
        ),
        ("title = ''\nprompts = ['a']", "title is \"\"; it must be a text that is not empty"),
        ("title = 'x'\nprompts = ['a', 'a']", "two prompts are called \"a\"; name them apart"),
        (
            "title = 'x'\nprompts = [{ txt = 'a' }]",
            "prompts[0].txt: there is no such key; there is a similar one: 'text'",
        ),
        (
            "title = 'x'\nprompts = [{ ids = [-1] }]",
            "prompts[0].ids is [-1]; it must be a list of token ids, at least one",
        ),
    ];
    for (text, want) in cases {
        let error = Spec::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(want), "{text}: {error}");
    }
}

#[test]
fn a_knob_that_can_not_be_turned_so_is_said_with_its_place() {
    let cases = [
        ("prompt = ['b']", "prompt: there is no such key; there is a similar one: 'prompts'"),
        (
            "temperature = 1",
            "temperature is at the top of the spec; it must be in [base], [grid] or [[settings]]: it is a knob",
        ),
        ("runs = 0", "runs is 0; it must be a whole number, at least 1"),
        ("seeds = []", "seeds is empty, so that there is nothing to run; give at least one seed"),
        (
            "seeds = { first = 1 }",
            "seeds is {\"first\":1}; it must be a list of whole numbers, or { first = 1, count = 20 }",
        ),
        ("control = 1", "control is 1; it must be true or false"),
        (
            "tables = ['all']",
            "tables is [\"all\"]; it must be a list of summary, prompts, jaccard, paired, kept, texts, steps",
        ),
        ("[grid]", "grid is empty, so that there is nothing to run; give a knob a list of values"),
        (
            "[grid]\ntop_k = []",
            "grid.top_k is empty, so that there is nothing to run; give a knob a list of values",
        ),
        ("[grid]\ntop_k = 5", "grid.top_k is 5; it must be a list of values"),
        (
            "[grid]\ntemprature = [1.0]",
            "grid: temprature: there is no such knob; there is a similar one: 'temperature'",
        ),
        (
            "[base]\ntop-p = 0.5",
            "base: top-p: there is no such knob; there is a similar one: 'top_p'",
        ),
        ("[base]\nxyzzy = 1", "base: xyzzy: there is no such knob"),
        ("[base]\nseed = 1", "base: seed: `seeds` lists them"),
        (
            "[base]\nnum_return_sequences = 2",
            "base: num_return_sequences: a run is one sequence; `runs` says how many there are",
        ),
        ("[base]\nmax_time = 2", "base: max_time: a run must not depend on the clock"),
        ("[base]\ntemperature = inf", "base.temperature is inf or nan; it must be finite"),
        ("[base]\ntemperature = 'hot'", "base: temperature is \"hot\"; it must be a number"),
        ("[base]\ntemperature = -1.0\ndo_sample = true", "base: temperature is -1"),
        ("[grid]\ntop_p = [0.5, 1.5]", "grid: top_p is 1.5; it must be"),
        (
            "[base]\nmirostat = 2",
            "base: mirostat: huggingface has no such setting; leave it out, or use semantics = llama.cpp",
        ),
        (
            "[base]\nsemantics = 'llama.cpp'\nmirostat = 3",
            "base: mirostat is 3; it must be 0 (off), 1 or 2",
        ),
        (
            "[base]\nsemantics = 'mlx'",
            "base: semantics is \"mlx\"; it must be one of huggingface, llama.cpp, vllm",
        ),
        (
            "[base]\nties = 'first'",
            "base: ties is \"first\"; it must be one of keep-all, lowest-id, highest-id, random, error",
        ),
        (
            "[[settings]]\nlabel = 'a'\n[[settings]]\nlabel = 'a'",
            "two settings are called \"a\"; name them apart",
        ),
    ];
    for (lines, want) in cases {
        let error = Spec::parse(&with(lines)).unwrap_err().to_string();
        assert!(error.starts_with(want), "{lines}: {error}");
    }
}

/// What `--yes` lets pass must still fit into memory.
#[test]
fn what_can_not_be_laid_out_is_refused() {
    let model = load_builtin(&LoadOptions::default()).unwrap();
    let axis = format!("[{}]", (1..=1000).map(|k| k.to_string()).collect::<Vec<_>>().join(","));
    for (lines, want) in [
        (
            "seeds = { first = 1, count = 9223372036854775807 }".to_owned(),
            "there are 9223372036854775807 seeds for each setting; at most 10000000 can be laid out",
        ),
        (
            "runs = 10000001".to_owned(),
            "there are 10000001 seeds for each setting; at most 10000000 can be laid out",
        ),
        (
            "redraws = 1000001".to_owned(),
            "there are 1000001 redraws of each step; at most 1000000 can be laid out",
        ),
        (
            format!("[grid]\ntop_k = {axis}\nmin_length = {axis}"),
            "there are 1000000 settings; at most 100000 can be laid out",
        ),
        (
            "[base]\nnum_beams = 9223372036854775807".to_owned(),
            "setting \"base\", prompt \"a\": num_beams is 9223372036854775807; it must be at most 65536",
        ),
        (
            "[base]\ndo_sample = true\nbest_of = 9223372036854775807".to_owned(),
            "setting \"base\", prompt \"a\": best_of is 9223372036854775807; it must be at most 65536",
        ),
    ] {
        let spec = Spec::parse(&with(&lines)).unwrap();
        let error = Plan::new(&spec, &model, None).unwrap_err().to_string();
        assert!(error.starts_with(want), "{lines}: {error}");
    }
}

#[test]
fn the_program_says_so_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let path = spec(&dir, &with("[grid]\ntemprature = [1.0]"));
    let ran = run(&path, &out, &[]);
    let what = "grid: temprature: there is no such knob; there is a similar one: 'temperature'";
    assert_eq!((ran.code, ran.stderr), (Some(2), format!("error: {path}: {what}\n")));

    let many =
        with("seeds = { first = 1, count = 1000000 }\ncontrol = true\n[base]\ndo_sample = true");
    let path = spec(&dir, &many);
    let ran = run(&path, &out, &[]);
    let what = "1000001 runs are more than a million; add --yes if you mean it";
    assert_eq!((ran.code, ran.stderr), (Some(2), format!("error: {path}: {what}\n")));
    // A grid that could not even be listed.
    let axis = format!("[{}]", (1..=1000).map(|k| k.to_string()).collect::<Vec<_>>().join(","));
    let knobs = ["top_k", "no_repeat_ngram_size", "min_length", "max_length", "num_beams"];
    let grid = knobs.map(|knob| format!("{knob} = {axis}\n")).concat();
    let ran = run(&spec(&dir, &with(&format!("[grid]\n{grid}"))), &out, &[]);
    assert!(ran.stderr.contains("1000000000000000 runs are more than a million"), "{}", ran.stderr);
    assert!(!out.exists());

    let ran = run("temprature", &out, &[]);
    let what = "there is no file \"temprature\", and no spec of that name comes with the program; \
                there is a similar one: 'temperature'; `taper sweep --list` names those that do";
    assert_eq!((ran.code, ran.stderr), (Some(2), format!("error: {what}\n")));
    assert_eq!(run("none.toml", &out, &[]).code, Some(2));
    let ran = run("top_k", &out, &["--logits-dtype", "f16"]);
    assert_eq!(
        ran.stderr,
        "error: --logits-dtype: the spec turns this knob itself; leave it out\n"
    );
    let ran = run("top_p", &out, &["--logits-dtype", "f8"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("it must be f32, f16 or bf16"), "{}", ran.stderr);
    let ran = run("top_p", &out, &["--jobs", "0"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("it must be a whole number, at least 1"), "{}", ran.stderr);
}

/// What only the model can tell.
#[test]
fn a_setting_that_the_model_has_no_use_for_is_refused_before_the_first_run() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let cases = [
        ("[base]\nsuppress_tokens = [99999]", "suppress_tokens"),
        ("[base]\nmax_length = 1", "max_length is 1; it must be more than the "),
        ("[base]\nnum_beams = 2\nsemantics = 'vllm'", "vllm has no such setting"),
    ];
    for (lines, want) in cases {
        let ran = run(&spec(&dir, &with(lines)), &out, &[]);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains(want), "{}", ran.stderr);
    }
    let chat = "title = 'x'\nprompts = [{ name = 'hello', chat = 'Hello' }]";
    let ran = run(&spec(&dir, chat), &out, &[]);
    assert!(ran.stderr.contains("prompt \"hello\": "), "{}", ran.stderr);
    assert!(!out.exists());
}

#[test]
fn a_folder_takes_the_runs_of_one_spec_and_one_model() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let first = spec(&dir, &with("[base]\nmax_new_tokens = 2"));
    assert_eq!(run(&first, &out, &[]).code, Some(0));
    let refused = |ran: crate::support::Ran, want: &str| {
        let want = format!("error: --out: {} {want}\n", out.display());
        assert_eq!((ran.code, ran.stderr), (Some(2), want));
    };
    refused(
        run(&first, &out, &[]),
        "holds 1 of the 1 runs of this sweep; add --resume to go on, or name another folder",
    );
    let model = llama();
    let ran = run(&first, &out, &["--resume", "--model", model.to_str().unwrap()]);
    assert!(ran.stderr.contains("holds the runs of another model (builtin, "), "{}", ran.stderr);
    // What the runs do not depend on may change.
    let renamed = with("tables = ['texts']\n[base]\nmax_new_tokens = 2").replace("'x'", "'y'");
    let ran = run(&spec(&dir, &renamed), &out, &["--resume"]);
    assert_eq!((ran.code, ran.stdout.contains("## Summary")), (Some(0), false), "{}", ran.stderr);
    refused(
        run(&spec(&dir, &with("[base]\nmax_new_tokens = 3")), &out, &["--resume"]),
        "holds the runs of another spec (\"x\"); name another folder",
    );
    fs::remove_file(out.join("manifest.json")).unwrap();
    refused(
        run(&first, &out, &["--resume"]),
        "has a records.jsonl without a manifest.json; name another folder",
    );
    let ran = taper(["summarize", out.to_str().unwrap()]);
    let want =
        format!("error: {} is not the output of a sweep: it has no manifest.json\n", out.display());
    assert_eq!((ran.code, ran.stderr), (Some(2), want));
}

/// A run that fails is recorded, the others are made, and the exit code tells.
#[test]
fn a_run_that_fails_does_not_take_the_others_along() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let text = with(
        "[base]\nmax_new_tokens = 3\n[[settings]]\nlabel = 'good'\n[[settings]]\nlabel = 'bad'\ndo_sample = true\nlogits_dtype = 'bf16'\ntop_k = 1\nties = 'error'",
    );
    let text = text.replace("['a']", "['a random tree:', 'a random colour:']");
    let ran = run(&spec(&dir, &text), &out, &[]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("runs failed; the first: sequence 0, step "), "{}", ran.stderr);
    let read = taper_runner::experiment::Records::read(&out).unwrap();
    assert_eq!(read.records.len(), 4);
    assert!(read.records.iter().all(|record| record.error.is_none() || record.label == "bad"));
    assert!(read.records.iter().any(|record| record.finish_reason.name() == "error"));
}

#[test]
fn what_comes_with_the_program_can_be_listed_and_printed() {
    let listed = taper(["sweep", "--list"]);
    for Shipped { name, text, .. } in shipped() {
        assert!(listed.stdout.contains(name));
        assert_eq!(taper(["sweep", name, "--print"]).stdout, *text);
    }
}

/// Whatever stands in the file, there is a spec or a word on why not.
#[test]
fn no_file_breaks_the_reader() {
    let mut series = Draws::new(DrawKey::new(1)).series(Purpose::Custom(0));
    let mut drawn = 0;
    let mut below = |most: usize| {
        drawn += 1;
        (series.bits(drawn) % most as u64) as usize
    };
    for round in 0..2000 {
        let mut text = shipped()[round % shipped().len()].text.as_bytes().to_vec();
        for _ in 0..=below(4) {
            let (at, length) = (below(text.len()), below(30));
            let end = (at + length).min(text.len());
            match below(3) {
                0 => text[at] = below(256) as u8,
                1 => drop(text.drain(at..end)),
                _ => text.extend_from_within(at..end),
            }
            text.push(b'\n');
        }
        let _ = Spec::parse(&String::from_utf8_lossy(&text));
    }
}
