//! Programs of others, which get a time limit.

use std::io::{ErrorKind, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use emotrain_base::Complaint;

/// How often it is looked whether a program has ended.
const LOOK: Duration = Duration::from_millis(20);
/// The most that is read of what a program prints, in bytes.
const MOST_OUTPUT: u64 = 64 << 20;

/// What a program answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: ExitStatus,
    pub(super) out: String,
    /// Standard error, without white space around it.
    pub(super) err: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// There is no such program.
    Missing,
    /// It does not start, or its time was up; in words.
    Failed(Complaint),
}

/// Runs a program to its end, or until its time is up.
pub(super) fn ask(command: &mut Command, limit: Duration) -> Result<Answer, NoAnswer> {
    let name = command.get_program().to_string_lossy().into_owned();
    let failed = |what: String| NoAnswer::Failed(Complaint::input(format!("{name} {what}")));
    let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = started.map_err(|error| {
        let is_missing = error.kind() == ErrorKind::NotFound;
        if is_missing { NoAnswer::Missing } else { failed(format!("cannot be started: {error}")) }
    })?;
    let (out, err) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let status = wait(&mut child, limit).map_err(|error| failed(format!("cannot be waited for: {error}")))?;
    let Some(status) = status else {
        return Err(failed(format!("did not answer within {} s", limit.as_secs())));
    };
    let text =
        |from: JoinHandle<Vec<u8>>| from.join().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let (out, err) = (text(out).unwrap_or_default(), text(err).unwrap_or_default());
    Ok(Answer { status, out, err: err.trim().to_owned() })
}

/// Waits for a program; ends it and returns `None` if its time is up.
fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begin.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(LOOK);
    }
}

fn collect(from: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(from) = from {
            // What was read until an error is all there is.
            let _ = from.take(MOST_OUTPUT).read_to_end(&mut bytes);
        }
        bytes
    })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<Answer, NoAnswer> {
        ask(Command::new("sh").args(["-c", script]), limit)
    }

    #[test]
    fn answers_and_complaints_are_collected() {
        let answer = shell("echo yes; echo ' no ' >&2; exit 3", Duration::from_mins(1)).unwrap();
        assert_eq!((answer.out.as_str(), answer.err.as_str()), ("yes\n", "no"));
        assert_eq!(answer.status.code(), Some(3));
    }

    #[test]
    fn much_output_stops_nobody() {
        let answer = shell("head -c 300000 /dev/zero", Duration::from_mins(1)).unwrap();
        assert_eq!(answer.out.len(), 300_000);
    }

    #[test]
    fn a_program_that_does_not_answer_is_ended() {
        let begin = Instant::now();
        let error = shell("exec sleep 60", Duration::from_millis(100)).unwrap_err();
        assert!(
            matches!(&error, NoAnswer::Failed(words) if words.to_string().contains("did not answer")),
            "{error:?}"
        );
        assert!(begin.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_program_that_is_not_there_is_missing() {
        let error = ask(&mut Command::new("no-such-program-anywhere"), Duration::from_secs(1)).unwrap_err();
        assert!(matches!(error, NoAnswer::Missing));
    }
}
