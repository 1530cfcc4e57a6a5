//! A world in virtual time: a server as a closure, a clock that jumps, and a client between them.

use openai_bulk::Error;
use openai_bulk::cache::Cache;
use openai_bulk::clock::{Clock, ManualClock, Stop, Time};
use openai_bulk::dispatch::{
    Call, Delivered, Dispatcher, Gate, Job, Limits, Pool, PoolOptions, Reply,
};
use openai_bulk::error::TransportError;
use openai_bulk::policy::retry::Rules;
use openai_bulk::transport::{Answer, Exchange, Method};
use openai_bulk::usage::{Caps, Prices, Purse};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// An answer as a chat model gives it.
pub const OK: &str = r#"{"object":"chat.completion","choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}"#;

pub fn ok() -> Answer {
    Answer::new(200, OK)
}

pub fn error(status: u16, code: &str, message: &str) -> Answer {
    let body = format!(
        r#"{{"error":{{"message":"{message}","type":"some_error","param":null,"code":"{code}"}}}}"#
    );
    Answer::new(status, body)
}

/// What the server saw: when, and the body.
pub type Seen = Arc<Mutex<Vec<(Duration, String)>>>;

type Server = dyn Fn(&Request<'_>) -> Result<Answer, TransportError> + Send + Sync;

/// One request, as the server in a scenario sees it.
pub struct Request<'a> {
    /// How often this body was sent before.
    pub earlier: usize,
    pub body: &'a str,
    pub at: Duration,
    pub clock: &'a ManualClock,
    pub stop: &'a Stop,
}

impl Request<'_> {
    /// Lets `length` pass, as a slow server does.
    pub fn takes(&self, length: Duration) {
        self.clock.sleep(length, self.stop);
    }
}

pub struct Scenario {
    limits: Limits,
    rules: Rules,
    timeout: Duration,
    deadline: Duration,
    window: Option<usize>,
    hedge: f64,
    prices: Prices,
    caps: Caps,
}

pub fn scenario() -> Scenario {
    Scenario {
        limits: Limits::default(),
        rules: Rules::default(),
        timeout: Duration::from_secs(600),
        deadline: Duration::from_secs(1800),
        window: None,
        hedge: 0.0,
        prices: Prices::builtin(),
        caps: Caps::default(),
    }
}

impl Scenario {
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }
    pub fn rules(mut self, change: impl FnOnce(&mut Rules)) -> Self {
        change(&mut self.rules);
        self
    }
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
    pub fn hedge(mut self, share: f64) -> Self {
        self.hedge = share;
        self
    }
    pub fn prices(mut self, prices: Prices) -> Self {
        self.prices = prices;
        self
    }
    pub fn caps(mut self, caps: Caps) -> Self {
        self.caps = caps;
        self
    }
    pub fn window(mut self, jobs: usize) -> Self {
        self.window = Some(jobs);
        self
    }

    /// The world with a server that answers as `server` says.
    pub fn server(
        self,
        server: impl Fn(&Request<'_>) -> Result<Answer, TransportError> + Send + Sync + 'static,
    ) -> World {
        let clock = ManualClock::new();
        let seen: Seen = Arc::default();
        let most = Arc::new(AtomicUsize::new(0));
        let transport = transport(clock.clone(), seen.clone(), most.clone(), Box::new(server));
        let dispatcher = Dispatcher {
            transport: Arc::new(transport),
            clock: Arc::new(clock.clone()),
            gate: Gate::new(self.limits),
            rules: self.rules,
            timeout: self.timeout,
            patience: Default::default(),
            deadline: self.deadline,
            hedge: self.hedge,
            headers: Vec::new(),
            prices: Arc::new(self.prices),
            purse: self.caps.is_some().then(|| Purse::new(self.caps, None)),
            cache: Cache::none(),
            observer: None,
        };
        World { clock, dispatcher: Arc::new(dispatcher), seen, most, window: self.window }
    }
}

fn transport(
    clock: ManualClock,
    seen: Seen,
    most: Arc<AtomicUsize>,
    server: Box<Server>,
) -> impl Fn(&Exchange<'_>) -> Result<Answer, TransportError> {
    let now = AtomicUsize::new(0);
    move |exchange: &Exchange<'_>| {
        let body = String::from_utf8(exchange.body.to_vec()).unwrap();
        let at = clock.now().since_origin();
        let earlier = {
            let mut seen = seen.lock().unwrap();
            let earlier = seen.iter().filter(|(_, each)| *each == body).count();
            seen.push((at, body.clone()));
            earlier
        };
        most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
        let request = Request { earlier, body: &body, at, clock: &clock, stop: exchange.stop };
        let answer = server(&request);
        now.fetch_sub(1, SeqCst);
        answer
    }
}

pub struct World {
    pub clock: ManualClock,
    pub dispatcher: Arc<Dispatcher>,
    /// Everything that reached the server, in order.
    pub seen: Seen,
    /// The most requests that were in flight at once.
    pub most: Arc<AtomicUsize>,
    window: Option<usize>,
}

impl World {
    pub fn call(&self, body: &str) -> Call {
        call("m", body)
    }

    /// Sends one call on this thread.
    pub fn send(&self, body: &str) -> Result<Reply, Error> {
        self.dispatcher.send(&self.call(body), &Stop::new())
    }

    /// Sends all calls through a pool and gives what became of each, by its place.
    pub fn send_all(&self, calls: impl IntoIterator<Item = Call>) -> Vec<Delivered<usize>> {
        let calls: Vec<Call> = calls.into_iter().collect();
        let (pool, intake) = Pool::start(self.dispatcher.clone(), self.options(&Stop::new()));
        let feeder = std::thread::spawn({
            let hold = self.clock.hold();
            move || {
                let _hold = hold;
                for (tag, call) in calls.into_iter().enumerate() {
                    if let Err(job) = intake.push(Job { call, tag }) {
                        intake.fail(job.tag, Error::Cancelled);
                    }
                }
            }
        });
        let mut all = Vec::new();
        while let Some(delivered) = pool.recv() {
            pool.release();
            all.push(delivered);
        }
        feeder.join().unwrap();
        all.sort_by_key(|each| each.tag);
        all
    }

    pub fn options(&self, stop: &Stop) -> PoolOptions {
        PoolOptions::new(self.window, stop)
    }

    pub fn now(&self) -> Duration {
        self.clock.now().since(Time::ZERO)
    }

    pub fn times(&self) -> Vec<f64> {
        self.seen.lock().unwrap().iter().map(|(at, _)| at.as_secs_f64()).collect()
    }

    pub fn sent(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

pub fn call(group: &str, body: &str) -> Call {
    Call::new(Method::Post, "http://test/v1/chat/completions".into(), body.as_bytes(), group.into())
}
