//! What orders the utterances of a dialogue: numbers, or times.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::whole;
use crate::error::PositionKind;

/// A place in the order of a dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    /// Millionths: of a number, or microseconds after the earliest time that there is.
    pub(super) millionths: u64,
    /// Whether it is a time, at which several things may be said: a date with a time, a number with a fraction, or one
    /// that counts the seconds since 1970, or parts of them.
    pub(super) is_time: bool,
    /// How it is written.
    pub(super) kind: PositionKind,
}

/// Numbers from here on count seconds since 1970, the first of them in 1973.
const SECONDS: u64 = 100_000_000;

impl Moment {
    /// Between a whole number and the next one.
    pub(super) const ONE: u64 = 1_000_000;
}

/// The place of a cell: `7`, `7.25`, `2024-05-01 10:01`, `2024-05-01T10:01:07.5Z`, `2024-05-01T10:01+02:00`,
/// `2024/05/01 10:01` or, with the day first, `01.05.2024 10:01`. A day alone is no time.
pub(super) fn place(cell: &str) -> Option<Moment> {
    let number = |text: &str| text.parse::<u64>().ok()?.checked_mul(Moment::ONE);
    if let Some(millionths) = number(whole(cell)) {
        let (is_time, kind) = (millionths >= SECONDS * Moment::ONE, PositionKind::Number);
        return Some(Moment { millionths, is_time, kind });
    }
    let decimal = decimal(cell).map(|millionths| (millionths, PositionKind::Number));
    let (millionths, kind) = decimal.or_else(|| time(cell).filter(|_| cell.contains(':')))?;
    Some(Moment { millionths, is_time: true, kind })
}

/// Whether a cell looks like a time, read or not: digits around a colon.
pub(super) fn looks_like_a_time(cell: &str) -> bool {
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let bytes = cell.as_bytes();
    let colon = |at: usize| bytes[at] == b':' && is_digit(bytes.get(at + 1)) && is_digit(bytes[..at].last());
    is_digit(bytes.first()) && (0..bytes.len()).any(colon)
}

/// A number with a fraction, of which six digits count.
fn decimal(cell: &str) -> Option<u64> {
    let (number, fraction) = cell.split_once('.')?;
    let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_plain(number) || !is_plain(fraction) {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<6.6}").parse().ok()?;
    number.parse::<u64>().ok()?.checked_mul(Moment::ONE)?.checked_add(fraction)
}

fn time(cell: &str) -> Option<(u64, PositionKind)> {
    let cell = &in_order(cell);
    let local = || Offset::UTC.to_timestamp(cell.parse::<DateTime>().ok()?).ok();
    let zoned = cell.parse::<Timestamp>().ok().map(|time| (time, PositionKind::ZonedTime));
    let (time, kind) = zoned.or_else(|| Some((local()?, PositionKind::LocalTime)))?;
    let millionths = u64::try_from(time.as_microsecond() - Timestamp::MIN.as_microsecond()).ok()?;
    Some((millionths, kind))
}

/// A date of other signs with the year first and hyphens: `01.05.2024 10:01`, `2024/05/01 10:01`.
fn in_order(cell: &str) -> String {
    let (date, rest) = cell.split_at(cell.find([' ', 'T', ',']).unwrap_or(cell.len()));
    let rest = rest.replacen(", ", " ", 1);
    let parts: Vec<&str> = date.split(['.', '/']).collect();
    match parts[..] {
        [day, month, year] if date.contains('.') && year.len() == 4 => {
            format!("{year}-{month:0>2}-{day:0>2}{rest}")
        }
        [year, month, day] if date.contains('/') && year.len() == 4 => {
            format!("{year}-{month:0>2}-{day:0>2}{rest}")
        }
        _ => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_order_in_which_they_pass() {
        let ascending = [
            "1969-12-31T23:59:59.999Z",
            "2000-01-01 00:00",
            "2000-02-29T12:00:00Z",
            "2000-03-01T00:00+02:00",
            "2000-02-29 23:00:00",
            "2000-03-01T00:00:00.25",
            "2000-03-01T00:00:00.5Z",
            "2024-05-01T10:01:00+01:00",
            "2024-05-01T10:01",
            "2.5.2024 09:30",
            "2024/05/02 09:31:07",
            "02.05.2024, 10:00",
        ];
        let places: Vec<Moment> = ascending.iter().map(|cell| place(cell).expect(cell)).collect();
        assert!(places.is_sorted_by(|one, other| one < other), "{places:?}");
        let ascending = ["6", "6.5", "7", "7.000001", "7.25", "7.3", "1772721.662001", "1772721.7"];
        let numbers: Vec<Moment> = ascending.iter().map(|cell| place(cell).expect(cell)).collect();
        assert!(numbers.is_sorted_by(|one, other| one.millionths < other.millionths), "{numbers:?}");
        let seven = Moment { millionths: 7_000_000, is_time: false, kind: PositionKind::Number };
        assert_eq!((place("7"), place("7.0")), (Some(seven), Some(seven)));
        assert!(place("1716902819").is_some_and(|place| place.is_time));
        // Of two numbers it is not known which one is the month.
        let others = [
            "",
            "x",
            "2024-05-01",
            "2024-13-01T00:00",
            "10:01",
            "2024-05-01T10:01Q",
            "-1 1:0",
            "-1.5",
            "1.x",
        ];
        for other in others.into_iter().chain(["03/05/2024 10:01", "31.02.2024 10:00"]) {
            assert_eq!(place(other), None, "{other}");
        }
        assert!(looks_like_a_time("03/05/2024 10:01 PM") && looks_like_a_time("10:01"));
        assert!(!looks_like_a_time("a 10:01") && !looks_like_a_time("12 x") && !looks_like_a_time("1: 2"));
    }
}
