//! What is no regular file where a model has one, and how files are written.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::thread;

use taper_models::files::{FileError, FileKind, check_output, is_stdout, write_file};
use taper_models::{GgufType, LoadOptions, export_gguf, load};
use tempfile::TempDir;

use crate::golden::folder;

/// A FIFO, if the system has the command.
fn fifo(path: &Path) -> bool {
    let made = Command::new("mkfifo").arg(path).status().is_ok_and(|status| status.success());
    if !made {
        eprintln!("skipped: there is no mkfifo");
    }
    made
}

/// A copy of the tiny llama with all the files that a folder may have, its weights in a shard.
fn llama() -> TempDir {
    let copy = TempDir::new().unwrap();
    for file in fs::read_dir(folder("llama")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    let at = |name: &str| copy.path().join(name);
    fs::rename(at("model.safetensors"), at("shard.safetensors")).unwrap();
    let index = "{\"weight_map\": {\"lm_head.weight\": \"shard.safetensors\"}}";
    fs::write(at("model.safetensors.index.json"), index).unwrap();
    copy
}

const FILES: [(&str, &str); 7] = [
    ("config.json", "a regular file of JSON"),
    ("generation_config.json", "a regular file of JSON"),
    ("tokenizer_config.json", "a regular file of JSON"),
    ("model.safetensors.index.json", "a regular file of JSON"),
    ("tokenizer.json", "a regular file with a tokenizer"),
    ("chat_template.jinja", "a regular file with a chat template"),
    ("shard.safetensors", "a regular file of weights"),
];

/// What is said of a folder whose file was spoiled.
fn refusal(file: &str, spoil: impl FnOnce(&Path)) -> String {
    let copy = llama();
    let path = copy.path().join(file);
    fs::remove_file(&path).unwrap();
    spoil(&path);
    let error = load(copy.path(), &LoadOptions::default()).unwrap_err();
    error.to_string().replace(copy.path().to_str().unwrap(), "DIR")
}

#[test]
fn a_folder_with_all_its_files_loads() {
    load(llama().path(), &LoadOptions::default()).unwrap();
}

#[test]
fn what_is_no_regular_file_is_refused_wherever_a_model_has_one() {
    let temporary = TempDir::new().unwrap();
    if !fifo(&temporary.path().join("fifo")) {
        return;
    }
    let is = |file: &str, found: &str, expected: &str| {
        format!("DIR/{file}: it is {found}; expected {expected}")
    };
    for (file, expected) in FILES {
        let said = refusal(file, |path| assert!(fifo(path)));
        assert_eq!(said, is(file, "a FIFO", expected));
        let said = refusal(file, |path| symlink("/dev/urandom", path).unwrap());
        assert_eq!(said, is(file, "a device", expected));
        let said = refusal(file, |path| fs::create_dir(path).unwrap());
        assert_eq!(said, is(file, "a folder", expected));
        let said = refusal(file, |path| drop(UnixListener::bind(path).unwrap()));
        assert_eq!(said, is(file, "a socket", expected));
    }
}

#[test]
fn files_without_measure_are_refused_before_they_are_read() {
    for (file, expected) in &FILES[..6] {
        let limit = match *file {
            "tokenizer.json" => "512 MiB",
            "chat_template.jinja" => "16 MiB",
            _ => "64 MiB",
        };
        // A hole, which takes no room on the disk.
        let said = refusal(file, |path| File::create(path).unwrap().set_len(1 << 40).unwrap());
        let want = format!(
            "DIR/{file}: it has more than {limit}, the most that is accepted; expected {expected}"
        );
        assert_eq!(said, want);
    }
}

#[test]
fn a_path_of_a_model_that_is_no_file_is_refused() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("model.gguf");
    if !fifo(&path) {
        return;
    }
    for path in [&path, Path::new("/dev/urandom")] {
        let said = load(path, &LoadOptions::default()).unwrap_err().to_string();
        assert!(
            said.ends_with(
                "not a folder; expected one that holds config.json and model.safetensors"
            ),
            "{said}"
        );
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<u64, FileError> {
    write_file(path, |sink| sink.write_all(bytes))
}

fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn symlinks_are_followed_and_stay() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("inner")).unwrap();
    fs::write(at("inner/old"), "old").unwrap();
    // A link to a link to a file, and one to a file that is not there yet; both relative.
    symlink("inner/old", at("near")).unwrap();
    symlink("near", at("far")).unwrap();
    symlink("inner/new", at("dangling")).unwrap();
    assert_eq!(write(&at("far"), b"one").unwrap(), 3);
    assert_eq!(write(&at("dangling"), b"two").unwrap(), 3);
    assert_eq!(fs::read_to_string(at("inner/old")).unwrap(), "one");
    assert_eq!(fs::read_to_string(at("inner/new")).unwrap(), "two");
    for link in ["near", "far", "dangling"] {
        assert!(at(link).is_symlink(), "{link}");
    }
    assert_eq!(names(dir.path()), ["dangling", "far", "inner", "near"]);
    assert_eq!(names(&at("inner")), ["new", "old"]);

    symlink("round", at("about")).unwrap();
    symlink("about", at("round")).unwrap();
    write(&at("round"), b"x").unwrap_err();
    symlink("no/such/folder", at("nowhere")).unwrap();
    let said = write(&at("nowhere"), b"x").unwrap_err().to_string();
    assert!(said.ends_with("nowhere: there is no such folder to write to"), "{said}");
}

#[test]
fn modes_are_kept_and_new_files_have_what_the_umask_leaves() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    let mode = |name: &str| fs::metadata(at(name)).unwrap().mode() & 0o7777;
    File::create(at("plain")).unwrap();
    write(&at("new"), b"x").unwrap();
    assert_eq!(mode("new"), mode("plain"));
    for kept in [0o604, 0o751, 0o600] {
        fs::set_permissions(at("new"), fs::Permissions::from_mode(kept)).unwrap();
        write(&at("new"), b"y").unwrap();
        assert_eq!(mode("new"), kept);
    }
}

#[test]
fn what_fails_leaves_the_old_file_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "old").unwrap();
    let error = write_file(&path, |sink| {
        sink.write_all(&vec![b'x'; 1 << 20])?;
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        Err(io::Error::other("enough"))
    });
    assert_eq!(error.unwrap_err().to_string(), format!("{}: enough", path.display()));
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(names(dir.path()), ["file"]);
}

#[test]
fn pipes_and_devices_are_written_to_and_stay() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("fifo");
    if !fifo(&path) {
        return;
    }
    let reader = {
        let path = path.clone();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
            bytes
        })
    };
    let bytes: Vec<u8> = (0..1 << 20).map(|i: u32| i as u8).collect();
    assert_eq!(write(&path, &bytes).unwrap(), 1 << 20);
    assert!(reader.join().unwrap() == bytes);
    assert!(fs::metadata(&path).unwrap().file_type().is_fifo());

    assert_eq!(write(Path::new("/dev/null"), b"x").unwrap(), 1);
    let link = dir.path().join("full");
    symlink("/dev/full", &link).unwrap();
    for path in [Path::new("/dev/full"), &link] {
        let error = write(path, b"x").unwrap_err();
        assert_eq!(error.io().map(io::Error::kind), Some(io::ErrorKind::StorageFull), "{error}");
        assert!(!error.is_about_the_path());
        assert!(fs::metadata(path).unwrap().file_type().is_char_device());
    }
    assert!(link.is_symlink());
    assert_eq!(names(dir.path()), ["fifo", "full"]);
}

#[test]
fn a_fifo_without_its_other_end_is_waited_for_and_then_refused() {
    let dir = TempDir::new().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    if !fifo(&from) || !fifo(&to) {
        return;
    }
    let written = thread::spawn(move || write(&to, b"x").unwrap_err().to_string());
    let said = FileKind::input("a text", 1).read(&from).unwrap_err().to_string();
    assert!(said.ends_with("from: no program writes to this FIFO; expected a text"), "{said}");
    let said = written.join().unwrap();
    assert!(
        said.ends_with("to: no program reads from this FIFO; begin to read, or name a file"),
        "{said}"
    );
}

#[test]
fn paths_that_nothing_can_be_written_to_are_refused_beforehand_and_then() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    UnixListener::bind(at("socket")).unwrap();
    let cases = [
        (".", "it is a folder; expected a file to write to"),
        ("socket", "it is a socket; expected a file to write to"),
        ("no/such", "there is no such folder to write to"),
        ("new/", "there is no such folder to write to"),
    ];
    for (name, want) in cases {
        let want = format!("{}: {want}", at(name).display());
        assert_eq!(check_output(&at(name)).unwrap_err().to_string(), want);
        let error = write(&at(name), b"x").unwrap_err();
        assert_eq!(error.to_string(), want);
        assert!(error.is_about_the_path());
    }
    check_output(Path::new("")).unwrap_err();
    check_output(&at("new")).unwrap();
    assert!(is_stdout(Path::new("/dev/stdout")) && is_stdout(Path::new("/dev/fd/1")));
    assert!(!is_stdout(&at("new")) && !is_stdout(Path::new("/dev/stderr")));
}

#[test]
fn an_exported_model_replaces_no_link() {
    let dir = TempDir::new().unwrap();
    let (file, link) = (dir.path().join("file.gguf"), dir.path().join("link.gguf"));
    symlink("file.gguf", &link).unwrap();
    let exported = export_gguf(folder("llama"), &link, GgufType::F16, None).unwrap();
    assert!(link.is_symlink());
    assert_eq!(fs::metadata(&file).unwrap().len(), exported.bytes);
    load(&link, &LoadOptions::default()).unwrap();
    let error = export_gguf(folder("llama"), "/dev/full", GgufType::F16, None).unwrap_err();
    assert!(error.to_string().starts_with("/dev/full: No space left on device"), "{error}");
}
