use super::*;

fn origin(model: &str) -> FileOrigin {
    vec![("model".to_owned(), model.to_owned()), ("input format".to_owned(), "jsonl".to_owned())]
}

fn open(path: &Path) -> Growing {
    Growing::open(path, origin("a")).unwrap().expect("a regular file")
}

#[test]
fn a_file_goes_on_behind_its_last_whole_part() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.csv");
    fs_err::write(&path, "those of before\n").unwrap();
    let mut file = open(&path);
    assert_eq!(file.reached().parts, 0);
    file.append(b"one\ntwo\n", 2, "2".to_owned()).unwrap();
    drop(file);
    // Killed in the middle of a part, and of a line of the journal.
    let add = |name: &str, text: &str| {
        let mut file = OpenOptions::new().append(true).open(folder.path().join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    add("labels.csv.partial", "thr");
    add("labels.csv.partial.journal", "{\"parts\":3,");
    let mut file = open(&path);
    assert_eq!((file.reached().parts, file.reached().mark.as_str()), (2, "2"));
    assert_eq!(fs_err::read_to_string(&path).unwrap(), "those of before\n");
    file.append(b"three\n", 1, "3".to_owned()).unwrap();
    file.finish().unwrap();
    assert_eq!(fs_err::read_to_string(&path).unwrap(), "one\ntwo\nthree\n");
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
}

#[test]
fn a_journal_without_its_file_begins_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.csv");
    let mut file = open(&path);
    file.append(b"one\n", 1, "1".to_owned()).unwrap();
    drop(file);
    // Killed between the renaming and the removal of the journal; and before a journal had its first line.
    fs_err::remove_file(folder.path().join("labels.csv.partial")).unwrap();
    assert_eq!(Growing::open(&path, origin("b")).unwrap().unwrap().reached().parts, 0);
    fs_err::remove_file(folder.path().join("labels.csv.partial")).unwrap();
    fs_err::write(folder.path().join("labels.csv.partial.journal"), "{\"format").unwrap();
    assert_eq!(open(&path).reached(), &Reached::default());
}

#[test]
fn what_was_begun_otherwise_or_is_in_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.csv");
    let refused = |model: &str| {
        let error = Growing::open(&path, origin(model)).map(|_| ()).unwrap_err();
        let told = crate::Problems::from(error).to_string();
        told.replace(&format!("{}/", folder.path().display()), "")
    };
    let file = open(&path);
    assert_eq!(
        refused("a"),
        "labels.csv: another process writes it\n  hint: wait for that process or stop it, or name another file"
    );
    drop(file);
    // Nothing is lost.
    let mut file = Growing::open(&path, origin("b")).unwrap().unwrap();
    file.append(b"one\n", 1, "1".to_owned()).unwrap();
    drop(file);
    assert_eq!(
        refused("a"),
        "labels.csv.partial: was begun with another model\n  hint: give the command as it was given then, or remove \
         labels.csv.partial and labels.csv.partial.journal to begin again"
    );
    fs_err::remove_file(folder.path().join("labels.csv.partial.journal")).unwrap();
    assert_eq!(
        refused("a"),
        "labels.csv.partial: is there, and nothing says how it was begun\n  hint: remove labels.csv.partial and \
         labels.csv.partial.journal, or name another file"
    );
}

#[test]
fn what_is_left_is_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.csv");
    let left = || fs_err::read_dir(folder.path()).unwrap().count();
    open(&path).leave().unwrap();
    assert_eq!(left(), 0);
    let mut file = open(&path);
    file.append(b"one\n", 1, "1".to_owned()).unwrap();
    file.leave().unwrap();
    assert_eq!(left(), 2);
}

#[cfg(unix)]
#[test]
fn a_device_does_not_grow() {
    assert!(Growing::open(Path::new("/dev/null"), origin("a")).unwrap().is_none());
}
