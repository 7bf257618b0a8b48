//! Words in shell scripts and in `#SBATCH` lines.

/// A word as a shell reads it.
pub(super) fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A value as `sbatch` reads it in a `#SBATCH` line.
pub(super) fn option_value(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_graphic() && !"\"'\\#".contains(c);
    if !value.is_empty() && value.chars().all(is_plain) {
        value.to_owned()
    } else {
        format!("\"{}\"", value.replace('\\', r"\\").replace('"', "\\\""))
    }
}

/// A path in a file name pattern of Slurm, where `%` begins a placeholder.
pub(super) fn pattern(path: &str) -> String {
    path.replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_they_must_be() {
        assert_eq!(shell_word("a/b-1.toml"), "a/b-1.toml");
        assert_eq!(shell_word("it's here"), r"'it'\''s here'");
        assert_eq!(shell_word(""), "''");
        assert_eq!(shell_word("$HOME"), "'$HOME'");
        assert_eq!(option_value("gpu:1"), "gpu:1");
        assert_eq!(option_value("a b\"c"), r#""a b\"c""#);
        assert_eq!(pattern("100%/x"), "100%%/x");
    }
}
