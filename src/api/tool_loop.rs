//! Lets a model call tools until it answers.

use super::message::{Message, ToolCall};
use super::{Caller, ChatReply, ChatRequest, Response, Tool};
use crate::clock::Stop;
use crate::error::{Error, Result, ToolError};
use crate::usage::Money;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// A chat in which the model may call tools; see `Client::tools`.
///
/// What the model asks for is done in order on the thread that runs the loop, also where it asks
/// for several things at once.
#[must_use = "call .run()"]
pub struct ToolLoop<'a> {
    caller: Arc<Caller>,
    request: ChatRequest,
    tools: Vec<(Tool, Action<'a>)>,
    /// A tool whose type cannot be described.
    broken: Option<Error>,
    max_turns: u32,
    max_mistakes: u32,
    stop: Stop,
}

/// Does what a tool does with arguments as JSON text.
type Action<'a> = Box<dyn FnMut(&str) -> Result<String, Wrong> + 'a>;

/// Why a tool did nothing.
enum Wrong {
    /// The model's arguments; it is told why.
    Arguments(String),
    /// The tool itself.
    Tool(Box<dyn std::error::Error + Send + Sync>),
}

/// A chat with tools that has come to its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ToolRun {
    /// The last reply.
    pub reply: Response<ChatReply>,
    /// Everything that was said, the request's own messages first.
    pub messages: Vec<Message>,
    /// How often the model was asked.
    pub turns: u32,
    /// What all replies cost together, if all prices are known.
    pub cost: Option<Money>,
    /// Why it ended.
    pub end: ToolEnd,
}

/// Why a chat with tools ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ToolEnd {
    /// The model answered, and wants no more tools.
    Answered,
    /// It still called tools when its turns were over.
    OutOfTurns,
    /// It made too many mistakes: unknown tools, or arguments that are not valid.
    OutOfMistakes,
}

impl<'a> ToolLoop<'a> {
    /// A loop without tools.
    pub fn new(caller: Arc<Caller>, request: ChatRequest) -> ToolLoop<'a> {
        ToolLoop {
            caller,
            request,
            tools: Vec::new(),
            broken: None,
            max_turns: 10,
            max_mistakes: 3,
            stop: Stop::new(),
        }
    }

    /// Adds a tool, and what it does with its arguments. What it gives is what the model is told.
    ///
    /// An error ends the loop; what the model should know instead is told as a result.
    pub fn tool<E>(
        mut self,
        tool: Tool,
        mut action: impl FnMut(Value) -> Result<String, E> + 'a,
    ) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let action = move |arguments: &str| {
            let arguments = parse(arguments)?;
            action(arguments).map_err(|e| Wrong::Tool(e.into()))
        };
        self.tools.push((tool, Box::new(action)));
        self
    }

    /// Adds a tool whose arguments are a value of `A`, in strict mode, and whose result is told to
    /// the model as JSON.
    #[cfg(feature = "schema")]
    pub fn typed<A, T, E>(
        mut self,
        name: &str,
        description: &str,
        mut action: impl FnMut(A) -> Result<T, E> + 'a,
    ) -> Self
    where
        A: super::schema::JsonSchema + serde::de::DeserializeOwned,
        T: serde::Serialize,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let action = move |arguments: &str| {
            let result = action(parse(arguments)?).map_err(|e| Wrong::Tool(e.into()))?;
            serde_json::to_string(&result).map_err(|e| Wrong::Tool(e.into()))
        };
        match Tool::typed::<A>(name, description) {
            Ok(tool) => self.tools.push((tool, Box::new(action))),
            Err(error) => self.broken = self.broken.or(Some(error)),
        }
        self
    }

    /// How often the model is asked at most. Default: 10.
    pub fn max_turns(mut self, turns: u32) -> Self {
        self.max_turns = turns.max(1);
        self
    }

    /// How many mistakes the model may make: it is told of each. Default: 3.
    pub fn max_mistakes(mut self, mistakes: u32) -> Self {
        self.max_mistakes = mistakes;
        self
    }

    /// Ends the loop when it is stopped. Default: nothing does.
    pub fn stop(mut self, stop: &Stop) -> Self {
        self.stop = stop.clone();
        self
    }

    /// Asks the model, does what it asks for, and asks again, until it answers.
    ///
    /// # Errors
    /// When a request fails, and [`Error::Tool`] when a tool does.
    pub fn run(mut self) -> Result<ToolRun> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        let mut request = self.request.clone();
        let mut tools: Vec<Value> = match request.extra.remove("tools") {
            Some(Value::Array(tools)) => tools,
            _ => Vec::new(),
        };
        tools.extend(self.tools.iter().map(|(tool, _)| tool.for_chat()));
        if !tools.is_empty() {
            request = request.tools(tools);
        }
        let (mut turns, mut mistakes, mut cost) = (0, 0, Some(Money::ZERO));
        loop {
            let reply = self.caller.send(&request, &self.stop)?;
            turns += 1;
            cost = cost.zip(reply.cost.as_ref()).map(|(sum, cost)| sum + cost.total);
            let said = reply.message().cloned().unwrap_or_default();
            let calls = said.tool_calls.clone().unwrap_or_default();
            request.messages.push(said);
            for call in &calls {
                let (result, is_mistake) = self.serve(call)?;
                mistakes += u32::from(is_mistake);
                let id = call.id.clone().unwrap_or_default();
                request.messages.push(Message::tool(id, result));
            }
            let end = if calls.is_empty() {
                ToolEnd::Answered
            } else if mistakes > self.max_mistakes {
                ToolEnd::OutOfMistakes
            } else if turns >= self.max_turns {
                ToolEnd::OutOfTurns
            } else {
                continue;
            };
            return Ok(ToolRun { reply, messages: request.messages, turns, cost, end });
        }
    }

    /// What a call gives, and whether the model made a mistake in it.
    fn serve(&mut self, call: &ToolCall) -> Result<(String, bool)> {
        let function = call.function.clone().unwrap_or_default();
        let found = self.tools.iter_mut().find(|(tool, _)| tool.name == function.name);
        let Some((_, action)) = found else {
            let names: Vec<&str> = self.tools.iter().map(|(tool, _)| tool.name.as_str()).collect();
            let told = format!("error: there is no tool of this name, only: {}", names.join(", "));
            return Ok((told, true));
        };
        match action(&function.arguments) {
            Ok(result) => Ok((result, false)),
            Err(Wrong::Arguments(why)) => {
                Ok((format!("error: the arguments are not valid: {why}"), true))
            }
            Err(Wrong::Tool(e)) => Err(Error::Tool(Box::new(ToolError::new(function.name, e)))),
        }
    }
}

/// Reads arguments; a tool that takes none may be called with nothing.
fn parse<A: serde::de::DeserializeOwned>(arguments: &str) -> Result<A, Wrong> {
    let text = if arguments.trim().is_empty() { "{}" } else { arguments };
    serde_json::from_str(text).map_err(|e| Wrong::Arguments(e.to_string()))
}

impl fmt::Debug for ToolLoop<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tools: Vec<&Tool> = self.tools.iter().map(|(tool, _)| tool).collect();
        f.debug_struct("ToolLoop").field("tools", &tools).finish_non_exhaustive()
    }
}
