//! The page's server as a browser meets it; the page itself is checked by `scripts/explore-check.sh`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::support::{command, json as generated, llama, taper, tokens};

/// A running `taper explore`.
struct Explorer {
    child: Child,
    port: u16,
    /// With both slashes.
    secret: String,
}

impl Explorer {
    fn new(args: &[&str]) -> Self {
        let llama = llama();
        let fixed = ["explore", "--model", llama.to_str().unwrap(), "--port", "0"];
        let mut command = command(fixed.iter().chain(args));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let rest = line.trim_end().strip_prefix("http://127.0.0.1:").expect("an address");
        let (port, path) = rest.split_once('/').unwrap();
        Self { child, port: port.parse().unwrap(), secret: format!("/{path}") }
    }

    /// An answer's status, headers and body.
    fn send(&self, request: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
        let body = if chunked { joined(body) } else { body.to_owned() };
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_owned(), body)
    }

    fn get(&self, path: &str, host: &str, more: &str) -> (u16, String, String) {
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n"
        ))
    }

    fn own(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn post(&self, question: &str, body: &Value) -> (u16, Value) {
        let (body, host, secret) = (body.to_string(), self.own(), &self.secret);
        let head = format!(
            "POST {secret}api/{question} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
        );
        let (status, _, text) = self.send(&format!(
            "{head}Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ));
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    fn asked(&self, question: &str, body: &Value) -> Value {
        let (status, answer) = self.post(question, body);
        assert_eq!(status, 200, "{answer}");
        answer
    }

    fn refused(&self, question: &str, body: &Value) -> String {
        let (status, answer) = self.post(question, body);
        assert_eq!(status, 400, "{answer}");
        answer["error"].as_str().unwrap().to_owned()
    }
}

impl Drop for Explorer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What was sent in chunks.
fn joined(mut chunks: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = chunks.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a size");
        whole.push_str(&rest[..size]);
        chunks = rest[size..].trim_start_matches("\r\n");
    }
    whole
}

fn place(ids: &[u64], prompt: usize, knobs: &Value) -> Value {
    json!({ "tokens": ids, "prompt": prompt, "knobs": knobs })
}

#[test]
fn only_the_page_itself_may_ask() {
    let explorer = Explorer::new(&["x", "--allow-host", "tunnel.example"]);
    let (own, secret) = (explorer.own(), explorer.secret.clone());
    let (status, head, page) = explorer.get(&secret, &own, "");
    assert_eq!(status, 200);
    assert!(head.contains("content-security-policy: default-src 'none'"), "{head}");
    assert!(head.contains("referrer-policy: no-referrer"), "{head}");
    assert!(page.contains("<title>taper explore</title>"));
    assert!(!page.contains(secret.trim_matches('/')), "the page does not repeat its token");
    let port = explorer.port;
    for host in [format!("localhost:{port}"), "tunnel.example".to_owned()] {
        assert_eq!(explorer.get(&secret, &host, "").0, 200, "{host}");
    }
    for (path, host, more) in [
        ("/", own.as_str(), ""),
        ("/page.css", &own, ""),
        ("/0123456789abcdef0123456789abcdef/", &own, ""),
        (&secret, "evil.example", ""),
        (&secret, &format!("evil.example:{port}"), ""),
        (&secret, "127.0.0.1:1", ""),
        (&secret, &own, "Origin: http://evil.example\r\n"),
        (&secret, &own, "Origin: null\r\n"),
    ] {
        let (status, head, body) = explorer.get(path, host, more);
        assert_eq!(status, 403, "{path} {host} {more}");
        assert!(head.contains("content-security-policy"), "{head}");
        assert!(!body.contains("<title>"), "{body}");
    }
    // What the page names is there.
    for (_, rest) in page.match_indices("src=\"").map(|(at, found)| page.split_at(at + found.len()))
    {
        let name = rest.split('"').next().unwrap();
        assert_eq!(explorer.get(&format!("{secret}{name}"), &own, "").0, 200, "{name}");
    }
    assert_eq!(explorer.get(&format!("{secret}nothing.js"), &own, "").0, 404);
}

#[test]
fn a_step_is_that_of_generate_and_inspect() {
    let settings =
        ["--do-sample", "true", "--temperature", "0.8", "--top-k", "40", "--top-p", "0.8"];
    let flags = [&["Hello", "--seed", "3", "--max-new-tokens", "6"], &settings[..]].concat();
    let run = generated(&[&flags[..], &["--trace"]].concat());
    let prompt: Vec<u64> =
        run["prompt_tokens"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
    let made = tokens(&run);
    let explorer = Explorer::new(&[]);
    let knobs =
        json!({"do_sample": true, "temperature": 0.8, "top_k": 40, "top_p": 0.8, "seed": 3});
    for (step, &token) in made.iter().enumerate() {
        let ids = [&prompt[..], &made[..step]].concat();
        let look = explorer.asked("look", &json!({ "place": place(&ids, prompt.len(), &knobs) }));
        assert_eq!(look["chosen"], token, "step {step}");
        let told = &run["sequences"][0]["steps"][step];
        for (stage, traced) in
            look["stages"].as_array().unwrap().iter().zip(told["stages"].as_array().unwrap())
        {
            assert_eq!(stage["name"], traced["stage"]);
            for key in ["before", "after", "removed_mass", "ties"] {
                assert_eq!(stage[key], traced[key], "{key}");
            }
        }
        let seen = look["tokens"].as_array().unwrap();
        let own = seen.iter().find(|seen| seen["id"] == token).unwrap();
        let raw = own["p"][0].as_f64().unwrap();
        assert!((raw - told["logprob"].as_f64().unwrap().exp()).abs() < 1e-12);
        assert_eq!(own["p"].as_array().unwrap().len(), 4);
        let last = |seen: &Value| seen["p"][3].as_f64();
        let share: f64 = seen.iter().filter_map(last).sum();
        assert!((share - 1.0).abs() < 1e-6, "{share}");
        assert!((last(own).unwrap() - told["probability"].as_f64().unwrap()).abs() < 1e-12);
        for gone in seen.iter().filter(|seen| seen["p"][3].is_null()) {
            assert!(gone["removed_by"].is_u64(), "{gone}");
        }
    }
    // The same tokens come as a stream.
    let asked = json!({ "place": place(&prompt, prompt.len(), &knobs), "count": 6 });
    let (status, lines) = explorer.post("run", &asked);
    let ids: Vec<u64> = lines
        .as_str()
        .expect("lines")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_u64().unwrap())
        .collect();
    assert_eq!((status, ids), (200, made));
}

#[test]
fn a_stage_can_be_off_and_draws_follow_the_bars() {
    let explorer = Explorer::new(&["Hello", "--do-sample", "true", "--top-k", "3"]);
    let begun = explorer.asked("begin", &json!({}));
    let prompt: Vec<u64> = begun["prompt"]
        .as_array()
        .unwrap()
        .iter()
        .map(|token| token["id"].as_u64().unwrap())
        .collect();
    assert_eq!(begun["started_with"], json!({"do_sample": true, "top_k": 3}));
    let mut here = place(&prompt, prompt.len(), &json!({"temperature": 1.0, "top_p": 1.0}));
    let look = explorer.asked("look", &json!({ "place": here }));
    let stages = look["stages"].as_array().unwrap();
    let top_k = stages.iter().position(|stage| stage["name"] == "top_k").unwrap();
    assert_eq!(look["kept"], 3);
    let drawn = explorer.asked("redraw", &json!({ "place": here, "draws": 2000 }));
    let counts = drawn["counts"].as_array().unwrap();
    assert_eq!(counts.iter().map(|count| count[1].as_u64().unwrap()).sum::<u64>(), 2000);
    for seen in look["tokens"].as_array().unwrap() {
        let share = seen["p"].as_array().unwrap().last().unwrap().as_f64().unwrap_or(0.0);
        let count = counts.iter().find(|count| count[0] == seen["id"]);
        let found = count.map_or(0.0, |count| count[1].as_f64().unwrap() / 2000.0);
        // Five standard deviations of the most uncertain share; the draws are the same in every run.
        assert!((share - found).abs() < 0.056, "{seen}: {found}");
    }
    here["off"] = json!([top_k]);
    let look = explorer.asked("look", &json!({ "place": here }));
    assert_eq!(look["stages"][top_k]["off"], true);
    assert!(look["kept"].as_u64().unwrap() > 3);
}

#[test]
fn what_cannot_be_is_said_in_a_line() {
    let explorer = Explorer::new(&[]);
    let look = |ids: &[u64], prompt: usize, knobs: Value| {
        explorer.refused("look", &json!({ "place": place(ids, prompt, &knobs) }))
    };
    assert_eq!(look(&[], 0, json!({})), "the prompt is empty; type some text");
    assert_eq!(look(&[1, 5000], 1, json!({})), "token 5000 does not exist; ids are below 288");
    assert!(look(&[1], 1, json!({"top_p": 3})).contains("top_p"));
    assert!(look(&[1], 1, json!({"topp": 0.5})).contains("top_p"));
    assert!(look(&[1], 1, json!({"seed": -1})).starts_with("seed is -1; it must be"));
    assert!(look(&vec![5; 512], 1, json!({})).contains("context of 512 tokens"));
    let draws = json!({ "place": place(&[1], 1, &json!({})), "draws": 10_001 });
    assert_eq!(explorer.refused("redraw", &draws), "10001 draws; there must be 1 to 10000");
    let beams = json!({ "place": place(&[1], 1, &json!({})), "count": 99 });
    assert_eq!(explorer.refused("beams", &beams), "99 beams; there must be 1 to 16");
    assert!(explorer.refused("nonsense", &json!({})).contains("no question called nonsense"));
    assert!(explorer.refused("look", &json!([])).starts_with("the question: "));
    let long = json!({ "text": "x".repeat(2 << 20) });
    assert_eq!(explorer.post("tokens", &long).0, 413);
}

#[test]
fn what_was_tried_is_kept_as_a_sweep_where_that_was_asked_for() {
    let spec = |runs: u32| {
        json!({ "spec": format!("title = \"t\"\nruns = {runs}\ncontrol = false\n[[prompts]]\nids = [5, 6]\n[[settings]]\nlabel = \"x\"\n\
                                 temperature = 0.5\ndo_sample = true\nmax_new_tokens = 4\n") })
    };
    let explorer = Explorer::new(&[]);
    assert!(explorer.refused("keep", &spec(2)).starts_with("nothing is written: start"));
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept");
    let explorer = Explorer::new(&["--keep", kept.to_str().unwrap()]);
    let refused = explorer.refused("keep", &spec(1001));
    assert!(refused.starts_with("1001 runs; at most 1000"), "{refused}");
    assert!(explorer.refused("keep", &json!({ "spec": "nonsense = 1" })).contains("nonsense"));
    assert!(!kept.exists(), "what is refused writes nothing");
    for folder in ["tried-1", "tried-2"] {
        let made = explorer.asked("keep", &spec(2));
        let folder = kept.join(folder);
        let report = folder.join("report.html");
        assert_eq!(made, json!({ "runs": 2, "report": report.to_str().unwrap() }));
        assert!(std::fs::read_to_string(&report).unwrap().contains('x'));
        let ran = taper(["summarize", folder.to_str().unwrap()]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let explorer = Explorer::new(&[]);
    let ran = taper(["explore", "--port", &explorer.port.to_string()]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.contains("cannot listen on 127.0.0.1:"), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    let ran = taper(["explore", "--top-p", "7", "--port", "0"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_it() {
    let mut explorer = Explorer::new(&["x"]);
    let id = explorer.child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(explorer.child.wait().unwrap().code(), Some(130));
}
