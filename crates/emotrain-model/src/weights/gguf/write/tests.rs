#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes snapshots with them")]

mod adapters;
mod tokenizers;

use std::path::Path;

use expect_test::expect;

use super::quantise::{misfit, quantise};
use super::*;
use crate::config::RopeScaling;
use crate::weights::gguf::{OpenedFile, header, rows_of};
use crate::weights::tests::{complaint, golden, whole};
use crate::weights::{Checkpoint, tensor_shapes};

const TYPES: [GgufType; 5] = [GgufType::F32, GgufType::F16, GgufType::Bf16, GgufType::Q8_0, GgufType::Q4K];

/// A tiny model of a family as transformers made it, with what a GGUF file cannot say left out.
fn tiny(name: &str) -> (Checkpoint, ModelConfig) {
    let checkpoint = Checkpoint::open(&golden(&format!("decoder/{name}"))).unwrap();
    let mut config = checkpoint.config().clone();
    if let Some(RopeScaling::Llama3(scaling)) = &mut config.rope_scaling {
        // That of the released models, which the reader recognises; with this theta it stretches some wavelengths.
        scaling.original_max_position_embeddings = 8192;
        config.rope_theta = 1e6;
    }
    if config.query_pre_attn_scalar.is_some() {
        config.query_pre_attn_scalar = Some(config.head_dim as f64);
    }
    (checkpoint, config)
}

/// Writes the tensors of `checkpoint` in a model of shape `config`.
pub(super) fn write(
    path: &Path,
    checkpoint: &Checkpoint,
    contents: &GgufContents,
    kind: GgufType,
) -> Result<(), ModelError> {
    let shapes: std::collections::BTreeMap<_, _> = tensor_shapes(contents.config).into_iter().collect();
    write_gguf(path, contents, kind, &mut |name, visit| checkpoint.visit(name, &shapes[name], visit))
}

#[test]
fn models_of_all_families_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    for name in
        ["llama3_tiny", "mistral_tiny", "qwen2_tiny", "qwen3_tiny", "phi3_tiny", "phi4_tiny", "gemma3_tiny"]
    {
        let (checkpoint, config) = tiny(name);
        let contents = GgufContents { config: &config, name, tokenizer: None };
        for (kind, error) in TYPES.into_iter().zip([0.0, 1e-3, 1e-2, 1e-2, 2e-1]) {
            write(&path, &checkpoint, &contents, kind).unwrap();
            let written = Checkpoint::open(&path).unwrap();
            let mut expected = config.clone();
            expected.initializer_range = 0.02;
            expected.max_position_embeddings = config.context_length();
            if name == "mistral_tiny" {
                // llama.cpp computes no window for what it takes for a Llama.
                expected.architecture = crate::config::Architecture::Llama;
                let window = expected.sliding_window.take().unwrap();
                expected.max_position_embeddings = window.size;
            }
            assert_eq!(rounded(written.config()), rounded(&expected), "{name}");
            for (tensor, shape) in tensor_shapes(&config) {
                let [given, found] =
                    [&checkpoint, &written].map(|file| whole(file, &tensor, &shape).unwrap());
                let largest = given.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
                let most = if shape.len() == 1 { 1.5e-7 } else { error * largest };
                for (given, found) in given.iter().zip(&found) {
                    assert!((given - found).abs() <= most, "{name}: {tensor}: {given} became {found}");
                }
            }
            written.finish().unwrap();
        }
    }
}

/// The factors of `longrope` are stored in single precision.
fn rounded(config: &ModelConfig) -> ModelConfig {
    let mut config = config.clone();
    if let Some(RopeScaling::LongRope(scaling)) = &mut config.rope_scaling {
        let single = |number: &mut f64| *number = f64::from(settings::single(*number));
        scaling.short_factor.iter_mut().chain(&mut scaling.long_factor).for_each(single);
        single(&mut scaling.attention_factor);
    }
    config
}

#[test]
fn values_may_come_in_pieces_of_any_length() {
    let folder = tempfile::tempdir().unwrap();
    let (checkpoint, config) = tiny("llama3_tiny");
    let contents = GgufContents { config: &config, name: "a", tokenizer: None };
    let shapes: std::collections::BTreeMap<_, _> = tensor_shapes(&config).into_iter().collect();
    let written = [usize::MAX, 7, 1].map(|length| {
        let path = folder.path().join("model.gguf");
        write_gguf(&path, &contents, GgufType::Q8_0, &mut |name, visit| {
            let values = whole(&checkpoint, name, &shapes[name])?;
            values.chunks(length.min(values.len())).for_each(&mut *visit);
            Ok(())
        })
        .unwrap();
        fs_err::read(path).unwrap()
    });
    assert!(written[0] == written[1] && written[1] == written[2]);
}

#[test]
fn a_name_says_whether_tokens_swallow_white_space() {
    let names = ["Phi-3-mini", "my phi3 and PHI-3", "Phi-4"];
    assert_eq!(names.map(|name| general_name(name, false)), ["Phi 3-mini", "my Phi 3 and Phi 3", "Phi-4"]);
    assert_eq!(names.map(|name| general_name(name, true)), [names[0], names[1], "Phi-4 (Phi-3)"]);
}

#[test]
fn types_of_tensors() {
    let matrix = |kind: GgufType, width| kind.of_tensor("blk.0.ffn_up.weight", &[8, width]).name();
    assert_eq!([512, 96, 40].map(|width| matrix(GgufType::Q4K, width)), ["Q4_K", "Q8_0", "F16"]);
    assert_eq!([512, 96, 40].map(|width| matrix(GgufType::Q8_0, width)), ["Q8_0", "Q8_0", "F16"]);
    assert_eq!(GgufType::Q4K.of_tensor("output.weight", &[8, 512]).name(), "Q8_0");
    assert_eq!(GgufType::Bf16.of_tensor("output_norm.weight", &[512]).name(), "F32");
}

#[test]
fn quantised_values_are_those_of_llama_cpp() {
    let expected = OpenedFile::open(&golden("quantised/llama_cpp.gguf")).unwrap();
    let (_, tensors) = header::read(&expected).unwrap();
    let input = &tensors["F32"];
    let values = super::super::whole(&input.shape, rows_of(&expected, input, RowOrder::AsStored)).unwrap();
    for block_type in [BlockType::Q8_0, BlockType::Q4K] {
        let entry = &tensors[block_type.name()];
        let mut theirs = vec![0; block_type.bytes(values.len())];
        expected.read(entry.start, &mut theirs).unwrap();
        let mut ours = theirs.clone();
        quantise(block_type, &values, &mut ours);
        assert!(ours == theirs, "{}", block_type.name());
    }
}

#[test]
fn a_value_that_is_no_finite_number_in_the_file_is_found() {
    for (block_type, largest, too_large) in [
        (BlockType::F32, 3e38, None),
        (BlockType::F16, 65_504.0, Some(65_520.0)),
        (BlockType::Bf16, 3.3e38, Some(3.4e38)),
        (BlockType::Q8_0, 65_504.0 * 127.0, Some(65_520.0 * 127.0)),
        (BlockType::Q4K, 6e7, Some(9e8)),
    ] {
        let mut values = vec![0.5_f32; 512];
        let found = |values: &[f32]| {
            let mut bytes = vec![0; block_type.bytes(values.len())];
            quantise(block_type, values, &mut bytes);
            misfit(block_type, values, &bytes).map(f32::to_bits)
        };
        values[300] = largest;
        assert_eq!(found(&values), None, "{}", block_type.name());
        for wrong in too_large.into_iter().chain([f32::INFINITY, f32::NEG_INFINITY, f32::NAN]) {
            values[300] = wrong;
            assert_eq!(found(&values), Some(wrong.to_bits()), "{} {wrong}", block_type.name());
        }
    }
}

#[test]
fn refusals() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let said = |name: &str, change: fn(&mut ModelConfig)| {
        let (checkpoint, mut config) = tiny(name);
        change(&mut config);
        let contents = GgufContents { config: &config, name, tokenizer: None };
        let said = complaint(write(&path, &checkpoint, &contents, GgufType::F16), folder.path());
        assert!(!path.exists());
        said
    };
    let messages = [
        said("gemma3_tiny", |config| config.query_pre_attn_scalar = Some(17.0)),
        said("gemma3_tiny", |config| config.sliding_window = None),
        said("gemma3_tiny", |config| {
            config.sliding_window.as_mut().unwrap().full_attention_layers = vec![0, 2];
        }),
        said("qwen2_tiny", |config| config.rope_scaling = tiny("llama3_tiny").1.rope_scaling),
        said("llama3_tiny", |config| config.rope_scaling = tiny("phi4_tiny").1.rope_scaling),
        said("qwen2_tiny", |config| config.num_hidden_layers += 1),
    ];
    expect![[r#"
        model.gguf: query_pre_attn_scalar: 17 is not what llama.cpp divides by in such a model, 10
        model.gguf: sliding_window: llama.cpp does not compute this model without one
        model.gguf: layer_types: layers without a sliding window are not every second, third, … one, which is all that llama.cpp has a word for
        model.gguf: rope_scaling: llama.cpp does not compute this rope_type for model_type "qwen2"
        model.gguf: rope_scaling: llama.cpp does not compute this rope_type for model_type "llama"
        …/../../tests/golden/decoder/qwen2_tiny/model.safetensors: tensor "model.layers.3.input_layernorm.weight": not in the file
    "#]]
    .assert_eq(&messages.concat().replace(env!("CARGO_MANIFEST_DIR"), "…"));
    let (_, config) = tiny("qwen2_tiny");
    let contents = GgufContents { config: &config, name: "a", tokenizer: None };
    let short = write_gguf(&path, &contents, GgufType::F16, &mut |_, visit| {
        visit(&[1.0; 5]);
        Ok(())
    });
    expect![[r#"
        model.gguf: tensor "token_embd.weight": 5 values for shape [96, 32]
    "#]]
    .assert_eq(&complaint(short, folder.path()));
    assert!(!path.exists());
}
