//! Files cut short and with bytes changed at random: an error or a model, never a panic.

use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::golden;
use crate::error::ModelError;
use crate::weights::{Checkpoint, SafetensorsFile};

/// The header of every file here is in its first bytes; most damage is done there.
const HEADER: usize = 1500;

/// What happens to a file.
#[derive(Debug, Clone)]
struct Damage {
    /// Cut at this share of the length, out of 1000.
    keep: usize,
    /// Position (in the header, or out of 1,000,000 in the whole file) and new byte.
    header: Vec<(usize, u8)>,
    anywhere: Vec<(usize, u8)>,
}

fn damage() -> impl Strategy<Value = Damage> {
    let keep = prop_oneof![3 => Just(1000_usize), 1 => 0_usize..1000];
    // Small numbers and powers of two make counts and lengths that are wrong but not absurd.
    let byte = prop_oneof![any::<u8>(), Just(0), Just(1), Just(255), (0_u32..8).prop_map(|bit| 1 << bit)];
    let header = prop::collection::vec((0..HEADER, byte.clone()), 0..6);
    let anywhere = prop::collection::vec((0_usize..1_000_000, byte), 0..3);
    (keep, header, anywhere).prop_map(|(keep, header, anywhere)| Damage { keep, header, anywhere })
}

impl Damage {
    fn apply(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let length = bytes.len();
        for (at, byte) in &self.header {
            bytes[at % length] = *byte;
        }
        for (at, byte) in &self.anywhere {
            bytes[at * length / 1_000_000] = *byte;
        }
        bytes.truncate(length * self.keep / 1000);
        bytes
    }
}

/// Runs `read` on many damaged versions of a golden file; the same ones every time.
fn check(original: &str, name: &str, read: impl Fn(&Path) -> Result<(), ModelError>) {
    let bytes = fs_err::read(golden(original)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let config = Config { cases: 500, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let outcome = runner.run(&damage(), |damage| {
        fs_err::write(&path, damage.apply(&bytes)).unwrap();
        let _ = read(&path);
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn gguf_models() {
    for name in ["gguf/llama.gguf", "gguf/qwen3.gguf"] {
        check(name, "model.gguf", |path| {
            let checkpoint = Checkpoint::open(path)?;
            for name in checkpoint.names() {
                checkpoint.tensor(name)?;
            }
            checkpoint.finish()
        });
    }
}

#[test]
fn gguf_tokenizers() {
    check("gguf/tokenizer.gguf", "model.gguf", crate::weights::gguf::tests::read_tokenizer);
}

#[test]
fn safetensors_files() {
    check("decoder/qwen2_tiny/model.safetensors", "model.safetensors", |path| {
        let file = SafetensorsFile::open(path)?;
        for name in file.names() {
            file.tensor(name)?;
        }
        Ok(())
    });
}

#[test]
fn codes_of_bitsandbytes() {
    for name in ["tiny_nf4", "tiny_int8"] {
        let config = fs_err::read(golden("bitsandbytes").join(name).join("config.json")).unwrap();
        check(&format!("bitsandbytes/{name}/model.safetensors"), "model.safetensors", |path| {
            let folder = path.parent().unwrap();
            fs_err::write(folder.join("config.json"), &config).unwrap();
            let checkpoint = Checkpoint::open(folder)?;
            for name in checkpoint.names() {
                checkpoint.tensor(name)?;
            }
            checkpoint.finish()
        });
    }
}
