//! The emotion wheel: positions of emotions, and their similarity (PRC-Emo, Eq. 1).

mod parse;

use std::collections::BTreeMap;

use emotrain_data::{Label, LabelSet, TextFile};
use emotrain_recipe::{CurriculumSection, folded};

use crate::error::{CurriculumError, WheelError};

/// `curriculum/wheel.toml`: the emotion wheel of PRC-Emo.
pub const WHEEL_TOML: &str = include_str!("../../../curriculum/wheel.toml");
/// The built-in wheel's name in errors.
const BUILTIN: &str = "curriculum/wheel.toml (built in)";

/// The position of each emotion.
#[derive(Clone, Debug, PartialEq)]
pub struct Wheel {
    /// The wheel's file.
    origin: String,
    /// By folded name, aliases included.
    places: BTreeMap<String, Place>,
}

/// A point in the plane.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    /// The x coordinate.
    valence: f64,
    /// The direction from the centre in degrees, from 0 to below 360; `None` for the centre itself.
    angle: Option<f64>,
}

impl Place {
    /// A point on the unit circle.
    fn at_angle(degrees: f64) -> Self {
        Self { valence: cos_degrees(degrees), angle: Some(degrees) }
    }

    fn at_point(x: f64, y: f64) -> Self {
        let angle = (x != 0.0 || y != 0.0).then(|| y.atan2(x).to_degrees());
        Self { valence: x, angle }
    }

    /// `s_ij` of Eq. 1; `inverse` is 1/N.
    fn similarity(self, other: Self, inverse: f64) -> f64 {
        let product = self.valence.signum() * other.valence.signum();
        match (self.angle, other.angle) {
            _ if self.valence == 0.0 || other.valence == 0.0 => inverse,
            (Some(one), Some(other)) if product > 0.0 => cos_degrees(one - other).max(0.0),
            _ => 0.0,
        }
    }
}

/// The cosine of an angle in degrees: exactly 0 at 90 and 270; elsewhere the error is at most the rounding of the angle
/// to radians and of the result.
fn cos_degrees(degrees: f64) -> f64 {
    let turned = degrees.abs() % 360.0;
    let half = if turned > 180.0 { 360.0 - turned } else { turned };
    if half <= 45.0 { half.to_radians().cos() } else { (90.0 - half).to_radians().sin() }
}

impl Wheel {
    /// PRC-Emo's wheel, [`WHEEL_TOML`].
    ///
    /// # Panics
    /// If the embedded file is invalid, which the tests exclude.
    pub fn builtin() -> Self {
        match Self::from_toml(WHEEL_TOML, BUILTIN) {
            Ok(wheel) => wheel,
            Err(error) => panic!("{error}"),
        }
    }

    /// The recipe's wheel: its own file, or else the built-in one.
    ///
    /// # Errors
    /// A file that cannot be read or is invalid.
    pub fn from_section(section: &CurriculumSection) -> Result<Self, CurriculumError> {
        let Some(path) = &section.wheel else { return Ok(Self::builtin()) };
        let file = TextFile::read(path)?;
        Ok(Self::from_toml(&file.text, &path.display().to_string())?)
    }

    /// Parses a wheel in the format of `curriculum/wheel.toml`; `origin` names the file in errors.
    ///
    /// # Errors
    /// The first problem, with its line.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, WheelError> {
        Ok(Self { origin: origin.to_owned(), places: parse::places(text, origin)? })
    }

    /// The similarities of the labels of a set. `labels_n` is the `N` of 1/N in Eq. 1; `None` uses the size of the set.
    ///
    /// # Errors
    /// [`CurriculumError::UnknownEmotions`] for the labels that the wheel lacks.
    pub fn similarity(
        &self,
        labels: &LabelSet,
        labels_n: Option<usize>,
    ) -> Result<Similarity, CurriculumError> {
        let place = |name: &String| self.places.get(&folded(name)).copied();
        let unknown = labels.names().iter().filter(|name| place(name).is_none());
        let unknown: Vec<_> =
            unknown.map(|name| (name.clone(), self.nearest(name).map(str::to_owned))).collect();
        if !unknown.is_empty() {
            return Err(CurriculumError::UnknownEmotions { labels: unknown, wheel: self.origin.clone() });
        }
        let places: Vec<Place> = labels.names().iter().filter_map(place).collect();
        let inverse = 1.0 / labels_n.unwrap_or(places.len()).max(1) as f64;
        let table = places.iter().flat_map(|one| places.iter().map(|other| one.similarity(*other, inverse)));
        Ok(Similarity { labels: places.len(), table: table.collect() })
    }

    /// Whether the label is at the centre; `false` for one that is not on the wheel.
    pub fn is_neutral(&self, label: &str) -> bool {
        self.places.get(&folded(label)).is_some_and(|place| place.angle.is_none())
    }

    fn nearest(&self, wrong: &str) -> Option<&str> {
        emotrain_base::nearest(&folded(wrong), self.places.keys().map(String::as_str))
    }
}

/// Similarities of the labels of a set: `s_ij` of Eq. 1, from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Similarity {
    labels: usize,
    /// Row-major.
    table: Vec<f64>,
}

impl Similarity {
    /// The similarity of two labels.
    ///
    /// # Panics
    /// If a label is not in the set.
    pub fn of(&self, one: Label, other: Label) -> f64 {
        assert!(other.index() < self.labels, "a label of another set");
        self.table[one.index() * self.labels + other.index()]
    }
}

#[cfg(test)]
mod tests;
