//! The date that a chat template may print, fixed so that prompts do not change from day to day.

use std::fmt;

use jiff::civil::{Date, date};
use jiff::fmt::strtime;

/// A day of the Gregorian calendar. Written `2024-07-26`.
///
/// Some chat templates print today's date into the system message. A prompt that depends on the day of training differs
/// from the evaluation's, so the date is a fixed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChatDate(Date);

/// The default date of Llama's own templates.
pub const DEFAULT_DATE: ChatDate = ChatDate(date(2024, 7, 26));

impl fmt::Display for ChatDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ChatDate {
    /// Python's `strftime` for midnight of this day; an unknown directive is returned as an error.
    pub(super) fn format(self, format: &str) -> Result<String, char> {
        let midnight = self.0.at(0, 0, 0, 0);
        let mut text = String::new();
        let mut characters = format.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                text.push(character);
                continue;
            }
            let mut directive = characters.next().unwrap_or('%');
            let flag = if directive == '-' { "-" } else { "" };
            if !flag.is_empty() {
                directive = characters.next().unwrap_or('-');
            }
            let expanded = match directive {
                // Python's in the C locale.
                'c' => "%a %b %e %H:%M:%S %Y".to_owned(),
                'x' => "%m/%d/%y".to_owned(),
                'X' => "%H:%M:%S".to_owned(),
                'f' => "000000".to_owned(),
                // A date has no time zone.
                'z' | 'Z' => String::new(),
                other => format!("%{flag}{other}"),
            };
            text.push_str(&strtime::format(expanded, midnight).map_err(|_| directive)?);
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_python_writes_them() {
        let format = "%d %b %Y|%A, %B %-d|%a %e.%-m.%y|%F %H:%M:%S|%I %p|100%%";
        assert_eq!(
            DEFAULT_DATE.format(format).unwrap(),
            "26 Jul 2024|Friday, July 26|Fri 26.7.24|2024-07-26 00:00:00|12 AM|100%"
        );
        let leap_day = ChatDate(date(2000, 2, 29));
        assert_eq!(leap_day.format("%A %y").unwrap(), "Tuesday 00");
        assert_eq!(
            leap_day.format("%j|%u%w|%x %X|%c|%f%z").unwrap(),
            "060|22|02/29/00 00:00:00|Tue Feb 29 00:00:00 2000|000000"
        );
        assert_eq!(
            ChatDate(date(2024, 7, 5)).format("%e|%-e|%h%n%t%D %T %R %").unwrap(),
            " 5|5|Jul\n\t07/05/24 00:00:00 00:00 %"
        );
        assert_eq!(DEFAULT_DATE.format("%j%u").unwrap(), "2085");
        assert_eq!(DEFAULT_DATE.to_string(), "2024-07-26");
        assert_eq!(DEFAULT_DATE.format("%Q"), Err('Q'));
        assert_eq!(DEFAULT_DATE.format("%-"), Err('-'));
    }
}
