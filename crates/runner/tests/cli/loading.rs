//! Where models come from: the cache, a config alone, damaged files.

use std::fs;

use crate::support::{Folder, command, llama, taper};

/// A greedy run of one token.
const ONE: [&str; 8] = [
    "--prompt-ids",
    "1,9",
    "--do-sample",
    "false",
    "--eos-token-id",
    "none",
    "--max-new-tokens",
    "1",
];

#[test]
fn a_model_is_found_in_the_cache_by_name() {
    let cache = tempfile::tempdir().unwrap();
    let model = cache.path().join("models--some--llama");
    fs::create_dir_all(model.join("snapshots/abc1")).unwrap();
    fs::create_dir_all(model.join("refs")).unwrap();
    fs::write(model.join("refs/main"), "abc1").unwrap();
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
        fs::copy(llama().join(file), model.join("snapshots/abc1").join(file)).unwrap();
    }
    let run = |args: &[&str]| {
        let args = [&["generate", "--format", "json"], args, &ONE].concat();
        command(args).env("HF_HUB_CACHE", cache.path()).output().unwrap()
    };
    for revision in [&[][..], &["--revision", "main"], &["--revision", "abc1"]] {
        let ran = run(&[&["--model", "some/llama"], revision].concat());
        let outcome: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert_eq!(outcome["model"], "some/llama");
    }
    for (args, why) in [
        (&["--model", "some/other"][..], "some/other: no such folder, and no such model in the"),
        (
            &["--model", "some/llama", "--revision", "v2"],
            "some/llama: the cache has no revision `v2`; it has abc1, main",
        ),
        (
            &["--revision", "main"],
            "--revision: the builtin model has none; name another by --model",
        ),
    ] {
        let ran = run(args);
        assert_eq!(ran.status.code(), Some(2));
        let stderr = String::from_utf8(ran.stderr).unwrap();
        assert!(stderr.contains(why), "{stderr}");
    }
}

#[test]
fn random_weights_need_no_file_of_weights() {
    let folder = Folder::new();
    fs::remove_file(folder.file("model.safetensors")).unwrap();
    let drawn = |seed| {
        let ran = folder.run(&[&ONE[..], &["--format", "json", "--random-weights", seed]].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let outcome: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        outcome["sequences"][0]["steps"][0]["logprob"].clone()
    };
    assert_eq!(drawn("1"), drawn("1"));
    assert_ne!(drawn("1"), drawn("2"));
    let builtin = taper(["generate", "x", "--random-weights", "1"]);
    assert_eq!(builtin.code, Some(2));
    assert!(builtin.stderr.contains("--random-weights: the builtin model has none"));
}

#[test]
fn weights_that_are_no_numbers_are_named() {
    let folder = Folder::new();
    folder.edit_head(|head, _| {
        head.chunks_exact_mut(4).for_each(|number| number.copy_from_slice(&f32::NAN.to_le_bytes()));
    });
    let ran = folder.run(&ONE);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let why = "error: --model DIR: tensor `lm_head.weight` holds NaN among its numbers; ";
    assert!(ran.stderr.starts_with(why), "{}", ran.stderr);
}
