//! Models that another program has downloaded: the cache of `huggingface_hub`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::LoadError;
use crate::files::FileKind;

/// The branch that is meant where none is named.
const MAIN: &str = "main";

/// The folder of `model`: a folder of that name if there is one, or else what the cache of
/// `huggingface_hub` holds under a name like `org/name`, at `revision` (a branch, a tag or a commit;
/// `main` if absent).
///
/// The cache is where that program has it: `HF_HUB_CACHE`, `HF_HOME/hub`,
/// `XDG_CACHE_HOME/huggingface/hub` or `~/.cache/huggingface/hub`. Nothing is downloaded.
///
/// # Errors
///
/// When there is no such folder and no such model or revision in the cache, and when a revision is
/// given for a folder.
pub fn locate(model: &str, revision: Option<&str>) -> Result<PathBuf, LoadError> {
    let path = Path::new(model);
    match (cached_name(model).filter(|_| !path.exists()), revision) {
        (Some(name), revision) => match cache_folder() {
            Some(cache) => locate_in(&cache, model, &name, revision.unwrap_or(MAIN)),
            None => Err(LoadError::NotFound(path.to_owned())),
        },
        (None, None) => Ok(path.to_owned()),
        (None, Some(revision)) => Err(LoadError::RevisionOfFolder {
            path: path.to_owned(),
            revision: revision.to_owned(),
        }),
    }
}

/// What the cache calls `org/name`; `None` for what is no such name.
fn cached_name(model: &str) -> Option<String> {
    let (org, name) = model.split_once('/')?;
    let plain = |part: &str| {
        let usual = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !part.is_empty() && !part.starts_with('.') && part.chars().all(usual)
    };
    (plain(org) && plain(name)).then(|| format!("models--{org}--{name}"))
}

fn cache_folder() -> Option<PathBuf> {
    let folder = |variable| env::var_os(variable).filter(|v| !v.is_empty()).map(PathBuf::from);
    folder("HF_HUB_CACHE")
        .or_else(|| folder("HF_HOME").map(|home| home.join("hub")))
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("huggingface/hub")))
        .or_else(|| folder("HOME").map(|home| home.join(".cache/huggingface/hub")))
}

fn locate_in(cache: &Path, model: &str, name: &str, revision: &str) -> Result<PathBuf, LoadError> {
    let folder = cache.join(name);
    if !folder.is_dir() {
        return Err(LoadError::NotCached { model: model.to_owned(), cache: cache.to_owned() });
    }
    let unknown = || LoadError::UnknownRevision {
        model: model.to_owned(),
        revision: revision.to_owned(),
        known: revisions(&folder),
    };
    // A branch may have slashes in its name; it may not lead out of the folder.
    if revision.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
        return Err(unknown());
    }
    let branch = folder.join("refs").join(revision);
    let commit = match FileKind::REVISION.read_text(&branch) {
        Ok(commit) => commit.trim().to_owned(),
        // The name of a commit, or of a folder of branches.
        Err(error) if error.is_missing() || branch.is_dir() => revision.to_owned(),
        Err(error) => return Err(error.into()),
    };
    let snapshot = folder.join("snapshots").join(&commit);
    let plain = commit.chars().all(|c| c.is_ascii_alphanumeric());
    if plain && !commit.is_empty() && snapshot.is_dir() { Ok(snapshot) } else { Err(unknown()) }
}

/// What could have been asked for: branches and tags, and commits that are there.
fn revisions(folder: &Path) -> Vec<String> {
    let names = |of: &str| {
        let entries = fs::read_dir(folder.join(of)).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
    };
    let mut known: Vec<String> = names("refs").chain(names("snapshots")).collect();
    known.sort();
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_paths() {
        assert_eq!(cached_name("org/a-b_c.d").as_deref(), Some("models--org--a-b_c.d"));
        for path in ["name", "/name", "org/", "../name", "org/..", "a/b/c", "a b/c", "./name"] {
            assert_eq!(cached_name(path), None, "{path}");
        }
    }

    fn cache() -> tempfile::TempDir {
        let cache = tempfile::TempDir::new().unwrap();
        let folder = cache.path().join("models--org--name");
        fs::create_dir_all(folder.join("snapshots/0a1b")).unwrap();
        fs::create_dir_all(folder.join("refs")).unwrap();
        fs::write(folder.join("refs/main"), "0a1b").unwrap();
        fs::write(folder.join("refs/old"), "gone").unwrap();
        cache
    }

    #[test]
    fn a_revision_is_a_branch_or_a_commit() {
        let cache = cache();
        let find = |revision| locate_in(cache.path(), "org/name", "models--org--name", revision);
        let snapshot = cache.path().join("models--org--name/snapshots/0a1b");
        assert_eq!(find("main").unwrap(), snapshot);
        assert_eq!(find("0a1b").unwrap(), snapshot);
        for revision in ["old", "new", "", "../refs", ".", "a/../b"] {
            let message = find(revision).unwrap_err().to_string();
            let want =
                format!("org/name: the cache has no revision `{revision}`; it has 0a1b, main, old");
            assert_eq!(message, want);
        }
        let missing = locate_in(cache.path(), "org/other", "models--org--other", MAIN).unwrap_err();
        let start = "org/other: no such folder, and no such model in the cache ";
        assert!(missing.to_string().starts_with(start), "{missing}");
    }

    #[cfg(unix)]
    #[test]
    fn a_branch_that_is_no_file_is_refused() {
        let cache = cache();
        let branch = cache.path().join("models--org--name/refs/main");
        fs::remove_file(&branch).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &branch).unwrap();
        let find = || locate_in(cache.path(), "org/name", "models--org--name", MAIN).unwrap_err();
        let want = "refs/main: it is a device; expected a regular file with a commit";
        assert!(find().to_string().ends_with(want), "{}", find());
        fs::remove_file(&branch).unwrap();
        fs::write(&branch, [b'a'; 5000]).unwrap();
        let want = "refs/main: it has more than 4 KiB, the most that is accepted; expected a regular \
                    file with a commit";
        assert!(find().to_string().ends_with(want), "{}", find());
    }
}
