//! The kinds of lines, and what is wrong with a line that is none of them.

use serde_json::value::RawValue;

use super::canonical::canonical;
use super::members::{Members, clip, noun, text_of};
use super::request::{
    CHAT, COMPLETIONS, EMBEDDINGS, ENDPOINTS, Format, MODERATIONS, RESPONSES, Row, RowError,
    endpoint, id_hash, request_hash,
};
use crate::wire::streaming::can_stream;

/// What a line says, before it has an id in any case.
struct Draft {
    custom_id: Option<String>,
    url: &'static str,
    model: Option<String>,
    body: String,
    is_streamed: bool,
    metadata: Option<Box<RawValue>>,
}

/// The kinds of lines that are requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A line of the Batch API: id, URL and body.
    Batch,
    /// A body alone.
    Bare,
    /// A prompt alone.
    Prompt,
}

/// Which kind the members of a line make it, if any.
pub(crate) fn kind_of(members: &Members<'_>) -> Option<Kind> {
    let prompt = members.get("prompt");
    if members.has("body") {
        Some(Kind::Batch)
    } else if members.has("messages") || members.has("input") {
        Some(Kind::Bare)
    } else if let Some(prompt) = prompt {
        let body = members.has("model") || noun(prompt.get()) == "an object";
        Some(if body { Kind::Bare } else { Kind::Prompt })
    } else if members.has("url") || members.has("method") {
        Some(Kind::Batch)
    } else {
        None
    }
}

impl Format {
    /// Reads the line with this number; it is not blank.
    ///
    /// A byte order mark is accepted on the first line, and a carriage return at the end of any.
    pub fn parse(&self, line: u64, text: &[u8]) -> Result<Row, RowError> {
        self.read(line, text).map_err(|message| RowError { line, message })
    }

    fn read(&self, line: u64, text: &[u8]) -> Result<Row, String> {
        let text = clean(line, text)?;
        let members = Members::parse(text)?;
        let draft = match &self.template {
            None => self.draft(text, &members, true)?,
            Some(template) => {
                let request = template.render(&members)?;
                let draft = self.draft(&request, &Members::parse(&request)?, false)?;
                let custom_id = match draft.custom_id {
                    None => own_id(&members)?,
                    some => some,
                };
                let metadata = draft.metadata.or_else(|| metadata(&members));
                Draft { custom_id, metadata, ..draft }
            }
        };
        finish(line, draft)
    }

    /// `id_needed`: whether a Batch line must name its id.
    fn draft(&self, text: &str, members: &Members<'_>, id_needed: bool) -> Result<Draft, String> {
        match kind_of(members) {
            Some(Kind::Batch) => self.batch(members, id_needed),
            Some(Kind::Bare) if self.wants_prompt(members) => self.prompt(members),
            Some(Kind::Bare) => self.bare(text, members),
            Some(Kind::Prompt) => self.prompt(members),
            None => Err(format!(
                "not a request: it has none of `body`, `messages`, `input` and `prompt`, only \
                 {}; --template makes requests of such rows",
                members.names()
            )),
        }
    }

    /// Whether a body with a prompt is asked to go to an endpoint that knows no prompts.
    fn wants_prompt(&self, members: &Members<'_>) -> bool {
        let text = members.get("prompt").is_some_and(|prompt| noun(prompt.get()) == "text");
        let body = members.has("messages") || members.has("input");
        let elsewhere = self.endpoint.as_deref().is_some_and(|e| endpoint(e) != Some(COMPLETIONS));
        text && !body && elsewhere
    }

    fn batch(&self, members: &Members<'_>, id_needed: bool) -> Result<Draft, String> {
        let custom_id = string(members, "custom_id")?;
        if custom_id.is_none() && id_needed {
            return Err("`custom_id` is missing: it joins the answer to this line".into());
        }
        match string(members, "method")? {
            Some(method) if !method.eq_ignore_ascii_case("POST") => {
                return Err(format!("`method` is {}, only POST is sent", clip(&method)));
            }
            _ => {}
        }
        let body = members.get("body").ok_or("`body` is missing")?;
        if noun(body.get()) != "an object" {
            return Err(format!("`body` is {}, not an object", noun(body.get())));
        }
        let fields = Members::parse(body.get())?;
        let named = model(&fields)?;
        let url = match string(members, "url")? {
            Some(url) => known(&url, "`url`")?,
            None => self.infer(&fields, named.as_deref())?,
        };
        let is_streamed = self.streamed(url, &fields)?;
        let (model, body) = self.with_model(url, named, body.get());
        Ok(Draft { custom_id, url, model, body, is_streamed, metadata: metadata(members) })
    }

    fn bare(&self, text: &str, members: &Members<'_>) -> Result<Draft, String> {
        let custom_id = string(members, "custom_id")?;
        let named = model(members)?;
        let url = self.infer(members, named.as_deref())?;
        let is_streamed = self.streamed(url, members)?;
        let ours = ["custom_id", "metadata"];
        let reduced = ours.iter().any(|key| members.has(key)).then(|| members.without(&ours));
        let body = reduced.as_deref().unwrap_or(text).trim_ascii();
        let (model, body) = self.with_model(url, named, body);
        Ok(Draft { custom_id, url, model, body, is_streamed, metadata: metadata(members) })
    }

    fn prompt(&self, members: &Members<'_>) -> Result<Draft, String> {
        const FIELDS: [&str; 5] = ["prompt", "custom_id", "id", "metadata", "model"];
        if let Some(other) = members.iter().find(|each| !FIELDS.contains(&&*each.key)) {
            return Err(format!(
                "unknown field {} beside `prompt`; --template makes requests of rows with fields \
                 of your own",
                clip(&other.key)
            ));
        }
        let prompt = members.get("prompt").map(RawValue::get).unwrap_or_default();
        if noun(prompt) != "text" {
            return Err(format!("`prompt` is {}, not text", noun(prompt)));
        }
        let url = match &self.endpoint {
            Some(url) => known(url, "the endpoint")?,
            None => CHAT,
        };
        let named = model(members)?;
        let body = self.prompt_body(url, prompt);
        let (model, body) = match named {
            Some(model) => (Some(model.clone()), insert_model(&model, &body)),
            None => self.with_model(url, None, &body),
        };
        if model.is_none() && url != MODERATIONS {
            return Err("no model: set one for rows that are only a prompt".into());
        }
        let (custom_id, metadata) = (own_id(members)?, metadata(members));
        Ok(Draft { custom_id, url, model, body, is_streamed: false, metadata })
    }

    /// The body for a prompt, all but its model; `prompt` is spelled as JSON.
    fn prompt_body(&self, url: &str, prompt: &str) -> String {
        let system = self.system.as_deref().map(json_text);
        match (url, system) {
            (CHAT, None) => format!(r#"{{"messages":[{{"role":"user","content":{prompt}}}]}}"#),
            (CHAT, Some(system)) => format!(
                r#"{{"messages":[{{"role":"system","content":{system}}},{{"role":"user","content":{prompt}}}]}}"#
            ),
            (RESPONSES, Some(system)) => {
                format!(r#"{{"instructions":{system},"input":{prompt}}}"#)
            }
            (COMPLETIONS, _) => format!(r#"{{"prompt":{prompt}}}"#),
            _ => format!(r#"{{"input":{prompt}}}"#),
        }
    }

    /// Whether a body asks for a stream, where it may.
    fn streamed(&self, url: &str, fields: &Members<'_>) -> Result<bool, String> {
        if fields.get("stream").is_none_or(|value| value.get() != "true") {
            return Ok(false);
        }
        if self.no_streams {
            return Err(
                "`stream` is true: a batch cannot stream; leave it out, or send it live".into()
            );
        }
        if !can_stream(url) {
            return Err(format!("`stream` is true: what {url} answers cannot be streamed"));
        }
        Ok(true)
    }

    /// Where a body without a URL goes.
    fn infer(&self, fields: &Members<'_>, named: Option<&str>) -> Result<&'static str, String> {
        if let Some(url) = &self.endpoint {
            return known(url, "the endpoint");
        }
        let model = named.unwrap_or(&self.model);
        Ok(if fields.has("messages") {
            CHAT
        } else if fields.has("input") {
            match model {
                m if m.contains("embed") || m.contains("ada-002") => EMBEDDINGS,
                m if m.contains("moderation") => MODERATIONS,
                _ => RESPONSES,
            }
        } else {
            match fields.get("prompt") {
                // A stored prompt of the Responses API; a prompt for completions is text.
                Some(prompt) if noun(prompt.get()) == "an object" => RESPONSES,
                Some(_) => COMPLETIONS,
                None => return Err("`url` is missing, and the body does not tell it".into()),
            }
        })
    }

    /// The model that will answer, and the body with it.
    fn with_model(&self, url: &str, named: Option<String>, body: &str) -> (Option<String>, String) {
        // Moderations choose their model themselves, and a model that chats cannot moderate.
        let fits = url != MODERATIONS || self.model.contains("moderation");
        if named.is_some() || self.model.is_empty() || !fits {
            return (named, body.to_owned());
        }
        (Some(self.model.clone()), insert_model(&self.model, body))
    }
}

fn finish(line: u64, draft: Draft) -> Result<Row, String> {
    let custom_id = draft.custom_id.unwrap_or_else(|| format!("line-{line}"));
    if custom_id.is_empty() {
        return Err("`custom_id` is empty".into());
    }
    Ok(Row {
        line,
        fingerprint: request_hash(draft.url, &canonical(&draft.body)),
        id_hash: id_hash(&custom_id),
        custom_id: custom_id.into(),
        url: draft.url.into(),
        model: draft.model.map(Into::into),
        body: draft.body.into_bytes().into(),
        is_streamed: draft.is_streamed,
        metadata: draft.metadata,
    })
}

/// The line's text, without what is not part of it.
fn clean(line: u64, text: &[u8]) -> Result<&str, String> {
    if line == 1 && (text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff")) {
        return Err("the text is UTF-16; save it as UTF-8".into());
    }
    let text = if line == 1 { text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text) } else { text };
    let text = std::str::from_utf8(text)
        .map_err(|e| format!("not valid UTF-8 (column {})", e.valid_up_to() + 1))?;
    // White space before the text stays, so that columns are those of the line.
    let text = text.trim_ascii_end();
    if text.is_empty() { Err("the line is blank".into()) } else { Ok(text) }
}

/// The text under `key`, if there is such a member.
fn string(members: &Members<'_>, key: &str) -> Result<Option<String>, String> {
    let Some(value) = members.get(key) else { return Ok(None) };
    match text_of(value) {
        Some(text) => Ok(Some(text.into_owned())),
        None if noun(value.get()) == "text" => Err(format!("`{key}` is not valid text")),
        None => Err(format!("`{key}` is {}, not text", noun(value.get()))),
    }
}

fn model(fields: &Members<'_>) -> Result<Option<String>, String> {
    match string(fields, "model")? {
        Some(model) if model.is_empty() => Err("`model` is empty".into()),
        model => Ok(model),
    }
}

/// The id of a row of fields: text or a number.
fn own_id(members: &Members<'_>) -> Result<Option<String>, String> {
    let Some(key) = ["custom_id", "id"].into_iter().find(|key| members.has(key)) else {
        return Ok(None);
    };
    match members.get(key) {
        Some(value) if noun(value.get()) == "a number" => Ok(Some(value.get().to_owned())),
        Some(value) if noun(value.get()) != "text" => {
            Err(format!("`{key}` is {}, not text or a number", noun(value.get())))
        }
        _ => match string(members, key)? {
            Some(id) if id.is_empty() => Err(format!("`{key}` is empty")),
            id => Ok(id),
        },
    }
}

fn metadata(members: &Members<'_>) -> Option<Box<RawValue>> {
    members.get("metadata").map(RawValue::to_owned)
}

fn known(url: &str, what: &str) -> Result<&'static str, String> {
    endpoint(url).ok_or_else(|| {
        format!("{what} is {}; rows can be sent to {}", clip(url), ENDPOINTS.join(", "))
    })
}

/// `body` with `model` as its first member.
fn insert_model(model: &str, body: &str) -> String {
    let rest = body.strip_prefix('{').unwrap_or(body);
    let comma = if rest.trim_ascii_start().starts_with('}') { "" } else { "," };
    format!(r#"{{"model":{}{comma}{rest}"#, json_text(model))
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
