//! Files that are read and written: FIFOs, devices, links, full disks, and paths that are not there.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::{Ran, command, llama, taper, taper_reading};
use crate::sweep::spec;

/// A folder for outputs, with the output of a sweep in it.
struct Place {
    dir: TempDir,
}

const SPEC: &str = "title = 'x'\nprompts = ['a random tree:']\nruns = 3\n\
                    base = { do_sample = true, max_new_tokens = 3 }";

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn with_sweep() -> Self {
        let place = Self::new();
        let ran = place.sweep(&[]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        place
    }

    fn sweep(&self, args: &[&str]) -> Ran {
        let (spec, out) = (spec(&self.dir, SPEC), self.at("sweep"));
        taper(["sweep", &spec, "--out", out.to_str().unwrap()].iter().chain(args))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn path(&self, name: &str) -> String {
        self.at(name).into_os_string().into_string().unwrap()
    }

    /// A FIFO, if the system has the command.
    fn fifo(&self, name: &str) -> bool {
        let made = Command::new("mkfifo").arg(self.at(name)).status();
        let made = made.is_ok_and(|status| status.success());
        if !made {
            eprintln!("skipped: there is no mkfifo");
        }
        made
    }

    /// The commands that write a file, each to the same one.
    fn writers(&self, out: &str) -> [Vec<String>; 4] {
        let sweep = self.path("sweep");
        let text = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect();
        [
            text(&["export-gguf", "builtin", out]),
            text(&["score", "--prompt-ids", "1,2,3", "--dump", "hidden", out]),
            text(&["generate", "x", "--max-new-tokens", "2", "--dump", "hidden", out]),
            text(&["report", &sweep, "--out", out]),
        ]
    }

    fn no_part_is_left(&self) {
        let names = fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let parts: Vec<_> = names.filter(|name| name.to_string_lossy().contains(".part")).collect();
        assert!(parts.is_empty(), "{parts:?}");
    }
}

/// Runs the program by a shell, as `taper` in its `script`.
fn shell(script: &str) -> Output {
    let taper = env!("CARGO_BIN_EXE_taper");
    let script = script.replace("taper", taper);
    Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).output().unwrap()
}

fn line(ran: &Ran) -> String {
    assert_eq!(ran.stderr.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{ran:?}");
    ran.stderr.lines().last().unwrap().to_owned()
}

#[test]
fn a_link_is_followed_and_a_device_stays_one() {
    let place = Place::with_sweep();
    for (i, args) in place.writers(&place.path("link")).iter().enumerate() {
        let target = format!("target-{i}");
        let _ = fs::remove_file(place.at("link"));
        symlink(&target, place.at("link")).unwrap();
        let ran = taper(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.stderr);
        assert!(place.at("link").is_symlink(), "{args:?}");
        assert!(fs::metadata(place.at(&target)).unwrap().len() > 100, "{args:?}");
    }
    for args in place.writers("/dev/full") {
        let ran = taper(&args);
        assert_eq!(ran.code, Some(1), "{args:?}: {ran:?}");
        assert!(line(&ran).contains("/dev/full: No space left on device"), "{args:?}: {ran:?}");
        assert!(fs::metadata("/dev/full").unwrap().file_type().is_char_device());
    }
    for args in place.writers(&place.path("no/such")) {
        let ran = taper(&args);
        assert_eq!(ran.code, Some(2), "{args:?}: {ran:?}");
        assert!(line(&ran).ends_with("no/such: there is no such folder to write to"), "{ran:?}");
    }
    place.no_part_is_left();
}

#[test]
fn a_fifo_with_a_reader_is_written_to() {
    let place = Place::with_sweep();
    if !place.fifo("fifo") {
        return;
    }
    let whole = place.path("whole");
    for (args, to_file) in place.writers(&place.path("fifo")).iter().zip(place.writers(&whole)) {
        let mut child = command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut bytes = Vec::new();
        File::open(place.at("fifo")).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{args:?}");
        assert!(place.at("fifo").metadata().unwrap().file_type().is_fifo());
        if !args.contains(&"generate".to_owned()) {
            assert_eq!(taper(to_file).code, Some(0));
            assert!(bytes == fs::read(&whole).unwrap(), "{args:?}");
        }
    }
}

#[test]
fn modes_follow_the_umask_and_are_kept() {
    let place = Place::with_sweep();
    let mode = |name: &str| fs::metadata(place.at(name)).unwrap().mode() & 0o7777;
    for (i, args) in place.writers(&place.path("out")).iter().enumerate() {
        let _ = fs::remove_file(place.at("out"));
        let script = |umask| format!("umask {umask}; taper '{}'", args.join("' '"));
        assert!(shell(&script("027")).status.success(), "{args:?}");
        assert_eq!(mode("out"), 0o640, "{args:?}");
        let kept = 0o604 + i as u32 % 2;
        fs::set_permissions(place.at("out"), fs::Permissions::from_mode(kept)).unwrap();
        assert!(shell(&script("077")).status.success(), "{args:?}");
        assert_eq!(mode("out"), kept, "{args:?}");
    }
    for file in ["manifest.json", "records.jsonl", "summary.csv"] {
        let usual = place.at("usual");
        File::create(&usual).unwrap();
        assert_eq!(mode(&format!("sweep/{file}")), mode("usual"), "{file}");
    }
}

#[test]
fn a_limit_on_files_ends_a_run_in_one_line() {
    let place = Place::with_sweep();
    fs::write(place.at("out"), "old").unwrap();
    for args in [&place.writers(&place.path("out"))[0], &place.writers(&place.path("out"))[3]] {
        let ran = shell(&format!("ulimit -f 8; taper '{}'", args.join("' '")));
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains("/out: File too large") && said.lines().count() == 1, "{said}");
        assert_eq!(fs::read_to_string(place.at("out")).unwrap(), "old");
        place.no_part_is_left();
    }
}

#[test]
fn ctrl_c_leaves_no_half_file() {
    let place = Place::new();
    let out = place.path("out.gguf");
    let args = ["export-gguf", "builtin", &out, "--dtype", "q4_k"];
    assert_eq!(taper(args).code, Some(0));
    let whole = fs::read(place.at("out.gguf")).unwrap();
    let mut interrupted = 0;
    for wait in (0..6).cycle().take(60) {
        let _ = fs::remove_file(place.at("out.gguf"));
        let mut child = command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        sleep(Duration::from_millis(20 + 30 * wait));
        let id = child.id().to_string();
        let _ = Command::new("kill").args(["-INT", &id]).stderr(Stdio::null()).status();
        let code = child.wait().unwrap().code();
        interrupted += usize::from(code != Some(0));
        assert!(matches!(code, Some(0 | 130) | None), "{code:?}");
        // The signal may also come between the last step of writing and the end of the program: then the
        // file is there, and whole.
        match fs::read(place.at("out.gguf")) {
            Ok(bytes) => {
                assert!(bytes == whole, "{code:?}: {} of {} bytes", bytes.len(), whole.len());
            }
            Err(_) => assert!(code != Some(0)),
        }
        place.no_part_is_left();
        if interrupted >= 6 {
            return;
        }
    }
    assert!(interrupted > 0, "no export was long enough to be interrupted");
}

/// Commands that say something on standard output.
fn talkers(place: &Place) -> Vec<Vec<String>> {
    let sweep = place.path("sweep");
    let lines = [
        "generate x --max-new-tokens 3",
        "generate x --max-new-tokens 3 --trace",
        "generate x --max-new-tokens 3 --format json",
        "generate x --max-new-tokens 3 --num-beams 2",
        "inspect x",
        "inspect x --format json",
        "score --prompt-ids 1,2,3",
        "score --prompt-ids 1,2,3 --format json",
        "models",
        "models builtin",
        "sweep --list",
        "sweep temperature --print",
        "--help",
        "generate --help",
        "--version",
        &format!("summarize {sweep}"),
        &format!("report {sweep}"),
        &format!("export-gguf builtin {sweep}/x.gguf"),
    ]
    .map(|line| line.split(' ').map(str::to_owned).collect());
    lines.into()
}

#[test]
fn standard_output_may_be_full_or_closed() {
    let place = Place::with_sweep();
    for args in talkers(&place) {
        let args = args.join(" ");
        let ran = shell(&format!("taper {args} > /dev/full"));
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(1), "{args}: {said}");
        let errors = said.lines().filter(|line| line.starts_with("error: ")).count();
        assert!(errors == 1 && said.contains("No space left on device"), "{args}: {said}");
        assert!(!said.contains("panicked"), "{args}: {said}");
        // The reader is gone before anything is written.
        let ran = shell(&format!("{{ sleep 0.2; taper {args}; echo $? >&2; }} | true"));
        let said = String::from_utf8(ran.stderr).unwrap();
        assert!(said.ends_with("0\n") && !said.contains("error"), "{args}: {said}");
    }
}

#[test]
fn standard_output_can_be_the_file() {
    let place = Place::with_sweep();
    for (i, args) in place.writers(&place.path("whole")).iter().enumerate() {
        // Its own text would be in between.
        if args[0] == "generate" || args[0] == "score" {
            continue;
        }
        let to = |out: &str| args.join(" ").replace(&place.path("whole"), out);
        let said = shell(&format!("taper {}", to(&place.path("whole"))));
        let whole = fs::read(place.at("whole")).unwrap();
        for out in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
            let piped = shell(&format!("taper {} | cat", to(out)));
            assert!(piped.stdout == whole, "{i}: {out}");
            let want = [said.stderr.as_slice(), &said.stdout].concat();
            let want = String::from_utf8(want).unwrap().replace(&place.path("whole"), out);
            assert_eq!(String::from_utf8(piped.stderr).unwrap(), want);
            let file = place.path("redirected");
            assert!(
                shell(&format!("echo before > {file}; taper {} >> {file}", to(out)))
                    .status
                    .success()
            );
            let got = fs::read(&file).unwrap();
            assert!(got.strip_prefix(b"before\n") == Some(&whole), "{i}: {out}");
        }
    }
}

/// What each command says of a path that is not there.
#[test]
fn a_path_that_is_not_there_is_named_with_what_would_be_right() {
    let missing = "no such file or folder; expected";
    let folder = "the output folder of a sweep";
    let model = "a folder that holds config.json and model.safetensors, a GGUF file, or the name of a \
                 model in Hugging Face's cache";
    let cases = "cases as JSON Lines, a folder of them, or a model folder with an expected.json";
    let lines = [
        ("score none.txt", "none.txt", "a text in UTF-8, or - for standard input"),
        ("generate --chat --messages none.json", "--messages none.json", "a JSON list of objects"),
        ("sweep none.toml --out x", "none.toml", "a spec in TOML, or the name of one"),
        ("report none", "none", folder),
        ("summarize none", "none", folder),
        ("conform none", "none", cases),
        ("conform none.jsonl", "none.jsonl", cases),
        ("export-gguf none x.gguf", "none", model),
        ("models none.gguf", "model: none.gguf", model),
        ("generate x --model none", "--model: none", model),
        ("generate x --model none.gguf", "--model: none.gguf", model),
        ("score --prompt-ids 1,2 --model none", "--model: none", model),
        ("inspect x --model none", "--model: none", model),
        ("generate x --draft-model none", "--draft-model: none", model),
    ];
    for (args, what, expected) in lines {
        let ran = taper(args.split(' '));
        assert_eq!(ran.stderr, format!("error: {what}: {missing} {expected}\n"), "{args}");
        assert_eq!((ran.code, &ran.stdout[..]), (Some(2), ""), "{args}");
    }
    let file = file!();
    for command in ["report", "summarize"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
        let ran = taper([command, file.to_str().unwrap()]);
        let want = format!("error: {}: it is a file; expected {folder}\n", file.display());
        assert_eq!((ran.code, ran.stderr), (Some(2), want));
    }
}

#[test]
fn pipes_are_read_and_what_has_no_end_is_refused() {
    let llama = llama();
    let llama = llama.to_str().unwrap();
    let text = taper_reading(b"a text", ["score", "-", "--model", llama]);
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    let piped = taper_reading(b"a text", ["score", "/dev/stdin", "--model", llama]);
    assert_eq!((piped.code, piped.stdout), (Some(0), text.stdout));
    let turns = b"[{\"role\": \"user\", \"content\": \"x\"}]";
    let args = "generate --chat --messages /dev/stdin --max-new-tokens 2 --model";
    let ran = taper_reading(turns, args.split(' ').chain([llama]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let case = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../sampling/testdata/vllm.jsonl"),
    );
    let case = case.unwrap().lines().next().unwrap().to_owned();
    let ran = taper_reading(case.as_bytes(), ["conform", "/dev/stdin"]);
    assert_eq!(ran.stdout, "1 passed, 0 failed\n", "{}", ran.stderr);

    let endless = [
        ("score /dev/zero", "/dev/zero: it has more than 256 MiB"),
        ("generate --chat --messages /dev/zero", "--messages /dev/zero: it has more than 64 MiB"),
        ("sweep /dev/zero --out x", "/dev/zero: it has more than 64 MiB"),
        ("generate x --model /dev/urandom", "--model: /dev/urandom: not a folder; expected"),
        ("models /dev/zero", "model: /dev/zero: not a folder; expected"),
        ("export-gguf /dev/zero x", "/dev/zero: not a folder; expected"),
        ("report /dev/zero", "/dev/zero: it is a device; expected the output folder of a sweep"),
        ("sweep temperature --out /dev/null", "/dev/null: it is a device; expected a folder"),
    ];
    for (args, start) in endless {
        let ran = taper(args.split(' '));
        assert_eq!(ran.code, Some(2), "{args}: {ran:?}");
        assert!(line(&ran).starts_with(&format!("error: {start}")), "{args}: {}", ran.stderr);
    }
    let ran = shell("yes | taper score -");
    let said = String::from_utf8(ran.stderr).unwrap();
    assert!(
        said.starts_with("error: standard input: it has more than 256 MiB, the most"),
        "{said}"
    );
}

#[test]
fn a_fifo_that_no_program_writes_to_ends_every_command() {
    let place = Place::with_sweep();
    if !place.fifo("fifo") || !place.fifo("report.html") || !place.fifo("endless.toml") {
        return;
    }
    if !place.fifo("out.gguf") {
        return;
    }
    let (fifo, spec) = (place.path("fifo"), place.path("endless.toml"));
    let lines = [
        format!("score {fifo}"),
        format!("generate --chat --messages {fifo}"),
        format!("sweep {spec} --out {fifo}-out"),
        format!("conform {fifo}"),
        format!("export-gguf builtin {}", place.path("out.gguf")),
        format!("report {}", place.path("sweep")) + " --out " + &place.path("report.html"),
    ];
    // All at once: each waits for some seconds.
    let children: Vec<_> = lines
        .iter()
        .map(|line| {
            let mut command = command(line.split(' '));
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for (args, child) in lines.iter().zip(children) {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args}: {said}");
        assert!(said.contains("this FIFO; ") && said.lines().count() == 1, "{args}: {said}");
    }
    for file in ["manifest.json", "records.jsonl"] {
        fs::remove_file(place.at("sweep").join(file)).unwrap();
        assert!(place.fifo(&format!("sweep/{file}")));
        let sweep = place.path("sweep");
        for args in [["report", &sweep], ["summarize", &sweep]] {
            let ran = taper(args);
            assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.stderr);
            assert!(line(&ran).contains("it is a FIFO; expected a regular file"), "{}", ran.stderr);
        }
        let ran = place.sweep(&["--resume"]);
        assert!(line(&ran).contains("it is a FIFO; expected a regular file"), "{}", ran.stderr);
    }
}

#[test]
fn the_folder_of_a_sweep_may_be_made_of_links() {
    let place = Place::new();
    fs::create_dir(place.at("elsewhere")).unwrap();
    fs::create_dir(place.at("sweep")).unwrap();
    for file in ["manifest.json", "records.jsonl", "summary.csv"] {
        symlink(place.at("elsewhere").join(file), place.at("sweep").join(file)).unwrap();
    }
    for args in [&[][..], &["--resume"]] {
        let ran = place.sweep(args);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        for file in ["manifest.json", "records.jsonl", "summary.csv"] {
            assert!(place.at("sweep").join(file).is_symlink(), "{file}");
            assert!(place.at("elsewhere").join(file).metadata().unwrap().len() > 0, "{file}");
        }
    }
}

#[test]
fn a_run_that_is_recorded_twice_counts_once_and_is_put_aside() {
    let place = Place::with_sweep();
    let path = place.at("sweep/records.jsonl");
    let good = fs::read_to_string(&path).unwrap();
    let before = taper(["summarize", &place.path("sweep")]);
    let lines: Vec<&str> = good.lines().collect();
    let other = lines[1].replacen("\"text\":\"", "\"text\":\"other ", 1);
    assert_ne!(other, lines[1]);
    fs::write(&path, format!("{good}{}\n{other}\n", lines[0])).unwrap();
    let what = "2 records are of runs that are there already; a run counts once, by its first record \
                (1 of them not the same as that)";
    let ran = taper(["summarize", &place.path("sweep")]);
    assert_eq!(ran.stderr, format!("note: {what}\n"));
    assert_eq!(ran.stdout, before.stdout.replacen('\n', &format!("\n\n{what}.\n"), 1));
    let ran = taper(["report", &place.path("sweep")]);
    assert_eq!(ran.stderr, format!("note: {what}\n"));
    assert!(ran.stdout.contains("report.html: 3 runs, "), "{}", ran.stdout);
    let page = fs::read_to_string(place.at("sweep/report.html")).unwrap();
    assert!(page.contains("[\"records left out\",\"2 records are of runs"));

    let aside = place.path("sweep/records.repeated.jsonl");
    let ran = place.sweep(&["--resume"]);
    assert_eq!(ran.code, Some(0));
    let note = format!(
        "note: some records are of runs that are there already; they go to {aside} in the end\n"
    );
    assert!(ran.stderr.starts_with(&note), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(&path).unwrap(), good);
    assert_eq!(fs::read_to_string(aside).unwrap(), format!("{}\n{other}\n", lines[0]));
}
