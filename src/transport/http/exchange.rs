use super::HttpOptions;
use super::connector::SharedConnector;
use super::failure::{Phase, failure};
use super::proxy::Routes;
use super::resolver::CachingResolver;
use super::tls;
use crate::clock::Stage;
use crate::error::{Error, TransportError, TransportErrorKind};
use crate::transport::{Answer, Exchange, Headers, Method, Transport};
use parking_lot::Mutex;
use std::fmt;
use std::time::Duration;
use ureq::config::Config;
use ureq::http::{Request, Response};
use ureq::{Agent, Body, Proxy};

/// How long a connection may be idle and still be used again: well below the 400 s after which the
/// edges of large services were seen to close them.
const IDLE: Duration = Duration::from_secs(60);
/// Enough for headers and small bodies; larger ones take more writes and nothing else.
const BUFFER: usize = 8 << 10;

/// The real transport: blocking HTTP/1.1.
///
/// It keeps an agent with one connection for each request that was ever in flight at once, and
/// uses the one that was used last; a pool of many connections would cost each request a scan.
pub struct Http {
    routes: Routes<Route>,
    connector: SharedConnector,
    resolver: CachingResolver,
    max_answer_bytes: u64,
}

/// A way to the server, direct or through a proxy, with the agents that are idle.
struct Route {
    config: Config,
    idle: Mutex<Vec<Agent>>,
}

impl Http {
    /// A transport with `options`.
    ///
    /// # Errors
    /// When the CA file cannot be read or holds no certificate, or a proxy's address is not valid.
    pub fn new(options: HttpOptions) -> Result<Http, Error> {
        let tls = tls::config(options.ca_file.as_deref())?;
        let route = |proxy: Option<Proxy>| Route {
            config: config(&options, tls.clone(), proxy),
            idle: Mutex::default(),
        };
        Ok(Http {
            routes: Routes::new(&options.proxies, route)?,
            connector: SharedConnector::default(),
            resolver: CachingResolver::new(options.clock.clone()),
            max_answer_bytes: options.max_answer_bytes,
        })
    }

    fn agent(&self, route: &Route) -> Agent {
        let idle = route.idle.lock().pop();
        idle.unwrap_or_else(|| {
            Agent::with_parts(route.config.clone(), self.connector.clone(), self.resolver.clone())
        })
    }

    fn run(&self, agent: &Agent, request: &Exchange<'_>) -> Result<Answer, TransportError> {
        let response = send(agent, request).map_err(|e| failure(e, Phase::Head))?;
        self.read(response).map_err(|e| failure(e, Phase::Body))
    }

    fn read(&self, mut response: Response<Body>) -> Result<Answer, ureq::Error> {
        let status = response.status().as_u16();
        let mut headers = Headers::default();
        for (name, value) in response.headers() {
            if let (true, Ok(value)) = (is_interesting(name.as_str()), value.to_str()) {
                headers.push(name.as_str(), value);
            }
        }
        let body = response.body_mut().with_config().limit(self.max_answer_bytes).read_to_vec()?;
        Ok(Answer { status, headers, body })
    }
}

fn config(options: &HttpOptions, tls: Option<tls::Config>, proxy: Option<Proxy>) -> Config {
    let config = Config::builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(proxy)
        .user_agent(concat!("openai-bulk/", env!("CARGO_PKG_VERSION")))
        .accept("application/json")
        .accept_encoding(ureq::config::AutoHeaderValue::None)
        .max_idle_connections(1)
        .max_idle_connections_per_host(1)
        .max_idle_age(IDLE)
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        .timeout_connect(Some(options.connect_timeout));
    tls::apply(config, tls).build()
}

fn send(agent: &Agent, request: &Exchange<'_>) -> Result<Response<Body>, ureq::Error> {
    let builder = Request::builder().uri(request.url).method(match request.method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Delete => "DELETE",
    });
    let builder = request.headers.iter().fold(builder, |b, (name, value)| b.header(name, value));
    let timeout = Some(request.timeout);
    if request.method == Method::Post {
        let body = builder.header("content-type", "application/json").body(request.body)?;
        agent.run(agent.configure_request(body).timeout_global(timeout).build())
    } else {
        agent.run(agent.configure_request(builder.body(())?).timeout_global(timeout).build())
    }
}

/// Headers that somebody reads; keeping the others would cost more than reading the answer.
fn is_interesting(name: &str) -> bool {
    const NAMES: &[&str] =
        &["x-should-retry", "x-request-id", "apim-request-id", "date", "location"];
    const BEGINNINGS: &[&str] = &["x-ratelimit-", "retry-after", "openai-"];
    NAMES.contains(&name) || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

impl Transport for Http {
    fn exchange(&self, request: &Exchange<'_>) -> Result<Answer, TransportError> {
        let interrupted = || TransportError::new(TransportErrorKind::Interrupted, true, "");
        #[cfg(not(feature = "rustls"))]
        if request.url.starts_with("https:") {
            let message =
                "this program was built without the feature `rustls`, so it cannot use https";
            return Err(TransportError::new(TransportErrorKind::Tls, false, message));
        }
        let route = self.routes.choose(request.url);
        let agent = self.agent(route);
        let subscription = request.stop.subscribe({
            let agent = agent.clone();
            move |stage| {
                if stage == Stage::Abort {
                    agent.clone().shutdown();
                }
            }
        });
        let result = self.run(&agent, request);
        drop(subscription);
        if request.stop.stage() == Stage::Abort {
            // Whatever came, it may have been cut off by us, and the agent is of no more use.
            return Err(interrupted());
        }
        route.idle.lock().push(agent);
        result
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("max_answer_bytes", &self.max_answer_bytes)
            .finish_non_exhaustive()
    }
}
