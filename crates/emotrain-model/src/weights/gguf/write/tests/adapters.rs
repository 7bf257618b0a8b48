//! LoRA adapters in GGUF files.

use std::collections::BTreeMap;
use std::path::Path;

use expect_test::expect;

use super::tiny;
use crate::config::ModelConfig;
use crate::weights::gguf::adapter::ALPHA;
use crate::weights::gguf::blocks::BlockType;
use crate::weights::gguf::row_order::RowOrder;
use crate::weights::gguf::write::output::{GgufOutput, Item, Stated};
use crate::weights::gguf::write::settings::single;
use crate::weights::gguf::{GgufAdapter, GgufLora, Metadata, OpenedFile, header, rows_of, write_gguf_lora};
use crate::weights::names::tensor_names;
use crate::weights::spoiled::{NAN, spoil};
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

#[test]
fn what_is_written_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter.gguf");
    for name in ["llama3_tiny", "qwen2_tiny", "phi3_tiny", "gemma3_tiny"] {
        let (_, config) = tiny(name);
        let layers = layers(&config);
        write_gguf_lora(&path, &config, "tiny", &layers).unwrap();
        let adapter = GgufAdapter::open(&path).unwrap();
        assert!(adapter.is_one() && adapter.significand_bits() == Some(24));
        let read = adapter.layers(&config).unwrap();
        assert_eq!(read.len(), layers.len());
        for (read, layer) in read.iter().zip(&layers) {
            assert_eq!((&read.path, read.rank, &read.a), (&layer.path, layer.rank, &layer.a), "{name}");
            for (read_b, b) in read.b.iter().zip(layer.b.iter()) {
                let (ours, expected) = (read.scale * f64::from(*read_b), layer.scale * f64::from(*b));
                assert!((ours - expected).abs() <= 1e-6 * expected.abs(), "{name}: {ours} {expected}");
            }
        }
    }
}

/// A file with the metadata and tensors of an adapter of one layer after `change`; every value is 0.5.
struct Written {
    metadata: Vec<(String, Item)>,
    tensors: Vec<(&'static str, [usize; 2])>,
    value: f32,
}

impl Written {
    fn new() -> Self {
        let own = |key: &str, item| (key.to_owned(), item);
        let metadata = vec![
            own("general.type", Item::text("adapter")),
            own("adapter.type", Item::text("lora")),
            own("general.architecture", Item::text("qwen2")),
            own(ALPHA, Item::Number(16.0)),
        ];
        let tensors = vec![("blk.0.ffn_up.weight.lora_a", [4, 32]), ("blk.0.ffn_up.weight.lora_b", [64, 4])];
        Self { metadata, tensors, value: 0.5 }
    }

    fn set(&mut self, key: &str, item: Option<Item>) {
        self.metadata.retain(|(name, _)| name != key);
        self.metadata.extend(item.map(|item| (key.to_owned(), item)));
    }

    fn write(self, path: &Path) {
        let stated = self.tensors.iter().map(|(name, shape)| Stated {
            name: (*name).to_owned(),
            shape: shape.to_vec(),
            block_type: BlockType::F32,
            order: RowOrder::AsStored,
        });
        let stated: Vec<Stated> = stated.collect();
        let mut out = GgufOutput::create(path, &self.metadata, &stated).unwrap();
        for tensor in &stated {
            let values = vec![self.value; tensor.shape.iter().product()];
            out.tensor(tensor, &mut |visit| {
                visit(&values);
                Ok(())
            })
            .unwrap();
        }
        out.finish().unwrap();
        spoil(path);
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter.gguf");
    let (_, config) = tiny("qwen2_tiny");
    assert_eq!((config.hidden_size, config.intermediate_size), (32, 64));
    let said = |change: fn(&mut Written)| {
        let mut written = Written::new();
        change(&mut written);
        written.write(&path);
        complaint(GgufAdapter::open(&path).unwrap().layers(&config), folder.path())
    };
    assert_eq!(said(|_| {}), "no error\n");
    let messages = [
        said(|file| file.set("general.architecture", Some(Item::text("llama")))),
        said(|file| file.set("general.type", Some(Item::text("model")))),
        said(|file| {
            file.set("adapter.type", None);
            file.set(ALPHA, None);
            file.set("adapter.alora.invocation_tokens", Some(Item::Integers(vec![7])));
        }),
        said(|file| file.set(ALPHA, Some(Item::Number(0.0)))),
        said(|file| file.tensors.clear()),
        said(|file| file.tensors.truncate(1)),
        said(|file| file.tensors[1].0 = "blk.0.ffn_down.weight.lora_b"),
        said(|file| {
            file.tensors.push(("token_embd.weight.lora_a", [4, 32]));
            file.tensors.push(("token_embd.weight.lora_b", [60, 4]));
            file.tensors.push(("output_norm.weight", [1, 32]));
        }),
        said(|file| file.tensors[0].1 = [4, 16]),
        said(|file| file.tensors[1].1 = [64, 8]),
        said(|file| file.tensors[1].1 = [32, 4]),
        said(|file| file.value = NAN),
    ];
    expect![[r#"
        adapter.gguf: general.architecture: "llama", where "qwen2" is needed
          hint: name the base that the adapter was trained on
        adapter.gguf: general.type: "model", where "adapter" is needed
          hint: name a GGUF file with an adapter
        adapter.gguf: adapter.type: missing, where "lora" is needed
        adapter.gguf: adapter.lora.alpha: missing
        adapter.gguf: adapter.alora.invocation_tokens: an activated LoRA, which counts only from these tokens on, is not supported
          hint: export the adapter again, or convert it with llama.cpp's convert_lora_to_gguf.py
        adapter.gguf: adapter.lora.alpha: 0 is no number of f32 above 0
          hint: export the adapter again, or convert it with llama.cpp's convert_lora_to_gguf.py
        adapter.gguf: holds no tensors
          hint: the training that wrote it has to gather the weights before it saves them
        adapter.gguf: tensor "blk.0.ffn_up.weight.lora_a": is half of a pair: "blk.0.ffn_up.weight.lora_b" is not in the file
        adapter.gguf: tensor "blk.0.ffn_down.weight.lora_b": is half of a pair: "blk.0.ffn_down.weight.lora_a" is not in the file
        adapter.gguf: unused 3 tensors: output_norm.weight, token_embd.weight.lora_a, token_embd.weight.lora_b
        adapter.gguf: tensor "blk.0.ffn_up.weight.lora_a": shape [4, 16], but this model needs [4, 32]
        adapter.gguf: tensor "blk.0.ffn_up.weight.lora_a": shape [4, 32], but this model needs [8, 32]
        adapter.gguf: tensor "blk.0.ffn_up.weight.lora_b": shape [32, 4], but this model needs [64, 4]
        adapter.gguf: tensor "blk.0.ffn_up.weight.lora_a": holds NaN
    "#]].assert_eq(&messages.concat());
}
