use super::*;

fn check_text(text: &str, expected: &Expect) {
    let folder = folder(&[("file", text.as_bytes())]);
    let shown = match load_text(&folder.path().join("file")) {
        Ok(split) => format!("{:?}\nmended {}\n", split.documents, split.mended),
        Err(error) => format!("{error}\n"),
    };
    expected.assert_eq(&shown.replace(&format!("{}/", folder.path().display()), ""));
}

#[test]
fn blank_lines_separate_documents() {
    check_text(
        "\n\nOne fox.\r\n Two foxes. \n \t\n\nIt\u{92}s three.\n\n",
        &expect![[r#"
            ["One fox.\n Two foxes.", "It’s three."]
            mended 1
        "#]],
    );
}

#[test]
fn a_file_without_documents_is_refused() {
    check_text(
        "",
        &expect![[r#"
            file: has no documents
        "#]],
    );
    check_text(
        "\n \n\t\n",
        &expect![[r#"
            file: has no documents
        "#]],
    );
}

#[test]
fn the_hash_is_that_of_the_bytes() {
    let folder = folder(&[("file", b"abc")]);
    let split = load_text(&folder.path().join("file")).unwrap();
    assert_eq!(split.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
