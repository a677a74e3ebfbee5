//! `taper inspect`: the distribution before and after each stage.

use serde_json::Value;

use crate::support::{Folder, Ran, generate, json, llama, taper, tokens};

fn inspect(args: &[&str]) -> Ran {
    let llama = llama();
    let model = ["inspect", "--model", llama.to_str().expect("the path is UTF-8")];
    taper(model.iter().chain(args))
}

fn inspect_json(args: &[&str]) -> Value {
    let ran = inspect(&[args, &["--format", "json"]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).expect("one JSON object")
}

const DRAWN: [&str; 7] = ["The old", "--seed", "7", "--top-k", "9", "--eos-token-id", "none"];

#[test]
fn a_look_changes_no_token_and_agrees_with_the_trace() {
    for semantics in ["huggingface", "llama.cpp", "vllm"] {
        let args = [&DRAWN[..], &["--semantics", semantics]].concat();
        let more = ["--max-new-tokens", "5", "--trace", "--top-logprobs", "4"];
        let ran = json(&[&args[..], &more].concat());
        let seen = inspect_json(&[&args[..], &["--steps", "5", "--top", "4"]].concat());
        let steps = seen["steps"].as_array().unwrap();
        let chosen: Vec<_> = steps.iter().map(|step| step["token"].as_u64().unwrap()).collect();
        assert_eq!(chosen, tokens(&ran), "{semantics}");
        for (step, traced) in steps.iter().zip(ran["sequences"][0]["steps"].as_array().unwrap()) {
            assert_eq!(step["logprob"], traced["logprob"]);
            let stages = step["stages"].as_array().unwrap();
            assert_eq!(stages.len(), traced["stages"].as_array().unwrap().len());
            for (stage, told) in stages.iter().zip(traced["stages"].as_array().unwrap()) {
                for key in ["stage", "before", "after", "removed_mass", "ties"] {
                    assert_eq!(stage[key], told[key], "{semantics} {key}");
                }
                let gone = stage["before"].as_u64().unwrap() - stage["after"].as_u64().unwrap();
                let named = stage["removed"].as_array().unwrap().len() as u64;
                assert_eq!(named, gone.min(4));
            }
            for (path, top) in
                step["tokens"].as_array().unwrap().iter().zip(traced["top"].as_array().unwrap())
            {
                assert_eq!(path["token"], top["token"]);
                let share = path["places"][0]["probability"].as_f64().unwrap();
                assert!((share - top["logprob"].as_f64().unwrap().exp()).abs() < 1e-12);
            }
            let won = |path: &&Value| path["chosen"] == true;
            let won = step["tokens"].as_array().unwrap().iter().find(won).unwrap();
            let left = won["places"].as_array().unwrap().last().unwrap();
            let (share, told) = (&left["probability"], &step["probability"]);
            assert!((share.as_f64().unwrap() - told.as_f64().unwrap()).abs() < 1e-12);
        }
    }
}

#[test]
fn a_token_is_followed_by_id_and_by_text() {
    let all = inspect_json(&[&DRAWN[..], &["--top", "288"]].concat());
    let listed = all["steps"][0]["tokens"].as_array().unwrap();
    assert_eq!(listed.len(), 288);
    let cut = |path: &&Value| path["removed_by"] == "top_k";
    // A text of its own, that stands for no other token.
    let lone = |path: &&Value| {
        let text = path["text"].as_str().unwrap();
        text.len() > 1 && text.is_ascii() && !text.starts_with(['"', ' '])
    };
    let path = listed.iter().filter(cut).find(lone).expect("a token of letters is cut");
    let (id, text) = (path["token"].to_string(), path["text"].as_str().unwrap());
    let quoted = serde_json::to_string(text).unwrap();
    for name in [id.as_str(), text, quoted.as_str()] {
        let seen = inspect_json(&[&DRAWN[..], &["--top", "1", "--token", name]].concat());
        let tokens = seen["steps"][0]["tokens"].as_array().unwrap();
        assert!(tokens.contains(path), "{name}: {tokens:?}");
    }
    let ran = inspect(&[&DRAWN[..], &["--token", &id]].concat());
    let told = format!("{text:?} #{id}: rank {} of the model's, ", path["places"][0]["rank"]);
    let line = ran.stdout.lines().find(|line| line.starts_with(&told)).expect(&told);
    assert!(line.contains("; removed by top_k, where it had rank "), "{line}");
}

/// With all rows of the output matrix equal, all logits are.
fn of_equals() -> Folder {
    let folder = Folder::new();
    folder.edit_head(|head, row| {
        let (first, others) = head.split_at_mut(row);
        others.chunks_exact_mut(row).for_each(|other| other.copy_from_slice(first));
    });
    folder
}

#[test]
fn a_tie_is_told_with_those_that_it_kept() {
    let folder = of_equals();
    let dir = folder.path().to_str().unwrap();
    let args = ["inspect", "--model", dir, "x", "--top-k", "1", "--top-p", "1", "--seed", "1"];
    let kept = taper(args.iter().chain(&["--top", "2"]));
    let told = "top_k 1 kept 288, by a tie: 288 equal scores met at its boundary, kept ";
    assert!(kept.stdout.lines().any(|line| line.starts_with(told)), "{}", kept.stdout);
    let lowest = taper(args.iter().chain(&["--top", "2", "--ties", "lowest-id"]));
    let told = "top_k 1 kept 1, by a tie: 288 equal scores met at its boundary, kept ";
    let line = lowest.stdout.lines().find(|line| line.starts_with(told)).expect("the tie is told");
    assert!(line.contains(", cut ") && line.ends_with(", …"), "{line}");
    let refused = taper(args.iter().chain(&["--ties", "error"]));
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("top_k: 288 candidates tie"), "{refused:?}");
}

#[cfg(feature = "builtin")]
#[test]
fn a_top_k_of_one_keeps_several_as_the_readme_says() {
    let args = ["inspect", "a random tree:", "--do-sample", "true", "--top-k", "1", "--seed", "1"];
    let rounded = taper(args.iter().chain(&["--logits-dtype", "bf16"]));
    assert_eq!(rounded.code, Some(0), "{}", rounded.stderr);
    let tie = |ran: &Ran| ran.stdout.lines().any(|line| line.contains(", by a tie: "));
    assert!(tie(&rounded), "{}", rounded.stdout);
    assert!(!rounded.stdout.contains("top_k 1 kept 1"), "{}", rounded.stdout);
    assert!(rounded.stdout.contains("\nlogits   rounded to bf16 first\n"), "{}", rounded.stdout);
    let whole = taper(args);
    assert!(!whole.stdout.contains("\nlogits "), "{}", whole.stdout);
    assert!(!tie(&whole), "nothing ties in f32: {}", whole.stdout);
}

#[test]
fn the_table_has_a_column_for_each_stage() {
    let ran = inspect(&[&DRAWN[..], &["--top-p", "0.5"]].concat());
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let lines: Vec<_> = ran.stdout.lines().collect();
    let starts = |word: &str| {
        let found = lines.iter().find(|line| line.trim_start().starts_with(word));
        found.unwrap_or_else(|| panic!("{word}: {}", ran.stdout))
    };
    assert!(starts("stages ").ends_with("temperature 0.6 → top_k 9 → top_p 0.5 → draw"));
    let head: Vec<_> = starts("model  temperature").split_whitespace().collect();
    assert_eq!(head, ["model", "temperature", "top_k", "top_p"]);
    let counts: Vec<_> = starts("candidates").split_whitespace().collect();
    assert_eq!(counts[..4], ["candidates", "288", "288", "288→9"]);
    let best = starts("1  ");
    assert_eq!(best.matches(" %").count(), 4, "{best}");
    assert_eq!(lines.iter().filter(|line| line.ends_with("<- chosen")).count(), 1);
    assert!(starts("top_k 9 removed 279, first of all ").ends_with(", …"));
    assert!(!ran.stdout.contains('\x1b'), "no colours where there is no terminal");
}

#[test]
fn steps_move_along_the_text() {
    let steps = |args: &[&str]| {
        let ran = inspect(&[&DRAWN[..], args].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let titles = ran.stdout.lines().filter(|line| line.starts_with("step "));
        let numbers = titles.map(|line| line.split([' ', ':']).nth(1).unwrap().to_owned());
        (numbers.collect::<Vec<_>>(), ran.stdout)
    };
    assert_eq!(steps(&[]).0, ["1"]);
    assert_eq!(steps(&["--steps", "3"]).0, ["1", "2", "3"]);
    assert_eq!(steps(&["--steps", "2", "--from", "4"]).0, ["4", "5"]);
    let (watched, out) = steps(&["--watch=0.01", "--max-new-tokens", "4"]);
    assert_eq!(watched, ["1", "2", "3", "4"]);
    assert!(out.ends_with("the text ends here: length\n"), "{out}");
    assert!(!out.contains('\x1b'), "one after the other where there is no terminal");
    // The limit that a user did not ask for is no limit.
    assert_eq!(steps(&["--steps", "1", "--from", "130"]).0, ["130"]);
    let seen = inspect_json(&["x", "--seed", "1", "--steps", "9", "--max-new-tokens", "2"]);
    assert_eq!(seen["steps"].as_array().unwrap().len(), 2);
    assert_eq!(seen["finish_reason"], "length");
}

#[test]
fn bad_input_is_refused() {
    let cases: &[(&[&str], &str)] = &[
        (&[], "the prompt is missing; give a text, - for standard input, or --prompt-ids 1,2,3"),
        (
            &["x", "--num-beams", "2"],
            "--num-beams: inspect follows one sequence, token by token; leave it out, or use \
             `generate`",
        ),
        (
            &["x", "--watch", "--format", "json"],
            "--watch: an object of JSON is printed at the end; leave it out, or name --steps N",
        ),
        (&["x", "--token", "288"], "--token 288: the vocabulary has the ids 0 to 287"),
        (
            &["x", "--token", "99999999999999999999"],
            "--token 99999999999999999999: the vocabulary has the ids 0 to 287",
        ),
        (&["x", "--token", ""], "invalid value '' for '--token <ID|TEXT>': it must not be empty"),
        (
            &["x", "--steps", "0"],
            "invalid value '0' for '--steps <N>': it must be a whole number, at least 1",
        ),
        (
            &["x", "--from", "0"],
            "invalid value '0' for '--from <N>': it must be a whole number, at least 1",
        ),
        (
            &["x", "--top", "-1"],
            "invalid value '-1' for '--top <N>': it must be a whole number, at least 1",
        ),
        (
            &["x", "--watch=0"],
            "invalid value '0' for '--watch[=<SECONDS>]': it must be above 0 and finite, in seconds",
        ),
        (
            &["x", "--temperature", "-1"],
            "--temperature: temperature is -1; it must be above 0 and finite (for the most likely token, decode greedily); use --temperature 0 for that",
        ),
        (
            &["x", "--xtc-threshold", "0.1"],
            "--xtc-threshold: huggingface has no such setting; leave it out, or use --semantics llama.cpp",
        ),
    ];
    for (args, line) in cases {
        let ran = inspect(args);
        assert_eq!(ran.stderr, format!("error: {line}\n"), "{args:?}");
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{args:?}");
    }
    let ran = inspect(&["x", "--token", "no such token"]);
    let why = "error: --token no such token: no token is just that; the text is made of ";
    assert!(ran.stderr.starts_with(why), "{}", ran.stderr);
    assert_eq!(ran.code, Some(2));
    let help = taper(["inspect", "--help"]);
    assert!(help.stdout.contains("--top-k") && !help.stdout.contains("--num-beams"));
    assert!(generate(&["--help"]).stdout.contains("--num-beams"));
}
