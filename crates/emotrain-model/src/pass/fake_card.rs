//! What a block launches and moves on a CUDA device with cuBLASLt, counted without a card: `tests/gpu/fake.sh` puts a driver
//! in place whose kernels do nothing, so that no number says anything here.

use emotrain_recipe::{DeviceChoice, Dtype};
use expect_test::expect;

use super::gpu_tests::{batch, check_gigabytes, launches, model, step};
use crate::device::{self, OpenDevice};

fn card() -> Option<OpenDevice> {
    if std::env::var_os("EMOTRAIN_FAKE_CUDA").is_none_or(|what| what != "library") {
        println!("skipped: not run by tests/gpu/fake.sh with the library");
        return None;
    }
    Some(device::open(&DeviceChoice::Cuda(None), Dtype::Bfloat16).unwrap())
}

/// Sequences of 27 tokens: rows of scores that are no multiple of what a load takes, and keys that begin anywhere.
#[test]
fn a_block_takes_few_launches() {
    let Some(on) = card() else { return };
    let step = step(model(&on), &batch(2, 27));
    expect![[r"
        once a batch: 1
          1 RowsOfTable
        forward: 22
          15 CublasLtMatmul
          1 FlashForward
          1 GatedForward
          1 KernelBinop
          2 RmsNormForward
          2 TurnHeads
        backward: 38
          5 AddLowProduct
          22 CublasLtMatmul
          1 DropNumbers
          1 FlashBackwardKeys
          1 FlashBackwardQueries
          1 GatedBackward
          1 GatedForward
          2 RmsNormBackward
          2 RmsNormForward
          2 TurnHeadsBack
        norm of the gradients of 42 parameters: 2
          1 Squares
          1 SumOfAll
        update of 42 parameters: 4
          1 AdamwUpdate
          1 Convert
          1 FullKernel
          1 SpreadColumns
    "]]
    .assert_eq(&step.told());
    assert!(launches(&[&step.forward, &step.backward]) <= 70, "a block is few launches");
}

/// In one sequence, too, since scores are never in memory.
#[test]
fn a_block_moves_few_bytes() {
    let Some(on) = card() else { return };
    let one = check_gigabytes(&on);
    assert!(one <= 4.0, "{one}");
}
