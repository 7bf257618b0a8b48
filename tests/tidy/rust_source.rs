//! Rust source as the checks see it: without comments and texts, and without what only tests compile.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use proc_macro2::{Span, TokenStream, TokenTree};

use crate::tree::read;

/// A source file taken apart.
#[derive(Clone, Debug)]
pub(crate) struct RustSource {
    /// The code, with comments and texts blanked; lines and offsets are those of the file.
    pub(crate) code: String,
    /// String literals as written, escapes and all, with their place in `code`.
    pub(crate) strings: Vec<(usize, String)>,
}

impl RustSource {
    /// The source of a file of the repository, taken apart once for all checks.
    pub(crate) fn of(file: &Path) -> Self {
        static SOURCES: Mutex<BTreeMap<PathBuf, RustSource>> = Mutex::new(BTreeMap::new());
        let mut sources = SOURCES.lock().unwrap_or_else(PoisonError::into_inner);
        sources.entry(file.to_owned()).or_insert_with(|| Self::new(&read(file))).clone()
    }

    /// Takes `text` apart.
    ///
    /// # Panics
    /// If it is not Rust.
    pub(crate) fn new(text: &str) -> Self {
        let tokens: TokenStream = text.parse().expect("a source file consists of Rust tokens");
        let blank = text.bytes().map(|byte| if byte == b'\n' { byte } else { b' ' }).collect();
        let mut copy = Copy { text, code: blank, strings: Vec::new() };
        copy.tokens(tokens);
        Self { code: String::from_utf8(copy.code).expect("tokens are copied whole"), strings: copy.strings }
    }

    /// The source without the items under `#[cfg(test)]`, and the code of those items. Lines are those of the file.
    pub(crate) fn split_tests(self) -> (Self, String) {
        const MARK: &str = "#[cfg(test)]";
        let Self { code, strings } = self;
        let (mut shipped, mut tests) = (String::new(), String::new());
        let mut kept = Vec::new();
        while let Some(at) = code[shipped.len()..].find(MARK) {
            let start = shipped.len() + at;
            let end = start + MARK.len() + item_length(&code[start + MARK.len()..]);
            kept.push(shipped.len()..start);
            shipped.push_str(&code[shipped.len()..start]);
            shipped.extend(code[start..end].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
            tests.push_str(&code[start..end]);
        }
        kept.push(shipped.len()..code.len() + 1);
        shipped.push_str(&code[shipped.len()..]);
        let outside = |at: usize| kept.iter().any(|range| range.contains(&at));
        let strings = strings.into_iter().filter(|(at, _)| outside(*at)).collect();
        (Self { code: shipped, strings }, tests)
    }
}

/// The blanked text of a source file, into which its code is copied token by token.
struct Copy<'t> {
    text: &'t str,
    code: Vec<u8>,
    strings: Vec<(usize, String)>,
}

impl Copy<'_> {
    fn tokens(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => {
                    if self.token(group.span_open()) {
                        self.tokens(group.stream());
                        self.token(group.span_close());
                    }
                }
                TokenTree::Literal(literal) => self.literal(literal.span()),
                TokenTree::Ident(_) | TokenTree::Punct(_) => _ = self.token(token.span()),
            }
        }
    }

    /// Copies a token; `false` for a doc comment, which is an attribute whose tokens all have the comment's span.
    fn token(&mut self, span: Span) -> bool {
        let range = span.byte_range();
        let is_code = !["//", "/*"].iter().any(|mark| self.text[range.start..].starts_with(mark));
        if is_code {
            self.code[range.clone()].copy_from_slice(&self.text.as_bytes()[range]);
        }
        is_code
    }

    fn literal(&mut self, span: Span) {
        let range = span.byte_range();
        let written = &self.text[range.clone()];
        match (written.find('"'), written.rfind('"')) {
            _ if written.trim_start_matches('b').starts_with('\'') => {}
            (Some(open), Some(close)) => {
                self.strings.push((range.start, written[open + 1..close].to_owned()));
            }
            _ => _ = self.token(span),
        }
    }
}

/// Where `word` occurs in `code` as a whole word, as byte offsets.
pub(crate) fn words<'c>(code: &'c str, word: &'c str) -> impl Iterator<Item = usize> + 'c {
    let part_of_word = |c: char| c == '_' || c.is_alphanumeric();
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let starts = word.starts_with(part_of_word) && code[..at].ends_with(part_of_word);
        let ends = word.ends_with(part_of_word) && code[at + word.len()..].starts_with(part_of_word);
        !starts && !ends
    })
}

/// The trees of all `use` lines, and whether they are public.
pub(crate) fn uses(code: &str) -> impl Iterator<Item = (bool, &str)> {
    words(code, "use").filter_map(|at| {
        let tree = &code[at + "use".len()..];
        let before = code[..at].trim_end();
        Some((before.ends_with("pub") || before.ends_with(')'), tree[..tree.find(';')?].trim()))
    })
}

/// The paths of a tree: `a::{b, c::d}` has `a::b` and `a::c::d`.
pub(crate) fn leaves(tree: &str) -> Vec<String> {
    let Some((stem, branches)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or(tree);
        return vec![path.trim().to_owned()];
    };
    let branches = branches.trim_end().strip_suffix('}').unwrap_or(branches);
    let mut depth = 0;
    let branches = branches.split(|c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    let whole = branches.filter(|branch| !branch.trim().is_empty());
    whole.flat_map(|branch| leaves(&format!("{}{}", stem.trim(), branch.trim()))).collect()
}

/// The line of a byte offset, counted from 1.
pub(crate) fn line(code: &str, offset: usize) -> usize {
    code[..offset].matches('\n').count() + 1
}

/// The length of the brackets at the start of `code` with their contents; all of `code` if they are not closed.
pub(crate) fn bracketed(code: &str) -> usize {
    let mut depth = 0usize;
    for (at, character) in code.char_indices() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + character.len_utf8();
        }
    }
    code.len()
}

/// The length of what an attribute at the start of `code` belongs to: an item, to its semicolon or the end of its
/// braces; a variant, field or match arm, to its comma or the end of what it is in.
fn item_length(code: &str) -> usize {
    let (mut at, mut generics) = (0, 0usize);
    while let Some(character) = code[at..].chars().next() {
        let is_arrow = code[..at].ends_with(['-', '=']);
        match character {
            ';' => return at + 1,
            ',' if generics == 0 => return at + 1,
            ')' | ']' | '}' => return at,
            '{' => return at + bracketed(&code[at..]),
            '(' | '[' => at += bracketed(&code[at..]),
            '<' => (at, generics) = (at + 1, generics + 1),
            '>' if !is_arrow => (at, generics) = (at + 1, generics.saturating_sub(1)),
            _ => at += character.len_utf8(),
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_kept() {
        let source = RustSource::new(concat!(
            "let a = \"x // \\\" y\"; // one \"two\"\n",
            "/* a /* b */ \"c\" */ let b = r#\"raw \"text\"\"#;\n",
            "let (c, d): (char, &'static str) = ('\"', b\"e\");\n",
            "fn for_each<'a>(r: &'a str) -> char { '\\'' }\n",
        ));
        let strings: Vec<&str> = source.strings.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(strings, ["x // \\\" y", "raw \"text\"", "e"]);
        let lines: Vec<&str> = source.code.lines().map(str::trim_end).collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[0].starts_with("let a =") && lines[0].ends_with(';'), "{}", lines[0]);
        assert_eq!(lines[1].trim_start(), format!("let b = {};", " ".repeat(15)));
        assert_eq!(lines[2], "let (c, d): (char, &'static str) = (   ,     );");
        assert_eq!(lines[3], "fn for_each<'a>(r: &'a str) -> char {      }");
    }

    #[test]
    fn test_items_are_set_apart() {
        let text = concat!(
            "fn a() -> &str { \"kept\" }\n#[cfg(test)]\nmod fixture;\n",
            "#[cfg(test)]\n#[allow(x)]\nmod tests {\n fn b() -> &str { \"left\" }\n}\nfn c() {}\n",
        );
        let (shipped, tests) = RustSource::new(text).split_tests();
        let words: Vec<&str> = shipped.code.split_whitespace().collect();
        assert_eq!(words, ["fn", "a()", "->", "&str", "{", "}", "fn", "c()", "{}"]);
        assert_eq!(shipped.code.lines().count(), text.lines().count());
        assert_eq!(shipped.strings.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["kept"]);
        assert!(tests.contains("mod fixture;") && tests.contains("fn b()"));
    }

    #[test]
    fn a_variant_or_an_arm_ends_at_its_comma() {
        for (text, length) in [
            (" A(&'a [f32]), B }", 14),
            (" A(b) => c(d[e..(f) * g]), }", 26),
            (" A(b) => c }", 11),
            (" fn a<B, C>(d: B) -> C { e } f", 28),
            (" use a::b; c", 10),
        ] {
            assert_eq!(item_length(text), length, "{text}");
        }
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(words("env::var my_env::var env::vars", "env::var").collect::<Vec<_>>(), [0]);
        assert_eq!(words("println!(), eprintln!()", "println!").collect::<Vec<_>>(), [0]);
        assert_eq!(bracketed("(a[b]{c})d"), 9);
    }
}
