//! Gets servers for the tests: `cargo run --example servers -- 15 18` makes sure that the named majors are on this
//! machine, as `demo` would, without asking. Exit 1 when one cannot be had.

#![expect(clippy::print_stdout, reason = "a test tool")]

use pgmoat::demo::{
    binaries::{self, Wanted},
    obtain,
};

fn main() -> std::process::ExitCode {
    let mut missing = false;
    for major in std::env::args().skip(1).filter_map(|a| a.parse::<u32>().ok()) {
        let wanted = Wanted { dir: None, major: Some(major) };
        if let Ok(found) = binaries::find(&wanted) {
            println!("PostgreSQL {major}: {}", found.dir.display());
            continue;
        }
        let got = obtain::ways(Some(major)).iter().filter(|way| way.can_be_done()).find_map(|way| {
            obtain::obtain(way, &mut |line| println!("  {line}")).map_err(|error| println!("  {error}")).ok()
        });
        match got {
            Some(found) => println!("PostgreSQL {major}: {}", found.dir.display()),
            None => {
                println!("PostgreSQL {major}: cannot be had on this machine");
                missing = true;
            }
        }
    }
    std::process::ExitCode::from(u8::from(missing))
}
