//! `--chat`.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Folder, json as run_json, llama, taper};

/// The prompt as text, from a run of one token.
fn prompt(args: &[&str]) -> String {
    let outcome = run_json(&[args, &["--max-new-tokens", "1", "--seed", "1"]].concat());
    let tokenizer = llama().join("tokenizer.json");
    let tokenizer = taper_runner::models::tokenizers::Tokenizer::from_file(tokenizer).unwrap();
    let ids: Vec<u32> = serde_json::from_value(outcome["prompt_tokens"].clone()).unwrap();
    tokenizer.decode(&ids, false).unwrap()
}

#[test]
fn the_template_of_the_model_makes_the_prompt() {
    assert_eq!(
        prompt(&["Hi", "--chat", "--system", "Be terse."]),
        "<|im_start|>system\nBe terse.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n\
         <|im_start|>assistant\n"
    );
    assert_eq!(
        prompt(&["Hi", "--chat", "--enable-thinking", "false"]),
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    );
    let turns = tempfile::NamedTempFile::new().unwrap();
    let said = json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]);
    fs::write(&turns, said.to_string()).unwrap();
    let turns = turns.path().to_str().unwrap();
    assert_eq!(
        prompt(&["c", "--chat", "--messages", turns]),
        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>\n\
         <|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n"
    );
}

#[test]
fn conversations_pass_through_untouched() {
    let folder = Folder::new();
    let write = |file: &str, text: &str| fs::write(folder.file(file), text).unwrap();
    let turns = r#"[{"role": "assistant", "z": 1.0, "tool_calls": [{"id": "é", "n": null}]}, "#;
    let turns = format!(r#"{turns}{{"content": null, "role": "x", "a": [1e-07]}}]"#);
    let (tools, documents) = (r#"[{"b": 1, "a": {}}]"#, r#"[{"title": "t", "text": ""}]"#);
    write("turns.json", &turns);
    write("tools.json", tools);
    write("documents.json", documents);
    // The template tells what it sees.
    let shown = "messages | tojson ~ (tools | tojson) ~ (documents | tojson)";
    write("chat_template.jinja", &format!("{{{{ raise_exception({shown}) }}}}"));
    let path = |file: &str| folder.file(file).to_str().unwrap().to_owned();
    let (messages, offered) = (path("turns.json"), path("tools.json"));
    let told = path("documents.json");
    let ran =
        folder.run(&["--chat", "--messages", &messages, "--tools", &offered, "--documents", &told]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let want = format!("{turns}{tools}{documents}");
    assert!(ran.stderr.contains(&want), "{}\n{want}", ran.stderr);
}

#[test]
fn the_end_of_a_turn_ends_the_text() {
    // The model's own settings name <eos> (2) and <|im_end|> (7); a chat adds the second by itself.
    let folder = Folder::new();
    folder.set("generation_config.json", "eos_token_id", json!(2));
    let template = fs::read_to_string(llama().join("chat_template.jinja")).unwrap();
    fs::write(folder.file("chat_template.jinja"), template).unwrap();
    let eos = |args: &[&str]| -> Value {
        let ran = folder.run(&[args, &["--format", "json", "--max-new-tokens", "1"]].concat());
        let outcome: Value = serde_json::from_str(&ran.stdout).expect(&ran.stderr);
        outcome["config"]["eos_token_id"].clone()
    };
    assert_eq!(eos(&["x"]), json!(2));
    assert_eq!(eos(&["x", "--chat"]), json!([2, 7]));
    assert_eq!(eos(&["x", "--chat", "--eos-token-id", "3"]), json!(3));
}

#[test]
fn chats_that_can_not_be_held_are_refused() {
    let folder = Folder::new();
    let write = |file: &str, text: &str| fs::write(folder.file(file), text).unwrap();
    let refused = |args: &[&str], why: &str| {
        let ran = folder.run(args);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains(why), "{}", ran.stderr);
    };
    refused(&["x", "--chat"], "error: --chat: the model has no chat template; expected ");
    write("chat_template.jinja", "{{ raise_exception('no ' + messages[0].role) }}");
    refused(
        &["x", "--chat", "--system", "y"],
        "error: --chat: the chat template refuses the conversation: no system",
    );
    write("chat_template.jinja", "\n{% if %}");
    refused(&["x", "--chat"], "error: --chat: the chat template, line 2: Expected an expression");
    refused(&["--chat"], "error: --chat: nothing was said; give a prompt, or --messages FILE");
    refused(&["x", "--system", "y"], "--chat");
    write("turns.json", r#"[{"role": "user", "content": "x"}, {"role": 1}]"#);
    let turns = folder.file("turns.json");
    let turns = turns.to_str().unwrap();
    refused(&["--chat", "--messages", turns], "entry 1: expected an object with a `role`");
    write("tools.json", r#"[{"n": "123456789012345678901", "m": 1.5e30}, 3]"#);
    let tools = folder.file("tools.json");
    let tools = tools.to_str().unwrap();
    refused(&["x", "--chat", "--tools", tools], "tools.json: entry 1: expected an object");
    write(
        "tools.json",
        r#"[{"n": "123456789012345678901", "m": 1.5e30, "o": [-123456789012345678901]}]"#,
    );
    let what = "-123456789012345678901: expected an integer of at most 64 bits";
    refused(&["x", "--chat", "--documents", tools], what);
    write("tools.json", "{}");
    refused(&["x", "--chat", "--tools", tools], "expected a list of objects");
    refused(
        &["--chat", "--messages", "no/such.json"],
        "--messages no/such.json: no such file or folder; expected a JSON list",
    );
    let builtin = taper(["generate", "x", "--chat"]);
    assert!(builtin.stderr.contains("the model has no chat template"), "{}", builtin.stderr);
}
