//! Lets a model call tools until it answers.

use super::tooled::{ToolRequest, Wanted};
use super::{Caller, ChatRequest, Response, Tool, Usage};
use crate::clock::Stop;
use crate::error::{Error, Result, ToolError};
use crate::usage::Money;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;

/// A request in which the model may call tools; see `Client::tools`.
///
/// What the model asks for is done in order on the thread that runs the loop, also where it asks
/// for several things at once. A tool that panics takes the loop with it; the client is not harmed.
#[must_use = "call .run()"]
pub struct ToolLoop<'a, R = ChatRequest> {
    caller: Arc<Caller>,
    request: R,
    tools: Vec<(Tool, Action<'a>)>,
    /// A tool whose type cannot be described.
    broken: Option<Error>,
    max_turns: u32,
    max_mistakes: u32,
    ends_on_failure: bool,
    stop: Stop,
}

/// Does what a tool does with arguments as JSON text.
type Action<'a> = Box<dyn FnMut(&str) -> Result<String, Wrong> + 'a>;

/// Why a tool did nothing.
enum Wrong {
    /// The model's arguments.
    Arguments(String),
    /// The tool itself.
    Tool(Box<dyn std::error::Error + Send + Sync>),
}

/// A request with tools that has come to its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ToolRun<R: ToolRequest = ChatRequest> {
    /// The last reply.
    pub reply: Response<R::Reply>,
    /// Everything that was said, the request's own part first: messages of a chat, items of a
    /// response.
    pub messages: Vec<R::Said>,
    /// How often the model was asked.
    pub turns: u32,
    /// Tokens of all replies together, as far as they were told.
    pub usage: Usage,
    /// What all replies cost together, if all prices are known.
    pub cost: Option<Money>,
    /// Why it ended.
    pub end: ToolEnd,
}

/// Why a request with tools ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ToolEnd {
    /// The model answered, and wants no more tools.
    Answered,
    /// It still called tools when its turns were over.
    OutOfTurns,
    /// Too much went wrong: unknown tools, arguments that are not valid, tools that failed.
    OutOfMistakes,
}

impl<'a, R: ToolRequest> ToolLoop<'a, R> {
    /// A loop without tools.
    pub fn new(caller: Arc<Caller>, request: R) -> ToolLoop<'a, R> {
        ToolLoop {
            caller,
            request,
            tools: Vec::new(),
            broken: None,
            max_turns: 10,
            max_mistakes: 3,
            ends_on_failure: false,
            stop: Stop::new(),
        }
    }

    /// Adds a tool, and what it does with its arguments. What it gives is what the model is told.
    ///
    /// The model is told of an error too, and may try something else; see
    /// [`ToolLoop::end_on_failure`].
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

    /// How much may go wrong until the loop ends: unknown tools, arguments that are not valid, and
    /// tools that fail. The model is told each time. Default: 3.
    pub fn max_mistakes(mut self, mistakes: u32) -> Self {
        self.max_mistakes = mistakes;
        self
    }

    /// Ends the loop with [`Error::Tool`] as soon as a tool fails. Default: the model is told of the
    /// error, in its own words.
    pub fn end_on_failure(mut self) -> Self {
        self.ends_on_failure = true;
        self
    }

    /// Ends the loop when it is stopped, before the next tool or the next question. Default: nothing
    /// does.
    pub fn stop(mut self, stop: &Stop) -> Self {
        self.stop = stop.clone();
        self
    }

    /// Asks the model, does what it asks for, and asks again, until it answers. A tool that the
    /// request itself forces (`tool_choice`) is forced in the first turn only.
    ///
    /// # Errors
    /// When a request fails, and [`Error::Tool`] when a tool does that may not.
    pub fn run(mut self) -> Result<ToolRun<R>> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        let tools: Vec<&Tool> = self.tools.iter().map(|(tool, _)| tool).collect();
        let mut request = self.request.clone().with_tools(&tools);
        let mut said = request.said();
        let (mut turns, mut mistakes) = (0, 0);
        let (mut usage, mut cost) = (Usage::default(), Some(Money::ZERO));
        loop {
            let reply = self.caller.send(&request, &self.stop)?;
            turns += 1;
            usage = usage.plus(R::usage(&reply));
            cost = cost.zip(reply.cost.as_ref()).map(|(sum, cost)| sum + cost.total);
            said.extend(R::heard(&reply));
            let calls = R::calls(&reply);
            for call in &calls {
                let (result, is_mistake) = self.serve(call)?;
                mistakes += u32::from(is_mistake);
                said.push(R::result(call, result));
            }
            let end = if calls.is_empty() {
                ToolEnd::Answered
            } else if mistakes > self.max_mistakes {
                ToolEnd::OutOfMistakes
            } else if turns >= self.max_turns {
                ToolEnd::OutOfTurns
            } else {
                request = request.go_on(&said, calls.len());
                continue;
            };
            return Ok(ToolRun { reply, messages: said, turns, usage, cost, end });
        }
    }

    /// What a call gives, and whether something went wrong in it.
    fn serve(&mut self, call: &Wanted) -> Result<(String, bool)> {
        if self.stop.is_stopped() {
            return Err(Error::Cancelled);
        }
        let found = self.tools.iter_mut().find(|(tool, _)| tool.name == call.name);
        let Some((_, action)) = found else {
            let names: Vec<&str> = self.tools.iter().map(|(tool, _)| tool.name.as_str()).collect();
            let told = format!("error: there is no tool of this name, only: {}", names.join(", "));
            return Ok((told, true));
        };
        match action(&call.arguments) {
            Ok(result) => Ok((result, false)),
            Err(Wrong::Arguments(why)) => {
                Ok((format!("error: the arguments are not valid: {why}"), true))
            }
            Err(Wrong::Tool(e)) if self.ends_on_failure => {
                Err(Error::Tool(Box::new(ToolError::new(call.name.as_str(), e))))
            }
            Err(Wrong::Tool(e)) => Ok((format!("error: the tool failed: {e}"), true)),
        }
    }
}

/// Reads arguments; a tool that takes none may be called with nothing.
fn parse<A: serde::de::DeserializeOwned>(arguments: &str) -> Result<A, Wrong> {
    let text = if arguments.trim().is_empty() { "{}" } else { arguments };
    serde_json::from_str(text).map_err(|e| Wrong::Arguments(e.to_string()))
}

impl<R> fmt::Debug for ToolLoop<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tools: Vec<&Tool> = self.tools.iter().map(|(tool, _)| tool).collect();
        f.debug_struct("ToolLoop").field("tools", &tools).finish_non_exhaustive()
    }
}
