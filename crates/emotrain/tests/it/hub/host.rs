//! A hub that lives for a test, answers as it is told to, and notes what it was asked.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::workbench::{Said, Workbench};

pub(super) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) path: String,
    /// The `Authorization` header.
    pub(super) token: Option<String>,
    /// The first byte that is wanted.
    pub(super) from: Option<usize>,
}

/// A response.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    /// What the head says of the body's length.
    pub(super) length: usize,
}

impl Reply {
    pub(super) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self { status, head: Vec::new(), length: body.len(), body }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.head.retain(|(old, _)| *old != name);
        self.head.push((name, value.into()));
        self
    }

    pub(super) fn redirect(location: impl Into<String>) -> Self {
        Self::new(302, "").with("Location", location)
    }
}

/// What a repository is made of: a folder, and which of its files are listed.
#[derive(Clone, Debug)]
pub(super) struct Repository {
    pub(super) folder: PathBuf,
    pub(super) files: Vec<String>,
}

impl Repository {
    pub(super) fn of(folder: &Path, files: &[&str]) -> Self {
        Self { folder: folder.to_path_buf(), files: files.iter().map(|file| (*file).to_owned()).collect() }
    }

    /// What an honest hub answers.
    pub(super) fn reply(&self, asked: &Asked) -> Reply {
        let siblings: Vec<_> = self.files.iter().map(|file| json!({ "rfilename": file })).collect();
        if asked.path.starts_with("/api/models/") {
            return Reply::new(200, json!({ "sha": COMMIT, "siblings": siblings }).to_string());
        }
        let place = format!("/resolve/{COMMIT}/");
        let file = asked.path.split_once(&place).map(|(_, file)| file);
        let Some(file) = file.filter(|file| self.files.iter().any(|listed| listed == file)) else {
            return Reply::new(404, "");
        };
        let bytes = fs_err::read(self.folder.join(file)).unwrap();
        let tag = format!("\"{}-tag\"", file.replace('/', "-"));
        let reply = match asked.from {
            None => Reply::new(200, bytes),
            Some(from) => {
                let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
                Reply::new(206, &bytes[from..]).with("Content-Range", range)
            }
        };
        reply.with("ETag", tag).with("X-Repo-Commit", COMMIT)
    }
}

/// The server.
pub(super) struct Host {
    pub(super) endpoint: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Host {
    /// A server that answers as `mind` says.
    pub(super) fn open(mut mind: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(asked) = read(&stream) else { continue };
                notes.lock().unwrap().push(asked.clone());
                write(&mut stream, &mind(&asked));
            }
        });
        Self { endpoint, asked }
    }

    pub(super) fn command(&self, bench: &Workbench, args: &[&str]) -> Command {
        let mut command = bench.command(args);
        command.env("HF_ENDPOINT", &self.endpoint).env_remove("HF_HUB_OFFLINE");
        command
    }

    pub(super) fn run(&self, bench: &Workbench, args: &[&str]) -> Said {
        Said::of(&self.command(bench, args).output().unwrap())
    }

    /// What was asked for since the last time.
    pub(super) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// The paths of it.
    pub(super) fn paths(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.path).collect()
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let request = lines.next()?.ok()?;
    let headers: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let header = |name: &str| {
        let mut pairs = headers.iter().filter_map(|line| line.split_once(": "));
        pairs.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let from = header("range")
        .and_then(|range| range.trim_start_matches("bytes=").trim_end_matches('-').parse().ok());
    Some(Asked { path: request.split(' ').nth(1)?.to_owned(), token: header("authorization"), from })
}

fn write(stream: &mut TcpStream, reply: &Reply) {
    let more: Vec<String> = reply.head.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let more = more.concat();
    let (status, length) = (reply.status, reply.length);
    let head =
        format!("HTTP/1.1 {status} Word\r\n{more}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    // The other side may have gone away: it has seen enough.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&reply.body));
}
