//! Compose projects of real shapes with what is found in each (`cases.txt`), and hostile ones that are refused.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use pgmoat::discover::{
    Found, Place, Secret,
    compose::Project,
    files::{Disk, Files, Imagined},
    fill::Values,
    project,
};

/// One project of `cases.txt`.
pub struct Case {
    pub name: String,
    pub files: BTreeMap<String, String>,
    expect: String,
}

pub fn cases() -> Vec<Case> {
    let text = include_str!("cases.txt");
    let mut out: Vec<Case> = Vec::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("=== ") {
            out.push(Case { name: name.to_owned(), files: BTreeMap::new(), expect: String::new() });
            current = None;
        } else if let Some(path) = line.strip_prefix("--- ") {
            current = Some(path.to_owned());
            if path != "expect" {
                out.last_mut().unwrap().files.insert(path.to_owned(), String::new());
            }
        } else if let (Some(case), Some(path)) = (out.last_mut(), &current) {
            let file = if path == "expect" { &mut case.expect } else { case.files.get_mut(path).unwrap() };
            file.push_str(line);
            file.push('\n');
        }
    }
    out
}

const DIR: &str = "/srv/shop";

pub fn variables(text: Option<&String>) -> Values {
    text.into_iter()
        .flat_map(|t| t.lines())
        .filter_map(|l| l.split_once('='))
        .map(|(n, v)| (n.to_owned(), v.to_owned().into()))
        .collect()
}

/// All that is found in a case, in the order of its projects, with the problems.
fn found_in(case: &Case, files: &dyn Files, dir: &Path) -> (Vec<Found>, Vec<String>) {
    let variables = variables(case.files.get("environment"));
    let projects: Vec<Project> = project::find(dir, &[], files, &variables);
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for project in &projects {
        let (more, wrong) = project::found(project, None, files);
        found.extend(more);
        problems.extend(wrong);
    }
    if projects.is_empty() {
        let (more, wrong) = project::found_in_env_file(&dir.join(".env"), files);
        found.extend(more);
        problems.extend(wrong);
    }
    let words = problems.iter().map(|p| {
        let at = p.at.as_ref().map(|at| at.to_string().replace(&format!("{}/", dir.display()), "")).unwrap_or_default();
        format!("{at} {}", p.message)
    });
    let problems = words.collect();
    (found, problems)
}

/// As the lines of `cases.txt`.
fn line(found: &Found, dir: &Path) -> String {
    let near = |path: &Path| path.strip_prefix(dir).unwrap_or(path).display().to_string();
    let place = found.conninfo().unwrap_or_else(|| match found.place {
        Place::Chosen => "chosen".into(),
        _ => "inside".into(),
    });
    let secret = match &found.secret {
        Secret::None(_) => "none".to_owned(),
        Secret::Written { variable, at }
            if ["compose.yaml", "docker-compose.yml", "docker-compose.yaml", ".env"]
                .contains(&near(&at.file).as_str()) =>
        {
            format!("{variable}:{}", at.line)
        }
        Secret::Written { at, .. } => format!("{}:{}", near(&at.file), at.line),
        Secret::File(path) => near(path),
        Secret::Environment(variable) => variable.clone(),
        Secret::Pgpass | Secret::Container { .. } => unreachable!(),
        Secret::Unknown => "?".to_owned(),
    };
    let service = found.project.as_ref().map_or("-", |(_, s)| s.as_str());
    format!("{service}|{place}|{secret}|{}", found.product)
}

#[track_caller]
fn compare(case: &Case, files: &dyn Files, dir: &Path) {
    let (found, problems) = found_in(case, files, dir);
    let mut lines = Vec::new();
    for one in &found {
        lines.push(line(one, dir));
        for n in &one.neighbours {
            let or = |text: &Option<String>| text.clone().unwrap_or_default();
            let scripts = n
                .revisions
                .as_deref()
                .map_or_else(String::new, |path| format!("|{}", path.strip_prefix(dir).unwrap_or(path).display()));
            let schemas = n.schemas.join(" ");
            lines.push(format!("> {}|{}|{}|{schemas}{scripts}", n.service, or(&n.user), or(&n.database)));
        }
    }
    let (wanted, about): (Vec<&str>, Vec<&str>) = case
        .expect
        .lines()
        .filter(|l| !l.trim().is_empty())
        .partition(|l| !["! ", "+ ", "- "].iter().any(|p| l.starts_with(p)));
    assert_eq!(lines, wanted, "{}\nproblems: {problems:?}", case.name);
    let notes: Vec<&String> = found.iter().flat_map(|f| &f.notes).collect();
    for line in &about {
        let (kind, words) = line.split_at(2);
        match kind {
            "! " => assert!(problems.iter().any(|p| p.contains(words)), "{}: no `{words}` in {problems:?}", case.name),
            "+ " => assert!(notes.iter().any(|n| n.contains(words)), "{}: no `{words}` in {notes:?}", case.name),
            _ => assert!(!notes.iter().any(|n| n.contains(words)), "{}: `{words}` in {notes:?}", case.name),
        }
    }
    if !about.iter().any(|l| l.starts_with("! ")) {
        assert!(problems.is_empty(), "{}: {problems:?}", case.name);
    }
    let everything = format!("{found:?}{problems:?}");
    assert!(!everything.contains("CANARY"), "{}: a password is in {everything}", case.name);
}

#[test]
fn compose_projects_say_what_they_should() {
    let cases = cases();
    assert!(cases.len() >= 40, "only {} cases", cases.len());
    for case in &cases {
        let files = case.files.iter().filter(|(path, _)| *path != "environment");
        let imagined = Imagined(files.map(|(path, text)| (Path::new(DIR).join(path), text.clone())).collect());
        compare(case, &imagined, Path::new(DIR));
    }
}

#[test]
fn the_same_from_the_disk() {
    for case in &cases() {
        let dir = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(dir.path()).unwrap();
        for (path, text) in case.files.iter().filter(|(path, _)| *path != "environment") {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        compare(case, &Disk, &root);
    }
}

/// Nothing of a hostile project may cost more than this; the figure of a fast build is far below.
const SOON: Duration = Duration::from_secs(3);

#[track_caller]
fn refused(files: &[(&str, String)], words: &str) {
    let imagined = Imagined(files.iter().map(|(path, text)| (Path::new(DIR).join(path), text.clone())).collect());
    let case = Case { name: words.to_owned(), files: BTreeMap::new(), expect: String::new() };
    let began = Instant::now();
    let (_, problems) = found_in(&case, &imagined, Path::new(DIR));
    let took = began.elapsed();
    assert!(problems.iter().any(|p| p.contains(words)), "no `{words}` in {problems:?}");
    assert!(took < SOON, "{words}: {took:?}");
    println!("{words}: {took:?}");
}

fn lines(numbers: std::ops::Range<usize>, line: impl Fn(usize) -> String) -> String {
    numbers.map(line).collect::<Vec<_>>().concat()
}

#[test]
fn hostile_projects_are_refused_soon() {
    let level = |i: usize| format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", "));
    let bomb = format!("a0: &a0 [x, x]\n{}", lines(1..12, level));
    refused(&[("compose.yaml", bomb + "services: *a11\n")], "stands for more than");
    refused(&[("compose.yaml", format!("services: {}x{}", "{a: ".repeat(3_000), "}".repeat(3_000)))], "deep");
    refused(&[("compose.yaml", "services: &s\n  a: *s\n".into())], "is not used");
    refused(&[("compose.yaml", "x".repeat(50 << 20))], "larger than");
    refused(&[("compose.yaml", format!("services:\n{}", "  - x\n".repeat(60_000)))], "stands for more than");
    let wide = lines(0..400, |i| format!("  k{i}: {i}\n"));
    let many = lines(0..400, |i| format!("m{i}:\n  <<: *x\n"));
    refused(&[("compose.yaml", format!("x: &x\n{wide}{many}"))], "stands for more than");
    let mut chain: Vec<(String, String)> =
        (0..40).map(|i| (format!("c{i}.yaml"), format!("include: [c{}.yaml]\nservices: {{}}\n", i + 1))).collect();
    chain.push(("compose.yaml".into(), "include: [c0.yaml]\n".into()));
    let chain: Vec<(&str, String)> = chain.iter().map(|(p, t)| (p.as_str(), t.clone())).collect();
    refused(&chain, "too deep");
    let mut both: Vec<(String, String)> = (0..10)
        .map(|i| (format!("d{i}.yaml"), format!("include: [{}]\n", vec![format!("d{}.yaml", i + 1); 10].join(", "))))
        .collect();
    both.push(("compose.yaml".into(), "include: [d0.yaml]\n".into()));
    let both: Vec<(&str, String)> = both.iter().map(|(p, t)| (p.as_str(), t.clone())).collect();
    refused(&both, "files belong to it");
    let doubling = format!("A0=xxxxxxxxxxxxxxxx\n{}", lines(1..64, |i| format!("A{i}=$A{p}$A{p}\n", p = i - 1)));
    refused(&[(".env", doubling), ("compose.yaml", "services: {db: {image: postgres}}\n".into())], "too long");
    let extends = lines(0..300, |i| format!("  s{i}: {{extends: s{}}}\n", i + 1));
    refused(&[("compose.yaml", format!("services:\n{extends}  s300: {{image: postgres}}\n"))], "too deep");
}

#[cfg(unix)]
#[test]
fn only_plain_files_of_a_size_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe.env");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::os::unix::fs::symlink("/dev/zero", dir.path().join("zero.env")).unwrap();
    std::fs::write(dir.path().join("big.env"), vec![b'x'; 2 << 20]).unwrap();
    let text = "services:\n  db:\n    image: postgres\n    env_file: [pipe.env, zero.env, big.env, /etc]\n";
    std::fs::write(dir.path().join("compose.yaml"), text).unwrap();
    let began = Instant::now();
    let case = Case { name: String::new(), files: BTreeMap::new(), expect: String::new() };
    let (found, problems) = found_in(&case, &Disk, dir.path());
    assert_eq!((found.len(), problems.len()), (1, 4), "{problems:?}");
    assert!(began.elapsed() < SOON);
}
