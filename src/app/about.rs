//! What is to be known of a server before one works on it: which one it is, who one is there, and what stands between.
//! Sentences for the console and for `pgmoat info`; knows no server and asks none.

use std::fmt::Write as _;

use super::{
    panes::Story,
    view::{Line, Span, Tone},
};
use crate::{
    domain::snapshot::{ClusterDatabase, Snapshot},
    text,
};

/// One thing to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// In front of it: a word.
    pub label: &'static str,
    /// A sentence; may hold names.
    pub text: String,
    pub tone: Tone,
    /// What follows from it, or what it is made of: what that is about, and a sentence.
    pub means: Vec<(String, String)>,
}

/// What a pooler means for those who look after a database.
pub const POOLER: &[(&str, &str)] = &[
    (
        "role settings",
        "ALTER ROLE … SET acts when the pooler opens a server connection, not when a client logs in: a service sees a \
         new search_path or timeout only when its server connections are opened anew (PgBouncer: RECONNECT).",
    ),
    (
        "limits",
        "A role's connection limit counts the pooler's server connections, not the clients: at the limit clients wait \
         in the pooler, or are refused by it, and the server shows nothing of them.",
    ),
    (
        "locks",
        "In transaction mode a session's SET, its advisory locks, LISTEN and temporary tables stay with the server \
         connection, for whoever gets it next. pgmoat uses settings and locks that end with their transaction.",
    ),
    (
        "sessions",
        "Sessions lists server connections: who is terminated there is the pooler's, and the client that uses it then.",
    ),
];

/// What is to be known of the server of a snapshot, the most important first.
#[must_use]
pub fn facts(snapshot: &Snapshot) -> Vec<Fact> {
    let server = &snapshot.server;
    let plain = |label, text| Fact { label, text, tone: Tone::Text, means: Vec::new() };
    let mut all = vec![plain("server", format!("PostgreSQL {}", server.version))];
    all.push(match (server.in_recovery, server.replay_lag_ms) {
        (false, _) => plain("role", "primary".to_owned()),
        (true, lag) => {
            let behind = lag.map_or_else(
                || "how far behind is not known: nothing was replayed yet".to_owned(),
                |ms| format!("{} behind its primary", text::age(ms)),
            );
            let text = format!("standby, {behind}; it is read here, and changed on the primary");
            Fact { tone: Tone::Warning, ..plain("role", text) }
        }
    });
    if let Some(platform) = server.platform {
        let text = format!("{}: {}", platform.name(), platform.facts().note);
        all.push(plain("platform", text));
        let own: Vec<&str> = snapshot.catalog.roles.iter().filter(|r| r.platform).map(|r| r.name.as_str()).collect();
        if !own.is_empty() {
            let text = format!("{}: shown, and nobody is accused of them", text::list(&own, 20));
            all.push(plain("its roles", text));
        }
    }
    let superuser = if server.superuser { ", a superuser" } else { "" };
    all.push(plain("login", format!("{}{superuser}, in database {}", server.current_user, server.database)));
    all.push(match (&server.tls, server.local) {
        (Some(tls), _) => plain("line", format!("encrypted, {tls}")),
        (None, true) => plain("line", "does not leave this machine".to_owned()),
        (None, false) => Fact { tone: Tone::Warning, ..plain("line", "in clear, to another machine".to_owned()) },
    });
    if server.pooled {
        let text = "A pooler or a proxy stands between: the login named one server process, and another one answers.";
        let means = POOLER.iter().map(|(what, meaning)| ((*what).to_owned(), (*meaning).to_owned())).collect();
        all.push(Fact { label: "pooler", text: text.to_owned(), tone: Tone::Warning, means });
    }
    let databases = &snapshot.sizes.databases;
    if !databases.is_empty() {
        let text = text::count(databases.len() as u64, "database", "databases");
        let means = databases.iter().map(|d| (d.name.clone(), database(d, &server.database))).collect();
        all.push(Fact { means, ..plain("databases", text) });
    }
    all
}

/// What is said of one database in a list: `12 MB, this one`.
#[must_use]
pub fn database(database: &ClusterDatabase, here: &str) -> String {
    let mut parts = vec![database.size_bytes.map_or_else(|| "size unknown".to_owned(), text::size)];
    if database.name == here {
        parts.push("this one".to_owned());
    }
    if database.template {
        parts.push("a template".to_owned());
    }
    parts.extend(database.closed().map(str::to_owned));
    parts.join(", ")
}

/// Cells of a label.
const LABEL: usize = 12;

/// The same as a text to be opened.
#[must_use]
pub fn story(snapshot: &Snapshot) -> Story {
    let mut lines = Vec::new();
    let mut copy = String::new();
    for fact in facts(snapshot) {
        let _ = writeln!(copy, "{}: {}", fact.label, fact.text);
        lines.push(labelled(fact.label, 0).and(&fact.text, fact.tone));
        for (what, meaning) in fact.means {
            let _ = writeln!(copy, "  {what}: {meaning}");
            lines.push(labelled(&what, 2).and(&meaning, Tone::Text));
        }
    }
    Story { title: Line::new("The server of ", Tone::Title).and(&snapshot.instance, Tone::Strong), lines, copy }
}

fn labelled(label: &str, indent: usize) -> Line {
    let text = format!("{:indent$}{label:<LABEL$}  ", "");
    Line(vec![Span::new(&text, Tone::Dim)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        app::panes::sample::Sample,
        domain::{platform::Platform, snapshot::Server},
    };

    fn of(server: Server) -> Vec<Fact> {
        let mut sample = Sample::new();
        sample.server = server;
        facts(&sample.judgement().snapshot)
    }

    #[test]
    fn a_standby_says_how_far_behind_it_is_and_a_primary_says_what_it_is() {
        let role = |server| of(server).into_iter().find(|f| f.label == "role").unwrap();
        assert_eq!(role(Server::default()).text, "primary");
        let behind = role(Server { in_recovery: true, replay_lag_ms: Some(4200), ..Server::default() });
        assert!(behind.text.starts_with("standby, 4.2 s behind its primary"), "{}", behind.text);
        let unknown = role(Server { in_recovery: true, ..Server::default() });
        assert!(unknown.text.contains("not known"), "{}", unknown.text);
    }

    #[test]
    fn a_platform_is_named_with_its_roles() {
        let mut sample = Sample::new();
        sample.server.platform = Some(Platform::Rds);
        for name in ["rdsadmin", "rds_iam", "app"] {
            let oid = sample.role(name);
            sample.edit_role(oid, |r| r.platform = name != "app");
        }
        let facts = facts(&sample.judgement().snapshot);
        let of = |label: &str| facts.iter().find(|f| f.label == label).unwrap().text.clone();
        assert!(of("platform").starts_with("Amazon RDS: "), "{}", of("platform"));
        let roles = of("its roles");
        assert!(roles.contains("rds_iam") && !roles.contains("app"), "{roles}");
    }

    #[test]
    fn databases_are_listed_with_what_is_in_the_way() {
        let open = ClusterDatabase {
            name: "orders".into(),
            takes_connections: true,
            may_connect: true,
            size_bytes: Some(8 << 20),
            ..ClusterDatabase::default()
        };
        assert!(database(&open, "orders").ends_with(", this one"), "{}", database(&open, "orders"));
        assert!(!database(&open, "x").contains(','));
        let closed = ClusterDatabase { may_connect: false, size_bytes: None, ..open.clone() };
        assert_eq!(database(&closed, "x"), "size unknown, this login may not CONNECT to it");
        let template = ClusterDatabase { takes_connections: false, template: true, ..open };
        assert!(database(&template, "x").ends_with("a template, takes no connections"));
    }

    #[test]
    fn only_a_pooler_is_spoken_of_and_what_it_means() {
        assert!(of(Server::default()).iter().all(|f| f.label != "pooler" && f.means.is_empty()));
        let facts = of(Server { pooled: true, ..Server::default() });
        let pooler = facts.iter().find(|f| f.label == "pooler").unwrap();
        let about: Vec<&str> = pooler.means.iter().map(|(what, _)| what.as_str()).collect();
        assert_eq!(about, ["role settings", "limits", "locks", "sessions"]);
    }
}
