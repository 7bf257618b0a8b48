//! Which of an input's numbers linear layers drop.

use emotrain_kernels::DropoutMask;

/// The masks of linear layers with one input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Masks<'a> {
    /// Of each layer, if it has one.
    pub(crate) of: &'a [Option<DropoutMask>],
    /// Whether the input's rows themselves are read. Where they are not, they may be what a mask leaves of them.
    pub(crate) rows: bool,
}

impl<'a> Masks<'a> {
    /// Of layers that read the rows.
    pub(crate) fn beside(of: &'a [Option<DropoutMask>]) -> Self {
        Self { of, rows: true }
    }

    /// Of layers that read the rows where they have no mask, or if one of them is trained.
    pub(crate) fn instead(of: &'a [Option<DropoutMask>], trained: bool) -> Self {
        Self { of, rows: trained || of.iter().any(Option::is_none) }
    }
}
