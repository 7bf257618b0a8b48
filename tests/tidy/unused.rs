//! Public items that only tests use.
//!
//! Names are compared, not what they refer to: an item counts as used if its name is anywhere in shipped code but where
//! an item of that name is defined, implemented or re-exported; a method has to be called or named behind `::`. That
//! overlooks some items, and reports none wrongly.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::expect_none;
use crate::modules::Modules;
use crate::rust_source::{RustSource, line};
use crate::tree::crates;

/// Public items that no shipped code uses, each with the reason why it stays.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("compiled", "tests ask which back ends there are, since they may not ask for features themselves"),
    ("float_type", "tests of what is written ask for the type of a tensor in a file"),
    ("write_gguf", "the export of models is being put together"),
    ("write_gguf_lora", "the export of adapters is being put together"),
    ("unstack", "the decoder is compared with gradients by the modules of its checkpoint"),
];

/// Words before the name of an item.
const KINDS: [&str; 7] = ["fn", "struct", "enum", "trait", "type", "const", "static"];
/// Words that may be between `pub` and these.
const MODIFIERS: [&str; 3] = ["const", "unsafe", "async"];

/// What a file defines and names.
#[derive(Default)]
struct Names {
    /// Public items, with the byte offset of their names and whether they are in an `impl`.
    public: BTreeMap<String, (usize, bool)>,
    /// Names in any other place than where an item is defined, implemented or re-exported.
    used: BTreeSet<String>,
    /// Those of them that may name a method or associated constant: `.name(`, `.name::<` and `::name`.
    associated: BTreeSet<String>,
}

impl Names {
    fn of(source: &RustSource) -> Self {
        let mut names = Self::default();
        names.read(source.code.parse().expect("shipped code consists of tokens"), false);
        // The arguments in the text of a format: `{count}`, `{WIDTH:>8}`.
        let arguments = source.strings.iter().flat_map(|(_, text)| text.split('{').skip(1));
        names.used.extend(arguments.map(|rest| {
            rest.chars().take_while(|letter| *letter == '_' || letter.is_alphanumeric()).collect()
        }));
        names
    }

    fn read(&mut self, tokens: TokenStream, in_impl: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let (mut at, mut is_header) = (0, false);
        while at < tokens.len() {
            at += match &tokens[at] {
                TokenTree::Group(group) => {
                    self.read(group.stream(), is_header && group.delimiter() == Delimiter::Brace);
                    is_header &= group.delimiter() != Delimiter::Brace;
                    1
                }
                TokenTree::Ident(word) if word == "impl" => {
                    // An argument may be an `impl`, too; no braces follow it in its group.
                    is_header = true;
                    implementation(&tokens[at..])
                }
                TokenTree::Ident(word) if word == "pub" && is_word(tokens.get(at + 1), "use") => {
                    tokens[at..].iter().take_while(|token| !is_mark(token, ';')).count()
                }
                TokenTree::Ident(word) if KINDS.iter().any(|kind| word == kind) => {
                    self.definition(&tokens, at, in_impl)
                }
                TokenTree::Ident(word) => {
                    let is_after = |mark| at > 0 && is_mark(&tokens[at - 1], mark);
                    let is_before = tokens
                        .get(at + 1)
                        .is_some_and(|token| is_mark(token, ':') || matches!(token, TokenTree::Group(_)));
                    if is_after(':') || is_after('.') && is_before {
                        self.associated.insert(word.to_string());
                    }
                    self.used.insert(word.to_string());
                    1
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => 1,
            };
        }
    }

    /// The word of an item; the name behind it is defined, not used.
    fn definition(&mut self, tokens: &[TokenTree], at: usize, in_impl: bool) -> usize {
        let Some(TokenTree::Ident(name)) = tokens.get(at + 1) else { return 1 };
        if KINDS.iter().any(|kind| name == kind) {
            return 1;
        }
        let is_modifier = |token: &TokenTree| MODIFIERS.iter().any(|word| is_word(Some(token), word));
        let before = tokens[..at].iter().rev().find(|token| !is_modifier(token));
        if is_word(before, "pub") {
            self.public.insert(name.to_string(), (name.span().byte_range().start, in_impl));
        }
        2
    }
}

/// The length of `impl Name`: to have methods is no use of a type. An implemented trait counts as used.
fn implementation(tokens: &[TokenTree]) -> usize {
    let is_of_trait = is_word(tokens.get(2), "for");
    if matches!(tokens.get(1), Some(TokenTree::Ident(_))) && !is_of_trait { 2 } else { 1 }
}

fn is_word(token: Option<&TokenTree>, word: &str) -> bool {
    if let Some(TokenTree::Ident(found)) = token { found == word } else { false }
}

fn is_mark(token: &TokenTree, mark: char) -> bool {
    if let TokenTree::Punct(found) = token { found.as_char() == mark } else { false }
}

#[test]
fn no_public_item_is_used_by_tests_alone() {
    let sources = crates().into_iter().flat_map(|folder| Modules::of(&folder).shipped);
    let files: Vec<_> = sources
        .map(|(file, source)| {
            let names = Names::of(&source);
            (file, source, names)
        })
        .collect();
    let used: BTreeSet<&String> = files.iter().flat_map(|(_, _, names)| &names.used).collect();
    let associated: BTreeSet<&String> = files.iter().flat_map(|(_, _, names)| &names.associated).collect();
    let mut excepted: BTreeSet<&str> = EXCEPTIONS.iter().map(|(name, _)| *name).collect();
    let mut violations = Vec::new();
    for (file, source, names) in &files {
        for (name, (at, in_impl)) in &names.public {
            let is_used = if *in_impl { associated.contains(name) } else { used.contains(name) };
            if !is_used && !excepted.remove(name.as_str()) {
                violations.push(format!("{}:{}: {name}", file.display(), line(&source.code, *at)));
            }
        }
    }
    violations.extend(excepted.iter().map(|name| format!("{name} is an exception no longer")));
    expect_none("every public item is used by shipped code", &violations);
}

#[test]
fn a_name_is_used_where_it_is_neither_defined_nor_passed_on() {
    let source = RustSource::new(concat!(
        "pub use a::B; use c::D; pub struct E; impl E { pub const fn f(&self) -> G { h.m.q() } }\n",
        "pub(crate) fn i() {} pub const J: usize = K; impl L for M {}\n",
        "fn n() { println!(\"{o} {P:>8}\") }\n",
    ));
    let Names { public, used, associated } = Names::of(&source);
    let public: Vec<(&str, bool)> =
        public.iter().map(|(name, (_, in_impl))| (name.as_str(), *in_impl)).collect();
    assert_eq!(public, [("E", false), ("J", false), ("f", true)]);
    for name in ["D", "G", "h", "K", "L", "M", "o", "P"] {
        assert!(used.contains(name), "{name}");
    }
    for name in ["B", "E", "J", "f", "i", "n"] {
        assert!(!used.contains(name), "{name}");
    }
    assert!(associated.contains("q") && !associated.contains("m"));
}
