//! Reading with a limit: the one list of how large which kind of file may be.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How much of a kind of file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The kind, with its article.
    pub what: &'static str,
    /// Bytes at most.
    pub bytes: u64,
    /// Bytes of a line at most, where lines are read one by one.
    pub line: Option<u64>,
}

/// The limits. Each is far above what published files have, and far below what harms a machine.
pub mod limits {
    use super::Limit;

    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;

    /// Recipes, curricula, wheels, queries.
    pub const RECIPE: Limit = Limit { what: "a recipe", bytes: MIB, line: None };
    /// Prompt templates and chat templates.
    pub const TEMPLATE: Limit = Limit { what: "a template", bytes: MIB, line: None };
    /// `config.json` and other small JSON files of models, adapters, runs and banks.
    pub const CONFIG: Limit = Limit { what: "a JSON file of settings", bytes: 64 * MIB, line: None };
    /// `tokenizer.json`; the largest vocabularies come to 40 MB.
    pub const TOKENIZER: Limit = Limit { what: "a tokenizer", bytes: 512 * MIB, line: None };
    /// Data of one JSON value.
    pub const DOCUMENT: Limit = Limit { what: "a data file", bytes: 2 * GIB, line: None };
    /// Data with a value or a paragraph a line.
    pub const LINES: Limit = Limit { what: "a data file", bytes: 2 * GIB, line: Some(16 * MIB) };
    /// Data that is read line by line and not held in memory.
    pub const STREAM: Limit = Limit { what: "a data file", bytes: u64::MAX, line: Some(16 * MIB) };
    /// Weights and vectors, which are mapped and not read.
    pub const WEIGHTS: Limit = Limit { what: "a file of weights", bytes: u64::MAX, line: None };

    /// Text of one utterance.
    pub const UTTERANCE_BYTES: usize = 256 << 10;
}

/// Why a file is not read.
#[derive(Debug)]
struct Refusal {
    path: PathBuf,
    words: Words,
}

/// What is wrong with it, without its name.
#[derive(Debug)]
struct Words(String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.words)
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.words)
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Words {}

fn refusal(path: &Path, words: impl Into<String>) -> io::Error {
    let refusal = Refusal { path: path.to_owned(), words: Words(words.into()) };
    io::Error::new(io::ErrorKind::InvalidData, refusal)
}

/// Opens a file that is one, and not larger than the limit.
///
/// # Errors
/// Any of the system's; a pipe, a device, a socket; a file that is too large, with its size.
pub fn open(path: &Path, limit: Limit) -> io::Result<fs_err::File> {
    let metadata = path.metadata().map_err(|error| {
        let refusal = Refusal { path: path.to_owned(), words: Words(error.to_string()) };
        io::Error::new(error.kind(), refusal)
    })?;
    if let Some(kind) = other_kind(metadata.file_type()) {
        return Err(refusal(path, format!("is {kind}, not a file: write its contents into one")));
    }
    if metadata.len() > limit.bytes {
        return Err(too_large(path, limit, metadata.len()));
    }
    fs_err::File::open(path)
}

/// Reads a file whole.
///
/// # Errors
/// Those of [`open`]; a file that grows beyond the limit; a line that is too long, with its number.
pub fn read(path: &Path, limit: Limit) -> io::Result<Vec<u8>> {
    let mut file = open(path, limit)?;
    let mut bytes = Vec::new();
    let Some(longest) = limit.line else {
        let count = file.take(limit.bytes.saturating_add(1)).read_to_end(&mut bytes)?;
        return if count as u64 > limit.bytes {
            Err(too_large(path, limit, count as u64))
        } else {
            Ok(bytes)
        };
    };
    let (mut line, mut begin, mut buffer) = (1, 0, vec![0; 1 << 20]);
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(bytes);
        }
        for (at, _) in buffer[..count].iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            line += 1;
            begin = bytes.len() + at + 1;
        }
        bytes.extend_from_slice(&buffer[..count]);
        if (bytes.len() - begin.min(bytes.len())) as u64 > longest {
            return Err(refusal(path, long_line(line, longest)));
        }
        if bytes.len() as u64 > limit.bytes {
            return Err(too_large(path, limit, bytes.len() as u64));
        }
    }
}

/// Reads a file of UTF-8 whole.
///
/// # Errors
/// Those of [`read`]; bytes that are not UTF-8.
pub fn read_to_string(path: &Path, limit: Limit) -> io::Result<String> {
    String::from_utf8(read(path, limit)?).map_err(|_| refusal(path, "is not valid UTF-8"))
}

fn too_large(path: &Path, limit: Limit, size: u64) -> io::Error {
    let (size, most, what) = (bytes(size), bytes(limit.bytes), limit.what);
    refusal(path, format!("has {size}, and {what} at most {most}"))
}

/// The words for a line that is too long.
pub fn long_line(line: usize, longest: u64) -> String {
    format!("line {line} is longer than {}", bytes(longest))
}

/// What a path leads to that is neither a file nor a folder.
fn other_kind(kind: std::fs::FileType) -> Option<&'static str> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        let kinds = [
            (kind.is_fifo(), "a pipe"),
            (kind.is_char_device() || kind.is_block_device(), "a device"),
            (kind.is_socket(), "a socket"),
        ];
        kinds.into_iter().find_map(|(is_it, name)| is_it.then_some(name))
    }
    #[cfg(not(unix))]
    {
        (!kind.is_file() && !kind.is_dir()).then_some("no file")
    }
}

/// A size for people.
fn bytes(count: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(power, _)| count >> power > 0) {
        Some((power, unit)) => format!("{:.1} {unit}", count as f64 / f64::from(1_u32 << power)),
        None => format!("{count} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Limit = Limit { what: "a note", bytes: 100, line: Some(10) };

    fn told(bytes: &[u8], limit: Limit) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs_err::write(&path, bytes).unwrap();
        let told =
            read(&path, limit).map_or_else(|error| error.to_string(), |read| format!("{} bytes", read.len()));
        told.replace(&format!("{}/", folder.path().display()), "")
    }

    #[test]
    fn what_is_too_large_is_told_with_its_size() {
        let lines = b"12345678\n".repeat(11);
        assert_eq!(told(&lines, SMALL), "99 bytes");
        assert_eq!(told(&[b'\n'; 101], SMALL), "file: has 101 bytes, and a note at most 100 bytes");
        assert_eq!(told(b"short\n0123456789\n", SMALL), "16 bytes".replace("16", "17"));
        assert_eq!(
            told(b"short\n01234567891\n", SMALL),
            "18 bytes",
            "within one piece lines are not measured"
        );
        let long = Limit { bytes: 1 << 30, ..SMALL };
        let many = [&b"a\n"[..], &vec![b'x'; 3 << 20]].concat();
        assert_eq!(told(&many, long), "file: line 2 is longer than 10 bytes");
        assert_eq!(told(&many, Limit { line: None, ..long }), "3145730 bytes");
    }

    #[test]
    fn sparse_files_devices_and_pipes_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sparse");
        fs_err::File::create(&path).unwrap().set_len(100 << 30).unwrap();
        let error = read(&path, limits::LINES).unwrap_err().to_string();
        assert!(error.ends_with("sparse: has 100.0 GiB, and a data file at most 2.0 GiB"), "{error}");
        #[cfg(unix)]
        for limit in [limits::LINES, limits::STREAM, limits::WEIGHTS] {
            let error = open("/dev/zero".as_ref(), limit).unwrap_err().to_string();
            assert_eq!(error, "/dev/zero: is a device, not a file: write its contents into one");
        }
    }
}
