//! The histogram as an image.

use std::fmt::Write as _;

use super::Overview;

/// The size of the image, in pixels.
const SIZE: (f64, f64) = (720.0, 360.0);
/// Left, top, right and bottom of the plot area.
const PLOT: (f64, f64, f64, f64) = (60.0, 50.0, 700.0, 310.0);
/// Colours of successive buckets, distinguishable with colour blindness and in print.
const COLOURS: [&str; 6] = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377"];

impl Overview {
    /// The histogram as SVG: dialogues by difficulty, bars stacked by bucket.
    pub fn svg(&self) -> String {
        let (width, height) = SIZE;
        let (left, top, right, bottom) = PLOT;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
        );
        let title = format!("Curriculum {}: dialogues by difficulty ({})", self.name, self.difficulty);
        text(&mut svg, left, 22.0, "start", &title);
        self.legend(&mut svg);
        self.bars(&mut svg);
        let tallest = self.histogram.tallest();
        for (share, count) in [(0.0, "0".to_owned()), (1.0, tallest.to_string())] {
            text(&mut svg, left - 8.0, bottom - share * (bottom - top) + 4.0, "end", &count);
        }
        let _ =
            writeln!(svg, "<path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"#222222\"/>");
        let (least, most) = (self.histogram.least, self.histogram.most);
        for (share, anchor) in
            [(0.0, "start"), (0.25, "middle"), (0.5, "middle"), (0.75, "middle"), (1.0, "end")]
        {
            let label = format!("{:.3}", least + share * (most - least));
            text(&mut svg, left + share * (right - left), bottom + 18.0, anchor, &label);
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn legend(&self, svg: &mut String) {
        let (left, ..) = PLOT;
        let step = (PLOT.2 - left) / self.buckets.len().max(6) as f64;
        for (number, bucket) in self.buckets.iter().enumerate() {
            let x = left + step * number as f64;
            let colour = COLOURS[number % COLOURS.len()];
            let _ =
                writeln!(svg, "<rect x=\"{x:.1}\" y=\"32\" width=\"10\" height=\"10\" fill=\"{colour}\"/>");
            text(svg, x + 14.0, 41.0, "start", &format!("{}: {}", number + 1, bucket.dialogues));
        }
    }

    fn bars(&self, svg: &mut String) {
        let (left, top, right, bottom) = PLOT;
        let step = (right - left) / self.histogram.bins.len() as f64;
        let scale = (bottom - top) / self.histogram.tallest() as f64;
        for (number, bin) in self.histogram.bins.iter().enumerate() {
            let (x, mut y) = (left + step * number as f64 + 1.0, bottom);
            for (bucket, &count) in bin.iter().enumerate().filter(|(_, count)| **count > 0) {
                let height = scale * count as f64;
                y -= height;
                let colour = COLOURS[bucket % COLOURS.len()];
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"{colour}\">\
                     <title>bucket {}: {count}</title></rect>",
                    step - 2.0,
                    bucket + 1
                );
            }
        }
    }
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    // Writing to a string cannot fail.
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
}
