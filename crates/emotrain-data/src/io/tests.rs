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
    fs_err::write(&path, b"old").unwrap();
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
fn a_failed_write_names_the_path_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let points = [Point { x: 1, y: 2 }];
    check_error(
        write_jsonl(&folder.path().join("absent/points.jsonl"), &points),
        folder.path(),
        &expect!["(folder)/absent/points.jsonl: cannot be written: No such file or directory (os error 2)"],
    );
    if cfg!(target_os = "linux") {
        let full = write_jsonl(Path::new("/dev/full"), &points).unwrap_err();
        assert!(full.hint().unwrap().contains("free some disk space"), "{full}");
    }
}

#[test]
fn the_systems_words_are_kept() {
    let denied = io::ErrorKind::PermissionDenied;
    assert_eq!(read_problem(&denied.into()), DataProblem::Read("permission denied".to_owned()));
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
fn a_file_that_cannot_be_hashed_is_named() {
    let folder = tempfile::tempdir().unwrap();
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
    fs_err::write(folder.path().join("file"), "abc").unwrap();
    let file = folder.path().join("file");
    assert_eq!(sha256_file(&file).unwrap(), TextFile::read(&file).unwrap().sha256);
}
