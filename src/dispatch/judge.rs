//! What an answer, or its absence, means.

use super::gate::Refused;
use crate::error::{
    ApiError, Error, Timeout, TransportError, TransportErrorKind, Undecodable, fault_name,
};
use crate::policy::breaker::Verdict;
use crate::policy::retry::Why;
use crate::transport::Answer;
use crate::wire::answer::{Peek, check_answer};
use crate::wire::fault::{self, Class, Fault, Scope};
use crate::wire::headers::{self, RateReport};
use std::borrow::Cow;
use std::time::{Duration, SystemTime};

/// An exchange, judged.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) report: RateReport,
    pub(super) request_id: Option<Box<str>>,
    pub(super) finding: Finding,
}

#[derive(Debug)]
pub(super) enum Finding {
    /// An answer.
    Good { status: u16, body: Vec<u8>, peek: Peek },
    /// Not an answer.
    Bad(Bad),
}

/// An attempt that brought no answer.
#[derive(Debug)]
pub(super) struct Bad {
    pub(super) class: Class,
    pub(super) hint: Option<Duration>,
    pub(super) what: What,
    /// A part of the answer had come before.
    pub(super) is_late: bool,
}

/// What came instead of an answer.
#[derive(Debug)]
pub(super) enum What {
    Fault(Fault, Option<Box<str>>),
    Broken(TransportError),
    Undecodable { status: u16, message: String },
}

/// Judges what came of one exchange. `date` is now, for hints that are dates.
pub(super) fn judge(result: Result<Answer, TransportError>, date: SystemTime) -> Judged {
    let answer = match result {
        Ok(answer) => answer,
        Err(broken) => return Judged::broken(broken),
    };
    let report = RateReport::read(&answer.headers);
    let request_id = headers::request_id(&answer.headers).map(Into::into);
    let finding = if (200..300).contains(&answer.status) {
        match check_answer(&answer.body) {
            Ok(peek) => Finding::Good { status: answer.status, body: answer.body, peek },
            Err(message) => {
                let what = What::Undecodable { status: answer.status, message };
                Finding::Bad(Bad { class: Class::Ill, hint: None, what, is_late: false })
            }
        }
    } else {
        let mut fault = fault::read_fault(answer.status, &answer.body);
        if (300..400).contains(&answer.status) {
            fault.message = fault::redirect(answer.headers.value("location"));
        }
        let class = fault::classify(&fault, &answer.headers);
        let hint = headers::retry_hint(&answer.headers, date, &fault.message);
        let (is_late, what) = (answer.is_late, What::Fault(fault, json(answer.body)));
        Finding::Bad(Bad { class, hint, what, is_late })
    };
    Judged { report, request_id, finding }
}

/// The longest error body that is kept.
const LONGEST: usize = 64 << 10;

/// The body as text, if it is JSON and not absurdly long.
fn json(body: Vec<u8>) -> Option<Box<str>> {
    let text = String::from_utf8(body).ok().filter(|text| text.len() <= LONGEST)?;
    serde_json::from_str::<serde::de::IgnoredAny>(&text).ok()?;
    Some(text.into())
}

impl Judged {
    fn broken(broken: TransportError) -> Judged {
        let class = match broken.kind {
            // The same request would meet the same limit again.
            TransportErrorKind::TooLarge | TransportErrorKind::File => Class::ItemFatal,
            _ => Class::Ill,
        };
        Judged {
            report: RateReport::default(),
            request_id: None,
            finding: Finding::Bad(Bad {
                class,
                hint: None,
                what: What::Broken(broken),
                is_late: false,
            }),
        }
    }
}

impl Bad {
    /// Whether the server may have done the work, and billed it, without our having the answer.
    pub(super) fn is_maybe_billed(&self) -> bool {
        match &self.what {
            What::Broken(broken) => broken.sent,
            What::Undecodable { .. } => true,
            What::Fault(..) => self.is_late,
        }
    }

    /// Whether the server may have done what was asked without our having its answer.
    pub(super) fn is_maybe_done(&self) -> bool {
        match &self.what {
            What::Fault(fault, _) => fault.status >= 500 || self.is_late,
            _ => self.is_maybe_billed(),
        }
    }

    /// Whether the server refused for a rate limit, or because it has too much to do.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.class, Class::Throttled { .. } | Class::SlowDown)
    }

    /// Whether the request may have reached the server.
    pub(super) fn is_sent(&self) -> bool {
        !matches!(&self.what, What::Broken(broken) if !broken.sent)
    }

    /// Whether no connection could be made.
    pub(super) fn is_connect_failure(&self) -> bool {
        use TransportErrorKind::{Connect, Proxy, Resolve, Tls};
        matches!(&self.what, What::Broken(b) if matches!(b.kind, Connect | Proxy | Resolve | Tls))
    }

    /// Whether the machine, not the server, could not send it.
    pub(super) fn is_exhausted(&self) -> bool {
        matches!(&self.what, What::Broken(b) if b.kind == TransportErrorKind::Exhausted)
    }

    /// Whether the caller interrupted it.
    pub(super) fn is_interrupted(&self) -> bool {
        matches!(&self.what, What::Broken(b) if b.kind == TransportErrorKind::Interrupted)
    }

    /// What the breaker should hear: only a server in trouble counts.
    pub(super) fn verdict(&self) -> Verdict {
        let is_ill = matches!(self.class, Class::Ill);
        if is_ill && !self.is_interrupted() && !self.is_exhausted() {
            Verdict::Ill
        } else {
            Verdict::Ignored
        }
    }

    /// Whether the server has more to do than it can, so that fewer at once would help.
    pub(super) fn is_overload(&self) -> bool {
        match &self.what {
            What::Fault(fault, _) => {
                matches!(self.class, Class::SlowDown) || matches!(fault.status, 503 | 504 | 529)
            }
            What::Broken(broken) => matches!(broken.kind, TransportErrorKind::Timeout(_)),
            What::Undecodable { .. } => false,
        }
    }

    /// For which limit the server refused, and how long everybody should hold back at most.
    pub(super) fn refused(&self) -> Option<Refused> {
        const SHORTEST: Duration = Duration::from_millis(50);
        let (scope, pause) = match self.class {
            // A large request may have to wait long where smaller ones need not.
            Class::Throttled { scope: Scope::Tokens } => {
                (Scope::Tokens, Duration::from_millis(250))
            }
            Class::Throttled { scope: scope @ Scope::Day } => {
                (scope, self.hint.unwrap_or(Duration::from_secs(10)).min(Duration::from_secs(60)))
            }
            Class::Throttled { scope } => (
                scope,
                self.hint.unwrap_or(Duration::from_millis(500)).min(Duration::from_secs(60)),
            ),
            Class::SlowDown => {
                let pause = self.hint.unwrap_or(Duration::from_secs(2));
                (Scope::Unknown, pause.min(Duration::from_secs(30)))
            }
            _ => return None,
        };
        let limit = match &self.what {
            What::Fault(fault, _) => fault::named_limit(fault),
            _ => None,
        };
        Some(Refused { scope, pause: pause.max(SHORTEST), limit })
    }

    /// The failure in a few words, for logs and observers.
    pub(super) fn cause(&self) -> String {
        match &self.what {
            What::Fault(fault, _) => match fault.code.as_ref().or(fault.kind.as_ref()) {
                Some(code) => format!("{} {code}", fault.status),
                None => fault.status.to_string(),
            },
            What::Broken(broken) => broken.to_string(),
            What::Undecodable { status, message } => {
                format!("{status} without an answer: {message}")
            }
        }
    }

    /// A short, stable name for what failed.
    pub(super) fn kind(&self) -> Cow<'static, str> {
        match &self.what {
            What::Fault(fault, _) => {
                fault_name(fault.status, fault.code.as_deref().or(fault.kind.as_deref())).into()
            }
            What::Broken(broken) => broken.kind.name().into(),
            What::Undecodable { .. } => "invalid_answer".into(),
        }
    }

    /// HTTP status, if an answer came.
    pub(super) fn status(&self) -> Option<u16> {
        match &self.what {
            What::Fault(fault, _) => Some(fault.status),
            What::Undecodable { status, .. } => Some(*status),
            What::Broken(_) => None,
        }
    }

    /// The failure as the caller's error, after `attempts` attempts.
    pub(super) fn into_error(
        self,
        why: Why,
        attempts: u32,
        timeout: Duration,
        request_id: Option<Box<str>>,
    ) -> Error {
        let request_id = request_id.map(String::from);
        match self.what {
            What::Fault(fault, body) => {
                let is_refusal = matches!(
                    self.class,
                    Class::Throttled { .. } | Class::SlowDown | Class::TooLarge { .. }
                );
                let may_mend = is_refusal || matches!(self.class, Class::Ill);
                let error = Box::new(ApiError {
                    status: fault.status,
                    kind: fault.kind,
                    code: fault.code,
                    message: fault.message,
                    param: fault.param,
                    request_id,
                    retry_after: self.hint,
                    attempts,
                    // A stream that broke is not sent again here; the caller may.
                    retryable: why != Why::NotRetryable || (self.is_late && may_mend),
                    fatal: matches!(self.class, Class::RunFatal),
                    body,
                });
                if is_refusal { Error::RateLimit(error) } else { Error::Api(error) }
            }
            What::Broken(TransportError { kind: TransportErrorKind::Interrupted, .. }) => {
                Error::Cancelled
            }
            What::Broken(TransportError { kind: TransportErrorKind::Timeout(stage), .. }) => {
                Error::Timeout(Box::new(Timeout::new(stage, timeout, attempts)))
            }
            What::Broken(mut broken) => {
                broken.attempts = attempts;
                Error::Transport(Box::new(broken))
            }
            What::Undecodable { status, message } => {
                let mut error = Undecodable::new(status, message);
                error.request_id = request_id;
                error.attempts = attempts;
                Error::Decode(Box::new(error))
            }
        }
    }
}
