//! The shape of a sweep file: which keys it has, and whether their values are of the right kind. All that is wrong is
//! told with the line to write, which a parser does not know.

use std::path::Path;

use emotrain_base::{Complaint, Problems, nearest};
use toml::{Table, Value};

/// The keys at the top.
const KEYS: [(&str, Kind); 8] = [
    ("base", Kind::Text),
    ("output_dir", Kind::Text),
    ("objective", Kind::Text),
    ("split", Kind::Text),
    ("seeds", Kind::Numbers),
    ("max_runs", Kind::Number),
    ("runs_per_process", Kind::Number),
    ("list", Kind::Tables),
];

/// The tables.
const TABLES: [&str; 5] = ["set", "grid", "random", "asha", "slurm"];

/// What others call them.
const OTHERS: [(&str, &str); 13] = [
    ("seed", "seeds"),
    ("recipe", "base"),
    ("config", "base"),
    ("output", "output_dir"),
    ("metric", "objective"),
    ("goal", "objective"),
    ("parameters", "grid"),
    ("params", "grid"),
    ("axes", "grid"),
    ("search_space", "grid"),
    ("fixed", "set"),
    ("halving", "asha"),
    ("runs", "max_runs"),
];

/// Sections that recipes have and sweep files have not.
const RECIPE: [&str; 5] = ["model", "data", "train", "lora", "prompt"];

/// What a key's value is.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    Numbers,
    Tables,
}

impl Kind {
    fn fits(self, value: &Value) -> bool {
        let is_number = |value: &Value| value.as_integer().is_some_and(|number| number >= 0);
        match self {
            Self::Text => value.is_str(),
            Self::Number => is_number(value),
            Self::Numbers => value.as_array().is_some_and(|all| all.iter().all(is_number)),
            Self::Tables => value.as_array().is_some_and(|all| all.iter().all(Value::is_table)),
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Text => "text, in quotes",
            Self::Number => "a whole number",
            Self::Numbers => "a list of whole numbers",
            Self::Tables => "tables, [[list]]",
        }
    }
}

/// A sweep file as TOML.
struct Shape<'a> {
    path: &'a Path,
    text: &'a str,
    problems: Problems,
}

/// Checks keys and kinds of values.
///
/// # Errors
/// Everything that is wrong with them.
pub(crate) fn check(path: &Path, text: &str, table: &Table) -> Result<(), Problems> {
    if !table.contains_key("base") && RECIPE.iter().filter(|name| table.contains_key(**name)).count() > 1 {
        let (name, file) = (path.display(), path.file_name().unwrap_or_default().to_string_lossy());
        let complaint = Complaint::usage(format!("{name}: is a recipe, not a sweep file"));
        let hint = format!("`emotrain {name}` trains it; a sweep file names it: base = {file:?}");
        return Err(complaint.hint(hint).into());
    }
    let mut shape = Shape { path, text, problems: Problems::default() };
    if !table.contains_key("base") && !table.contains_key("recipe") {
        let message = format!("{}: base is missing", path.display());
        let hint = "name the recipe that all runs share: base = \"recipe.toml\"";
        shape.problems.add(Complaint::usage(message).hint(hint));
    }
    for (key, value) in table {
        shape.key(key, value);
    }
    shape.problems.finish()
}

impl Shape<'_> {
    /// Adds a problem with the line of this key.
    fn add(&mut self, key: &str, message: &str, hint: String) {
        let begins = |line: &str| {
            let line = line.trim_start().trim_start_matches(['[', '"', '\'']);
            line.strip_prefix(key)
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        };
        let line = self.text.lines().position(begins);
        let line = line.map_or(String::new(), |line| format!(":{}", line + 1));
        let complaint = Complaint::usage(format!("{}{line}: {message}", self.path.display()));
        self.problems.add(complaint.hint(hint));
    }

    fn key(&mut self, key: &str, value: &Value) {
        if let Some((_, kind)) = KEYS.iter().find(|(name, _)| *name == key) {
            if !kind.fits(value) {
                let hint = match kind {
                    Kind::Numbers => format!("write {key} = [42, 43]"),
                    Kind::Text => format!("write {key} = \"…\""),
                    Kind::Number => format!("write {key} = 1"),
                    Kind::Tables => "write [[list]], once for each overlay".to_owned(),
                };
                self.add(key, &format!("{key} = {}: expected {}", brief(value), kind.words()), hint);
            }
            if let (Kind::Tables, Some(overlays)) = (kind, value.as_array()) {
                let sets = overlays.iter().filter_map(|one| one.get("set"));
                for set in sets {
                    self.settings("list.set", set);
                }
            }
            return;
        }
        match key {
            "grid" | "set" | "random" => self.settings(key, value),
            _ if TABLES.contains(&key) && !value.is_table() => {
                self.add(
                    key,
                    &format!("{key} = {}: expected a table", brief(value)),
                    format!("write [{key}]"),
                );
            }
            _ if TABLES.contains(&key) => {}
            _ => self.unknown(key, value),
        }
    }

    /// The keys of a recipe in a table, `[grid]`, `[set]` or `[random]`.
    fn settings(&mut self, table: &str, value: &Value) {
        let Some(settings) = value.as_table() else {
            self.add(
                table,
                &format!("{table} = {}: expected a table", brief(value)),
                format!("write [{table}]"),
            );
            return;
        };
        for (key, value) in settings {
            let is_own = table == "random" && ["samples", "seed"].contains(&key.as_str());
            if is_own && value.as_integer().is_none_or(|number| number < 0) {
                let message = format!("random.{key} = {}: expected a whole number", brief(value));
                self.add(key, &message, format!("write {key} = 10"));
            }
            if is_own {
                continue;
            }
            let mut leaves = Vec::new();
            leaves_of(key, value, &mut leaves);
            // `train.learning_rate = [1e-4]` is a table in TOML.
            if !key.contains('.') && value.is_table() {
                for (path, leaf) in leaves {
                    let form = if table == "grid" && !leaf.is_array() {
                        format!("[{leaf}]")
                    } else {
                        leaf.to_string()
                    };
                    let message = format!("[{table}] {path}: a key with a dot needs quotes");
                    self.add(&path, &message, format!("write \"{path}\" = {form}"));
                }
            } else if table == "grid" && !value.is_array() {
                let message = format!("grid.\"{key}\" = {}: expected a list of values", brief(value));
                self.add(key, &message, format!("write \"{key}\" = [{value}], or put it under [set]"));
            } else if table == "random" && !value.is_table() {
                let message = format!("random.\"{key}\" = {}: expected a distribution", brief(value));
                let hint =
                    "as in { distribution = \"log_uniform\", min = 1e-5, max = 1e-3 }; lists are for [grid]";
                self.add(key, &message, hint.to_owned());
            }
        }
    }

    fn unknown(&mut self, key: &str, value: &Value) {
        let names = || KEYS.iter().map(|(name, _)| *name).chain(TABLES);
        let other = OTHERS.iter().find(|(other, _)| *other == key).map(|(_, name)| *name);
        let meant = other.or_else(|| nearest(key, names()));
        let hint = match meant {
            Some(name) => format!("did you mean {name}?"),
            None if value.is_table() || key.contains('.') => {
                format!("keys of the recipe go under [set] or [grid], as in \"{key}.…\" = …")
            }
            None => format!("the keys are {}", names().collect::<Vec<_>>().join(", ")),
        };
        self.add(key, &format!("unknown key \"{key}\""), hint);
    }
}

/// The values in a table of tables, each with its dotted path.
fn leaves_of<'v>(path: &str, value: &'v Value, leaves: &mut Vec<(String, &'v Value)>) {
    match value.as_table() {
        Some(table) if !table.contains_key("distribution") => {
            for (key, value) in table {
                leaves_of(&format!("{path}.{key}"), value, leaves);
            }
        }
        _ => leaves.push((path.to_owned(), value)),
    }
}

/// A value in a few words.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 40 { "…".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn told(text: &str) -> String {
        let table = text.parse::<Table>().unwrap();
        check(Path::new("sweep.toml"), text, &table)
            .map_or_else(|problems| problems.to_string(), |()| String::new())
    }

    #[test]
    fn what_is_wrong_is_told_with_what_to_write() {
        let text = "base = 3\nseed = [42]\nseeds = 7\nmax_runs = \"ten\"\nlearning = 1\n[gird]\n[train]\nr = 1\n\
                    [grid]\ntrain.learning_rate = [1e-4, 1e-3]\nlora.r = 8\n\"lora.lora_alpha\" = 16\n\
                    [set]\ntrain.max_steps = 6\n[random]\nsamples = \"many\"\n\"train.weight_decay\" = [0.0, 0.1]\n";
        expect![[r#"
            sweep.toml:1: base = 3: expected text, in quotes
              hint: write base = "…"
            sweep.toml:2: unknown key "seed"
              hint: did you mean seeds?
            sweep.toml:3: seeds = 7: expected a list of whole numbers
              hint: write seeds = [42, 43]
            sweep.toml:4: max_runs = "ten": expected a whole number
              hint: write max_runs = 1
            sweep.toml:5: unknown key "learning"
              hint: the keys are base, output_dir, objective, split, seeds, max_runs, runs_per_process, list, set, grid, random, asha, slurm
            sweep.toml:6: unknown key "gird"
              hint: did you mean grid?
            sweep.toml:7: unknown key "train"
              hint: keys of the recipe go under [set] or [grid], as in "train.…" = …
            sweep.toml:10: [grid] train.learning_rate: a key with a dot needs quotes
              hint: write "train.learning_rate" = [0.0001, 0.001]
            sweep.toml:11: [grid] lora.r: a key with a dot needs quotes
              hint: write "lora.r" = [8]
            sweep.toml:12: grid."lora.lora_alpha" = 16: expected a list of values
              hint: write "lora.lora_alpha" = [16], or put it under [set]
            sweep.toml:14: [set] train.max_steps: a key with a dot needs quotes
              hint: write "train.max_steps" = 6
            sweep.toml:16: random.samples = "many": expected a whole number
              hint: write samples = 10
            sweep.toml:17: random."train.weight_decay" = [0.0, 0.1]: expected a distribution
              hint: as in { distribution = "log_uniform", min = 1e-5, max = 1e-3 }; lists are for [grid]"#]].assert_eq(&told(text));
        assert_eq!(told("base = \"a.toml\"\nseeds = [1]\n[grid]\n\"lora.r\" = [1]\n"), "");
    }

    #[test]
    fn a_recipe_is_no_sweep_file() {
        expect![[r#"
            sweep.toml: is a recipe, not a sweep file
              hint: `emotrain sweep.toml` trains it; a sweep file names it: base = "sweep.toml""#]]
        .assert_eq(&told("[model]\nmodel_name_or_path = \"a\"\n[data]\ntrain = \"b\"\n"));
    }
}
