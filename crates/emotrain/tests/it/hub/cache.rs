//! Caches that were not made by a hub: copied, cleaned up, written by hand.

use std::path::PathBuf;

use super::MODEL;
use super::host::COMMIT;
use crate::workbench::{Said, Workbench, material};

/// A workbench whose cache holds the tiny model as links to blobs.
fn bench() -> (Workbench, PathBuf) {
    let bench = Workbench::new();
    let repo = bench.path("no-cache/hub/models--someone--tiny");
    let snapshot = repo.join("snapshots").join(COMMIT);
    for folder in [&repo.join("refs"), &repo.join("blobs"), &snapshot] {
        fs_err::create_dir_all(folder).unwrap();
    }
    fs_err::write(repo.join("refs/main"), COMMIT).unwrap();
    for file in super::FILES {
        fs_err::copy(material().join("base").join(file), repo.join("blobs").join(file)).unwrap();
        #[cfg(unix)]
        fs_err::os::unix::fs::symlink(format!("../../blobs/{file}"), snapshot.join(file)).unwrap();
        #[cfg(not(unix))]
        fs_err::copy(repo.join("blobs").join(file), snapshot.join(file)).unwrap();
    }
    (bench, repo)
}

fn score(bench: &Workbench, variable: (&str, &str)) -> Said {
    let mut command = bench.command(&[&["eval"][..], &MODEL, &["--output", "scores.jsonl"]].concat());
    // Nothing listens on the discard port.
    command.env("HF_ENDPOINT", "http://127.0.0.1:9").env_remove("HF_HUB_OFFLINE");
    Said::of(&command.env(variable.0, variable.1).output().unwrap())
}

#[test]
fn a_copied_cache_is_used_or_what_it_lacks_is_named() {
    let offline = ("HF_HUB_OFFLINE", "yes");
    let (bench, repo) = bench();
    for text in [format!("{COMMIT}\n"), format!("  {COMMIT}\r\n")] {
        fs_err::write(repo.join("refs/main"), text).unwrap();
        score(&bench, offline).done();
    }
    let lacks = |part: &str| {
        let said = score(&bench, offline);
        assert_eq!(said.code, 3, "{part}: {}", said.err);
        assert!(
            said.err.contains(&format!("someone/tiny: in the cache, but {part}")),
            "{part}: {}",
            said.err
        );
        assert!(said.err.contains("HF_HUB_OFFLINE forbids to fetch it\n  hint: "), "{part}: {}", said.err);
    };
    // The same without a word that forbids it: the hub is asked, and what is missing is told as well.
    let is_missing = |part: &str| {
        lacks(part);
        let said = score(&bench, ("HF_HUB_OFFLINE", "0"));
        assert!(said.err.contains(part) && said.err.contains("the hub does not give it"), "{}", said.err);
    };
    fs_err::remove_file(repo.join("blobs/model.safetensors")).unwrap();
    if cfg!(unix) {
        is_missing("model.safetensors of snapshot 0123456… is a link to a file that is missing");
    }
    fs_err::remove_file(repo.join("snapshots").join(COMMIT).join("model.safetensors")).unwrap();
    is_missing("model.safetensors of snapshot 0123456… is missing");
    fs_err::remove_file(repo.join("snapshots").join(COMMIT).join("tokenizer.json")).unwrap();
    is_missing("tokenizer.json of snapshot 0123456… is missing");
    fs_err::rename(repo.join("snapshots").join(COMMIT), repo.join("snapshots/fedcba9")).unwrap();
    is_missing("the snapshot 0123456… that refs/main names is missing");
    fs_err::write(repo.join("refs/main"), "../fedcba9\n").unwrap();
    is_missing("refs/main holds no commit's id");
}

#[test]
fn without_refs_the_only_snapshot_is_used_offline() {
    let (bench, repo) = bench();
    fs_err::remove_dir_all(repo.join("refs")).unwrap();
    let said = score(&bench, ("TRANSFORMERS_OFFLINE", "1")).done();
    assert!(said.err.contains("refs/main is missing: the only snapshot"), "{}", said.err);
    fs_err::create_dir(repo.join("snapshots/fedcba9")).unwrap();
    let said = score(&bench, ("TRANSFORMERS_OFFLINE", "on"));
    assert_eq!(said.code, 3);
    assert!(said.err.contains("refs/main is missing (snapshots there are 2)"), "{}", said.err);
    assert!(
        said.err.contains("TRANSFORMERS_OFFLINE forbids") && said.err.contains("model.revision"),
        "{}",
        said.err
    );
    // The variable of transformers counts only where that of the hub says nothing.
    let mut command = bench.command(&[&["check"][..], &MODEL].concat());
    command
        .env("HF_HUB_OFFLINE", "0")
        .env("TRANSFORMERS_OFFLINE", "1")
        .env("HF_ENDPOINT", "http://127.0.0.1:9");
    let said = Said::of(&command.output().unwrap());
    assert!(said.err.contains("the hub does not give it"), "{}", said.err);
}
