//! The file itself: a header with metadata and the places of all tensors, then their values, piece by piece.
//!
//! Layout: the GGUF specification of ggml (`docs/gguf.md`), version 3, little-endian.

use std::io::Write;
use std::path::{Path, PathBuf};

use emotrain_base::{Output, WriteError};
use rayon::prelude::*;

use super::quantise::{misfit, quantise};
use crate::error::ModelError;
use crate::weights::gguf::blocks::BlockType;
use crate::weights::gguf::row_order::RowOrder;
use crate::weights::write::misfit_message;

/// Bytes to a multiple of which every tensor is padded.
const ALIGNMENT: usize = 32;

/// Values that are quantised at a time, about.
const PIECE: usize = 1 << 20;

/// A metadata value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    Size(u32),
    Number(f32),
    Flag(bool),
    Text(String),
    Texts(Vec<String>),
    Numbers(Vec<f32>),
    Integers(Vec<i32>),
}

impl Item {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// ggml's number of the type, and of the type of the items of an array.
    fn types(&self) -> (u32, Option<u32>) {
        match self {
            Self::Size(_) => (4, None),
            Self::Number(_) => (6, None),
            Self::Flag(_) => (7, None),
            Self::Text(_) => (8, None),
            Self::Texts(_) => (9, Some(8)),
            Self::Numbers(_) => (9, Some(6)),
            Self::Integers(_) => (9, Some(5)),
        }
    }

    fn put(&self, header: &mut Vec<u8>) {
        let (own, items) = self.types();
        header.extend(own.to_le_bytes());
        header.extend(items.into_iter().flat_map(u32::to_le_bytes));
        let count = |header: &mut Vec<u8>, count: usize| header.extend((count as u64).to_le_bytes());
        match self {
            Self::Size(size) => header.extend(size.to_le_bytes()),
            Self::Number(number) => header.extend(number.to_le_bytes()),
            Self::Flag(flag) => header.push(u8::from(*flag)),
            Self::Text(text) => put_text(header, text),
            Self::Texts(texts) => {
                count(header, texts.len());
                for text in texts {
                    put_text(header, text);
                }
            }
            Self::Numbers(numbers) => {
                count(header, numbers.len());
                header.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            }
            Self::Integers(integers) => {
                count(header, integers.len());
                header.extend(integers.iter().flat_map(|integer| integer.to_le_bytes()));
            }
        }
    }
}

fn put_text(header: &mut Vec<u8>, text: &str) {
    header.extend((text.len() as u64).to_le_bytes());
    header.extend(text.as_bytes());
}

/// A tensor as the header states it.
#[derive(Debug, Clone)]
pub(super) struct Stated {
    pub(super) name: String,
    /// Slowest dimension first, as Hugging Face has it.
    pub(super) shape: Vec<usize>,
    pub(super) block_type: BlockType,
    pub(super) order: RowOrder,
}

impl Stated {
    fn row_length(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    fn values(&self) -> usize {
        self.shape.iter().product()
    }

    fn bytes(&self) -> usize {
        self.block_type.bytes(self.values())
    }
}

/// What hands the values of a tensor on, row after row in Hugging Face's order, in pieces of any length.
pub(super) type Give<'a> = &'a mut dyn FnMut(&mut dyn FnMut(&[f32])) -> Result<(), ModelError>;

/// A file that is being written.
pub(super) struct GgufOutput {
    out: Output,
    path: PathBuf,
}

impl GgufOutput {
    /// Writes the header; the tensors follow in the same order.
    pub(super) fn create(
        path: &Path,
        metadata: &[(String, Item)],
        tensors: &[Stated],
    ) -> Result<Self, ModelError> {
        let mut header = b"GGUF".to_vec();
        header.extend(3_u32.to_le_bytes());
        header.extend((tensors.len() as u64).to_le_bytes());
        header.extend((metadata.len() as u64).to_le_bytes());
        for (key, item) in metadata {
            put_text(&mut header, key);
            item.put(&mut header);
        }
        let mut offset = 0;
        for tensor in tensors {
            put_text(&mut header, &tensor.name);
            let dimensions = u32::try_from(tensor.shape.len()).expect("tensors have few dimensions");
            header.extend(dimensions.to_le_bytes());
            for size in tensor.shape.iter().rev() {
                header.extend((*size as u64).to_le_bytes());
            }
            header.extend(tensor.block_type.number().to_le_bytes());
            header.extend((offset as u64).to_le_bytes());
            offset += tensor.bytes().next_multiple_of(ALIGNMENT);
        }
        header.resize(header.len().next_multiple_of(ALIGNMENT), 0);
        let mut this = Self { out: Output::create(path)?, path: path.to_path_buf() };
        this.write(&header)?;
        Ok(this)
    }

    /// Writes the values of a tensor.
    pub(super) fn tensor(&mut self, tensor: &Stated, give: Give) -> Result<(), ModelError> {
        let mut piece = Piece::of(tensor);
        let (mut count, mut written) = (0, Ok(()));
        give(&mut |values| {
            count += values.len();
            piece.values.extend_from_slice(values);
            if piece.values.len() >= PIECE && written.is_ok() {
                written = self.units(&mut piece);
            }
        })?;
        written?;
        if count != tensor.values() {
            let message = format!("{count} values for shape {:?}", tensor.shape);
            return Err(ModelError::tensor(&self.path, &tensor.name, message));
        }
        self.units(&mut piece)?;
        let bytes = tensor.bytes();
        self.write(&vec![0; bytes.next_multiple_of(ALIGNMENT) - bytes])
    }

    /// Moves the file to its place.
    pub(super) fn finish(self) -> Result<(), ModelError> {
        Ok(self.out.finish()?)
    }

    /// Writes all units that are complete.
    fn units(&mut self, piece: &mut Piece) -> Result<(), ModelError> {
        let Stated { name, block_type, .. } = piece.tensor;
        let (bytes, wrong) = piece.take_whole_units();
        match wrong {
            Some(value) => {
                Err(ModelError::tensor(&self.path, name, misfit_message(value, block_type.name())))
            }
            None => self.write(&bytes),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ModelError> {
        self.out.write_all(bytes).map_err(|error| WriteError::new(&self.path, &error).into())
    }
}

/// Values of a tensor that have not been written yet.
struct Piece<'a> {
    tensor: &'a Stated,
    values: Vec<f32>,
    /// Values that are reordered and quantised together: a row, or the rows of a head.
    unit: usize,
}

impl<'a> Piece<'a> {
    fn of(tensor: &'a Stated) -> Self {
        let rows = match tensor.order {
            RowOrder::AsStored => 1,
            RowOrder::Paired { head_dim } => head_dim,
        };
        Self { tensor, values: Vec::new(), unit: rows * tensor.row_length() }
    }

    /// The bytes of all units that are complete, and a value of them that is no finite number there.
    fn take_whole_units(&mut self) -> (Vec<u8>, Option<f32>) {
        let whole = self.values.len() / self.unit * self.unit;
        let rest = self.values.split_off(whole);
        let values = std::mem::replace(&mut self.values, rest);
        let (width, unit) = (self.tensor.row_length(), self.unit);
        let mut bytes = vec![0; self.tensor.block_type.bytes(values.len())];
        let unit_bytes = self.tensor.block_type.bytes(unit);
        let wrong = |(bytes, values): (&mut [u8], &[f32])| {
            let (block_type, mut wrong) = (self.tensor.block_type, None);
            let row_bytes = block_type.bytes(width);
            for (row, values) in values.chunks_exact(width).enumerate() {
                let place = self.tensor.order.stored_row(row) * row_bytes;
                let bytes = &mut bytes[place..][..row_bytes];
                quantise(block_type, values, bytes);
                wrong = wrong.or_else(|| misfit(block_type, values, bytes));
            }
            wrong
        };
        let units = bytes.par_chunks_mut(unit_bytes).zip(values.par_chunks(unit));
        let wrong = units.filter_map(wrong).find_first(|_| true);
        (bytes, wrong)
    }
}
