//! Connections that share their TLS settings, and failures before anything is sent.

use std::fmt;
use std::sync::Arc;
use ureq::unversioned::transport::{ConnectionDetails, Connector, DefaultConnector, Transport};

/// One connector for all agents, so that certificates are loaded once and not for each connection.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedConnector(Arc<DefaultConnector>);

impl Connector<()> for SharedConnector {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let details = ConnectionDetails {
            uri: details.uri,
            addrs: details.addrs.clone(),
            config: details.config,
            // Settings of a request are not kept by the TLS part. Ours differ in their time only.
            request_level: false,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        self.0.connect(&details, chained).map_err(|e| ureq::Error::Other(Box::new(Unsent(e))))
    }
}

/// A failure to connect: nothing of the request has been sent.
#[derive(Debug)]
pub(super) struct Unsent(pub(super) ureq::Error);

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Unsent {}
