//! What training starts from: a fresh adapter, one that is there, or all weights.

use std::collections::BTreeSet;
use std::path::Path;

use emotrain_base::Complaint;
use emotrain_model::{CausalLm, LoraConfig, ModelConfig, PeftAdapter, SafetensorsFile};
use emotrain_recipe::{self as recipe, LoraSection, Recipe, TargetModules, TrainMethod};
use emotrain_runs::InitRecord;

use crate::error::TrainError;

const CONFIG: &str = "adapter_config.json";
const TENSORS: &str = "adapter_model.safetensors";

/// Sets up what the recipe trains: a fresh adapter, the one that `lora.init_from` names, or all weights.
///
/// # Errors
/// A target module that the model does not have; an adapter that is damaged or for another model.
pub fn make_trainable(model: &mut CausalLm, recipe: &Recipe) -> Result<(), TrainError> {
    match (recipe.train.method, &recipe.lora.init_from) {
        (TrainMethod::Lora, None) => model.add_lora(&lora_config(&recipe.lora), recipe.train.seed)?,
        (TrainMethod::Lora, Some(folder)) => {
            model.load_adapter(folder).map_err(TrainError::Init)?;
            model.set_lora_dropout(recipe.lora.lora_dropout);
        }
        (TrainMethod::Full, _) => model.train_all(),
    }
    Ok(())
}

/// Looks whether there is such an adapter, before any weight is loaded.
///
/// # Errors
/// A folder that holds none.
pub fn check_init(recipe: &Recipe) -> Result<(), TrainError> {
    let Some(folder) = &recipe.lora.init_from else { return Ok(()) };
    if folder.symlink_metadata().is_err() {
        let complaint =
            Complaint::input(format!("lora.init_from = \"{}\": no such folder", folder.display()));
        return Err(complaint.hint("name a folder in PEFT's format, such as RUN/adapter").into());
    }
    if folder.join(CONFIG).symlink_metadata().is_err() {
        let complaint =
            Complaint::input(format!("lora.init_from = \"{}\": contains no {CONFIG}", folder.display()));
        return Err(complaint.hint("name a folder in PEFT's format, such as RUN/adapter").into());
    }
    SafetensorsFile::open(&folder.join(TENSORS))?;
    Ok(())
}

/// Looks whether the adapter is what the recipe says and fits a model of this shape, before any weight of it is loaded.
///
/// # Errors
/// An adapter that is damaged, for another model, or not what the recipe says.
pub fn check_init_fits(recipe: &Recipe, model: &ModelConfig) -> Result<(), TrainError> {
    let Some(folder) = &recipe.lora.init_from else { return Ok(()) };
    let adapter = PeftAdapter::open(folder, model).map_err(TrainError::Init)?;
    agree(adapter.lora(), &adapter.target_names(), &recipe.lora)
}

/// How many numbers the adapter has.
pub fn init_size(folder: &Path) -> usize {
    let Ok(file) = SafetensorsFile::open(&folder.join(TENSORS)) else { return 0 };
    file.names().filter_map(|name| file.shape(name)).map(|shape| shape.iter().product::<usize>()).sum()
}

/// How many numbers a fresh adapter of a model of this shape trains.
///
/// # Errors
/// A pattern or a block number of `[lora]` that does not fit the model.
pub fn fresh_size(section: &LoraSection, model: &ModelConfig) -> Result<usize, TrainError> {
    Ok(lora_config(section).trained_numbers(model)?)
}

/// What `run.json` says of the start; nothing of one from a fresh adapter.
///
/// # Errors
/// A file that cannot be read.
pub fn init_record(recipe: &Recipe) -> Result<Option<InitRecord>, TrainError> {
    let Some(folder) = &recipe.lora.init_from else { return Ok(None) };
    let [config_sha256, sha256] =
        [CONFIG, TENSORS].map(|name| emotrain_base::sha256_file(&folder.join(name)));
    Ok(Some(InitRecord { path: folder.clone(), sha256: sha256?, config_sha256: config_sha256? }))
}

/// What the recipe says of the adapter is what the adapter is. A key at its default says nothing, since a saved recipe
/// has every key.
fn agree(is: &LoraConfig, modules: &BTreeSet<String>, said: &LoraSection) -> Result<(), TrainError> {
    let least = "[model]\nmodel_name_or_path = \"-\"\n[data]\ntrain = \"-\"\n[eval]\nload_best_model_at_end = false\n";
    let default = recipe::parse(least, Path::new("default.toml"), &[])?.lora;
    let differ = |key: &str, said: String, is: String| {
        let message = format!("lora.{key} = {said}, but the adapter of lora.init_from has {is}");
        let hint = "leave the key out: rank, alpha and layers are the adapter's";
        Err(Complaint::usage(message).hint(hint).into())
    };
    if said.r != default.r && said.r != is.r {
        return differ("r", said.r.to_string(), is.r.to_string());
    }
    #[expect(clippy::float_cmp, reason = "both were whole numbers in a file")]
    if said.lora_alpha != default.lora_alpha && said.lora_alpha as f64 != is.lora_alpha {
        return differ("lora_alpha", said.lora_alpha.to_string(), is.lora_alpha.to_string());
    }
    if said.use_dora && !is.use_dora {
        return differ("use_dora", "true".to_owned(), "false".to_owned());
    }
    if said.use_rslora && !is.use_rslora {
        return differ("use_rslora", "true".to_owned(), "false".to_owned());
    }
    if let TargetModules::List(names) = &said.target_modules
        && names.iter().collect::<BTreeSet<_>>() != modules.iter().collect()
    {
        return differ("target_modules", format!("{names:?}"), format!("{modules:?}"));
    }
    Ok(())
}

/// The recipe's adapter in the model's terms.
pub fn lora_config(section: &LoraSection) -> LoraConfig {
    LoraConfig {
        r: section.r,
        lora_alpha: section.lora_alpha as f64,
        lora_dropout: section.lora_dropout,
        target_modules: match &section.target_modules {
            TargetModules::AllLinear => None,
            TargetModules::List(names) => Some(names.clone()),
        },
        layers_to_transform: section.layers_to_transform.clone(),
        rank_pattern: section.rank_pattern.iter().map(|(pattern, r)| (pattern.clone(), *r)).collect(),
        alpha_pattern: section
            .alpha_pattern
            .iter()
            .map(|(pattern, alpha)| (pattern.clone(), *alpha))
            .collect(),
        use_dora: section.use_dora,
        use_rslora: section.use_rslora,
        init: section.init_lora_weights,
    }
}
