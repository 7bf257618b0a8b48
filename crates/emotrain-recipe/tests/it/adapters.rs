//! Adapters: keys by layer, and kinds that exclude one another.

use expect_test::expect;

use crate::check;

#[test]
fn layers_with_settings_of_their_own() {
    check(
        r#"
[lora]
rank_pattern = { q_proj = 0, v_proj = 2.5 }
alpha_pattern = { q_proj = "8" }
layers_to_transform = [0, -1, 3, 3]
init_lora_weights = "pissa_niter_0"
"#,
        expect![[r#"
            erc.toml:2:27: lora.rank_pattern.q_proj must be a whole number from 1 to 4096, not 0
            erc.toml:2:39: lora.rank_pattern.v_proj must be a whole number from 1 to 4096, not 2.5
            erc.toml:3:28: lora.alpha_pattern.q_proj must be a number above 0, at most 1000000, not "8"
            erc.toml:4:27: every entry of lora.layers_to_transform must be a whole number from 0 to 9999, not -1
            erc.toml:4:34: lora.layers_to_transform names 3 twice
            erc.toml:5:21: lora.init_lora_weights must be true, "gaussian", "pissa", "pissa_niter_4" or "olora", not "pissa_niter_0"
              hint: did you mean "pissa"?
        "#]],
    );
    check(
        r#"
[lora]
rank_pattern = 3
layers_to_transform = 2
init_lora_weights = "pisa"
modules_to_save = ["lm_head"]
"#,
        expect![[r#"
            erc.toml:2:16: lora.rank_pattern must be a table of whole numbers, not 3
            erc.toml:3:23: lora.layers_to_transform must be a list of whole numbers, not 2
              hint: write layers_to_transform = [2]
            erc.toml:4:21: lora.init_lora_weights must be true, "gaussian", "pissa", "pissa_niter_4" or "olora", not "pisa"
              hint: did you mean "pissa"?
            erc.toml:5:1: "modules_to_save" is another tool's key
              hint: an adapter has only low-rank factors: servers load no whole layers with it, and the vocabulary stays the base's, so that embedding and head are not resized; train.method = "full" trains every layer
        "#]],
    );
}

#[test]
fn kinds_that_exclude_one_another() {
    check(
        r#"
[lora]
use_dora = true
init_lora_weights = "pissa"
init_from = "a"
[train]
method = "full"
loraplus_lr_ratio = 16
"#,
        expect![[r#"
            erc.toml:2:12: method = "full" has no adapter for lora.use_dora
              hint: write method = "lora" under [train], or use_dora = false under [lora]
            erc.toml:3:21: lora.use_dora has no start that takes a part out of the weight
              hint: write init_lora_weights = true, or use_dora = false
            erc.toml:3:21: lora.init_lora_weights and lora.init_from are both a start
              hint: write init_from = "", or init_lora_weights = true
            erc.toml:4:13: method = "full" has no adapter to start from another
              hint: write method = "lora" under [train], or init_from = "" under [lora]
            erc.toml:7:21: method = "full" has no B matrices for train.loraplus_lr_ratio
              hint: write method = "lora", or loraplus_lr_ratio = 1.0
        "#]],
    );
}

#[test]
fn several_devices_that_have_nothing_to_do_or_cannot() {
    let text = "[model]\nmodel_name_or_path = \"x/y\"\ndevice = \"cpu\"\nnum_devices = 4\n[data]\n\
                train = \"train.jsonl\"\n[train]\nmethod = \"full\"\ngradient_accumulation_steps = 2\n[eval]\n\
                load_best_model_at_end = false";
    check(
        text,
        expect![[r#"
        erc.toml:4:15: num_devices = 4, but a step has gradient_accumulation_steps = 2 micro-batches to deal
          hint: write gradient_accumulation_steps = 4 or more under [train]
        erc.toml:4:15: num_devices = 4 trains adapters, and method = "full" none
          hint: write num_devices = 1 under [model], or method = "lora" under [train]
        erc.toml:4:15: num_devices = 4 with device = "cpu", which is one
          hint: write num_devices = 1 under [model]; the CPU uses all its cores
    "#]],
    );
}
