//! What a page is made of.

use minijinja::{Value, context};

/// A part of a page under a heading.
#[derive(Debug)]
pub(crate) struct Section {
    /// Unique on the page.
    pub(crate) id: &'static str,
    pub(crate) title: String,
    pub(crate) blocks: Vec<Block>,
}

/// A piece of a section.
#[derive(Debug)]
pub(crate) enum Block {
    /// A heading below that of the section.
    Heading { text: String },
    /// A paragraph.
    Text { text: String },
    /// Something that the reader should not miss.
    Note { text: String },
    /// Numbers to see first.
    Tiles { tiles: Vec<Tile> },
    /// A drawing with its numbers.
    Figure { figure: Figure },
    /// Blocks beside each other, where there is room.
    Grid { cells: Vec<Vec<Block>> },
    /// A table.
    Table { table: DataTable },
    /// Names with their values.
    Facts { rows: Vec<(String, String)> },
    /// Wrong answers.
    Errors { errors: Vec<ErrorView> },
    /// Pages elsewhere.
    Links { links: Vec<Link> },
}

/// A number to see first.
#[derive(Debug)]
pub(crate) struct Tile {
    pub(crate) name: String,
    pub(crate) value: String,
    /// What goes with it; may be empty.
    pub(crate) note: String,
}

/// A drawing with its numbers.
#[derive(Debug)]
pub(crate) struct Figure {
    /// SVG, which is not escaped.
    pub(crate) svg: String,
    pub(crate) caption: String,
    pub(crate) table: DataTable,
    /// Whether it takes the whole width of the page.
    pub(crate) wide: bool,
}

/// A table; the first cell of a row names it.
#[derive(Debug, Default)]
pub(crate) struct DataTable {
    pub(crate) caption: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// A column of a table.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) is_number: bool,
}

/// Another page.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) href: String,
    pub(crate) text: String,
}

/// A wrong answer with what the model saw.
#[derive(Debug)]
pub(crate) struct ErrorView {
    pub(crate) id: String,
    pub(crate) truth: String,
    pub(crate) answer: String,
    /// In percent.
    pub(crate) confidence: String,
    /// Labels with their probabilities in percent, the likeliest first.
    pub(crate) likeliest: Vec<(String, String)>,
    pub(crate) turns: Vec<TurnView>,
    pub(crate) left_out: String,
    pub(crate) system: String,
    pub(crate) user: String,
    pub(crate) demonstrations: Vec<DemonstrationView>,
    /// Sources with their texts.
    pub(crate) knowledge: Vec<(String, String)>,
}

/// An utterance of a dialogue.
#[derive(Debug)]
pub(crate) struct TurnView {
    pub(crate) speaker: String,
    pub(crate) text: String,
    /// Empty if it is not known.
    pub(crate) label: String,
    pub(crate) is_asked: bool,
}

/// A demonstration of a prompt.
#[derive(Debug)]
pub(crate) struct DemonstrationView {
    pub(crate) text: String,
    pub(crate) label: String,
}

impl Block {
    /// A paragraph.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    /// A remark.
    pub(crate) fn note(text: impl Into<String>) -> Self {
        Self::Note { text: text.into() }
    }
}

impl Figure {
    /// A drawing of half the page's width.
    pub(crate) fn new(svg: String, caption: impl Into<String>, table: DataTable) -> Self {
        Self { svg, caption: caption.into(), table, wide: false }
    }
}

impl DataTable {
    /// A table whose first column is of names and whose others are as told: a name that begins with `#` is a column of
    /// numbers.
    pub(crate) fn new(caption: impl Into<String>, columns: &[&str]) -> Self {
        let column = |name: &&str| Column {
            name: name.strip_prefix('#').unwrap_or(name).to_owned(),
            is_number: name.starts_with('#'),
        };
        Self { caption: caption.into(), columns: columns.iter().map(column).collect(), rows: Vec::new() }
    }

    /// One more row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

/// Values for the templates, which escape every text but SVG.
impl Section {
    pub(crate) fn value(&self) -> Value {
        let blocks: Vec<Value> = self.blocks.iter().map(Block::value).collect();
        context! { id => self.id, title => &self.title, blocks }
    }
}

impl Block {
    fn value(&self) -> Value {
        match self {
            Self::Heading { text } => context! { kind => "heading", text },
            Self::Text { text } => context! { kind => "text", text },
            Self::Note { text } => context! { kind => "note", text },
            Self::Tiles { tiles } => {
                let tile = |tile: &Tile| {
                    let Tile { name, value, note } = tile;
                    context! { name, value, note }
                };
                context! { kind => "tiles", tiles => tiles.iter().map(tile).collect::<Value>() }
            }
            Self::Figure { figure } => {
                let Figure { svg, caption, table, wide } = figure;
                let svg = Value::from_safe_string(svg.clone());
                let table = table.value();
                context! { kind => "figure", svg, caption, table, wide }
            }
            Self::Grid { cells } => {
                let cell = |blocks: &Vec<Block>| blocks.iter().map(Block::value).collect::<Value>();
                context! { kind => "grid", cells => cells.iter().map(cell).collect::<Value>() }
            }
            Self::Table { table } => context! { kind => "table", table => table.value() },
            Self::Facts { rows } => context! { kind => "facts", rows => pairs(rows) },
            Self::Errors { errors } => {
                context! { kind => "errors", errors => errors.iter().map(ErrorView::value).collect::<Value>() }
            }
            Self::Links { links } => {
                let link = |Link { href, text }: &Link| context! { href, text };
                context! { kind => "links", links => links.iter().map(link).collect::<Value>() }
            }
        }
    }
}

impl DataTable {
    fn value(&self) -> Value {
        let column = |Column { name, is_number }: &Column| context! { name, is_number };
        let columns: Value = self.columns.iter().map(column).collect();
        let rows: Value = self.rows.iter().map(|row| row.iter().collect::<Value>()).collect();
        context! { caption => &self.caption, columns, rows }
    }
}

impl ErrorView {
    fn value(&self) -> Value {
        let turn = |one: &TurnView| {
            let TurnView { speaker, text, label, is_asked } = one;
            context! { speaker, text, label, is_asked }
        };
        let demonstration = |DemonstrationView { text, label }: &DemonstrationView| context! { text, label };
        let Self { id, truth, answer, confidence, left_out, system, user, .. } = self;
        let turns: Value = self.turns.iter().map(turn).collect();
        let demonstrations: Value = self.demonstrations.iter().map(demonstration).collect();
        let (likeliest, knowledge) = (pairs(&self.likeliest), pairs(&self.knowledge));
        context! {
            id, truth, answer, confidence, likeliest, turns, left_out, system, user, demonstrations, knowledge
        }
    }
}

fn pairs(pairs: &[(String, String)]) -> Value {
    pairs.iter().map(|(name, text)| Value::from([Value::from(name), Value::from(text)])).collect()
}
