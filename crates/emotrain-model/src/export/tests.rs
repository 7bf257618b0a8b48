use std::path::Path;

use burn::tensor::{DType, Device, Tensor, TensorData};
use emotrain_base::random::{Key, normal};
use emotrain_recipe::LoraInit;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::adapter::{BaseModel, PeftAdapter};
use crate::config::Architecture;
use crate::decoder::CausalLm;
use crate::engine::Precision;
use crate::engine::tests::model as tiny;
use crate::float::FloatType;
use crate::lora::LoraConfig;
use crate::score::Scorer;
use crate::weights::Checkpoint;

const BASE: BaseModel = BaseModel { name: "tiny", revision: None };
const IDS: [u32; 9] = [3, 60, 2, 41, 17, 17, 8, 55, 30];

/// A tiny model with an adapter, its base as a folder and its adapter in another.
fn written(architecture: Architecture) -> (CausalLm, TempDir, TempDir) {
    let model = tiny(architecture);
    let [base, adapter] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    model.base().save_model(base.path(), FloatType::F32).unwrap();
    model.save_adapter(adapter.path(), BASE, FloatType::F32).unwrap();
    (model, base, adapter)
}

fn logits(model: &CausalLm) -> Vec<f32> {
    model.logits(&IDS).try_into_vec_as().unwrap()
}

fn open(folder: &Path) -> CausalLm {
    CausalLm::load(&Checkpoint::open(folder).unwrap(), &Device::flex(), DType::F32).unwrap()
}

fn furthest(ours: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(ours.len(), expected.len());
    let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    ours.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest
}

#[test]
fn a_merged_model_computes_what_base_and_adapter_compute() {
    for architecture in Architecture::ALL {
        let (model, base, adapter) = written(architecture);
        let checkpoint = Checkpoint::open(base.path()).unwrap();
        let adapter = PeftAdapter::open(adapter.path(), checkpoint.config()).unwrap();
        let merged = Merged::new(&checkpoint, Some(&adapter));
        let whole = tempfile::tempdir().unwrap();
        write_model(&merged, whole.path(), FloatType::F32, usize::MAX).unwrap();
        let difference = furthest(&logits(&open(whole.path())), &logits(&model));
        assert!(difference < 1e-5, "{architecture:?}: {difference}");
        assert!(furthest(&logits(&open(base.path())), &logits(&model)) > 1e-2, "the adapter does something");

        let sharded = tempfile::tempdir().unwrap();
        write_model(&merged, sharded.path(), FloatType::F32, 20_000).unwrap();
        assert_eq!(logits(&open(sharded.path())), logits(&open(whole.path())), "{architecture:?}");
        let index = fs_err::read_to_string(sharded.path().join("model.safetensors.index.json")).unwrap();
        let index: Value = serde_json::from_str(&index).unwrap();
        let files: Vec<&str> =
            index["weight_map"].as_object().unwrap().values().map(|name| name.as_str().unwrap()).collect();
        let last = files.iter().max().unwrap();
        let (number, of) = last.trim_start_matches("model-").split_once("-of-").unwrap();
        assert_eq!(number, of.trim_end_matches(".safetensors"), "the last of all shards");
        for file in files {
            let size = fs_err::metadata(sharded.path().join(file)).unwrap().len();
            assert!(size < 24_000, "{file} has {size} bytes");
        }
    }
}

/// Magnitudes, and a start that is a part of the weight.
#[test]
fn a_merged_model_computes_what_every_kind_of_adapter_computes() {
    let (model, base, _) = written(Architecture::Qwen2);
    let kinds = [
        LoraConfig { use_dora: true, use_rslora: true, ..LoraConfig::default() },
        LoraConfig { init: LoraInit::Pissa, use_rslora: true, ..LoraConfig::default() },
        LoraConfig { init: LoraInit::Olora, r: 2, ..LoraConfig::default() },
    ];
    for (number, config) in kinds.into_iter().enumerate() {
        let mut model = model.base();
        model.add_lora(&config, 1).unwrap();
        assert!(
            furthest(&logits(&model), &logits(&open(base.path()))) < 1e-5,
            "{number}: it begins as the base"
        );
        for (at, (_, parameter)) in model.parameters().into_iter().enumerate() {
            let shape = parameter.dims();
            let change = normal(Key::new(at as u64), shape.iter().product(), 0.2);
            let change = Tensor::from_data(TensorData::new(change, shape), (&Device::flex(), DType::F32));
            *parameter = parameter.clone() + change;
        }
        let folder = tempfile::tempdir().unwrap();
        model.save_adapter(folder.path(), BASE, FloatType::F32).unwrap();
        let checkpoint = Checkpoint::open(base.path()).unwrap();
        let adapter = PeftAdapter::open(folder.path(), checkpoint.config()).unwrap();
        let merged = Merged::new(&checkpoint, Some(&adapter));
        let whole = tempfile::tempdir().unwrap();
        write_model(&merged, whole.path(), FloatType::F32, usize::MAX).unwrap();
        let difference = furthest(&logits(&open(whole.path())), &logits(&model));
        assert!(difference < 2e-5, "{number}: {difference}");
        assert!(furthest(&logits(&open(base.path())), &logits(&model)) > 1e-2, "the adapter does something");
        let written = adapter.write_gguf(&folder.path().join("adapter.gguf"), model.config(), "tiny");
        assert_eq!(written.is_err(), adapter.is_dora(), "{number}");
        // The engine has forms of its own.
        let answers = [vec![7, 3]];
        let scores = |model: &CausalLm| Scorer::new(model, &answers, Precision::Full).score(&[&IDS])[0][0];
        let (ours, theirs) = (scores(&model), scores(&open(whole.path())));
        assert!((ours - theirs).abs() < 1e-4 * theirs.abs(), "{number}: {ours}, {theirs}");
    }
}

#[test]
fn an_adapter_comes_back_from_a_gguf_file() {
    for architecture in Architecture::ALL {
        let (model, base, adapter) = written(architecture);
        let shape = model.config();
        let path = adapter.path().join("adapter.gguf");
        let mut lora = PeftAdapter::open(adapter.path(), shape).unwrap();
        // Another scale for one module, which becomes part of its `B`.
        lora.modules[2].scale *= 3.0;
        lora.modules[2].alpha *= 3.0;
        lora.save(adapter.path(), shape, BASE, FloatType::F32).unwrap();
        lora.write_gguf(&path, shape, "tiny").unwrap();
        let [peft, gguf] = [adapter.path(), &path].map(|place| {
            let mut model = open(base.path());
            model.load_adapter(place).unwrap();
            logits(&model)
        });
        // One scale is rounded into a factor.
        let apart = furthest(&gguf, &peft);
        assert!(apart < 5e-6, "{architecture:?}: {apart}");
        assert!(furthest(&gguf, &logits(&open(base.path()))) > 1e-2, "the adapter does something");
        assert_eq!(PeftAdapter::significand_bits(&path).unwrap(), 24);
        assert!(PeftAdapter::is_in(&path).unwrap());
    }
}

#[test]
fn a_base_alone_is_written_as_it_was() {
    let (_, base, _) = written(Architecture::Gemma3);
    let checkpoint = Checkpoint::open(base.path()).unwrap();
    let again = tempfile::tempdir().unwrap();
    write_model(&Merged::new(&checkpoint, None), again.path(), FloatType::F32, usize::MAX).unwrap();
    for name in ["model.safetensors", "config.json"] {
        let [old, new] = [base.path(), again.path()].map(|folder| fs_err::read(folder.join(name)).unwrap());
        assert!(old == new, "{name}");
    }
}

#[test]
fn a_weight_that_is_too_large_for_its_type_is_an_error_and_nothing_is_written() {
    let (mut model, base, _) = written(Architecture::Llama);
    model = model.base();
    model.train_all();
    let (name, weight) = model.parameters().swap_remove(4);
    *weight = weight.clone() * 1e6;
    let name = name.split('+').next().unwrap().to_owned();
    model.save_model(base.path(), FloatType::F32).unwrap();
    let checkpoint = Checkpoint::open(base.path()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let merged = Merged::new(&checkpoint, None);
    let error = write_model(&merged, folder.path(), FloatType::F16, usize::MAX).unwrap_err().to_string();
    assert!(error.contains(&name[..20]) && error.contains("is too large for float16"), "{error}");
    assert!(!folder.path().join("model.safetensors").exists());
    write_model(&merged, folder.path(), FloatType::Bf16, usize::MAX).unwrap();
}

#[test]
fn an_adapter_that_leaves_no_finite_weight_is_not_merged_in_any_type() {
    let (_, base, adapter) = written(Architecture::Llama);
    let config = adapter.path().join("adapter_config.json");
    let text = fs_err::read_to_string(&config).unwrap();
    let mut settings: Value = serde_json::from_str(&text).unwrap();
    settings["lora_alpha"] = serde_json::json!(1e300);
    fs_err::write(&config, settings.to_string()).unwrap();
    let checkpoint = Checkpoint::open(base.path()).unwrap();
    let adapter = PeftAdapter::open(adapter.path(), checkpoint.config()).unwrap();
    let merged = Merged::new(&checkpoint, Some(&adapter));
    for dtype in [FloatType::F32, FloatType::F16, FloatType::Bf16] {
        let folder = tempfile::tempdir().unwrap();
        let error = write_model(&merged, folder.path(), dtype, usize::MAX).unwrap_err().to_string();
        assert!(error.contains("is not a finite number"), "{error}");
        assert!(!folder.path().join("model.safetensors").exists());
    }
}

#[test]
fn one_rank_and_one_scale_compute_the_same() {
    let (model, base, adapter) = written(Architecture::Qwen3);
    let shape = model.config().clone();
    let mut odd = PeftAdapter::open(adapter.path(), &shape).unwrap();
    let plain = odd.clone().uniform();
    assert_eq!((plain.lora.r, plain.modules[0].b == odd.modules[0].b), (odd.lora.r, true), "nothing to do");
    // Ranks and scales of their own for some layers.
    for (number, module) in odd.modules.iter_mut().enumerate() {
        if number % 3 == 0 {
            let out = module.b.len() / module.r;
            module.a.truncate(2 * (module.a.len() / module.r));
            module.b = (0..out).flat_map(|row| module.b[row * module.r..][..2].to_vec()).collect();
            (module.r, module.alpha) = (2, 3.0);
            module.scale =
                LoraConfig { r: 2, lora_alpha: 3.0, init: LoraInit::Kaiming, ..odd.lora.clone() }.scale();
        }
    }
    let both = [odd.clone(), odd.uniform()].map(|adapter| {
        let folder = tempfile::tempdir().unwrap();
        adapter.save(folder.path(), &shape, BASE, FloatType::F32).unwrap();
        let mut model = open(base.path());
        model.load_adapter(folder.path()).unwrap();
        let config = fs_err::read_to_string(folder.path().join("adapter_config.json")).unwrap();
        let config: Value = serde_json::from_str(&config).unwrap();
        (logits(&model), config["rank_pattern"].as_object().unwrap().len(), config["r"].clone())
    });
    assert!(furthest(&both[1].0, &both[0].0) < 1e-5);
    assert!(furthest(&both[0].0, &logits(&model)) > 1e-3);
    assert!(both[0].1 > 0 && both[1].1 == 0);
}
