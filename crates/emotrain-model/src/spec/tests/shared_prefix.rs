//! Sequences that share the rows of their common beginnings against the same ones apart.

use proptest::prelude::*;

use super::*;

/// Token ids, and where supervision starts.
pub(super) type Owned = (Vec<u32>, usize);

/// A family of sequences: each takes some tokens of an earlier one and goes on with its own.
fn family() -> impl Strategy<Value = Vec<Owned>> {
    let one = (any::<prop::sample::Index>(), 0..110_usize, 0..3_usize, 0..40_usize, 0..100_usize);
    prop::collection::vec(one, 2..7).prop_map(|members| {
        let mut sequences: Vec<Owned> = vec![(ids(Batch::SHORTEST_SHARED_PREFIX + 60, 3), 70)];
        for (salt, (of, percent, kind, own, supervised)) in members.into_iter().enumerate() {
            let (other, _) = of.get(&sequences);
            let taken = if kind == 0 { other.len() } else { (other.len() * percent / 100).min(other.len()) };
            let mut tokens = other[..taken].to_vec();
            tokens.extend(ids(own, 10 + salt));
            let from = tokens.len() * supervised / 100;
            sequences.push((tokens, from));
        }
        sequences
    })
}

pub(super) fn packed(family: &[Owned]) -> Vec<Sequence<'_>> {
    family.iter().map(|(ids, from)| Sequence { ids, supervised_from: *from }).collect()
}

fn pass(model: &CausalLm, batch: &Batch, options: PassOptions) -> Taken {
    let mut gradients = Gradients::default();
    let losses = model.forward_backward(batch, options, &mut gradients);
    taken(losses, &gradients)
}

fn options(salt: usize, targets: usize) -> PassOptions {
    PassOptions {
        factor: 1.0 / targets as f64,
        random: Key::new(salt as u64),
        neftune_noise_alpha: 0.0,
        label_smoothing_factor: [0.0, 0.2][salt % 2],
        gradient_checkpointing: [Checkpointing::Every(1), Checkpointing::Off, Checkpointing::Every(2)]
            [salt % 3],
    }
}

/// Within 1e-5 of the largest number: the softmax is in f32 in every form.
#[track_caller]
fn assert_alike(shared: &Taken, apart: &Taken, what: &str) {
    assert_eq!(shared.1.len(), apart.1.len());
    let gradients =
        shared.1.iter().zip(&apart.1).map(|((path, one), (_, other))| (path.as_str(), one, other));
    for (path, one, other) in [("losses", &shared.0, &apart.0)].into_iter().chain(gradients) {
        let apart = furthest(one, other);
        // What is zero in both is not a number here.
        assert!(apart < 1e-5 || apart.is_nan() && one == other, "{what}: {path} {apart}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_tree_gives_what_its_sequences_give_apart(family in family(), salt in 0..1000_usize) {
        let sequences = packed(&family);
        let (mut tree, mut apart) = (Batch::trees(&sequences), Batch::sequences(&sequences));
        prop_assert_eq!(tree.rows() + Batch::shared_rows(&sequences), apart.rows());
        prop_assert_eq!(tree.targets().len(), apart.targets().len());
        prop_assume!(!apart.targets().is_empty());
        if salt % 3 == 1 {
            let weights = (0..apart.targets().len()).map(|at| ((at * 7 + salt) % 5) as f32);
            let weights: Vec<f32> = weights.collect();
            (tree, apart) = (tree.with_weights(weights.clone()), apart.with_weights(weights));
        }
        let options = options(salt, apart.targets().len());
        let specs = specs();
        let (name, spec) = &specs[salt % specs.len()];
        for dtype in [DType::F32, DType::F64] {
            let whole = model(spec, dtype);
            let adapted = adapted(&frozen(whole.clone()), 0);
            for (model, method) in [(whole, "full"), (adapted, "lora")] {
                let what = format!("{name}, {method}, {dtype:?}");
                assert_alike(&pass(&model, &tree, options), &pass(&model, &apart, options), &what);
            }
        }
    }
}

/// A dialogue: each turn's prompt has the turns before it. The tree is a trunk with a leaf at each turn.
pub(super) fn dialogue(turns: usize) -> Vec<Owned> {
    let trunk = ids(40 + 12 * turns, 5);
    let turn = |turn: usize| {
        let ids: Vec<u32> = trunk[..40 + 12 * turn].iter().copied().chain(ids(9, 20 + turn)).collect();
        let from = ids.len() - 2;
        (ids, from)
    };
    (0..turns).map(turn).collect()
}

#[test]
fn a_dialogue_takes_the_rows_of_its_longest_prompt_and_of_each_turn_of_its_own() {
    let family = dialogue(6);
    let batch = Batch::trees(&packed(&family));
    let distinct: std::collections::BTreeSet<&[u32]> =
        family.iter().flat_map(|(ids, _)| (1..ids.len()).map(|end| &ids[..end])).collect();
    assert_eq!(batch.rows(), distinct.len());
    assert!(batch.rows() <= 40 + 12 * 5 + 6 * 8);
    assert_eq!(batch.segments.len(), 1);
    for (target, (ids, _)) in batch.targets().chunks(2).zip(&family) {
        assert_eq!([target[0].id, target[1].id], ids[ids.len() - 2..]);
        let seen = batch.visible[target[1].row].ranges().flatten();
        let path: Vec<u32> = seen.map(|row| batch.ids[row]).collect();
        assert_eq!(path, ids[..ids.len() - 1]);
        assert_eq!(batch.positions[target[1].row] as usize, ids.len() - 2);
    }
}

#[test]
fn sequences_that_share_little_are_packed_as_ever() {
    let short = |salt| {
        let ids =
            ids(Batch::SHORTEST_SHARED_PREFIX - 1, 0).into_iter().chain([salt]).chain(ids(20, 1)).collect();
        (ids, 40)
    };
    let tiny: [Owned; 5] = [(Vec::new(), 0), (vec![7], 0), (vec![7], 1), (vec![7, 8], 0), (vec![7, 8], 0)];
    let family: Vec<Owned> = (0..4).map(short).chain(tiny).collect();
    let sequences = packed(&family);
    let (tree, apart) = (Batch::trees(&sequences), Batch::sequences(&sequences));
    assert_eq!(tree.ids, apart.ids);
    assert_eq!(tree.segments, apart.segments);
    assert_eq!(tree.visible, apart.visible);
    assert_eq!(tree.targets, apart.targets);
    assert_eq!(tree.positions, apart.positions);
}

/// The same sample twice, and the same prompt with two answers of different weight.
#[test]
fn targets_of_one_row_keep_their_own_weights() {
    let prompt = ids(50, 1);
    let answer = |token: u32| (prompt.iter().copied().chain([token]).collect::<Vec<u32>>(), 50);
    let family = [answer(3), answer(9), answer(3)];
    let sequences = packed(&family);
    let weights = vec![0.5, 4.0, 0.0];
    let tree = Batch::trees(&sequences).with_weights(weights.clone());
    let apart = Batch::sequences(&sequences).with_weights(weights);
    assert_eq!((tree.rows(), apart.rows()), (50, 150));
    assert!(tree.targets().iter().all(|target| target.row == 49));
    for dtype in [DType::F32, DType::F64] {
        let model = model(&specs()[0].1, dtype);
        for salt in [0, 1] {
            let [tree, apart] = [&tree, &apart].map(|batch| pass(&model, batch, options(salt, 3)));
            assert_alike(&tree, &apart, "weights");
        }
    }
}

#[test]
fn trees_of_several_trainings_in_one_pass_give_what_they_give_alone() {
    let base = frozen(model(&specs().pop().unwrap().1, DType::F32));
    let models: Vec<CausalLm> = (0..4).map(|number| adapted(&base, number)).collect();
    let families = [dialogue(5), dialogue(2), dialogue(1), dialogue(9)];
    let batches: Vec<Batch> = families.iter().map(|family| Batch::trees(&packed(family))).collect();
    let options = options(2, 8);
    let alone = models.iter().zip(&batches).map(|(model, batch)| pass(model, batch, options));
    let alone: Vec<Taken> = alone.collect();
    let mut gradients: Vec<Gradients> = models.iter().map(|_| Gradients::default()).collect();
    let shares = models.iter().zip(&batches).zip(&mut gradients);
    let shares = shares.map(|((model, batch), gradients)| Share { model, batch, options, gradients });
    let losses = forward_backward(shares.collect());
    for ((losses, gradients), alone) in losses.into_iter().zip(&gradients).zip(&alone) {
        assert!(taken(losses, gradients) == *alone);
    }
}

/// More target rows than the head takes at once, in another order than the targets.
#[test]
fn losses_stay_in_the_order_of_the_sequences() {
    let trunk = ids(150, 4);
    let one = |(salt, taken): (usize, usize)| -> Owned {
        (trunk[..taken].iter().copied().chain(ids(70, 30 + salt)).collect(), 1)
    };
    let family: Vec<Owned> = [60, 150, 100, 150].into_iter().enumerate().map(one).collect();
    let sequences = packed(&family);
    let (tree, apart) = (Batch::trees(&sequences), Batch::sequences(&sequences));
    assert!(tree.target_rows().len() > 256 && tree.rows() < apart.rows());
    let model = model(&specs()[0].1, DType::F32);
    let [losses, expected] = [&tree, &apart].map(|batch| pass(&model, batch, options(2, 9)));
    assert_alike(&losses, &expected, "order");
    let [tree, apart] = [&tree, &apart].map(|batch| model.log_probabilities(batch));
    assert!(furthest(&tree, &apart) < 1e-5);
}
