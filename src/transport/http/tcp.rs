use socket2::{Domain, Socket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, ShutdownHandle,
    Transport,
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
#[derive(Debug)]
pub(super) struct Tcp {
    plug: Arc<Plug>,
    buffers: LazyBuffers,
}

impl Tcp {
    fn new(plug: Arc<Plug>, details: &ConnectionDetails<'_>) -> Tcp {
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Tcp { plug, buffers }
    }

    /// Whether nothing waits to be read and the other side has not closed.
    fn is_quiet(&self) -> io::Result<bool> {
        let socket = &self.plug.socket;
        socket.set_nonblocking(true)?;
        let peeked = socket.peek(&mut [MaybeUninit::uninit()]);
        socket.set_nonblocking(false)?;
        Ok(peeked.is_err_and(|e| e.kind() == ErrorKind::WouldBlock))
    }
}

impl Transport for Tcp {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let left = left(timeout)?;
        self.plug.socket.set_write_timeout(left)?;
        let output = &self.buffers.output()[..amount];
        (&self.plug.socket).write_all(output).map_err(|e| named(e, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let left = left(timeout)?;
        self.plug.socket.set_read_timeout(left)?;
        let input = self.buffers.input_append_buf();
        let read = loop {
            match (&self.plug.socket).read(input) {
                // A signal, such as that of Ctrl-C, ends a read with a timeout on any thread.
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                other => break other.map_err(|e| named(e, timeout))?,
            }
        };
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    fn is_open(&mut self) -> bool {
        self.is_quiet().unwrap_or(false)
    }
}

fn left(timeout: NextTimeout) -> Result<Option<Duration>, Error> {
    match timeout.after.is_not_happening() {
        true => Ok(None),
        false if timeout.after.is_zero() => Err(Error::Timeout(timeout.reason)),
        // The system rounds down to microseconds, and would take zero for no limit.
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
