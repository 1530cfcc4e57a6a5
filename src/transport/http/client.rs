use super::body::{Framing, check_end, kept, receive};
use super::fault;
use super::line::{IDLE, Line, Parts, Stock, port};
use super::names::Names;
use super::options::HttpOptions;
use super::proxies::{Proxies, ProxyUrl, Route};
use super::streamed::{Link, incoming};
use super::tcp::Spare;
use super::tls::{self, Tls};
use super::watch::Reached;
use crate::clock::{Stage, Stop};
use crate::error::{Error, TimeoutStage, TransportError, TransportErrorKind as Kind};
use crate::transport::multipart::{local, saved, with_content_type};
use crate::transport::{Answer, Exchange, Incoming, Method, Patience, Transfer, Transport};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;
use ureq::config::Config;
use ureq::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use ureq::http::{self, Request, Uri};

/// How many bytes ureq's part of a secure connection reads or writes at once, each way. It holds
/// these buffers for as long as it lives.
const BUFFER: usize = 4 << 10;

/// How much of an answer that is saved is in memory at once.
const PIECE: usize = 64 << 10;

/// Sends requests over HTTP/1.1.
///
/// It holds a connection for each exchange that is in flight, and keeps it for the next. The
/// exchanges run on their callers' threads; a stack of 512 KiB is enough.
///
/// An answer is complete or it is an error: a body that ends before its declared length, or
/// before its last chunk, is [`TransportErrorKind::Cut`](crate::error::TransportErrorKind::Cut). A body without length and chunks ends with the
/// connection; it is taken if the server closed in order and nobody interrupted the exchange.
///
/// A redirect is given back as the answer that it is. Nothing is sent twice: whether another try
/// is wanted is decided above.
pub struct Http {
    direct: Arc<Stock>,
    http_proxy: Option<Arc<Stock>>,
    https_proxy: Option<Arc<Stock>>,
    proxies: Proxies,
    max_answer_bytes: u64,
    closing: Stop,
}

impl Http {
    /// A transport with `options`.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if the file with certificates cannot be read; [`Error::Validation`] if it
    /// holds none, or if a proxy's address or the user agent is not valid.
    pub fn new(options: HttpOptions) -> Result<Http, Error> {
        let tls = tls::settings(options.ca_file.as_deref())?;
        let names = Arc::new(Names::new(options.lookup.clone(), options.clock.clone()));
        let (shared, spare, closing) = (Tls::default(), Arc::<Spare>::default(), Stop::new());
        let stock = |proxy: Option<&ProxyUrl>| -> Result<Arc<Stock>, Error> {
            let parts = Parts {
                config: config(&options, &tls, proxy)?,
                names: names.clone(),
                tls: shared.clone(),
                spare: spare.clone(),
                closing: closing.clone(),
            };
            Ok(Arc::new(Stock::new(parts, options.clock.clone())))
        };
        let through = |route| options.proxies.of(route).map(|url| stock(Some(url))).transpose();
        Ok(Http {
            http_proxy: through(Route::HttpProxy)?,
            https_proxy: through(Route::HttpsProxy)?,
            direct: stock(None)?,
            proxies: options.proxies.clone(),
            max_answer_bytes: options.max_answer_bytes,
            closing,
        })
    }

    /// Interrupts all exchanges, closes all connections, and refuses whatever comes later.
    pub fn shutdown(&self) {
        self.closing.abort();
        self.stocks().for_each(|stock| stock.clear());
    }

    fn stocks(&self) -> impl Iterator<Item = &Arc<Stock>> {
        [Some(&self.direct), self.http_proxy.as_ref(), self.https_proxy.as_ref()]
            .into_iter()
            .flatten()
    }

    fn stock(&self, route: Route) -> &Arc<Stock> {
        let stock = match route {
            Route::Direct => None,
            Route::HttpProxy => self.http_proxy.as_ref(),
            Route::HttpsProxy => self.https_proxy.as_ref(),
        };
        stock.unwrap_or(&self.direct)
    }

    fn is_aborted(&self, stop: &Stop) -> bool {
        stop.stage() == Stage::Abort || self.closing.stage() == Stage::Abort
    }
}

impl Transport for Http {
    fn exchange(&self, request: &Exchange<'_>) -> Result<Answer, TransportError> {
        let mut prepared = self.prepare(request)?;
        let answered = run(&mut prepared, request, self.max_answer_bytes);
        self.conclude(prepared, request, answered)
    }

    fn stream(
        &self,
        request: &Exchange<'_>,
        patience: Patience,
    ) -> Result<Incoming, TransportError> {
        let mut prepared = self.prepare(request)?;
        prepared.line.progress.allow(patience.first_byte);
        let answered = send(&mut prepared, request.method, request.body);
        let Prepared { line, target, route, .. } = *prepared;
        let link = Link {
            stock: self.stock(route).clone(),
            target,
            is_proxied: route != Route::Direct,
            patience,
            stop: request.stop.clone(),
            closing: self.closing.clone(),
        };
        match answered {
            Ok(response) => Ok(incoming(response, self.max_answer_bytes, line, link)),
            Err(e) => Err(link.judge(e, &line, false)),
        }
    }

    fn transfer(
        &self,
        request: &Exchange<'_>,
        transfer: &Transfer,
    ) -> Result<Answer, TransportError> {
        match transfer {
            Transfer::Upload(form) => {
                let (length, mut reader) = form.open().map_err(|e| local("read", &e))?;
                let mut headers = with_content_type(request, form);
                headers.push(("Content-Length".into(), length.to_string()));
                let request = Exchange { headers: &headers, ..*request };
                let mut prepared = self.prepare(&request)?;
                let body = ureq::SendBody::from_reader(&mut reader);
                let answered = send(&mut prepared, request.method, body)
                    .and_then(|response| receive(response, self.max_answer_bytes, &prepared.line));
                self.conclude(prepared, &request, answered)
            }
            Transfer::Download(path) => {
                let mut file = File::create(path).map_err(|e| local("write", &e))?;
                let mut prepared = self.prepare(request)?;
                let mut full = None;
                let answered = send(&mut prepared, request.method, ())
                    .and_then(|response| self.save(response, &mut file, &mut full, &prepared.line));
                let answered = self.conclude(prepared, request, answered);
                // A disk that is full is not the server's fault.
                full.map_or(answered, |e| Err(local("write", &e)))
            }
        }
    }
}

/// An exchange that is about to begin.
struct Prepared {
    line: Line,
    target: Target,
    headers: HeaderMap,
    route: Route,
}

// What is on the stack while an answer is awaited is paid by each request in flight, so what comes
// before and after are functions of their own.
impl Http {
    #[inline(never)]
    fn prepare(&self, request: &Exchange<'_>) -> Result<Box<Prepared>, TransportError> {
        if self.is_aborted(request.stop) {
            return Err(TransportError::new(Kind::Interrupted, false, ""));
        }
        if request.timeout.is_zero() {
            let kind = Kind::Timeout(TimeoutStage::Attempt);
            return Err(TransportError::new(kind, false, "no time was left"));
        }
        let target = Target::parse(request.url)?;
        let headers = headers(request)?;
        let route = self.proxies.route(target.secure, target.host(), target.port);
        let line = self.stock(route).take(request.timeout, request.stop);
        Ok(Box::new(Prepared { line, target, headers, route }))
    }

    /// Saves the body of a success.
    fn save(
        &self,
        response: http::Response<ureq::Body>,
        file: &mut File,
        full: &mut Option<io::Error>,
        line: &Line,
    ) -> Result<Answer, ureq::Error> {
        if !response.status().is_success() {
            return receive(response, self.max_answer_bytes, line);
        }
        let (head, body) = response.into_parts();
        let framing = Framing::of(&head, &body);
        let (mut reader, mut piece, mut bytes) = (body.into_reader(), vec![0; PIECE], 0);
        let mut written = Ok(());
        while written.is_ok() {
            match reader.read(&mut piece).map_err(ureq::Error::from)? {
                0 => break,
                some => {
                    written = file.write_all(&piece[..some]);
                    bytes += some as u64;
                }
            }
        }
        *full = written.and_then(|()| file.sync_all()).err();
        if full.is_none() {
            check_end(&framing, bytes, line)?;
        }
        let headers = kept(&head.headers);
        let answer = Answer { status: head.status.as_u16(), headers, ..Answer::default() };
        Ok(saved(answer, bytes))
    }

    #[inline(never)]
    fn conclude(
        &self,
        prepared: Box<Prepared>,
        request: &Exchange<'_>,
        answered: Result<Answer, ureq::Error>,
    ) -> Result<Answer, TransportError> {
        let Prepared { line, target, route, .. } = *prepared;
        match answered {
            Ok(answer) => {
                self.stock(route).put_back(line);
                Ok(answer)
            }
            Err(_) if self.is_aborted(request.stop) => {
                let sent = line.progress.reached() >= Reached::Sending;
                Err(TransportError::new(Kind::Interrupted, sent, ""))
            }
            Err(e) => {
                let reached = line.progress.reached();
                Err(fault::judge(e, reached, &target.server(), route != Route::Direct))
            }
        }
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("proxies", &self.proxies).finish_non_exhaustive()
    }
}

/// Where a request goes.
pub(super) struct Target {
    uri: Uri,
    secure: bool,
    port: u16,
}

impl Target {
    fn parse(url: &str) -> Result<Target, TransportError> {
        let refuse = |what: &str| Err(TransportError::new(Kind::Connect, false, what));
        let Ok(uri) = url.parse::<Uri>() else {
            return refuse("the address is not valid; expected is https://host/path");
        };
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return refuse("the address must begin with https:// or http://"),
        };
        if secure && !tls::BUILT_IN {
            return Err(TransportError::new(Kind::Tls, false, tls::MISSING));
        }
        match (uri.host(), port(&uri)) {
            (Some(host), Some(port)) if !host.is_empty() => Ok(Target { uri, secure, port }),
            _ => refuse("the address names no host"),
        }
    }

    fn host(&self) -> &str {
        self.uri.host().unwrap_or_default()
    }

    /// The host and port, without a name and password that the address may hold.
    pub(super) fn server(&self) -> String {
        format!("{}:{}", self.host(), self.port)
    }
}

fn config(
    options: &HttpOptions,
    tls: &tls::Settings,
    proxy: Option<&ProxyUrl>,
) -> Result<Config, Error> {
    if options.user_agent.is_empty() || HeaderValue::from_str(&options.user_agent).is_err() {
        return Err(Error::invalid("user_agent", "it must be text that a header may hold"));
    }
    let builder = ureq::Agent::config_builder()
        // If it were not set, it would be that of the environment.
        .proxy(proxy.map(parsed).transpose()?)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(&options.user_agent)
        // What comes packed is unpacked, but it is not asked for: unpacking costs more than it saves.
        .accept_encoding("")
        .timeout_connect(Some(options.connect_timeout))
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        .max_idle_connections(1)
        .max_idle_connections_per_host(1)
        .max_idle_age(IDLE);
    #[cfg(feature = "_tls")]
    let builder = builder.tls_config(tls.clone());
    #[cfg(not(feature = "_tls"))]
    let tls::Settings = tls;
    Ok(builder.build())
}

fn parsed(proxy: &ProxyUrl) -> Result<ureq::Proxy, Error> {
    let refuse = |what: &str| Error::invalid(proxy.from.clone(), what);
    let parsed = ureq::Proxy::new(&proxy.url).map_err(|_| {
        refuse("not a proxy's address; expected is http://[name:password@]host:port")
    })?;
    if parsed.protocol() == ureq::ProxyProtocol::Https && !tls::BUILT_IN {
        return Err(refuse(tls::MISSING));
    }
    Ok(parsed)
}

/// The headers that are added to those of a request, but for `Host`: the type and length of the
/// body, what sends it, and what is accepted.
const OWN_HEADERS: usize = 5;

/// The headers as ureq wants them.
fn headers(request: &Exchange<'_>) -> Result<HeaderMap, TransportError> {
    let mut headers = HeaderMap::with_capacity(request.headers.len() + OWN_HEADERS);
    for (name, value) in request.headers {
        let parsed = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str()));
        let (Ok(parsed), Ok(value)) = parsed else {
            // Its value may be a key.
            let what = format!("the header {name:?} holds what a header must not hold");
            return Err(TransportError::new(Kind::Connect, false, what));
        };
        headers.append(parsed, value);
    }
    if !request.body.is_empty() && !headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(headers)
}

/// Does the exchange, from the first byte to the last.
fn run(prepared: &mut Prepared, request: &Exchange<'_>, most: u64) -> Result<Answer, ureq::Error> {
    let response = match request.method {
        Method::Post => send(prepared, request.method, request.body)?,
        // A request without a body says nothing about its length.
        Method::Get | Method::Delete => send(prepared, request.method, ())?,
    };
    receive(response, most, &prepared.line)
}

/// Sends the request and waits for the head of the answer.
#[inline(never)]
fn send<B: ureq::AsSendBody>(
    prepared: &mut Prepared,
    method: Method,
    body: B,
) -> Result<http::Response<ureq::Body>, ureq::Error> {
    let mut message = Request::new(body);
    *message.method_mut() = match method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Delete => http::Method::DELETE,
    };
    *message.uri_mut() = prepared.target.uri.clone();
    *message.headers_mut() = std::mem::take(&mut prepared.headers);
    prepared.line.agent.run(message)
}
