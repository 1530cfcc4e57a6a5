//! Through a JSON value of any shape, without keeping it.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// What looks at the values on the way; what it does not look at is passed over.
pub(super) trait Walk: Sized {
    fn text(&mut self, _: &str) {}

    /// A number that is whole and not below zero.
    fn count(&mut self) {}

    fn list<'de, A: SeqAccess<'de>>(&mut self, list: A) -> Result<(), A::Error> {
        each(self, list)
    }

    fn object<'de, A: MapAccess<'de>>(&mut self, map: A) -> Result<(), A::Error> {
        each_member(self, map)
    }
}

/// Every element of a list.
pub(super) fn each<'de, W: Walk, A: SeqAccess<'de>>(
    walk: &mut W,
    mut list: A,
) -> Result<(), A::Error> {
    while list.next_element_seed(Value(walk))?.is_some() {}
    Ok(())
}

/// The value of every member of an object.
pub(super) fn each_member<'de, W: Walk, A: MapAccess<'de>>(
    walk: &mut W,
    mut map: A,
) -> Result<(), A::Error> {
    while map.next_key::<IgnoredAny>()?.is_some() {
        map.next_value_seed(Value(walk))?;
    }
    Ok(())
}

/// The next value, to be walked through.
pub(super) struct Value<'a, W>(pub &'a mut W);

impl<'de, W: Walk> DeserializeSeed<'de> for Value<'_, W> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de, W: Walk> Visitor<'de> for Value<'_, W> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.text(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        self.0.list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.0.object(map)
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.0.count();
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
