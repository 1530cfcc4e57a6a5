use socket2::{Domain, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, ShutdownHandle, Transport,
};

/// The shortest time that one of several addresses is given.
const LEAST: Duration = Duration::from_millis(50);

/// Opens sockets that can be interrupted while they connect.
///
/// ureq's own connector tells of a socket only when it is connected, so that an abort would wait
/// for a host that does not answer. On Linux a shutdown ends the wait; elsewhere it may last until
/// the connect timeout.
#[derive(Debug)]
pub(super) struct Dial;

impl<In: Transport> Connector<In> for Dial {
    type Out = Either<In, Tcp>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if let Some(through_proxy) = chained {
            return Ok(Some(Either::A(through_proxy)));
        }
        let total = details.timeout.not_zero().map(|total| *total);
        let mut last = Error::HostNotFound;
        for (at, address) in details.addrs.iter().enumerate() {
            let share = total.map(|total| share(total, at, details.addrs.len()));
            match dial(*address, share, details) {
                Ok(socket) => return Ok(Some(Either::B(Tcp::new(socket, details)))),
                // Another address would meet with the same.
                Err(Error::Io(e)) if super::fault::is_exhaustion(&e) => return Err(Error::Io(e)),
                Err(e) => last = e,
            }
        }
        Err(last)
    }
}

/// What one of several addresses gets of the time: half of what those before it left.
fn share(total: Duration, at: usize, of: usize) -> Duration {
    let halvings = (at + 1).min(of - 1).min(31);
    (total / (1 << halvings)).max(LEAST.min(total))
}

fn dial(
    address: SocketAddr,
    within: Option<Duration>,
    details: &ConnectionDetails<'_>,
) -> Result<Arc<Plug>, Error> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    let plug = Arc::new(Plug { socket, pulled: AtomicBool::new(false) });
    let weak: Weak<dyn ShutdownHandle> = Arc::downgrade(&plug) as Weak<dyn ShutdownHandle>;
    (details.register_shutdown)(weak)?;
    let connected = match within {
        Some(within) => plug.socket.connect_timeout(&address.into(), within),
        None => plug.socket.connect(&address.into()),
    };
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
    buffers: Held,
}

impl Tcp {
    fn new(plug: Arc<Plug>, details: &ConnectionDetails<'_>) -> Tcp {
        let config = details.config;
        Tcp { plug, buffers: Held::new(config.input_buffer_size(), config.output_buffer_size()) }
    }

    /// Sends what was gathered.
    fn flush(&mut self, timeout: NextTimeout) -> Result<(), Error> {
        let left = left(timeout)?;
        let mut rest = &self.buffers.output[..self.buffers.gathered];
        while !rest.is_empty() {
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
        let left = left(timeout)?;
        self.buffers.release();
        let read = loop {
            wire::wait(&self.plug.socket, left).map_err(|e| named(e, timeout))?;
            match wire::receive(&self.plug.socket, self.buffers.input_append_buf()) {
                // It was no news after all.
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                other => break other.map_err(|e| named(e, timeout))?,
            }
        };
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        wire::is_quiet(&self.plug.socket)
    }
}

/// Buffers that exist only while bytes move.
#[derive(Debug)]
struct Held {
    input_size: usize,
    output_size: usize,
    input: Vec<u8>,
    /// The part of `input` that was read and not yet used.
    unused: Range<usize>,
    has_progress: bool,
    output: Vec<u8>,
    /// The part of `output` that is to be sent.
    gathered: usize,
}

impl Held {
    fn new(input_size: usize, output_size: usize) -> Held {
        Held {
            input_size,
            output_size,
            input: Vec::new(),
            unused: 0..0,
            has_progress: false,
            output: Vec::new(),
            gathered: 0,
        }
    }

    /// Whether there is less room than ureq expects for what comes next.
    fn is_nearly_full(&self) -> bool {
        self.output.len() < self.gathered + self.output_size
    }

    /// Gives up what holds nothing.
    fn release(&mut self) {
        if self.gathered == 0 {
            self.output = Vec::new();
        }
        if self.unused.is_empty() {
            self.input = Vec::new();
            self.unused = 0..0;
        }
    }

    /// Moves what is unused to the front, and makes room behind it.
    fn make_room(&mut self, size: usize) {
        if self.unused.start > 0 {
            self.input.copy_within(self.unused.clone(), 0);
            self.unused = 0..self.unused.len();
        }
        if self.input.len() < size {
            self.input.resize(size, 0);
        }
    }
}

impl Buffers for Held {
    fn output(&mut self) -> &mut [u8] {
        // Room for another piece behind the first: head and body go out together.
        let size = self.output_size + self.output_size / 2;
        if self.output.len() < size {
            self.output.resize(size, 0);
        }
        &mut self.output[self.gathered..]
    }

    fn input(&self) -> &[u8] {
        &self.input[self.unused.clone()]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        self.make_room(self.input_size);
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
            self.input = Vec::new();
            self.unused = 0..0;
        }
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        /// What ureq reads from a body at once at least.
        const PIECE: usize = 10 * 1024;
        self.make_room(self.unused.len() + PIECE);
        self.output();
        (&mut self.input[self.unused.end..], &mut self.output[self.gathered..])
    }

    fn can_use_input(&self) -> bool {
        !self.unused.is_empty() && self.has_progress
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
    pub(super) fn send(socket: &Socket, bytes: &[u8], left: Option<Duration>) -> io::Result<usize> {
        loop {
            match send_some(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Err(Errno::AGAIN) => until(socket, PollFlags::OUT, left)?,
                Err(Errno::INTR) => {}
                other => return Ok(other?),
            }
        }
    }

    /// Waits for up to `left` for something to read, be it the end.
    pub(super) fn wait(socket: &Socket, left: Option<Duration>) -> io::Result<()> {
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

    fn until(socket: &Socket, flags: PollFlags, left: Option<Duration>) -> io::Result<()> {
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
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

    pub(super) fn send(socket: &Socket, bytes: &[u8], left: Option<Duration>) -> io::Result<usize> {
        socket.set_write_timeout(left)?;
        let mut socket = socket;
        socket.write(bytes)
    }

    pub(super) fn wait(socket: &Socket, left: Option<Duration>) -> io::Result<()> {
        socket.set_read_timeout(left)?;
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

fn left(timeout: NextTimeout) -> Result<Option<Duration>, Error> {
    match timeout.after.is_not_happening() {
        true => Ok(None),
        false if timeout.after.is_zero() => Err(Error::Timeout(timeout.reason)),
        // The system rounds down, and would take zero for no limit.
        false => Ok(Some((*timeout.after).max(Duration::from_millis(1)))),
    }
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
