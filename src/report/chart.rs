//! Lines, bars and whiskers on axes.
//!
//! A drawing is stretched to the width that there is; text and the width of lines are not.

use super::format::escape;
use super::ticks::Axis;
use std::fmt::Write;

/// Height of a chart's plot, in pixels.
const HEIGHT: u32 = 190;
/// Height of a row of whiskers, in pixels.
const ROW: u32 = 34;

/// A chart, before it is markup.
#[derive(Debug, Default)]
pub(super) struct Chart {
    pub(super) title: String,
    /// What is measured.
    pub(super) unit: String,
    /// What it shows, in words.
    pub(super) desc: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) series: Vec<Series>,
    /// Straight lines at values of the x axis.
    pub(super) at: Vec<(f64, String)>,
    /// The numbers behind it, as markup.
    pub(super) table: String,
}

/// Something that is drawn.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) class: &'static str,
    pub(super) shape: Shape,
}

#[derive(Debug)]
pub(super) enum Shape {
    /// A line through points; gaps where there is no value.
    Line(Vec<(f64, Option<f64>)>),
    /// The same, and what lies under it.
    Area(Vec<(f64, Option<f64>)>),
    /// A line that keeps its value until the next point.
    Steps(Vec<(f64, Option<f64>)>),
    /// Bars from one value of the x axis to another, of a height.
    Bars(Vec<(f64, f64, f64)>),
    /// Nothing but a line in the legend, for what does not fit.
    Told,
}

impl Chart {
    pub(super) fn html(&self) -> String {
        let mut out = format!(
            "<figure><figcaption>{}<span class=\"unit\">{}</span></figcaption>",
            escape(&self.title),
            escape(&self.unit)
        );
        out.push_str(&self.legend());
        let _ = write!(
            out,
            "<div class=\"plot\"><svg role=\"img\" width=\"100%\" height=\"{HEIGHT}\"><title>{}</title><desc>{}</desc>",
            escape(&self.title),
            escape(&self.desc)
        );
        out.push_str(&self.axes());
        out.push_str("<svg width=\"100%\" height=\"100%\" viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\">");
        self.series.iter().for_each(|series| out.push_str(&self.draw(series)));
        out.push_str("</svg>");
        for (value, name) in &self.at {
            let place = self.x.place(*value);
            let class = if place < 0.05 { "at start" } else { "at" };
            let x = percent(place);
            let _ = write!(
                out,
                "<line class=\"at\" x1=\"{x}\" x2=\"{x}\" y1=\"0\" y2=\"100%\"/><text class=\"{class}\" x=\"{x}\" y=\"-5\">{}</text>",
                escape(name)
            );
        }
        out.push_str("</svg></div>");
        out.push_str(&self.table);
        out.push_str("</figure>");
        out
    }

    fn legend(&self) -> String {
        // A histogram is one thing, which the title names.
        if self.series.iter().any(|series| matches!(series.shape, Shape::Bars(_))) {
            return String::new();
        }
        let mut out = String::from("<ul class=\"legend\">");
        for Series { name, class, .. } in &self.series {
            let _ = write!(out, "<li><i class=\"{class}\"></i>{}</li>", escape(name));
        }
        out.push_str("</ul>");
        out
    }

    fn axes(&self) -> String {
        let mut out = String::new();
        for (value, text) in &self.y.marks {
            let y = percent(1.0 - self.y.place(*value));
            let _ = write!(
                out,
                "<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"{y}\" y2=\"{y}\"/><text class=\"y\" x=\"-8\" y=\"{y}\" dy=\".32em\">{text}</text>"
            );
        }
        out + &marks(&self.x, false)
    }

    fn draw(&self, series: &Series) -> String {
        let class = series.class;
        let path = |d: &str, kind: &str| format!("<path class=\"{kind} {class}\" d=\"{d}\"/>");
        match &series.shape {
            Shape::Line(points) => path(&self.line(points, false), "line"),
            Shape::Steps(points) => path(&self.line(points, true), "line"),
            Shape::Area(points) => {
                path(&self.area(points), "area") + &path(&self.line(points, false), "line")
            }
            Shape::Bars(bars) => {
                let mut d = String::new();
                for (from, to, height) in bars.iter().filter(|(_, _, height)| *height > 0.0) {
                    let (x1, x2) = (thousand(self.x.place(*from)), thousand(self.x.place(*to)));
                    // What is there at all is seen.
                    let y = thousand(1.0 - self.y.place(*height)).min(994);
                    let width = (x2 - x1).saturating_sub(2).max(3);
                    let _ = write!(d, "M{x1} 1000V{y}h{width}V1000z");
                }
                path(&d, "area full")
            }
            Shape::Told => String::new(),
        }
    }

    fn line(&self, points: &[(f64, Option<f64>)], is_stepped: bool) -> String {
        let mut d = String::new();
        let mut last = None;
        for (x, value) in points {
            let Some(value) = value else {
                last = None;
                continue;
            };
            let (x, y) = (thousand(self.x.place(*x)), thousand(1.0 - self.y.place(*value)));
            let _ = match last {
                None => write!(d, "M{x} {y}"),
                Some(before) if is_stepped && before == y => write!(d, "H{x}"),
                Some(_) if is_stepped => write!(d, "H{x}V{y}"),
                Some(_) => write!(d, "L{x} {y}"),
            };
            last = Some(y);
        }
        d
    }

    fn area(&self, points: &[(f64, Option<f64>)]) -> String {
        let known: Vec<_> = points.iter().filter(|(_, value)| value.is_some()).copied().collect();
        let (Some(first), Some(last)) = (known.first(), known.last()) else { return String::new() };
        let place = |x: f64| thousand(self.x.place(x));
        format!("{}L{} 1000L{} 1000z", self.line(&known, false), place(last.0), place(first.0))
    }
}

/// A value with what lies around it, on a row of its own.
#[derive(Debug)]
pub(super) struct Whisker {
    pub(super) name: String,
    /// Below, at, and above; in the unit of the axis.
    pub(super) low: f64,
    pub(super) at: f64,
    pub(super) high: f64,
    /// What is written beside it, as markup.
    pub(super) text: String,
}

/// A chart of whiskers on one axis.
pub(super) fn whiskers(title: &str, unit: &str, desc: &str, x: &Axis, rows: &[Whisker]) -> String {
    let height = ROW * rows.len() as u32;
    let mut out = format!(
        "<figure class=\"whiskers\"><figcaption>{0}<span class=\"unit\">{1}</span></figcaption><div class=\"plot\"><svg role=\"img\" width=\"100%\" height=\"{height}\"><title>{0}</title><desc>{2}</desc>{3}",
        escape(title),
        escape(unit),
        escape(desc),
        marks(x, true)
    );
    for (place, row) in rows.iter().enumerate() {
        let y = ROW * place as u32 + ROW * 2 / 3;
        let [low, at, high] = [row.low, row.at, row.high].map(|value| percent(x.place(value)));
        let _ = write!(
            out,
            "<text class=\"name\" x=\"0\" y=\"{}\">{}<tspan class=\"value\" dx=\"8\">{}</tspan></text><line class=\"whisker\" x1=\"{low}\" x2=\"{high}\" y1=\"{y}\" y2=\"{y}\"/><circle class=\"dot\" cx=\"{at}\" cy=\"{y}\" r=\"5\"/>",
            y - 10,
            escape(&row.name),
            row.text
        );
    }
    out.push_str("</svg></div></figure>");
    out
}

/// The marks below a plot; with lines through it where rows have to be read against them.
fn marks(x: &Axis, has_lines: bool) -> String {
    let mut out = String::new();
    for (value, text) in &x.marks {
        let place = x.place(*value);
        // Text at the ends stays inside of the page.
        let class = if place > 0.97 { "x end" } else { "x" };
        let place = percent(place);
        if has_lines {
            let _ = write!(
                out,
                "<line class=\"grid\" x1=\"{place}\" x2=\"{place}\" y1=\"0\" y2=\"100%\"/>"
            );
        }
        let _ = write!(
            out,
            "<text class=\"{class}\" x=\"{place}\" y=\"100%\" dy=\"1.5em\">{text}</text>"
        );
    }
    out
}

fn thousand(share: f64) -> u32 {
    (share * 1000.0).round() as u32
}

fn percent(share: f64) -> String {
    format!("{}%", (share * 10_000.0).round() / 100.0)
}
