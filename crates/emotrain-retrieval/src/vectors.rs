//! `vectors.safetensors`: the demonstrations' vectors, memory-mapped.
//!
//! The tensors are `vectors`, F32 `[count, dimensions]`, row-major and each row of length 1; `texts`, U64 `[count]`,
//! the key of each vector's text; and the rows quantised to int8, by which a search skips most of them: `codes`, I8
//! `[count, dimensions]`, `steps` and `errors`, F32 `[count]`.

use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use emotrain_data::sha256_file;
use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors};
use serde_json::json;

use crate::embed::{is_unit, length};
use crate::error::{BankProblem, RetrievalError};
use crate::manifest::VectorsRecord;
use crate::mapped::MappedFile;
use crate::quantised::{QuantisedRows, quantise};
use crate::text::TextKey;

const ROWS: &str = "vectors";
const STEPS: &str = "steps";
const ERRORS: &str = "errors";
const TEXTS: &str = "texts";
const CODES: &str = "codes";
/// The alignment of vectors in bytes, a cache line.
const ALIGNMENT: usize = 64;

/// The vectors of a bank.
#[derive(Debug)]
pub(crate) struct Vectors {
    path: PathBuf,
    file: MappedFile,
    rows: Range<usize>,
    steps: Range<usize>,
    errors: Range<usize>,
    texts: Range<usize>,
    codes: Range<usize>,
    count: usize,
    width: usize,
}

impl Vectors {
    /// Maps a file; its header, its length and its shapes are checked, the vectors are not read.
    ///
    /// # Errors
    /// An invalid file, or not the one of the manifest.
    pub(crate) fn open(path: &Path, count: usize, record: &VectorsRecord) -> Result<Self, RetrievalError> {
        let fail = |problem| RetrievalError::bank(path, problem);
        let bad = |message: String| fail(BankProblem::BadVectors(message));
        let file = MappedFile::open(path)?;
        if file.len() as u64 != record.bytes {
            return Err(fail(BankProblem::OtherSize { found: file.len() as u64, expected: record.bytes }));
        }
        let tensors = SafeTensors::deserialize(&file).map_err(|error| bad(error.to_string()))?;
        let place = |name: &str, dtype| {
            let view = tensors.tensor(name).map_err(|_| bad(format!("it has no tensor \"{name}\"")))?;
            if view.dtype() != dtype {
                return Err(bad(format!("the tensor \"{name}\" is {:?}, not {dtype:?}", view.dtype())));
            }
            let start = view.data().as_ptr() as usize - file.as_ptr() as usize;
            Ok((start..start + view.data().len(), view.shape().to_vec()))
        };
        let (rows, shape) = place(ROWS, Dtype::F32)?;
        let &[found_rows, found_width] = shape.as_slice() else {
            return Err(bad(format!("the tensor \"{ROWS}\" has {} dimensions, not 2", shape.len())));
        };
        if (found_rows, found_width) != (count, record.dimensions) || found_width == 0 {
            let (rows, width) = (count, record.dimensions);
            return Err(fail(BankProblem::OtherShape { found_rows, found_width, rows, width }));
        }
        let tensor = |name: &str, dtype, expected: &[usize]| {
            let (place, shape) = place(name, dtype)?;
            let is_right = shape == expected;
            is_right.then_some(place).ok_or_else(|| bad(format!("the tensor \"{name}\" has shape {shape:?}")))
        };
        let steps = tensor(STEPS, Dtype::F32, &[count])?;
        let errors = tensor(ERRORS, Dtype::F32, &[count])?;
        let texts = tensor(TEXTS, Dtype::U64, &[count])?;
        let codes = tensor(CODES, Dtype::I8, &[count, found_width])?;
        for floats in [&rows, &steps, &errors] {
            if bytemuck::try_cast_slice::<u8, f32>(&file[floats.clone()]).is_err() {
                return Err(bad("the numbers do not start on a multiple of 4 bytes".to_owned()));
            }
        }
        let path = path.to_owned();
        Ok(Self { path, rows, steps, errors, texts, codes, file, count, width: found_width })
    }

    /// The quantised rows, by which a search skips most of them.
    pub(crate) fn quantised(&self) -> QuantisedRows<'_> {
        let floats = |place: &Range<usize>| bytemuck::cast_slice(&self.file[place.clone()]);
        QuantisedRows {
            codes: bytemuck::cast_slice(&self.file[self.codes.clone()]),
            steps: floats(&self.steps),
            errors: floats(&self.errors),
        }
    }

    /// Reads one vector from the file without the mapping: random access would otherwise gradually map the whole file.
    pub(crate) fn read(&self, row: usize, vector: &mut [f32]) {
        #[cfg(target_endian = "little")]
        if self
            .file
            .read_at(self.rows.start + row * self.width * size_of::<f32>(), bytemuck::cast_slice_mut(vector))
        {
            return;
        }
        vector.copy_from_slice(self.row(row));
    }

    /// All vectors, row-major.
    pub(crate) fn all(&self) -> &[f32] {
        bytemuck::cast_slice(&self.file[self.rows.clone()])
    }

    /// One vector.
    pub(crate) fn row(&self, row: usize) -> &[f32] {
        &self.all()[row * self.width..(row + 1) * self.width]
    }

    /// The key of a vector's text.
    pub(crate) fn text(&self, row: usize) -> TextKey {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.file[self.texts.clone()][row * 8..row * 8 + 8]);
        TextKey(u64::from_le_bytes(bytes))
    }

    /// The width of a vector.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// The number of vectors.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Whether these start with all of `other`, texts and numbers.
    pub(crate) fn begins_with(&self, other: &Self) -> bool {
        self.width == other.width
            && self.file[self.texts.clone()].starts_with(&other.file[other.texts.clone()])
            && self.all().starts_with(other.all())
    }

    /// Reads and hashes all bytes.
    ///
    /// # Errors
    /// Bytes that differ from those written.
    pub(crate) fn check_digest(&self, record: &VectorsRecord) -> Result<(), RetrievalError> {
        let found = sha256_file(&self.path)?;
        if found == record.sha256 {
            return Ok(());
        }
        let problem = BankProblem::OtherContent { found, expected: record.sha256.clone() };
        Err(RetrievalError::bank(&self.path, problem))
    }

    /// Checks every vector.
    pub(crate) fn problems(&self) -> Vec<RetrievalError> {
        let fail = |problem| RetrievalError::bank(&self.path, problem);
        let rows = self.all().par_chunks_exact(self.width).enumerate();
        let quantised = self.quantised();
        let other =
            |row, vector| (!quantised.is_of(row, vector)).then_some(BankProblem::OtherQuantised { row });
        let bad = rows.filter_map(|(row, vector)| bad_vector(row, vector).or_else(|| other(row, vector)));
        let bad: Vec<BankProblem> = bad.collect();
        bad.into_iter().map(fail).collect()
    }
}

fn bad_vector(row: usize, vector: &[f32]) -> Option<BankProblem> {
    if let Some(&value) = vector.iter().find(|value| !value.is_finite()) {
        return Some(BankProblem::NotFinite { row, value });
    }
    let length = length(vector);
    (!is_unit(length)).then_some(BankProblem::NotUnit { row, length })
}

/// Writes the file: `rows` yields one vector after another.
///
/// # Errors
/// A full disk, or an error of `rows`.
pub(crate) fn write_vectors<'a>(
    path: &Path,
    encoder: &str,
    width: usize,
    texts: &[TextKey],
    rows: impl Iterator<Item = Result<std::borrow::Cow<'a, [f32]>, RetrievalError>>,
) -> Result<VectorsRecord, RetrievalError> {
    let fail = |error: std::io::Error| RetrievalError::write(path, &error);
    let header = header(encoder, texts.len(), width);
    let mut out = BufWriter::with_capacity(1 << 20, fs_err::File::create(path).map_err(fail)?);
    out.write_all(&header).map_err(fail)?;
    let mut codes: Vec<i8> = Vec::with_capacity(texts.len() * width);
    let (mut steps, mut errors) = (Vec::with_capacity(texts.len()), Vec::with_capacity(texts.len()));
    for row in rows {
        let row = row?;
        let (coded, step, error) = quantise(&row);
        codes.extend(coded);
        steps.push(step);
        errors.push(error);
        write_floats(&mut out, &row).map_err(fail)?;
    }
    write_floats(&mut out, &steps).map_err(fail)?;
    write_floats(&mut out, &errors).map_err(fail)?;
    for text in texts {
        out.write_all(&text.0.to_le_bytes()).map_err(fail)?;
    }
    out.write_all(bytemuck::cast_slice(&codes)).map_err(fail)?;
    let file = out.into_inner().map_err(|error| fail(error.into_error()))?;
    file.sync_all().map_err(fail)?;
    let bytes = file.metadata().map_err(fail)?.len();
    let sha256 = sha256_file(path)?;
    Ok(VectorsRecord { encoder: encoder.to_owned(), dimensions: width, bytes, sha256 })
}

fn write_floats(out: &mut impl Write, values: &[f32]) -> std::io::Result<()> {
    values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))
}

/// The length of the header, then the header, padded so that the vectors are aligned.
fn header(identity: &str, count: usize, width: usize) -> Vec<u8> {
    let mut start = 0;
    let mut entry = |dtype: &str, bytes: usize, shape: &[usize]| {
        let end = start + bytes * shape.iter().product::<usize>();
        let entry = json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, end] });
        start = end;
        entry
    };
    let entries = json!({
        "__metadata__": { "encoder": identity },
        ROWS: entry("F32", 4, &[count, width]),
        STEPS: entry("F32", 4, &[count]),
        ERRORS: entry("F32", 4, &[count]),
        TEXTS: entry("U64", 8, &[count]),
        CODES: entry("I8", 1, &[count, width]),
    });
    let mut text = entries.to_string().into_bytes();
    text.resize((8 + text.len()).next_multiple_of(ALIGNMENT) - 8, b' ');
    let mut header = (text.len() as u64).to_le_bytes().to_vec();
    header.extend(text);
    header
}
