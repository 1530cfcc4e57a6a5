use super::secure::Secure;
use super::tcp::{Dial, Spare};
use super::tls::{Tls, TlsLink};
use super::watch::Progress;
use std::fmt;
use std::sync::Arc;
use ureq::Error;
use ureq::unversioned::transport::{
    ConnectProxyConnector, ConnectionDetails, Connector, SocksConnector, Transport,
};

/// The ways to a server: straight, or by a proxy.
///
/// Each is a function of its own and gives its connection in a box. A thread keeps every page of
/// its stack that was ever touched, so the depth of making a connection is paid by each request in
/// flight: ureq's chain of connectors moves whole connections from frame to frame and takes 11 KB,
/// the straight way 1.
pub(super) struct Ways {
    dial: Dial,
    tls: TlsLink,
    spare: Arc<Spare>,
}

impl Ways {
    pub(super) fn new(tls: &Tls, spare: &Arc<Spare>, progress: &Arc<Progress>) -> Ways {
        Ways { dial: Dial::new(spare, progress), tls: tls.link(progress), spare: spare.clone() }
    }

    pub(super) fn connect(
        &self,
        details: &ConnectionDetails<'_>,
    ) -> Result<Option<Box<dyn Transport>>, Error> {
        match (details.config.proxy().is_some(), details.needs_tls()) {
            (true, _) => self.by_proxy(details),
            (false, true) => self.secured(details),
            (false, false) => self.plain(details),
        }
    }

    #[inline(never)]
    fn plain(&self, details: &ConnectionDetails<'_>) -> Result<Option<Box<dyn Transport>>, Error> {
        Ok(Some(Box::new(self.dial.open(details)?)))
    }

    #[inline(never)]
    fn secured(
        &self,
        details: &ConnectionDetails<'_>,
    ) -> Result<Option<Box<dyn Transport>>, Error> {
        let plain = self.plain(details)?;
        Ok(self.tls.connect(details, plain)?.map(|made| self.secure(made)))
    }

    #[inline(never)]
    fn by_proxy(
        &self,
        details: &ConnectionDetails<'_>,
    ) -> Result<Option<Box<dyn Transport>>, Error> {
        let socks = SocksConnector::default().connect(details, None::<()>)?;
        let tunnel = ConnectProxyConnector::default().connect(details, socks)?;
        let dialled = self.dial.connect(details, tunnel)?;
        Ok(self.tls.connect(details, dialled)?.map(|made| self.secure(made)))
    }

    /// The same connection with buffers of ours, if it is a secure one.
    fn secure(&self, made: impl Transport) -> Box<dyn Transport> {
        match made.is_tls() {
            true => Box::new(Secure::new(Box::new(made), &self.spare)),
            false => Box::new(made),
        }
    }
}

impl fmt::Debug for Ways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ways")
    }
}
