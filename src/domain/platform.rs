//! Services that run PostgreSQL for others, told by what they leave in every server: the superuser they keep for
//! themselves, a second role or a setting of theirs, the name of the host. And which roles are theirs, so that nobody is
//! accused of them. Pure; knows no server and no policy.
//!
//! A name alone tells nothing: a role called `rds_reports` on a server of one's own is judged like any other, and whoever
//! may create roles cannot hide one by calling it `rdsadmin`, since only a superuser makes superusers.

use serde::{Deserialize, Serialize};

use super::snapshot::Role;

/// Who runs the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    Rds,
    Aurora,
    CloudSql,
    AlloyDb,
    Azure,
    Supabase,
    Neon,
    Railway,
}

/// What is known of a platform.
#[derive(Debug)]
pub struct Facts {
    pub platform: Platform,
    /// As its makers write it.
    pub name: &'static str,
    /// Superusers that the platform keeps for itself: one of them must be there, as a superuser. Empty: the platform
    /// leaves nothing in the server, and is known by its hosts alone.
    pub keepers: &'static [&'static str],
    /// Beside a keeper one of these must be there: a role that every server of the platform has …
    pub marks: &'static [&'static str],
    /// … or a setting that only its servers know.
    pub settings: &'static [&'static str],
    /// Endings of the names of its hosts.
    pub hosts: &'static [&'static str],
    /// Its own roles, keepers and marks included.
    pub roles: &'static [&'static str],
    /// Beginnings of names that only the platform gives.
    pub prefixes: &'static [&'static str],
    /// What is different there, for people.
    pub note: &'static str,
    /// Where this is written down.
    pub source: &'static str,
}

const RDS_ROLES: &[&str] = &[
    "rdsadmin",
    "rds_superuser",
    "rds_replication",
    "rds_iam",
    "rds_password",
    "rds_ad",
    "rds_extension",
    "rds_reserved",
    "rdsrepladmin",
    "rdstopmgr",
    "rdswriteforwarduser",
    "rdsproxyadmin",
];

const AMAZON: &str = "the master user is a member of rds_superuser, not a superuser; passwords cannot be read, and \
                      rds_iam makes a role log in by token only";

/// Every platform that is known. Those that need more come first: an Aurora is an RDS, too.
pub const PLATFORMS: &[Facts] = &[
    Facts {
        platform: Platform::Aurora,
        name: "Amazon Aurora",
        keepers: &["rdsadmin"],
        marks: &[],
        settings: &["apg_buffer_invalid_lookup_strategy", "aurora_compute_plan_id", "apg_plan_mgmt.max_plans"],
        hosts: &[],
        roles: RDS_ROLES,
        prefixes: &[],
        note: AMAZON,
        source: "docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Appendix.PostgreSQL.CommonDBATasks.Roles.rds_superuser.html",
    },
    Facts {
        platform: Platform::Rds,
        name: "Amazon RDS",
        keepers: &["rdsadmin"],
        marks: &["rds_superuser"],
        settings: &["rds.extensions", "rds.superuser_variables"],
        hosts: &[".rds.amazonaws.com", ".rds.amazonaws.com.cn"],
        roles: RDS_ROLES,
        prefixes: &[],
        note: AMAZON,
        source: "docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Appendix.PostgreSQL.CommonDBATasks.Roles.rds_superuser.html",
    },
    Facts {
        platform: Platform::AlloyDb,
        name: "Google AlloyDB",
        keepers: &["alloydbadmin"],
        marks: &["alloydbsuperuser", "alloydbmetadata"],
        settings: &["alloydb.iam_authentication", "google_columnar_engine.enabled"],
        hosts: &[".alloydb.goog"],
        roles: &[
            "alloydbadmin",
            "alloydbagent",
            "alloydbexport",
            "alloydbiamgroupuser",
            "alloydbiamuser",
            "alloydbimportexport",
            "alloydbmetadata",
            "alloydbobservability",
            "alloydbreplica",
            "alloydbsqllogical",
            "alloydbsuperuser",
        ],
        prefixes: &[],
        note: "postgres is a member of alloydbsuperuser, not a superuser; passwords cannot be read",
        source: "cloud.google.com/alloydb/docs/database-users/overview, cloud.google.com/alloydb/omni/docs/database-users/overview",
    },
    Facts {
        platform: Platform::CloudSql,
        name: "Google Cloud SQL",
        keepers: &["cloudsqladmin"],
        marks: &["cloudsqlsuperuser"],
        settings: &["cloudsql.iam_authentication", "cloudsql.supported_extensions"],
        hosts: &[".sql.goog"],
        roles: &[
            "cloudsqladmin",
            "cloudsqlagent",
            "cloudsqlconnpooladmin",
            "cloudsqliamgroup",
            "cloudsqliamgroupserviceaccount",
            "cloudsqliamgroupuser",
            "cloudsqliamserviceaccount",
            "cloudsqliamuser",
            "cloudsqlimportexport",
            "cloudsqlinactiveuser",
            "cloudsqllogical",
            "cloudsqlobservability",
            "cloudsqlreplica",
            "cloudsqlsuperuser",
        ],
        prefixes: &[],
        note: "every user made in its console is a member of cloudsqlsuperuser; passwords cannot be read",
        source: "cloud.google.com/sql/docs/postgres/users",
    },
    Facts {
        platform: Platform::Azure,
        name: "Azure Database for PostgreSQL",
        keepers: &["azuresu", "azure_superuser"],
        marks: &["azure_pg_admin"],
        settings: &["azure.extensions", "azure.accepted_password_auth_method"],
        hosts: &[".postgres.database.azure.com", ".postgres.database.chinacloudapi.cn"],
        roles: &["azuresu", "azure_superuser", "azure_pg_admin", "replication"],
        prefixes: &[],
        note: "the server admin is a member of azure_pg_admin, not a superuser; passwords cannot be read",
        source: "learn.microsoft.com/azure/postgresql/flexible-server/how-to-create-users",
    },
    Facts {
        platform: Platform::Supabase,
        name: "Supabase",
        keepers: &["supabase_admin"],
        marks: &["supabase_auth_admin", "authenticator"],
        settings: &["supautils.reserved_roles"],
        hosts: &[".supabase.co", ".supabase.com"],
        roles: &[
            "anon",
            "authenticated",
            "authenticator",
            "service_role",
            "dashboard_user",
            "pgbouncer",
            "pgsodium_keyholder",
            "pgsodium_keyiduser",
            "pgsodium_keymaker",
        ],
        prefixes: &["supabase_"],
        note: "anon, authenticated and service_role are those that its API takes on: service_role passes row level \
               security by",
        source: "supabase.com/docs/guides/database/postgres/roles",
    },
    Facts {
        platform: Platform::Neon,
        name: "Neon",
        keepers: &["cloud_admin"],
        marks: &["neon_superuser"],
        settings: &["neon.timeline_id", "neon.tenant_id", "neon.project_id"],
        hosts: &[".neon.tech", ".neon.build"],
        roles: &["cloud_admin", "neon_superuser", "web_access", "no_access"],
        prefixes: &[],
        note: "roles made in its console are members of neon_superuser, which reads and writes all data: make the \
               services' roles by SQL",
        source: "neon.com/docs/manage/roles",
    },
    Facts {
        platform: Platform::Railway,
        name: "Railway",
        keepers: &[],
        marks: &[],
        settings: &[],
        hosts: &[".railway.internal", ".proxy.rlwy.net", ".up.railway.app"],
        roles: &[],
        prefixes: &[],
        note: "postgres is a real superuser there: services that log in as it are bound by nothing",
        source: "docs.railway.com/guides/postgresql",
    },
];

impl Platform {
    /// What is known of it.
    #[must_use]
    pub fn facts(self) -> &'static Facts {
        // every variant has its entry: a test holds it
        PLATFORMS.iter().find(|f| f.platform == self).unwrap_or(&UNKNOWN)
    }

    /// As its makers write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// As in JSON.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Platform::Rds => "rds",
            Platform::Aurora => "aurora",
            Platform::CloudSql => "cloud_sql",
            Platform::AlloyDb => "alloy_db",
            Platform::Azure => "azure",
            Platform::Supabase => "supabase",
            Platform::Neon => "neon",
            Platform::Railway => "railway",
        }
    }

    /// True for the names that the platform gives to its own roles.
    #[must_use]
    pub fn owns(self, role: &str) -> bool {
        let facts = self.facts();
        let all = facts.keepers.iter().chain(facts.marks).chain(facts.roles);
        all.into_iter().any(|name| *name == role) || facts.prefixes.iter().any(|p| role.starts_with(p))
    }
}

const UNKNOWN: Facts = Facts {
    platform: Platform::Railway,
    name: "unknown",
    keepers: &[],
    marks: &[],
    settings: &[],
    hosts: &[],
    roles: &[],
    prefixes: &[],
    note: "",
    source: "",
};

/// Every setting that tells of a platform, in the order of the table: what a server is asked for.
pub fn settings() -> impl Iterator<Item = &'static str> {
    PLATFORMS.iter().flat_map(|f| f.settings.iter().copied())
}

/// Which platform runs a server with these roles, these of [`settings`], reached by this host name.
#[must_use]
pub fn recognised(roles: &[Role], known: &[String], host: Option<&str>) -> Option<Platform> {
    let has = |name: &str| roles.iter().any(|r| r.name == name);
    let keeps = |name: &str| roles.iter().any(|r| r.name == name && r.superuser);
    let host = host.map(str::to_lowercase);
    let named = |f: &Facts| host.as_deref().is_some_and(|h| f.hosts.iter().any(|end| h.ends_with(end)));
    let fits = |f: &&Facts| {
        if f.keepers.is_empty() {
            return named(f);
        }
        let second = f.marks.iter().any(|m| has(m)) || f.settings.iter().any(|s| known.iter().any(|k| k == s));
        f.keepers.iter().any(|k| keeps(k)) && (second || named(f))
    };
    PLATFORMS.iter().find(fits).map(|f| f.platform)
}

/// Marks the roles that belong to the platform.
pub fn mark(roles: &mut [Role], platform: Option<Platform>) {
    for role in roles {
        role.platform = platform.is_some_and(|p| p.owns(&role.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Platform; 8] = [
        Platform::Rds,
        Platform::Aurora,
        Platform::CloudSql,
        Platform::AlloyDb,
        Platform::Azure,
        Platform::Supabase,
        Platform::Neon,
        Platform::Railway,
    ];

    fn role(name: &str, superuser: bool) -> Role {
        Role { name: name.to_owned(), superuser, login: true, ..Role::default() }
    }

    #[test]
    fn every_platform_has_its_facts_and_its_word() {
        assert_eq!(PLATFORMS.len(), ALL.len());
        for platform in ALL {
            let facts = platform.facts();
            assert_eq!(facts.platform, platform, "it has an entry of its own");
            assert!(!facts.note.is_empty() && facts.source.contains('.'), "{platform:?}");
            assert_eq!(serde_json::to_value(platform).unwrap(), platform.id());
            assert!(!facts.hosts.is_empty() || !facts.keepers.is_empty(), "{platform:?} could never be told");
            assert!(facts.keepers.iter().all(|k| platform.owns(k)));
        }
    }

    #[test]
    fn a_keeper_and_one_more_sign_tell_the_platform() {
        for facts in PLATFORMS.iter().filter(|f| !f.keepers.is_empty()) {
            let keeper = role(facts.keepers[0], true);
            assert_eq!(recognised(std::slice::from_ref(&keeper), &[], None), None, "one sign is not enough");
            for mark in facts.marks {
                let roles = [keeper.clone(), role(mark, false)];
                assert_eq!(recognised(&roles, &[], None), Some(facts.platform));
            }
            for setting in facts.settings {
                let known = [(*setting).to_owned()];
                let found = recognised(std::slice::from_ref(&keeper), &known, None);
                assert_eq!(found, Some(facts.platform), "{setting}");
                assert_eq!(recognised(&[role(facts.keepers[0], false)], &known, None), None, "it is no superuser");
                assert_eq!(recognised(&[], &known, None), None, "anybody can set {setting} for a role");
            }
            for host in facts.hosts {
                let host = format!("db{}", host.to_uppercase());
                let found = recognised(std::slice::from_ref(&keeper), &[], Some(&host));
                assert_eq!(found, Some(facts.platform), "{host}");
                assert_eq!(recognised(&[], &[], Some(&host)), None, "a name in front of any server");
            }
        }
        let railway = recognised(&[], &[], Some("roundhouse.proxy.rlwy.net"));
        assert_eq!(railway, Some(Platform::Railway));
    }

    #[test]
    fn only_its_own_roles_are_marked_and_only_there() {
        let mut roles =
            vec![role("rdsadmin", true), role("rds_iam", false), role("rds_reports", false), role("app", false)];
        mark(&mut roles, Some(Platform::Rds));
        let marked: Vec<&str> = roles.iter().filter(|r| r.platform).map(|r| r.name.as_str()).collect();
        assert_eq!(marked, ["rdsadmin", "rds_iam"]);
        mark(&mut roles, None);
        assert!(roles.iter().all(|r| !r.platform));
        assert!(Platform::Supabase.owns("supabase_storage_admin") && !Platform::Supabase.owns("supabase"));
        assert!(Platform::Azure.owns("replication") && !Platform::Rds.owns("replication"));
    }
}
