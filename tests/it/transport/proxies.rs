//! Proxies by scheme.

use super::serve::{Request, Server, answer, splice};
use super::{http, post};
use openai_bulk::Error;
use openai_bulk::error::TransportErrorKind as Kind;
use openai_bulk::transport::{Http, HttpOptions};
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A proxy that leads every tunnel to `server`, and what it was asked for.
pub(super) fn proxy(server: SocketAddr) -> (Server, Arc<Mutex<Vec<Request>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let list = asked.clone();
    let proxy = Server::raw(move |mut stream| {
        let Some(request) = Request::read(&mut BufReader::new(&stream)) else { return };
        list.lock().unwrap().push(request);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        splice(stream, TcpStream::connect(server).unwrap());
    });
    (proxy, asked)
}

fn from(variables: &'static [&'static str], url: String) -> HttpOptions {
    HttpOptions::default()
        .proxies_from(|name| variables.contains(&name).then(|| url.clone()))
        .lookup(|_| Err(std::io::Error::other("only the proxy may look it up")))
}

#[test]
fn http_goes_through_its_proxy_which_looks_up_the_name() {
    let server = Server::answering(|_| answer("200 OK", &[], b"{}"));
    let (proxy, asked) = proxy(server.address);
    let address = format!("http://me:pa%40ss@{}", proxy.address);
    let http = Http::new(from(&["HTTP_PROXY"], address)).unwrap();
    for _ in 0..3 {
        assert_eq!(post(&http, "http://api.test/v1", b"{}").unwrap().status, 200);
    }
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 1, "a tunnel is used again");
    assert_eq!(asked[0].line, "CONNECT api.test:80 HTTP/1.1");
    assert_eq!(asked[0].header("proxy-authorization"), Some("Basic bWU6cGFAc3M="));
    assert_eq!(server.requests()[0].header("host"), Some("api.test"));
    assert_eq!(server.requests()[0].header("proxy-authorization"), None);
}

#[test]
fn a_proxy_for_https_is_not_used_for_http() {
    let server = Server::answering(|_| answer("200 OK", &[], b"{}"));
    let (proxy, asked) = proxy(server.address);
    let options = from(&["HTTPS_PROXY"], format!("http://{}", proxy.address))
        .lookup(|_| Ok(vec![[127, 0, 0, 1].into()]));
    let url = format!("http://api.test:{}/", server.address.port());
    assert_eq!(post(&Http::new(options).unwrap(), &url, b"{}").unwrap().status, 200);
    assert!(asked.lock().unwrap().is_empty());
}

#[test]
fn this_machine_and_excepted_hosts_are_reached_without_a_proxy() {
    let server = Server::answering(|_| answer("200 OK", &[], b"{}"));
    let (proxy, asked) = proxy(server.address);
    let options = HttpOptions::default()
        .http_proxy(format!("http://{}", proxy.address))
        .no_proxy("internal.test")
        .lookup(|_| Ok(vec![[127, 0, 0, 1].into()]));
    let http = Http::new(options).unwrap();
    for host in ["127.0.0.1", "localhost", "api.internal.test"] {
        let url = format!("http://{host}:{}/", server.address.port());
        assert_eq!(post(&http, &url, b"{}").unwrap().status, 200, "{host}");
    }
    assert!(asked.lock().unwrap().is_empty());
}

#[test]
fn a_proxy_that_fails_is_named_as_the_cause_and_nothing_was_sent() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let wants_password =
        Server::closing("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
    let closes = Server::closing("");
    let garbage = Server::closing("SSH-2.0-OpenSSH\r\n\r\n");
    for address in [free, wants_password.address, closes.address, garbage.address] {
        let http = Http::new(HttpOptions::default().http_proxy(format!("http://{address}")));
        let e = post(&http.unwrap(), "http://api.test/", b"{}").unwrap_err();
        assert_eq!((e.kind, e.sent), (Kind::Proxy, false), "{e}");
    }
    let options = HttpOptions::default().http_proxy(format!("http://{}", wants_password.address));
    let e = post(&Http::new(options).unwrap(), "http://api.test/", b"{}").unwrap_err();
    assert!(e.message.contains("password"), "{e}");
}

#[test]
fn an_address_of_a_proxy_that_is_none_is_refused_and_not_shown() {
    let options = HttpOptions::default().proxies_from(|name| {
        (name == "https_proxy").then(|| "gopher://me:secret@proxy:1".to_owned())
    });
    let Err(Error::Validation(e)) = Http::new(options) else { panic!("it was taken") };
    assert_eq!(e.what, "https_proxy");
    assert!(!e.to_string().contains("secret"));
}

#[test]
fn a_proxy_of_the_environment_is_not_read() {
    // Nothing but `proxies_from` reads it, so an exchange with a server of this machine's own
    // address, which a proxy of the environment would take, is direct.
    let server = Server::answering(|_| answer("200 OK", &[], b"{}"));
    assert_eq!(post(&http(), &server.url(), b"{}").unwrap().status, 200);
}
