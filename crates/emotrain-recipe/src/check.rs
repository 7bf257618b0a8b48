//! Rules between the sections of a recipe, and which rules there are.
//!
//! Every rule sees the resolved recipe. One about a key whose own value was refused reports nothing: the recipe then has
//! the default, and its problems would be misleading.

use std::collections::BTreeSet;

use toml::Value;

use crate::merge::Merged;
use crate::problem::{Fault, Findings, Origin, Violations};
use crate::recipe::Recipe;
use crate::section::{
    Availability, ClassWeights, DataFormat, DeviceChoice, KnowledgeSection, LabelSampling, Metric, ModelInit,
    PhaseScheduler, PromptSlots, ShuffleBy, TrainMethod,
};
use crate::suggest::{did_you_mean, nearest, quoted};

const SLOTS: &str = "prompt.slots";

/// Reports every violated rule.
pub(crate) fn check(recipe: &Recipe, merged: &Merged, findings: &mut Findings) {
    required(merged, findings);
    for (keys, fault) in violated(recipe) {
        report(&keys, fault, merged, findings);
    }
}

fn violated(recipe: &Recipe) -> Violations {
    let mut violated = Violations::default();
    recipe.data.check_splits(&mut violated);
    recipe.data.check_parts(&mut violated);
    test_split(recipe, &mut violated);
    recipe.data.check_columns(&mut violated);
    recipe.data.check_labels(&mut violated);
    text(recipe, &mut violated);
    recipe.quantization.check_bits(&mut violated);
    frozen(recipe, &mut violated);
    lora(recipe, &mut violated);
    retrieval(recipe, &mut violated);
    recipe.retrieval.check_search(&mut violated);
    recipe.interpret.check_requests(&mut violated);
    knowledge(recipe, &mut violated);
    slots(recipe, &mut violated);
    recipe.prompt.check_window(&mut violated);
    causality(recipe, &mut violated);
    random_model(recipe, &mut violated);
    recipe.train.check_warmup(&mut violated);
    recipe.train.check_checkpointing(&mut violated);
    auxiliary(recipe, &mut violated);
    recipe.curriculum.check_difficulty(&mut violated);
    epochs(recipe, &mut violated);
    recipe.curriculum.check_restarts(&mut violated);
    order(recipe, &mut violated);
    recipe.eval.check_direction(&mut violated);
    low_precision(recipe, &mut violated);
    several_devices(recipe, &mut violated);
    selection(recipe, &mut violated);
    violated
}

/// Reports `fault` about `keys` at the first of them that is written somewhere, or else at the first of their sections.
fn report(keys: &[String], fault: Fault, merged: &Merged, findings: &mut Findings) {
    if keys.iter().all(|key| merged.is_sound(key)) {
        let written = keys.iter().map(|key| merged.origin(key));
        let sections = keys.iter().filter_map(|key| key.split('.').next());
        let mut origins = written.chain(sections.map(|section| merged.header(section)));
        let origin = origins.find(|origin| *origin != Origin::Default).unwrap_or(Origin::Default);
        findings.add(origin, keys.first().map(String::as_str), fault);
    }
}

/// Reports the required keys that are blank.
fn required(merged: &Merged, findings: &mut Findings) {
    for (path, key) in merged.paths().into_iter().filter(|(_, key)| key.required) {
        let is_blank = merged.value(&path).and_then(Value::as_str).is_some_and(str::is_empty);
        if !is_blank || !merged.is_sound(&path) {
            continue;
        }
        let (home, _) = path.rsplit_once('.').unwrap_or_default();
        let origin = match merged.origin(&path) {
            Origin::Default => merged.header(home),
            written @ (Origin::File(_) | Origin::Base(..) | Origin::Curriculum(_) | Origin::Override) => {
                written
            }
        };
        let fault = Fault::new(format!("{path} is required"));
        let section = if home.contains('.') { "that [[knowledge]]".to_owned() } else { format!("[{home}]") };
        let hint = format!("add {} = \"…\" under {section}", key.name);
        findings.add(origin, Some(&path), fault.hint(hint));
    }
}

/// Evaluating the test split needs one.
fn test_split(recipe: &Recipe, violated: &mut Violations) {
    if recipe.eval.test && !recipe.data.has_test() {
        let fault = Fault::new("eval.test = true needs data.test");
        violated.add(
            &["eval.test", "data.test", "data.split"],
            fault.hint("add test = \"…\" under [data], or write test = false"),
        );
    }
}

/// Text without labels has no answers to complete or score.
fn text(recipe: &Recipe, violated: &mut Violations) {
    if recipe.data.format != DataFormat::Text {
        return;
    }
    if recipe.train.completion_only_loss {
        let fault = Fault::new("format = \"text\" has no answers for completion_only_loss");
        let hint = "write completion_only_loss = false under [train]";
        violated.add(&["data.format", "train.completion_only_loss"], fault.hint(hint));
    }
    let needs_labels = [
        ("train.class_weights", recipe.train.class_weights != ClassWeights::None, "class_weights = \"none\""),
        ("data.sampling", recipe.data.sampling != LabelSampling::Natural, "sampling = \"natural\""),
    ];
    for (key, _, instead) in needs_labels.into_iter().filter(|(_, is_set, _)| *is_set) {
        let fault = Fault::new(format!("format = \"text\" has no labels for {key}"));
        violated.add(&["data.format", key], fault.hint(format!("write {instead}")));
    }
    let metric = recipe.eval.metric_for_best_model;
    if recipe.data.has_valid() && metric != Metric::Loss {
        let fault = Fault::new(format!("format = \"text\" has no labels for the metric \"{metric}\""));
        let hint = "write metric_for_best_model = \"loss\" and greater_is_better = false under [eval]";
        violated.add(&["data.format", "eval.metric_for_best_model"], fault.hint(hint));
    }
}

/// Codes are not trained.
fn frozen(recipe: &Recipe, violated: &mut Violations) {
    if recipe.quantization.is_on() && recipe.train.method == TrainMethod::Full {
        let key = if recipe.quantization.load_in_4bit { "load_in_4bit" } else { "load_in_8bit" };
        let fault = Fault::new("method = \"full\" trains the weights, and a quantised base is frozen");
        let hint = format!("write method = \"lora\" under [train], or {key} = false under [quantization]");
        violated.add(&[&format!("quantization.{key}"), "train.method"], fault.hint(hint));
    }
}

/// An adapter is not a starting point for training all weights.
fn lora(recipe: &Recipe, violated: &mut Violations) {
    if recipe.lora.init_from.is_some() && recipe.train.method == TrainMethod::Full {
        let fault = Fault::new("method = \"full\" has no adapter to start from another");
        let hint = "write method = \"lora\" under [train], or init_from = \"\" under [lora]";
        violated.add(&["lora.init_from", "train.method"], fault.hint(hint));
    }
    if recipe.lora.use_dora && recipe.train.method == TrainMethod::Full {
        let fault = Fault::new("method = \"full\" has no adapter for lora.use_dora");
        let hint = "write method = \"lora\" under [train], or use_dora = false under [lora]";
        violated.add(&["lora.use_dora", "train.method"], fault.hint(hint));
    }
    if recipe.lora.use_dora && recipe.lora.init_lora_weights.is_part_of_weight() {
        let fault = Fault::new("lora.use_dora has no start that takes a part out of the weight");
        let hint = "write init_lora_weights = true, or use_dora = false";
        violated.add(&["lora.init_lora_weights", "lora.use_dora"], fault.hint(hint));
    }
    if recipe.lora.init_from.is_some() && recipe.lora.init_lora_weights.is_part_of_weight() {
        let fault = Fault::new("lora.init_lora_weights and lora.init_from are both a start");
        let hint = "write init_from = \"\", or init_lora_weights = true";
        violated.add(&["lora.init_lora_weights", "lora.init_from"], fault.hint(hint));
    }
    if recipe.train.loraplus_lr_ratio > 1.0 && recipe.train.method == TrainMethod::Full {
        let fault = Fault::new("method = \"full\" has no B matrices for train.loraplus_lr_ratio");
        let hint = "write method = \"lora\", or loraplus_lr_ratio = 1.0";
        violated.add(&["train.loraplus_lr_ratio", "train.method"], fault.hint(hint));
    }
}

/// Demonstrations need utterances.
fn retrieval(recipe: &Recipe, violated: &mut Violations) {
    if recipe.retrieval.bank.is_some() && recipe.data.format == DataFormat::Text {
        let fault = Fault::new("format = \"text\" has no utterances to find demonstrations for");
        let hint = "write bank = \"\" under [retrieval]";
        violated.add(&["retrieval.bank", "data.format"], fault.hint(hint));
    }
}

/// Knowledge needs utterances, speakers and dialogues.
fn knowledge(recipe: &Recipe, violated: &mut Violations) {
    if let Some(source) = recipe.knowledge.first().filter(|_| recipe.data.format == DataFormat::Text) {
        let key = format!("knowledge.{}.path", source.name);
        let fault = Fault::new("format = \"text\" has no utterances for knowledge");
        violated.add(&[&key, "data.format"], fault.hint("remove [[knowledge]], or write knowledge = []"));
    }
}

/// Slots are prompt parts or this recipe's knowledge sources.
fn slots(recipe: &Recipe, violated: &mut Violations) {
    let PromptSlots::List(names) = &recipe.prompt.slots else { return };
    let sources = recipe.knowledge.iter().map(|source| source.name.as_str());
    let known: Vec<_> = PromptSlots::NAMES.iter().copied().chain(sources).collect();
    let mut seen = BTreeSet::new();
    for name in names {
        let fault = if !known.contains(&name.as_str()) {
            let hint = did_you_mean(&nearest(name, known.iter().copied()));
            let hint = hint.unwrap_or_else(|| format!("the slots are {}", quoted(&known)));
            let message = match name.as_str() {
                "question" | "utterance" => format!("{SLOTS}: {name:?} is always shown"),
                _ => format!("{SLOTS} names {name:?}, which is neither a prompt part nor a knowledge source"),
            };
            Fault::new(message).hint(hint)
        } else if !seen.insert(name) {
            Fault::new(format!("{SLOTS} names {name:?} twice"))
        } else {
            continue;
        };
        violated.add(&[SLOTS], fault);
    }
}

/// With `prompt.causal` no text that is shown was written with later utterances.
fn causality(recipe: &Recipe, violated: &mut Violations) {
    let prompt = &recipe.prompt;
    if !prompt.causal {
        return;
    }
    let offline = |source: &&KnowledgeSection| {
        source.availability == Availability::Offline && prompt.slots.has(&source.name)
    };
    for source in recipe.knowledge.iter().filter(offline) {
        let name = &source.name;
        let key = format!("knowledge.{name}.availability");
        let fault = Fault::new(format!(
            "prompt.causal = true refuses the knowledge source {name:?}, which is offline"
        ));
        let hint = "remove it from prompt.slots, or use texts that were written without later utterances";
        violated.add(&[&key, "prompt.causal"], fault.hint(hint));
    }
}

/// Random weights are all trained.
fn random_model(recipe: &Recipe, violated: &mut Violations) {
    if recipe.model.init == ModelInit::Random && recipe.train.method != TrainMethod::Full {
        let fault = Fault::new("init = \"random\" needs train.method = \"full\"");
        let hint = "an adapter cannot teach a base model that has learned nothing";
        violated.add(&["model.init", "train.method"], fault.hint(hint));
    }
}

/// Auxiliary questions need utterances.
fn auxiliary(recipe: &Recipe, violated: &mut Violations) {
    let section = &recipe.auxiliary;
    let ratios = [
        ("speaker_identification", section.speaker_identification),
        ("emotion_impact", section.emotion_impact),
    ];
    for (key, _) in ratios.into_iter().filter(|(_, ratio)| *ratio > 0.0) {
        if recipe.data.format == DataFormat::Text {
            let fault = Fault::new(format!("format = \"text\" has no utterances for auxiliary.{key}"));
            let hint = format!("write {key} = 0.0 under [auxiliary]");
            violated.add(&[&format!("auxiliary.{key}"), "data.format"], fault.hint(hint));
        }
    }
}

/// A run that ends before the last phase never uses all dialogues. With `max_steps` the number of epochs depends on
/// the data.
fn epochs(recipe: &Recipe, violated: &mut Violations) {
    let (section, given) = (&recipe.curriculum, recipe.train.num_train_epochs);
    let (needed, key, what) = match section.scheduler {
        PhaseScheduler::None => return,
        PhaseScheduler::BabyStep | PhaseScheduler::OnePass => (
            section.num_buckets.saturating_mul(section.epochs_per_phase),
            "curriculum.num_buckets",
            format!(
                "num_buckets = {} with epochs_per_phase = {} takes",
                section.num_buckets, section.epochs_per_phase
            ),
        ),
        PhaseScheduler::Competence => (
            section.competence_epochs.saturating_add(1),
            "curriculum.competence_epochs",
            format!("competence_epochs = {} takes", section.competence_epochs),
        ),
    };
    if recipe.train.max_steps.is_none() && given < needed {
        let message =
            format!("train.num_train_epochs = {given} is too few for the curriculum: {what} {needed}");
        let hint = format!("write num_train_epochs = {needed} under [train], or a shorter curriculum");
        violated.add(&["train.num_train_epochs", key], Fault::new(message).hint(hint));
    }
}

/// An order of dialogues needs dialogues, and no other order.
fn order(recipe: &Recipe, violated: &mut Violations) {
    let section = &recipe.curriculum;
    let is_ordered = section.scheduler != PhaseScheduler::None || !section.shuffle;
    if is_ordered && recipe.data.format == DataFormat::Text {
        let fault = Fault::new("format = \"text\" has no dialogues for a curriculum");
        let keys = ["data.format", "curriculum.scheduler", "curriculum.shuffle"];
        violated.add(&keys, fault.hint("write name = \"none\" under [curriculum]"));
    }
    if recipe.train.group_by_dialogue && recipe.data.format == DataFormat::Text {
        let fault = Fault::new("format = \"text\" has no dialogues for train.group_by_dialogue");
        let hint = "write group_by_dialogue = false under [train]";
        violated.add(&["data.format", "train.group_by_dialogue"], fault.hint(hint));
    }
    if !section.shuffle && recipe.train.group_by_length {
        let fault = Fault::new("curriculum.shuffle = false and train.group_by_length both order the samples");
        violated.add(&["curriculum.shuffle", "train.group_by_length"], fault.hint("keep one of them"));
    }
    if section.shuffle_by == ShuffleBy::Dialogues {
        by_dialogues(recipe, violated);
    }
}

/// Whole dialogues are shuffled where there are some, and nothing else orders the samples.
fn by_dialogues(recipe: &Recipe, violated: &mut Violations) {
    let by = r#"curriculum.shuffle_by = "dialogues""#;
    let hint = r#"write shuffle_by = "utterances" under [curriculum]"#;
    let mut add = |key: &'static str, what: String| {
        violated.add(&[key, "curriculum.shuffle_by"], Fault::new(what).hint(hint));
    };
    if recipe.data.format == DataFormat::Text {
        add("data.format", format!("format = \"text\" has no dialogues for {by}"));
    }
    if !recipe.curriculum.shuffle {
        add("curriculum.shuffle", format!("{by} has no effect with shuffle = false"));
    }
    if recipe.train.group_by_length {
        add("train.group_by_length", format!("{by} and train.group_by_length both order the samples"));
    }
}

/// Only scores of labels are computed in bfloat16.
fn low_precision(recipe: &Recipe, violated: &mut Violations) {
    if recipe.eval.bf16_full_eval && recipe.data.format == DataFormat::Text {
        let fault = Fault::new("format = \"text\" has no labels to score in bfloat16");
        let hint = "write bf16_full_eval = false under [eval]";
        violated.add(&["eval.bf16_full_eval", "data.format"], fault.hint(hint));
    }
}

/// Several devices have something to do in every step, and an adapter to pass on.
fn several_devices(recipe: &Recipe, violated: &mut Violations) {
    let (devices, steps) = (recipe.model.num_devices, recipe.train.gradient_accumulation_steps);
    if devices < 2 {
        return;
    }
    if devices > steps {
        let fault = Fault::new(format!(
            "num_devices = {devices}, but a step has gradient_accumulation_steps = {steps} micro-batches to deal"
        ));
        let hint = format!("write gradient_accumulation_steps = {devices} or more under [train]");
        violated.add(&["model.num_devices", "train.gradient_accumulation_steps"], fault.hint(hint));
    }
    if recipe.train.method == TrainMethod::Full {
        let fault =
            Fault::new(format!("num_devices = {devices} trains adapters, and method = \"full\" none"));
        let hint = "write num_devices = 1 under [model], or method = \"lora\" under [train]";
        violated.add(&["model.num_devices", "train.method"], fault.hint(hint));
    }
    if recipe.model.device == DeviceChoice::Cpu {
        let fault = Fault::new(format!("num_devices = {devices} with device = \"cpu\", which is one"));
        violated.add(
            &["model.num_devices", "model.device"],
            fault.hint("write num_devices = 1 under [model]; the CPU uses all its cores"),
        );
    }
}

/// Comparing evaluations needs several of them.
fn selection(recipe: &Recipe, violated: &mut Violations) {
    let eval = &recipe.eval;
    let wishes = [
        ("eval.load_best_model_at_end", eval.load_best_model_at_end, "load_best_model_at_end = false"),
        ("eval.early_stopping_patience", eval.early_stopping_patience > 0, "early_stopping_patience = 0"),
    ];
    for (key, _, instead) in wishes.into_iter().filter(|(_, is_wished, _)| *is_wished) {
        if !recipe.data.has_valid() {
            let fault = Fault::new(format!("{key} needs data.valid"));
            let hint = format!("add valid = \"…\" under [data], or write {instead} under [eval]");
            violated.add(&[key, "data.valid", "data.split"], fault.hint(hint));
        } else if eval.eval_steps.is_never() {
            let fault = Fault::new(format!("{key} needs several evaluations, and eval_steps = 0 makes one"));
            let hint = format!("write eval_steps = 0.5 or so, or {instead}");
            violated.add(&[key, "eval.eval_steps"], fault.hint(hint));
        }
    }
}
