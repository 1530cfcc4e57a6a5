use super::watch::Progress;
use parking_lot::Mutex;
use socket2::{Domain, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, ShutdownHandle, Transport,
};
use ureq::{Error, Timeout};

/// The shortest time that one of several addresses is given.
const LEAST: Duration = Duration::from_millis(50);

/// Opens sockets that can be interrupted while they connect.
///
/// ureq's own connector tells of a socket only when it is connected, so that an abort would wait
/// for a host that does not answer. On Linux a shutdown ends the wait; elsewhere it may last until
/// the connect timeout.
#[derive(Clone, Debug)]
pub(super) struct Dial {
    spare: Arc<Spare>,
    progress: Arc<Progress>,
}

impl Dial {
    /// Opens sockets that take their buffers from `spare`, and whose waits end with the exchange.
    pub(super) fn new(spare: &Arc<Spare>, progress: &Arc<Progress>) -> Dial {
        Dial { spare: spare.clone(), progress: progress.clone() }
    }

    /// A connection to the first address that answers.
    pub(super) fn open(&self, details: &ConnectionDetails<'_>) -> Result<Tcp, Error> {
        let total = left(&self.progress, details.timeout)?;
        let mut last = Error::HostNotFound;
        for (at, address) in details.addrs.iter().enumerate() {
            match dial(*address, share(total, at, details.addrs.len()), details) {
                Ok(plug) => {
                    let buffers = Held::new(self.spare.clone());
                    let progress = self.progress.clone();
                    return Ok(Tcp { plug, progress, buffers, has_answered: false });
                }
                // Another address would meet with the same.
                Err(Error::Io(e)) if super::fault::is_exhaustion(&e) => return Err(Error::Io(e)),
                Err(e) => last = e,
            }
        }
        Err(last)
    }
}

impl<In: Transport> Connector<In> for Dial {
    type Out = Either<In, Tcp>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        match chained {
            Some(through_proxy) => Ok(Some(Either::A(through_proxy))),
            None => Ok(Some(Either::B(self.open(details)?))),
        }
    }
}

/// What one of several addresses gets of the time: half of what those before it left.
fn share(total: Duration, at: usize, of: usize) -> Duration {
    let halvings = (at + 1).min(of - 1).min(31);
    (total / (1 << halvings)).max(LEAST.min(total))
}

fn dial(
    address: SocketAddr,
    within: Duration,
    details: &ConnectionDetails<'_>,
) -> Result<Arc<Plug>, Error> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    let plug = Arc::new(Plug { socket, pulled: AtomicBool::new(false) });
    let weak: Weak<dyn ShutdownHandle> = Arc::downgrade(&plug) as Weak<dyn ShutdownHandle>;
    (details.register_shutdown)(weak)?;
    let connected = plug.socket.connect_timeout(&address.into(), within);
    if plug.pulled.load(Ordering::Acquire) {
        return Err(Error::Io(ErrorKind::ConnectionAborted.into()));
    }
    match connected {
        Err(e) if e.kind() == ErrorKind::TimedOut => Err(Error::Timeout(details.timeout.reason)),
        Err(e) => Err(Error::Io(e)),
        Ok(()) => {
            plug.socket.set_tcp_nodelay(true)?;
            Ok(plug)
        }
    }
}

/// A socket that another thread can shut down.
#[derive(Debug)]
struct Plug {
    socket: Socket,
    pulled: AtomicBool,
}

impl ShutdownHandle for Plug {
    fn shutdown(&self) {
        self.pulled.store(true, Ordering::Release);
        // It fails if there is no connection to end.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// A connection, as ureq wants it.
///
/// What is sent is gathered and goes out in one piece when an answer is awaited. No buffer is held
/// while it is: at thousands of requests in flight, nearly all of them wait.
#[derive(Debug)]
pub(super) struct Tcp {
    plug: Arc<Plug>,
    progress: Arc<Progress>,
    buffers: Held,
    /// Bytes came since it was last looked at.
    has_answered: bool,
}

impl Tcp {
    /// Sends what was gathered.
    fn flush(&mut self, timeout: NextTimeout) -> Result<(), Error> {
        let mut rest = &self.buffers.output[..self.buffers.gathered];
        while !rest.is_empty() {
            let left = left(&self.progress, timeout)?;
            let sent = wire::send(&self.plug.socket, rest, left).map_err(|e| named(e, timeout))?;
            rest = &rest[sent..];
        }
        self.buffers.gathered = 0;
        Ok(())
    }
}

impl Transport for Tcp {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.buffers.gathered += amount;
        if self.buffers.is_nearly_full() { self.flush(timeout) } else { Ok(()) }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.flush(timeout)?;
        self.buffers.release();
        let read = loop {
            let left = left(&self.progress, timeout)?;
            wire::wait(&self.plug.socket, left).map_err(|e| named(e, timeout))?;
            match wire::receive(&self.plug.socket, self.buffers.input_append_buf()) {
                // It was no news after all.
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                other => break other.map_err(|e| named(e, timeout))?,
            }
        };
        self.buffers.input_appended(read);
        self.has_answered = read > 0;
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        // ureq asks at the end of an answer, and again before the next request: that one tells.
        std::mem::take(&mut self.has_answered) || wire::is_quiet(&self.plug.socket)
    }
}

/// Buffers that exist only while bytes move.
#[derive(Debug)]
pub(super) struct Held {
    spare: Arc<Spare>,
    input: Vec<u8>,
    /// The part of `input` that was read and not yet used.
    unused: Range<usize>,
    has_progress: bool,
    output: Vec<u8>,
    /// The part of `output` that is to be sent.
    gathered: usize,
}

impl Held {
    pub(super) fn new(spare: Arc<Spare>) -> Held {
        Held {
            spare,
            input: Vec::new(),
            unused: 0..0,
            has_progress: false,
            output: Vec::new(),
            gathered: 0,
        }
    }

    /// Whether there is less room than ureq expects for what comes next.
    fn is_nearly_full(&self) -> bool {
        self.output.len() < self.gathered + PIECE
    }

    /// Gives up what holds nothing.
    pub(super) fn release(&mut self) {
        if self.gathered == 0 {
            self.spare.put_back(&mut self.output);
        }
        if self.unused.is_empty() {
            self.unused = 0..0;
            self.spare.put_back(&mut self.input);
        }
    }

    /// Moves what is unused to the front, and makes room for `more` behind it.
    fn make_room(&mut self, more: usize) {
        if self.input.is_empty() {
            self.input = self.spare.take();
        }
        if self.unused.start > 0 {
            self.input.copy_within(self.unused.clone(), 0);
            self.unused = 0..self.unused.len();
        }
        let size = self.unused.len() + more;
        if self.input.len() < size {
            self.input.resize(size, 0);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.spare.put_back(&mut self.output);
        self.spare.put_back(&mut self.input);
    }
}

impl Buffers for Held {
    fn output(&mut self) -> &mut [u8] {
        if self.output.is_empty() {
            self.output = self.spare.take();
        }
        &mut self.output[self.gathered..]
    }

    fn input(&self) -> &[u8] {
        &self.input[self.unused.clone()]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        // An answer's head must fit in one buffer: ureq allows it 64 KiB.
        self.make_room(PIECE);
        &mut self.input[self.unused.end..]
    }

    fn input_appended(&mut self, amount: usize) {
        self.unused.end += amount;
    }

    fn input_consume(&mut self, amount: usize) {
        self.has_progress = amount > 0;
        self.unused.start += amount;
        if self.unused.is_empty() {
            // An answer has come to its end, or more of it has to be waited for.
            self.unused = 0..0;
            self.spare.put_back(&mut self.input);
        }
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        self.make_room(PIECE);
        self.output();
        (&mut self.input[self.unused.end..], &mut self.output[self.gathered..])
    }

    fn can_use_input(&self) -> bool {
        !self.unused.is_empty() && self.has_progress
    }
}

/// A buffer's size; ureq's own 128 KiB cost 300 KiB for each exchange in flight and save nothing
/// on a kilobyte.
const SIZE: usize = 24 << 10;
/// What ureq wants room for at once at least: a body is read by 10 KiB, and a head is written whole.
const PIECE: usize = 12 << 10;
/// Buffers that are kept: more than bytes move for at once.
const KEPT: usize = 64;

/// The buffers that nobody uses, shared by the connections of a transport.
#[derive(Debug, Default)]
pub(super) struct Spare(Mutex<Vec<Vec<u8>>>);

impl Spare {
    fn take(&self) -> Vec<u8> {
        let kept = self.0.lock().pop();
        kept.unwrap_or_else(|| vec![0; SIZE])
    }

    /// Takes back a buffer, if it is one.
    fn put_back(&self, buffer: &mut Vec<u8>) {
        let buffer = std::mem::take(buffer);
        // One that has grown, for a long head, is not what the next one needs.
        if buffer.len() == SIZE {
            let mut kept = self.0.lock();
            if kept.len() < KEPT {
                kept.push(buffer);
            }
        }
    }
}

/// The system calls: none of them blocks but for `wait`, so that no timeout has to be set.
#[cfg(unix)]
mod wire {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::io::Errno;
    use rustix::net::{RecvFlags, SendFlags, recv, send as send_some};
    use rustix::time::Timespec;
    use socket2::Socket;
    use std::io::{self, ErrorKind};
    use std::time::Duration;

    /// Sends some of `bytes`, waiting for room for up to `left`.
    pub(super) fn send(socket: &Socket, bytes: &[u8], left: Duration) -> io::Result<usize> {
        loop {
            match send_some(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Err(Errno::AGAIN) => until(socket, PollFlags::OUT, left)?,
                Err(Errno::INTR) => {}
                other => return Ok(other?),
            }
        }
    }

    /// Waits for up to `left` for something to read, be it the end.
    pub(super) fn wait(socket: &Socket, left: Duration) -> io::Result<()> {
        until(socket, PollFlags::IN, left)
    }

    /// Reads what is there.
    pub(super) fn receive(socket: &Socket, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match recv(socket, &mut *into, RecvFlags::DONTWAIT) {
                Err(Errno::INTR) => {}
                other => return Ok(other?.0),
            }
        }
    }

    /// Whether nothing waits to be read and the other side has not closed.
    pub(super) fn is_quiet(socket: &Socket) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        matches!(recv(socket, &mut [0u8; 1][..], flags), Err(Errno::AGAIN))
    }

    fn until(socket: &Socket, flags: PollFlags, left: Duration) -> io::Result<()> {
        let timeout = Timespec::try_from(left).ok();
        loop {
            // A signal, such as that of Ctrl-C, may end it early on any thread.
            match poll(&mut [PollFd::new(socket, flags)], timeout.as_ref()) {
                Err(Errno::INTR) => {}
                Ok(0) => return Err(ErrorKind::TimedOut.into()),
                other => return other.map(drop).map_err(io::Error::from),
            }
        }
    }
}

/// The same with what every system has.
#[cfg(not(unix))]
mod wire {
    use socket2::Socket;
    use std::io::{self, ErrorKind, Read, Write};
    use std::mem::MaybeUninit;
    use std::time::Duration;

    pub(super) fn send(socket: &Socket, bytes: &[u8], left: Duration) -> io::Result<usize> {
        socket.set_write_timeout(Some(left))?;
        let mut socket = socket;
        socket.write(bytes)
    }

    pub(super) fn wait(socket: &Socket, left: Duration) -> io::Result<()> {
        socket.set_read_timeout(Some(left))?;
        socket.peek(&mut [MaybeUninit::uninit()]).map(drop)
    }

    pub(super) fn receive(socket: &Socket, into: &mut [u8]) -> io::Result<usize> {
        let mut socket = socket;
        socket.read(into)
    }

    pub(super) fn is_quiet(socket: &Socket) -> bool {
        let peeked = socket.set_nonblocking(true).and_then(|()| {
            let peeked = socket.peek(&mut [MaybeUninit::uninit()]);
            socket.set_nonblocking(false).and(peeked)
        });
        peeked.is_err_and(|e| e.kind() == ErrorKind::WouldBlock)
    }
}

/// The time until the exchange, or this part of it, has to be over.
fn left(progress: &Progress, timeout: NextTimeout) -> Result<Duration, Error> {
    let whole = progress.left();
    if whole.is_zero() {
        return Err(Error::Timeout(Timeout::Global));
    }
    if timeout.after.is_zero() {
        return Err(Error::Timeout(timeout.reason));
    }
    // The system rounds down, and would take zero for no limit.
    Ok(whole.min(*timeout.after).max(Duration::from_millis(1)))
}

fn named(e: io::Error, timeout: NextTimeout) -> Error {
    match e.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => Error::Io(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_share_the_time_and_the_first_gets_most() {
        let total = Duration::from_secs(8);
        let shares =
            |of: usize| (0..of).map(|at| share(total, at, of).as_secs()).collect::<Vec<_>>();
        assert_eq!(shares(1), [8]);
        assert_eq!(shares(2), [4, 4]);
        assert_eq!(shares(4), [4, 2, 1, 1]);
        assert_eq!(share(total, 15, 16), LEAST);
        assert_eq!(share(Duration::from_millis(10), 3, 4), Duration::from_millis(10));
    }
}
