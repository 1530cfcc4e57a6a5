//! The tables of the guide have everything that there is.

use crate::config;

/// The rows of the tables in a chapter whose first cell names something.
fn rows<'a>(chapter: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let name = format!("`{name}`");
    chapter.lines().filter(move |line| line.starts_with("| `") && line.contains(&name))
}

#[test]
fn every_setting_is_in_the_table_with_its_default_and_its_range() {
    let chapter = include_str!("settings.md");
    for setting in config::settings() {
        let row = rows(chapter, setting.name).next();
        let row = row.unwrap_or_else(|| panic!("{} is not in the table", setting.name));
        if setting.default != "none" {
            assert!(row.contains(&format!("`{}`", setting.default)), "{}: {row}", setting.name);
        }
        let range = setting.range();
        // Rows of several settings, or of a limit that may have any size, tell no range.
        let bounds = range.split_once(" from ").filter(|_| !row.ends_with(" | |"));
        let bounds = bounds.map_or("", |(_, bounds)| bounds.trim_end_matches(", or none"));
        assert!(row.contains(bounds), "{}: {range}: {row}", setting.name);
    }
}

#[test]
fn the_table_has_no_setting_that_is_not_there() {
    let rows = include_str!("settings.md").lines().filter(|line| line.starts_with("| `"));
    let names = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    for name in names.filter(|name| name.starts_with("OPENAI_")) {
        assert!(config::settings().iter().any(|setting| setting.name == name), "{name}");
    }
}

#[test]
fn every_feature_is_in_the_table() {
    let package = include_str!("../../Cargo.toml");
    let (_, features) = package.split_once("[features]\n").expect("there are features");
    let (features, _) = features.split_once("\n\n").expect("they end");
    let names = features.lines().filter(|line| !line.starts_with('#'));
    let names: Vec<&str> = names.filter_map(|line| line.split(" = ").next()).collect();
    assert!(names.len() > 5, "{names:?}");
    for name in names.into_iter().filter(|name| *name != "default" && !name.starts_with('_')) {
        assert!(rows(include_str!("features.md"), name).next().is_some(), "{name}");
    }
}
