//! Certificates.

use super::proxies::proxy;
use super::serve::{Request, Server, answer};
use super::{LONG, pause, post};
use openai_bulk::Error;
use openai_bulk::clock::Stop;
use openai_bulk::error::{TimeoutStage, TransportError, TransportErrorKind as Kind};
use openai_bulk::transport::{Answer, Exchange, Http, HttpOptions, Method, Transport};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufReader, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// An authority of the test's own.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Authority { issuer, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn file(&self) -> PathBuf {
        let path = self.folder.path().join("ca.pem");
        std::fs::write(&path, self.issuer.pem()).unwrap();
        path
    }

    /// A server for `host` whose certificate is good until `year`.
    pub(crate) fn server(&self, host: &str, year: i32) -> Server {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, host);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        let config = Arc::new(config);
        Server::raw(move |stream| {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut reader = BufReader::new(StreamOwned::new(connection, stream));
            while let Some(request) = Request::read(&mut reader) {
                if request.body == b"hang" {
                    pause(Duration::from_secs(20));
                }
                let reply = match &*request.body {
                    b"cut" => b"HTTP/1.1 200 OK\r\n\r\n{}".to_vec(),
                    body => answer("200 OK", &[], body),
                };
                reader.get_mut().write_all(&reply).unwrap();
                if request.body == b"cut" {
                    return;
                }
            }
        })
    }
}

fn options(authority: &Authority) -> HttpOptions {
    local().ca_file(authority.file())
}

fn local() -> HttpOptions {
    HttpOptions::default().lookup(|_| Ok(vec![[127, 0, 0, 1].into()]))
}

fn send(options: HttpOptions, server: &Server, host: &str) -> Result<Answer, TransportError> {
    let url = format!("https://{host}:{}/v1", server.address.port());
    post(&Http::new(options).unwrap(), &url, b"hello")
}

fn refused(result: Result<Answer, TransportError>, advice: &str) {
    let e = result.unwrap_err();
    assert_eq!((e.kind, e.sent), (Kind::Tls, false), "{e}");
    assert!(e.message.contains(advice), "{e}");
}

#[test]
fn a_server_of_the_authority_in_the_file_is_trusted() {
    let authority = Authority::new();
    let server = authority.server("api.test", 2099);
    let answer = send(options(&authority), &server, "api.test").unwrap();
    assert_eq!(answer.body, b"hello");
    let by_address = authority.server("127.0.0.1", 2099);
    assert_eq!(send(options(&authority), &by_address, "127.0.0.1").unwrap().status, 200);
}

#[test]
fn a_server_of_an_unknown_authority_is_refused_and_the_way_out_is_named() {
    let server = Authority::new().server("api.test", 2099);
    refused(send(local(), &server, "api.test"), "--ca-file");
    refused(send(options(&Authority::new()), &server, "api.test"), "--ca-file");
}

#[test]
fn an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let server = authority.server("api.test", 2021);
    refused(send(options(&authority), &server, "api.test"), "expired");
}

#[test]
fn a_certificate_for_another_host_is_refused() {
    let authority = Authority::new();
    let server = authority.server("api.test", 2099);
    refused(send(options(&authority), &server, "other.test"), "another host");
}

#[test]
fn a_server_without_tls_is_told_from_one_with_a_bad_certificate() {
    let server = Server::answering(|_| answer("200 OK", &[], b"{}"));
    let plain = Server::raw(|mut stream| {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").ok();
        pause(Duration::from_millis(200));
    });
    refused(send(local(), &plain, "api.test"), "does not speak TLS");
    drop(server);
    let closes = Server::raw(drop);
    let e = send(local(), &closes, "api.test").unwrap_err();
    assert_eq!((e.kind, e.sent), (Kind::Connect, false), "{e}");
}

#[test]
fn a_file_without_certificates_is_refused_when_the_transport_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let missing = HttpOptions::default().ca_file(folder.path().join("none.pem"));
    assert!(matches!(Http::new(missing), Err(Error::File(_))));
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for text in ["", "not PEM", damaged] {
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, text).unwrap();
        let e = Http::new(HttpOptions::default().ca_file(path)).unwrap_err();
        assert!(matches!(e, Error::Validation(_)), "{e}");
        assert!(e.to_string().contains("ca.pem"), "{e}");
    }
}

#[test]
fn connections_are_reused_and_small_stacks_are_enough() {
    let authority = Authority::new();
    let server = authority.server("api.test", 2099);
    let http = Arc::new(Http::new(options(&authority)).unwrap());
    let url = format!("https://api.test:{}/v1", server.address.port());
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let (http, url) = (http.clone(), url.clone());
            let work = move || (0..20).for_each(|_| drop(post(&http, &url, b"hi").unwrap()));
            thread::Builder::new().stack_size(512 << 10).spawn(work).unwrap()
        })
        .collect();
    workers.into_iter().for_each(|each| each.join().unwrap());
    assert!(server.connections() <= 8, "{} connections", server.connections());
}

#[test]
fn the_platform_s_own_judgement_fits_a_small_stack_too() {
    let server = Authority::new().server("api.test", 2099);
    let worker = thread::Builder::new().stack_size(512 << 10);
    let result = worker.spawn(move || send(local(), &server, "api.test")).unwrap().join().unwrap();
    assert_eq!(result.unwrap_err().kind, Kind::Tls);
}

#[test]
fn an_abort_ends_an_exchange_over_tls() {
    let authority = Authority::new();
    let server = authority.server("api.test", 2099);
    let http = Http::new(options(&authority)).unwrap();
    let url = format!("https://api.test:{}/v1", server.address.port());
    let stop = Stop::new();
    let request = Exchange::new(Method::Post, &url, b"hang", LONG, &stop);
    let e = thread::scope(|scope| {
        let worker = scope.spawn(|| http.exchange(&request));
        pause(Duration::from_millis(300));
        stop.abort();
        worker.join().unwrap().unwrap_err()
    });
    assert_eq!((e.kind, e.sent), (Kind::Interrupted, true));
}

#[test]
fn a_server_that_is_silent_during_the_handshake_times_out_while_connecting() {
    let server = Server::raw(|stream| {
        pause(Duration::from_secs(5));
        drop(stream);
    });
    let http = Http::new(local().connect_timeout(Duration::from_millis(200))).unwrap();
    let url = format!("https://api.test:{}/", server.address.port());
    let e = post(&http, &url, b"{}").unwrap_err();
    assert_eq!((e.kind, e.sent), (Kind::Timeout(TimeoutStage::Connect), false));
}

// OpenSSL's wrapper does not tell such an end from an orderly one.
#[cfg(any(feature = "rustls", feature = "tls-aws-lc"))]
#[test]
fn an_answer_whose_connection_ends_without_a_farewell_is_cut() {
    let authority = Authority::new();
    let server = authority.server("api.test", 2099);
    let url = format!("https://api.test:{}/v1", server.address.port());
    let e = post(&Http::new(options(&authority)).unwrap(), &url, b"cut").unwrap_err();
    assert_eq!((e.kind, e.sent), (Kind::Cut, true), "{e}");
}

#[test]
fn https_goes_through_its_proxy_in_a_tunnel() {
    let authority = Authority::new();
    let server = authority.server("api.test", 2099);
    let (proxy, asked) = proxy(server.address);
    let options = HttpOptions::default()
        .ca_file(authority.file())
        .https_proxy(format!("http://{}", proxy.address))
        .lookup(|_| Err(std::io::Error::other("only the proxy may look it up")));
    let http = Http::new(options).unwrap();
    assert_eq!(post(&http, "https://api.test/v1", b"hello").unwrap().body, b"hello");
    assert_eq!(asked.lock().unwrap()[0].line, "CONNECT api.test:443 HTTP/1.1");
}
