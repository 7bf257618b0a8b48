use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::fixture::tokenizer_json;
use crate::tokenizer::load;

/// Merges across all kinds of boundaries, in byte-level characters: Ċ is the line feed, Ġ the blank.
const MERGES: [(&str, &str); 10] = [
    ("Ċ", "Ċ"),
    (".", "Ċ"),
    (".Ċ", "Ċ"),
    ("Ċ", "a"),
    ("Ġ", "Ċ"),
    ("Ġ", "a"),
    ("a", "b"),
    ("b", "Ċ"),
    ("Ċ", "<"),
    ("b", "Ġ"),
];

fn byte_level(use_regex: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex})
}

fn split(pattern: &str) -> Value {
    json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false})
}

fn sequence(first: &Value, use_regex: bool) -> Value {
    json!({"type": "Sequence", "pretokenizers": [first, byte_level(use_regex)]})
}

/// Every pre-tokenizer that the cache supports.
fn pre_tokenizers() -> Vec<Value> {
    let digits = json!({"type": "Digits", "individual_digits": true});
    let mut all = vec![byte_level(true), sequence(&digits, true)];
    all.extend(PATTERNS.map(|pattern| sequence(&split(pattern), false)));
    all
}

fn with(pre_tokenizer: &Value, edit: impl Fn(&mut Value)) -> (Option<Words>, Tokenizer) {
    let mut json: Value = serde_json::from_str(&tokenizer_json(&MERGES)).unwrap();
    json["pre_tokenizer"] = pre_tokenizer.clone();
    edit(&mut json);
    let tokenizer = load(&json.to_string()).unwrap();
    (Words::of(&json.to_string(), &tokenizer), tokenizer)
}

fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    tokenizer.encode_fast(text, false).unwrap().get_ids().to_vec()
}

/// Every kind of tokenizer that the cache supports.
fn kinds() -> Vec<(Words, Tokenizer)> {
    let normalizers = [Value::Null, json!({"type": "NFC"})];
    let kinds = pre_tokenizers().into_iter().flat_map(|pre_tokenizer| {
        normalizers
            .clone()
            .map(|normalizer| with(&pre_tokenizer, |json| json["normalizer"] = normalizer.clone()))
    });
    kinds.map(|(words, tokenizer)| (words.expect("words are encoded alone"), tokenizer)).collect()
}

#[test]
fn words_encode_as_the_whole_text_does() {
    let kinds = kinds();
    let words = prop::sample::select(vec![
        "a", "ab", "b", ".", "..", "7", " ", "  ", "\n", "\n\n", "\r\n", "\r", "\t", "'s", "<", "<|end|>",
        "<s>", "é", "e\u{301}", "\u{301}", "\u{a0}", "\u{2028}", "\u{85}", "😮", "/",
    ]);
    proptest!(ProptestConfig::with_cases(2000), |(words in prop::collection::vec(words, 0..24))| {
        let text = words.concat();
        for (words, tokenizer) in &kinds {
            let encode = |word: &str| Ok::<_, ()>(ids(tokenizer, word));
            prop_assert_eq!(words.encode(&text, encode).unwrap(), ids(tokenizer, &text), "{:?}", text);
        }
    });
}

#[test]
fn a_word_is_encoded_once() {
    let (words, tokenizer) = with(&byte_level(true), |_| ());
    let words = words.unwrap();
    let seen = std::cell::RefCell::new(Vec::new());
    let encode = |word: &str| {
        seen.borrow_mut().push(word.to_owned());
        Ok::<_, ()>(ids(&tokenizer, word))
    };
    words.encode("one two\nthree  four\n\nfive", encode).unwrap();
    words.encode("zero two\nthree  four\n\nfive", encode).unwrap();
    assert_eq!(*seen.borrow(), ["one", " two\n", "three", "  four\n\nfive", "zero"]);
}

#[test]
fn texts_stay_whole_if_a_token_may_cross_a_split() {
    let unfit = |edit: fn(&mut Value)| assert!(with(&byte_level(true), edit).0.is_none());
    unfit(|json| json["pre_tokenizer"] = byte_level(false));
    unfit(|json| json["pre_tokenizer"]["add_prefix_space"] = json!(true));
    unfit(|json| json["pre_tokenizer"] = sequence(&split(r"\w+"), false));
    unfit(|json| json["pre_tokenizer"] = Value::Null);
    unfit(|json| json["normalizer"] = json!({"type": "Prepend", "prepend": "_"}));
    unfit(|json| json["added_tokens"][0]["lstrip"] = json!(true));
    unfit(|json| json["added_tokens"][0]["rstrip"] = json!(true));
    unfit(|json| json["model"]["dropout"] = json!(0.1));
}

#[test]
fn a_full_shard_is_cleared() {
    let words = Words::default();
    for number in 0..200_000_u32 {
        assert_eq!(words.encode(&number.to_string(), |_| Ok::<_, ()>(vec![number])), Ok(vec![number]));
    }
    let kept: usize = words.shards.iter().map(|shard| shard.lock().unwrap().len()).sum();
    assert!(kept > 0 && kept <= SHARDS * WORDS, "{kept}");
}
