//! How long a server asks to be left alone.

use std::time::Duration;

/// What `Retry-After` asks for: seconds, or a moment, which is measured against the reply's own `Date`.
pub fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return (seconds.is_finite() && seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(1e9)));
    }
    let seconds = seconds_of(value)? - seconds_of(date?)?;
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// Seconds since 1970 of a moment in HTTP's customary form, `Sun, 06 Nov 1994 08:49:37 GMT`.
fn seconds_of(date: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = date.trim().split_once(", ")?;
    let [day, month, year, time, "GMT"] = rest.split(' ').collect::<Vec<_>>()[..] else { return None };
    let (day, year): (i64, i64) = (day.parse().ok()?, year.parse().ok()?);
    let month = 1 + i64::try_from(MONTHS.iter().position(|name| *name == month)?).ok()?;
    let clock: Vec<i64> = time.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    let [hours, minutes, seconds] = clock[..] else { return None };
    // Years that begin in March, so that the day that leap years add is a year's last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_say_how_long_in_two_ways() {
        let date = Some("Wed, 21 Oct 2015 07:28:00 GMT");
        let seconds = |value: &str| retry_after(value, date).map(|pause| pause.as_secs_f64());
        assert_eq!(seconds("2"), Some(2.0));
        assert_eq!(seconds(" 0.5"), Some(0.5));
        assert_eq!(seconds("Wed, 21 Oct 2015 07:29:30 GMT"), Some(90.0));
        assert_eq!(seconds("Thu, 22 Oct 2015 07:28:00 GMT"), Some(86400.0));
        assert_eq!(seconds("Wed, 21 Oct 2015 07:27:00 GMT"), Some(0.0));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:29:30 GMT", None), None);
        for nonsense in ["soon", "-1", "inf", "21 Oct 2015", "Wed, 21 Foo 2015 07:28:00 GMT"] {
            assert_eq!(seconds(nonsense), None, "{nonsense}");
        }
        assert_eq!(seconds_of("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds_of("Tue, 29 Feb 2000 00:00:00 GMT"), Some(951_782_400));
    }
}
