//! Reading with size limits; the limits of all kinds of files are listed here.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How much of a kind of file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The kind of file, with its article.
    pub what: &'static str,
    /// At most this many bytes.
    pub bytes: u64,
    /// At most this many bytes per line, if lines are read one by one.
    pub line: Option<u64>,
}

/// The limits: far above the size of published files, far below what exhausts memory.
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
    /// `tokenizer.json`; the largest vocabularies take 40 MB.
    pub const TOKENIZER: Limit = Limit { what: "a tokenizer", bytes: 512 * MIB, line: None };
    /// A data file that is one JSON value.
    pub const DOCUMENT: Limit = Limit { what: "a data file", bytes: 2 * GIB, line: None };
    /// A data file with one value or paragraph per line.
    pub const LINES: Limit = Limit { what: "a data file", bytes: 2 * GIB, line: Some(16 * MIB) };
    /// A data file that is streamed line by line.
    pub const STREAM: Limit = Limit { what: "a data file", bytes: u64::MAX, line: Some(16 * MIB) };
    /// Weights and vectors, which are memory-mapped.
    pub const WEIGHTS: Limit = Limit { what: "a file of weights", bytes: u64::MAX, line: None };

    /// Text of one utterance.
    pub const UTTERANCE_BYTES: usize = 256 << 10;
}

/// Why a file was not read.
#[derive(Debug)]
struct Refusal {
    path: PathBuf,
    words: Words,
}

/// The problem, without the file's name.
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

/// Opens a regular file that is not larger than the limit.
///
/// # Errors
/// Any system error; a pipe, device or socket; a file that is too large, with its size.
pub fn open(path: &Path, limit: Limit) -> io::Result<fs_err::File> {
    let metadata = path.metadata().map_err(|error| {
        let refusal = Refusal { path: path.to_owned(), words: Words(error.to_string()) };
        io::Error::new(error.kind(), refusal)
    })?;
    if let Some(kind) = other_kind(metadata.file_type()) {
        return Err(refusal(path, format!("is {kind}, not a file: save its contents to a file first")));
    }
    if metadata.len() > limit.bytes {
        return Err(too_large(path, limit, metadata.len()));
    }
    fs_err::File::open(path)
}

/// Opens a regular file that is not larger than the limit, or a pipe or device, whose size is not known.
///
/// # Errors
/// Any system error; a file that is too large, with its size.
pub fn open_stream(path: &Path, limit: Limit) -> io::Result<fs_err::File> {
    let is_special = path.metadata().is_ok_and(|metadata| other_kind(metadata.file_type()).is_some());
    if is_special { fs_err::File::open(path) } else { open(path, limit) }
}

/// Reads a whole file.
///
/// # Errors
/// The errors of [`open`]; a file that grows beyond the limit; a line that is too long, with its number.
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

/// Reads a whole UTF-8 file.
///
/// # Errors
/// The errors of [`read`]; invalid UTF-8.
pub fn read_to_string(path: &Path, limit: Limit) -> io::Result<String> {
    String::from_utf8(read(path, limit)?).map_err(|_| refusal(path, "is not valid UTF-8"))
}

fn too_large(path: &Path, limit: Limit, size: u64) -> io::Error {
    let (size, most, what) = (bytes(size), bytes(limit.bytes), limit.what);
    refusal(path, format!("has {size}; the limit for {what} is {most}"))
}

/// The message for a line that is too long.
pub fn long_line(line: usize, longest: u64) -> String {
    format!("line {line} is longer than {}", bytes(longest))
}

/// The kind of a path that is neither a file nor a folder.
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
        (!kind.is_file() && !kind.is_dir()).then_some("a special file")
    }
}

/// A size in readable units.
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

    fn outcome(bytes: &[u8], limit: Limit) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs_err::write(&path, bytes).unwrap();
        let outcome =
            read(&path, limit).map_or_else(|error| error.to_string(), |read| format!("{} bytes", read.len()));
        outcome.replace(&format!("{}/", folder.path().display()), "")
    }

    #[test]
    fn files_that_are_too_large_are_reported_with_their_size() {
        let lines = b"12345678\n".repeat(11);
        assert_eq!(outcome(&lines, SMALL), "99 bytes");
        assert_eq!(outcome(&[b'\n'; 101], SMALL), "file: has 101 bytes; the limit for a note is 100 bytes");
        assert_eq!(outcome(b"short\n0123456789\n", SMALL), "16 bytes".replace("16", "17"));
        assert_eq!(
            outcome(b"short\n01234567891\n", SMALL),
            "18 bytes",
            "lines are not measured within one chunk"
        );
        let long = Limit { bytes: 1 << 30, ..SMALL };
        let many = [&b"a\n"[..], &vec![b'x'; 3 << 20]].concat();
        assert_eq!(outcome(&many, long), "file: line 2 is longer than 10 bytes");
        assert_eq!(outcome(&many, Limit { line: None, ..long }), "3145730 bytes");
    }

    #[test]
    fn sparse_files_devices_and_pipes_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sparse");
        fs_err::File::create(&path).unwrap().set_len(100 << 30).unwrap();
        let error = read(&path, limits::LINES).unwrap_err().to_string();
        assert!(error.ends_with("sparse: has 100.0 GiB; the limit for a data file is 2.0 GiB"), "{error}");
        #[cfg(unix)]
        for limit in [limits::LINES, limits::STREAM, limits::WEIGHTS] {
            let error = open("/dev/zero".as_ref(), limit).unwrap_err().to_string();
            assert_eq!(error, "/dev/zero: is a device, not a file: save its contents to a file first");
        }
    }
}
