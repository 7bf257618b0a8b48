//! One file per command: each takes its arguments and the shell, and says how it ended.

pub(crate) mod bank;
pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod curriculum;
pub(crate) mod eval;
pub(crate) mod export;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod interpret;
pub(crate) mod plan;
pub(crate) mod predict;
pub(crate) mod quantize;
mod replaced;
pub(crate) mod report;
pub(crate) mod runs;
pub(crate) mod schema;
pub(crate) mod selftest;
pub(crate) mod sweep;
mod table_columns;
pub(crate) mod tokenizer;
pub(crate) mod train;
pub(crate) mod verify;
