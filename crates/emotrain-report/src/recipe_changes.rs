//! What a recipe says that another does not.

use emotrain_recipe::DEFAULT_TOML;
use indexmap::IndexMap;
use toml::{Table, Value};

use crate::block::{Block, DataTable, Section};
use crate::error::ReportError;
use crate::facts::Against;
use crate::text::{count, shortened};

/// Characters of a value.
const LONGEST: usize = 400;

/// The section.
pub(crate) fn section(recipe: &str, against: &Against) -> Result<Section, ReportError> {
    let (theirs, title, other) = match against {
        Against::Defaults => (DEFAULT_TOML, "Recipe against the defaults".to_owned(), "default".to_owned()),
        Against::Run { name, recipe } => (recipe.as_str(), format!("Recipe against {name}"), name.clone()),
    };
    let (ours, theirs) = (keys(recipe)?, keys(theirs)?);
    let mut table = DataTable::new("Keys that differ", &["Key", &other, "this run"]);
    let all = ours.keys().chain(theirs.keys().filter(|key| !ours.contains_key(*key)));
    let mut same = 0;
    for key in all {
        let (one, another) = (theirs.get(key), ours.get(key));
        if one == another {
            same += 1;
            continue;
        }
        let shown =
            |value: Option<&String>| value.map_or("–".to_owned(), |value| shortened(value, LONGEST));
        table.row([key.clone(), shown(one), shown(another)]);
    }
    let text = match table.rows.len() {
        0 => format!("All {} keys are the same.", count(same)),
        differ => format!("{} keys differ, {} are the same.", count(differ), count(same)),
    };
    let mut blocks = vec![Block::text(text)];
    if !table.rows.is_empty() {
        blocks.push(Block::Table { table });
    }
    Ok(Section { id: "recipe", title, blocks })
}

/// Every key with its value as it is written, in the order of the file.
fn keys(recipe: &str) -> Result<IndexMap<String, String>, ReportError> {
    let table: Table = recipe.parse()?;
    let mut keys = IndexMap::new();
    flatten(String::new(), &table, &mut keys);
    Ok(keys)
}

fn flatten(path: String, table: &Table, keys: &mut IndexMap<String, String>) {
    for (name, value) in table {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match value {
            Value::Table(inner) if !inner.is_empty() => flatten(path, inner, keys),
            Value::Array(items) if items.iter().any(Value::is_table) => {
                for (at, item) in items.iter().enumerate() {
                    let named = item.get("name").and_then(Value::as_str).map(str::to_owned);
                    let path = format!("{path}[{}]", named.unwrap_or_else(|| at.to_string()));
                    item.as_table().into_iter().for_each(|inner| flatten(path.clone(), inner, keys));
                }
            }
            other => {
                keys.insert(path, other.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(section: Section) -> Vec<Vec<String>> {
        let tables = section.blocks.into_iter().filter_map(|block| match block {
            Block::Table { table } => Some(table.rows),
            _ => None,
        });
        tables.flatten().collect()
    }

    #[test]
    fn keys_that_differ_are_listed_wherever_they_are() {
        let ours = "[train]\nseed = 1\nname = \"a\"\n[[knowledge]]\nname = \"k\"\npath = \"x\"\n";
        let theirs = "[train]\nseed = 2\nname = \"a\"\nold = [1, 2]\n";
        let against = Against::Run { name: "other".to_owned(), recipe: theirs.to_owned() };
        let found = rows(section(ours, &against).unwrap());
        let expected = [
            ["train.seed", "2", "1"],
            ["knowledge[k].name", "–", "\"k\""],
            ["knowledge[k].path", "–", "\"x\""],
            ["train.old", "[1, 2]", "–"],
        ];
        assert_eq!(found, expected);
        assert!(section("[train", &against).is_err());
    }

    #[test]
    fn the_defaults_do_not_differ_from_themselves() {
        assert!(rows(section(DEFAULT_TOML, &Against::Defaults).unwrap()).is_empty());
    }
}
