//! A server with OpenAI's interface for chats that lives for a test, misbehaves when told to, and notes what it was
//! asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// A question as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// What follows `/v1/` in the address.
    pub(crate) path: String,
    pub(crate) user: String,
    pub(crate) body: Value,
    /// The `Authorization` header.
    pub(crate) key: Option<String>,
    /// Questions before this one.
    pub(crate) number: usize,
    /// Of them, with the same words.
    pub(crate) earlier: usize,
}

/// What the server does.
pub(crate) enum Act {
    /// A good response with this text.
    Say(String),
    /// The same with another end than "stop".
    SayUntil(String, &'static str),
    /// This status, further header lines, and this body.
    Status(&'static str, &'static str, String),
    /// These bytes behind a good status line, with a `Content-Length` of this, then the end of the connection.
    Bytes(usize, String),
    /// The end of the connection.
    HangUp,
    /// Nothing for so long, then a good response.
    Late(Duration, String),
    /// Nothing, ever.
    Silence,
}

type Mind = dyn Fn(&Asked) -> Act + Send + Sync;

pub(crate) struct ChatServer {
    pub(crate) base_url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    closed: Arc<AtomicBool>,
}

impl ChatServer {
    /// A server that acts as `mind` says.
    pub(crate) fn open(mind: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (asked, closed) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (mind, notes, end): (Arc<Mind>, _, _) = (Arc::new(mind), Arc::clone(&asked), Arc::clone(&closed));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (mind, notes) = (Arc::clone(&mind), Arc::clone(&notes));
                std::thread::spawn(move || serve(&stream.unwrap(), &*mind, &notes));
            }
        });
        Self { base_url, asked, closed }
    }

    /// What was asked since the last time.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// How much was asked since the last time, which stays so.
    pub(crate) fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// Refuses connections from now on.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        // Wakes the listener up, which then goes away.
        let _ = TcpStream::connect(self.base_url.trim_start_matches("http://").trim_end_matches("/v1"));
    }
}

fn serve(stream: &TcpStream, mind: &Mind, notes: &Mutex<Vec<Asked>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}:")))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let path = head.strip_prefix("POST /v1/")?.split_once(' ')?.0.to_owned();
    let mut body = vec![0; header("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let body: Value = serde_json::from_slice(&body).unwrap();
    let last = body["messages"].as_array().and_then(|messages| messages.last());
    let user = last.map_or("", |message| message["content"].as_str().unwrap()).to_owned();
    let asked = {
        let mut notes = notes.lock().unwrap();
        let earlier = notes.iter().filter(|asked| asked.user == user).count();
        let asked = Asked { path, user, body, key: header("authorization"), number: notes.len(), earlier };
        notes.push(asked.clone());
        asked
    };
    act(stream, mind(&asked));
    Some(())
}

fn act(mut stream: &TcpStream, act: Act) {
    let good = |text: &str, finish: &str| {
        let message = json!({ "role": "assistant", "content": text });
        json!({ "id": "x", "object": "chat.completion", "choices": [{ "index": 0, "message": message, "finish_reason": finish }] })
            .to_string()
    };
    let (status, head, length, body) = match act {
        Act::Say(text) => ("200 OK", "", None, good(&text, "stop")),
        Act::SayUntil(text, finish) => ("200 OK", "", None, good(&text, finish)),
        Act::Late(pause, text) => {
            std::thread::sleep(pause);
            ("200 OK", "", None, good(&text, "stop"))
        }
        Act::Status(status, head, body) => (status, head, None, body),
        Act::Bytes(length, bytes) => ("200 OK", "", Some(length), bytes),
        Act::HangUp => return,
        Act::Silence => loop {
            std::thread::sleep(Duration::from_mins(1));
        },
    };
    let length = length.unwrap_or(body.len());
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{head}Content-Length: {length}\r\n\r\n"
    );
    // The other side may have gone away, as it does in some tests.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
}
