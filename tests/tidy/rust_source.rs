//! Rust source as the checks see it: without comments and texts, and without what only tests compile.

/// A source file taken apart.
#[derive(Debug)]
pub(crate) struct RustSource {
    /// The code, with comments and the content of literals blanked; lines stay where they were.
    pub(crate) code: String,
    /// String literals as written, escapes and all, with their place in `code`.
    pub(crate) strings: Vec<(usize, String)>,
}

impl RustSource {
    /// Takes `text` apart.
    pub(crate) fn new(text: &str) -> Self {
        let mut source = Self { code: String::new(), strings: Vec::new() };
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let inside_word = source.code.ends_with(|last: char| last == '_' || last.is_alphanumeric());
            let length = source.take(rest, inside_word).unwrap_or_else(|| {
                source.code.push(first);
                first.len_utf8()
            });
            rest = &rest[length..];
        }
        source
    }

    /// Blanks the comment or literal that `rest` begins with and returns its length; `None` if it begins with code.
    fn take(&mut self, rest: &str, inside_word: bool) -> Option<usize> {
        if rest.starts_with("//") {
            return Some(self.blank(&rest[..rest.find('\n').unwrap_or(rest.len())]));
        }
        if rest.starts_with("/*") {
            return Some(self.blank(&rest[..block_comment(rest)]));
        }
        if let Some((open, hashes)) = raw_string(rest).filter(|_| !inside_word) {
            let close = format!("\"{}", "#".repeat(hashes));
            let content = rest[open..].find(&close).unwrap_or(rest.len() - open - close.len());
            self.strings.push((self.code.len(), rest[open..open + content].to_owned()));
            return Some(self.blank(&rest[..open + content + close.len()]));
        }
        if let Some(content) = rest.strip_prefix('"') {
            let end = string_end(content);
            self.strings.push((self.code.len(), content[..end].to_owned()));
            return Some(self.blank(&rest[..(end + 2).min(rest.len())]));
        }
        let length = character(rest)?;
        Some(self.blank(&rest[..length]))
    }

    fn blank(&mut self, skipped: &str) -> usize {
        self.code.extend(skipped.chars().map(|c| if c == '\n' { c } else { ' ' }));
        skipped.len()
    }

    /// The source without the items under `#[cfg(test)]`, and the code of those items. Lines stay where they were.
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

/// Where `word` stands in `code` as a whole word, as byte offsets.
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

/// The length of what stands in brackets at the start of `code`, brackets included; all of it if none closes.
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

/// The length of the item at the start of `code`: to its semicolon, or to the end of its braces.
fn item_length(code: &str) -> usize {
    let mut at = 0;
    while let Some(character) = code[at..].chars().next() {
        match character {
            ';' => return at + 1,
            '{' => return at + bracketed(&code[at..]),
            '(' | '[' => at += bracketed(&code[at..]),
            _ => at += character.len_utf8(),
        }
    }
    at
}

/// The length of a block comment, which may hold others.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < rest.len() {
        let here = &rest[at..];
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of `r"`, `br##"` and the like, and the number of their hashes.
fn raw_string(rest: &str) -> Option<(usize, usize)> {
    let marked = rest.trim_start_matches(['b', 'c']).strip_prefix('r')?;
    let hashes = marked.len() - marked.trim_start_matches('#').len();
    let open = rest.len() - marked.len() + hashes;
    (open - hashes <= 2 && rest[open..].starts_with('"')).then_some((open + 1, hashes))
}

/// Where a string whose opening quote is gone ends.
fn string_end(content: &str) -> usize {
    let mut escaped = false;
    for (at, character) in content.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at,
            _ => {}
        }
    }
    content.len()
}

/// The length of a character literal; `None` for a lifetime and for anything else.
fn character(rest: &str) -> Option<usize> {
    let content = rest.strip_prefix('\'')?;
    if let Some(escape) = content.strip_prefix('\\') {
        let after = escape.chars().next().map_or(0, char::len_utf8);
        return Some("'\\".len() + after + escape[after..].find('\'')? + 1);
    }
    let length = content.chars().next()?.len_utf8();
    content[length..].starts_with('\'').then_some(length + 2)
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
        assert_eq!(lines[2], "let (c, d): (char, &'static str) = (   , b   );");
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
    fn words_are_whole() {
        assert_eq!(words("env::var my_env::var env::vars", "env::var").collect::<Vec<_>>(), [0]);
        assert_eq!(words("println!(), eprintln!()", "println!").collect::<Vec<_>>(), [0]);
        assert_eq!(bracketed("(a[b]{c})d"), 9);
    }
}
