//! What orders the utterances of a dialogue: whole numbers, or times of ISO 8601.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::whole;

/// The number of a cell, or its time in microseconds after the earliest that there is: `7`, `2024-05-01 10:01`,
/// `2024-05-01T10:01:07.5Z`, `2024-05-01T10:01+02:00`. A time without a zone is one of UTC; a day alone is no time.
pub(super) fn place(cell: &str) -> Option<u64> {
    whole(cell).parse().ok().or_else(|| time(cell).filter(|_| cell.contains(':')))
}

fn time(cell: &str) -> Option<u64> {
    let local = || Offset::UTC.to_timestamp(cell.parse::<DateTime>().ok()?).ok();
    let time: Timestamp = cell.parse().ok().or_else(local)?;
    u64::try_from(time.as_microsecond() - Timestamp::MIN.as_microsecond()).ok()
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
        ];
        let places: Vec<u64> = ascending.iter().map(|cell| place(cell).expect(cell)).collect();
        assert!(places.is_sorted_by(|one, other| one < other), "{places:?}");
        assert_eq!((place("7"), place("7.0")), (Some(7), Some(7)));
        for other in ["", "x", "2024-05-01", "2024-13-01T00:00", "10:01", "2024-05-01T10:01Q", "-1 1:0"] {
            assert_eq!(place(other), None, "{other}");
        }
    }
}
