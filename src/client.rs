//! The handle that everything starts from, and the only place where the parts are put together.

#[cfg(feature = "schema")]
use crate::api::schema::{JsonSchema, Structurable, Structured, StructuredRequest};
use crate::api::{Caller, Request, Response, Stream, StreamRequest, ToolLoop, ToolRequest};
use crate::batch::{Account, BatchOptions, Batches, PartLimits, Store};
use crate::bulk::Bulk;
use crate::cache::{Access, Cache, CacheOptions};
use crate::clock::{Clock, Stop, SystemClock};
use crate::config::{Config, Proxies};
use crate::dispatch::{Dispatcher, Gate, Limits, Observer};
use crate::error::Error;
use crate::policy::backoff::Backoff;
use crate::policy::{breaker, retry};
use crate::transport::{Http, HttpOptions, Transport};
use crate::usage::{Prices, Purse, Standing};
use std::fmt;
use std::sync::Arc;

/// A client of the API. Clones are the same client: they share connections, limits and breaker.
///
/// One call runs on the thread that makes it ([`Client::send`]); many run on a pool of threads
/// ([`Client::bulk`]).
#[derive(Clone)]
pub struct Client {
    caller: Arc<Caller>,
    config: Arc<Config>,
}

impl Client {
    /// A client as the environment and `.env` say; see [`Config::from_env`].
    pub fn from_env() -> Result<Client, Error> {
        Client::new(Config::from_env()?)
    }

    /// A client with `config`.
    pub fn new(config: Config) -> Result<Client, Error> {
        Client::builder(config).build()
    }

    /// A client with `config`, of which some parts are given.
    pub fn builder(config: Config) -> ClientBuilder {
        ClientBuilder { config, transport: None, clock: None, observer: None }
    }

    /// Sends one request on this thread, and waits for the reply.
    pub fn send<R: Request>(&self, request: &R) -> Result<Response<R::Reply>, Error> {
        self.send_until(request, &Stop::new())
    }

    /// Sends one request on this thread, and waits for the reply or for `stop`.
    pub fn send_until<R: Request>(
        &self,
        request: &R,
        stop: &Stop,
    ) -> Result<Response<R::Reply>, Error> {
        self.caller.send(request, stop)
    }

    /// Sends one request whose reply is streamed, and waits on this thread for its first part.
    ///
    /// Until then it is tried again like any other; from then on a break is told with what had come,
    /// and nothing is sent twice. Its tokens are asked for (`stream_options`), unless the request
    /// says otherwise.
    pub fn stream<R: StreamRequest>(&self, request: &R) -> Result<Stream<R>, Error> {
        self.stream_until(request, &Stop::new())
    }

    /// The same; an abort of `stop` from another thread ends a wait at once.
    pub fn stream_until<R: StreamRequest>(
        &self,
        request: &R,
        stop: &Stop,
    ) -> Result<Stream<R>, Error> {
        self.caller.stream(request, stop)
    }

    /// Sends a request for an answer in the form of a type, such as one of
    /// [`ChatRequest::structured`](crate::api::ChatRequest::structured).
    #[cfg(feature = "schema")]
    pub fn send_structured<R, T>(
        &self,
        request: &StructuredRequest<R, T>,
    ) -> Result<Response<Structured<T>>, Error>
    where
        R: Structurable,
        T: JsonSchema + serde::de::DeserializeOwned,
    {
        self.caller.send_structured(request, &Stop::new())
    }

    /// A chat or a response in which the model may call tools.
    pub fn tools<'a, R: ToolRequest>(&self, request: R) -> ToolLoop<'a, R> {
        ToolLoop::new(self.caller.clone(), request)
    }

    /// The same client for this sample of its answers: where answers are kept, those of another
    /// number are not taken. The first is 0; the epochs of an evaluation are such numbers.
    pub fn sample(&self, number: u32) -> Client {
        self.with_epoch(Some(number))
    }

    /// The same client, which goes past the cache: it takes no answer from it, and adds none.
    pub fn uncached(&self) -> Client {
        self.with_epoch(None)
    }

    fn with_epoch(&self, epoch: Option<u32>) -> Client {
        Client { caller: Arc::new(self.caller.epoch(epoch)), config: self.config.clone() }
    }

    /// Many requests at once.
    pub fn bulk(&self) -> Bulk {
        Bulk::new(self.caller.clone())
    }

    /// The jobs of this client in `store`, as the settings `OPENAI_BATCH_*` say.
    ///
    /// # Errors
    /// When the settings or the key cannot be read.
    pub fn batches(&self, store: Store) -> Result<Batches, Error> {
        self.batches_with(store, batch_options(&self.config))
    }

    /// The same with other options.
    ///
    /// # Errors
    /// When the settings or the key cannot be read.
    pub fn batches_with(&self, store: Store, options: BatchOptions) -> Result<Batches, Error> {
        let place = self.config.get_endpoint()?.to_string();
        let account = Account::new(place, &self.caller.dispatcher.headers);
        Ok(Batches::new(self.caller.clone(), store, account, options))
    }

    /// How batches are made, as the settings say.
    pub fn batch_options(&self) -> BatchOptions {
        batch_options(&self.config)
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What makes calls of requests; for bulk runs over files.
    pub fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    /// The limits that are stated now.
    pub fn limits(&self) -> Limits {
        self.gate().limits()
    }

    /// Changes the limits that are stated, from now on and for what is running too. Lower ones that
    /// the server tells still count.
    pub fn set_limits(&self, limits: Limits) {
        self.gate().set_limits(limits, self.caller.dispatcher.clock.now());
    }

    /// The host and port of the proxy that requests go through; `None` if they go straight to the
    /// server.
    pub fn proxy(&self) -> Option<String> {
        let url = self.config.get_endpoint().ok()?.to_string();
        let options = http_options(&self.config, self.caller.dispatcher.clock.clone());
        options.proxy_for(&url).map(str::to_owned)
    }

    /// What a token costs, as this client counts it.
    pub fn prices(&self) -> &Prices {
        &self.caller.dispatcher.prices
    }

    /// What was spent against the client's cap, and what is held for requests in flight; `None`
    /// without a cap.
    pub fn spending(&self) -> Option<Standing> {
        self.caller.dispatcher.purse.as_ref().map(|purse| purse.standing())
    }

    /// The gate, which tells what is in flight and the limits in force.
    pub fn gate(&self) -> &Arc<Gate> {
        &self.caller.dispatcher.gate
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Puts a client together; see [`Client::builder`].
#[must_use = "call .build()"]
pub struct ClientBuilder {
    config: Config,
    transport: Option<Arc<dyn Transport>>,
    clock: Option<Arc<dyn Clock>>,
    observer: Option<Observer>,
}

impl ClientBuilder {
    /// Sends through `transport`. Default: HTTP over ureq.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Takes the time from `clock`. Default: the machine's clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Calls `observer` with everything that happens. Default: nobody is told.
    pub fn observer(mut self, observer: Observer) -> Self {
        self.observer = Some(observer);
        self
    }

    /// The client, or what is wrong with its settings.
    pub fn build(self) -> Result<Client, Error> {
        let ClientBuilder { config, transport, clock, observer } = self;
        config.validate()?;
        let clock = clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let transport = match transport {
            Some(transport) => transport,
            None => Arc::new(Http::new(http_options(&config, clock.clone()))?),
        };
        let endpoint = config.get_endpoint()?;
        let caps = config.get_caps();
        let headers = endpoint.headers(config.load_key()?.as_ref());
        let dispatcher = Dispatcher {
            transport,
            clock,
            gate: Gate::new(limits(&config)),
            rules: rules(&config),
            timeout: config.get_timeout(),
            patience: config.get_patience(),
            deadline: config.get_deadline(),
            hedge: config.get_hedge(),
            cache: cache(&config, &headers)?,
            headers,
            prices: Arc::new(config.load_prices()?),
            purse: caps.is_some().then(|| Purse::new(caps, None)),
            observer,
        };
        let address = Arc::new(move |path: &str, model: &str| endpoint.url(path, Some(model)));
        let caller = Caller::new(Arc::new(dispatcher), address, config.get_model())
            .limit_groups(config.get_limit_groups());
        Ok(Client { caller: Arc::new(caller), config: Arc::new(config) })
    }
}

fn cache(config: &Config, headers: &[(String, String)]) -> Result<Cache, Error> {
    let cache = match config.get_cache() {
        Access::Off => Cache::none(),
        access => {
            let (size, age) = (config.get_cache_max_size(), config.get_cache_max_age());
            let options = CacheOptions::new(config.find_cache_file()?, size, age);
            Cache::open(options.access(access), headers)
        }
    };
    Ok(cache.coalescing(config.get_coalesce()))
}

fn http_options(config: &Config, clock: Arc<dyn Clock>) -> HttpOptions {
    let mut options = HttpOptions::default()
        .connect_timeout(config.get_connect_timeout())
        .max_answer_bytes(config.get_max_answer_size())
        .clock(clock);
    if let Some(path) = config.get_ca_file() {
        options = options.ca_file(path);
    }
    let Proxies { http, https, all, no_proxy } = config.get_proxies();
    if let Some(url) = http.as_ref().or(all.as_ref()) {
        options = options.http_proxy(url);
    }
    if let Some(url) = https.as_ref().or(all.as_ref()) {
        options = options.https_proxy(url);
    }
    match no_proxy {
        Some(list) => options.no_proxy(list),
        None => options,
    }
}

fn batch_options(config: &Config) -> BatchOptions {
    BatchOptions {
        poll_interval: config.get_batch_poll_interval(),
        limits: PartLimits {
            rows: config.get_batch_max_requests() as u64,
            bytes: config.get_batch_max_bytes(),
            inputs: config.get_batch_max_inputs() as u64,
        },
        completion_window: config.get_batch_completion_window().to_owned(),
        enqueued_tokens: config.get_batch_enqueued_tokens(),
        ..BatchOptions::default()
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        requests_per_minute: config.get_requests_per_minute().map(|limit| limit as f64),
        tokens_per_minute: config.get_tokens_per_minute().map(|limit| limit as f64),
        requests_per_day: config.get_requests_per_day().map(|limit| limit as f64),
        tokens_per_day: config.get_tokens_per_day().map(|limit| limit as f64),
        burst: config.get_rate_limit_burst(),
        min_concurrency: config.get_min_concurrency(),
        max_concurrency: config.get_max_concurrency(),
        breaker: breaker::Rules {
            failure_share: config.get_circuit_failure_share(),
            min_calls: config.get_circuit_min_calls(),
            patience: config.get_circuit_patience(),
            first_patience: config.get_circuit_first_patience(),
            ..breaker::Rules::default()
        },
    }
}

fn rules(config: &Config) -> retry::Rules {
    let backoff = Backoff { base: config.get_backoff_base(), cap: config.get_backoff_cap() };
    retry::Rules { max_retries: config.get_max_retries(), backoff }
}
