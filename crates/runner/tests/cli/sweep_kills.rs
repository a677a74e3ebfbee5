//! A sweep that is killed again and again.

use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use taper_runner::draw_seed;
use taper_runner::experiment::Records;
use taper_runner::sampling::{DrawKey, Draws, Purpose};

use crate::support::{command, taper};
use crate::sweep::{lines, run, spec};

const SPEC: &str = r#"
title = "To be killed"
prompts = ["The old lighthouse", "a random tree:"]
runs = 30
top_logprobs = 0
trace = false
[base]
do_sample = true
max_new_tokens = 16
[grid]
temperature = [0.5, 1.0]
"#;

#[test]
fn twenty_kills_lose_nothing_and_repeat_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(&dir, SPEC);
    let whole = dir.path().join("whole");
    assert_eq!(run(&spec, &whole, &["--jobs", "2"]).code, Some(0));
    let want = lines(&whole);
    assert_eq!(want.len(), 120);

    let out = dir.path().join("killed");
    let seed = draw_seed();
    let draws = Draws::new(DrawKey::new(seed));
    let (mut in_the_middle, mut before) = (0, 0);
    for kill in 0..20 {
        let args = ["sweep", &spec, "--out", out.to_str().unwrap(), "--resume", "--jobs", "2"];
        let mut child = command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Every other time when there is something new, so that on a slow machine too there is.
        let length = || fs::metadata(out.join("records.jsonl")).map_or(0, |file| file.len());
        let (began, most) = (length(), if kill % 2 == 0 { 200 } else { 20 });
        while kill % 2 == 1 && length() <= began && child.try_wait().unwrap().is_none() {
            sleep(Duration::from_millis(1));
        }
        sleep(Duration::from_millis(draws.bits(Purpose::Custom(1), kill) % most));
        // SIGKILL where there are signals.
        child.kill().unwrap();
        child.wait().unwrap();
        let held = Records::read(&out).map_or(0, |read| read.records.len());
        assert!(held >= before, "seed {seed}, kill {kill}: {held} records after {before}");
        in_the_middle += usize::from((1..120).contains(&held));
        before = held;
    }
    let last = run(&spec, &out, &["--resume"]);
    assert_eq!(last.code, Some(0), "seed {seed}: {}", last.stderr);
    assert!(lines(&out) == want, "seed {seed}: the records are others");
    assert!(in_the_middle > 0, "seed {seed}: no kill left a part of the runs behind");
}

#[test]
fn a_last_line_that_was_cut_off_is_kept_aside() {
    let dir = tempfile::tempdir().unwrap();
    let text = "title = 'x'\nprompts = ['a random tree:']\nruns = 4\nbase = { do_sample = true, max_new_tokens = 3 }";
    let (spec, out) = (spec(&dir, text), dir.path().join("out"));
    assert_eq!(run(&spec, &out, &[]).code, Some(0));
    let (want, path) = (lines(&out), out.join("records.jsonl"));
    let whole = fs::read(&path).unwrap();
    let last = 1 + whole[..whole.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap();
    let aside = out.join("records.cut-off.jsonl");
    // In the middle of the line; all of it but its end; a line of something else.
    let endings = [
        whole[last..last + 40].to_vec(),
        whole[last..whole.len() - 1].to_vec(),
        b"\xff\xfe no record\n".to_vec(),
    ];
    for (i, ending) in endings.iter().enumerate() {
        fs::write(&path, [&whole[..last], ending].concat()).unwrap();
        let read = Records::read(&out).unwrap();
        assert_eq!((read.records.len(), read.cut_off.is_some()), (3, true));
        let ran = run(&spec, &out, &["--resume"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let note = format!(
            "note: the last line of the records was cut off; it is in {}, and its run is made again\n",
            aside.display()
        );
        assert!(ran.stderr.starts_with(&note), "{}", ran.stderr);
        assert_eq!(lines(&out), want);
        assert_eq!(fs::read_to_string(&aside).unwrap().lines().count(), i + 1);
    }
}

#[test]
fn another_line_that_is_no_record_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let text = "title = 'x'\nprompts = ['a random tree:']\nruns = 3\nbase = { do_sample = true, max_new_tokens = 3 }";
    let (spec, out) = (spec(&dir, text), dir.path().join("out"));
    assert_eq!(run(&spec, &out, &[]).code, Some(0));
    let path = out.join("records.jsonl");
    let whole = fs::read_to_string(&path).unwrap();
    let mut broken: Vec<&str> = whole.lines().collect();
    broken[1] = "{}";
    fs::write(&path, broken.join("\n") + "\n").unwrap();
    for ran in [run(&spec, &out, &["--resume"]), taper(["summarize", out.to_str().unwrap()])] {
        let want = format!("error: {}: line 2 is no record: missing field `id`", path.display());
        assert!(ran.stderr.starts_with(&want), "{}", ran.stderr);
        assert_eq!(ran.code, Some(2));
    }
}

#[test]
fn one_sweep_at_a_time_works_in_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let text = "title = 'x'\nprompts = ['a random tree:']\nbase = { max_new_tokens = 3 }";
    let (spec, out) = (spec(&dir, text), dir.path().join("out"));
    assert_eq!(run(&spec, &out, &[]).code, Some(0));
    let file = fs::OpenOptions::new().append(true).open(out.join("records.jsonl")).unwrap();
    file.lock().unwrap();
    let ran = run(&spec, &out, &["--resume"]);
    let dir = out.display();
    let want = format!(
        "error: --out: {dir} is in use by another sweep; wait for it, or name another folder\n"
    );
    assert_eq!((ran.code, ran.stderr), (Some(2), want));
    file.unlock().unwrap();
    assert_eq!(run(&spec, &out, &["--resume"]).code, Some(0));
}
