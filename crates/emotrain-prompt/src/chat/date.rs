//! The date that a chat template may print, fixed so that prompts do not change overnight.

use std::fmt;

/// A day of the Gregorian calendar. Written `2024-07-26`.
///
/// Some chat templates print today's date into the system message. A prompt that depends on the day
/// of the training is not the prompt of the evaluation, so the date is a value like any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChatDate {
    /// 1583 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

/// The date that Llama's own templates fall back to when they are not told one.
pub const DEFAULT_DATE: ChatDate = ChatDate { year: 2024, month: 7, day: 26 };

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl fmt::Display for ChatDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl ChatDate {
    /// Python's `strftime` for midnight of this day; the directive that is not known as an error.
    pub(super) fn format(self, format: &str) -> Result<String, char> {
        let mut text = String::new();
        let mut characters = format.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                text.push(character);
                continue;
            }
            let mut directive = characters.next().unwrap_or('%');
            let padded = directive != '-';
            if !padded {
                directive = characters.next().unwrap_or('-');
            }
            text.push_str(&self.directive(directive, padded)?);
        }
        Ok(text)
    }

    fn directive(self, directive: char, padded: bool) -> Result<String, char> {
        let number = |value: u16| if padded { format!("{value:02}") } else { value.to_string() };
        let month = MONTHS[usize::from(self.month.clamp(1, 12)) - 1];
        let weekday = WEEKDAYS[self.weekday()];
        Ok(match directive {
            'Y' => self.year.to_string(),
            'y' => number(self.year % 100),
            'm' => number(self.month.into()),
            'd' => number(self.day.into()),
            'e' => format!("{:2}", self.day),
            'B' => month.to_owned(),
            'b' | 'h' => month[..3].to_owned(),
            'A' => weekday.to_owned(),
            'a' => weekday[..3].to_owned(),
            'F' => format!("{}-{:02}-{:02}", self.year, self.month, self.day),
            'H' | 'M' | 'S' => number(0),
            'I' => number(12),
            'p' => "AM".to_owned(),
            'j' => format!("{:03}", self.day_of_year()),
            'u' => if self.weekday() == 0 { 7 } else { self.weekday() }.to_string(),
            'w' => self.weekday().to_string(),
            'D' | 'x' => format!("{:02}/{:02}/{:02}", self.month, self.day, self.year % 100),
            'T' | 'X' => "00:00:00".to_owned(),
            'R' => "00:00".to_owned(),
            'c' => format!("{} {} {:2} 00:00:00 {}", &weekday[..3], &month[..3], self.day, self.year),
            'f' => "000000".to_owned(),
            'z' | 'Z' => String::new(),
            'n' => "\n".to_owned(),
            't' => "\t".to_owned(),
            '%' => "%".to_owned(),
            unknown => return Err(unknown),
        })
    }

    /// From 1.
    fn day_of_year(self) -> u16 {
        const BEFORE: [u16; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
        let is_leap =
            self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let month = usize::from(self.month.clamp(1, 12));
        BEFORE[month - 1] + u16::from(self.day) + u16::from(is_leap && month > 2)
    }

    /// Days since Sunday, after Sakamoto.
    fn weekday(self) -> usize {
        const SHIFT: [usize; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
        let month = usize::from(self.month.clamp(1, 12));
        let year = usize::from(self.year) - usize::from(month < 3);
        (year + year / 4 - year / 100 + year / 400 + SHIFT[month - 1] + usize::from(self.day)) % 7
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
        let leap_day = ChatDate { year: 2000, month: 2, day: 29 };
        assert_eq!(leap_day.format("%A %y").unwrap(), "Tuesday 00");
        assert_eq!(
            leap_day.format("%j|%u%w|%x %X|%c|%f%z").unwrap(),
            "060|22|02/29/00 00:00:00|Tue Feb 29 00:00:00 2000|000000"
        );
        assert_eq!(DEFAULT_DATE.format("%j%u").unwrap(), "2085");
        assert_eq!(DEFAULT_DATE.format("%Q"), Err('Q'));
    }
}
