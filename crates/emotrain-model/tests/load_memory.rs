//! A model is in memory once while it is loaded: the peak of the process is what the weights take, a tenth of it, and
//! one tensor. Alone in its file, since the peak is that of the process.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use burn::tensor::{DType, Device};
use emotrain_model::{
    CausalLm, Checkpoint, FloatType, ModelConfig, TensorSpec, tensor_shapes, write_safetensors_with,
};

const CONFIG: &str = r#"{
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "vocab_size": 6000,
    "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 3, "num_attention_heads": 16,
    "num_key_value_heads": 16, "head_dim": 64, "max_position_embeddings": 512, "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0, "tie_word_embeddings": true, "initializer_range": 0.02, "attention_bias": false
}"#;

fn config() -> ModelConfig {
    ModelConfig::from_json(CONFIG, Path::new("config.json")).unwrap()
}

fn count(shape: &[usize]) -> usize {
    shape.iter().product()
}

fn write_folder(folder: &Path, dtype: FloatType) {
    fs_err::write(folder.join("config.json"), CONFIG).unwrap();
    let shapes = tensor_shapes(&config());
    let specs: Vec<TensorSpec> =
        shapes.into_iter().map(|(name, shape)| TensorSpec { name, shape, dtype }).collect();
    let ones = vec![1.0; specs.iter().map(|spec| count(&spec.shape)).max().unwrap()];
    let values = |spec: &TensorSpec, visit: &mut dyn FnMut(&[f32])| {
        visit(&ones[..count(&spec.shape)]);
        Ok(())
    };
    write_safetensors_with(&folder.join("model.safetensors"), &specs, &BTreeMap::new(), values).unwrap();
}

/// The same model as a GGUF file in half precision.
fn write_gguf(path: &Path) {
    const U32: u32 = 4;
    const F32: u32 = 6;
    const TEXT: u32 = 8;
    const HALF: u32 = 1;
    let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let pair = |key: &str, kind: u32, value: &[u8]| [&text(key)[..], &kind.to_le_bytes(), value].concat();
    let size = |key: &str, value: u32| pair(&format!("llama.{key}"), U32, &value.to_le_bytes());
    let number = |key: &str, value: f32| pair(&format!("llama.{key}"), F32, &value.to_le_bytes());
    let pairs = [
        pair("general.architecture", TEXT, &text("llama")),
        size("context_length", 512),
        size("embedding_length", 1024),
        size("block_count", 3),
        size("feed_forward_length", 2816),
        size("attention.head_count", 16),
        number("attention.layer_norm_rms_epsilon", 1e-5),
        number("rope.freq_base", 10_000.0),
    ];
    let names = [
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("model.layers.", "blk."),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
    ];
    let shapes = tensor_shapes(&config());
    let mut header = [&b"GGUF"[..], &3_u32.to_le_bytes(), &(shapes.len() as u64).to_le_bytes()].concat();
    header.extend((pairs.len() as u64).to_le_bytes());
    header.extend(pairs.concat());
    let mut offset = 0_u64;
    for (name, shape) in &shapes {
        let name = names.iter().fold(name.clone(), |name, (ours, theirs)| name.replace(ours, theirs));
        header.extend(text(&name));
        header.extend(u32::try_from(shape.len()).unwrap().to_le_bytes());
        shape.iter().rev().for_each(|size| header.extend((*size as u64).to_le_bytes()));
        header.extend(HALF.to_le_bytes());
        header.extend(offset.to_le_bytes());
        offset += (count(shape) * 2) as u64;
    }
    header.resize(header.len().next_multiple_of(32), 0);
    let mut file = BufWriter::new(fs_err::File::create(path).unwrap());
    file.write_all(&header).unwrap();
    for (_, shape) in &shapes {
        file.write_all(&[0x00_u8, 0x3c].repeat(count(shape))).unwrap();
    }
    file.flush().unwrap();
}

/// A line of `/proc/self/status` in bytes.
fn status(name: &str) -> usize {
    let text = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let kibibytes: usize = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap();
    kibibytes << 10
}

/// Set in the processes that load one model each: memory that an earlier one had would hide what the next one takes.
const CASE: &str = "EMOTRAIN_LOAD_MEMORY";

fn load(path: &Path, dtype: DType, size: usize) {
    let shapes = tensor_shapes(&config());
    let weights: usize = shapes.iter().map(|(_, shape)| count(shape)).sum();
    let largest = shapes.iter().map(|(_, shape)| count(shape)).max().unwrap();
    let before = status("VmRSS");
    let model = CausalLm::load(&Checkpoint::open(path).unwrap(), &Device::flex(), dtype).unwrap();
    let peak = status("VmHWM") - before;
    let allowed = weights * size * 11 / 10 + largest * size;
    assert!(peak <= allowed, "{peak} bytes for {} of weights", weights * size);
    assert!(peak > weights * size * 9 / 10, "{peak} bytes cannot be the peak");
    drop(model);
}

#[test]
fn a_model_is_in_memory_once_while_it_is_loaded() {
    #[expect(clippy::disallowed_methods, reason = "how the test speaks to the processes that it starts")]
    if let Ok(case) = std::env::var(CASE) {
        let (dtype, path) = case.split_once(':').unwrap();
        let (dtype, size) = if dtype == "f32" { (DType::F32, 4) } else { (DType::BF16, 2) };
        return load(Path::new(path), dtype, size);
    }
    let folder = tempfile::tempdir().unwrap();
    let [single, half, gguf] = ["single", "half", "model.gguf"].map(|name| folder.path().join(name));
    for (path, dtype) in [(&single, FloatType::F32), (&half, FloatType::Bf16)] {
        fs_err::create_dir(path).unwrap();
        write_folder(path, dtype);
    }
    write_gguf(&gguf);
    for (path, dtype) in
        [(&single, "f32"), (&half, "f32"), (&gguf, "f32"), (&single, "bf16"), (&half, "bf16")]
    {
        let case = format!("{dtype}:{}", path.display());
        let output = Command::new(std::env::current_exe().unwrap()).env(CASE, &case).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{case}: {said}");
    }
}
