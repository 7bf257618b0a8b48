//! The kernels, and how they are launched.

pub(super) mod adamw;
pub(super) mod blocks;
pub(super) mod buffers;
pub(super) mod cross_entropy;
pub(super) mod decode;
pub(super) mod dropout;
pub(super) mod encoder;
pub(super) mod flash;
pub(super) mod gated;
pub(super) mod gather;
pub(super) mod heads;
pub(super) mod likeliest;
pub(super) mod low_rank;
pub(super) mod product;
pub(super) mod reduce;
pub(super) mod rms_norm;
pub(super) mod rope;
pub(super) mod slots;
pub(super) mod softmax;
pub(super) mod sums;
pub(super) mod tokens;
pub(super) mod turn;
