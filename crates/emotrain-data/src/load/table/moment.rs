//! What orders the utterances of a dialogue: whole numbers, or times of ISO 8601.

use super::whole;

/// The number of a cell, or its time in milliseconds since the year 0: `7`, `2024-05-01 10:01`, `2024-05-01T10:01:07.5Z`,
/// `2024-05-01T10:01+02:00`. A time without a zone is one of UTC.
pub(super) fn place(cell: &str) -> Option<u64> {
    whole(cell).parse().ok().or_else(|| time(cell))
}

fn time(cell: &str) -> Option<u64> {
    let (date, time) = cell.split_once(['T', 't', ' '])?;
    let [year, month, day] = numbers(date, '-')?;
    let time = time.trim();
    let (time, zone) = match time.find(['Z', 'z', '+', '-']) {
        Some(at) => (&time[..at], &time[at..]),
        None => (time, "Z"),
    };
    let (time, fraction) = time.trim().split_once(['.', ',']).unwrap_or((time.trim(), "0"));
    let [hour, minute, second] = numbers(time, ':').or_else(|| numbers(&format!("{time}:0"), ':'))?;
    let is_time =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    let millis: u64 = digits.parse().ok()?;
    let minutes = (days(year, month, day) * 24 + hour) * 60 + minute;
    let minutes = minutes.checked_add_signed(-offset(zone)?)?;
    is_time.then_some((minutes * 60 + second) * 1000 + millis)
}

/// Three whole numbers.
fn numbers(text: &str, separator: char) -> Option<[u64; 3]> {
    let parts: Option<Vec<u64>> = text.split(separator).map(|part| part.parse().ok()).collect();
    parts?.try_into().ok()
}

/// Days from the beginning of the year 0 in the Gregorian calendar, of a month that begins in March.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.saturating_sub(1), month + 9) };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day
}

/// Minutes that a zone is ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    let (sign, rest) = match zone.split_at(1) {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        (_, rest) => return rest.is_empty().then_some(0),
    };
    let digits = rest.replace(':', "");
    let (hours, minutes) = digits.split_at_checked(2)?;
    let minutes: i64 = if minutes.is_empty() { 0 } else { minutes.parse().ok()? };
    Some(sign * (hours.parse::<i64>().ok()? * 60 + minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_order_in_which_they_pass() {
        let ascending = [
            "1999-12-31T23:59:59.999Z",
            "2000-01-01 00:00",
            "2000-02-29T12:00:00Z",
            "2000-03-01T00:00+02:00",
            "2000-02-29 23:00:00",
            "2000-03-01T00:00:00.25",
            "2000-03-01T00:00:00,5Z",
            "2024-05-01 10:01 +0100",
            "2024-05-01T10:01",
        ];
        let places: Vec<u64> = ascending.iter().map(|cell| place(cell).expect(cell)).collect();
        assert!(places.is_sorted_by(|one, other| one < other), "{places:?}");
        let [one, next] = ["2024-12-31T00:00", "2025-01-01T00:00"].map(|cell| place(cell).unwrap());
        assert_eq!(next - one, 24 * 60 * 60 * 1000);
        assert_eq!((place("7"), place("7.0")), (Some(7), Some(7)));
        for other in [
            "",
            "x",
            "2024-05-01",
            "2024-13-01T00:00",
            "2024-05-01T10",
            "10:01",
            "2024-05-01T10:01Q",
            "-1 1:0",
        ] {
            assert_eq!(place(other), None, "{other}");
        }
    }
}
