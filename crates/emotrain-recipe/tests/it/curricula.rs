//! Named curricula and the keys of `[curriculum]`.

use std::path::Path;

use emotrain_recipe::{
    CURRICULA, CurriculumSection, Difficulty, Direction, PhaseScheduler, Recipe, RecipeError, load,
};
use expect_test::{Expect, expect};

use crate::{check, check_overridden, completed, good, recipe, rendered};

fn chosen(snippet: &str, overrides: &[&str]) -> CurriculumSection {
    recipe(snippet, overrides).unwrap_or_else(|problems| panic!("{}", rendered(&problems))).curriculum
}

fn heart(section: &CurriculumSection) -> (Difficulty, Direction, PhaseScheduler) {
    (section.difficulty, section.direction, section.scheduler)
}

const REVERSE: (Difficulty, Direction, PhaseScheduler) =
    (Difficulty::PrcEmo, Direction::HardToEasy, PhaseScheduler::BabyStep);
const WES: (Difficulty, Direction, PhaseScheduler) =
    (Difficulty::Wes, Direction::EasyToHard, PhaseScheduler::BabyStep);

#[test]
fn every_name_loads_and_is_what_a_saved_recipe_loads_as() {
    for name in CURRICULA {
        let more = if *name == "file" { "difficulty_file = \"/d.jsonl\"" } else { "" };
        let text = completed(&format!("[curriculum]\nname = {name:?}\n{more}"));
        let recipe = emotrain_recipe::parse(&text, Path::new("/home/erc.toml"), &[]);
        let recipe = recipe.unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = emotrain_recipe::parse(&recipe.to_toml(), Path::new("/else/where.toml"), &[]).unwrap();
        assert_eq!(again, recipe);
        assert_eq!(again.curriculum.name, *name);
    }
    assert_eq!(good("").curriculum, chosen("[curriculum]\nname = \"none\"", &[]));
    assert_eq!(heart(&chosen("[curriculum]\nname = \"reverse\"", &[])), REVERSE);
}

#[test]
fn single_keys_of_the_recipe_and_of_the_command_line_lie_above() {
    let snippet = "[curriculum]\nname = \"wes\"\nk = 2\ndirection = \"hard_to_easy\"";
    let section = chosen(snippet, &["curriculum.k=3", "curriculum.num_buckets=4"]);
    assert_eq!(heart(&section), (Difficulty::Wes, Direction::HardToEasy, PhaseScheduler::BabyStep));
    assert_eq!((section.k.to_bits(), section.num_buckets), (3.0f64.to_bits(), 4));
}

#[test]
fn a_name_of_the_command_line_lies_above_the_recipe() {
    let prc_emo = good("[curriculum]\nname = \"prc_emo\"\nnum_buckets = 3");
    for text in ["[curriculum]\nname = \"prc_emo\"\nnum_buckets = 3".to_owned(), prc_emo.to_toml()] {
        let section = chosen(&text, &["curriculum.name=reverse"]);
        assert_eq!((heart(&section), section.name.as_str(), section.num_buckets), (REVERSE, "reverse", 3));
        let section = chosen(&text, &["curriculum.difficulty=wes", "curriculum.name=reverse"]);
        assert_eq!(section.difficulty, Difficulty::Wes);
        let section = chosen(&text, &["curriculum.name=none"]);
        assert_eq!(section.scheduler, PhaseScheduler::None);
    }
}

/// Loads a recipe that names a curriculum file with this text in the folder `curricula/` next to it.
fn with_file(curriculum: &str, overrides: &[&str]) -> (tempfile::TempDir, Result<Recipe, String>) {
    let folder = tempfile::tempdir().unwrap();
    let home = fs_err::canonicalize(folder.path()).unwrap();
    fs_err::create_dir(home.join("curricula")).unwrap();
    fs_err::write(home.join("curricula/own.toml"), curriculum).unwrap();
    let path = home.join("erc.toml");
    fs_err::write(&path, completed("[curriculum]\nname = \"curricula/own.toml\"\nb = 0")).unwrap();
    let overrides: Vec<_> = overrides.iter().map(ToString::to_string).collect();
    let loaded = load(&path, &overrides).map_err(|error| {
        assert!(matches!(error, RecipeError::Problems(_)));
        error.to_string().replace(&*home.to_string_lossy(), "HOME")
    });
    (folder, loaded)
}

#[test]
fn a_file_of_ones_own() {
    let text =
        "[curriculum]\ndifficulty = \"wes\"\nscheduler = \"baby_step\"\nb = 7\nk = 7\nwheel = \"../w.toml\"";
    let (folder, recipe) = with_file(text, &[]);
    let recipe = recipe.unwrap();
    let home = fs_err::canonicalize(folder.path()).unwrap();
    let section = &recipe.curriculum;
    assert_eq!(heart(section), WES);
    assert_eq!((section.k.to_bits(), section.b.to_bits()), (7.0f64.to_bits(), 0.0f64.to_bits()));
    assert_eq!(section.wheel, Some(home.join("w.toml")));
    assert_eq!(Path::new(&section.name), home.join("curricula/own.toml"));
    // The saved recipe has everything itself.
    fs_err::remove_dir_all(home.join("curricula")).unwrap();
    let kept = home.join("recipe.toml");
    fs_err::write(&kept, recipe.to_toml()).unwrap();
    assert_eq!(load(&kept, &[]).unwrap(), recipe);
}

#[track_caller]
fn check_file(curriculum: &str, expected: Expect) {
    expected.assert_eq(&with_file(curriculum, &[]).1.unwrap_err());
}

#[test]
fn a_file_with_problems_is_named_with_the_line() {
    check_file(
        "difficulty = \"wes\"\n[curriculum]\nname = \"es\"\nnum_bucket = 3\nk = \"two\"\n[train]\nseed = 3\n",
        expect![[r#"
            HOME/curricula/own.toml:1:1: "difficulty" is outside any section
              hint: put it under [curriculum]
            HOME/curricula/own.toml:3:1: a curriculum cannot select another
              hint: copy the keys that it shares with the other
            HOME/curricula/own.toml:4:1: unknown key "num_bucket" in [curriculum]
              hint: did you mean "num_buckets"?
            HOME/curricula/own.toml:5:5: curriculum.k must be a number from 0 to 1000000, not "two"
            HOME/curricula/own.toml:6:2: [train] does not belong in a curriculum
              hint: a curriculum has only the section [curriculum]"#]],
    );
    check_file(
        "[curriculum]\ndifficulty = wes\n",
        expect![[r#"
            HOME/curricula/own.toml:2:14: the text of difficulty has no quotes
              hint: write difficulty = "wes""#]],
    );
}

#[test]
fn disagreements_within_a_file_are_placed_there() {
    check_file(
        "[curriculum]\nscheduler = \"one_pass\"\nnum_buckets = 9\n",
        expect![[r#"
            HOME/curricula/own.toml:3:15: train.num_train_epochs = 4 is too few for the curriculum: num_buckets = 9 with epochs_per_phase = 1 takes 9
              hint: write num_train_epochs = 9 under [train], or a shorter curriculum"#]],
    );
}

#[test]
fn unknown_names() {
    check(
        "[curriculum]\nname = \"prcemo\"\n",
        expect![[r#"
            erc.toml:2:8: curriculum.name must be "none", "prc_emo", "wes", "es", "reverse", "random_buckets", "length", "speakers", "file", "loss" or the path of a .toml file, not "prcemo"
              hint: did you mean "prc_emo"?
        "#]],
    );
    check_overridden(
        "",
        &["curriculum.name=magic"],
        expect![[r#"
            --set: curriculum.name must be "none", "prc_emo", "wes", "es", "reverse", "random_buckets", "length", "speakers", "file", "loss" or the path of a .toml file, not "magic"
        "#]],
    );
    check(
        "[curriculum]\nname = 3\n",
        expect![[r#"
            erc.toml:2:8: curriculum.name must be "none", "prc_emo", "wes", "es", "reverse", "random_buckets", "length", "speakers", "file", "loss" or the path of a .toml file, not 3
        "#]],
    );
}

#[test]
fn files_that_are_not_there() {
    check(
        "[curriculum]\nname = \"no/such.toml\"\n",
        expect![[r#"
            erc.toml:2:8: curriculum.name: no/such.toml: No such file or directory (os error 2)
        "#]],
    );
    check(
        "[curriculum]\nname = \"~/such.toml\"\n",
        expect![[r#"
            erc.toml:2:8: curriculum.name starts with "~", which is not expanded: "~/such.toml"
              hint: write the full path
        "#]],
    );
}

#[test]
fn difficulties_of_a_file() {
    check(
        "[curriculum]\nname = \"file\"\n",
        expect![[r#"
            erc.toml:2:8: difficulty = "file" needs curriculum.difficulty_file
              hint: add difficulty_file = "…" under [curriculum]
        "#]],
    );
    check(
        "[curriculum]\nname = \"wes\"\ndifficulty_file = \"d.jsonl\"\n",
        expect![[r#"
            erc.toml:3:19: curriculum.difficulty_file has no effect with difficulty = "wes"
              hint: write difficulty = "file"
        "#]],
    );
}

#[test]
fn too_few_epochs() {
    check(
        "[curriculum]\nname = \"prc_emo\"\nnum_buckets = 3\n[train]\nnum_train_epochs = 2\n",
        expect![[r#"
            erc.toml:5:20: train.num_train_epochs = 2 is too few for the curriculum: num_buckets = 3 with epochs_per_phase = 1 takes 3
              hint: write num_train_epochs = 3 under [train], or a shorter curriculum
        "#]],
    );
    check(
        "[curriculum]\nscheduler = \"competence\"\ncompetence_epochs = 4\n",
        expect![[r#"
            erc.toml:3:21: train.num_train_epochs = 4 is too few for the curriculum: competence_epochs = 4 takes 5
              hint: write num_train_epochs = 5 under [train], or a shorter curriculum
        "#]],
    );
    let text = "[curriculum]\nname = \"prc_emo\"\n[train]\nnum_train_epochs = 1\nmax_steps = 9";
    assert_eq!(good(text).train.max_steps, Some(9));
}

#[test]
fn keys_without_a_curriculum_to_act_on() {
    check(
        "[curriculum]\nrestart_lr_scheduler = true\nrestart_optimizer = true\n",
        expect![[r#"
            erc.toml:2:24: curriculum.restart_lr_scheduler has no effect with scheduler = "none"
              hint: without a curriculum there is one phase
            erc.toml:3:21: curriculum.restart_optimizer has no effect with scheduler = "none"
              hint: without a curriculum there is one phase
        "#]],
    );
    check(
        "[curriculum]\nshuffle = false\nshuffle_by = \"dialogues\"\n",
        expect![[r#"
        erc.toml:2:11: curriculum.shuffle_by = "dialogues" has no effect with shuffle = false
          hint: write shuffle_by = "utterances" under [curriculum]
    "#]],
    );
    check(
        "[curriculum]\nshuffle_by = \"dialogues\"\n[train]\ngroup_by_length = true\n",
        expect![[r#"
        erc.toml:4:19: curriculum.shuffle_by = "dialogues" and train.group_by_length both order the samples
          hint: write shuffle_by = "utterances" under [curriculum]
    "#]],
    );
    check(
        "[curriculum]\nshuffle_by = \"dialog\"\n",
        expect![[r#"
        erc.toml:2:14: curriculum.shuffle_by must be "utterances" or "dialogues", not "dialog"
    "#]],
    );
    check(
        "[curriculum]\nshuffle = false\n[train]\ngroup_by_length = true\n",
        expect![[r#"
            erc.toml:2:11: curriculum.shuffle = false and train.group_by_length both order the samples
              hint: keep one of them
        "#]],
    );
    check(
        "[data]\ntrain = \"a.txt\"\nformat = \"text\"\n[train]\ncompletion_only_loss = false\n[eval]\nload_best_model_at_end = false\n[curriculum]\nname = \"length\"\n",
        expect![[r#"
            erc.toml:3:10: format = "text" has no dialogues for a curriculum
              hint: write name = "none" under [curriculum]
        "#]],
    );
}

#[test]
fn names_of_other_tools() {
    check(
        "[curriculum]\nn_buckets = 3\nanti_curriculum = true\ndisable_shuffling = true\npacing = \"sqrt\"\nscheduler = \"babystep\"\n[train]\nscheduler = \"linear\"\n",
        expect![[r#"
            erc.toml:2:1: "n_buckets" is another tool's name for curriculum.num_buckets
              hint: write num_buckets = 3
            erc.toml:3:1: "anti_curriculum" is another tool's name for curriculum.direction
              hint: write direction = "hard_to_easy"
            erc.toml:4:1: "disable_shuffling" is another tool's name for curriculum.shuffle
              hint: write shuffle = false
            erc.toml:5:10: curriculum.pacing must be "linear" or "root", not "sqrt"
              hint: did you mean "root"?
            erc.toml:6:13: curriculum.scheduler must be "none", "baby_step", "one_pass" or "competence", not "babystep"
              hint: did you mean "baby_step"?
            erc.toml:8:1: "scheduler" is another tool's name for train.lr_scheduler_type
              hint: write lr_scheduler_type = "linear"
        "#]],
    );
}
