//! From a sweep file to its runs.

use std::collections::HashMap;
use std::path::Path;

use emotrain_base::{Advice, Complaint, Problems, sha256_hex};
use emotrain_data::SplitKind;
use emotrain_recipe::{DataFormat, EvalSteps, Recipe, RecipeError};
use indexmap::IndexMap;

use crate::digests::Digests;
use crate::error::SweepError;
use crate::settings::{Settings, described, overrides};
use crate::size;
use crate::sweep_file::{Overlay, SweepFile};

/// The length of a run's id, in hexadecimal digits.
const ID: usize = 12;

/// A run of a sweep, before it begins.
#[derive(Clone, Debug)]
pub struct PlannedRun {
    /// 12 digits of the digest of [`Recipe::identity`] and the seed: the same wherever the sweep lies, another if the recipe
    /// or a file that it reads is another.
    pub id: String,
    /// What all its seeds have in common, as the board shows it.
    pub name: String,
    /// The seed.
    pub seed: u64,
    /// The values of the axes, by key of the recipe, without the seed.
    pub settings: Settings,
    /// The resolved recipe; its `train.output_dir` is in the folder of the sweep.
    pub recipe: Recipe,
}

/// A point of the axes.
#[derive(Clone, Debug)]
struct Point<'a> {
    overlay: Option<&'a Overlay>,
    settings: Settings,
}

/// The runs of a sweep: overlays × grid × draws × seeds, in this order, the seeds innermost. `folder` is where the
/// runs' folders will be.
///
/// # Errors
/// More runs than `max_runs`, which is found before any is made; recipes whose scores would not be measured; everything that is wrong with their recipes; two runs that are the same.
pub fn expand(file: &SweepFile, folder: &Path) -> Result<Vec<PlannedRun>, SweepError> {
    let points = points(file)?;
    let recipes = points.len();
    let mut problems = Problems::default();
    let (mut digests, mut wrong) = (Digests::default(), WrongRecipes::default());
    let mut runs = Vec::new();
    for point in points {
        let name = point.name(file);
        match point.recipe(file) {
            Ok(mut recipe) => {
                for (lacking, hint) in
                    lacks_score(file, &recipe).into_iter().chain(lacks_rungs(file, &recipe))
                {
                    wrong.note(lacking, Some(hint), &name);
                }
                let seeds = if file.seeds.is_empty() { vec![recipe.train.seed] } else { file.seeds.clone() };
                recipe.train.seed = 0;
                // Without the seed: that of each run is added, so that the recipe is read and written once for all.
                let identity = recipe.identity(|path| digests.of(path))?;
                for seed in seeds {
                    let (name, settings) = (name.clone(), point.settings.clone());
                    let mut recipe = recipe.clone();
                    recipe.train.seed = seed;
                    let mut id = sha256_hex(format!("{identity} {seed}").as_bytes());
                    id.truncate(ID);
                    recipe.train.output_dir = folder.join(&id);
                    runs.push(PlannedRun { id, name, seed, settings, recipe });
                }
            }
            Err(error) => wrong.add(&name, &error),
        }
    }
    problems.add(wrong.told(file, recipes));
    let mut known: HashMap<&str, &PlannedRun> = HashMap::new();
    for run in &runs {
        if let Some(earlier) = known.insert(&run.id, run) {
            let (one, other, seed) = (&earlier.name, &run.name, run.seed);
            let place = file.place.display();
            let message = format!("{place}: {one:?} and {other:?} are the same run with seed {seed}");
            problems.add(Complaint::usage(message).hint("remove one: no run is trained twice"));
        }
    }
    problems.finish()?;
    Ok(runs)
}

fn points(file: &SweepFile) -> Result<Vec<Point<'_>>, Complaint> {
    let draws = size::draws(file)?;
    let overlays: Vec<Option<&Overlay>> =
        if file.list.is_empty() { vec![None] } else { file.list.iter().map(Some).collect() };
    let mut points: Vec<Point> =
        overlays.into_iter().map(|overlay| Point { overlay, settings: Settings::new() }).collect();
    for (key, values) in &file.grid {
        let with = |point: &Point<'_>, value| {
            let mut settings = point.settings.clone();
            settings.insert(key.clone(), value);
            settings
        };
        points = points
            .into_iter()
            .flat_map(|point| {
                let settings: Vec<Settings> =
                    values.iter().map(|value| with(&point, value.clone())).collect();
                settings.into_iter().map(move |settings| Point { overlay: point.overlay, settings })
            })
            .collect();
    }
    let mut all = Vec::new();
    for Point { overlay, settings } in points {
        all.extend(draws.iter().map(|draw| {
            let settings = settings.iter().chain(draw);
            let settings = settings.map(|(key, value)| (key.clone(), value.clone())).collect();
            Point { overlay, settings }
        }));
    }
    Ok(all)
}

impl Point<'_> {
    fn name(&self, file: &SweepFile) -> String {
        let settings = described(&self.settings);
        match self.overlay {
            Some(overlay) if settings.is_empty() => overlay.name.clone(),
            Some(overlay) => format!("{}, {settings}", overlay.name),
            None if settings.is_empty() => {
                file.base.file_stem().unwrap_or_default().to_string_lossy().into_owned()
            }
            None => settings,
        }
    }

    fn recipe(&self, file: &SweepFile) -> Result<Recipe, RecipeError> {
        let path = self.overlay.and_then(|overlay| overlay.recipe.as_ref()).unwrap_or(&file.base);
        let overlay = self.overlay.map(|overlay| overrides(&overlay.set)).unwrap_or_default();
        let set = overrides(&file.set).into_iter().chain(overlay).chain(overrides(&self.settings));
        let set: Vec<String> = set.collect();
        emotrain_recipe::load_in(&file.folder().join(path), &set, file.folder())
    }
}

/// Why a recipe's runs would have no score to compare, with what to do about it.
fn lacks_score(file: &SweepFile, recipe: &Recipe) -> Option<(String, String)> {
    let (place, split) = (file.place.display(), file.split);
    let (is_measured, needs, hint) = match split {
        SplitKind::Valid => (
            recipe.data.has_valid(),
            "data.valid",
            "name a validation file with data.valid in the base recipe, or compare another split: split = \"test\"",
        ),
        SplitKind::Test => (
            recipe.eval.test,
            "data.test and eval.test = true",
            "name a test file with data.test, and write \"eval.test\" = true under [set]",
        ),
        SplitKind::Train => (false, "to be \"valid\" or \"test\"", "write split = \"valid\""),
    };
    if !is_measured {
        let message = format!("{place}: nothing can be scored: split = \"{split}\" needs {needs}");
        return Some((message, hint.to_owned()));
    }
    (recipe.data.format == DataFormat::Text).then(|| {
        let message = format!("{place}: nothing can be scored: data.format = \"text\" has no labels");
        (message, "compare the losses of single runs: emotrain runs".to_owned())
    })
}

/// Why a recipe's runs would pass no rung of successive halving, which is at an evaluation, with what to do about it.
fn lacks_rungs(file: &SweepFile, recipe: &Recipe) -> Option<(String, String)> {
    let (place, rung, every) = (file.place.display(), file.halving?.min_steps, recipe.eval.eval_steps);
    let is_at_one = matches!(every, EvalSteps::Every(every) if every > 0 && rung.is_multiple_of(every));
    (!is_at_one || !recipe.data.has_valid()).then(|| {
        let message = format!(
            "{place}: asha.min_steps = {rung} needs data.valid and an evaluation at every rung, and \
             eval.eval_steps is {every}"
        );
        let hint =
            "set eval.eval_steps to a number of steps, and make min_steps a multiple of eval.eval_steps";
        (message, hint.to_owned())
    })
}

/// The problems of recipes, each with the names of those that have it.
#[derive(Default)]
struct WrongRecipes(IndexMap<(String, Option<String>), Vec<String>>);

impl WrongRecipes {
    fn add(&mut self, name: &str, error: &RecipeError) {
        let all: Vec<(String, Option<String>)> = match error {
            RecipeError::Problems(problems) => problems.iter().map(|one| (one.to_string(), None)).collect(),
            RecipeError::Read(_) => vec![(error.to_string(), error.hint())],
        };
        for (text, hint) in all {
            self.note(text, hint, name);
        }
    }

    fn note(&mut self, text: String, hint: Option<String>, name: &str) {
        self.0.entry((text, hint)).or_default().push(name.to_owned());
    }

    /// Each once, as those of a sweep file with so many recipes.
    fn told(self, file: &SweepFile, recipes: usize) -> Problems {
        let mut problems = Problems::default();
        for ((text, hint), names) in self.0 {
            let text = text.replace(emotrain_recipe::OVERRIDE_FILE, &file.place.display().to_string());
            let more = if names.len() > 1 { format!(" and {} more", names.len() - 1) } else { String::new() };
            // What all have in common is the sweep file's or the base's.
            let complaint = Complaint::usage(match names.first() {
                Some(first) if names.len() < recipes => format!("{first}{more}: {text}"),
                _ => text,
            });
            problems.add(match hint {
                Some(hint) => complaint.hint(hint),
                None => complaint,
            });
        }
        problems
    }
}

#[cfg(test)]
mod tests;
