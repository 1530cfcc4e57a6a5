use std::sync::Arc;

/// Models that share one limit of the server, by name.
///
/// Each model has its own limits unless a pattern fits it; a `*` at the end of a pattern stands for
/// any rest, and the first one that fits counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitGroups(Vec<(Box<str>, Arc<str>)>);

impl LimitGroups {
    /// Reads `pattern=name` pairs with commas between; `None` if it is anything else.
    pub fn parse(text: &str) -> Option<LimitGroups> {
        let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
        let read = |pair: &str| {
            let (pattern, name) = pair.split_once('=')?;
            let (pattern, name) = (pattern.trim(), name.trim());
            let is_plain =
                |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
            let stars = pattern.matches('*').count();
            let is_pattern = stars == 0 || (stars == 1 && pattern.ends_with('*'));
            (is_plain(pattern) && is_plain(name) && is_pattern && !name.contains(['*', '=']))
                .then(|| (pattern.into(), name.into()))
        };
        pairs.map(read).collect::<Option<_>>().map(LimitGroups)
    }

    /// The group of `model`, which is the model itself if no pattern fits.
    pub fn group(&self, model: &str) -> Arc<str> {
        let fits = |pattern: &str| match pattern.strip_suffix('*') {
            Some(start) => model.starts_with(start),
            None => model == pattern,
        };
        match self.0.iter().find(|(pattern, _)| fits(pattern)) {
            Some((_, name)) => name.clone(),
            None => model.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pattern_that_fits_names_the_group() {
        let groups = LimitGroups::parse("gpt-4o-mini=small, gpt-4o*=large,").unwrap();
        let of = |model: &str| groups.group(model).to_string();
        assert_eq!(of("gpt-4o-mini"), "small");
        assert_eq!(of("gpt-4o-mini-2024-07-18"), "large");
        assert_eq!(of("gpt-4o"), "large");
        assert_eq!(of("o3"), "o3");
        assert_eq!(LimitGroups::default().group("gpt-4o").as_ref(), "gpt-4o");
    }

    #[test]
    fn what_is_no_list_of_pairs_is_refused() {
        for text in ["gpt-4o", "=x", "x=", "a*b=c", "**=c", "a=b=c", "a b=c", "a=*"] {
            assert_eq!(LimitGroups::parse(text), None, "{text}");
        }
    }
}
