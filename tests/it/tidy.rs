//! The house's own rules: who may name whom, what every file begins with, what must not stand anywhere.

use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(dir: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
}

fn sources() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    files(&root().join("src"), "rs", &mut paths);
    paths.sort();
    let read = |p: &PathBuf| std::fs::read_to_string(p).unwrap();
    paths.iter().map(|p| (p.strip_prefix(root()).unwrap().to_string_lossy().into_owned(), read(p))).collect()
}

/// The code of a file: without comments, and without the tests at its end.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Modules of this crate that a file names, by `crate::x` and by grouped imports.
fn names_module(code: &str, module: &str) -> bool {
    if code.contains(&format!("crate::{module}::")) || code.contains(&format!("crate::{module};")) {
        return true;
    }
    // use crate::{ a::…, b }
    code.split("use crate::{").skip(1).any(|rest| {
        let mut depth = 1;
        let mut word = String::new();
        for c in rest.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' => word.clear(),
                c if c.is_alphanumeric() || c == '_' => {
                    word.push(c);
                    continue;
                }
                c if c.is_whitespace() => continue,
                _ => {}
            }
            if depth == 0 {
                return word == module;
            }
            if (c == ':' || c == ',' || c == '}') && depth == 1 && word == module {
                return true;
            }
            if c != ',' {
                word.clear();
            }
        }
        false
    })
}

#[test]
fn layers_name_only_what_is_below_them() {
    let forbidden: &[(&str, &[&str])] = &[
        ("src/text.rs", &["domain", "policy", "plan", "server", "config", "app", "tui", "cli", "demo", "run"]),
        ("src/domain/", &["policy", "plan", "server", "config", "app", "tui", "cli", "demo", "run"]),
        ("src/policy/", &["plan", "server", "config", "app", "tui", "cli", "demo", "run"]),
        ("src/plan/", &["server", "config", "app", "tui", "cli", "demo", "run"]),
        ("src/config/", &["policy", "plan", "server", "app", "tui", "cli", "demo", "run"]),
        ("src/server/", &["policy", "audit", "app", "tui", "cli", "demo", "run"]),
        ("src/audit/", &["policy", "server", "config", "app", "tui", "cli", "demo", "run"]),
        ("src/app/", &["server", "tui", "cli", "demo", "run"]),
        ("src/tui/", &["server", "policy", "plan", "cli", "demo", "run"]),
        ("src/demo/", &["app", "tui", "cli", "run"]),
        ("src/discover/", &["policy", "plan", "server", "audit", "app", "tui", "cli", "demo", "run"]),
    ];
    for (path, text) in sources() {
        // files that are tests throughout
        if path.ends_with("/tests.rs") || path.ends_with("/sample.rs") || path.ends_with("/fixture.rs") {
            continue;
        }
        let code = code(&text);
        for (place, modules) in forbidden.iter().filter(|(place, _)| path.starts_with(place)) {
            for module in *modules {
                assert!(!names_module(&code, module), "{path} is in {place} and must not name {module}");
            }
        }
    }
}

#[test]
fn the_inner_layers_know_no_terminal_and_no_protocol() {
    let crates = ["ratatui", "crossterm", "tokio", "tokio_postgres"];
    for (path, text) in sources() {
        if ["src/domain/", "src/policy/", "src/plan/", "src/audit/", "src/app/"].iter().any(|p| path.starts_with(p)) {
            let code = code(&text);
            for name in crates {
                assert!(!code.contains(&format!("{name}::")), "{path} must not name {name}");
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is() {
    for (path, text) in sources() {
        assert!(text.starts_with("//!"), "{path} begins without `//!`");
    }
}

#[test]
fn statements_are_written_in_two_places_only() {
    let words = ["ALTER DEFAULT PRIVILEGES ", "REVOKE {", "GRANT {", "CREATE SCHEMA {"];
    for (path, text) in sources() {
        let allowed = ["src/plan/sql", "src/server/read", "src/demo/"].iter().any(|p| path.starts_with(p));
        let code = code(&text);
        for word in words.iter().filter(|_| !allowed) {
            assert!(!code.contains(&format!("format!(\"{word}")), "{path} writes a statement: that is plan/sql.rs's");
        }
    }
}

#[test]
fn every_finding_code_of_the_contract_has_a_check() {
    let codes: Vec<&str> =
        pgmoat::policy::checks::CHECKS.iter().flat_map(|c| c.codes.iter().map(|code| code.code)).collect();
    let wanted = "schema-missing role-missing role-cannot-login database-connect-missing schema-unused grant-missing \
        grant-excess grant-dead default-privilege-missing default-privilege-excess public-privilege undeclared-access \
        grant-option-excess database-privilege-excess grant-column-excess grant-fragile schema-owner object-owner \
        object-misplaced extension-misplaced role-overprivileged membership-excess membership-missing role-search-path \
        database-search-path role-connection-limit role-password-expiry version-table-missing version-table-misplaced \
        version-table-shared version-table-duplicate version-table-shadowed search-path-shared version-table-owner \
        version-table-empty version-revision-unknown version-behind-head version-several-heads table-overlap \
        foreign-key-crossing foreign-key-invalid view-crossing function-definer-crossing definer-search-path rls-missing \
        rls-no-policy rls-policy-inert rls-not-forced rls-policy-ignores-tenant rls-bypassed-by-view role-bypasses-rls \
        audit-schema-missing";
    for code in wanted.split_whitespace() {
        assert!(codes.contains(&code), "no check reports {code}");
    }
    let mut sorted = codes.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), codes.len(), "a code is reported by two checks");
}

#[test]
fn the_documents_name_what_exists() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for command in ["cargo run --release -- demo", "cargo test"] {
        assert!(readme.contains(command), "README.md does not name `{command}`");
    }
    for line in readme.lines().filter(|l| l.contains("](screenshots/")) {
        let file = line.split("](").nth(1).and_then(|r| r.split(')').next()).unwrap();
        assert!(root().join(file).exists(), "README.md shows {file}, which does not exist");
    }
    let architecture = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for module in
        ["domain", "policy", "plan", "server", "config", "app", "tui", "cli", "demo", "discover", "run", "text"]
    {
        assert!(architecture.contains(module), "ARCHITECTURE.md does not speak of {module}");
    }
}
