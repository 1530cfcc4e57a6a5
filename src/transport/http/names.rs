use super::watch::Progress;
use crate::clock::{Clock, Signal, Time};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io, thread};

/// How long an answer of the system's resolver is used. Default of the house: 60 seconds.
const FRESH: Duration = Duration::from_secs(60);
/// How long it is still used while a newer one is looked up, so that nobody waits for it.
const STALE: Duration = Duration::from_secs(600);
/// How long a failed look-up is not tried again while there are older addresses.
const AGAIN: Duration = Duration::from_secs(5);

/// Turns a host's name into addresses.
pub(super) type Lookup = Arc<dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync>;

/// Asks the system for the addresses of `host`.
pub(super) fn ask_system(host: &str) -> io::Result<Vec<IpAddr>> {
    Ok((host, 0).to_socket_addrs()?.map(|each| each.ip()).collect())
}

/// The addresses of hosts, shared by all agents.
///
/// ureq resolves at each request, and with a timeout it starts a thread for it; here a thread is
/// started once a minute, and however many exchanges wait for a name, it is looked up once.
pub(super) struct Names {
    hosts: Mutex<HashMap<String, Host>>,
    lookup: Lookup,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Host {
    known: Option<Known>,
    flight: Option<Arc<Flight>>,
    turn: usize,
}

struct Known {
    addresses: Vec<IpAddr>,
    fresh_until: Time,
    stale_until: Time,
}

/// A look-up that is under way, and who waits for it.
#[derive(Default)]
struct Flight(Mutex<Landing>);

#[derive(Default)]
struct Landing {
    waiters: Vec<Signal>,
    outcome: Option<Result<Vec<IpAddr>, NameError>>,
}

/// Why there is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NameError {
    #[error("{0}")]
    Failed(String),
    #[error("{0}")]
    Exhausted(String),
    #[error("timed out")]
    Timeout,
    #[error("interrupted")]
    Interrupted,
}

impl Names {
    pub(super) fn new(lookup: Lookup, clock: Arc<dyn Clock>) -> Names {
        Names { hosts: Mutex::default(), lookup, clock }
    }

    /// The addresses of `host`, each time with another one first.
    pub(super) fn addresses(
        self: &Arc<Self>,
        host: &str,
        within: Duration,
        progress: &Progress,
    ) -> Result<Vec<IpAddr>, NameError> {
        if let Ok(literal) = host.trim_matches(['[', ']']).parse() {
            return Ok(vec![literal]);
        }
        let now = self.clock.now();
        let flight = {
            let mut hosts = self.hosts.lock();
            if !hosts.contains_key(host) {
                hosts.insert(host.to_owned(), Host::default());
            }
            let entry = hosts.get_mut(host).expect("it was put there");
            if let Some(addresses) = entry.usable(now, |known| known.fresh_until) {
                return Ok(addresses);
            }
            let flight = entry.flight.clone().map_or_else(|| self.take_off(host), Ok);
            entry.flight = flight.as_ref().ok().cloned();
            if let Some(addresses) = entry.usable(now, |known| known.stale_until) {
                return Ok(addresses);
            }
            flight?
        };
        let landed = self.wait_for(&flight, now + within, progress);
        let mut hosts = self.hosts.lock();
        match hosts.get_mut(host).and_then(|entry| entry.usable(now, |_| Time::NEVER)) {
            Some(addresses) => Ok(addresses),
            None => landed,
        }
    }

    /// Starts a look-up on a thread of its own, since the system's cannot be interrupted.
    fn take_off(self: &Arc<Self>, host: &str) -> Result<Arc<Flight>, NameError> {
        let flight = Arc::new(Flight::default());
        let (names, host, theirs) = (self.clone(), host.to_owned(), flight.clone());
        let hold = self.clock.hold();
        thread::Builder::new()
            .name("openai-bulk-name".into())
            .stack_size(512 << 10)
            .spawn(move || {
                let _hold = hold;
                names.look_up(&host, &theirs);
            })
            .map_err(|e| NameError::Exhausted(format!("no thread to look up a name: {e}")))?;
        Ok(flight)
    }

    fn look_up(&self, host: &str, flight: &Flight) {
        let asked = catch_unwind(AssertUnwindSafe(|| (self.lookup)(host)))
            .unwrap_or_else(|_| Err(io::Error::other("the look-up panicked")));
        let outcome = match asked {
            Ok(found) if found.is_empty() => Err(NameError::Failed("it has no address".into())),
            Ok(found) => Ok(found),
            Err(e) if super::fault::is_exhaustion(&e) => Err(NameError::Exhausted(e.to_string())),
            Err(e) => Err(NameError::Failed(e.to_string())),
        };
        self.learn(host, &outcome);
        let mut landing = flight.0.lock();
        landing.outcome = Some(outcome);
        landing.waiters.drain(..).for_each(|each| each.raise());
    }

    fn learn(&self, host: &str, outcome: &Result<Vec<IpAddr>, NameError>) {
        let now = self.clock.now();
        let mut hosts = self.hosts.lock();
        let Some(entry) = hosts.get_mut(host) else { return };
        entry.flight = None;
        match (outcome, &mut entry.known) {
            (Ok(addresses), known) => {
                *known = Some(Known {
                    addresses: addresses.clone(),
                    fresh_until: now + FRESH,
                    stale_until: now + STALE,
                });
            }
            // What was known stays in use: names fail more often than hosts move.
            (Err(_), Some(known)) => {
                known.fresh_until = now + AGAIN;
                known.stale_until = known.stale_until.max(now + AGAIN);
            }
            (Err(_), None) => {
                hosts.remove(host);
            }
        }
    }

    fn wait_for(
        &self,
        flight: &Flight,
        deadline: Time,
        progress: &Progress,
    ) -> Result<Vec<IpAddr>, NameError> {
        flight.0.lock().waiters.push(progress.signal.clone());
        loop {
            let seen = progress.signal.seen();
            if let Some(outcome) = &flight.0.lock().outcome {
                return outcome.clone();
            }
            if progress.is_stopped() {
                return Err(NameError::Interrupted);
            }
            if self.clock.now() >= deadline {
                return Err(NameError::Timeout);
            }
            self.clock.wait(&progress.signal, seen, Some(deadline));
        }
    }
}

impl Host {
    fn usable(&mut self, now: Time, until: impl Fn(&Known) -> Time) -> Option<Vec<IpAddr>> {
        let known = self.known.as_ref().filter(|known| now < until(known))?;
        let turned = turned(&known.addresses, self.turn);
        self.turn = self.turn.wrapping_add(1);
        Some(turned)
    }
}

/// The same addresses from another one on, those of the first one's family before the others:
/// the system puts first the family that it can reach.
fn turned(addresses: &[IpAddr], turn: usize) -> Vec<IpAddr> {
    let first = addresses[0].is_ipv4();
    let (mut near, mut far): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.iter().partition(|each| each.is_ipv4() == first);
    for family in [&mut near, &mut far].into_iter().filter(|family| !family.is_empty()) {
        let by = turn % family.len();
        family.rotate_left(by);
    }
    near.append(&mut far);
    near
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, SystemClock};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    const LONG: Duration = Duration::from_secs(30);

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    /// Names that answer with what `say` makes of the number of the look-up, and that number.
    fn counted(
        clock: Arc<dyn Clock>,
        say: impl Fn(usize) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> (Arc<Names>, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let inner = count.clone();
        let lookup: Lookup = Arc::new(move |_| say(inner.fetch_add(1, Ordering::SeqCst) + 1));
        (Arc::new(Names::new(lookup, clock)), count)
    }

    fn settle(names: &Names) {
        while names.hosts.lock().values().any(|each| each.flight.is_some()) {
            thread::yield_now();
        }
    }

    #[test]
    fn a_name_is_looked_up_once_a_minute_and_nobody_waits_for_the_second_time() {
        let clock = ManualClock::new();
        let _hold = clock.hold();
        let (names, count) = counted(Arc::new(clock.clone()), |n| Ok(vec![ip(n as u8)]));
        let progress = Progress::default();
        for _ in 0..10 {
            assert_eq!(names.addresses("a.test", LONG, &progress), Ok(vec![ip(1)]));
        }
        clock.advance(Duration::from_secs(61));
        assert_eq!(names.addresses("a.test", LONG, &progress), Ok(vec![ip(1)]));
        settle(&names);
        assert_eq!(names.addresses("a.test", LONG, &progress), Ok(vec![ip(2)]));
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn old_addresses_are_used_while_the_look_up_fails() {
        let clock = ManualClock::new();
        let _hold = clock.hold();
        let (names, count) = counted(Arc::new(clock.clone()), |n| match n {
            1 => Ok(vec![ip(1)]),
            _ => Err(io::Error::other("no such name")),
        });
        let progress = Progress::default();
        for wait in [0, 61, 700, 10_000] {
            clock.advance(Duration::from_secs(wait));
            assert_eq!(names.addresses("a.test", LONG, &progress), Ok(vec![ip(1)]));
            settle(&names);
        }
        assert_eq!(names.addresses("a.test", LONG, &progress), Ok(vec![ip(1)]));
        assert_eq!(count.load(Ordering::SeqCst), 4);
    }

    #[test]
    fn thirty_two_threads_that_want_the_same_name_look_it_up_once() {
        let (open, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let (names, count) = counted(Arc::new(SystemClock::new()), move |_| {
            gate.lock().recv().ok();
            Ok(vec![ip(1)])
        });
        let threads: Vec<_> = (0..32)
            .map(|_| {
                let names = names.clone();
                thread::spawn(move || names.addresses("a.test", LONG, &Progress::default()))
            })
            .collect();
        let waiting = |names: &Names| {
            let hosts = names.hosts.lock();
            let flight = hosts.get("a.test").and_then(|each| each.flight.as_ref());
            flight.map_or(0, |flight| flight.0.lock().waiters.len())
        };
        while waiting(&names) < 32 {
            thread::yield_now();
        }
        open.send(()).unwrap();
        for each in threads {
            assert_eq!(each.join().unwrap(), Ok(vec![ip(1)]));
        }
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_look_up_that_hangs_ends_with_its_time_or_with_an_interruption() {
        let (_open, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let (names, _) = counted(Arc::new(SystemClock::new()), move |_| {
            gate.lock().recv().ok();
            Err(io::Error::other("late"))
        });
        let progress = Progress::default();
        let soon = Duration::from_millis(20);
        assert_eq!(names.addresses("a.test", soon, &progress), Err(NameError::Timeout));
        progress.stop();
        assert_eq!(names.addresses("a.test", LONG, &progress), Err(NameError::Interrupted));
    }

    #[test]
    fn an_unknown_name_fails_and_is_asked_for_again() {
        let (names, count) =
            counted(Arc::new(SystemClock::new()), |_| Err(io::Error::other("no such name")));
        for _ in 0..2 {
            let e = names.addresses("a.test", LONG, &Progress::default());
            assert_eq!(e, Err(NameError::Failed("no such name".into())));
        }
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn an_address_is_not_looked_up() {
        let (names, count) = counted(Arc::new(SystemClock::new()), |_| Ok(vec![ip(1)]));
        for (host, address) in [("127.0.0.1", "127.0.0.1"), ("[::1]", "::1")] {
            let found = names.addresses(host, LONG, &Progress::default());
            assert_eq!(found, Ok(vec![address.parse().unwrap()]));
        }
        assert_eq!(count.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn addresses_take_turns_within_their_family() {
        let six: IpAddr = "2001:db8::1".parse().unwrap();
        let all = [ip(1), six, ip(2), ip(3)];
        assert_eq!(turned(&all, 0), [ip(1), ip(2), ip(3), six]);
        assert_eq!(turned(&all, 1), [ip(2), ip(3), ip(1), six]);
        assert_eq!(turned(&all, 5), [ip(3), ip(1), ip(2), six]);
    }
}
