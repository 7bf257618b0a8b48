//! How the heads of attention are counted.

/// Head counts: `kv · group` query heads of `dim` share `kv` key and value heads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heads {
    pub(crate) kv: usize,
    pub(crate) group: usize,
    pub(crate) dim: usize,
}
