//! The HTML around the sections.

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Value, context};

use crate::block::Section;
use crate::error::ReportError;
use crate::text::without_controls;

const TEMPLATE: &str = include_str!("page/page.html");
const MACROS: &str = include_str!("page/blocks.html");
const STYLE: &str = include_str!("page/style.css");

/// A page of sections.
pub(crate) struct Page {
    pub(crate) title: String,
    /// Under the title.
    pub(crate) lead: String,
    /// What is missing, and why.
    pub(crate) notes: Vec<String>,
    pub(crate) sections: Vec<Section>,
}

/// The page as HTML. Every text is escaped.
pub(crate) fn render(page: &Page) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
    environment.set_syntax(syntax);
    environment.add_template("blocks.html", MACROS)?;
    environment.add_template("page.html", TEMPLATE)?;
    let Page { title, lead, notes, sections } = page;
    let style = Value::from_safe_string(STYLE.to_owned());
    let sections: Value = sections.iter().map(Section::value).collect();
    let html =
        environment.get_template("page.html")?.render(context! { title, lead, notes, sections, style })?;
    Ok(without_controls(&html))
}
