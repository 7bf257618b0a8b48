//! Words as people write them.

/// How many characters differ between two words: inserted, left out, replaced, or exchanged with a neighbour
/// (Damerau and Levenshtein).
pub fn typing_errors(written: &str, meant: &str) -> usize {
    strsim::damerau_levenshtein(written, meant)
}

/// The candidate with the fewest [`typing_errors`], the first of equal ones, if at most a third of the longer word is
/// wrong: what a misspelt name may have meant.
///
/// ```
/// use emotrain_base::nearest;
///
/// assert_eq!(nearest("suprise", ["neutral", "surprise"]), Some("surprise"));
/// assert_eq!(nearest("rain", ["neutral", "surprise"]), None);
/// ```
pub fn nearest<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let length = written.chars().count();
    candidates
        .into_iter()
        .map(|candidate| (typing_errors(written, candidate), candidate))
        .filter(|(errors, candidate)| errors * 3 <= length.max(candidate.chars().count()))
        .min_by_key(|(errors, _)| *errors)
        .map(|(_, candidate)| candidate)
}
