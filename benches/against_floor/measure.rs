//! What the system says of processes, and what running one costs. Linux's `/proc`; elsewhere the figures are missing.

use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// CPU time of a process's first thread so far, in milliseconds, by the scheduler's own account.
pub fn cpu_ms(process: &str) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/schedstat")).ok()?;
    Some(text.split_whitespace().next()?.parse::<f64>().ok()? / 1e6)
}

/// A size of a process in MiB: `VmHWM` is its peak, `RssAnon` what is its own.
pub fn mib(process: &str, key: &str) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find(|l| l.starts_with(key))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}

/// The middle of the values; 0 of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// What a process cost from start to exit.
pub struct Cost {
    pub wall_ms: f64,
    pub peak_mib: f64,
    pub code: Option<i32>,
}

/// Runs a command to its end, its output thrown away, looking at its peak every other millisecond.
pub fn run(command: &mut Command) -> std::io::Result<Cost> {
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let (process, mut peak_mib) = (child.id().to_string(), 0.0_f64);
    loop {
        if let Some(status) = child.try_wait()? {
            let wall_ms = begun.elapsed().as_secs_f64() * 1000.0;
            return Ok(Cost { wall_ms, peak_mib, code: status.code() });
        }
        peak_mib = peak_mib.max(mib(&process, "VmHWM").unwrap_or(0.0));
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The program that is measured.
pub fn program() -> String {
    std::env::var("PGMOAT_BENCH_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_pgmoat").to_owned())
}
