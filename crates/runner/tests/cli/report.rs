//! `taper report`: a page of what a sweep has written.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Ran, taper};

/// An output folder with a control and a drawn run.
struct Output {
    dir: TempDir,
}

fn manifest() -> Value {
    json!({
        "digest": "ab", "title": "A <b>small</b> sweep", "spec": {}, "swept": ["temperature"],
        "versions": {"taper": "0.1.0", "platform": "linux"},
        "model": {"name": "made-up", "digest": null},
        "prompts": [{"name": "x", "text": "x", "tokens": [1]}],
        "settings": [
            {"label": "greedy", "knobs": {}, "control": true},
            {"label": "temperature=0.5", "knobs": {"temperature": 0.5}, "control": false},
        ],
        "seeds": [7], "runs": 2,
    })
}

fn record(setting: usize) -> Value {
    json!({
        "id": {"prompt": 0, "setting": setting, "seed": 0}, "label": "l", "knobs": {}, "control": setting == 0,
        "prompt": "x", "prompt_tokens": [1], "seed": 7, "model": {"name": "made-up", "digest": null},
        "versions": {"taper": "0.1.0", "platform": "linux"},
        "config": {"seed": 7}, "tokens": [2], "text": " y", "finish_reason": "length", "score": null,
        "steps": [{"token": 2, "text": " y", "logprob": -0.5, "probability": 1.0, "rank": 1, "kept": 1,
                   "entropy": 0.5}],
        "timing": {"load_s": null, "prefill_s": 0.1, "decode_s": 0.1, "sampler_s": 0.1, "tokens_per_s": null},
    })
}

impl Output {
    fn new() -> Self {
        let output = Self { dir: tempfile::tempdir().unwrap() };
        output.write("manifest.json", &manifest().to_string());
        output.write("records.jsonl", &format!("{}\n{}\n", record(0), record(1)));
        output
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).unwrap();
    }

    /// Runs `taper report` on it; the folder's name becomes DIR in what it says.
    fn report(&self, args: &[&str]) -> Ran {
        let dir = self.dir.path().to_str().unwrap();
        let mut ran = taper(["report", dir].iter().chain(args));
        ran.stderr = ran.stderr.replace(dir, "DIR");
        ran.stdout = ran.stdout.replace(dir, "DIR");
        ran
    }
}

#[test]
fn a_page_is_made_beside_the_records_or_where_it_is_wanted() {
    let output = Output::new();
    let ran = output.report(&[]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(ran.stdout, "DIR/report.html: 2 runs, 0.1 MB\n");
    let page = fs::read_to_string(output.file("report.html")).unwrap();
    assert!(page.starts_with("<!doctype html>\n") && page.ends_with("</html>\n"));
    assert!(page.contains("<h1>A &lt;b&gt;small&lt;&#x2f;b&gt; sweep</h1>"));
    let elsewhere = output.file("elsewhere.html");
    let ran = output.report(&["--out", elsewhere.to_str().unwrap()]);
    assert_eq!(ran.stdout, "DIR/elsewhere.html: 2 runs, 0.1 MB\n");
    assert_eq!(fs::read_to_string(elsewhere).unwrap(), page);
}

#[test]
fn a_sweep_that_is_not_finished_is_shown_so_far() {
    let output = Output::new();
    output.write("records.jsonl", &format!("{}\n{{\"id\": {{\"pro", record(0)));
    let ran = output.report(&[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(
        ran.stderr,
        "note: the last line of records.jsonl is not whole; the page is without it\n"
    );
    assert_eq!(ran.stdout, "DIR/report.html: 1 of 2 runs, 0.1 MB\n");
    let page = fs::read_to_string(output.file("report.html")).unwrap();
    assert!(page.contains("1 of 2; the sweep is not finished"));
}

#[test]
fn bad_input_is_refused() {
    let changed = |key: &str, value: Value| {
        let mut manifest = manifest();
        manifest[key] = value;
        manifest.to_string()
    };
    let newer = json!({"taper": "7.2.0", "platform": "linux"});
    let cases: &[(&str, Option<String>, &str)] = &[
        ("manifest.json", None, "DIR is not the output of a sweep: it has no manifest.json"),
        ("records.jsonl", None, "DIR: there are no runs to report; let the sweep make some first"),
        (
            "records.jsonl",
            Some(String::new()),
            "DIR: there are no runs to report; let the sweep make some first",
        ),
        (
            "records.jsonl",
            Some(format!("{{}}\n{}\n", record(0))),
            "DIR/records.jsonl: line 1 is no record: missing field `id` at line 1 column 2",
        ),
        (
            "records.jsonl",
            Some(format!("{}\n{}\n", record(0), record(9))),
            "DIR: run 2 is of prompt 0, setting 9, seed 0, and the manifest has 1 prompts, 2 settings, \
             1 seeds; the files are not of one sweep",
        ),
        (
            "manifest.json",
            Some("{}".to_owned()),
            "DIR/manifest.json: missing field `digest` at line 1 column 2",
        ),
        (
            "manifest.json",
            Some(changed("versions", newer.clone())),
            "DIR/manifest.json: it was made by taper 7.2.0, which is newer than this taper 0.1.0; use \
             that one",
        ),
        // Newer, and of a form that this version cannot read.
        (
            "manifest.json",
            Some(json!({"versions": newer}).to_string()),
            "DIR/manifest.json: it was made by taper 7.2.0, which is newer than this taper 0.1.0; use \
             that one",
        ),
    ];
    for (file, text, line) in cases {
        let output = Output::new();
        match text {
            Some(text) => output.write(file, text),
            None => fs::remove_file(output.file(file)).unwrap(),
        }
        let ran = output.report(&[]);
        assert_eq!(ran.stderr, format!("error: {line}\n"));
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{line}");
        assert!(!output.file("report.html").exists(), "no page of what is refused: {line}");
    }
}

#[test]
fn folders_that_are_none_are_refused() {
    let output = Output::new();
    let ran = taper(["report", output.file("nothing").to_str().unwrap()]);
    let said = ran.stderr.replace(output.dir.path().to_str().unwrap(), "DIR");
    let want =
        "error: DIR/nothing: no such file or folder; expected the output folder of a sweep\n";
    assert_eq!(said, want);
    assert_eq!(ran.code, Some(2));
    let ran = taper(["report", output.file("manifest.json").to_str().unwrap()]);
    let said = ran.stderr.replace(output.dir.path().to_str().unwrap(), "DIR");
    assert_eq!(
        said,
        "error: DIR/manifest.json: it is a file; expected the output folder of a sweep\n"
    );
    assert_eq!(ran.code, Some(2));
    let ran = output.report(&["--out", output.file("no/such/folder.html").to_str().unwrap()]);
    let want = "error: --out DIR/no/such/folder.html: there is no such folder to write to\n";
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(2), "", want));
}
