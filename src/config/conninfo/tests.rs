//! Tables of connection strings and what they mean; the hostile ones among them must neither panic nor leak.

use super::*;
use secrecy::ExposeSecret;

fn env() -> Env {
    Env { os_user: Some("ann".into()), ..Env::default() }
}

fn with(vars: &[(&str, &str)]) -> Env {
    Env { vars: vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(), ..env() }
}

fn read(text: &str) -> Conninfo {
    Conninfo::parse(text, &env()).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn password(info: &Conninfo) -> Option<&str> {
    info.password.as_ref().map(ExposeSecret::expose_secret)
}

#[test]
fn strings_mean_what_libpq_says() {
    for (text, shown, secret) in [
        ("postgresql://u@h/db", "u@h:5432/db", None),
        ("postgres://u:p@h:6543/db", "u@h:6543/db", Some("p")),
        ("postgres://", "ann@localhost:5432/ann", None),
        ("", "ann@localhost:5432/ann", None),
        ("postgresql:///db", "ann@localhost:5432/db", None),
        ("postgresql://u@", "u@localhost:5432/u", None),
        ("postgresql://h", "ann@h:5432/ann", None),
        ("postgresql://u%3Av:w@h/db", "u:v@h:5432/db", Some("w")),
        ("postgresql://u:p#x@h/db", "u@h:5432/db", Some("p#x")),
        ("postgresql://u:p?x@h/db", "u@h:5432/db", Some("p?x")),
        ("postgresql://u:p%2Fs%40s@h/db", "u@h:5432/db", Some("p/s@s")),
        ("postgresql://u:a:b@h/db", "u@h:5432/db", Some("a:b")),
        ("postgresql://h/db?user=u&password=sec%26ret", "u@h:5432/db", Some("sec&ret")),
        ("postgresql://[::1]:5433/db", "ann@[::1]:5433/db", None),
        ("postgresql://%2Fvar%2Frun/db", "ann@/var/run:5432/db", None),
        ("postgresql:///db?host=/var/run", "ann@/var/run:5432/db", None),
        ("postgresql:///db?host=a,b&port=1,2", "ann@a:1,b:2/db", None),
        ("postgresql://h1,h2/db", "ann@h1:5432,h2:5432/db", None),
        ("postgresql://h1:1,[::2]:2,h3/db", "ann@h1:1,[::2]:2,h3:5432/db", None),
        ("postgresql://h1,h2:1,2", "ann@h1:5432,h2:1,2:5432/ann", None),
        ("postgresql://h/d%20b", "ann@h:5432/d b", None),
        ("postgresql://h/a/b", "ann@h:5432/a/b", None),
        ("postgresql://h/db?port=1&port=2", "ann@h:2/db", None),
        ("postgresql://h/db?", "ann@h:5432/db", None),
        ("postgresql+psycopg2://u:p@h/db", "u@h:5432/db", Some("p")),
        ("postgresql+asyncpg://u:p@h/db?ssl=require&prepared_statement_cache_size=0", "u@h:5432/db", Some("p")),
        ("host=h user=x", "x@h:5432/x", None),
        ("host = h  user = x\n dbname\t=\td", "x@h:5432/d", None),
        ("host=h password='a b\\'c'", "ann@h:5432/ann", Some("a b'c")),
        ("host=h password=a\\ b", "ann@h:5432/ann", Some("a b")),
        ("host=h password=''", "ann@h:5432/ann", None),
        ("password=''host=h", "ann@h:5432/ann", None),
        ("host=h,i port=7", "ann@h:7,i:7/ann", None),
        ("host=h,i port=,8", "ann@h:5432,i:8/ann", None),
        ("hostaddr=10.0.0.1", "ann@10.0.0.1:5432/ann", None),
        ("host=name hostaddr=10.0.0.1", "ann@name:5432/ann", None),
        ("host=::1", "ann@[::1]:5432/ann", None),
    ] {
        let info = read(text);
        assert_eq!(info.to_string(), shown, "{text}");
        assert_eq!(password(&info), secret, "{text}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_without_repeating_it() {
    for (text, why) in [
        ("postgres://u:CANp@CANs@h/db", "`@`"),
        ("postgres://u:CAN/ss@h/db", "`@`"),
        ("postgres://u@h@CAN/db", "`@`"),
        ("postgres://u:a@/CAN@h/db", "`@`"),
        ("postgres://u/CAN@h/db", "`@`"),
        ("host=a@CAN", "`@`"),
        ("postgres://h/db?host=a%40CAN", "`@`"),
        ("postgres://u:CAN%zz@h/db", "hexadecimal"),
        ("postgres://u:CAN%@h/db", "hexadecimal"),
        ("postgres://u:CAN%4", "port"),
        ("postgres://u:CAN%00@h/db", "NUL"),
        ("postgres://u:CAN\0@h/db", "NUL"),
        ("host=h password=CAN\0", "NUL"),
        ("postgres://u:CAN%ff@h/db", "UTF-8"),
        ("postgres://h:0/db", "1 to 65535"),
        ("postgres://h:-1/db", "1 to 65535"),
        ("postgres://h:99999/db", "1 to 65535"),
        ("postgres://h:CAN/db", "1 to 65535"),
        ("postgres://[::1/db", "closing"),
        ("postgres://[]/db", "empty"),
        ("postgres://[::1]x/db", "unexpected"),
        ("POSTGRES://u:CAN@h/db", "lower case"),
        ("jdbc:postgresql://h/db?user=u&password=CAN", "JDBC"),
        ("mysql://u:CAN@h/db", "PostgreSQL's"),
        ("http://u:CAN@h/db", "PostgreSQL's"),
        ("postgres://h/db?sslmode", "no `=`"),
        ("postgres://h/db?password=CAN=x", "more than one"),
        ("postgres://h/db?paswd=CAN", "unknown word"),
        ("postgres://h/db?a=1&&b=2", "unknown word"),
        ("host=h password='CAN", "does not end"),
        ("host=h password=some CAN", "not followed"),
        ("host=h password=some CAN=x", "unknown word"),
        ("password=some can=x", "an unknown word"),
        ("host=h connect_timeout=CAN", "whole number"),
        ("host=h port=1,2", "2 ports for 1 hosts"),
        ("host=a,b hostaddr=10.0.0.1", "same number"),
        ("hostaddr=CAN", "IP address"),
        ("sslmode=CAN", "unknown value"),
        ("sslmode=disable sslnegotiation=direct", "too weak"),
        ("sslnegotiation=direct", "too weak"),
        ("sslmode=require sslrootcert=system", "too weak"),
        ("gssencmode=require", "GSSAPI"),
        ("ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2", "none to use"),
        ("ssl_max_protocol_version=TLSv1.1", "none to use"),
        ("require_auth=scram-sha-256,!md5", "mixes"),
        ("host='a b'", "blank"),
        ("host=a\u{1b}[2J", "control"),
        ("requirepeer=nobody-of-that-name", "user file"),
    ] {
        let error = Conninfo::parse(text, &env()).err().unwrap_or_else(|| panic!("accepted: {text:?}"));
        let said = format!("{error} {error:?}");
        assert!(said.contains(why), "{text:?}: {said}");
        assert!(!said.contains("CAN") && !said.contains("can="), "{text:?} leaks: {said}");
    }
}

#[test]
fn a_mistyped_word_gets_a_suggestion() {
    let error = Conninfo::parse("hots=h", &env()).unwrap_err();
    assert_eq!(error.remedy, "did you mean `host`?");
}

#[test]
fn nothing_shows_a_password() {
    let info = read("postgresql://u:CANARY@h/db?password=CANARY");
    for shown in [format!("{info}"), format!("{info:?}"), info.name()] {
        assert!(!shown.contains("CANARY"), "{shown}");
    }
    let long = format!("host=h password={}", "p".repeat(100_000));
    assert_eq!(password(&read(&long)).map(str::len), Some(100_000));
}

#[test]
fn settings_have_libpqs_units_and_defaults() {
    let info = read("host=h");
    assert_eq!(info.sslmode, SslMode::Prefer);
    assert!(!info.sslmode_given && info.connect_timeout.is_none() && info.options.is_none());
    assert_eq!(info.application_name, "pgmoat");
    let info = read(
        "host=h connect_timeout=7 tcp_user_timeout=1500 keepalives_idle=4 keepalives_interval=2 keepalives_count=5 \
         application_name=x options='-c search_path=a' target_session_attrs=standby channel_binding=require",
    );
    assert_eq!(info.connect_timeout, Some(Duration::from_secs(7)));
    assert_eq!(info.tcp_user_timeout, Some(Duration::from_millis(1500)));
    assert_eq!(info.keepalives.idle, Some(Duration::from_secs(4)));
    assert_eq!(info.keepalives.count, Some(5));
    assert_eq!(info.options.as_deref(), Some("-c search_path=a"));
    assert_eq!(info.target_session_attrs, TargetSession::Standby);
    assert_eq!(info.channel_binding, ChannelBinding::Require);
    assert_eq!(read("host=h connect_timeout=-5").connect_timeout, None);
    assert_eq!(read("host=h connect_timeout=0").connect_timeout, None);
    assert_eq!(read("postgres://h/d?options=-c%20search_path%3Dx").options.as_deref(), Some("-c search_path=x"));
    assert_eq!(read("host=h fallback_application_name=f").application_name, "f");
    assert_eq!(read("postgres://h?ssl=true").sslmode, SslMode::Require);
    assert_eq!(read("postgres://h?sslmode=prefer&sslmode=disable").sslmode, SslMode::Disable);
    assert_eq!(read("postgres://h?sslrootcert=system").sslmode, SslMode::VerifyFull);
    let auth = read("require_auth=!password,!none").require_auth.unwrap();
    assert_eq!(auth, RequireAuth { password: false, md5: true, scram: true, none: false });
}

#[test]
fn words_without_effect_are_said() {
    let info = read("host=h krbsrvname=x client_encoding=LATIN1 sslcompression=1");
    assert_eq!(info.warnings.len(), 2, "{:?}", info.warnings);
    assert!(info.warnings[0].contains("krbsrvname"));
}

#[test]
fn every_word_of_libpq_is_taken() {
    for word in words::WORDS {
        if matches!(word.name, "host" | "user" | "dbname" | "service" | "password") {
            continue;
        }
        // nothing is no value for many of them, but none is a word that is not known
        let text = format!("host=h {}=''", word.name);
        if let Err(why) = Conninfo::parse(&text, &env()) {
            assert!(!why.to_string().contains("unknown word"), "{text}: {why}");
        }
    }
}

#[test]
fn explicit_beats_service_beats_environment_beats_default() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("services.conf");
    std::fs::write(&file, "[prod]\nhost=service-host\nuser=service-user\nport=1\n").unwrap();
    let env = with(&[
        ("PGSERVICEFILE", file.to_str().unwrap()),
        ("PGHOST", "env-host"),
        ("PGUSER", "env-user"),
        ("PGDATABASE", "env-db"),
        ("PGPORT", "3"),
    ]);
    assert_eq!(Conninfo::parse("service=prod user=me", &env).unwrap().to_string(), "me@service-host:1/env-db");
    assert_eq!(Conninfo::parse("", &env).unwrap().to_string(), "env-user@env-host:3/env-db");
    assert_eq!(Conninfo::parse("host='' user=''", &env).unwrap().to_string(), "ann@localhost:3/env-db");
    let mut env = env;
    env.vars.insert("PGSERVICE".into(), "prod".into());
    assert_eq!(Conninfo::parse("", &env).unwrap().to_string(), "service-user@service-host:1/env-db");
    let error = Conninfo::parse("service=nope", &env).unwrap_err();
    assert!(error.to_string().contains("nope") && error.remedy.contains("services.conf"), "{error}");
}

#[cfg(unix)]
#[test]
fn passwords_come_from_the_file_for_each_host() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(".pgpass");
    std::fs::write(&path, "h:5432:db:u:one\ni:*:*:*:two\nlocalhost:5432:db:u:sock\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let env =
        Env { home: Some(dir.path().into()), socket_dirs: vec!["/var/run/postgresql".into(), "/tmp".into()], ..env() };
    let of = |text: &str| -> Vec<Option<String>> {
        let info = Conninfo::parse(text, &env).unwrap();
        info.hosts.iter().map(|h| info.password_for(h).map(|p| p.expose_secret().to_owned())).collect()
    };
    assert_eq!(of("host=h,i,j user=u dbname=db"), [Some("one".into()), Some("two".into()), None]);
    assert_eq!(of("host=/var/run/postgresql user=u dbname=db"), [Some("sock".into())]);
    assert_eq!(of("host=/elsewhere user=u dbname=db"), [None]);
    assert_eq!(of("host=h user=u dbname=db password=given"), [Some("given".into())]);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let info = Conninfo::parse("host=h user=u dbname=db", &env).unwrap();
    assert!(info.password_for(&info.hosts[0]).is_none());
    assert!(info.warnings.iter().any(|w| w.contains("chmod 0600")), "{:?}", info.warnings);
}

#[test]
fn sockets_that_are_there_come_before_localhost() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(".s.PGSQL.5432"), "").unwrap();
    let env = Env { socket_dirs: vec!["/nonexistent".into(), dir.path().into()], ..env() };
    let hosts = Conninfo::parse("", &env).unwrap().hosts;
    assert_eq!(hosts.len(), 2);
    assert!(hosts[0].is_socket() && hosts[0].host == dir.path().to_str().unwrap());
    assert_eq!(hosts[1].host, "localhost");
}

#[test]
fn local_means_this_machine() {
    for (text, local) in [
        ("host=localhost", true),
        ("host=LocalHost.", true),
        ("host=127.0.0.5", true),
        ("host=::1", true),
        ("host=::ffff:127.0.0.1", true),
        ("host=/tmp", true),
        ("host=db.example hostaddr=127.0.0.1", true),
        ("host=localhost hostaddr=10.0.0.1", false),
        ("host=localhost,db", false),
        ("host=localhost.example", false),
        ("host=10.0.0.1", false),
    ] {
        assert_eq!(read(text).is_local(), local, "{text}");
    }
}

mod laws {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_string_panics_and_no_error_repeats_a_password(head in ".{0,12}", tail in ".{0,12}") {
            for text in [
                format!("postgres://u:{head}CANARY{tail}@h/db"),
                format!("host=h password={head}CANARY{tail}"),
                format!("postgres://h/db?password={head}CANARY{tail}"),
            ] {
                match Conninfo::parse(&text, &env()) {
                    Ok(info) => prop_assert!(!info.name().contains("CANARY"), "{info}"),
                    Err(error) => prop_assert!(!error.to_string().contains("CANARY"), "{error}"),
                }
            }
        }

        #[test]
        fn quoted_values_survive(value in "[^\0]{1,40}") {
            let quoted = value.replace('\\', "\\\\").replace('\'', "\\'");
            let info = Conninfo::parse(&format!("host=h password='{quoted}' user=u"), &env()).unwrap();
            prop_assert_eq!(password(&info), Some(value.as_str()));
            let encoded = value.bytes().fold(String::new(), |text, b| format!("{text}%{b:02X}"));
            let info = Conninfo::parse(&format!("postgresql://u:{encoded}@h/db"), &env()).unwrap();
            prop_assert_eq!(password(&info), Some(value.as_str()));
        }
    }
}
