//! The program from outside: the real binary on tiny models and conversations made here.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod auxiliary;
mod bank;
mod checkpointing;
mod command_line;
mod compare;
mod complaints;
mod cost;
mod curriculum;
mod durability;
mod eight_bit;
mod encoder;
mod export;
mod fuzz;
mod gguf;
mod growth;
mod hub;
mod init;
mod interpret;
mod knowledge;
mod losses;
mod models;
mod neighbours;
mod newcomer;
mod outcome;
mod own_data;
mod papers;
mod plan;
mod predict;
mod published;
mod purpose;
mod quantised;
mod rare;
mod replaced;
mod report;
mod resume;
mod runs;
mod served;
mod server;
mod shared_prefix;
#[cfg(unix)]
mod slurm;
mod sweep;
mod together;
mod tools;
mod verify;
mod workbench;
