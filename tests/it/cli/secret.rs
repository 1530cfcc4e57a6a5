//! A key that the server says aloud.

use crate::program::{Folder, chats};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread;

/// A server that repeats the key in each place where an answer can hold it, and never answers.
fn echoing(status: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut key, mut length) = (String::new(), 0);
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                    let (name, value) = line.split_once(':').unwrap_or_default();
                    match name.to_ascii_lowercase().as_str() {
                        "authorization" => key = value.trim().replace("Bearer ", ""),
                        "content-length" => length = value.trim().parse().unwrap(),
                        _ => {}
                    }
                    line.clear();
                }
                let _ = reader.read_exact(&mut vec![0; length]);
                let body = format!(
                    r#"{{"error":{{"message":"bad {key}","code":"{key}","param":"{key}"}}}}"#
                );
                let head = format!(
                    "HTTP/1.1 {status}\r\nx-request-id: {key}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                let _ = (&stream).write_all((head + &body).as_bytes());
            });
        }
    });
    url
}

#[test]
fn a_key_that_the_server_repeats_is_shown_and_written_nowhere() {
    const KEY: &str = "sk-secret-0123456789";
    for (status, code) in [("400 Bad", 3), ("401 No", 5), ("500 Oops", 3), ("200 OK", 3)] {
        let folder = Folder::new();
        folder.write("in.jsonl", chats(2));
        let run = folder
            .job()
            .args(["-vv", "--max-retries", "1", "--summary", "s.json"])
            .to(&echoing(status))
            .env("OPENAI_API_KEY", KEY)
            .run()
            .ended(code);
        let all = [&run.stdout, &run.stderr, &folder.read("out.jsonl"), &folder.read("s.json")];
        for text in all {
            assert!(!text.contains(KEY), "{status}: {text}");
        }
        let told = all.iter().any(|text| text.contains("[key]"));
        assert!(told, "{status}: the key was sent, and hidden where it came back");
    }
}
