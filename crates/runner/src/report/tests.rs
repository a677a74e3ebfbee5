use serde_json::{Value, json};

use super::*;
use crate::experiment::{Manifest, Record, Repeated};

/// What would be markup, end a script element, or end a line of script.
const HOSTILE: [&str; 8] = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "<!--<script>",
    "\u{2028}\u{2029}",
    "\"'&quot;&lt;\\",
    "{{ 7 * 7 }}{% raw %}",
    "]]>",
    "\u{202e}\u{0}",
];

fn manifest(title: &str) -> Manifest {
    let hostile = HOSTILE.concat();
    serde_json::from_value(json!({
        "digest": "ab", "title": title, "about": hostile, "spec": {}, "swept": ["temperature", hostile],
        "versions": {"taper": "0.1.0", "platform": hostile},
        "model": {"name": hostile, "digest": null},
        "prompts": [{"name": hostile, "text": hostile, "tokens": [1]}],
        "settings": [
            {"label": "greedy", "knobs": {}, "control": true},
            {"label": hostile, "knobs": {"temperature": 0.5, hostile.as_str(): hostile}, "control": false},
        ],
        "seeds": [u64::MAX], "runs": 3,
    }))
    .expect("a manifest")
}

fn record(setting: usize) -> Record {
    let hostile = HOSTILE.concat();
    let step = |token: u32| {
        json!({
            "token": token, "text": HOSTILE[token as usize % 8], "logprob": -0.25, "probability": 0.5,
            "rank": 2, "kept": 3, "entropy": 1.5,
            "top": [{"token": 9, "text": hostile, "logprob": -1.0, "removed_by": hostile}],
            "stages": [{"stage": hostile, "before": 9, "after": 3, "removed_mass": 0.125, "ties": 2}],
            "redraws": [{"token": 9, "text": hostile, "count": 4}], "passed_over": hostile,
        })
    };
    serde_json::from_value(json!({
        "id": {"prompt": 0, "setting": setting, "seed": 0}, "label": "", "knobs": {}, "control": setting == 0,
        "prompt": "", "prompt_tokens": [1], "seed": u64::MAX, "model": {"name": "", "digest": null},
        "versions": {"taper": "0.1.0", "platform": ""},
        "config": {"seed": 1, hostile.as_str(): hostile},
        "tokens": [0, 1, 2, 0, 1, 2, 0, 1], "text": hostile, "finish_reason": "error", "error": hostile,
        "score": -1.0, "steps": (0..8).map(step).collect::<Vec<_>>(),
        "tree": [{"parent": null, "length": 1, "token": 3, "text": hostile, "sum": -1.0, "fate": "finished",
                  "score": -1.0, "finish_reason": "eos"}],
        "timing": {"load_s": null, "prefill_s": 0.1, "decode_s": 0.1, "sampler_s": 0.1, "tokens_per_s": 1.0},
    }))
    .expect("a record")
}

fn experiment(title: &str) -> Records {
    Records {
        manifest: manifest(title),
        records: vec![record(0), record(1)],
        cut_off: None,
        repeated: Repeated::default(),
    }
}

/// The contents of the page's elements of a kind, the tags left out.
fn elements<'p>(page: &'p str, open: &str, close: &str) -> Vec<&'p str> {
    page.split(open).skip(1).map(|rest| rest.split(close).next().unwrap_or(rest)).collect()
}

#[test]
fn no_text_becomes_markup() {
    let page = page(&experiment(&HOSTILE.concat())).unwrap();
    // The overview, two runs, and the page's own script, nothing between them that begins another.
    assert_eq!(page.matches("<script").count(), 4);
    assert_eq!(page.matches("</script").count(), 4);
    assert_eq!(page.matches("<!--").count(), 0);
    assert_eq!(page.matches("<img").count(), 0);
    assert!(
        !page.contains(['\u{2028}', '\u{2029}']) || page.contains("<h1>"),
        "as text they are harmless"
    );
    for json in elements(&page, "<script type=\"application/json\"", "</script") {
        let json = json.split_once('>').unwrap().1;
        assert!(!json.contains(['<', '>', '&', '\u{2028}', '\u{2029}']));
    }
    let title = elements(&page, "<h1>", "</h1>")[0];
    assert!(title.starts_with("&lt;script&gt;alert(1)"), "{title}");
}

#[test]
fn the_page_s_script_reads_what_was_written() {
    let hostile = HOSTILE.concat();
    let page = page(&experiment("a title")).unwrap();
    let read = |id: &str| -> Value {
        let open = format!("<script type=\"application/json\" id=\"{id}\">");
        serde_json::from_str(elements(&page, &open, "</script>")[0]).unwrap()
    };
    let overview = read("overview");
    for text in [
        &overview["about"],
        &overview["prompts"][0]["text"],
        &overview["settings"][1]["label"],
        &overview["settings"][1]["knobs"][&hostile],
        &overview["runs"][0]["text"],
        &overview["runs"][0]["error"],
        &overview["configs"][0][&hostile],
    ] {
        assert_eq!(text, &hostile);
    }
    assert_eq!(overview["seeds"], json!(["18446744073709551615"]));
    // The eight tokens, the mean of what was kept, of the entropy and of −logprob; nothing of what was drawn
    // from; then their sum, the perplexity, and the steps with a tie.
    let values = json!([
        8.0,
        3.0,
        1.5,
        0.25,
        0.375,
        0.428_571_4,
        0.5,
        0.4,
        null,
        null,
        -2.0,
        1.284_025,
        8.0
    ]);
    assert_eq!(overview["runs"][1]["values"], values);
    assert_eq!(overview["rows"][1]["measures"][3], json!([0.25, null]), "one run has no interval");
    assert_eq!(overview["rows"][1]["control"], json!(1.0), "the texts are the same");
    assert_eq!(overview["configs"].as_array().unwrap().len(), 1, "settings are there once");
    let steps = read("steps-1");
    let first = &steps["steps"][0];
    assert_eq!(overview["texts"][first[0].as_u64().unwrap() as usize], json!([0, HOSTILE[0]]));
    let alternative = &first[6][0];
    let text = |number: &Value| &overview["texts"][number.as_u64().unwrap() as usize];
    assert_eq!(text(&alternative[0]), &json!([9, hostile]));
    assert_eq!(text(&first[8][0][0]), &json!([9, hostile]));
    assert_eq!((&alternative[1], &alternative[2]), (&json!(-1.0), &json!(0)));
    let numbers = [json!(-0.25), json!(0.5), json!(2), json!(3), json!(1.5)];
    assert_eq!(first.as_array().unwrap()[1..6], numbers);
    assert_eq!((&first[7], &first[8][0][1]), (&json!([[9, 3, 0.125, 2]]), &json!(4)));
    assert_eq!(first[9], hostile);
    assert_eq!(steps["tree"][0][4], "finished");
}

#[test]
fn nothing_is_asked_of_a_network() {
    let page = page(&experiment("a title")).unwrap();
    for scheme in
        ["http:", "https:", "ws:", "data:", "blob:", "url(", "@import", "src=\"", "import("]
    {
        assert!(!page.contains(scheme), "{scheme}");
    }
    for link in elements(&page, "href=\"", "\"") {
        assert!(link.starts_with('#'), "{link}");
    }
    for way in ["fetch(", "XMLHttpRequest", "WebSocket", "sendBeacon", "EventSource"] {
        assert!(!SCRIPT.contains(way), "{way}");
    }
}

#[test]
fn the_policy_names_the_script_and_the_style_as_they_stand() {
    let page = page(&experiment("a title")).unwrap();
    let hash = |text: &str| base64::encode(Sha256::digest(text.as_bytes()));
    let (script, style) =
        (elements(&page, "<script>", "</script>"), elements(&page, "<style>", "</style>"));
    assert_eq!((script.len(), style.len()), (1, 1));
    let policy = elements(&page, "http-equiv=\"Content-Security-Policy\" content=\"", "\"")[0];
    let policy = policy.replace("&#x27;", "'").replace("&#x2f;", "/");
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(policy.contains(&format!("script-src 'sha256-{}'", hash(script[0]))), "{policy}");
    assert!(policy.contains(&format!("style-src 'sha256-{}'", hash(style[0]))), "{policy}");
    // None of these turns text into markup or script.
    for way in
        ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("]
    {
        assert!(!SCRIPT.contains(way), "{way}");
    }
}

#[test]
fn the_same_records_give_the_same_page() {
    assert_eq!(page(&experiment("a")).unwrap(), page(&experiment("a")).unwrap());
    let mut later = experiment("a");
    later.records[0].timing.decode_s = 9.0;
    assert_eq!(page(&experiment("a")).unwrap(), page(&later).unwrap(), "time is no part of it");
}

#[test]
fn runs_that_are_not_there_or_not_of_the_sweep_are_refused() {
    let mut read = experiment("a");
    read.records[1].id.setting = 2;
    let why = page(&read).unwrap_err().to_string();
    assert_eq!(
        why,
        "run 2 is of prompt 0, setting 2, seed 0, and the manifest has 1 prompts, 2 settings, 1 seeds; \
         the files are not of one sweep"
    );
    read.records.clear();
    assert!(matches!(page(&read), Err(ReportError::NoRuns)));
}
