//! The interface of sentence encoders.

/// A sentence encoder: texts with similar meaning get vectors of similar direction.
///
/// The only real implementation is in the program, around the model crate's sentence encoder; tests have small ones.
/// Lexical search needs none: see [`Retriever`](crate::Retriever).
pub trait Embedder {
    /// Identifies everything that determines the vectors: the model, its weights, its pooling. Two encoders with the
    /// same identity compute the same vectors. Of `name@sha256:digest` only the digest counts; the name says where the
    /// encoder was found: see [`same_encoder`].
    fn identity(&self) -> String;

    /// The width of a vector, at least 1.
    fn dimensions(&self) -> usize;

    /// The vectors of `texts`, one after another, each of length 1.
    ///
    /// # Shapes
    /// `[texts.len() × dimensions]`, row-major.
    ///
    /// # Errors
    /// Any error of the encoder, with its message.
    fn embed(&self, texts: &[&str]) -> Result<Vec<f32>, EmbedderError>;
}

/// The separator between an encoder's name and the digest of everything that determines its vectors.
const DIGEST: &str = "@sha256:";

/// Whether two identities are of encoders with the same vectors: by their digests if both have one.
///
/// ```
/// use emotrain_retrieval::same_encoder;
///
/// assert!(same_encoder("models/minilm@sha256:53aa", "sentence-transformers/all-MiniLM-L6-v2@sha256:53aa"));
/// assert!(!same_encoder("minilm@sha256:53aa", "minilm@sha256:0b17"));
/// assert!(!same_encoder("minilm@sha256:53aa", "minilm"));
/// ```
pub fn same_encoder(one: &str, other: &str) -> bool {
    match (one.rsplit_once(DIGEST), other.rsplit_once(DIGEST)) {
        (Some((_, one)), Some((_, other))) => one == other,
        _ => one == other,
    }
}

/// The name in an identity, by which the encoder may be found again: the part before its digest.
pub fn encoder_name(identity: &str) -> &str {
    identity.rsplit_once(DIGEST).map_or(identity, |(name, _)| name)
}

/// The part of an identity that counts: its digest, or all of an identity without one.
pub(crate) fn encoder_digest(identity: &str) -> &str {
    identity.rsplit_once('@').filter(|_| identity.contains(DIGEST)).map_or(identity, |(_, digest)| digest)
}

/// An error of an encoder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EmbedderError {
    /// The problem.
    pub message: String,
    /// The fix, if there is one to suggest.
    pub hint: Option<String>,
}

/// The tolerance of a vector's length around 1: rounding to half precision changes it by less.
pub(crate) const UNIT_TOLERANCE: f32 = 1e-3;

/// Whether a length is 1 within [`UNIT_TOLERANCE`]; NaN is not.
pub(crate) fn is_unit(length: f32) -> bool {
    (1.0 - UNIT_TOLERANCE..=1.0 + UNIT_TOLERANCE).contains(&length)
}

/// The vectors of `texts`, checked: the right number, finite, of length 1.
pub(crate) fn embed_checked(embedder: &dyn Embedder, texts: &[&str]) -> Result<Vec<f32>, EmbedderError> {
    let width = embedder.dimensions();
    let vectors = embedder.embed(texts)?;
    let fail = |message| Err(EmbedderError { message, hint: None });
    let identity = embedder.identity();
    if width == 0 || vectors.len() != texts.len() * width {
        return fail(format!(
            "the encoder {identity} gave {} numbers for {} texts of {width}",
            vectors.len(),
            texts.len()
        ));
    }
    for (text, vector) in texts.iter().zip(vectors.chunks_exact(width)) {
        let length = length(vector);
        if !is_unit(length) {
            return fail(format!("the encoder {identity} gave a vector of length {length} for {text:?}"));
        }
    }
    Ok(vectors)
}

/// Euclidean length; NaN if a number is NaN.
pub(crate) fn length(vector: &[f32]) -> f32 {
    let squares: f64 = vector.iter().map(|value| f64::from(*value) * f64::from(*value)).sum();
    #[expect(clippy::cast_possible_truncation, reason = "a length is compared with 1")]
    let length = squares.sqrt() as f32;
    length
}
