//! The certificates people have: a proper authority's, the manual's self-signed one, old, expired and revoked ones, and
//! those of clients. Made by `openssl`, as people make them.

use std::{path::Path, process::Command};

/// Server certificates, all for the same key, by file name.
pub const GOOD: &str = "server.crt";
pub const SELF_SIGNED: &str = "self.crt";
pub const NAME_ONLY: &str = "name.crt";
pub const VERSION_1: &str = "v1.crt";
pub const EXPIRED: &str = "expired.crt";
pub const STAR: &str = "star.crt";
pub const ADDRESS: &str = "address.crt";
pub const CHAIN: &str = "chain.crt";

struct Maker<'a>(&'a Path);

impl Maker<'_> {
    fn at(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn openssl(&self, args: &[&str]) {
        let output = Command::new("openssl").args(args).current_dir(self.0).output().unwrap();
        assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn authority(&self, name: &str, subject: &str) {
        let (out, key) = (format!("{name}.crt"), format!("{name}.key"));
        let subject = format!("/CN={subject}");
        self.openssl(&[
            "req", "-new", "-x509", "-days", "30", "-nodes", "-subj", &subject, "-out", &out, "-keyout", &key,
        ]);
    }

    fn request(&self, name: &str, subject: &str) {
        let (out, key) = (format!("{name}.csr"), format!("{name}.key"));
        let subject = format!("/CN={subject}");
        self.openssl(&["req", "-new", "-nodes", "-subj", &subject, "-out", &out, "-keyout", &key]);
    }

    /// Without extensions the certificate is of version 1.
    fn sign(&self, request: &str, authority: &str, extensions: Option<&str>, days: &str, out: &str) {
        let (request, ca, key) = (format!("{request}.csr"), format!("{authority}.crt"), format!("{authority}.key"));
        let mut args = vec![
            "x509",
            "-req",
            "-days",
            days,
            "-CA",
            &ca,
            "-CAkey",
            &key,
            "-CAcreateserial",
            "-in",
            &request,
            "-out",
            out,
        ];
        if let Some(text) = extensions {
            std::fs::write(self.at("extensions"), text).unwrap();
            args.extend(["-extfile", "extensions"]);
        }
        self.openssl(&args);
    }

    fn mode(&self, name: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(self.0.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// A directory with all of them; `None` (said on stderr) without `openssl`.
pub fn make() -> Option<tempfile::TempDir> {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("SKIPPED: no openssl on this machine.");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let m = Maker(dir.path());
    m.authority("ca", "authority");
    m.authority("other", "other");
    m.request("server", "localhost");
    m.sign("server", "ca", Some("subjectAltName=DNS:localhost,DNS:db.test"), "30", GOOD);
    m.sign("server", "ca", Some("basicConstraints=CA:FALSE"), "30", NAME_ONLY);
    m.sign("server", "ca", None, "30", VERSION_1);
    m.sign("server", "ca", Some("subjectAltName=DNS:localhost"), "-1", EXPIRED);
    m.sign("server", "ca", Some("subjectAltName=DNS:*.test"), "30", STAR);
    m.sign("server", "ca", Some("subjectAltName=IP:127.0.0.1"), "30", ADDRESS);
    m.openssl(&[
        "req",
        "-new",
        "-x509",
        "-days",
        "30",
        "-subj",
        "/CN=localhost",
        "-key",
        "server.key",
        "-out",
        SELF_SIGNED,
    ]);
    m.request("middle", "middle");
    m.sign("middle", "ca", Some("basicConstraints=critical,CA:TRUE"), "30", "middle.crt");
    m.sign("server", "middle", Some("subjectAltName=DNS:localhost"), "30", "leaf.crt");
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    std::fs::write(dir.path().join(CHAIN), [read("leaf.crt"), read("middle.crt")].concat()).unwrap();

    m.request("client", "withcert");
    m.sign("client", "ca", Some("basicConstraints=CA:FALSE"), "30", "client.crt");
    m.sign("client", "ca", Some("basicConstraints=CA:FALSE"), "-1", "client-expired.crt");
    m.sign("client", "other", Some("basicConstraints=CA:FALSE"), "30", "client-stranger.crt");
    std::fs::copy(m.at("client.key"), m.at("client-open.key")).unwrap();
    std::fs::copy(m.at("server.key"), m.at("another.key")).unwrap();
    std::fs::write(m.at("nothing.crt"), "no certificate\n").unwrap();
    for (name, mode) in [("client.key", 0o600), ("client-open.key", 0o644), ("another.key", 0o600)] {
        m.mode(name, mode);
    }

    // Lists of revoked certificates: one without entries, one with the server's.
    std::fs::write(
        m.at("ca.cnf"),
        "[ca]\ndefault_ca=a\n[a]\ndatabase=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\ndefault_crl_days=30\n",
    )
    .unwrap();
    std::fs::write(m.at("index.txt"), "").unwrap();
    std::fs::write(m.at("crlnumber"), "01\n").unwrap();
    let ca = |more: &[&str]| {
        let args = [&["ca", "-batch", "-config", "ca.cnf", "-keyfile", "ca.key", "-cert", "ca.crt"][..], more].concat();
        m.openssl(&args);
    };
    ca(&["-gencrl", "-out", "clean.crl"]);
    ca(&["-revoke", GOOD]);
    ca(&["-gencrl", "-out", "revoked.crl"]);
    let hash = Command::new("openssl").args(["crl", "-hash", "-noout", "-in", &m.at("revoked.crl")]).output().unwrap();
    std::fs::create_dir(m.at("crls")).unwrap();
    let hashed = format!("crls/{}.r0", String::from_utf8_lossy(&hash.stdout).trim());
    std::fs::copy(m.at("revoked.crl"), m.at(&hashed)).unwrap();
    Some(dir)
}
