//! Hugging Face folders, as transformers wrote them and spoiled in many ways.

use std::collections::BTreeMap;
use std::path::Path;

use expect_test::expect;
use tempfile::TempDir;

use super::{complaint, golden, replaced, whole};
use crate::float::FloatType;
use crate::weights::folder::{INDEX, SINGLE};
use crate::weights::{Checkpoint, NamedTensor, TensorSpec, tensor_shapes, write_safetensors};

/// A copy of a golden folder to be spoiled.
fn copy(name: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs_err::read_dir(golden("decoder").join(name)).unwrap() {
        let entry = entry.unwrap();
        fs_err::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

/// Opens the folder and reads everything, as a model does.
fn load(folder: &Path) -> Result<(), crate::ModelError> {
    let checkpoint = Checkpoint::open(folder)?;
    for (name, shape) in tensor_shapes(checkpoint.config()) {
        whole(&checkpoint, &name, &shape)?;
    }
    checkpoint.finish()
}

/// What `spoil` does to a copy of `name`, in the words of the error.
fn spoiled(name: &str, spoil: impl Fn(&Path)) -> String {
    let folder = copy(name);
    spoil(folder.path());
    complaint(load(folder.path()), folder.path())
}

fn rewrite(path: &Path, change: impl Fn(Vec<u8>) -> Vec<u8>) {
    let bytes = fs_err::read(path).unwrap();
    fs_err::write(path, change(bytes)).unwrap();
}

#[test]
fn golden_folders_load() {
    for name in ["llama3_tiny", "llama3_tiny_bf16", "qwen2_tiny", "qwen3_tiny", "qwen3_tiny_sharded"] {
        load(&golden("decoder").join(name)).unwrap();
    }
}

#[test]
fn shards_hold_the_same_model_as_one_file() {
    let single = Checkpoint::open(&golden("decoder/qwen3_tiny")).unwrap();
    let sharded = Checkpoint::open(&golden("decoder/qwen3_tiny_sharded")).unwrap();
    assert_eq!(single.names(), sharded.names());
    for name in single.names() {
        assert_eq!(single.tensor(name).unwrap(), sharded.tensor(name).unwrap(), "{name}");
    }
    assert_ne!(single.sha256().unwrap(), sharded.sha256().unwrap());
    assert_eq!(single.tokenizer_files().unwrap(), None);
}

#[test]
fn bf16_is_the_upper_half_of_f32() {
    let wide = Checkpoint::open(&golden("decoder/llama3_tiny")).unwrap();
    let narrow = Checkpoint::open(&golden("decoder/llama3_tiny_bf16")).unwrap();
    let (shape, wide) = wide.tensor("model.norm.weight").unwrap();
    let (narrow_shape, narrow) = narrow.tensor("model.norm.weight").unwrap();
    assert_eq!(shape, narrow_shape);
    let rounded: Vec<f32> = wide.iter().map(|value| half::bf16::from_f32(*value).to_f32()).collect();
    assert_eq!(rounded, narrow);
}

/// Of every tensor of a folder in bfloat16.
#[test]
fn bits_are_those_of_the_values() {
    let narrow = Checkpoint::open(&golden("decoder/llama3_tiny_bf16")).unwrap();
    for (name, shape) in tensor_shapes(narrow.config()) {
        let spec = |dtype| TensorSpec { name: name.clone(), shape: shape.clone(), dtype };
        let mut bits = vec![7];
        assert!(narrow.read_bits(&spec(FloatType::Bf16), &mut bits).unwrap());
        let values = whole(&narrow, &name, &shape).unwrap();
        let of_values: Vec<u16> = values.iter().map(|one| half::bf16::from_f32(*one).to_bits()).collect();
        assert_eq!((bits[0], &bits[1..]), (7, &of_values[..]), "{name}");
        for other in [FloatType::F16, FloatType::F32] {
            assert!(!narrow.read_bits(&spec(other), &mut bits).unwrap());
        }
        assert_eq!(bits.len(), 1 + of_values.len());
    }
    narrow.finish().unwrap();
}

#[test]
fn the_hash_of_one_file_is_that_of_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.safetensors");
    fs_err::write(&path, b"\x08\0\0\0\0\0\0\0{}      ").unwrap();
    let file = crate::weights::SafetensorsFile::open(&path).unwrap();
    // printf '\x08\0\0\0\0\0\0\0{}      ' | sha256sum
    expect!["9bbcbf73561f6bc5d0a17ea6a2081feed2d1304e87602d8c502d9a5c4bd85576"]
        .assert_eq(&file.sha256().unwrap());
}

#[test]
fn folders_without_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut messages = complaint(Checkpoint::open(&path.join("nowhere")), path);
    fs_err::create_dir(path.join("model")).unwrap();
    messages += &complaint(Checkpoint::open(&path.join("model")), path);
    fs_err::write(path.join("model/one.gguf"), "").unwrap();
    messages += &complaint(Checkpoint::open(&path.join("model")), path);
    fs_err::write(path.join("model/two.GGUF"), "").unwrap();
    messages += &complaint(Checkpoint::open(&path.join("model")), path);
    fs_err::write(path.join("weights.bin"), "").unwrap();
    messages += &complaint(Checkpoint::open(&path.join("weights.bin")), path);
    messages += &spoiled("qwen2_tiny", |folder| fs_err::remove_file(folder.join("config.json")).unwrap());
    messages += &spoiled("qwen2_tiny", |folder| fs_err::remove_file(folder.join(SINGLE)).unwrap());
    expect![[r#"
        nowhere: no such file or folder
          hint: check the path, or download the folder again
        model: not a model: no config.json and no .gguf file
          hint: a model folder holds config.json and model.safetensors (or model.safetensors.index.json), or one .gguf file
        model/one.gguf: not a GGUF file
          hint: download the file again, or name a folder with safetensors
        model: holds 2 .gguf files: one.gguf, two.GGUF
          hint: name the file instead of the folder
        weights.bin: not a model
          hint: give a folder with config.json and safetensors, or a .gguf file
        FOLDER: not a model: no config.json and no .gguf file
          hint: a model folder holds config.json and model.safetensors (or model.safetensors.index.json), or one .gguf file
        FOLDER: holds neither model.safetensors nor model.safetensors.index.json
          hint: download the folder again with its weights, or convert them to safetensors
    "#]].assert_eq(&messages);
}

#[test]
fn spoiled_files() {
    let file = |change: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        spoiled("qwen2_tiny", |folder| rewrite(&folder.join(SINGLE), change))
    };
    let messages = [
        file(&|_| Vec::new()),
        file(&|bytes| bytes[..5].to_vec()),
        file(&|bytes| bytes[..500].to_vec()),
        file(&|bytes| bytes[..bytes.len() - 4].to_vec()),
        file(&|bytes| [bytes, vec![0; 4]].concat()),
        file(&|bytes| [vec![255; 8], bytes].concat()),
        file(&|bytes| replaced(&bytes, r#"{"__metadata__"#, r#"["__metadata__"#)),
        file(&|bytes| {
            replaced(&bytes, r#""model.norm.weight":{"dtype":"F32""#, r#""model.norm.weight":{"dtype":"I32""#)
        }),
        file(&|bytes| replaced(&bytes, r#""shape":[96,32]"#, r#""shape":[32,96]"#)),
        file(&|bytes| replaced(&bytes, r#""shape":[96,32]"#, r#""shape":[96,33]"#)),
        file(&|bytes| replaced(&bytes, r#""shape":[96,32]"#, r#""shape":[-6,32]"#)),
        file(&|bytes| replaced(&bytes, r#""model.norm.weight""#, r#""model.norm.wieght""#)),
        file(&|bytes| {
            replaced(
                &bytes,
                r#""model.layers.1.mlp.up_proj.weight""#,
                r#""model.layers.9.mlp.up_proj.weight""#,
            )
        }),
    ];
    expect![[r#"
        model.safetensors: not a safetensors file: it is too short
          hint: download the file again, or convert it to safetensors if it is of another format
        model.safetensors: not a safetensors file: it is too short
          hint: download the file again, or convert it to safetensors if it is of another format
        model.safetensors: truncated: the header has 3816 bytes, the file only 500
          hint: download the file again
        model.safetensors: tensor "model.norm.weight": truncated: its data ends at byte 124544 of 124540
        model.safetensors: 4 bytes after the last tensor
        model.safetensors: not a safetensors file: it states a header of 18446744073709551615 bytes
          hint: download the file again, or convert it to safetensors if it is of another format
        model.safetensors: not a safetensors file: its header is no JSON object (invalid type: sequence, expected a map at line 1 column 0)
          hint: download the file again, or convert it to safetensors if it is of another format
        model.safetensors: tensor "model.norm.weight": type I32 is not supported (supported: F32, F16, BF16)
        model.safetensors: tensor "model.embed_tokens.weight": shape [32, 96] where the configuration needs [96, 32]
        model.safetensors: tensor "model.embed_tokens.weight": shape [96, 33] of F32 needs 12672 bytes, offsets are 0..12288
        model.safetensors: tensor "model.embed_tokens.weight": invalid value: integer `-6`, expected u64
        model.safetensors: missing 1 tensor: model.norm.weight
          hint: the model has no place for 1 tensor: model.norm.wieght
        model.safetensors: missing 1 tensor: model.layers.1.mlp.up_proj.weight
          hint: the model has no place for 1 tensor: model.layers.9.mlp.up_proj.weight
    "#]].assert_eq(&messages.concat());
}

#[test]
fn spoiled_shards() {
    const FIRST: &str = "model-00001-of-00002.safetensors";
    const SECOND: &str = "model-00002-of-00002.safetensors";
    let index = |change: &dyn Fn(String) -> String| {
        spoiled("qwen3_tiny_sharded", |folder| {
            rewrite(&folder.join(INDEX), |bytes| change(String::from_utf8(bytes).unwrap()).into_bytes());
        })
    };
    let norm = format!("\"model.norm.weight\": \"{SECOND}\"");
    let messages = [
        spoiled("qwen3_tiny_sharded", |folder| fs_err::remove_file(folder.join(SECOND)).unwrap()),
        spoiled("qwen3_tiny_sharded", |folder| {
            fs_err::copy(folder.join(FIRST), folder.join(SECOND)).unwrap();
        }),
        index(&|text| text.replace(&norm, &norm.replace(SECOND, FIRST))),
        index(&|text| text.replace("model.norm.weight", "model.norm.bias")),
        index(&|text| text.replace(&norm, &format!("{norm}, \"model.extra.weight\": \"{FIRST}\""))),
        index(&|text| text.replace(SECOND, "../model.safetensors")),
        index(&|_| "{}".to_owned()),
    ];
    expect![[r#"
        model-00002-of-00002.safetensors: missing shard
          hint: model.safetensors.index.json lists it; download the folder again
        model-00002-of-00002.safetensors: tensor "model.embed_tokens.weight": also in model-00001-of-00002.safetensors
        model.safetensors.index.json: tensor "model.norm.weight": the index places it in model-00001-of-00002.safetensors, but it is in model-00002-of-00002.safetensors
        model.safetensors.index.json: tensor "model.norm.bias": the index places it in model-00002-of-00002.safetensors, which does not hold it
        model.safetensors.index.json: tensor "model.extra.weight": the index places it in model-00001-of-00002.safetensors, which does not hold it
        model.safetensors.index.json: "../model.safetensors" is not a plain file name
        model.safetensors.index.json: not valid JSON: missing field `weight_map` at line 1 column 2
          hint: the file is damaged or was cut short: download it again
    "#]].assert_eq(&messages.concat());
}

/// The tensors of a golden folder, to be written with others.
fn tensors(name: &str) -> Vec<NamedTensor> {
    let checkpoint = Checkpoint::open(&golden("decoder").join(name)).unwrap();
    let read = |name: &str| {
        let (shape, values) = checkpoint.tensor(name).unwrap();
        NamedTensor { spec: TensorSpec { name: name.to_owned(), shape, dtype: FloatType::F32 }, values }
    };
    checkpoint.names().into_iter().map(read).collect()
}

/// `qwen2_tiny` with one more tensor.
fn with_extra(name: &str, shape: &[usize], values: &[f32]) -> String {
    spoiled("qwen2_tiny", |folder| {
        let mut tensors = tensors("qwen2_tiny");
        let spec = TensorSpec { name: name.to_owned(), shape: shape.to_vec(), dtype: FloatType::F32 };
        tensors.push(NamedTensor { spec, values: values.to_vec() });
        write_safetensors(&folder.join(SINGLE), &tensors, &BTreeMap::default()).unwrap();
    })
}

#[test]
fn tensors_beyond_the_model() {
    let embeddings = Checkpoint::open(&golden("decoder/qwen2_tiny")).unwrap();
    let (shape, table) = embeddings.tensor("model.embed_tokens.weight").unwrap();
    let mut other = table.clone();
    other[7] += 1.0;
    let messages = [
        with_extra("lm_head.weight", &shape, &table),
        with_extra("lm_head.weight", &shape, &other),
        with_extra("model.layers.0.self_attn.rotary_emb.inv_freq", &[4], &[1.0; 4]),
        with_extra("score.weight", &[4], &[1.0; 4]),
    ];
    expect![[r#"
        no error
        model.safetensors: tensor "lm_head.weight": differs from the embedding table, but config.json ties the two
        no error
        model.safetensors: unused 1 tensor: score.weight
    "#]].assert_eq(&messages.concat());
}

#[test]
fn tensors_that_nobody_read() {
    let folder = golden("decoder/qwen3_tiny");
    let checkpoint = Checkpoint::open(&folder).unwrap();
    for (name, shape) in tensor_shapes(checkpoint.config()) {
        if !name.contains("_norm.weight") {
            whole(&checkpoint, &name, &shape).unwrap();
        }
    }
    let mut messages = complaint(checkpoint.finish(), &folder);
    messages += &complaint(whole(&checkpoint, "model.norm.weight", &[41]), &folder);
    messages += &complaint(whole(&checkpoint, "model.norm.bias", &[40]), &folder);
    messages += &complaint(checkpoint.tensor("model.norm.bias"), &folder);
    expect![[r#"
        model.safetensors: unused 4 tensors: model.layers.0.self_attn.k_norm.weight, model.layers.0.self_attn.q_norm.weight, model.layers.1.self_attn.k_norm.weight, model.layers.1.self_attn.q_norm.weight
        model.safetensors: tensor "model.norm.weight": shape [40] where the configuration needs [41]
        model.safetensors: tensor "model.norm.bias": not in the file
        model.safetensors: tensor "model.norm.bias": not in any file
    "#]].assert_eq(&messages);
}

#[test]
fn the_configuration_of_a_folder_keeps_its_special_tokens() {
    let checkpoint = Checkpoint::open(&golden("decoder/llama3_tiny")).unwrap();
    let text = checkpoint.description().to_json(FloatType::F16, None);
    let written: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&written["eos_token_id"], &written["torch_dtype"]), (&1.into(), &"float16".into()));
    let read_back = crate::ModelConfig::from_json(&text, Path::new("written")).unwrap();
    assert_eq!(read_back, *checkpoint.config());
}
