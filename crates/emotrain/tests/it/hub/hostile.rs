//! Hubs that mean harm, or that fail.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use super::host::{Asked, COMMIT, Host, Reply, Repository};
use super::{FILES, MODEL, tiny};
use crate::workbench::{Said, Workbench, material};

/// The cache of these tests lies deep, so that there is something above it.
const CACHE: &str = "home/cache/hf";
const SCORES: &str = "scores.jsonl";

/// Every file of a workbench that is neither in the cache nor asked for, with its length.
fn outside(bench: &Workbench) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let mut folders = vec![bench.path("")];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let kind = fs_err::symlink_metadata(&entry).unwrap();
            if entry == bench.path(CACHE) || entry == bench.path(SCORES) {
                continue;
            }
            if kind.is_dir() {
                folders.push(entry);
            } else {
                found.push((entry, kind.len()));
            }
        }
    }
    found.sort();
    found
}

/// Scores the model of a hub, and sees that nothing is written outside the cache.
#[track_caller]
fn confined(bench: &Workbench, host: &Host) -> Said {
    let before = outside(bench);
    let args = [&["eval"][..], &MODEL, &["--output", SCORES]].concat();
    let said = Said::of(&host.command(bench, &args).env("HF_HOME", bench.path(CACHE)).output().unwrap());
    assert_eq!(outside(bench), before, "{}", said.err);
    said
}

fn bench() -> Workbench {
    let bench = Workbench::new();
    fs_err::create_dir_all(bench.path(CACHE)).unwrap();
    bench
}

/// A hub with an index of weights that names `shard`, which its list has if `is_listed`.
fn sharded(shard: &str, is_listed: bool) -> Host {
    let mut files =
        vec!["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors.index.json"];
    if is_listed {
        files.push(shard);
    }
    let repository = Repository::of(&material().join("base"), &files);
    let index = json!({ "weight_map": { "model.norm.weight": shard } }).to_string();
    Host::open(move |asked| {
        let is_index = asked.path.ends_with(".index.json");
        let is_text = asked.path.contains("config.json") || asked.path.ends_with("tokenizer.json");
        match asked.path.starts_with("/api/") || is_text {
            true => repository.reply(asked),
            false if is_index => Reply::new(200, index.clone()).with("ETag", "index"),
            false => Reply::new(200, "planted").with("ETag", "planted"),
        }
    })
}

#[test]
fn an_index_names_plain_files_of_the_list() {
    let bench = bench();
    let absolute = bench.path("planted").display().to_string();
    let long = "x".repeat(300);
    let shards = [
        "../../../../../planted",
        "..",
        &absolute,
        "below/model.safetensors",
        "..\\planted",
        "C:\\planted",
        "model\u{0}.safetensors",
        "model\n.safetensors",
        &long,
        "",
    ];
    for shard in shards {
        fs_err::remove_dir_all(bench.path(CACHE)).unwrap();
        let host = sharded(shard, true);
        let said = confined(&bench, &host);
        assert_eq!(said.code, 3, "{shard:?}: {}", said.err);
        for part in
            ["model.safetensors.index.json names \"", "is no plain file name", "hint: nothing was written"]
        {
            assert!(said.err.contains(part), "{shard:?}: {}", said.err);
        }
        let asked = host.paths();
        assert!(!asked.iter().any(|path| path.contains("planted") || path.contains("x.safe")), "{asked:?}");
    }
    fs_err::remove_dir_all(bench.path(CACHE)).unwrap();
    let said = confined(&bench, &sharded("other.safetensors", false));
    assert_eq!(said.code, 3);
    assert!(
        said.err.contains("names \"other.safetensors\", which the repository does not hold"),
        "{}",
        said.err
    );
}

#[test]
fn a_commit_and_a_tag_do_not_become_paths() {
    let bench = bench();
    let absolute = bench.path("planted").display().to_string();
    let long = "c".repeat(300);
    for commit in ["../../../../../planted", &absolute, "", ".", "..", "a/b", "a\\b", "a\u{0}", &long] {
        let host = Host::open({
            let info = json!({ "sha": commit, "siblings": [{ "rfilename": "config.json" }] }).to_string();
            move |_| Reply::new(200, info.clone())
        });
        let said = confined(&bench, &host);
        assert_eq!(said.code, 3, "{commit:?}: {}", said.err);
        assert!(
            said.err.contains("the hub cannot be trusted") && said.err.contains("no commit's id"),
            "{}",
            said.err
        );
    }
    // A strange tag is no reason to refuse a file, and no name either.
    for tag in ["../../../../../planted", &absolute, "..", "", &long, "W/\"a/b+c=\""] {
        fs_err::remove_dir_all(bench.path(CACHE)).unwrap();
        let repository = tiny();
        let tag = tag.to_owned();
        let host = Host::open(move |asked| {
            let reply = repository.reply(asked);
            let file = asked.path.rsplit('/').next().unwrap_or_default();
            let quoted = if tag.contains('"') { tag.clone() } else { format!("\"{tag}{file}\"") };
            reply.clone().with("ETag", if file == "config.json" { quoted } else { format!("\"{file}\"") })
        });
        confined(&bench, &host).done();
    }
}

#[cfg(unix)]
#[test]
fn links_in_the_cache_lead_nowhere_else() {
    let bench = bench();
    let folder = bench.path(CACHE).join("hub/models--someone--tiny/snapshots");
    fs_err::create_dir_all(&folder).unwrap();
    fs_err::create_dir(bench.path("elsewhere")).unwrap();
    fs_err::os::unix::fs::symlink(bench.path("elsewhere"), folder.join(COMMIT)).unwrap();
    let repository = tiny();
    let host = Host::open(move |asked| repository.reply(asked));
    let said = confined(&bench, &host);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("leads out of the cache") && said.err.contains(COMMIT), "{}", said.err);
    assert_eq!(fs_err::read_dir(bench.path("elsewhere")).unwrap().count(), 0);
}

/// The tokens that a host was given.
fn tokens(asked: &[Asked]) -> Vec<&str> {
    asked.iter().filter_map(|asked| asked.token.as_deref()).collect()
}

#[test]
fn the_token_is_for_the_hub_alone() {
    const TOKEN: &str = "hf_0123456789abcdef";
    let bench = Workbench::new();
    let run = |host: &Host| {
        let mut command = host.command(&bench, &[&MODEL[..], &["--dry-run"]].concat());
        Said::of(&command.env("HF_TOKEN", TOKEN).output().unwrap())
    };
    // Another port is another server: what it is sent, and what it sends back to, goes without.
    let repository = tiny();
    let stores = repository.clone();
    let store = Host::open(move |asked| match asked.path.split_once("/back/") {
        Some((_, hub)) => Reply::redirect(format!("http://{hub}")),
        None => stores.reply(asked),
    });
    let (elsewhere, host) =
        (store.endpoint.clone(), std::sync::Arc::new(std::sync::Mutex::new(String::new())));
    let own = std::sync::Arc::clone(&host);
    let hub = Host::open(move |asked| {
        let own = own.lock().unwrap().clone();
        let path = &asked.path;
        if path.contains("/again/") || path.starts_with("/api/") && path.contains("?there") {
            repository
                .reply(&Asked { path: path.replace("/again", "").replace("?there", ""), ..asked.clone() })
        } else if path.starts_with("/api/") {
            // Renamed repositories are redirected on the same server.
            Reply::redirect(format!("{path}?there"))
        } else if path.ends_with("tokenizer.json") {
            Reply::redirect(format!("{elsewhere}/back/{own}/again{path}")).with("X-Linked-ETag", "\"linked\"")
        } else {
            Reply::redirect(format!("{elsewhere}{path}"))
        }
    });
    *host.lock().unwrap() = hub.endpoint.trim_start_matches("http://").to_owned();
    run(&hub).done();
    let (own, others) = (hub.asked(), store.asked());
    assert!(!others.is_empty() && tokens(&others).is_empty(), "{others:?}");
    for asked in &own {
        let expected = (!asked.path.contains("/again/")).then(|| format!("Bearer {TOKEN}"));
        assert_eq!(asked.token, expected, "{}", asked.path);
    }
    assert!(own.iter().any(|asked| asked.path.contains("/again/")), "{own:?}");
    let blobs = bench.path("no-cache/hub/models--someone--tiny/blobs");
    assert!(blobs.join("linked").is_file(), "a blob has the hub's own name for it");

    // A token that no header could hold is told and sent nowhere.
    let mut command = hub.command(&bench, &["check", "recipe.toml", "--set", "model.model_name_or_path=a/b"]);
    let said = Said::of(&command.env("HF_TOKEN", "hf_1\r\nX-Evil: 1").output().unwrap());
    assert!(said.code == 3 && said.err.contains("what HF_TOKEN holds is no token"), "{}", said.err);
    assert!(!said.err.contains("hf_1") && hub.asked().is_empty(), "{}", said.err);
}

/// What the program says of a hub that misbehaves so with the tokenizer.
fn refusal(bench: &Workbench, reply: impl Fn(&Asked) -> Reply + Send + 'static) -> String {
    let repository = tiny();
    let host = Host::open(move |asked| {
        if asked.path.contains("/tokenizer.json") { reply(asked) } else { repository.reply(asked) }
    });
    let mut command = host.command(bench, &[&["check"][..], &MODEL].concat());
    let said = Said::of(&command.env("HF_HUB_DOWNLOAD_TIMEOUT", "1").output().unwrap());
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.err.contains("tokenizer.json: "), "{}", said.err);
    said.err
}

#[test]
fn a_hub_that_misbehaves_is_told() {
    let bench = Workbench::new();
    let told = |reply: fn(&Asked) -> Reply, part: &str| {
        let said = refusal(&bench, reply);
        assert!(said.contains(part), "{part}: {said}");
    };
    told(|asked| Reply::redirect(format!("{}?x", asked.path)), "it redirects more than 10 times");
    told(|_| Reply::redirect("file:///etc/passwd"), "it redirects to \"file:///etc/passwd\"");
    told(|_| Reply::redirect(""), "it redirects to \"\"");
    told(|_| Reply::redirect("http://a b/\\"), "it redirects to");
    let huge = |_: &Asked| Reply { length: 1 << 40, ..Reply::new(200, "{}") }.with("ETag", "\"huge\"");
    told(huge, "1048576 MiB are more than such a file has (256 MiB)");
    let other = |_: &Asked| Reply::new(200, "{}").with("X-Linked-ETag", format!("\"{}\"", "0".repeat(64)));
    told(other, "its sha256 is not the one that the hub names");
    told(|_| Reply::new(403, ""), "asks for HF_TOKEN");
    told(|_| Reply { length: 9, ..Reply::new(200, "{}") }.with("ETag", "\"early\""), "it broke off");
}

#[test]
fn a_hub_that_is_busy_is_asked_again_from_the_first_request_on() {
    for status in [429, 503] {
        let (bench, repository) = (Workbench::new(), tiny());
        let mut refusals = 2;
        let host = Host::open(move |asked| {
            if refusals > 0 {
                refusals -= 1;
                return Reply::new(status, "").with("Retry-After", "1");
            }
            repository.reply(asked)
        });
        let start = Instant::now();
        let said = host.run(&bench, &[&["check"][..], &MODEL].concat()).done();
        assert!(start.elapsed() >= Duration::from_secs(2));
        let told = format!("(status {status})");
        assert!(said.err.contains("the hub is asked again after 1.0 s: ") && said.err.contains(&told));
    }
    for (after, requests, told) in [
        ("0", 4, "it gets too many requests (status 429) (asked 4 times)"),
        ("7200", 1, "it gets too many requests (status 429); it asks to wait for 7200 s"),
    ] {
        let (bench, host) =
            (Workbench::new(), Host::open(move |_| Reply::new(429, "").with("Retry-After", after)));
        let said = host.run(&bench, &[&["check"][..], &MODEL].concat());
        assert!(said.code == 3 && said.err.contains(told), "{}", said.err);
        assert_eq!(host.asked().len(), requests);
    }
}

#[test]
fn a_time_that_is_none_is_named() {
    for text in ["abc", "0", "-1", "1.5"] {
        let (bench, host) = (Workbench::new(), Host::open(|_| Reply::new(404, "")));
        let mut command = host.command(&bench, &[&["check"][..], &MODEL].concat());
        let said = Said::of(&command.env("HF_HUB_DOWNLOAD_TIMEOUT", text).output().unwrap());
        let told = format!("HF_HUB_DOWNLOAD_TIMEOUT = {text:?} is no whole number of seconds above 0");
        assert!(said.code == 3 && said.err.contains(&told), "{}", said.err);
        assert!(host.asked().is_empty());
    }
}

#[test]
fn a_hub_that_falls_silent_is_not_waited_for() {
    let bench = Workbench::new();
    let host = Host::open(|_| {
        std::thread::sleep(Duration::from_mins(1));
        Reply::new(200, "{}")
    });
    let mut command = host.command(&bench, &[&["check"][..], &MODEL].concat());
    let start = Instant::now();
    let said = Said::of(&command.env("HF_HUB_DOWNLOAD_TIMEOUT", "1").output().unwrap());
    assert!(start.elapsed() < Duration::from_secs(30));
    assert!(said.code == 3 && said.err.contains("timeout"), "{}", said.err);

    let host = Host::open(|_| Reply::new(200, "<html>Sign in to the network</html>"));
    let said = host.run(&bench, &[&["check"][..], &MODEL].concat());
    assert!(said.err.contains("its answer is no description of a repository"), "{}", said.err);
    let said = bench
        .command(&[&["check"][..], &MODEL].concat())
        .env("HF_ENDPOINT", "hub.example")
        .env_remove("HF_HUB_OFFLINE")
        .output();
    let said = Said::of(&said.unwrap());
    assert!(said.err.contains("HF_ENDPOINT = \"hub.example\" is no address"), "{}", said.err);
}

#[test]
fn a_download_that_broke_off_goes_on_where_it_was() {
    let bench = Workbench::new();
    let repository = tiny();
    let whole = fs_err::read(material().join("base/model.safetensors")).unwrap();
    let half = whole.len() / 2;
    let mut refusals = 1;
    let host = Host::open(move |asked| {
        let mut reply = repository.reply(asked);
        if asked.path.ends_with("model.safetensors") && asked.from.is_none() {
            reply.body.truncate(half);
        } else if asked.path.ends_with("model.safetensors") && refusals > 0 {
            refusals -= 1;
            reply = Reply::new(503, "");
        }
        reply
    });
    host.run(&bench, &[&["eval"][..], &MODEL, &["--output", "scores.jsonl"]].concat()).done();
    let ranges: Vec<_> = host.asked().into_iter().filter_map(|asked| asked.from).collect();
    assert_eq!(ranges, [half, half], "once refused, once given");
    let repo = bench.path("no-cache/hub/models--someone--tiny");
    let fetched = fs_err::read(repo.join("snapshots").join(COMMIT).join("model.safetensors")).unwrap();
    assert!(fetched == whole);
    assert_eq!(fs_err::read_dir(repo.join("blobs")).unwrap().count(), FILES.len(), "no part is left");
    let is_link = |path: &Path| fs_err::symlink_metadata(path).unwrap().is_symlink();
    assert_eq!(is_link(&repo.join("snapshots").join(COMMIT).join("config.json")), cfg!(unix));
}
