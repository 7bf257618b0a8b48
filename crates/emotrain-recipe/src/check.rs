//! Rules between the keys of a recipe.
//!
//! Every check sees the whole resolved recipe. A check of a key whose own value was refused reports nothing: the recipe
//! then has the default, and its problems would be misleading.

mod curriculum;
mod interpret;
mod prompt;

use std::collections::BTreeMap;

use toml::Value;

use crate::choices::{DataFormat, LabelSetName, Metric, ModelInit, SearchIndex, TrainMethod};
use crate::merge::Merged;
use crate::problem::{Fault, Findings, Origin};
use crate::recipe::Recipe;
use crate::sections::RetrievalSection;
use crate::suggest::{did_you_mean, folded, nearest};

/// Reports every violated rule.
pub(crate) fn check(recipe: &Recipe, merged: &Merged, findings: &mut Findings) {
    let mut checker = Checker { merged, findings };
    checker.required();
    checker.splits(recipe);
    checker.labels(recipe);
    checker.text(recipe);
    checker.lora(recipe);
    checker.retrieval(recipe);
    checker.interpretation(recipe);
    checker.knowledge(recipe);
    checker.slots(recipe);
    checker.causality(recipe);
    checker.training(recipe);
    checker.auxiliary(recipe);
    checker.curriculum(recipe);
    checker.evaluation(recipe);
    checker.selection(recipe);
}

struct Checker<'c> {
    merged: &'c Merged,
    findings: &'c mut Findings,
}

impl Checker<'_> {
    /// Reports `fault` about `keys` (`section.key`) at the first of them that is written somewhere, or else at the
    /// first of their sections.
    fn add(&mut self, keys: &[&str], fault: Fault) {
        if keys.iter().all(|key| self.merged.is_sound(key)) {
            let written = keys.iter().map(|key| self.merged.origin(key));
            let sections = keys.iter().filter_map(|key| key.split('.').next());
            let mut origins = written.chain(sections.map(|section| self.merged.header(section)));
            let origin = origins.find(|origin| *origin != Origin::Default).unwrap_or(Origin::Default);
            self.findings.add(origin, keys.first().copied(), fault);
        }
    }

    fn required(&mut self) {
        for (path, key) in self.merged.paths().into_iter().filter(|(_, key)| key.required) {
            let is_blank = self.merged.value(&path).and_then(Value::as_str).is_some_and(str::is_empty);
            if !is_blank || !self.merged.is_sound(&path) {
                continue;
            }
            let (home, _) = path.rsplit_once('.').unwrap_or_default();
            let origin = match self.merged.origin(&path) {
                Origin::Default => self.merged.header(home),
                written @ (Origin::File(_) | Origin::Base(..) | Origin::Curriculum(_) | Origin::Override) => {
                    written
                }
            };
            let fault = Fault::new(format!("{path} is required"));
            let section =
                if home.contains('.') { "that [[knowledge]]".to_owned() } else { format!("[{home}]") };
            let hint = format!("add {} = \"…\" under {section}", key.name);
            self.findings.add(origin, Some(&path), fault.hint(hint));
        }
    }

    fn splits(&mut self, recipe: &Recipe) {
        let data = &recipe.data;
        let files = [
            ("data.train", Some(&data.train)),
            ("data.valid", data.valid.as_ref()),
            ("data.test", data.test.as_ref()),
        ];
        for (at, (key, file)) in files.iter().enumerate() {
            for (earlier, other) in &files[..at] {
                if file.is_some() && file == other {
                    let fault = Fault::new(format!("{key} is the same file as {earlier}"));
                    self.add(&[key, earlier], fault.hint("training data cannot be used for evaluation"));
                }
            }
        }
        if recipe.eval.test && data.test.is_none() {
            let fault = Fault::new("eval.test = true needs data.test");
            self.add(
                &["eval.test", "data.test"],
                fault.hint("add test = \"…\" under [data], or write test = false"),
            );
        }
    }

    fn labels(&mut self, recipe: &Recipe) {
        let data = &recipe.data;
        if data.label_set != LabelSetName::Custom {
            for (key, is_empty) in [
                ("data.labels", data.labels.is_empty()),
                ("data.label_aliases", data.label_aliases.is_empty()),
            ] {
                if !is_empty {
                    let fault =
                        Fault::new(format!("{key} has no effect with label_set = \"{}\"", data.label_set));
                    self.add(&[key, "data.label_set"], fault.hint("write label_set = \"custom\""));
                }
            }
        } else if data.labels.len() < 2 {
            let fault = Fault::new("label_set = \"custom\" needs at least two labels");
            self.add(&["data.label_set", "data.labels"], fault.hint("write labels = [\"…\", \"…\"]"));
        } else {
            self.custom_labels(recipe);
        }
    }

    /// Spellings are compared as in the data reader, ignoring case and the characters between words.
    fn custom_labels(&mut self, recipe: &Recipe) {
        let labels = &recipe.data.labels;
        let mut meanings = BTreeMap::new();
        for label in labels {
            if folded(label).is_empty() {
                self.add(
                    &["data.labels"],
                    Fault::new(format!("the label {label:?} of data.labels is blank")),
                );
            } else if let Some(earlier) = meanings.insert(folded(label), label) {
                let fault =
                    Fault::new(format!("data.labels has {earlier:?} and {label:?}, which are the same"));
                self.add(
                    &["data.labels"],
                    fault.hint("labels differ in more than case, spaces, \"-\" and \"_\""),
                );
            }
        }
        let keys = ["data.label_aliases", "data.labels"];
        for (alias, written) in &recipe.data.label_aliases {
            let Some(label) = labels.iter().find(|label| folded(label) == folded(written)) else {
                let fault = Fault::new(format!("data.label_aliases: {written:?} is not in data.labels"));
                let near = nearest(written, labels.iter().map(String::as_str));
                self.add(&keys, fault.maybe_hint(did_you_mean(&near)));
                continue;
            };
            match meanings.insert(folded(alias), label) {
                Some(other) if other != label => {
                    let fault =
                        Fault::new(format!("data.label_aliases: {alias:?} is already an alias of {other:?}"));
                    self.add(&keys, fault);
                }
                _ => {}
            }
        }
    }

    /// Text without labels has no answers to complete or score.
    fn text(&mut self, recipe: &Recipe) {
        if recipe.data.format != DataFormat::Text {
            return;
        }
        if recipe.train.completion_only_loss {
            let fault = Fault::new("format = \"text\" has no answers for completion_only_loss");
            let hint = "write completion_only_loss = false under [train]";
            self.add(&["data.format", "train.completion_only_loss"], fault.hint(hint));
        }
        let metric = recipe.eval.metric_for_best_model;
        if recipe.data.valid.is_some() && metric != Metric::Loss {
            let fault = Fault::new(format!("format = \"text\" has no labels for the metric \"{metric}\""));
            let hint = "write metric_for_best_model = \"loss\" and greater_is_better = false under [eval]";
            self.add(&["data.format", "eval.metric_for_best_model"], fault.hint(hint));
        }
    }

    /// An adapter is not a starting point for training all weights.
    fn lora(&mut self, recipe: &Recipe) {
        if recipe.lora.init_from.is_some() && recipe.train.method == TrainMethod::Full {
            let fault = Fault::new("method = \"full\" has no adapter to start from another");
            let hint = "write method = \"lora\" under [train], or init_from = \"\" under [lora]";
            self.add(&["lora.init_from", "train.method"], fault.hint(hint));
        }
    }

    /// Demonstrations need utterances.
    fn retrieval(&mut self, recipe: &Recipe) {
        let retrieval = &recipe.retrieval;
        if retrieval.bank.is_some() && recipe.data.format == DataFormat::Text {
            let fault = Fault::new("format = \"text\" has no utterances to find demonstrations for");
            let hint = "write bank = \"\" under [retrieval]";
            self.add(&["retrieval.bank", "data.format"], fault.hint(hint));
        }
        if retrieval.encoder.is_empty() {
            let fault = Fault::new("retrieval.encoder is blank");
            let hint = format!("write encoder = {:?}", RetrievalSection::AUTO);
            self.add(&["retrieval.encoder"], fault.hint(hint));
        }
        if retrieval.encoder == RetrievalSection::LEXICAL && retrieval.index != SearchIndex::Exact {
            let fault =
                Fault::new(format!("index = \"{}\" needs vectors; lexical search has none", retrieval.index));
            let hint = "write index = \"exact\", or the encoder of the bank's vectors";
            self.add(&["retrieval.index", "retrieval.encoder"], fault.hint(hint));
        }
    }

    /// Auxiliary questions need utterances.
    fn auxiliary(&mut self, recipe: &Recipe) {
        let section = &recipe.auxiliary;
        let ratios = [
            ("speaker_identification", section.speaker_identification),
            ("emotion_impact", section.emotion_impact),
        ];
        for (key, _) in ratios.into_iter().filter(|(_, ratio)| *ratio > 0.0) {
            if recipe.data.format == DataFormat::Text {
                let fault = Fault::new(format!("format = \"text\" has no utterances for auxiliary.{key}"));
                let hint = format!("write {key} = 0.0 under [auxiliary]");
                self.add(&[&format!("auxiliary.{key}"), "data.format"], fault.hint(hint));
            }
        }
    }

    fn training(&mut self, recipe: &Recipe) {
        let train = &recipe.train;
        if recipe.model.init == ModelInit::Random && train.method != TrainMethod::Full {
            let fault = Fault::new("init = \"random\" needs train.method = \"full\"");
            let hint = "an adapter cannot teach a base model that has learned nothing";
            self.add(&["model.init", "train.method"], fault.hint(hint));
        }
        if train.warmup_steps > 0 && train.warmup_ratio > 0.0 {
            let fault = Fault::new("train.warmup_steps and train.warmup_ratio are both set");
            self.add(&["train.warmup_steps", "train.warmup_ratio"], fault.hint("keep one of them"));
        }
    }

    fn evaluation(&mut self, recipe: &Recipe) {
        let metric = recipe.eval.metric_for_best_model;
        let right = metric.greater_is_better();
        if recipe.eval.greater_is_better != right {
            let better = if right { "larger" } else { "smaller" };
            let fault = Fault::new(format!("for \"{metric}\" {better} is better"));
            let hint = format!("write greater_is_better = {right} under [eval]");
            self.add(&["eval.metric_for_best_model", "eval.greater_is_better"], fault.hint(hint));
        }
        if recipe.eval.bf16_full_eval && recipe.data.format == DataFormat::Text {
            let fault = Fault::new("format = \"text\" has no labels to score in bfloat16");
            let hint = "write bf16_full_eval = false under [eval]";
            self.add(&["eval.bf16_full_eval", "data.format"], fault.hint(hint));
        }
    }

    /// Comparing evaluations needs several of them.
    fn selection(&mut self, recipe: &Recipe) {
        let eval = &recipe.eval;
        let wishes = [
            ("eval.load_best_model_at_end", eval.load_best_model_at_end, "load_best_model_at_end = false"),
            ("eval.early_stopping_patience", eval.early_stopping_patience > 0, "early_stopping_patience = 0"),
        ];
        for (key, _, instead) in wishes.into_iter().filter(|(_, is_wished, _)| *is_wished) {
            if recipe.data.valid.is_none() {
                let fault = Fault::new(format!("{key} needs data.valid"));
                let hint = format!("add valid = \"…\" under [data], or write {instead} under [eval]");
                self.add(&[key, "data.valid"], fault.hint(hint));
            } else if eval.eval_steps == 0 {
                let fault =
                    Fault::new(format!("{key} needs several evaluations, and eval_steps = 0 makes one"));
                let hint = format!("write eval_steps = 50 or so, or {instead}");
                self.add(&[key, "eval.eval_steps"], fault.hint(hint));
            }
        }
    }
}
