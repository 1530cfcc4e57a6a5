//! The server's error answers.

use super::response::Response;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::time::Duration;

/// An error answer before it is written.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) status: u16,
    pub(super) message: String,
    pub(super) kind: Cow<'static, str>,
    pub(super) param: Option<String>,
    pub(super) code: Option<Cow<'static, str>>,
    /// When another try makes sense, where the server says so.
    pub(super) retry_after: Option<Duration>,
}

impl Failure {
    pub(super) fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Failure {
        Failure {
            status,
            message: message.into(),
            kind: kind.into(),
            param: None,
            code: None,
            retry_after: None,
        }
    }

    /// A 400 that names a parameter and a code.
    pub(super) fn bad(param: &str, code: &'static str, message: impl Into<String>) -> Failure {
        Failure::plain(message).param(param).code(code)
    }

    /// A 400 with neither.
    pub(super) fn plain(message: impl Into<String>) -> Failure {
        Failure::new(400, "invalid_request_error", message)
    }

    pub(super) fn missing(param: &str) -> Failure {
        let message = format!("Missing required parameter: '{param}'.");
        Failure::bad(param, "missing_required_parameter", message)
    }

    pub(super) fn wrong_type(param: &str, wanted: &str, got: &Value) -> Failure {
        let got = type_name(got);
        let message =
            format!("Invalid type for '{param}': expected {wanted}, but got {got} instead.");
        Failure::bad(param, "invalid_type", message)
    }

    pub(super) fn no_model(model: &str) -> Failure {
        let message =
            format!("The model `{model}` does not exist or you do not have access to it.");
        Failure::new(404, "invalid_request_error", message).code("model_not_found")
    }

    pub(super) fn param(mut self, param: impl Into<String>) -> Failure {
        self.param = Some(param.into());
        self
    }

    pub(super) fn code(mut self, code: &'static str) -> Failure {
        self.code = Some(code.into());
        self
    }

    pub(super) fn retry_after(mut self, wait: Duration) -> Failure {
        self.retry_after = Some(wait);
        self
    }

    /// The object under `error`.
    pub(super) fn object(&self) -> Value {
        json!({
            "message": self.message, "type": self.kind, "param": self.param, "code": self.code,
        })
    }

    pub(super) fn respond(&self) -> Response {
        let mut body = json!({ "error": self.object() });
        // The real server repeats the status in the body of a 401, and in that of no other.
        if self.status == 401 {
            body["status"] = json!(401);
        }
        let mut response = Response::json(self.status, body.to_string());
        if let Some(wait) = self.retry_after {
            response.header("retry-after", wait.as_secs_f64().ceil().to_string());
            response.header("retry-after-ms", wait.as_millis().to_string());
        }
        response
    }
}

/// How the server names a value's type.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(n) if n.is_f64() => "a decimal",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
