//! The recipe and the scores of a run for TensorBoard's `HParams` plugin, which puts runs side by side.
//!
//! Tags and messages are those of `tensorboard/plugins/hparams` (`metadata.py`, `plugin_data.proto`, `api.proto`).

use emotrain_recipe::Recipe;
use emotrain_runs::{EvalResult, RunReport};
use protobuf::well_known_types::Value;
use protobuf::{Message, SingularPtrField};
use serde_json::Value as Json;
use tensorboard_proto::api::{DataType, Experiment, HParamInfo, MetricInfo, MetricName, Status};
use tensorboard_proto::plugin_hparams::{HParamsPluginData, SessionEndInfo, SessionStartInfo};
use tensorboard_proto::summary::{Summary, Summary_Value};

/// The sections that a run's result depends on.
const SECTIONS: [&str; 9] =
    ["model", "lora", "data", "prompt", "retrieval", "train", "auxiliary", "curriculum", "eval"];

/// Groups of scalars of the untrained model and of the trained one.
const BASELINE: &str = "baseline";
const FINAL: &str = "final";

/// What runs are compared by: keys of the recipe, and scores.
pub(crate) fn experiment(recipe: &Recipe, time: f64) -> Summary {
    let mut experiment = Experiment::new();
    experiment.set_name(recipe.name().to_owned());
    experiment.set_time_created_secs(time);
    for (key, value) in keys(recipe) {
        let mut info = HParamInfo::new();
        info.set_name(key);
        info.set_field_type(match value {
            Json::Bool(_) => DataType::DATA_TYPE_BOOL,
            Json::Number(_) => DataType::DATA_TYPE_FLOAT64,
            Json::Null | Json::String(_) | Json::Array(_) | Json::Object(_) => DataType::DATA_TYPE_STRING,
        });
        experiment.mut_hparam_infos().push(info);
    }
    for tag in tags(recipe) {
        let (mut name, mut info) = (MetricName::new(), MetricInfo::new());
        name.set_tag(tag);
        info.name = SingularPtrField::some(name);
        experiment.mut_metric_infos().push(info);
    }
    let mut data = HParamsPluginData::new();
    data.set_experiment(experiment);
    summary("_hparams_/experiment", &data)
}

/// The recipe of a run that starts.
pub(crate) fn session_start(recipe: &Recipe, time: f64) -> Summary {
    let mut start = SessionStartInfo::new();
    start.set_start_time_secs(time);
    for (key, json) in keys(recipe) {
        let mut value = Value::new();
        match json {
            Json::Bool(is_on) => value.set_bool_value(is_on),
            Json::Number(number) => value.set_number_value(number.as_f64().unwrap_or_default()),
            Json::String(text) => value.set_string_value(text),
            Json::Null | Json::Array(_) | Json::Object(_) => value.set_string_value(json.to_string()),
        }
        start.mut_hparams().insert(key, value);
    }
    let mut data = HParamsPluginData::new();
    data.set_session_start_info(start);
    summary("_hparams_/session_start_info", &data)
}

/// The end of a run that is done.
pub(crate) fn session_end(time: f64) -> Summary {
    let mut end = SessionEndInfo::new();
    end.set_status(Status::STATUS_SUCCESS);
    end.set_end_time_secs(time);
    let mut data = HParamsPluginData::new();
    data.set_session_end_info(end);
    summary("_hparams_/session_end_info", &data)
}

/// Tag and value of each score, those of the untrained model apart.
pub(crate) fn scores(report: &RunReport) -> [Vec<(String, f64)>; 2] {
    let of = |group: &str, results: &[EvalResult]| -> Vec<(String, f64)> {
        results.iter().flat_map(|result| values(group, result)).collect()
    };
    [of(BASELINE, &report.before), of(FINAL, &report.after)]
}

fn values(group: &str, result: &EvalResult) -> Vec<(String, f64)> {
    let scores = result.report.as_ref().map(|report| report.scores);
    let scores = scores.into_iter().flat_map(|scores| [scores.weighted_f1, scores.macro_f1, scores.accuracy]);
    let named = ["weighted_f1", "macro_f1", "accuracy"].into_iter().zip(scores);
    let all = named.chain([("loss", result.loss)]);
    all.map(|(name, value)| (format!("{group}/{}/{name}", result.split), value)).collect()
}

/// The tags of the scores that the recipe asks for.
fn tags(recipe: &Recipe) -> Vec<String> {
    let valid = recipe.data.has_valid().then_some("valid");
    let splits: Vec<&str> = valid.into_iter().chain(recipe.eval.test.then_some("test")).collect();
    let groups = [Some(FINAL), recipe.eval.baseline.then_some(BASELINE)].into_iter().flatten();
    let names = ["weighted_f1", "macro_f1", "accuracy", "loss"];
    let of = |group: &str| -> Vec<String> {
        splits.iter().flat_map(|split| names.map(|name| format!("{group}/{split}/{name}"))).collect()
    };
    groups.flat_map(of).collect()
}

/// The keys of the recipe with their values.
fn keys(recipe: &Recipe) -> Vec<(String, Json)> {
    let mut recipe = serde_json::to_value(recipe).unwrap_or_default();
    let section = |name: &str| -> Vec<(String, Json)> {
        let Json::Object(keys) = recipe[name].take() else { return Vec::new() };
        keys.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)).collect()
    };
    let keys = SECTIONS.into_iter().flat_map(section);
    keys.filter(|(key, _)| key != "train.output_dir").collect()
}

fn summary(tag: &str, data: &HParamsPluginData) -> Summary {
    let mut value = Summary_Value::new();
    value.set_tag(tag.to_owned());
    let plugin = value.mut_metadata().mut_plugin_data();
    plugin.set_plugin_name("hparams".to_owned());
    plugin.set_content(data.write_to_bytes().expect("a message without required fields"));
    let mut summary = Summary::new();
    summary.mut_value().push(value);
    summary
}
