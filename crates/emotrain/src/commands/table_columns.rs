//! What commands without a recipe say of tables: their columns as an option, and what is wrong with a file.

use emotrain_base::{Advice, Complaint, Problems, nearest};
use emotrain_data::{DataError, DataOptions};
use emotrain_recipe::ColumnRole;

/// What `--columns` says, `dialogue=conv_id,text=utt`, as the `data.columns` of a recipe: `{ dialogue = "conv_id", … }`.
/// `None` if it is not given.
///
/// # Errors
/// A part that is no pair; a key that columns do not have.
pub(super) fn columns_table(given: Option<&str>) -> Result<Option<String>, Complaint> {
    let mut columns = Vec::new();
    for pair in given.iter().flat_map(|columns| columns.split(',')) {
        let Some((role, column)) = pair.split_once('=') else {
            let complaint = Complaint::usage(format!("--columns {pair}: expected ROLE=COLUMN"));
            return Err(complaint.hint("as in --columns dialogue=conv_id,text=utt,label=emotion"));
        };
        let role = role.trim();
        let roles = ColumnRole::NAMES;
        if !roles.contains(&role) {
            let complaint = Complaint::usage(format!("--columns {pair}: there is no key {role:?}"));
            let near = nearest(role, roles.iter().copied()).map(|near| format!("did you mean {near:?}?"));
            return Err(complaint.hint(near.unwrap_or_else(|| format!("the keys are {}", roles.join(", ")))));
        }
        columns.push(format!("{role} = {:?}", column.trim()));
    }
    Ok((!columns.is_empty()).then(|| format!("{{ {} }}", columns.join(", "))))
}

/// What is wrong with a data file, with the way out that this command has.
pub(super) fn without_recipe(error: DataError, options: DataOptions) -> anyhow::Error {
    if error.several().is_some() {
        return Problems::from(error).into();
    }
    let complaint = Complaint::new(error.fault(), error.to_string());
    match error.hint_without_recipe(options) {
        Some(hint) => complaint.hint(hint).into(),
        None => complaint.into(),
    }
}
