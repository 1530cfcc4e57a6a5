//! Which certificates are trusted.

use crate::error::Error;
use std::path::Path;

#[cfg(feature = "rustls")]
pub(super) type Config = ureq::tls::TlsConfig;
#[cfg(not(feature = "rustls"))]
pub(super) type Config = std::convert::Infallible;

type Builder = ureq::config::ConfigBuilder<ureq::typestate::AgentScope>;

/// Puts the TLS settings into a configuration.
#[cfg(feature = "rustls")]
pub(super) fn apply(config: Builder, tls: Option<Config>) -> Builder {
    match tls {
        Some(tls) => config.tls_config(tls),
        None => config,
    }
}

#[cfg(not(feature = "rustls"))]
pub(super) fn apply(config: Builder, _: Option<Config>) -> Builder {
    config
}

/// Trusts what the system trusts, and the certificates of `ca_file`.
#[cfg(feature = "rustls")]
pub(super) fn config(ca_file: Option<&Path>) -> Result<Option<Config>, Error> {
    use std::sync::Arc;
    use ureq::tls::{RootCerts, TlsConfig};
    let roots = match ca_file {
        None => RootCerts::PlatformVerifier,
        Some(path) => {
            let mut all = read(path)?;
            // There is no way to add to the system's verifier: its certificates are taken along.
            let system = rustls_native_certs::load_native_certs();
            all.extend(
                system.certs.iter().map(|cert| ureq::tls::Certificate::from_der(cert).to_owned()),
            );
            RootCerts::Specific(Arc::new(all))
        }
    };
    Ok(Some(TlsConfig::builder().root_certs(roots).build()))
}

#[cfg(feature = "rustls")]
fn read(path: &Path) -> Result<Vec<ureq::tls::Certificate<'static>>, Error> {
    use ureq::tls::{PemItem, parse_pem};
    let pem = std::fs::read(path).map_err(|e| Error::file("read the CA file", path, e))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(_) => return Err(not_pem(path)),
        }
    }
    if certificates.is_empty() { Err(not_pem(path)) } else { Ok(certificates) }
}

#[cfg(feature = "rustls")]
fn not_pem(path: &Path) -> Error {
    let message = format!("{} holds no certificate in PEM form", path.display());
    Error::invalid("OPENAI_CA_FILE", message)
}

#[cfg(not(feature = "rustls"))]
pub(super) fn config(ca_file: Option<&Path>) -> Result<Option<Config>, Error> {
    match ca_file {
        None => Ok(None),
        Some(_) => Err(Error::invalid("OPENAI_CA_FILE", "TLS needs the feature `rustls`")),
    }
}
