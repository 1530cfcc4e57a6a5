//! Tools that a model may call.

use serde_json::{Value, json};

/// A tool that a model may call: a function with a name and the form of its arguments.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tool {
    /// Its name: letters, digits, `_` and `-`.
    pub name: String,
    /// What it does and when to call it, for the model.
    pub description: String,
    /// The JSON schema of its arguments.
    pub parameters: Value,
    /// Whether the schema is one of strict mode, so that the server keeps the model to it.
    pub is_strict: bool,
}

impl Tool {
    /// A tool whose arguments have the form of a JSON schema.
    pub fn new(name: impl Into<String>, description: impl Into<String>, parameters: Value) -> Tool {
        let (name, description) = (name.into(), description.into());
        Tool { name, description, parameters, is_strict: false }
    }

    /// A tool whose arguments are a value of `A`, in strict mode.
    ///
    /// # Errors
    /// When strict mode cannot express the type.
    #[cfg(feature = "schema")]
    pub fn typed<A: super::schema::JsonSchema>(
        name: impl Into<String>,
        description: impl Into<String>,
    ) -> crate::error::Result<Tool> {
        let (_, parameters) = super::schema::strict_schema::<A>()?;
        Ok(Tool { is_strict: true, ..Tool::new(name, description, parameters) })
    }

    /// The tool as a chat describes it; for [`ChatRequest::tools`](super::ChatRequest::tools).
    pub fn for_chat(&self) -> Value {
        json!({"type": "function", "function": self.function()})
    }

    /// The tool as a response describes it; for the field `tools`.
    pub fn for_responses(&self) -> Value {
        let mut tool = self.function();
        tool["type"] = json!("function");
        tool
    }

    fn function(&self) -> Value {
        json!({
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters,
            "strict": self.is_strict,
        })
    }
}
