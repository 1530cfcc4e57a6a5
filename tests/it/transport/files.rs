//! Files that are sent from the disk, and answers that are saved to it.

use super::serve::Server;
use super::{LONG, http};
use openai_bulk::clock::Stop;
use openai_bulk::error::{TransportError, TransportErrorKind as Kind};
use openai_bulk::transport::{Answer, Exchange, Form, Method, Transfer, Transport};

fn transfer(url: &str, method: Method, with: &Transfer) -> Result<Answer, TransportError> {
    http().transfer(&Exchange::new(method, url, b"", LONG, &Stop::new()), with)
}

#[test]
fn a_download_that_ends_early_is_cut_and_one_that_is_whole_is_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.jsonl");
    let with = Transfer::Download(path.clone());
    for half in [
        "HTTP/1.1 200 OK\r\nContent-Length: 391505535\r\n\r\n{\"half\":",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n",
    ] {
        let server = Server::closing(half);
        assert_eq!(transfer(&server.url(), Method::Get, &with).unwrap_err().kind, Kind::Cut);
    }
    let server = Server::closing("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na\nb\n");
    let answer = transfer(&server.url(), Method::Get, &with).unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"{\"bytes\":4}".as_slice()));
    assert_eq!(std::fs::read(&path).unwrap(), b"a\nb\n");
    let server = Server::closing("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}");
    let answer = transfer(&server.url(), Method::Get, &with).unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (404, b"{}".as_slice()));
}

#[test]
fn a_file_that_is_not_there_or_a_folder_that_is_not_there_is_no_fault_of_the_server() {
    let server = Server::closing("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    let form = Form::new("/nowhere/at/all.jsonl", "a.jsonl", "xyz");
    let upload = Transfer::Upload(form);
    let error = transfer(&server.url(), Method::Post, &upload).unwrap_err();
    assert_eq!((error.kind, error.sent), (Kind::File, false));
    let download = Transfer::Download("/nowhere/at/all.jsonl".into());
    assert_eq!(transfer(&server.url(), Method::Get, &download).unwrap_err().kind, Kind::File);
}

#[cfg(feature = "simulator")]
#[test]
fn a_form_of_many_megabytes_arrives_as_it_is() {
    let simulator = openai_bulk::simulator::Simulator::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.jsonl");
    let content = "{\"row\":1}\n".repeat(1_500_000);
    std::fs::write(&path, &content).unwrap();
    let form = Form::new(&path, "in.jsonl", "no-line-has-this").field("purpose", "batch");
    let headers = [("Authorization".to_owned(), "Bearer k".to_owned())];
    let send = |method, path: &str, with: &Transfer| {
        let url = format!("{}{path}", simulator.base_url());
        let stop = Stop::new();
        let mut request = Exchange::new(method, &url, b"", LONG, &stop);
        request.headers = &headers;
        http().transfer(&request, with).unwrap()
    };
    let answer = send(Method::Post, "/files", &Transfer::Upload(form));
    let file: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(file["bytes"], content.len());
    let back = folder.path().join("back.jsonl");
    let path = format!("/files/{}/content", file["id"].as_str().unwrap());
    send(Method::Get, &path, &Transfer::Download(back.clone()));
    assert!(std::fs::read_to_string(&back).unwrap() == content);
}
