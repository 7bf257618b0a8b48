//! Texts of data files, made safe and short enough for a page.

use std::fmt::Write;

use emotrain_eval::Interval;

/// Text for HTML and SVG outside of templates.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The page without characters that HTML does not allow: they are shown as U+FFFD.
pub(crate) fn without_controls(page: &str) -> String {
    let is_allowed = |one: char| !one.is_control() || one == '\n' || one == '\t';
    page.chars().map(|one| if is_allowed(one) { one } else { '\u{fffd}' }).collect()
}

/// At most `most` characters, with the number of those that are left out.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(most) else { return text.to_owned() };
    let left = text[end..].chars().count();
    let mut short = text[..end].to_owned();
    let _ = write!(short, " … ({left} more characters)");
    short
}

/// A name for a plot: one line of at most `most` characters, none of which changes the direction of others.
pub(crate) fn name(text: &str, most: usize) -> String {
    let turns = |one: &char| matches!(one, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let kept = text.chars().filter(|one| !turns(one));
    let line: String = kept.map(|one| if one.is_control() { ' ' } else { one }).collect();
    if line.chars().count() <= most {
        return line;
    }
    line.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// With a capital.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A fraction of 1 in percent.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.2}", 100.0 * share)
}

/// The ends of an interval in percent.
pub(crate) fn between(interval: Interval) -> String {
    format!("{} to {}", percent(interval.low), percent(interval.high))
}

/// A whole number with separators.
pub(crate) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A point in time, in UTC.
pub(crate) fn moment(unix_s: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "seconds; what lies outside of the calendar is refused below"
    )]
    let seconds = unix_s as i64;
    jiff::Timestamp::from_second(seconds).map_or_else(|_| unix_s.to_string(), |time| time.to_string())
}

/// Seconds for people.
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 120.0 {
        format!("{seconds:.1} s")
    } else if seconds < 7200.0 {
        format!("{:.1} min", seconds / 60.0)
    } else {
        format!("{:.1} h", seconds / 3600.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_markup() {
        assert_eq!(escaped("<b a='1' b=\"2\">&"), "&lt;b a=&#39;1&#39; b=&quot;2&quot;&gt;&amp;");
        assert_eq!(without_controls("a\0b\u{1b}[1m\r\nc\td"), "a\u{fffd}b\u{fffd}[1m\u{fffd}\nc\td");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shortened("añb", 3), "añb");
        assert_eq!(shortened("añbcd", 2), "añ … (3 more characters)");
        assert_eq!(name("a\nlong name", 6), "a lon…");
        assert_eq!(name("\u{202e}abc\u{2069}", 6), "abc");
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(moment(0.5), "1970-01-01T00:00:00Z");
        assert_eq!(moment(1e300), format!("{}", 1e300));
        assert_eq!([1.0, 600.0, 9000.0].map(duration), ["1.0 s", "10.0 min", "2.5 h"]);
    }
}
