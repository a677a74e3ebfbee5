//! A sweep over engines that is killed again and again, while connections break and an engine dies.

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;
use taper_runner::draw_seed;
use taper_runner::sampling::{DrawKey, Draws, Purpose};

use super::fake::{Fake, answer, begin, event, send, token};
use super::sweeps::{contents, records};
use crate::support::{command, taper};
use crate::sweep::spec;

/// 2 prompts, 2 settings, 30 seeds.
const SPEC: &str = r#"
title = "To be killed"
prompts = [{ ids = [0, 280] }, { ids = [0, 280, 1529] }]
runs = 30
[base]
do_sample = true
max_new_tokens = 3
[grid]
temperature = [0.5, 1.0]
"#;
const ALL: usize = 120;

/// An engine that takes its time, and fails in one of four ways as `draws` says.
fn failing(draws: Draws, asked: &Arc<AtomicUsize>) -> Fake {
    let asked = Arc::clone(asked);
    Fake::new(move |got, stream| {
        if got.path != "/completion" {
            return false;
        }
        let number = asked.fetch_add(1, Ordering::Relaxed) as u64;
        let bits = draws.bits(Purpose::Custom(2), number);
        sleep(Duration::from_millis(bits >> 8 & 7));
        match bits % 16 {
            0 => send(stream, "429 Slow", "application/json", "{}"),
            1 => send(stream, "503 Busy", "application/json", "{}"),
            2 => {
                begin(stream);
                event(stream, &token(1, 1));
            }
            3 => {}
            _ => answer(got, stream),
        }
        true
    })
}

#[test]
fn kills_lose_no_run_and_repeat_none() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&dir, SPEC);
    let whole = dir.path().join("whole");
    let well = Fake::well();
    let ran = taper(["sweep", &spec, "--out", whole.to_str().unwrap(), "--engine", &well.url]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let want = contents(&whole);
    assert_eq!(want.len(), ALL);

    let seed = draw_seed();
    let draws = Draws::new(DrawKey::new(seed));
    let asked = Arc::new(AtomicUsize::new(0));
    let engines = [failing(draws, &asked), failing(draws, &asked), Fake::well()];
    let out = dir.path().join("killed");
    let mut args = vec!["sweep", &spec, "--out", out.to_str().unwrap(), "--resume"];
    args.extend(engines.iter().flat_map(|engine| ["--engine", engine.url.as_str()]));
    args.extend(["--concurrency", "2"]);
    let length = || fs::metadata(out.join("records.jsonl")).map_or(0, |file| file.len());
    let mut in_the_middle = 0;
    for kill in 0..12 {
        // The engine that behaves well goes away in the middle.
        if kill == 4 {
            engines[2].die();
        }
        let mut child = command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let began = length();
        while length() <= began && child.try_wait().unwrap().is_none() {
            sleep(Duration::from_millis(1));
        }
        sleep(Duration::from_millis(draws.bits(Purpose::Custom(1), kill) % 10));
        // SIGKILL where there are signals.
        child.kill().unwrap();
        child.wait().unwrap();
        let text = fs::read_to_string(out.join("records.jsonl")).unwrap();
        let whole = text.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok());
        in_the_middle += usize::from((1..ALL).contains(&whole.count()));
    }
    let last = taper(&args);
    assert_eq!(last.code, Some(0), "seed {seed}: {}", last.stderr);
    let ids: BTreeSet<String> =
        records(&out).iter().map(|record| record["id"].to_string()).collect();
    assert_eq!((ids.len(), records(&out).len()), (ALL, ALL), "seed {seed}");
    assert!(contents(&out) == want, "seed {seed}: the records are others");
    assert!(in_the_middle > 0, "seed {seed}: no kill left a part of the runs behind");
}
