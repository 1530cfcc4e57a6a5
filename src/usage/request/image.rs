//! What an image counts for, by model.

use crate::usage::base_model;

/// How closely the model looks at an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Detail {
    /// At a small copy.
    Low,
    /// At all of it.
    High,
    /// At all of it and without making it smaller, where the model can.
    Original,
    /// As the server sees fit; counted as high. The default.
    #[default]
    Auto,
}

impl Detail {
    /// The one with this name; anything else is `auto`.
    pub fn named(name: &str) -> Detail {
        match name {
            "low" => Detail::Low,
            "high" => Detail::High,
            "original" => Detail::Original,
            _ => Detail::Auto,
        }
    }
}

/// The size that is assumed of an image that is not in the request, in pixels.
const ASSUMED: (u32, u32) = (1024, 1024);

/// How a model counts.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    /// So many for each image, and so many for each square of 512 pixels.
    Tiles { base: u64, tile: u64 },
    /// So many for each square of 32 pixels, of which there are `most` at most.
    Patches { each: f64, most: u64 },
}

/// By the beginning of the model's name, the first that fits, and whether the rule is published
/// for it. Source: the guide to images and vision.
const RULES: &[(&str, Rule, bool)] = &[
    ("gpt-4o-mini", Rule::Tiles { base: 2833, tile: 5667 }, true),
    ("gpt-4o", Rule::Tiles { base: 85, tile: 170 }, true),
    ("chatgpt-4o", Rule::Tiles { base: 85, tile: 170 }, true),
    ("gpt-4.1-mini", Rule::Patches { each: 1.62, most: 1536 }, true),
    ("gpt-4.1-nano", Rule::Patches { each: 2.46, most: 1536 }, true),
    ("gpt-4.1", Rule::Tiles { base: 85, tile: 170 }, true),
    ("gpt-4.5", Rule::Tiles { base: 85, tile: 170 }, true),
    ("gpt-4-", Rule::Tiles { base: 85, tile: 170 }, true),
    ("gpt-5-mini", Rule::Patches { each: 1.62, most: 1536 }, true),
    ("gpt-5-nano", Rule::Patches { each: 2.46, most: 1536 }, true),
    ("gpt-5.4-mini", Rule::Patches { each: 1.62, most: 1536 }, true),
    ("gpt-5.4-nano", Rule::Patches { each: 2.46, most: 1536 }, true),
    ("gpt-5-", Rule::Tiles { base: 70, tile: 140 }, true),
    ("gpt-5.", Rule::Patches { each: 1.0, most: 2500 }, false),
    ("gpt-5", Rule::Tiles { base: 70, tile: 140 }, true),
    ("o1", Rule::Tiles { base: 75, tile: 150 }, true),
    ("o3", Rule::Tiles { base: 75, tile: 150 }, true),
    ("o4-mini", Rule::Patches { each: 1.72, most: 1536 }, true),
    ("computer-use-preview", Rule::Tiles { base: 65, tile: 129 }, true),
];

/// The rule for all others, which is that of the newest models as far as it is known.
const OTHERS: (Rule, bool) = (Rule::Patches { each: 1.0, most: 2500 }, false);

/// The tokens of an image for a model, and whether a published rule gives that number.
///
/// `size` is width and height in pixels; `None` where it is not known, and then 1024 by 1024 is
/// assumed.
pub fn image_tokens(model: &str, size: Option<(u32, u32)>, detail: Detail) -> (u64, bool) {
    let base = base_model(model);
    let rule = RULES.iter().find(|(start, ..)| base.starts_with(start));
    let (rule, is_published) = rule.map_or(OTHERS, |(_, rule, published)| (*rule, *published));
    let (width, height) = size.unwrap_or(ASSUMED);
    match rule {
        Rule::Tiles { base, .. } if detail == Detail::Low => (base, is_published),
        Rule::Tiles { base, tile } => {
            let is_told = detail != Detail::Auto && size.is_some();
            (base + tile * tiles(width, height), is_published && is_told)
        }
        Rule::Patches { each, most } => {
            // What a small copy counts for is not published; it is not more.
            let is_told = detail != Detail::Low && size.is_some();
            let tokens = (patches(width, height, most) as f64 * each).ceil() as u64;
            (tokens, is_published && is_told)
        }
    }
}

/// Made to fit 2,048 pixels, then made smaller until the shorter side has 768; squares of 512.
fn tiles(width: u32, height: u32) -> u64 {
    let (width, height) = fit(width, height);
    let scale = (768.0 / width.min(height)).min(1.0);
    let squares = |side: f64| ((side * scale).round_ties_even() / 512.0).ceil().max(1.0) as u64;
    squares(width) * squares(height)
}

/// Squares of 32 pixels that cover it, made smaller until there are no more than `most`.
fn patches(width: u32, height: u32, most: u64) -> u64 {
    const SIDE: f64 = 32.0;
    let (width, height) = fit(width, height);
    let count = |side: f64| (side / SIDE).ceil().max(1.0) as u64;
    let whole = count(width) * count(height);
    if whole <= most {
        return whole;
    }
    let scale = (most as f64 * SIDE * SIDE / (width * height)).sqrt();
    let (across, down) = (width * scale / SIDE, height * scale / SIDE);
    // Smaller still, so that one of the sides is a whole number of squares.
    let shrink = |side: f64| if side < 1.0 { 1.0 } else { side.floor() / side };
    let exact = shrink(across).min(shrink(down));
    // Rounding may not add a square that is not there.
    let squares = |side: f64| ((side * exact - 1e-9).ceil().max(1.0)) as u64;
    (squares(across) * squares(down)).min(most)
}

/// The size when it is made to fit 2,048 pixels, rounded as the server does.
///
/// 2049 by 513 becomes 2048 by 513, and 2050 by 513 becomes 2048 by 512: bills show it.
fn fit(width: u32, height: u32) -> (f64, f64) {
    let (width, height) = (f64::from(width.max(1)), f64::from(height.max(1)));
    let scale = (2048.0 / width.max(height)).min(1.0);
    ((width * scale).round_ties_even().max(1.0), (height * scale).round_ties_even().max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guides_examples_come_out_exactly() {
        for (model, size, detail, wanted) in [
            ("gpt-4o", (1024, 1024), Detail::High, 765),
            ("gpt-4o", (2048, 4096), Detail::High, 1105),
            ("gpt-4o", (4096, 8192), Detail::Low, 85),
            ("gpt-4o-mini", (4096, 8192), Detail::Low, 2833),
            ("gpt-4o-mini", (512, 512), Detail::High, 8500),
            ("ft:gpt-4o-mini-2024-07-18:acme::x", (512, 512), Detail::High, 8500),
            ("o1-2024-12-17", (128, 64), Detail::High, 225),
            ("gpt-5-2025-08-07", (1024, 1024), Detail::High, 630),
            ("computer-use-preview", (1024, 1024), Detail::High, 581),
            ("gpt-4.1-mini", (1024, 1024), Detail::High, 1659),
            ("gpt-4.1-mini-2025-04-14", (1800, 2400), Detail::Auto, 2353),
            ("gpt-5-nano", (1024, 1024), Detail::High, 2520),
            ("o4-mini", (32, 32), Detail::High, 2),
        ] {
            assert_eq!(image_tokens(model, Some(size), detail), (wanted, true), "{model} {size:?}");
        }
    }

    #[test]
    fn rounding_is_that_of_bills() {
        // Seen with gpt-4.1 and a prompt of 8 tokens: 1,453 and 773 were billed.
        assert_eq!(image_tokens("gpt-4.1", Some((2049, 513)), Detail::High).0, 1445);
        assert_eq!(image_tokens("gpt-4.1", Some((2050, 513)), Detail::High).0, 765);
        // 24 by 64 squares are billed, though the rule without the limit of 2,048 says 1,449.
        assert_eq!(patches(4000, 1474, 1536), 1536);
    }

    #[test]
    fn what_is_not_told_is_an_estimate() {
        assert_eq!(image_tokens("gpt-4o", None, Detail::High), (765, false));
        assert_eq!(image_tokens("gpt-4o", None, Detail::Low), (85, true));
        assert_eq!(image_tokens("gpt-4o", Some((512, 512)), Detail::Auto), (255, false));
        assert!(!image_tokens("gpt-6-sol", Some((512, 512)), Detail::High).1);
    }

    #[test]
    fn no_size_is_too_odd() {
        for side in [0, 1, 31, 32, 33, 2047, 100_000, u32::MAX] {
            for other in [0, 1, 40, u32::MAX] {
                assert!((1..=1536).contains(&patches(side, other, 1536)), "{side} {other}");
                assert!((1..=16).contains(&tiles(other, side)), "{side} {other}");
            }
        }
    }
}
