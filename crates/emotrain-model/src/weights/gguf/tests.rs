#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes snapshots with them")]

mod config;
mod sentencepiece;
pub(in crate::weights::gguf) mod tokenizers;

use std::path::{Path, PathBuf};

use emotrain_base::sha256_hex;
use expect_test::expect;

use super::*;
use crate::weights::tests::{complaint, golden, replaced};
use crate::weights::{Checkpoint, SafetensorsFile, tensor_shapes};

/// The tokenizer of a file that need not hold a model.
pub(in crate::weights) fn read_tokenizer(path: &Path) -> Result<(), ModelError> {
    tokenizers::read(path).and_then(|metadata| tokenizers::convert(&metadata)).map(|_| ())
}

/// The folder with the real model, or `None` after saying that a test is skipped.
fn smollm2() -> Option<PathBuf> {
    test_models().map(|models| models.join("smollm2-135m-instruct")).filter(|folder| is_there(folder))
}

pub(super) fn is_there(folder: &Path) -> bool {
    if !folder.exists() {
        println!("skipped: {} is missing (see tests/fixtures/fetch-models.sh)", folder.display());
    }
    folder.exists()
}

/// Where `fetch-models.sh` puts the real models.
pub(super) fn test_models() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "tests find the fetched models through the environment")]
    let stated = std::env::var("EMOTRAIN_TEST_MODELS").ok().filter(|stated| !stated.is_empty());
    #[expect(clippy::disallowed_methods, reason = "tests find the fetched models through the environment")]
    let home = std::env::var("HOME").ok().map(|home| Path::new(&home).join(".cache/emotrain-test-models"));
    stated.map(PathBuf::from).or(home)
}

#[test]
fn every_type_is_dequantised_as_the_gguf_package_does() {
    let file = OpenedFile::open(&golden("gguf/types.gguf")).unwrap();
    let (_, tensors) = header::read(&file).unwrap();
    let expected = SafetensorsFile::open(&golden("gguf/types.safetensors")).unwrap();
    assert_eq!(tensors.len(), 15);
    for (name, entry) in &tensors {
        let (shape, expected) = expected.tensor(name).unwrap();
        assert_eq!(entry.shape, shape, "{name}");
        let read = super::whole(&entry.shape, rows_of(&file, entry, RowOrder::AsStored)).unwrap();
        let differing = read.iter().zip(&expected).filter(|(left, right)| left.to_bits() != right.to_bits());
        assert_eq!(differing.count(), 0, "{name}");
    }
}

#[test]
fn models_are_read_as_transformers_reads_them() {
    for name in ["llama", "qwen2", "qwen3", "phi3", "gemma3"] {
        let checkpoint = Checkpoint::open(&golden(&format!("gguf/{name}.gguf"))).unwrap();
        let expected = SafetensorsFile::open(&golden(&format!("gguf/{name}.safetensors"))).unwrap();
        assert_eq!(checkpoint.names(), expected.names().collect::<Vec<_>>());
        for (name, shape) in tensor_shapes(checkpoint.config()) {
            let values = crate::weights::tests::whole(&checkpoint, &name, &shape).unwrap();
            assert_eq!(values, expected.tensor(&name).unwrap().1, "{name}");
        }
        checkpoint.finish().unwrap();
        assert_eq!(checkpoint.tokenizer_files().unwrap(), None);
    }
}

#[test]
fn a_written_configuration_is_that_of_the_file() {
    let checkpoint = Checkpoint::open(&golden("gguf/qwen3.gguf")).unwrap();
    let text = checkpoint.description().to_json(crate::float::FloatType::F32, None);
    assert_eq!(ModelConfig::from_json(&text, Path::new("written")).unwrap(), *checkpoint.config());
    assert_eq!((checkpoint.config().head_dim, checkpoint.config().rope_theta), (16, 75_000.0));
    // 1e-5 was stored as an f32.
    assert_eq!(checkpoint.config().rms_norm_eps.to_bits(), 1e-5_f64.to_bits());
}

#[test]
fn paired_rows() {
    let order = RowOrder::Paired { head_dim: 6 };
    let stored: Vec<usize> = (0..12).map(|row| order.stored_row(row)).collect();
    assert_eq!(stored, [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]);
}

#[test]
fn names_of_no_decoder() {
    let config = Checkpoint::open(&golden("gguf/llama.gguf")).unwrap().config().clone();
    for name in ["blk.0.attn_q.lora_a", "blk.00.attn_q.weight", "blk.x.attn_q.weight", "blk.0", "output.bias"]
    {
        let known = tensor_names(&config).into_iter().any(|tensor| tensor.gguf == name);
        assert!(!known, "{name}");
    }
}

/// `llama.gguf` after `change`, in the words of the error.
fn spoiled(change: impl Fn(Vec<u8>) -> Vec<u8>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    fs_err::write(&path, change(fs_err::read(golden("gguf/llama.gguf")).unwrap())).unwrap();
    complaint(Checkpoint::open(&path), folder.path())
}

/// `bytes` with `new` in place of those `after` bytes behind `name`.
fn behind(bytes: &[u8], name: &str, after: usize, new: &[u8]) -> Vec<u8> {
    let place = bytes.windows(name.len()).position(|window| window == name.as_bytes()).unwrap();
    let start = place + name.len() + after;
    [&bytes[..start], new, &bytes[start + new.len()..]].concat()
}

#[test]
fn spoiled_headers() {
    // Behind a key: 4 bytes with the type of the value.
    let messages = [
        spoiled(|_| Vec::new()),
        spoiled(|bytes| replaced(&bytes, "GGUF", "GGML")),
        spoiled(|bytes| behind(&bytes, "GGUF", 0, &1_u32.to_le_bytes())),
        spoiled(|bytes| behind(&bytes, "GGUF", 0, &3_u32.to_be_bytes())),
        spoiled(|bytes| behind(&bytes, "GGUF", 4, &u64::MAX.to_le_bytes())),
        spoiled(|bytes| behind(&bytes, "GGUF", 12, &u64::MAX.to_le_bytes())),
        spoiled(|bytes| bytes[..200].to_vec()),
        spoiled(|bytes| bytes[..bytes.len() - 100].to_vec()),
        spoiled(|bytes| behind(&bytes, "llama.block_count", 0, &77_u32.to_le_bytes())),
        spoiled(|bytes| replaced(&bytes, "llama.context_length", "llama.contxet_length")),
        spoiled(|bytes| replaced(&bytes, "llama.attention.head_count_kv", "llama.attention.head_xount_kv")),
    ];
    expect![[r#"
        model.gguf: not a GGUF file
          hint: download the file again, or name a folder with safetensors
        model.gguf: not a GGUF file
          hint: download the file again, or name a folder with safetensors
        model.gguf: GGUF version 1 is not supported (supported: 2, 3)
        model.gguf: big-endian GGUF files are not supported
        model.gguf: tensor "": 0 dimensions
        model.gguf: truncated: 9007199254740992 bytes expected at byte 507, 12293 left
          hint: download the file again
        model.gguf: truncated: 4 bytes expected at byte 200, 0 left
          hint: download the file again
        model.gguf: tensor "blk.0.ffn_down.weight": truncated: 2176 bytes at offset 9504 do not fit a file of 12700
        model.gguf: unknown metadata type 77 (before byte 204)
        model.gguf: llama.context_length: missing
        model.gguf: llama.contxet_length: a setting this program does not know
        model.gguf: llama.attention.head_xount_kv: a setting this program does not know
    "#]].assert_eq(&messages.concat());
}

#[test]
fn spoiled_headers_of_tensors() {
    // Behind a tensor's name: 4 bytes with the number of dimensions, 8 for each, 4 for the type, 8 for the offset.
    const MATRIX: &str = "blk.0.attn_q.weight";
    let messages = [
        spoiled(|bytes| behind(&bytes, MATRIX, 0, &9_u32.to_le_bytes())),
        spoiled(|bytes| behind(&bytes, MATRIX, 4, &0_u64.to_le_bytes())),
        spoiled(|bytes| behind(&bytes, MATRIX, 4, &48_u64.to_le_bytes())),
        spoiled(|bytes| behind(&bytes, MATRIX, 12, &(u64::MAX / 2).to_le_bytes())),
        spoiled(|bytes| behind(&bytes, MATRIX, 12, &24_u64.to_le_bytes())),
        spoiled(|bytes| behind(&bytes, MATRIX, 20, &21_u32.to_le_bytes())),
        spoiled(|bytes| behind(&bytes, MATRIX, 20, &99_u32.to_le_bytes())),
        spoiled(|bytes| behind(&bytes, MATRIX, 24, &(1_u64 << 40).to_le_bytes())),
        spoiled(|bytes| behind(&bytes, MATRIX, 24, &33_u64.to_le_bytes())),
        spoiled(|bytes| behind(&bytes, MATRIX, 24, &32_u64.to_le_bytes())),
        spoiled(|bytes| replaced(&bytes, "blk.0.attn_q.weight", "blk.0.attn_k.weight")),
        spoiled(|bytes| replaced(&bytes, "blk.0.attn_q.weight", "blk.0.attn_q.wieght")),
        spoiled(|bytes| replaced(&bytes, "blk.0.attn_q.weight", "blk.1.attn_q.weight")),
        spoiled(|bytes| replaced(&bytes, "token_embd.weight", "token_emdb.weight")),
    ];
    expect![[r#"
        model.gguf: tensor "blk.0.attn_q.weight": 9 dimensions
        model.gguf: tensor "blk.0.attn_q.weight": impossible size 0
        model.gguf: tensor "blk.0.attn_q.weight": rows of 48 values cannot be Q4_0, whose blocks hold 32
        model.gguf: tensor "blk.0.attn_q.weight": impossible shape [9223372036854775807, 32]
        model.gguf: tensor "model.layers.0.self_attn.q_proj.weight": shape [24, 32] where the configuration needs [32, 32]
        model.gguf: tensor "blk.0.attn_q.weight": type IQ3_S is not supported
          hint: download the model in one of F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, or make it with llama.cpp's llama-quantize
        model.gguf: tensor "blk.0.attn_q.weight": type number 99 is not supported
          hint: download the model in one of F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, or make it with llama.cpp's llama-quantize
        model.gguf: tensor "blk.0.attn_q.weight": truncated: 576 bytes at offset 1099511627776 do not fit a file of 12800
        model.gguf: tensor "blk.0.attn_q.weight": offset 33 is not a multiple of 32
        model.gguf: tensor "blk.0.attn_q.weight": overlaps the tensor before it
        model.gguf: tensor "blk.0.attn_k.weight": occurs twice
        model.gguf: missing 1 tensor: model.layers.0.self_attn.q_proj.weight
          hint: the model has no place for 1 tensor: blk.0.attn_q.wieght
        model.gguf: missing 1 tensor: model.layers.0.self_attn.q_proj.weight
          hint: the model has no place for 1 tensor: blk.1.attn_q.weight
        model.gguf: missing 1 tensor: model.embed_tokens.weight
          hint: the model has no place for 1 tensor: token_emdb.weight
    "#]].assert_eq(&messages.concat());
}

#[test]
fn smollm2_tensors_are_those_of_transformers() {
    let Some(folder) = smollm2() else { return };
    let golden = fs_err::read_to_string(golden("gguf/smollm2.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_str(&golden).unwrap();
    let checkpoint = Checkpoint::open(&folder).unwrap();
    for (name, expected) in golden["tensors"].as_object().unwrap() {
        let (shape, values) = checkpoint.tensor(name).unwrap();
        assert_eq!(serde_json::json!(shape), expected["shape"], "{name}");
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(sha256_hex(&bytes), expected["sha256"].as_str().unwrap(), "{name}");
    }
}

#[test]
fn smollm2_configuration() {
    let Some(folder) = smollm2() else { return };
    let checkpoint = Checkpoint::open(&folder).unwrap();
    expect![[r#"
        ModelConfig {
            architecture: Llama,
            vocab_size: 49152,
            hidden_size: 576,
            intermediate_size: 1536,
            num_hidden_layers: 30,
            num_attention_heads: 9,
            num_key_value_heads: 3,
            head_dim: 64,
            rms_norm_eps: 1e-5,
            rope_theta: 100000.0,
            rotary_dim: 64,
            rope_scaling: None,
            sliding_window: None,
            query_pre_attn_scalar: None,
            max_position_embeddings: 8192,
            tie_word_embeddings: true,
            attention_bias: false,
            initializer_range: 0.02,
        }
    "#]]
    .assert_debug_eq(checkpoint.config());
    expect![[r#"
        {
          "architectures": [
            "LlamaForCausalLM"
          ],
          "attention_bias": false,
          "attention_dropout": 0.0,
          "bos_token_id": 1,
          "eos_token_id": 2,
          "head_dim": 64,
          "hidden_act": "silu",
          "hidden_size": 576,
          "initializer_range": 0.02,
          "intermediate_size": 1536,
          "max_position_embeddings": 8192,
          "mlp_bias": false,
          "model_type": "llama",
          "num_attention_heads": 9,
          "num_hidden_layers": 30,
          "num_key_value_heads": 3,
          "pad_token_id": 2,
          "rms_norm_eps": 0.00001,
          "rope_scaling": null,
          "rope_theta": 100000.0,
          "tie_word_embeddings": true,
          "torch_dtype": "float32",
          "vocab_size": 49152
        }
    "#]]
    .assert_eq(&checkpoint.description().to_json(crate::float::FloatType::F32, None));
    expect!["b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"]
        .assert_eq(&checkpoint.sha256().unwrap());
}
