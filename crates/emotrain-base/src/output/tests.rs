use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs_err::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn error(&self, path: &Path) -> String {
        let error = write_atomic(path, b"{}").unwrap_err().to_string();
        error.replace(&self.0.path().display().to_string(), "(folder)")
    }
}

#[test]
fn writing_replaces_what_was_there_and_leaves_nothing_else() {
    let place = Place::new();
    let path = place.at("state.json");
    write_atomic(&path, b"old and long").unwrap();
    write_atomic(&path, b"new").unwrap();
    assert_eq!(fs_err::read(&path).unwrap(), b"new");
    assert_eq!(place.names(), ["state.json"]);
    let mut begun = Output::create(&path).unwrap();
    begun.write_all(b"half").unwrap();
    drop(begun);
    assert_eq!(fs_err::read(&path).unwrap(), b"new");
    assert_eq!(place.names(), ["state.json"]);
}

#[test]
fn what_a_killed_process_has_begun_is_removed_and_what_a_living_one_has_is_not() {
    let place = Place::new();
    let path = place.at("state.json");
    fs_err::write(place.at(".state.json.aB3xYz.part"), "half").unwrap();
    fs_err::write(place.at(".other.json.aB3xYz.part"), "of another file").unwrap();
    let living = Output::create(&path).unwrap();
    write_atomic(&path, b"new").unwrap();
    assert_eq!(place.names().len(), 3, "{:?}", place.names());
    assert!(place.names().contains(&".other.json.aB3xYz.part".to_owned()));
    living.finish().unwrap();
    assert_eq!(fs_err::read(&path).unwrap(), b"");
}

#[test]
fn a_failed_write_names_the_path_and_leaves_nothing() {
    let place = Place::new();
    fs_err::write(place.at("file"), b"").unwrap();
    fs_err::create_dir(place.at("taken")).unwrap();
    let errors = ["absent/state.json", "file/state.json", "taken"].map(|name| place.error(&place.at(name)));
    assert_eq!(
        errors,
        [
            "(folder)/absent/state.json: cannot be written: No such file or directory (os error 2)",
            "(folder)/file/state.json: cannot be written: Not a directory (os error 20)",
            "(folder)/taken: cannot be written: is a directory",
        ]
    );
    assert_eq!(place.error(Path::new("..")), "..: cannot be written: the path names no file");
    assert_eq!(place.names(), ["file", "taken"]);
}

#[cfg(unix)]
mod unix {
    use std::io::Read;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::{Command, Stdio};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs_err::metadata(path).unwrap().permissions().mode()
    }

    #[test]
    fn a_new_file_has_the_usual_permissions_and_an_old_one_keeps_its_own() {
        let place = Place::new();
        let (ours, theirs) = (place.at("ours"), place.at("theirs"));
        write_atomic(&ours, b"").unwrap();
        fs_err::write(&theirs, b"").unwrap();
        assert_eq!(mode(&ours), mode(&theirs));
        fs_err::set_permissions(&ours, PermissionsExt::from_mode(0o600)).unwrap();
        write_atomic(&ours, b"again").unwrap();
        assert_eq!(mode(&ours) & 0o777, 0o600);
    }

    #[test]
    fn a_link_stays_and_what_it_points_to_is_replaced() {
        let place = Place::new();
        fs_err::create_dir(place.at("kept")).unwrap();
        fs_err::write(place.at("kept/there"), "old").unwrap();
        symlink("kept/there", place.at("one")).unwrap();
        symlink("one", place.at("two")).unwrap();
        symlink(place.at("kept/absent"), place.at("dangling")).unwrap();
        for (link, target) in [("two", "kept/there"), ("dangling", "kept/absent")] {
            write_atomic(&place.at(link), link.as_bytes()).unwrap();
            assert!(place.at(link).is_symlink() && !place.at(target).is_symlink());
            assert_eq!(fs_err::read_to_string(place.at(target)).unwrap(), link);
        }
        assert_eq!(place.names(), ["dangling", "kept", "one", "two"]);
        assert_eq!(fs_err::read_dir(place.at("kept")).unwrap().count(), 2);
        symlink("round", place.at("round")).unwrap();
        assert_eq!(
            place.error(&place.at("round")),
            "(folder)/round: cannot be written: the path is a link that points to itself"
        );
    }

    #[test]
    fn a_pipe_is_written_to() {
        let place = Place::new();
        let pipe = place.at("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut reader = Command::new("cat").arg(&pipe).stdout(Stdio::piped()).spawn().unwrap();
        write_atomic(&pipe, b"a line\n").unwrap();
        let mut got = String::new();
        reader.stdout.take().unwrap().read_to_string(&mut got).unwrap();
        reader.wait().unwrap();
        assert_eq!(got, "a line\n");
        assert_eq!(place.names(), ["pipe"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_is_written_to_and_stays() {
        write_atomic(Path::new("/dev/null"), b"gone").unwrap();
        let full = write_atomic(Path::new("/dev/full"), b"too much").unwrap_err();
        assert_eq!(full.kind, io::ErrorKind::StorageFull);
        for device in ["/dev/null", "/dev/full"] {
            assert!(!fs_err::metadata(device).unwrap().is_file());
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_open_file_of_a_process_is_added_to() {
        use std::os::fd::AsRawFd;

        let place = Place::new();
        let mut open = fs_err::File::create(place.at("log")).unwrap();
        open.write_all(b"before\n").unwrap();
        let name = format!("/dev/fd/{}", open.file().as_raw_fd());
        write_atomic(Path::new(&name), b"ours\n").unwrap();
        assert_eq!(fs_err::read_to_string(place.at("log")).unwrap(), "before\nours\n");
        assert_eq!(place.names(), ["log"]);
    }
}
