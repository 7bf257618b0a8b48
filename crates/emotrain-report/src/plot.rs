//! Drawing: SVG by plotters, in colours that the page replaces in a dark scheme.

use std::fmt::Write;
use std::ops::Range;

use plotters::chart::MeshStyle;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::error::ReportError;
use crate::text::escaped;

/// Width of a drawing in its own units; a page shows it at about half of that.
pub(crate) const WIDTH: u32 = 1040;
/// Height of a line of text in the same units.
pub(crate) const LINE: i32 = 38;
/// The size of text. plotters divides it by 1.24.
const FONT: f64 = 28.0 * 1.24;

/// Text and axes.
pub(crate) const INK: RGBColor = RGBColor(0x1B, 0x1F, 0x24);
/// Less important text and lines.
pub(crate) const FAINT: RGBColor = RGBColor(0x59, 0x63, 0x6E);
/// The lines behind a plot.
pub(crate) const GRID: RGBColor = RGBColor(0xD8, 0xDE, 0xE4);
/// Series in their order; style.css has each for a dark scheme.
pub(crate) const SERIES: [RGBColor; 4] = [
    RGBColor(0x1F, 0x5F, 0xA8),
    RGBColor(0xB3, 0x54, 0x00),
    RGBColor(0x1A, 0x7F, 0x37),
    RGBColor(0x8A, 0x3F, 0xB0),
];

/// Where plotters draws.
pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// A place in a drawing.
pub(crate) type Pixel = <Shift as CoordTranslate>::From;
/// Where plotters draws numbers.
pub(crate) type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// What is said of a drawing to those who do not see it.
pub(crate) struct Caption<'a> {
    /// Unique on the page.
    pub(crate) id: &'a str,
    /// In a few words.
    pub(crate) title: &'a str,
    /// What it shows.
    pub(crate) description: &'a str,
}

/// How a series is marked besides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// No marks: a line alone.
    Line,
    Circle,
    Triangle,
    Cross,
}

/// A drawing as SVG, to be put into a page.
pub(crate) fn drawing(
    caption: &Caption<'_>,
    height: u32,
    draw: impl FnOnce(&Area<'_>) -> Result<(), ReportError>,
) -> Result<String, ReportError> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        draw(&area)?;
        area.present().map_err(failed)?;
    }
    let inner = svg.split_once('>').map_or("", |(_, inner)| inner).trim();
    let inner = inner.strip_suffix("</svg>").unwrap_or(inner);
    let inner = inner.replace(" opacity=\"1\"", "").replace(" font-family=\"sans-serif\"", "");
    let Caption { id, title, description } = caption;
    let (title, description) = (escaped(title), escaped(description));
    let mut whole = String::with_capacity(inner.len() + 600);
    let _ = write!(
        whole,
        "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\">\
         <title id=\"{id}-title\">{title}</title><desc id=\"{id}-desc\">{description}</desc>{inner}</svg>"
    );
    Ok(whole)
}

/// The error of plotters as ours.
pub(crate) fn failed(error: impl std::fmt::Display) -> ReportError {
    ReportError::Plot(error.to_string())
}

/// Text in a colour, at a place of its box.
pub(crate) fn text_style(colour: RGBColor, across: HPos, down: VPos) -> TextStyle<'static> {
    let mut style = TextStyle::from(("sans-serif", FONT)).pos(Pos::new(across, down));
    style.color = colour.to_backend_color();
    style
}

/// Writes text.
pub(crate) fn write(
    area: &Area<'_>,
    text: &str,
    style: &TextStyle<'_>,
    at: Pixel,
) -> Result<(), ReportError> {
    area.draw_text(text, style, at).map_err(failed)
}

/// The width of text, as far as one can know without its font.
pub(crate) fn width(text: &str) -> i32 {
    16 * i32::try_from(text.chars().count()).unwrap_or(i32::MAX / 16)
}

/// The lines behind a plot and its axes, in the style of all plots.
pub(crate) fn mesh<'c, 'a, 'b>(
    chart: &'c mut Chart<'a, 'b>,
) -> MeshStyle<'a, 'c, RangedCoordf64, RangedCoordf64, SVGBackend<'b>> {
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(FAINT)
        .label_style(text_style(FAINT, HPos::Center, VPos::Top))
        .axis_desc_style(text_style(INK, HPos::Center, VPos::Top));
    mesh
}

/// A line, a mark at each of its points, or both.
pub(crate) fn series(
    chart: &mut Chart<'_, '_>,
    points: &[(f64, f64)],
    colour: RGBColor,
    mark: Mark,
) -> Result<(), ReportError> {
    chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(3))).map_err(failed)?;
    for point in points {
        let at = chart.backend_coord(point);
        marked(chart.plotting_area(), at, colour, mark)?;
    }
    Ok(())
}

/// A mark at a place of the whole drawing.
pub(crate) fn marked<C: CoordTranslate>(
    area: &DrawingArea<SVGBackend<'_>, C>,
    at: Pixel,
    colour: RGBColor,
    mark: Mark,
) -> Result<(), ReportError> {
    let area = area.strip_coord_spec();
    // Places in a chart are those of the whole drawing, places in its area begin at its corner.
    let (across, down) = area.get_base_pixel();
    let at = (at.0 - across, at.1 - down);
    let drawn = match mark {
        Mark::Line => Ok(()),
        Mark::Circle => area.draw(&Circle::new(at, 7, colour.filled())),
        Mark::Triangle => area.draw(&TriangleMarker::new(at, 9, colour.filled())),
        Mark::Cross => area.draw(&Cross::new(at, 7, colour.stroke_width(4))),
    };
    drawn.map_err(failed)
}

/// A range with some air around it; never empty.
pub(crate) fn padded(values: impl Iterator<Item = f64>, share: f64) -> Range<f64> {
    let finite = values.filter(|value| value.is_finite());
    let (low, high) = finite
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return 0.0..1.0;
    }
    let air = if high - low > 1e-12 * high.abs().max(1e-12) {
        share * (high - low)
    } else {
        high.abs().max(1.0) * share
    };
    low - air..high + air
}

/// A number for an axis: few digits, small ones with an exponent.
pub(crate) fn tick(value: f64) -> String {
    let size = value.abs();
    if size > 0.0 && size < 0.01 {
        return format!("{value:.1e}").replace(".0e", "e");
    }
    let digits = if size >= 100.0 {
        0
    } else if size >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
