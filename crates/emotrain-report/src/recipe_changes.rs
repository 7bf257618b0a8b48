//! What a recipe says that another does not.

use emotrain_recipe::Recipe;

use crate::block::{Block, DataTable, Section};
use crate::facts::Against;
use crate::text::{count, shortened};

/// Characters of a value.
const LONGEST: usize = 400;

/// The section.
pub(crate) fn section(recipe: Option<&Recipe>, against: &Against) -> Section {
    let id = "recipe";
    let Some(recipe) = recipe else {
        let note = Block::note("The run's recipe does not load with this version of emotrain.");
        return Section { id, title: "Recipe".to_owned(), blocks: vec![note] };
    };
    let (title, other, differences) = match against {
        Against::Defaults => {
            ("Recipe against the defaults".to_owned(), "default", recipe.differences_from_defaults())
        }
        Against::Run { name, recipe: theirs } => {
            (format!("Recipe against {name}"), name.as_str(), recipe.differences(theirs))
        }
    };
    let mut table = DataTable::new("Keys that differ", &["Key", other, "this run"]);
    for difference in &differences {
        let shown = |value: &Option<String>| {
            value.as_ref().map_or_else(|| "–".to_owned(), |value| shortened(value, LONGEST))
        };
        table.row([difference.key.clone(), shown(&difference.there), shown(&difference.here)]);
    }
    let blocks = match differences.len() {
        0 => vec![Block::text("Every key has the same value.")],
        1 => vec![Block::text("One key has another value."), Block::Table { table }],
        differ => {
            vec![Block::text(format!("{} keys have other values.", count(differ))), Block::Table { table }]
        }
    };
    Section { id, title, blocks }
}
