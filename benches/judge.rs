//! The whole matrix against a policy: 2,513 roles x 2,003 schemas, closed and compared (goal: 15 ms).
//!
//! `cargo bench --bench judge`

mod large;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use large::{SCHEMAS, TEAMS, policy};
use pgmoat::{
    domain::effective::Matrix,
    policy::{Level, Policy, RoleRule, judge::Judge},
};

/// As [`policy`], with the teams declared and every service a declared member of its own: teams are nested nine deep.
fn with_memberships() -> Policy {
    let mut policy = policy();
    for (i, service) in policy.services.iter_mut().enumerate() {
        service.member_of = Some(vec![format!("team_{:04}", i as u32 % TEAMS)]);
    }
    policy.roles.extend((0..TEAMS).map(|team| {
        let schemas = (0..SCHEMAS).filter(|i| i % TEAMS == team);
        let above = (team > 0).then(|| vec![format!("team_{:04}", (team - 1) / 2)]);
        RoleRule {
            access: schemas.map(|i| (format!("app_{i:05}"), vec![Level::Read])).collect(),
            member_of: above,
            ..RoleRule::named(&format!("team_{team:04}"))
        }
    }));
    policy
}

fn judge(c: &mut Criterion) {
    compare(c, "large", &policy());
    compare(c, "large, declared memberships", &with_memberships());
}

fn compare(c: &mut Criterion, title: &str, policy: &Policy) {
    let snapshot = large::snapshot();
    let matrix = Matrix::new(&snapshot.catalog, &snapshot.server);
    let desired = Judge::new(&snapshot, &matrix, Some(policy)).desired().cloned();
    let cells = Judge::new(&snapshot, &matrix, Some(policy)).cells();
    let mut group = c.benchmark_group(format!("{title}, {cells:?}"));
    group.sample_size(20);
    group.bench_function("matrix (closing)", |b| {
        b.iter(|| black_box(Matrix::new(&snapshot.catalog, &snapshot.server)));
    });
    group.bench_function("policy resolved", |b| {
        b.iter(|| black_box(Judge::new(&snapshot, &matrix, Some(policy)).desired().is_some()));
    });
    group.bench_function("cells compared", |b| {
        b.iter(|| black_box(Judge::with(&snapshot, &matrix, Some(policy), desired.clone()).cells()));
    });
    group.bench_function("all three", |b| {
        b.iter(|| {
            let matrix = Matrix::new(&snapshot.catalog, &snapshot.server);
            black_box(Judge::new(&snapshot, &matrix, Some(policy)).cells())
        });
    });
    group.finish();
}

criterion_group!(benches, judge);
criterion_main!(benches);
