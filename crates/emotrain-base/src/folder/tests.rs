use tempfile::TempDir;

use super::*;
use crate::advice::{Advice, Fault};
use crate::error::Damage;
use crate::manifest::{Verified, verify};

const OURS: &[&str] = &["rows", MANIFEST];

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Publishes a folder with one file.
    fn publish(&self, name: &str, text: &str) {
        let stage = Stage::open(&self.at(name)).unwrap();
        stage.write("rows", text.as_bytes()).unwrap();
        stage.publish().unwrap();
    }

    fn read(&self, file: &str) -> String {
        fs_err::read_to_string(self.at(file)).unwrap()
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs_err::read_dir(self.at(folder)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

#[test]
fn a_folder_is_there_whole_and_nothing_is_left_beside_it() {
    let place = Place::new();
    for text in ["one", "two"] {
        place.publish("a", text);
        assert_eq!(place.read("a/rows"), text);
        assert_eq!(verify(&place.at("a")), Ok(Verified::Sound));
        assert_eq!(
            (place.names(""), place.names("a")),
            (vec!["a".into()], vec![MANIFEST.into(), "rows".into()])
        );
    }
    drop(Stage::open(&place.at("a")).unwrap());
    assert_eq!((place.read("a/rows"), place.names("")), ("two".into(), vec!["a".into()]));
}

#[test]
fn two_processes_do_not_make_one_folder() {
    let place = Place::new();
    let stage = Stage::open(&place.at("a")).unwrap();
    let refused = Stage::open(&place.at("a")).unwrap_err();
    assert!(matches!(&refused, LockError::Taken { folder, .. } if *folder == place.at("a")), "{refused}");
    stage.write("rows", b"one").unwrap();
    stage.publish().unwrap();
    place.publish("a", "two");
    assert_eq!(place.read("a/rows"), "two");
}

/// Runs `work` in several threads at once; locks treat them as processes.
fn at_once<T: Send>(work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..8).map(|number| scope.spawn(move || work(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn of_many_that_put_a_new_folder_somewhere_at_once_one_does_and_the_others_are_told_why_not() {
    for round in 0..100 {
        let place = Place::new();
        let write = |number: usize| {
            let stage = Stage::create(&place.at("in/a")).map_err(|error| error.to_string())?;
            stage.write("rows", number.to_string().as_bytes()).map_err(|error| error.to_string())?;
            stage.publish().map_err(|error| error.to_string())
        };
        let results = at_once(write);
        let done: Vec<usize> = (0..results.len()).filter(|number| results[*number].is_ok()).collect();
        let [done] = done[..] else { panic!("round {round}: {results:?}") };
        assert_eq!(place.read("in/a/rows"), done.to_string());
        for told in results.into_iter().filter_map(Result::err) {
            let is_clear = told.contains("in/a: in use by") || told.ends_with("it is already there");
            assert!(is_clear, "round {round}: {told}");
        }
        assert_eq!(place.names("in"), ["a"]);
    }
}

#[test]
fn many_that_replace_a_folder_while_others_read_it_are_in_no_ones_way() {
    let place = Place::new();
    place.publish("a", "first");
    at_once(|number| {
        for round in 0..100 {
            if number % 2 == 0 {
                recover(&place.at("a")).unwrap();
                continue;
            }
            let stage = match Stage::open(&place.at("a")) {
                Ok(stage) => stage,
                Err(LockError::Taken { .. }) => continue,
                Err(error @ LockError::Write(_)) => panic!("{error}"),
            };
            stage.write("rows", format!("{number} {round}").as_bytes()).unwrap();
            stage.publish().unwrap();
        }
    });
    assert_eq!((verify(&place.at("a")), place.names("")), (Ok(Verified::Sound), vec!["a".into()]));
}

#[test]
fn a_new_folder_replaces_nothing() {
    let place = Place::new();
    place.publish("there", "one");
    fs_err::write(place.at("file"), "one").unwrap();
    for name in ["there", "file"] {
        let refused = Stage::create(&place.at(name)).unwrap_err();
        assert!(refused.to_string().ends_with("it is already there"), "{refused}");
        assert_eq!(refused.hint(), Some("name a folder that does not exist yet, or remove it"));
        assert_eq!(refused.fault(), Fault::Usage);
    }
    fs_err::create_dir(place.at("empty")).unwrap();
    for (name, other) in [("empty", "empty/rows"), ("new", "new")] {
        let stage = Stage::create(&place.at(name)).unwrap();
        stage.write("rows", b"one").unwrap();
        // Whoever writes there meanwhile does not ask for the lock.
        fs_err::write(place.at(other), "theirs").unwrap();
        let refused = stage.publish().unwrap_err();
        assert!(refused.to_string().ends_with("it is already there"), "{refused}");
        assert_eq!(place.read(other), "theirs");
        fs_err::remove_file(place.at(other)).unwrap();
        let stage = Stage::create(&place.at(name)).unwrap();
        stage.write("rows", b"two").unwrap();
        stage.publish().unwrap();
        assert_eq!(place.read(&format!("{name}/rows")), "two");
    }
    assert_eq!(place.names(""), ["empty", "file", "new", "there"]);
}

#[test]
fn what_others_left_or_write_is_not_recovered() {
    let place = Place::new();
    let theirs = [".bank.building", ".other.replaced", ".b.removed", ".c.partial", ".d.old"];
    for name in theirs {
        fs_err::create_dir(place.at(name)).unwrap();
        fs_err::write(place.at(name).join("rows"), "theirs").unwrap();
    }
    let files = [".x.part", ".x.Ab3dEf.part", ".x.lock"];
    for name in files {
        fs_err::write(place.at(name), "theirs").unwrap();
    }
    let stage = Stage::open(&place.at("mine")).unwrap();
    stage.write("rows", b"one").unwrap();
    fs_err::create_dir(place.at(".mine.removed")).unwrap();
    let before = place.names("");
    recover_all(place.0.path(), |name| name == "mine").unwrap();
    assert_eq!(place.names(""), before, "a process is writing it");
    stage.publish().unwrap();

    for name in [".mine.lock", ".mine.Ab3dEf.part"] {
        fs_err::write(place.at(name), "left").unwrap();
    }
    recover_all(place.0.path(), |name| name == "mine").unwrap();
    let mut left: Vec<_> = theirs.into_iter().chain(files).chain(["mine"]).collect();
    left.sort_unstable();
    assert_eq!(place.names(""), left);
}

/// What a process leaves when it is killed at each of the three renames.
#[test]
fn what_was_published_outlives_a_kill_at_every_moment() {
    for (building, replaced) in [(BUILDING, REPLACED), (EARLIER_BUILDING, EARLIER_REPLACED)] {
        let between = |place: &Place| {
            fs_err::rename(place.at("a"), place.at(&format!(".a.{replaced}"))).unwrap();
            fs_err::create_dir(place.at(&format!(".a.{building}"))).unwrap();
            fs_err::write(place.at(&format!(".a.{building}/rows")), "half").unwrap();
        };
        let after = |place: &Place| {
            fs_err::create_dir(place.at(&format!(".a.{replaced}"))).unwrap();
            fs_err::write(place.at(&format!(".a.{replaced}/rows")), "older").unwrap();
        };
        let moments: [&dyn Fn(&Place); 2] = [&between, &after];
        for moment in moments {
            let readers: [&dyn Fn(&Place); 3] = [
                &|place| recover(&place.at("a")).unwrap(),
                &|place| recover_all(place.0.path(), |name| name == "a").unwrap(),
                &|place| drop(Stage::open(&place.at("a")).unwrap()),
            ];
            for (number, reader) in readers.into_iter().enumerate() {
                let place = Place::new();
                place.publish("a", "one");
                moment(&place);
                reader(&place);
                assert_eq!(place.read("a/rows"), "one", "{replaced}, reader {number}");
                assert_eq!(verify(&place.at("a")), Ok(Verified::Sound));
                if number > 0 {
                    assert_eq!(place.names(""), ["a"], "{replaced}, reader {number}");
                }
            }
        }
    }
}

#[test]
fn an_empty_folder_in_the_place_hides_nothing() {
    let place = Place::new();
    place.publish("a", "one");
    fs_err::rename(place.at("a"), place.at(".a.replaced")).unwrap();
    fs_err::create_dir(place.at("a")).unwrap();
    drop(Stage::open(&place.at("a")).unwrap());
    assert_eq!(place.read("a/rows"), "one");
}

#[test]
fn what_others_put_beside_our_files_stays_whenever_a_process_is_killed() {
    let place = Place::new();
    let make = |text: &str| {
        let stage = Stage::reopen(&place.at("a"), OURS).unwrap();
        stage.write("rows", text.as_bytes()).unwrap();
        stage.write(MANIFEST, b"of its own").unwrap();
        stage.publish().unwrap();
    };
    make("one");
    fs_err::write(place.at("a/notes"), "theirs").unwrap();
    make("two");
    assert_eq!(place.names("a"), [MANIFEST, "notes", "rows"]);

    // Killed after the new folder was moved to its place, before the old one was removed.
    fs_err::create_dir(place.at(".a.replaced")).unwrap();
    fs_err::rename(place.at("a/notes"), place.at(".a.replaced/notes")).unwrap();
    fs_err::write(place.at(".a.replaced/rows"), "one").unwrap();
    make("three");
    assert_eq!((place.read("a/rows"), place.read("a/notes")), ("three".into(), "theirs".into()));
    assert_eq!(place.names(""), ["a"]);
}

#[cfg(unix)]
#[test]
fn a_link_to_a_folder_stays_a_link() {
    let place = Place::new();
    fs_err::create_dir(place.at("kept")).unwrap();
    place.publish("kept/a", "one");
    for (target, link) in [("kept/a", "there"), ("kept/b", "dangling")] {
        std::os::unix::fs::symlink(target, place.at(link)).unwrap();
        place.publish(link, "two");
        assert!(place.at(link).is_symlink());
        assert_eq!(place.read(&format!("{target}/rows")), "two");
    }
    assert_eq!(place.names("kept"), ["a", "b"]);
}

#[test]
fn every_flipped_bit_and_every_lost_byte_is_told_with_its_file() {
    let place = Place::new();
    place.publish("a", "three little words");
    for name in ["rows", MANIFEST] {
        let path = place.at("a").join(name);
        let sound = fs_err::read(&path).unwrap();
        let mut damaged = vec![Vec::new(), sound[..sound.len() - 2].to_vec()];
        for bit in 0..sound.len() * 8 {
            let mut flipped = sound.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            damaged.push(flipped);
        }
        for bytes in damaged {
            fs_err::write(&path, &bytes).unwrap();
            let error = verify(&place.at("a")).expect_err(&String::from_utf8_lossy(&bytes));
            // A manifest that names another file or digest points to that file.
            assert!(name == MANIFEST || error.path == path, "{error}");
        }
        fs_err::remove_file(&path).unwrap();
        let damage = verify(&place.at("a")).unwrap_err().damage;
        assert_eq!(damage, if name == MANIFEST { Damage::NoManifest } else { Damage::NotThere });
        fs_err::write(&path, sound).unwrap();
    }
    assert_eq!(verify(&place.at("a")), Ok(Verified::Sound));
}

#[test]
fn folders_of_earlier_versions_open() {
    let place = Place::new();
    fs_err::create_dir(place.at("a")).unwrap();
    fs_err::write(place.at("a/rows"), "one").unwrap();
    fs_err::write(place.at("a/manifest.json"), r#"{"format_version": 1, "files": ["rows"]}"#).unwrap();
    assert_eq!(verify(&place.at("a")), Ok(Verified::Complete));
    fs_err::remove_file(place.at("a/rows")).unwrap();
    assert_eq!(verify(&place.at("a")).unwrap_err().damage, Damage::NotThere);
    fs_err::write(place.at("a/manifest.json"), r#"{"format_version": 3, "files": {}}"#).unwrap();
    assert!(matches!(verify(&place.at("a")).unwrap_err().damage, Damage::OtherVersion { found: 3, .. }));
}

#[test]
fn a_folder_is_removed_whole() {
    let place = Place::new();
    place.publish("a", "one");
    remove_folder(&place.at("a")).unwrap();
    place.publish("b", "one");
    fs_err::rename(place.at("b"), place.at(".b.removed")).unwrap();
    recover_all(place.0.path(), |name| name == "b").unwrap();
    assert_eq!(place.names(""), Vec::<String>::new());
}

#[test]
fn a_file_has_no_manifest() {
    let place = Place::new();
    fs_err::write(place.at("model.gguf"), "weights").unwrap();
    assert_eq!(verify(&place.at("model.gguf")).unwrap_err().damage, Damage::NoManifest);
}
