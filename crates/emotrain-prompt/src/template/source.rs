//! Positions in a template's source.

use std::ops::Range;

/// One `{{ … }}` or `{% … %}`; comments and raw sections are skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag<'a> {
    pub(crate) kind: TagKind,
    /// The text between the delimiters, without whitespace-control signs and trimmed.
    pub(crate) body: &'a str,
    /// The byte range of the body in the source.
    pub(crate) range: Range<usize>,
    /// Line of the opening delimiter, counted from 1.
    pub(crate) line: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TagKind {
    /// `{{ … }}`
    Expression,
    /// `{% … %}`
    Statement,
}

impl Tag<'_> {
    /// The keyword of a statement, such as `for`.
    pub(crate) fn keyword(&self) -> Option<&str> {
        (self.kind == TagKind::Statement).then(|| self.body.split_whitespace().next()).flatten()
    }

    /// Whether the name is used here, rather than part of a quoted text or an attribute.
    fn uses(&self, name: &str) -> bool {
        let unquoted = without_quotes(self.body);
        unquoted.match_indices(name).any(|(at, _)| {
            let before = unquoted[..at].chars().next_back();
            let after = unquoted[at + name.len()..].chars().next();
            !before.is_some_and(|c| is_word(c) || c == '.') && !after.is_some_and(is_word)
        })
    }
}

/// The tags in the order of the source. An unclosed tag ends the list: the engine will refuse it.
pub(crate) fn tags(source: &str) -> Vec<Tag<'_>> {
    let mut tags = Vec::new();
    let (mut at, mut line, mut counted) = (0, 1, 0);
    while let Some(opening) = source[at..].find('{').map(|offset| at + offset) {
        line += source[counted..opening].bytes().filter(|byte| *byte == b'\n').count();
        counted = opening;
        let mut add = |kind| {
            let (tag, end) = tag(source, opening, kind)?;
            tags.push(Tag { line, ..tag });
            Some(end)
        };
        let closed = match source.as_bytes().get(opening + 1) {
            Some(b'#') => source[opening..].find("#}").map(|length| opening + length + 2),
            Some(b'{') => add(TagKind::Expression),
            Some(b'%') => add(TagKind::Statement),
            _ => Some(opening + 1),
        };
        let Some(closed) = closed else { break };
        at = closed;
        if tags.last().and_then(Tag::keyword) == Some("raw") {
            tags.pop();
            at = end_of_raw(source, at);
        }
    }
    tags
}

/// The line of the first tag that uses `name`.
pub(crate) fn line_of(tags: &[Tag<'_>], name: &str) -> Option<usize> {
    tags.iter().find(|tag| tag.uses(name)).map(|tag| tag.line)
}

/// The line, counted from 1, of a byte.
pub(crate) fn line_at(source: &str, offset: usize) -> usize {
    1 + source[..offset].bytes().filter(|byte| *byte == b'\n').count()
}

/// The tag that opens at `opening`, on the first line, and its end; `None` if it is not closed.
fn tag(source: &str, opening: usize, kind: TagKind) -> Option<(Tag<'_>, usize)> {
    let closing = match kind {
        TagKind::Expression => "}}",
        TagKind::Statement => "%}",
    };
    let inside = opening + 2;
    let length = unquoted_find(&source[inside..], closing)?;
    let full = &source[inside..inside + length];
    let signless = full.strip_prefix(['-', '+']).unwrap_or(full);
    let start = inside + full.len() - signless.len();
    let signless = signless.strip_suffix(['-', '+']).unwrap_or(signless);
    let body = signless.trim();
    let start = start + signless.len() - signless.trim_start().len();
    let tag = Tag { kind, body, range: start..start + body.len(), line: 1 };
    Some((tag, inside + length + closing.len()))
}

fn end_of_raw(source: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(opening) = source[at..].find("{%").map(|offset| at + offset) {
        at = opening + 2;
        let inside = source[at..].trim_start_matches(['-', '+']).trim_start();
        if let Some(after) = inside.strip_prefix("endraw") {
            let end = after.find("%}");
            return end.map_or(source.len(), |length| source.len() - after.len() + length + 2);
        }
    }
    source.len()
}

/// The first position of `needle` outside of quotes.
fn unquoted_find(text: &str, needle: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if character == '\\' => escaped = true,
            Some(open) if character == open => quote = None,
            None if text[at..].starts_with(needle) => return Some(at),
            None if matches!(character, '"' | '\'') => quote = Some(character),
            Some(_) | None => {}
        }
    }
    None
}

/// The text without everything in quotes.
fn without_quotes(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(['"', '\'']) {
        kept.push_str(&rest[..start]);
        kept.push(' ');
        let quote = &rest[start..=start];
        let inside = &rest[start + 1..];
        rest = inside.find(quote).map_or("", |end| &inside[end + 1..]);
    }
    kept.push_str(rest);
    kept
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(source: &str) -> Vec<(usize, &str)> {
        tags(source).into_iter().map(|tag| (tag.line, tag.body)).collect()
    }

    #[test]
    fn tags_come_with_their_lines() {
        let source =
            "a {{ b }}\n{%- if c -%}\n{{ '}}' ~ d }} { e } {# {{ f }} #}\n{% raw %}{{ g }}{% endraw %}{{h}}";
        assert_eq!(bodies(source), [(1, "b"), (2, "if c"), (3, "'}}' ~ d"), (4, "h")]);
        for tag in tags(source) {
            assert_eq!(&source[tag.range.clone()], tag.body);
        }
    }

    #[test]
    fn unclosed_tags_end_the_list() {
        assert_eq!(bodies("{{ a }} {{ b"), [(1, "a")]);
        assert_eq!(bodies("{# a {{ b }}"), []);
        assert_eq!(bodies("{% raw %} {{ b }}"), []);
        assert_eq!(bodies("{"), []);
    }

    #[test]
    fn a_name_is_found_where_it_is_used() {
        let source = "{{ 'speaker' }}\n{{ turn.speaker }}\n{{ speakers }}\n{{ speaker|upper }}";
        assert_eq!(line_of(&tags(source), "speaker"), Some(4));
        assert_eq!(line_of(&tags(source), "utterance"), None);
    }
}
