//! Recognising kinds of files by their first bytes.

use crate::error::FileKind;

/// Number of bytes examined.
const HEAD: usize = 4096;

const UTF_16: FileKind =
    FileKind { name: "UTF-16", hint: "save the file as UTF-8: iconv -f UTF-16 -t UTF-8" };
const UTF_16_LE: FileKind =
    FileKind { name: "UTF-16 without a mark", hint: "save the file as UTF-8: iconv -f UTF-16LE -t UTF-8" };
const UTF_16_BE: FileKind =
    FileKind { name: "UTF-16 without a mark", hint: "save the file as UTF-8: iconv -f UTF-16BE -t UTF-8" };
const UTF_32: FileKind =
    FileKind { name: "UTF-32", hint: "save the file as UTF-8: iconv -f UTF-32 -t UTF-8" };

/// First bytes that no UTF-8 text of dialogues has, the longest first.
const BEGINNINGS: &[(&[u8], FileKind)] = &[
    (
        b"version https://git-lfs.github.com/",
        FileKind { name: "a pointer of Git LFS", hint: "fetch the file: git lfs pull" },
    ),
    (b"SQLite format 3\0", FileKind { name: "a SQLite database", hint: EXPORT }),
    (b"ARROW1\0\0", FileKind { name: "an Arrow file", hint: EXPORT }),
    (b"\xfd7zXZ\0", FileKind { name: "compressed with xz", hint: "unpack it: unxz FILE" }),
    (b"7z\xbc\xaf\x27\x1c", FileKind { name: "a 7z archive", hint: UNPACK }),
    (b"\x89HDF\r\n", FileKind { name: "an HDF5 file", hint: EXPORT }),
    (b"\xff\xfe\0\0", UTF_32),
    (b"\0\0\xfe\xff", UTF_32),
    (b"PAR1", FileKind { name: "a Parquet file", hint: EXPORT }),
    (
        b"PK\x03\x04",
        FileKind {
            name: "a zip archive, such as an Excel spreadsheet",
            hint: "unpack it, or save the sheet as CSV",
        },
    ),
    (b"\x28\xb5\x2f\xfd", FileKind { name: "compressed with zstd", hint: "unpack it: unzstd FILE" }),
    (b"%PDF", FileKind { name: "a PDF", hint: "name the data file" }),
    (b"BZh", FileKind { name: "compressed with bzip2", hint: "unpack it: bunzip2 FILE" }),
    (b"\x1f\x8b", FileKind { name: "compressed with gzip", hint: "unpack it: gunzip FILE" }),
    (b"\xff\xfe", UTF_16),
    (b"\xfe\xff", UTF_16),
    (b"\x80\x02", PICKLE),
    (b"\x80\x03", PICKLE),
    (b"\x80\x04", PICKLE),
    (b"\x80\x05", PICKLE),
];
const UNPACK: &str = "unpack it";
const EXPORT: &str = "export it as JSON lines or CSV";
const PICKLE: FileKind =
    FileKind { name: "a Python pickle", hint: "convert it to JSON lines with json.dumps" };

/// The kind of a file with these first bytes, if it is not UTF-8 text.
pub(crate) fn foreign(bytes: &[u8]) -> Option<FileKind> {
    let named = BEGINNINGS.iter().find(|(beginning, _)| bytes.starts_with(beginning));
    named.map(|(_, kind)| *kind).or_else(|| web_page(bytes)).or_else(|| unmarked(bytes))
}

/// An HTML page that a server returned instead of a file.
fn web_page(bytes: &[u8]) -> Option<FileKind> {
    let head: Vec<u8> = bytes
        .iter()
        .skip_while(|byte| byte.is_ascii_whitespace())
        .take(15)
        .map(u8::to_ascii_lowercase)
        .collect();
    let is_page = head.starts_with(b"<!doctype html") || head.starts_with(b"<html");
    is_page.then_some(FileKind { name: "a web page", hint: "download the file itself, not its web page" })
}

/// UTF-16 without a byte order mark: every second byte of ASCII text is zero.
fn unmarked(bytes: &[u8]) -> Option<FileKind> {
    let head = &bytes[..bytes.len().min(HEAD)];
    let zeros = |parity: usize| head.iter().skip(parity).step_by(2).filter(|&&byte| byte == 0).count();
    let (even, odd, least) = (zeros(0), zeros(1), head.len() / 8);
    if head.len() < 4 || even.max(odd) < least.max(2) || even.min(odd) * 8 > even.max(odd) {
        None
    } else if odd > even {
        Some(UTF_16_LE)
    } else {
        Some(UTF_16_BE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_utf_8_is_named() {
        let text = "{\"id\": \"a\", \"utterances\": []} été";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let named = |bytes: &[u8]| foreign(bytes).map(|kind| (kind.name, kind.hint.contains("BE")));
        assert_eq!(named(&little), Some(("UTF-16 without a mark", false)));
        assert_eq!(named(&big), Some(("UTF-16 without a mark", true)));
        assert_eq!(named(&[b"\xff\xfe", &little[..]].concat()), Some(("UTF-16", false)));
        assert_eq!(named(b"\xff\xfe\0\0a\0\0\0"), Some(("UTF-32", false)));
        assert_eq!(named(b"\x1f\x8b\x08"), Some(("compressed with gzip", false)));
        assert_eq!(named(b"\n <!DOCTYPE html><html>"), Some(("a web page", false)));
        for sound in ["", "a", text, "a\0b", "日本語", "PKs are primary keys"] {
            assert_eq!(named(sound.as_bytes()), None, "{sound:?}");
        }
    }
}
