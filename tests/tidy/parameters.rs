//! Tuples as parameters of functions.
//!
//! A tuple hides a parameter list that is too long, and its parts have no names where the function is called. The
//! answer is a struct, a method of what has the data, or a function that needs less.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::expect_none;
use crate::modules::Modules;
use crate::rust_source::line;
use crate::tree::crates;

/// A function with a parameter that is a tuple.
struct Offence {
    function: String,
    /// The byte offset of its name.
    at: usize,
}

/// The functions of `tokens` that take a tuple, or a reference to one.
fn offences(tokens: TokenStream) -> Vec<Offence> {
    let mut found = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) => found.extend(offences(group.stream())),
            TokenTree::Ident(word) if word == "fn" => {
                let Some(TokenTree::Ident(name)) = tokens.peek().cloned() else { continue };
                if parameters(&mut tokens).is_some_and(|list| list.iter().any(|one| is_tuple(one))) {
                    found.push(Offence { function: name.to_string(), at: name.span().byte_range().start });
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    found
}

/// Follows the angle brackets that are open; the `>` of an arrow closes none.
#[derive(Default)]
struct Angles {
    depth: usize,
    after_dash: bool,
}

impl Angles {
    fn pass(&mut self, token: &TokenTree) {
        let mark = if let TokenTree::Punct(mark) = token { mark.as_char() } else { ' ' };
        match mark {
            '<' => self.depth += 1,
            '>' if !self.after_dash => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.after_dash = mark == '-';
    }
}

/// The parameters of the function whose name is next: the first parentheses outside of its generics, taken apart.
fn parameters(tokens: &mut impl Iterator<Item = TokenTree>) -> Option<Vec<Vec<TokenTree>>> {
    let mut angles = Angles::default();
    let list = tokens.find_map(|token| {
        angles.pass(&token);
        let TokenTree::Group(group) = token else { return None };
        (angles.depth == 0).then(|| group.stream())
    });
    list.map(parts)
}

/// What commas separate, without a comma at the end.
fn parts(list: TokenStream) -> Vec<Vec<TokenTree>> {
    let (mut parts, mut angles) = (vec![Vec::new()], Angles::default());
    for token in list {
        angles.pass(&token);
        if angles.depth == 0 && is_mark(&token, ',') {
            parts.push(Vec::new());
        } else {
            parts.last_mut().expect("there is a first part").push(token);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Whether the pattern or the type of a parameter is a tuple.
fn is_tuple(parameter: &[TokenTree]) -> bool {
    let colon = parameter.iter().position(|token| is_mark(token, ':'));
    let type_at = colon.map_or(parameter.len(), |at| at + 1);
    [0, type_at].into_iter().any(|start| match behind_references(&parameter[start..]) {
        Some(TokenTree::Group(group)) => {
            group.delimiter() == Delimiter::Parenthesis && parts(group.stream()).len() > 1
        }
        _ => false,
    })
}

/// The first token that is not of `&`, `mut` or a lifetime.
fn behind_references(tokens: &[TokenTree]) -> Option<&TokenTree> {
    let mut rest = tokens.iter();
    loop {
        let token = rest.next()?;
        if is_mark(token, '\'') {
            // The name of the lifetime.
            rest.next();
        } else if !is_mark(token, '&') && token.to_string() != "mut" {
            return Some(token);
        }
    }
}

fn is_mark(token: &TokenTree, mark: char) -> bool {
    if let TokenTree::Punct(found) = token { found.as_char() == mark } else { false }
}

#[test]
fn no_function_takes_a_tuple_of_arguments() {
    let mut violations = Vec::new();
    for (file, source) in crates().iter().flat_map(|folder| Modules::of(folder).shipped) {
        for offence in offences(source.code.parse().expect("shipped code consists of tokens")) {
            let line = line(&source.code, offence.at);
            violations.push(format!("{}:{line}: {}", file.display(), offence.function));
        }
    }
    expect_none("no function takes a tuple of arguments", &violations);
}

#[test]
fn tuples_are_seen_wherever_they_hide() {
    let names = |text: &str| -> Vec<String> {
        let found = offences(text.parse().expect("tokens"));
        found.into_iter().map(|offence| offence.function).collect()
    };
    let tuples = "fn a((x, y): (f64, f64)) {} mod m { impl A { fn b(&self, &(x, y): &(u8, u8)) {} } }
        fn c<'a, F: Fn(u8) -> u8>(f: F, pair: &'a mut (u8, u8),) where F: Copy {}";
    assert_eq!(names(tuples), ["a", "b", "c"]);
    let others = "fn d<F: Fn((u8, u8))>(f: F, g: &dyn Fn(u8, u8), pairs: &[(u8, u8)], Point { x, y }: Point) -> (u8, u8) {}
        fn e(cause: &(dyn Error + 'static), map: BTreeMap<u8, (u8, u8)>) { let f = |(a, b): (u8, u8)| a + b; }
        type G = fn((u8, u8));";
    assert!(names(others).is_empty(), "{:?}", names(others));
}
