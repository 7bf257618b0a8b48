//! The program from outside: the real binary on tiny models and conversations made here.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod bank;
mod command_line;
mod complaints;
mod curriculum;
mod hub;
mod knowledge;
mod papers;
mod resume;
mod runs;
mod tools;
mod workbench;
