//! PgBouncer in transaction mode before a cluster, where this machine has one; it ends with the test.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use pgmoat::demo::cluster::Cluster;

const PROGRAMS: [&str; 3] = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];

pub struct Pooler {
    child: Child,
    pub port: u16,
    _dir: tempfile::TempDir,
}

impl Pooler {
    /// Lets everybody in as whom they say, to every database of the cluster, over as many server connections as `size`.
    pub fn trusting(cluster: &Cluster, size: u32) -> Option<Self> {
        let settings = format!(
            "auth_type = trust\nauth_file = DIR/users\ndefault_pool_size = {size}\n\
             ignore_startup_parameters = extra_float_digits\n"
        );
        Self::start(cluster, "* =", &settings, &[("users", b"\"postgres\" \"\"\n".to_vec())])
    }

    /// With settings and files of its own; `DIR` in the settings is where the files are. `None`, and a line that says
    /// so, where there is no PgBouncer.
    pub fn start(cluster: &Cluster, database: &str, settings: &str, files: &[(&str, Vec<u8>)]) -> Option<Self> {
        let Some(program) = PROGRAMS.into_iter().find(|program| Path::new(program).exists()) else {
            eprintln!("SKIPPED: no PgBouncer on this machine");
            return None;
        };
        let dir = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!(
            "[databases]\n{database} host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\npool_mode = transaction\n{}",
            cluster.socket_dir().display(),
            cluster.port(),
            settings.replace("DIR", &dir.path().display().to_string()),
        );
        let config = ("pgbouncer.ini", config.into_bytes());
        let owner = fs::metadata(cluster.data_dir()).unwrap();
        let mut command = Command::new(program);
        let root = rustix::process::geteuid().is_root();
        for (name, bytes) in files.iter().chain([&config]) {
            let file = dir.path().join(name);
            fs::write(&file, bytes).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            if root {
                chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
            }
        }
        if root {
            command.args(["-u", "postgres"]); // it refuses to be root
        }
        command.arg("-q").arg(dir.path().join("pgbouncer.ini"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let pooler = Self { child, port, _dir: dir };
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "PgBouncer does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(pooler)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
