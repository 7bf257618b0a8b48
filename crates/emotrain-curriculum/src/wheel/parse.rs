//! Wheels as TOML: three sections; every error has its line.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

use emotrain_recipe::folded;

use super::Place;
use crate::error::WheelError;

/// A wheel being read.
struct Reader<'t> {
    text: &'t str,
    origin: &'t str,
    places: BTreeMap<String, Place>,
    /// The line of each name, by folded name.
    lines: BTreeMap<String, usize>,
}

/// The positions of a wheel by folded name.
pub(super) fn places(text: &str, origin: &str) -> Result<BTreeMap<String, Place>, WheelError> {
    let mut reader = Reader { text, origin, places: BTreeMap::new(), lines: BTreeMap::new() };
    let document = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        reader.error(at, format!("not valid TOML: {}", error.message()), None)
    })?;
    let mut aliases = Vec::new();
    for (name, value) in document.get_ref() {
        let at = name.span().start;
        let hint = Some("the sections are [angles], [points] and [aliases]");
        let DeValue::Table(entries) = value.get_ref() else {
            let problem = format!("{:?} is outside any section", name.get_ref());
            return Err(reader.error(at, problem, hint));
        };
        match &**name.get_ref() {
            "angles" => reader.each(entries, Reader::angle)?,
            "points" => reader.each(entries, Reader::point)?,
            "aliases" => aliases.extend(entries),
            other => return Err(reader.error(at, format!("unknown section [{other}]"), hint)),
        }
    }
    for (name, value) in aliases {
        let place = reader.alias(value)?;
        reader.add(name, place)?;
    }
    if reader.places.is_empty() {
        return Err(reader.error(0, "has no emotions".to_owned(), None));
    }
    Ok(reader.places)
}

type Name<'t> = Spanned<std::borrow::Cow<'t, str>>;
type Value<'t> = Spanned<DeValue<'t>>;

impl Reader<'_> {
    fn each(
        &mut self,
        entries: &DeTable<'_>,
        read: impl Fn(&Self, &Value<'_>) -> Result<Place, WheelError>,
    ) -> Result<(), WheelError> {
        for (name, value) in entries {
            let place = read(self, value)?;
            self.add(name, place)?;
        }
        Ok(())
    }

    fn angle(&self, value: &Value<'_>) -> Result<Place, WheelError> {
        match number(value.get_ref()) {
            Some(degrees) if (0.0..360.0).contains(&degrees) => Ok(Place::at_angle(degrees)),
            _ => {
                let problem = "an angle is a number of degrees from 0 to below 360".to_owned();
                Err(self.error(value.span().start, problem, None))
            }
        }
    }

    fn point(&self, value: &Value<'_>) -> Result<Place, WheelError> {
        let items = value.get_ref().as_array().into_iter().flatten();
        let numbers: Option<Vec<f64>> = items.map(|item| number(item.get_ref())).collect();
        if let Some(&[x, y]) = numbers.as_deref() {
            return Ok(Place::at_point(x, y));
        }
        Err(self.error(value.span().start, "a point is a list of two numbers, [x, y]".to_owned(), None))
    }

    fn alias(&self, value: &Value<'_>) -> Result<Place, WheelError> {
        let at = value.span().start;
        let Some(target) = value.get_ref().as_str() else {
            return Err(self.error(at, "an alias names an emotion, in quotes".to_owned(), None));
        };
        self.places.get(&folded(target)).copied().ok_or_else(|| {
            let hint = Some("an alias names an emotion under [angles] or [points]");
            self.error(at, format!("{target:?} is not an emotion of this wheel"), hint)
        })
    }

    fn add(&mut self, name: &Name<'_>, place: Place) -> Result<(), WheelError> {
        let at = name.span().start;
        let key = folded(name.get_ref());
        if key.is_empty() {
            return Err(self.error(at, "an emotion without a name".to_owned(), None));
        }
        if let Some(first) = self.lines.insert(key.clone(), self.line(at)) {
            let problem = format!("{:?} is already defined on line {first}", name.get_ref());
            return Err(self.error(
                at,
                problem,
                Some("names that differ only in case, spaces, \"-\" and \"_\" are the same"),
            ));
        }
        self.places.insert(key, place);
        Ok(())
    }

    fn line(&self, at: usize) -> usize {
        self.text.as_bytes()[..at.min(self.text.len())].split(|&byte| byte == b'\n').count()
    }

    fn error(&self, at: usize, problem: String, hint: Option<&'static str>) -> WheelError {
        WheelError { origin: self.origin.to_owned(), line: self.line(at), problem, hint }
    }
}

/// A finite number, integer or float.
fn number(value: &DeValue<'_>) -> Option<f64> {
    let whole = value.as_integer().filter(|digits| digits.radix() == 10).map(DeInteger::as_str);
    let digits = whole.or_else(|| value.as_float().map(DeFloat::as_str));
    digits?.parse().ok().filter(|number: &f64| number.is_finite())
}
