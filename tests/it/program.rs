//! The program as a user has it: a process with an environment of its own, in a folder of its own.

use openai_bulk::clock::{Clock, Stop, SystemClock};
use openai_bulk::simulator::{Simulator, SimulatorBuilder};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// The key that the program has unless a test says otherwise.
pub const KEY: &str = "sk-cli-0123456789-secret-abcdef";

/// No run of a test takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(40);

/// A folder for one test.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Folder {
        std::fs::write(self.path(name), content).unwrap();
        self
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// The same; nothing if it is not there yet.
    pub fn read_if(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The lines of an output, each read as JSON.
    pub fn lines(&self, name: &str) -> Vec<Value> {
        lines(&self.read(name))
    }

    /// The lines of an output by their ids; two lines of one id are a failure.
    pub fn rows(&self, name: &str) -> BTreeMap<String, Value> {
        let lines = self.lines(name);
        let count = lines.len();
        let rows: BTreeMap<_, _> = lines.into_iter().map(|line| (id(&line), line)).collect();
        assert_eq!(rows.len(), count, "ids repeat in {name}");
        rows
    }

    /// `openai-bulk run in.jsonl -o out.jsonl` in this folder.
    pub fn job(&self) -> Program {
        self.program().args(["run", "in.jsonl", "-o", "out.jsonl"])
    }

    /// The program in this folder, without arguments.
    pub fn program(&self) -> Program {
        Program {
            folder: self.0.path().to_owned(),
            args: Vec::new(),
            // A test that names no server reaches this machine at the most.
            env: BTreeMap::from([("OPENAI_BASE_URL".into(), "http://127.0.0.1:9/v1".into())]),
            stdin: None,
            shell: None,
        }
    }
}

pub fn id(line: &Value) -> String {
    line["custom_id"].as_str().unwrap().to_owned()
}

pub fn lines(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'), "torn: {text:?}");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// A line of input as the Batch API has it.
pub fn chat(id: &str, question: &str) -> String {
    format!(
        r#"{{"custom_id":"{id}","method":"POST","url":"/v1/chat/completions","body":{{"model":"gpt-4o-mini","messages":[{{"role":"user","content":"{question}"}}]}}}}"#
    ) + "\n"
}

/// So many lines, with the ids `r0`, `r1` and so on.
pub fn chats(count: usize) -> String {
    (0..count).map(|n| chat(&format!("r{n}"), &format!("question {n}?"))).collect()
}

/// A simulator that keeps what it is sent.
pub fn simulator() -> Simulator {
    logged().start().unwrap()
}

pub fn logged() -> SimulatorBuilder {
    Simulator::builder().log_requests(100_000)
}

/// One run of the program.
pub struct Program {
    folder: PathBuf,
    args: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    stdin: Option<Vec<u8>>,
    shell: Option<String>,
}

impl Program {
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Program {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub fn arg_list(self, args: &[&str]) -> Program {
        self.args(args.iter().copied())
    }

    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Program {
        self.env.insert(name.into(), value.into());
        self
    }

    pub fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Program {
        self.stdin = Some(bytes.as_ref().to_vec());
        self
    }

    /// Sends to this server, with [`KEY`].
    pub fn to(self, base_url: &str) -> Program {
        self.args(["--base-url", base_url]).env("OPENAI_API_KEY", KEY)
    }

    /// Runs this command in the shell that becomes the program, such as `ulimit -n 64`.
    pub fn after(mut self, command: &str) -> Program {
        self.shell = Some(command.to_owned());
        self
    }

    pub fn run(self) -> Finished {
        self.start().wait()
    }

    pub fn start(self) -> Started {
        let program = env!("CARGO_BIN_EXE_openai-bulk");
        let mut command = match &self.shell {
            None => Command::new(program),
            Some(first) => {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(format!("{first}; exec \"$0\" \"$@\"")).arg(program);
                shell
            }
        };
        command.args(&self.args).current_dir(&self.folder).env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.envs(&self.env);
        command.stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        if let Some(bytes) = self.stdin {
            let mut stdin = child.stdin.take().unwrap();
            // A program that refuses its arguments reads nothing.
            thread::spawn(move || drop(stdin.write_all(&bytes)));
        }
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        Started { child, stdout, stderr }
    }
}

fn collect(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    receiver
}

/// A run that goes on.
pub struct Started {
    child: Child,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
}

impl Started {
    /// Kills it as the system does when memory runs out.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends a signal, such as `INT`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end. A run that hangs is killed, and fails the test.
    pub fn wait(mut self) -> Finished {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
        let stderr = self.stderr.recv_timeout(PATIENCE);
        if stderr.is_err() {
            self.kill();
        }
        let status = self.child.wait().unwrap();
        let hung = stderr.is_err();
        let stderr = text(stderr.or_else(|_| self.stderr.recv()).unwrap());
        assert!(!hung, "the program did not end; it said:\n{stderr}");
        Finished { code: status.code(), stdout: text(self.stdout.recv().unwrap()), stderr }
    }
}

/// A run that has ended.
#[derive(Debug)]
pub struct Finished {
    /// None if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    #[track_caller]
    pub fn ended(self, code: i32) -> Finished {
        assert_eq!(self.code, Some(code), "stderr:\n{}\nstdout:\n{}", self.stderr, self.stdout);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// All of `parts` are in what it said on standard error.
    #[track_caller]
    pub fn said(self, parts: &[&str]) -> Finished {
        for part in parts {
            assert!(self.stderr.contains(part), "`{part}` is not in:\n{}", self.stderr);
        }
        self
    }
}

/// Waits until something can be seen, and fails if it never can.
#[track_caller]
pub fn until(what: &str, mut is_seen: impl FnMut() -> bool) {
    let (clock, stop) = (SystemClock::new(), Stop::new());
    let begun = clock.now();
    while !is_seen() {
        assert!(clock.now().since(begun) < PATIENCE, "never seen: {what}");
        clock.sleep(Duration::from_millis(2), &stop);
    }
}

/// How long something takes.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let clock = SystemClock::new();
    let begun = clock.now();
    let result = work();
    (result, clock.now().since(begun))
}

/// How many entries of a folder have this name in theirs.
pub fn count_named(folder: &Path, part: &str) -> usize {
    let named = |name: OsString| name.to_string_lossy().contains(part);
    std::fs::read_dir(folder).unwrap().filter(|e| named(e.as_ref().unwrap().file_name())).count()
}
