//! The simulator, judged by OpenAI's own client.

use openai_bulk::simulator::{BatchSpeed, Fault, Simulator};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// The version that the simulator was compared with; another one is taken if it is not there.
const PACKAGES: [&str; 2] = ["openai==3.54.0", "openai"];

#[test]
fn openais_own_client_is_content_with_it() {
    let python = match python_with_client() {
        Ok(python) => python,
        Err(why) => {
            println!("skipped: {why}");
            return;
        }
    };
    let simulator = Simulator::builder()
        .key("sk-right")
        .model("gpt-4o-mini")
        .model("gpt-5")
        .model("text-embedding-3-small")
        .model("omni-moderation-latest")
        .model("m")
        .batch_speed(
            BatchSpeed::steps_of(Duration::from_millis(10)).per_request(Duration::from_millis(1)),
        )
        .fault_at(first_of_the_errors(), Fault::ServerError)
        .fault_at(first_of_the_errors() + 2, Fault::RateLimited)
        .start()
        .unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/official_client.py");
    let output = Command::new(python)
        .arg(script)
        .arg(simulator.base_url())
        // A proxy of this machine must not come between.
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .unwrap();
    let said = text(&output);
    assert!(output.status.success() && said.contains("all is well"), "{said}");
    assert_eq!(simulator.stats().fault(Fault::ServerError), 1);
    assert_eq!(simulator.stats().fault(Fault::RateLimited), 1);
}

/// The number of the request with which the script's step `errors` begins.
fn first_of_the_errors() -> u64 {
    let (chats, tools, responses, others) = (2, 1, 3, 7);
    chats + tools + responses + others + 1
}

/// An interpreter that has the client, which is fetched once and kept beside the build.
fn python_with_client() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("official-client");
    let python = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    if run(&python, &["-c", "import openai"]).is_ok() {
        return Ok(python);
    }
    run(Path::new("python3"), &["-m", "venv", &folder.to_string_lossy()])
        .map_err(|why| format!("no Python here: {why}"))?;
    let install = |package: &str| {
        let quiet = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(&python, &[&quiet[..], &["--timeout", "20", package]].concat())
    };
    install(PACKAGES[0])
        .or_else(|_| install(PACKAGES[1]))
        .map_err(|why| format!("the client cannot be had: {why}"))?;
    Ok(python)
}

fn run(program: &Path, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output().map_err(|e| e.to_string())?;
    if output.status.success() { Ok(()) } else { Err(text(&output)) }
}

fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}
