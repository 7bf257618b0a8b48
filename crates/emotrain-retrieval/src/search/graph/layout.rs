//! Validating the bytes of a graph before usearch reads them.
//!
//! usearch trusts a file: a neighbour that does not exist would make it read out of bounds. So every number that it
//! relies on is checked first. A file of format 2 has, all numbers little-endian:
//!
//! - `u32` nodes, `u32` bytes of a vector; then the vectors, here one `f64` each: the node's row;
//! - a head of 64 bytes: `usearch`, three `u16` of a version, the kinds of metric, numbers, keys and slots,
//!   `u64` nodes, `u64` deleted ones, `u64` numbers in a vector, and whether keys repeat;
//! - `u64` each: nodes, neighbours on upper levels, neighbours on the lowest level, highest level, entry;
//! - an `i16` for each node, the levels that it has above the lowest;
//! - the nodes: `u64` key, here its row; the `i16` again; and for each level, the lowest first, a `u32`, how many
//!   neighbours, and room for as many `u32` as there may be.

/// The supported version of the format.
const VERSION: u16 = 2;
const HEAD: usize = 64;
/// Inner product, `f64`, `u64`, `u32`: the parameters of our graphs.
const KINDS: [u8; 4] = [b'i', 10, 14, 15];

/// The problem with a file.
type Fault = String;

/// Reads numbers in sequence.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) =
            self.bytes.split_at_checked(count).ok_or_else(|| "the file ends too early".to_owned())?;
        self.bytes = rest;
        Ok(taken)
    }

    fn number<const BYTES: usize>(&mut self) -> Result<[u8; BYTES], Fault> {
        self.take(BYTES).map(|bytes| {
            let mut number = [0; BYTES];
            number.copy_from_slice(bytes);
            number
        })
    }

    fn long(&mut self) -> Result<u64, Fault> {
        self.number().map(u64::from_le_bytes)
    }

    fn int(&mut self) -> Result<u32, Fault> {
        self.number().map(u32::from_le_bytes)
    }

    fn short(&mut self) -> Result<i16, Fault> {
        self.number().map(i16::from_le_bytes)
    }
}

/// Refuses `bytes` unless they are a graph of exactly these rows with `m` neighbours per node.
///
/// # Errors
/// The problem with them.
pub(super) fn check(bytes: &[u8], rows: &[u32], m: usize) -> Result<(), Fault> {
    let mut reader = Reader { bytes };
    let (count, width) = (reader.int()? as usize, reader.int()?);
    require(count == rows.len(), || format!("it has {count} nodes, the bank {} distinct texts", rows.len()))?;
    require(width == 8, || format!("its vectors have {width} bytes, not 8"))?;
    for row in rows {
        let found = f64::from_le_bytes(reader.number()?);
        require(found.to_bits() == f64::from(*row).to_bits(), || format!("a node has row {found}"))?;
    }
    head(reader.take(HEAD)?, count)?;
    require(reader.long()? == count as u64, || "its two node counts differ".to_owned())?;
    let (upper, lowest) = (reader.long()?, reader.long()?);
    require((upper, lowest) == (m as u64, 2 * m as u64), || {
        format!("its nodes have a capacity of {upper} and {lowest} neighbours, not for {m} and {}", 2 * m)
    })?;
    let (highest, entry) = (reader.long()?, reader.long()?);
    let levels = (0..count).map(|_| reader.short()).collect::<Result<Vec<_>, _>>()?;
    let of_entry = usize::try_from(entry).ok().and_then(|entry| levels.get(entry));
    require(
        of_entry.is_some_and(|level| i64::from(*level) >= 0 && highest <= i64::from(*level).unsigned_abs()),
        || format!("it is entered at node {entry} on level {highest}, which does not exist"),
    )?;
    for (node, row) in rows.iter().enumerate() {
        let fault = |fault: &str| format!("node {node} {fault}");
        require(reader.long()? == u64::from(*row), || fault("has another row"))?;
        require(levels[node] >= 0 && reader.short()? == levels[node], || fault("has another level"))?;
        for level in 0..=levels[node] {
            let room = if level == 0 { 2 * m } else { m };
            let count = reader.int()? as usize;
            require(count <= room, || fault("has more neighbours than its capacity"))?;
            let mut neighbours = Reader { bytes: reader.take(4 * room)? };
            for _ in 0..count {
                let other = neighbours.int()? as usize;
                let is_there = levels.get(other).is_some_and(|other| *other >= level);
                require(is_there, || fault("has a neighbour that does not exist"))?;
            }
        }
    }
    require(reader.bytes.is_empty(), || format!("{} bytes follow its last node", reader.bytes.len()))
}

fn head(head: &[u8], count: usize) -> Result<(), Fault> {
    let mut reader = Reader { bytes: head };
    require(reader.take(7)? == b"usearch", || "it was not written by usearch".to_owned())?;
    let version = reader.number().map(u16::from_le_bytes)?;
    require(version == VERSION, || format!("it has format {version} of usearch, not {VERSION}"))?;
    reader.take(4)?;
    require(reader.take(4)? == KINDS, || "its numbers have other types".to_owned())?;
    let (present, deleted, width) = (reader.long()?, reader.long()?, reader.long()?);
    require((present, deleted, width) == (count as u64, 0, 1), || {
        format!("it has {present} nodes and {deleted} deleted ones of {width} numbers")
    })?;
    require(reader.take(1)? == [0], || "its keys repeat".to_owned())
}

fn require(is_so: bool, fault: impl FnOnce() -> Fault) -> Result<(), Fault> {
    if is_so { Ok(()) } else { Err(fault()) }
}
