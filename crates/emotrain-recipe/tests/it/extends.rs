//! Recipes that extend others.

use std::path::{Path, PathBuf};

use emotrain_recipe::{Difficulty, PhaseScheduler, Recipe, RecipeError, load};
use expect_test::{Expect, expect};

use crate::{DATA, MODEL};

/// Loads `rows/own.toml` of a folder with these files.
fn loaded(
    files: &[(&str, &str)],
    overrides: &[&str],
) -> (tempfile::TempDir, PathBuf, Result<Recipe, String>) {
    let folder = tempfile::tempdir().unwrap();
    let home = fs_err::canonicalize(folder.path()).unwrap();
    fs_err::create_dir(home.join("rows")).unwrap();
    for (name, text) in files {
        fs_err::write(home.join(name), text).unwrap();
    }
    let overrides: Vec<_> = overrides.iter().map(ToString::to_string).collect();
    let recipe = load(&home.join("rows/own.toml"), &overrides).map_err(|error| {
        assert!(matches!(error, RecipeError::Problems(_)), "{error}");
        error.to_string().replace(&*home.to_string_lossy(), "HOME")
    });
    (folder, home, recipe)
}

#[track_caller]
fn check(files: &[(&str, &str)], expected: Expect) {
    expected.assert_eq(&loaded(files, &[]).2.unwrap_err());
}

fn base() -> String {
    format!(
        "{MODEL}{DATA}[train]\nseed = 7\nlearning_rate = 1e-3\n[curriculum]\nname = \"wes\"\nnum_buckets = 4\n\
         [[knowledge]]\nname = \"mood\"\npath = \"mood.jsonl\"\nrequired = false\n\
         [[knowledge]]\nname = \"tone\"\npath = \"tone.jsonl\"\n"
    )
}

#[test]
fn a_chain_that_is_too_long_is_told_with_its_last_file() {
    let of_length = |length: usize| {
        let name = |number: usize| format!("rows/b{number}.toml");
        let begin = |number: usize| format!("extends = \"b{number}.toml\"\n[train]\nseed = {number}\n");
        let mut files = vec![("rows/own.toml".to_owned(), begin(1))];
        files.extend((1..length).map(|number| (name(number), begin(number + 1))));
        files.push((name(length), base()));
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (&**name, &**text)).collect();
        loaded(&files, &[]).2
    };
    assert_eq!(of_length(64).unwrap().train.seed, 1);
    for length in [65, 500] {
        expect![[r"
            HOME/rows/b64.toml:1:11: extends: HOME/rows/b65.toml is more than 64 recipes below
              hint: write what several of them have in common in one file"]]
        .assert_eq(&of_length(length).unwrap_err());
    }
}

#[test]
fn a_chain_is_merged_in_order_and_each_path_starts_at_its_file() {
    let middle = "extends = \"base.toml\"\n[train]\nseed = 8\n[[knowledge]]\nname = \"mood\"\nlevel = \"dialogue\"\n[[knowledge]]\nname = \"place\"\npath = \"middle/place.jsonl\"\n";
    let own = "extends = \"../middle.toml\"\n[data]\nvalid = \"own-valid.jsonl\"\n[[knowledge]]\nname = \"tone\"\npath = \"tone.json\"\n";
    let files = [("base.toml", &*base()), ("middle.toml", middle), ("rows/own.toml", own)];
    let (_folder, home, recipe) = loaded(&files, &["train.learning_rate=0.5"]);
    let recipe = recipe.unwrap();
    assert_eq!((recipe.name(), recipe.train.seed), ("own", 8));
    assert_eq!(recipe.train.learning_rate.to_bits(), 0.5f64.to_bits());
    assert_eq!(recipe.data.train, home.join("train.jsonl"));
    assert_eq!(recipe.data.valid, Some(home.join("rows/own-valid.jsonl")));
    assert_eq!(recipe.train.output_dir, Path::new("checkpoints/own"));
    let sources: Vec<_> =
        recipe.knowledge.iter().map(|s| (s.name.as_str(), s.path.clone(), s.level.as_str())).collect();
    assert_eq!(
        sources,
        [
            ("mood", home.join("mood.jsonl"), "dialogue"),
            ("tone", home.join("rows/tone.json"), "utterance"),
            ("place", home.join("middle/place.jsonl"), "utterance"),
        ]
    );
    assert!(!recipe.knowledge[0].required);
    // A saved recipe needs no other.
    fs_err::remove_file(home.join("base.toml")).unwrap();
    let kept = home.join("kept.toml");
    fs_err::write(&kept, recipe.to_toml()).unwrap();
    assert!(!recipe.to_toml().contains("extends"));
    assert_eq!(load(&kept, &[]).unwrap(), recipe);
}

#[test]
fn sources_below_can_be_removed() {
    let files = [("base.toml", &*base()), ("rows/own.toml", "extends = \"../base.toml\"\nknowledge = []\n")];
    assert_eq!(loaded(&files, &[]).2.unwrap().knowledge, []);
}

#[test]
fn a_curriculum_is_merged_right_below_the_recipe_that_selected_it() {
    let curriculum = |own: &str| {
        let own = format!("extends = \"../base.toml\"\n{own}");
        let files = [("base.toml", &*base()), ("rows/own.toml", &own)];
        let section = loaded(&files, &[]).2.unwrap().curriculum;
        (section.name, section.difficulty, section.scheduler, section.num_buckets)
    };
    let (wes, es) = ("wes".to_owned(), "es".to_owned());
    assert_eq!(curriculum(""), (wes.clone(), Difficulty::Wes, PhaseScheduler::BabyStep, 4));
    assert_eq!(
        curriculum("[curriculum]\nnum_buckets = 3"),
        (wes, Difficulty::Wes, PhaseScheduler::BabyStep, 3)
    );
    let chosen = curriculum("[curriculum]\nname = \"es\"");
    assert_eq!((chosen.0, chosen.1, chosen.2), (es, Difficulty::Es, PhaseScheduler::BabyStep));
    assert_eq!(curriculum("[curriculum]\nname = \"none\"").2, PhaseScheduler::None);
}

#[test]
fn problems_are_reported_with_the_right_file_and_line() {
    let wrong = format!(
        "{MODEL}{DATA}[train]\nlearning_rat = 1\nseed = \"x\"\n[lora]\nr = 0\n[[knowledge]]\nname = \"mood\"\n"
    );
    check(
        &[("base.toml", &wrong), ("rows/own.toml", "extends = \"../base.toml\"\n[train]\nsed = 3\n")],
        expect![[r#"
            HOME/rows/own.toml:3:1: unknown key "sed" in [train]
              hint: did you mean "seed"?
            HOME/base.toml:7:1: unknown key "learning_rat" in [train]
              hint: did you mean "learning_rate"?
            HOME/base.toml:8:8: train.seed must be a whole number of at least 0, not "x"
            HOME/base.toml:10:5: lora.r must be a whole number from 1 to 4096, not 0
            HOME/base.toml:11:1: knowledge.mood.path is required
              hint: add path = "…" under that [[knowledge]]"#]],
    );
    check(
        &[("base.toml", "[train\nseed = 1\n"), ("rows/own.toml", "extends = \"../base.toml\"\n")],
        expect![[r#"
            HOME/rows/own.toml:1:11: extends: HOME/base.toml is not a recipe: it has no recipe section (line 1 is not valid TOML)
              hint: name a recipe, or remove the line"#]],
    );
}

#[test]
fn a_contradiction_between_files_is_reported_where_it_was_written() {
    let own = "extends = \"../base.toml\"\n[eval]\nload_best_model_at_end = true\neval_steps = 0\n";
    check(
        &[("base.toml", &base()), ("rows/own.toml", own)],
        expect![[r#"
            HOME/rows/own.toml:3:26: eval.load_best_model_at_end needs several evaluations, and eval_steps = 0 makes one
              hint: write eval_steps = 0.5 or so, or load_best_model_at_end = false"#]],
    );
}

#[test]
fn recipes_that_cannot_be_extended() {
    check(
        &[("rows/own.toml", "extends = \"own.toml\"\n")],
        expect![[r#"
            HOME/rows/own.toml:1:11: a recipe extends itself: HOME/rows/own.toml → HOME/rows/own.toml
              hint: remove one extends"#]],
    );
    check(
        &[("base.toml", "extends = \"rows/own.toml\"\n"), ("rows/own.toml", "extends = \"../base.toml\"\n")],
        expect![[r#"
            HOME/base.toml:1:11: a recipe extends itself: HOME/rows/own.toml → HOME/base.toml → HOME/rows/own.toml
              hint: remove one extends"#]],
    );
    let missing = loaded(&[("rows/own.toml", "extends = \"../bas.toml\"\n")], &[]).2.unwrap_err();
    assert!(
        missing.contains("HOME/rows/own.toml:1:11: extends: ") && missing.contains("HOME/bas.toml"),
        "{missing}"
    );
    check(
        &[("rows/own.toml", "extends = 3\n")],
        expect![[r#"
            HOME/rows/own.toml:1:11: extends must be the path of a recipe
              hint: write extends = "base.toml""#]],
    );
    check(
        &[("rows/own.toml", "extend = \"../base.toml\"\n")],
        expect![[r#"
            HOME/rows/own.toml:1:1: "extend" is outside any section
              hint: did you mean "extends"?
            HOME/rows/own.toml: model.model_name_or_path is required
              hint: add model_name_or_path = "…" under [model]
            HOME/rows/own.toml: data.train is required
              hint: add train = "…" under [data]
            HOME/rows/own.toml: eval.load_best_model_at_end needs data.valid
              hint: add valid = "…" under [data], or write load_best_model_at_end = false under [eval]"#]],
    );
}

#[test]
fn a_file_that_is_not_a_recipe_is_not_quoted() {
    let own = |name: &str| format!("extends = \"../{name}\"\n{MODEL}{DATA}");
    let accounts = "root:$6$hushhush:19000:0:::::\ndaemon:*:19000\n";
    for text in [
        accounts,
        "API_KEY=hushhush\nexport OTHER='hush hush'\n",
        "API_KEY = \"hushhush\"\n",
        "[default]\naws_access_key_id = hushhush\n[other]\nkey = \"hushhush\"\n",
        "[registry]\ntoken = \"hushhush\"\n",
        "{\"token\": \"hushhush\"}\n",
        "token: hushhush\n",
        "-----BEGIN PRIVATE KEY-----\nhushhush=\n-----END PRIVATE KEY-----\n",
        "extends = hushhush\nAPI_KEY=hushhush\n",
        "hushhush",
    ] {
        let error = loaded(&[("secret", text), ("rows/own.toml", &own("secret"))], &[]).2.unwrap_err();
        let message =
            error.replace(" (line 1 is not valid TOML)", "").replace(" (line 2 is not valid TOML)", "");
        let expected = "HOME/rows/own.toml:1:11: extends: HOME/secret is not a recipe: it has no recipe section\n  \
                        hint: name a recipe, or remove the line";
        assert_eq!(message, expected, "{text}");
    }
    // The same within a recipe: lines that are not a recipe's are reported by their places alone.
    let mixed = "API_KEY=hushhush\n[lora]\nr = eight\nAPI_KEY=hushhush\n[other]\nhush hush\n[[knowledge]]\nAPI_KEY=hush\n";
    let files = [("secret", mixed), ("rows/own.toml", &own("secret"))];
    check(
        &files,
        expect![[r#"
            HOME/secret:1:1: "API_KEY" is another tool's name for interpret.api_key_env
              hint: write api_key_env = … under [interpret]; the name of an environment variable, not the key
            HOME/secret:1:9: not valid TOML
            HOME/secret:3:5: the text of r has no quotes
              hint: write r = "eight"
            HOME/secret:4:1: "API_KEY" is another tool's name for interpret.api_key_env
              hint: write api_key_env = … under [interpret]; the name of an environment variable, not the key
            HOME/secret:4:9: not valid TOML
            HOME/secret:5:2: unknown section [other]
              hint: the sections are [model], [quantization], [lora], [data], [prompt], [retrieval], [interpret], [train], [auxiliary], [curriculum], [eval], [save], [logging], [[knowledge]]
            HOME/secret:6:6: not valid TOML"#]],
    );
    // A chain of two, and one without an end.
    let files = [
        ("secret", accounts),
        ("middle.toml", "extends = \"secret\"\n"),
        ("rows/own.toml", &own("middle.toml")),
    ];
    let error = loaded(&files, &[]).2.unwrap_err();
    assert!(error.starts_with("HOME/middle.toml:1:11: extends: ") && !error.contains("hush"), "{error}");
    if cfg!(unix) {
        let error = loaded(&[("rows/own.toml", "extends = \"/dev/zero\"\n")], &[]).2.unwrap_err();
        assert!(error.contains("extends: /dev/zero: is a device, not a file"), "{error}");
    }
    let large = "# large\n".repeat(1 << 18);
    let error = loaded(&[("secret", &large), ("rows/own.toml", &own("secret"))], &[]).2.unwrap_err();
    assert!(error.contains("secret: has"), "{error}");
    let own = format!("{MODEL}{DATA}[curriculum]\nname = \"../other.toml\"\n");
    let error = loaded(&[("other.toml", "[registry]\ntoken = hushhush\n"), ("rows/own.toml", &own)], &[])
        .2
        .unwrap_err();
    assert!(error.contains("other.toml is not a curriculum") && !error.contains("hush"), "{error}");
}
