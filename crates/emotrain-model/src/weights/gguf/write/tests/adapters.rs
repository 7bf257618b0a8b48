//! LoRA adapters in GGUF files.

use std::collections::BTreeMap;
use std::path::Path;

use expect_test::expect;

use super::tiny;
use crate::config::ModelConfig;
use crate::weights::gguf::row_order::RowOrder;
use crate::weights::gguf::write::settings::single;
use crate::weights::gguf::{GgufLora, Metadata, OpenedFile, header, rows_of, write_gguf_lora};
use crate::weights::names::tensor_names;
use crate::weights::tests::complaint;
use emotrain_base::random::{Key, normal};

/// An adapter of the linear layers of a block; each has another rank, and the last another scale.
fn layers(config: &ModelConfig) -> Vec<GgufLora<'static>> {
    let matrices = tensor_names(config)
        .into_iter()
        .filter(|tensor| tensor.hugging_face.starts_with("model.layers.0.") && tensor.shape.len() == 2);
    let mut layers: Vec<GgufLora<'static>> = matrices
        .enumerate()
        .map(|(number, tensor)| {
            let (rank, key) = (2 + number, Key::new(5).with(number as u64));
            GgufLora {
                path: tensor.hugging_face.trim_end_matches(".weight").to_owned(),
                rank,
                scale: 16.0 / (rank as f64),
                a: normal(key.with(0), rank * tensor.shape[1], 0.1).into(),
                b: normal(key.with(1), tensor.shape[0] * rank, 0.1).into(),
            }
        })
        .collect();
    layers.last_mut().unwrap().scale *= 3.0;
    layers
}

/// Shape and values as they are stored, by name.
type Stored = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Metadata and tensors of a file.
fn read(path: &Path) -> (Metadata, Stored) {
    let file = OpenedFile::open(path).unwrap();
    let (metadata, entries) = header::read(&file).unwrap();
    let tensors = entries.into_iter().map(|(name, entry)| {
        let rows = rows_of(&file, &entry, RowOrder::AsStored);
        (name, (entry.shape.clone(), crate::weights::gguf::whole(&entry.shape, rows).unwrap()))
    });
    (metadata, tensors.collect())
}

#[test]
fn both_halves_of_every_layer_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter.gguf");
    for name in ["llama3_tiny", "qwen2_tiny", "qwen3_tiny", "phi3_tiny", "gemma3_tiny"] {
        let (_, config) = tiny(name);
        let layers = layers(&config);
        write_gguf_lora(&path, &config, "tiny", &layers).unwrap();
        let (metadata, tensors) = read(&path);
        assert_eq!(metadata.text("general.type").unwrap(), Some("adapter"));
        assert_eq!(metadata.text("adapter.type").unwrap(), Some("lora"));
        assert_eq!(metadata.text("general.architecture").unwrap(), Some(config.architecture.family().gguf));
        let alpha = metadata.number("adapter.lora.alpha").unwrap().unwrap();
        assert!((alpha - 16.0).abs() < 1e-6);
        assert_eq!(tensors.len(), 2 * layers.len());
        let gguf: BTreeMap<String, String> =
            tensor_names(&config).into_iter().map(|names| (names.hugging_face, names.gguf)).collect();
        for layer in &layers {
            let of = &gguf[&format!("{}.weight", layer.path)];
            let (a, b) = (&tensors[&format!("{of}.lora_a")], &tensors[&format!("{of}.lora_b")]);
            assert_eq!(*a, (vec![layer.rank, layer.a.len() / layer.rank], layer.a.to_vec()), "{name}: {of}");
            assert_eq!(b.0, [layer.b.len() / layer.rank, layer.rank]);
            // What llama.cpp multiplies by, times what is left in B, is the scale.
            let missing = single(layer.scale * layer.rank as f64 / alpha);
            let is_rotated = of.contains("attn_q.") || of.contains("attn_k.");
            let head_dim = config.head_dim;
            let order = if is_rotated && config.architecture.family().gguf_pairs_rows {
                RowOrder::Paired { head_dim }
            } else {
                RowOrder::AsStored
            };
            for (row, values) in layer.b.chunks_exact(layer.rank).enumerate() {
                let stored = &b.1[order.stored_row(row) * layer.rank..][..layer.rank];
                let expected: Vec<f32> = values.iter().map(|value| value * missing).collect();
                assert_eq!(stored, expected, "{name}: {of}: row {row}");
            }
        }
    }
}

#[test]
fn refusals() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter.gguf");
    let (_, config) = tiny("qwen2_tiny");
    let said = |change: fn(&mut Vec<GgufLora<'static>>)| {
        let mut layers = layers(&config);
        change(&mut layers);
        complaint(write_gguf_lora(&path, &config, "tiny", &layers), folder.path())
    };
    let messages = [
        said(Vec::clear),
        said(|layers| "model.layers.0.self_attn.qkv_proj".clone_into(&mut layers[1].path)),
        said(|layers| "model.layers.0.input_layernorm".clone_into(&mut layers[1].path)),
        said(|layers| layers[1].a.to_mut().truncate(7)),
        said(|layers| layers[0].scale = 0.0),
    ];
    assert!(!path.exists());
    expect![[r#"
        adapter.gguf: the adapter has no layer
        adapter.gguf: tensor "model.layers.0.self_attn.qkv_proj": the model has no such linear layer
        adapter.gguf: tensor "model.layers.0.input_layernorm": the model has no such linear layer
        adapter.gguf: tensor "blk.0.attn_k.weight.lora_a": 7 values for shape [3, 32]
        adapter.gguf: tensor "model.layers.0.self_attn.q_proj": a scale of 0
    "#]]
    .assert_eq(&messages.concat());
}
