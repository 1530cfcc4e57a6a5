//! Rows and columns.

use super::format::escape;
use std::fmt::Write;

/// A table of cells; each is markup already.
#[derive(Debug, Default)]
pub(super) struct Table {
    head: Vec<(String, bool)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns; those that begin with `#` hold numbers.
    pub(super) fn new(columns: &[&str]) -> Table {
        let column = |name: &&str| match name.strip_prefix('#') {
            Some(name) => (escape(name), true),
            None => (escape(name), false),
        };
        Table { head: columns.iter().map(column).collect(), rows: Vec::new() }
    }

    /// Adds a row. Its first cell is its head.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn html(&self) -> String {
        let mut out = String::from("<div class=\"wide\"><table><thead><tr>");
        let class = |is_number| if is_number { " class=\"n\"" } else { "" };
        for (name, is_number) in &self.head {
            let _ = write!(out, "<th scope=\"col\"{}>{name}</th>", class(*is_number));
        }
        out.push_str("</tr></thead><tbody>");
        for row in &self.rows {
            out.push_str("<tr>");
            for (place, (cell, (_, is_number))) in row.iter().zip(&self.head).enumerate() {
                let _ = match place {
                    0 => write!(out, "<th scope=\"row\"{}>{cell}</th>", class(*is_number)),
                    _ => write!(out, "<td{}>{cell}</td>", class(*is_number)),
                };
            }
            out.push_str("</tr>");
        }
        out.push_str("</tbody></table></div>");
        out
    }

    /// The table behind a line that opens it.
    pub(super) fn folded(&self, name: &str) -> String {
        format!("<details><summary>{}</summary>{}</details>", escape(name), self.html())
    }
}

/// A bar of this share of its cell.
pub(super) fn bar(share: f64, class: &str) -> String {
    let width = (share.clamp(0.0, 1.0) * 100.0 * 10.0).round() / 10.0;
    format!("<span class=\"bar\"><i class=\"{class}\" style=\"width:{width}%\"></i></span>")
}
