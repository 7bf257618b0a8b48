//! Names that come from elsewhere, and which of them may become paths.

use std::fmt::Write;
use std::path::{Component, Path};

use sha2::{Digest, Sha256};

/// The longest name of a file, in bytes, that file systems take.
const LONGEST_PART: usize = 255;
/// The longest path within a repository, in bytes.
const LONGEST_PATH: usize = 1024;
/// The longest name of a blob: room is left for the end that a part of it has.
const LONGEST_BLOB: usize = 200;

/// `name` or `owner/name`, in the characters that hubs allow.
pub(super) fn is_hub_name(name: &str) -> bool {
    let sound = |part: &str| {
        let first = part.chars().next();
        first.is_some_and(|c| c.is_ascii_alphanumeric()) && part.chars().all(is_plain) && part.len() <= 96
    };
    let is_file = [".gguf", ".safetensors"].iter().any(|end| name.to_lowercase().ends_with(end));
    name.split('/').count() <= 2 && name.split('/').all(sound) && !is_file
}

/// A path that stays where it starts, on every system: names with slashes between them, none of which means anything.
pub(super) fn is_plain_path(path: &str) -> bool {
    let sound = |part: &str| !["", ".", ".."].contains(&part) && part.len() <= LONGEST_PART;
    path.len() <= LONGEST_PATH
        && path.split('/').all(sound)
        && !path.contains(|c: char| c == '\\' || c.is_control())
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

/// A commit's id, or what a mirror has in its place: one name of letters and digits.
pub(super) fn is_commit(id: &str) -> bool {
    id.starts_with(|c: char| c.is_ascii_alphanumeric()) && id.chars().all(is_plain) && id.len() <= 128
}

/// The name of the blob with this tag: the tag, or a substitute for one that is not a valid file name.
pub(super) fn blob(tag: &str) -> String {
    let is_name = tag.starts_with(|c: char| c.is_ascii_alphanumeric()) && tag.chars().all(is_plain);
    if is_name && tag.len() <= LONGEST_BLOB { tag.to_owned() } else { hex(&Sha256::digest(tag)) }
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A name as a part of an address; slashes between names are kept.
pub(super) fn encoded(name: &str, slash: Slash) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        let letter = char::from(byte);
        if letter.is_ascii_alphanumeric() || "-_.~".contains(letter) || letter == '/' && slash == Slash::Stays
        {
            text.push(letter);
        } else {
            // Writing to a text cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// What becomes of a slash in an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slash {
    /// It parts names.
    Stays,
    /// It belongs to one name, as in the branch `refs/pr/1`.
    Encoded,
}

/// A commit's id in messages.
pub(super) fn short(commit: &str) -> String {
    match commit.get(..7) {
        Some(start) if commit.len() > 7 => format!("{start}…"),
        _ => commit.to_owned(),
    }
}

/// What somebody else chose, in messages: quoted, without control characters, not endless.
pub(super) fn quoted(text: &str) -> String {
    let start: String = text.chars().take(80).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("{start:?}{more}")
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "-_.".contains(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hub_names_are_told_from_paths() {
        for name in ["Qwen/Qwen2.5-7B-Instruct", "gpt2", "a-b/c_d.e"] {
            assert!(is_hub_name(name), "{name}");
        }
        for path in
            ["", "./model", "../model", "/models/x", "a/b/c", "model.gguf", "a/b.gguf", "a//b", "~/x", "a b"]
        {
            assert!(!is_hub_name(path), "{path}");
        }
    }

    #[test]
    fn a_path_that_leaves_is_none() {
        for path in ["config.json", "1_Pooling/config.json", "refs/pr/1", "..a", "a..b", "a b", "v1.0", "ä"]
        {
            assert!(is_plain_path(path), "{path}");
        }
        let (long, deep) = ("x".repeat(256), "x/".repeat(600) + "x");
        for path in [
            "",
            ".",
            "..",
            "../x",
            "a/../../x",
            "a/..",
            "/etc/passwd",
            "//x",
            "a//b",
            "a/",
            "./a",
            "a\\b",
            "..\\x",
            "C:\\x",
            "a\0b",
            "a\nb",
            "\u{1b}[2J",
            &long,
            &deep,
        ] {
            assert!(!is_plain_path(path), "{path:?}");
        }
    }

    #[test]
    fn a_commit_is_one_name() {
        assert!(is_commit("0123456789abcdef0123456789abcdef01234567") && is_commit("v1.0"));
        for id in ["", "..", ".", "../a", "a/b", "/a", "a\\b", "a\0", "a\n", "a b", ".git", &"a".repeat(129)]
        {
            assert!(!is_commit(id), "{id:?}");
        }
    }

    #[test]
    fn a_blob_is_named_by_its_tag_or_by_a_digest() {
        assert_eq!(blob("0a1b-2_c.d"), "0a1b-2_c.d");
        for tag in ["", "..", ".hidden", "a/b", "/etc/passwd", "a:b", "a+b=", &"a".repeat(201)] {
            let name = blob(tag);
            assert!(name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{tag:?}: {name}");
        }
        assert_ne!(blob("a/b"), blob("a/c"));
    }

    #[test]
    fn addresses_hold_no_sign_that_has_a_meaning_there() {
        assert_eq!(encoded("1_Pooling/a b?#%.json", Slash::Stays), "1_Pooling/a%20b%3F%23%25.json");
        assert_eq!(encoded("refs/pr/1", Slash::Encoded), "refs%2Fpr%2F1");
        assert_eq!(encoded("ä", Slash::Stays), "%C3%A4");
    }

    #[test]
    fn what_others_chose_is_shown_in_one_line() {
        assert_eq!(quoted("a\n\u{1b}[2J"), r#""a\n\u{1b}[2J""#);
        assert_eq!(quoted(&"x".repeat(100)).chars().count(), 83);
        assert_eq!(short("0123456789"), "0123456…");
        assert_eq!(short("v1.0"), "v1.0");
    }
}
