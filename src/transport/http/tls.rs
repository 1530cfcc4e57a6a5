use super::watch::{Progress, Reached};
use crate::error::Error;
use std::path::Path;
use std::sync::Arc;
use ureq::unversioned::transport::{ConnectionDetails, Connector, Transport};

#[cfg(feature = "_rustls")]
type Shared = ureq::unversioned::transport::RustlsConnector;
#[cfg(all(feature = "native-tls", not(feature = "_rustls")))]
type Shared = ureq::unversioned::transport::NativeTlsConnector;

/// Whether this build can speak TLS.
pub(super) const BUILT_IN: bool = cfg!(feature = "_tls");

/// What to do about a build that cannot.
pub(super) const MISSING: &str =
    "this build has no TLS; build it with the feature `rustls`, `tls-aws-lc` or `native-tls`";

/// One TLS configuration for the connections of all agents.
///
/// An agent would make its own: it would read all of the platform's certificates again for each
/// request in flight, and no connection could resume the session of another.
#[derive(Clone, Debug, Default)]
pub(super) struct Tls {
    #[cfg(feature = "_tls")]
    shared: Arc<Shared>,
    #[cfg(feature = "_tls")]
    built: Arc<std::sync::OnceLock<()>>,
}

impl Tls {
    /// The link of an agent's chain of connectors that adds TLS where the scheme asks for it.
    pub(super) fn link(&self, progress: &Arc<Progress>) -> TlsLink {
        TlsLink { tls: self.clone(), progress: progress.clone() }
    }
}

/// See [`Tls::link`].
#[derive(Debug)]
pub(super) struct TlsLink {
    #[cfg_attr(not(feature = "_tls"), allow(dead_code))]
    tls: Tls,
    progress: Arc<Progress>,
}

impl<In: Transport> Connector<In> for TlsLink {
    #[cfg(feature = "_tls")]
    type Out = <Shared as Connector<In>>::Out;
    #[cfg(not(feature = "_tls"))]
    type Out = In;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        if details.needs_tls() {
            self.progress.reach(Reached::Securing);
        }
        #[cfg(not(feature = "_tls"))]
        return Ok(chained);
        #[cfg(feature = "_tls")]
        self.tls.connect(details, chained)
    }
}

#[cfg(feature = "_tls")]
impl Tls {
    fn connect<In: Transport>(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<<Shared as Connector<In>>::Out>, ureq::Error> {
        if details.needs_tls() {
            // However many connections begin at once, one builds the configuration, on a
            // connection that leads nowhere; ureq would let each of them build it.
            self.built.get_or_init(|| {
                let _ = self.shared.connect(details, Some(nowhere::Nowhere::default()));
            });
        }
        self.shared.connect(details, chained)
    }
}

#[cfg(feature = "_tls")]
mod nowhere {
    use ureq::Error;
    use ureq::unversioned::transport::{Buffers, LazyBuffers, NextTimeout, Transport};

    /// A connection that fails at the first byte.
    #[derive(Debug)]
    pub(super) struct Nowhere(LazyBuffers);

    impl Default for Nowhere {
        fn default() -> Nowhere {
            Nowhere(LazyBuffers::new(4096, 4096))
        }
    }

    impl Transport for Nowhere {
        fn buffers(&mut self) -> &mut dyn Buffers {
            &mut self.0
        }

        fn transmit_output(&mut self, _: usize, _: NextTimeout) -> Result<(), Error> {
            Err(Error::ConnectionFailed)
        }

        fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
            Err(Error::ConnectionFailed)
        }

        fn is_open(&mut self) -> bool {
            false
        }
    }
}

/// How certificates are judged, in a build that has TLS.
#[cfg(feature = "_tls")]
pub(super) use ureq::tls::TlsConfig as Settings;
#[cfg(not(feature = "_tls"))]
#[derive(Clone)]
pub(super) struct Settings;

/// Without TLS there are no certificates.
#[cfg(not(feature = "_tls"))]
pub(super) fn settings(ca_file: Option<&Path>) -> Result<Settings, Error> {
    match ca_file {
        Some(_) => Err(Error::invalid("ca_file", MISSING)),
        None => Ok(Settings),
    }
}

#[cfg(feature = "_tls")]
pub(super) use roots::settings;

#[cfg(feature = "_tls")]
mod roots {
    use super::{Error, Path};
    use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

    /// The platform judges certificates; with `ca_file`, its authorities and those of the file do.
    pub(in super::super) fn settings(ca_file: Option<&Path>) -> Result<TlsConfig, Error> {
        let roots = match ca_file {
            None => RootCerts::PlatformVerifier,
            Some(path) => {
                let mut all = read(path)?;
                all.extend(of_the_platform());
                RootCerts::from(all)
            }
        };
        let provider = match cfg!(feature = "_rustls") {
            true => TlsProvider::Rustls,
            false => TlsProvider::NativeTls,
        };
        let builder = TlsConfig::builder().provider(provider).root_certs(roots);
        #[cfg(feature = "tls-aws-lc")]
        let builder = builder.unversioned_rustls_crypto_provider(std::sync::Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ));
        Ok(builder.build())
    }

    fn read(path: &Path) -> Result<Vec<Certificate<'static>>, Error> {
        let text = std::fs::read(path).map_err(|e| Error::file("read", path, e))?;
        let refuse = |what: &str| Err(Error::invalid(format!("ca_file {}", path.display()), what));
        let mut found = Vec::new();
        for item in parse_pem(&text) {
            match item {
                Ok(PemItem::Certificate(each)) if is_whole(each.der()) => found.push(each),
                Ok(PemItem::Certificate(_)) | Err(_) => {
                    return refuse("a certificate in it is damaged");
                }
                Ok(_) => {}
            }
        }
        if found.is_empty() {
            return refuse(
                "it holds no certificate; PEM is expected (-----BEGIN CERTIFICATE-----)",
            );
        }
        Ok(found)
    }

    /// Whether the outermost length of a certificate is that of its bytes.
    fn is_whole(der: &[u8]) -> bool {
        let (length, header) = match der {
            [0x30, short @ 0..=0x7f, ..] => (usize::from(*short), 2),
            [0x30, 0x81, a, ..] => (usize::from(*a), 3),
            [0x30, 0x82, a, b, ..] => (usize::from(u16::from_be_bytes([*a, *b])), 4),
            _ => return false,
        };
        der.len() == header + length
    }

    fn of_the_platform() -> Vec<Certificate<'static>> {
        let found = rustls_native_certs::load_native_certs();
        for e in &found.errors {
            log::warn!(target: "openai_bulk::tls", {crate::logs::ERROR_MESSAGE}:% = e; "some of the platform's certificates could not be read");
        }
        found.certs.iter().map(|each| Certificate::from_der(each).to_owned()).collect()
    }
}
