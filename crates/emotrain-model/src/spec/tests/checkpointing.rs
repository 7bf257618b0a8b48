//! Layers that are computed again in the backward pass against layers that keep their tapes.

use super::shared_prefix::{dialogue, packed};
use super::*;

fn pass(model: &CausalLm, batch: &Batch, gradient_checkpointing: Checkpointing) -> Taken {
    let options = PassOptions {
        factor: 1.0 / batch.targets().len() as f64,
        random: Key::new(8),
        neftune_noise_alpha: 5.0,
        label_smoothing_factor: 0.1,
        gradient_checkpointing,
    };
    let mut gradients = Gradients::default();
    let losses = model.forward_backward(batch, options, &mut gradients);
    taken(losses, &gradients)
}

/// A base of seven plain layers with an adapter that drops.
fn deep() -> CausalLm {
    let config = ModelConfig { num_hidden_layers: 7, ..config() };
    let base = CausalLm::random(&config, &Device::flex(), DType::F32, 3);
    adapted(&base, 2)
}

#[test]
fn layers_computed_again_give_the_same_bits() {
    let family = dialogue(5);
    let (tree, apart) = (Batch::trees(&packed(&family)), Batch::sequences(&packed(&family)));
    assert!(tree.rows() < apart.rows());
    let fields = specs().into_iter().flat_map(|(name, spec)| {
        let whole = model(&spec, DType::F32);
        let adapted = [1, 2].map(|number| adapted(&frozen(whole.clone()), number));
        [whole].into_iter().chain(adapted).map(move |model| (name, model))
    });
    for (name, model) in fields.chain([("seven layers", deep())]) {
        for batch in [&tree, &apart] {
            let kept = pass(&model, batch, Checkpointing::Off);
            for every in [1, 2, 3] {
                for checkpointing in [Checkpointing::Every(every), Checkpointing::Offloaded(every)] {
                    let again = pass(&model, batch, checkpointing);
                    assert!(again == kept, "{name}: {checkpointing:?}");
                }
            }
        }
    }
}

#[test]
fn every_kth_layer_is_computed_again_without_the_last() {
    let repeated = |checkpointing: Checkpointing, layers: usize| -> Vec<usize> {
        (0..layers).filter(|&layer| checkpointing.repeats(layer, layers)).collect()
    };
    assert!(repeated(Checkpointing::Off, 4).is_empty());
    assert_eq!(repeated(Checkpointing::Every(1), 4), [0, 1, 2]);
    assert_eq!(repeated(Checkpointing::Every(2), 7), [0, 2, 4]);
    assert_eq!(repeated(Checkpointing::Every(3), 7), [0, 3]);
    assert_eq!(repeated(Checkpointing::Offloaded(3), 7), [0, 3]);
    assert_eq!(repeated(Checkpointing::Every(100), 7), [0]);
    assert!(repeated(Checkpointing::Every(1), 1).is_empty());
}

/// What attention gave is taken as it is, whatever it would give.
#[test]
fn attention_is_not_computed_again() {
    let (model, ids) = (deep(), ids(30, 4));
    let batch = Batch::sequences(&[Sequence { ids: &ids, supervised_from: 10 }]);
    let shares = vec![ShareRows { dropout: model.dropout(Key::new(1)), ..ShareRows::all(batch.rows()) }];
    let passes = Passes::new(vec![&model], &batch, None, shares);
    let (layer, run) = (&model.layers[1], passes.of(1));
    let numbers = |x: &Tensor<2>| x.clone().try_into_vec_as::<f32>().unwrap();
    let (x, _) = model.embedded(batch.ids.iter().copied());
    for checkpointing in [Checkpointing::Every(1), Checkpointing::Offloaded(1)] {
        let (_, mut tape) = layer.forward(x.clone(), &run);
        let attended = tape.attended.clone() + 3.0;
        tape.attended = attended.clone();
        let again = checkpointing.keep(tape, 1, 7).tape(layer, &run);
        assert_eq!(numbers(&again.attended), numbers(&attended));
    }
}
