//! What answers, and how it is asked: a run or an adapter with the recipe of its training, or what is known of that.

use std::path::{Path, PathBuf};

use emotrain_base::Complaint;
use emotrain_data::{LabelSet, Survey, recognised};
use emotrain_hub::Trained;
use emotrain_model::{AdapterConfig, BaseModel};
use emotrain_prompt::PromptContract;
use emotrain_recipe::{DataSection, LabelSetName, ModelInit, PromptSlots, PromptTemplate, Recipe};
use serde_json::{Value, json};

use crate::cli::PredictArgs;
use crate::printer::Printer;

const RECIPE: &str = "recipe.toml";

/// Something trained, and the recipe of its prompts.
pub(super) struct Source {
    pub(super) recipe: Recipe,
    pub(super) trained: Trained,
    /// The folder of the run, where it came from one.
    pub(super) run: Option<PathBuf>,
}

impl Source {
    /// What the command line names.
    ///
    /// # Errors
    /// Nothing trained, a recipe that is wrong or missing, a base that is not where it was.
    pub(super) fn find(args: &PredictArgs, printer: &Printer) -> anyhow::Result<Self> {
        let set = set(args)?;
        if let Some(file) = &args.recipe {
            check_is_recipe(file)?;
        }
        let (trained, run) = match (&args.trained.run, &args.trained.adapter) {
            (Some(run), _) => (Trained::of_run(run)?, Some(run.clone())),
            (None, Some(place)) => (Trained::find(place)?, run_of(place)),
            (None, None) => return Err(Complaint::usage("name what was trained: --run or --adapter").into()),
        };
        let mut recipe = match (&args.recipe, &run) {
            (Some(file), _) => emotrain_recipe::load(file, &set)?,
            (None, Some(run)) if run.join(RECIPE).is_file() => of_run(run, &trained, &set)?,
            (None, _) => {
                let mut recipe = of_contract(&trained, args.base.as_deref(), &set)?;
                recognise(&mut recipe.data, args, printer);
                recipe
            }
        };
        match (&args.base, &trained) {
            (Some(_), Trained::Model(place)) => {
                let message = format!("--base: {} is a whole model and has no base", place.display());
                return Err(Complaint::usage(message).into());
            }
            (Some(base), Trained::Adapter(_)) => {
                recipe.model.model_name_or_path.clone_from(base);
                "main".clone_into(&mut recipe.model.revision);
            }
            (None, Trained::Adapter(_)) => check_base(&recipe, &trained)?,
            (None, Trained::Model(_)) => {}
        }
        trained.settle(&mut recipe.model);
        Ok(Self { recipe, trained, run })
    }
}

/// What `--set` says, and after it where `--knowledge` says that texts are.
fn set(args: &PredictArgs) -> anyhow::Result<Vec<String>> {
    let mut set = args.set.clone();
    for given in &args.knowledge {
        let Some((name, path)) =
            given.split_once('=').filter(|(name, path)| !name.is_empty() && !path.is_empty())
        else {
            let complaint = Complaint::usage(format!("--knowledge {given}: expected NAME=PATH"));
            return Err(complaint
                .hint("name a knowledge source of the recipe and its texts for the input")
                .into());
        };
        set.push(format!("knowledge.{name}.path={path}"));
    }
    Ok(set)
}

/// Dialogues are easily given in the recipe's place.
fn check_is_recipe(file: &Path) -> anyhow::Result<()> {
    let ending = file.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    if ["jsonl", "json", "csv", "tsv", "txt"].contains(&ending.as_str()) {
        let name = file.display();
        let complaint = Complaint::usage(format!("{name}: the word without an option is the recipe"));
        return Err(complaint.hint(format!("name the dialogues with --input {name}")).into());
    }
    Ok(())
}

/// The run that an adapter or a model is the result of.
fn run_of(place: &Path) -> Option<PathBuf> {
    let is_own = ["adapter", "model"].iter().any(|name| place.ends_with(name));
    place.parent().filter(|parent| is_own && parent.join(RECIPE).is_file()).map(Path::to_path_buf)
}

/// The recipe of a run, with the template as it was then, whatever has become of its file.
fn of_run(run: &Path, trained: &Trained, set: &[String]) -> anyhow::Result<Recipe> {
    let mut recipe = emotrain_recipe::load(&run.join(RECIPE), set)?;
    let contract = trained.folder().join(Trained::CONTRACT);
    let is_set = set.iter().any(|one| one.trim_start().starts_with("prompt.template"));
    if contract.is_file() && !is_set {
        recipe.prompt.template = PromptTemplate::File(contract);
    }
    Ok(recipe)
}

/// A recipe that makes the prompts of a contract.
fn of_contract(trained: &Trained, base: Option<&str>, set: &[String]) -> anyhow::Result<Recipe> {
    let path = trained.folder().join(Trained::CONTRACT);
    let Some(contract) = trained.contract()? else {
        let complaint = Complaint::input(format!("{}: there is no such file", path.display()));
        let hint = "without it nothing says what the prompts of the training were: name the recipe, as in emotrain \
                    predict RECIPE --adapter DIR";
        return Err(complaint.hint(hint).into());
    };
    check_is_enough(&contract, &path)?;
    let config = trained.adapter_config()?;
    let named = config.as_ref().and_then(AdapterConfig::base);
    let base = match (base, trained) {
        (Some(base), _) => BaseModel { name: base, revision: None },
        (None, Trained::Adapter(place)) => named.ok_or_else(|| {
            let complaint = Complaint::input(format!("{}: names no base model", place.display()));
            complaint.hint("name it with --base")
        })?,
        (None, Trained::Model(place)) => {
            BaseModel { name: place.to_str().unwrap_or_default(), revision: None }
        }
    };
    let mut recipe = emotrain_recipe::parse(&written(&contract, base), &path, set)?;
    recipe.model.init = ModelInit::Pretrained;
    recipe.prompt.template = PromptTemplate::File(path);
    Ok(recipe)
}

/// Columns of the input, which only a recipe names: those that seem to be meant, as for a new recipe.
fn recognise(data: &mut DataSection, args: &PredictArgs, printer: &Printer) {
    let file = args.input.as_deref().filter(|path| path.is_file());
    let Some(file) = file.filter(|_| data.columns.is_empty() && args.input_format.is_none()) else { return };
    // What cannot be read is told by whoever reads it.
    let Ok(Some(Survey { format, columns, .. })) = recognised(file) else { return };
    if !columns.is_empty() {
        let pairs: Vec<String> = columns.iter().map(|(role, name)| format!("{role} = {name:?}")).collect();
        let pairs = pairs.join(", ");
        printer.say(format_args!("read from the input: {pairs}; --set 'data.columns={{ … }}' names others"));
        (data.format, data.columns) = (format, columns);
    }
}

/// What prompts show besides dialogues is not in a contract.
fn check_is_enough(contract: &PromptContract, path: &Path) -> Result<(), Complaint> {
    let path = path.display();
    let hint =
        "name the recipe of the training, as in emotrain predict RECIPE --adapter DIR, or the run with --run";
    if contract.demonstrations.is_some() {
        let message = format!("{path}: prompts show demonstrations, and it does not say from which bank");
        return Err(Complaint::usage(message).hint(hint));
    }
    if !contract.knowledge.is_empty() {
        let message = format!(
            "{path}: prompts show the knowledge {}, and it does not say how its texts are joined",
            contract.knowledge.join(", ")
        );
        return Err(Complaint::usage(message).hint(hint));
    }
    Ok(())
}

/// The text of that recipe. A text in JSON is one in TOML.
fn written(contract: &PromptContract, base: BaseModel<'_>) -> String {
    let names =
        [LabelSetName::Meld, LabelSetName::Iemocap, LabelSetName::Emorynlp, LabelSetName::Dailydialog];
    let is_it = |name: &LabelSetName| LabelSet::builtin(*name).names() == contract.labels;
    let label_set = names.into_iter().find(is_it).unwrap_or(LabelSetName::Custom);
    let labels = if label_set == LabelSetName::Custom { &contract.labels[..] } else { &[] };
    let keys: [(&str, Vec<(&str, Value)>); 5] = [
        (
            "model",
            vec![
                ("model_name_or_path", json!(base.name)),
                ("revision", json!(base.revision.unwrap_or("main"))),
            ],
        ),
        (
            "data",
            vec![
                ("train", json!("none")),
                ("label_set", json!(label_set.as_str())),
                ("labels", json!(labels)),
            ],
        ),
        (
            "prompt",
            vec![
                ("slots", slots(contract)),
                ("history_window", json!(contract.history_window)),
                ("future_window", json!(contract.future_window)),
                ("enable_thinking", json!(contract.enable_thinking)),
            ],
        ),
        ("train", vec![("max_seq_length", json!(contract.max_seq_length))]),
        ("eval", vec![("load_best_model_at_end", json!(false))]),
    ];
    let section = |(name, keys): (&str, Vec<(&str, Value)>)| {
        let lines = keys.into_iter().map(|(key, value)| format!("{key} = {value}\n"));
        format!("[{name}]\n{}", lines.collect::<String>())
    };
    keys.into_iter().map(section).collect()
}

/// The parts that prompts show.
fn slots(contract: &PromptContract) -> Value {
    if contract.removed_slots.is_empty() {
        return json!(PromptSlots::ALL);
    }
    let is_shown = |name: &&&str| !contract.removed_slots.iter().any(|removed| removed == **name);
    json!(PromptSlots::NAMES.iter().filter(is_shown).collect::<Vec<_>>())
}

/// A base on disk that has moved.
fn check_base(recipe: &Recipe, trained: &Trained) -> Result<(), Complaint> {
    let base = &recipe.model.model_name_or_path;
    if !Path::new(base).is_absolute() || Path::new(base).exists() {
        return Ok(());
    }
    let message = format!("{}: its base model {base} is not there any more", trained.place().display());
    Err(Complaint::input(message).hint("name the base where it is now: --base PATH, or its Hub id"))
}
