//! The machine's limits of files and threads.

use openai_bulk::config::{Config, Origin};

/// Files that the program needs besides its connections.
const OTHER_FILES: u64 = 64;
/// Threads that the program and its user need besides the workers.
const OTHER_THREADS: u64 = 256;

/// Lets a write beyond the limit of a file's size fail, as on a full disk, instead of killing the
/// program.
#[cfg(unix)]
pub fn survive_file_limits() {
    let seen = std::sync::Arc::default();
    // Without the handler the signal kills, and the next start still mends the file.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, seen);
}

#[cfg(not(unix))]
pub fn survive_file_limits() {}

/// Raises the soft limits as far as that is allowed.
pub fn raise_limits() {
    open_files();
    threads();
}

/// Raises the soft limits where that is allowed, and lowers the concurrency to what is left.
/// `per_request` is how many files a request takes: two where the server is in this process.
pub fn fit(config: Config, per_request: u64) -> Config {
    let wanted = config.get_max_concurrency() as u64;
    let config_floor = config.get_min_concurrency();
    let is_set = config.origin("OPENAI_MAX_CONCURRENCY") != Some(Origin::Default);
    let files = open_files().saturating_sub(OTHER_FILES) / per_request;
    let threads = threads().saturating_sub(OTHER_THREADS) / per_request;
    let most = files.min(threads).max(1);
    if wanted <= most {
        return config;
    }
    let (what, command) =
        if files <= threads { ("open files", "ulimit -n") } else { ("threads", "ulimit -u") };
    let config = config.min_concurrency(config_floor.min(most as usize));
    // Nobody is told that a default does not fit.
    if !is_set {
        return config.max_concurrency(most as usize);
    }
    eprintln!(
        "note: this machine's limit of {what} allows {most} requests in flight, not {wanted}; `{command}` shows it"
    );
    config.max_concurrency(most as usize)
}

/// How many files may be open, after as many as are allowed were asked for.
#[cfg(unix)]
pub fn open_files() -> u64 {
    rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024)
}

/// How many files may be open, after as many as are allowed were asked for.
#[cfg(not(unix))]
pub fn open_files() -> u64 {
    rlimit::increase_nofile_limit(u64::MAX).unwrap_or(8192)
}

#[cfg(unix)]
fn threads() -> u64 {
    let own = match rlimit::Resource::NPROC.get() {
        Ok((soft, hard)) if soft < hard => {
            if rlimit::Resource::NPROC.set(hard, hard).is_ok() {
                hard
            } else {
                soft
            }
        }
        Ok((soft, _)) => soft,
        Err(_) => u64::MAX,
    };
    // A container's limit, which says `max` where there is none.
    let group = std::fs::read_to_string("/sys/fs/cgroup/pids.max").ok();
    own.min(group.and_then(|text| text.trim().parse().ok()).unwrap_or(u64::MAX))
}

#[cfg(not(unix))]
fn threads() -> u64 {
    u64::MAX
}
