//! `/models`.

use super::open::{Extra, count, or_default, text};
use super::{Request, sealed};
use crate::error::{Error, Result};
use crate::transport::Method;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Asks which models there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListModels;

/// Asks for one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetrieveModel {
    /// The model's name.
    pub id: String,
}

impl RetrieveModel {
    /// Asks for the model `id`.
    pub fn new(id: impl Into<String>) -> RetrieveModel {
        RetrieveModel { id: id.into() }
    }
}

impl sealed::Sealed for ListModels {}
impl sealed::Sealed for RetrieveModel {}

/// The limit group of requests about models, which have no part in the limits of any.
const GROUP: &str = "models";

impl Request for ListModels {
    type Reply = ModelList;

    fn method(&self) -> Method {
        Method::Get
    }

    fn path(&self) -> Cow<'_, str> {
        "/models".into()
    }

    fn model(&self) -> Option<&str> {
        Some(GROUP)
    }

    fn body(&self, _: &str) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

impl Request for RetrieveModel {
    type Reply = Model;

    fn method(&self) -> Method {
        Method::Get
    }

    fn path(&self) -> Cow<'_, str> {
        format!("/models/{}", self.id).into()
    }

    fn model(&self) -> Option<&str> {
        Some(GROUP)
    }

    fn body(&self, _: &str) -> Result<Vec<u8>> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:/@".contains(c);
        // The name becomes part of the path, which it must not lead out of.
        let leads_out = self.id.split('/').any(|step| [".", "..", ""].contains(&step));
        if leads_out || !self.id.chars().all(is_plain) {
            return Err(Error::invalid("model", "this is not the name of a model"));
        }
        Ok(Vec::new())
    }
}

/// The models that there are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ModelList {
    /// The models.
    #[serde(deserialize_with = "or_default")]
    pub data: Vec<Model>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Model {
    /// Its name.
    #[serde(deserialize_with = "or_default")]
    pub id: String,
    /// When it was made, in seconds since 1970.
    #[serde(deserialize_with = "count", skip_serializing_if = "Option::is_none")]
    pub created: Option<u64>,
    /// Whose it is.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub owned_by: Option<String>,
    /// Other fields.
    #[serde(flatten)]
    pub extra: Extra,
}
