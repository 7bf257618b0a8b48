//! `[retrieval]`: what it refuses and how it is resolved.

use emotrain_recipe::{DemonstrationOrder, Exclude};
use expect_test::expect;

use crate::check;

#[test]
fn demonstrations_for_plain_text() {
    check(
        r#"
[data]
train = "book.txt"
format = "text"
[retrieval]
bank = "bank"
encoder = ""
[train]
completion_only_loss = false
[eval]
load_best_model_at_end = false
"#,
        expect![[r#"
            erc.toml:5:8: format = "text" has no utterances to find demonstrations for
              hint: write bank = "" under [retrieval]
            erc.toml:6:11: retrieval.encoder is blank
              hint: write encoder = "auto"
        "#]],
    );
}

#[test]
fn an_index_of_words() {
    check(
        r#"
[retrieval]
encoder = "lexical"
index = "hnsw"
"#,
        expect![[r#"
            erc.toml:3:9: index = "hnsw" needs vectors; lexical search has none
              hint: write index = "exact", or the encoder of the bank's vectors
        "#]],
    );
}

#[test]
fn demonstrations_of_a_sound_recipe() {
    let recipe = crate::good("[retrieval]\nbank = \"bank\"\nencoder = \"lexical\"\nmin_score = 0\nk = 5");
    let retrieval = recipe.retrieval;
    assert_eq!(retrieval.bank.as_deref(), Some("bank".as_ref()));
    assert_eq!((retrieval.dataset_name, retrieval.k, retrieval.encoder.as_str()), (None, 5, "lexical"));
}

#[test]
fn demonstrations_without_a_word_about_them() {
    let retrieval = crate::good("").retrieval;
    assert_eq!((retrieval.bank, retrieval.k), (None, 3));
    assert_eq!(
        (retrieval.exclude, retrieval.order),
        (Exclude::Dialogue, DemonstrationOrder::MostSimilarFirst)
    );
}

#[test]
fn demonstrations_out_of_range() {
    check(
        r#"
[retrieval]
bank = "bank"
k = 0
min_score = 1.5
exclude = "speaker"
order = "ascending"
top_k = 3
"#,
        expect![[r#"
            erc.toml:3:5: retrieval.k must be a whole number from 1 to 1000, not 0
            erc.toml:4:13: retrieval.min_score must be a number from -1 to 1, not 1.5
            erc.toml:5:11: retrieval.exclude must be "utterance" or "dialogue", not "speaker"
            erc.toml:6:9: retrieval.order must be "most_similar_first" or "most_similar_last", not "ascending"
              hint: did you mean "most_similar_last"?
            erc.toml:7:1: "top_k" is another tool's name for retrieval.k
              hint: write k = 3
        "#]],
    );
}
