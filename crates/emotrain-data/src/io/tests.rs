use expect_test::{Expect, expect};
use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Point {
    x: i64,
    y: i64,
}

fn read_points(text: &str) -> Result<Vec<(usize, Point)>, String> {
    let file = TextFile { path: "points.jsonl".into(), sha256: String::new(), text: text.into() };
    JsonlReader::new(&file).collect::<Result<_, _>>().map_err(|error| error.to_string())
}

fn check_error(result: Result<(), DataError>, folder: &Path, expected: &Expect) {
    let shown = result.unwrap_err().to_string();
    expected.assert_eq(&shown.replace(&folder.display().to_string(), "(folder)"));
}

#[test]
fn values_come_with_their_lines() {
    let points = read_points("{\"x\":1,\"y\":2}\n\n{\"x\":3,\"y\":4}").unwrap();
    assert_eq!(points, [(1, Point { x: 1, y: 2 }), (3, Point { x: 3, y: 4 })]);
}

#[test]
fn errors_come_with_their_lines() {
    let check = |line: &str, expected: &Expect| {
        expected.assert_eq(&read_points(&format!("{{\"x\":1,\"y\":2}}\n{line}\n")).unwrap_err());
    };
    check("{\"x\":1}", &expect!["points.jsonl:2: missing field `y`"]);
    check(
        "{\"x\":1,\"y\":\"two\"}",
        &expect![[r#"points.jsonl:2: invalid type: string "two", expected i64"#]],
    );
    check("{\"x\":1,\"y\":2", &expect!["points.jsonl:2: invalid JSON: EOF while parsing an object"]);
    check("{\"x\":1,\"y\":2}}", &expect!["points.jsonl:2: invalid JSON: trailing characters"]);
}

#[test]
fn written_values_are_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("points.jsonl");
    write_jsonl(&path, &[Point { x: 1, y: 2 }, Point { x: 3, y: 4 }]).unwrap();
    let file = TextFile::read(&path).unwrap();
    assert_eq!(file.text, "{\"x\":1,\"y\":2}\n{\"x\":3,\"y\":4}\n");
    let points: Vec<Point> = JsonlReader::new(&file).map(|row| row.unwrap().1).collect();
    assert_eq!(points, [Point { x: 1, y: 2 }, Point { x: 3, y: 4 }]);
}

#[test]
fn an_unfinished_writer_leaves_the_old_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("points.jsonl");
    write_atomic(&path, b"old").unwrap();
    let mut writer = JsonlWriter::create(&path).unwrap();
    writer.write(&Point { x: 1, y: 2 }).unwrap();
    drop(writer);
    assert_eq!(fs_err::read(&path).unwrap(), b"old");
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1);
    let mut writer = JsonlWriter::create(&path).unwrap();
    writer.write(&Point { x: 1, y: 2 }).unwrap();
    writer.finish().unwrap();
    assert_eq!(fs_err::read(&path).unwrap(), b"{\"x\":1,\"y\":2}\n");
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn writing_replaces_what_was_there_and_leaves_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    write_atomic(&path, b"old and long").unwrap();
    write_atomic(&path, b"new").unwrap();
    assert_eq!(fs_err::read(&path).unwrap(), b"new");
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn written_files_may_be_read_by_others() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
    write_atomic(&ours, b"").unwrap();
    fs_err::write(&theirs, b"").unwrap();
    let mode = |path: &Path| fs_err::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&ours), mode(&theirs));
}

#[test]
fn a_failed_write_names_the_path_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    fs_err::write(at("file"), b"").unwrap();
    fs_err::create_dir(at("taken")).unwrap();
    check_error(
        write_atomic(&at("absent/state.json"), b"{}"),
        folder.path(),
        &expect!["(folder)/absent/state.json: cannot be written: No such file or directory (os error 2)"],
    );
    check_error(
        write_atomic(&at("file/state.json"), b"{}"),
        folder.path(),
        &expect!["(folder)/file/state.json: cannot be written: Not a directory (os error 20)"],
    );
    check_error(
        write_atomic(&at("taken"), b"{}"),
        folder.path(),
        &expect!["(folder)/taken: cannot be written: Is a directory (os error 21)"],
    );
    check_error(
        write_atomic(Path::new(".."), b"{}"),
        folder.path(),
        &expect!["..: cannot be written: the path names no file"],
    );
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn the_systems_words_are_kept() {
    for (kind, words) in [
        (io::ErrorKind::StorageFull, "no storage space"),
        (io::ErrorKind::ReadOnlyFilesystem, "read-only filesystem or storage medium"),
        (io::ErrorKind::PermissionDenied, "permission denied"),
    ] {
        assert_eq!(system_words(&kind.into()), words);
        assert_eq!(read_problem(&kind.into()), DataProblem::Read(words.to_owned()));
    }
}

#[test]
fn values_without_a_json_form_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let map = std::collections::BTreeMap::from([((1, 2), 3)]);
    check_error(
        write_jsonl(&folder.path().join("x"), &[map]),
        folder.path(),
        &expect!["(folder)/x: cannot be written as JSON: key must be a string"],
    );
}

#[test]
fn hashes_are_the_published_ones() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    write_atomic(&path, b"abc").unwrap();
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(sha256_hex(b"abc"), abc);
    assert_eq!(sha256_file(&path).unwrap(), abc);
    assert_eq!(TextFile::read(&path).unwrap().sha256, abc);
    assert_eq!(sha256_hex(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    let large = vec![7; (1 << 20) + 1];
    write_atomic(&path, &large).unwrap();
    assert_eq!(sha256_file(&path).unwrap(), sha256_hex(&large));
    check_error(
        sha256_file(folder.path()).map(drop),
        folder.path(),
        &expect!["(folder): is a folder, not a file"],
    );
    check_error(
        sha256_file(&folder.path().join("absent")).map(drop),
        folder.path(),
        &expect!["(folder)/absent: no such file"],
    );
}
