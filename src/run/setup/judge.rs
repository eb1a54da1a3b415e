//! What follows from the answers: the policy, its findings on what is there, the plan, and what the plan leaves open.

use std::{fmt::Write as _, sync::Arc};

use super::{Kind, Opened, Trouble, on_a_thread};
use crate::{
    domain::{alembic::Lineages, change::Change, effective::Matrix, snapshot::Snapshot},
    plan::{Plan, build, predict::predict, setup},
    policy::{Finding, Policy, Severity, draft::Draft, judgement::Judgement},
    run::lineages,
    server::apply::preflight::{Lack, preflight},
    text,
};

/// See the module.
#[derive(Clone)]
pub struct Judged {
    /// What the answers make, accepted findings in it.
    pub policy: Arc<Policy>,
    /// What is there, judged by it.
    pub judgement: Arc<Judgement>,
    /// One transaction: everything that can be settled, new roles with their passwords.
    pub plan: Plan,
    /// Steps that the login cannot do.
    pub lacks: Vec<Lack>,
    /// What is left after the plan.
    pub open: Vec<Open>,
}

/// A finding that the plan does not settle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Of the finding; what [`Draft::leave`] takes.
    pub id: String,
    pub code: &'static str,
    pub service: Option<String>,
    pub severity: Severity,
    pub message: String,
    /// Why it matters.
    pub why: String,
    /// What to do, in words.
    pub remedy: String,
    /// The command to begin with later: `pgmoat isolate`.
    pub command: Option<String>,
    /// There is a fix, and it cannot be planned for this login: why.
    pub refused: Option<String>,
}

impl Open {
    fn of(finding: &Finding, left: &[build::Left]) -> Open {
        let refused = left.iter().find(|l| l.finding == finding.id).map(|l| l.why.clone());
        let cannot = refused.as_ref().map(|why| format!(" Not by itself: {why}."));
        Open {
            id: finding.id.clone(),
            code: finding.code,
            service: finding.service.clone(),
            severity: finding.severity,
            message: finding.message.clone(),
            why: finding.why.clone(),
            remedy: format!("{}{}", finding.remedy, cannot.unwrap_or_default()),
            command: command(finding),
            refused,
        }
    }

    /// The command for now, while no configuration knows the instance's name and no policy the service's scripts.
    #[must_use]
    pub fn command_now(&self, name: &str, words: &str, policy: &Policy) -> Option<String> {
        let command = self.command.as_ref()?;
        let mut now = command.replacen(&format!(" {} ", text::shell_word(name)), &format!(" {words} "), 1);
        let service = policy.services.iter().find(|s| Some(&s.name) == self.service.as_ref());
        if let Some(scripts) = service.and_then(|s| s.revisions.as_ref()).filter(|_| now.starts_with("pgmoat isolate "))
        {
            let _ = write!(now, " --revisions {}", text::shell_word(&scripts.to_string_lossy()));
        }
        Some(now)
    }

    /// The reason that stands in the policy when it is left for now.
    #[must_use]
    pub fn reason(&self, day: &str) -> String {
        match &self.command {
            Some(command) => format!("left at the set-up on {day}; begin with `{command}`"),
            None => {
                let first = self.remedy.split(". ").next().unwrap_or_default().trim_end_matches('.');
                format!("left at the set-up on {day}; to do: {first}")
            }
        }
    }
}

/// The command that settles a finding: the one its remedy names, else the one for its code.
fn command(finding: &Finding) -> Option<String> {
    let named = finding.remedy.split('`').skip(1).step_by(2).find(|word| word.starts_with("pgmoat "));
    let by_code = match finding.code {
        "version-table-shared"
        | "version-table-misplaced"
        | "version-table-duplicate"
        | "version-table-shadowed"
        | "version-table-missing" => Some("pgmoat versions move --help"),
        "table-overlap" | "object-misplaced" => Some("pgmoat isolate --help"),
        "role-overprivileged" => Some("pgmoat replace-role --help"),
        "rls-missing" | "rls-no-policy" | "rls-policy-inert" | "rls-not-forced" => Some("pgmoat setup-rls --help"),
        _ => None,
    };
    named.or(by_code).map(str::to_owned)
}

/// Judges and plans what was answered.
///
/// # Errors
/// A plan that cannot be, or a fault.
pub async fn judge(opened: &Opened, draft: &Draft) -> Result<Judged, Trouble> {
    let policy = Arc::new(draft.policy(&opened.snapshot));
    let passwords = draft.passwords(&opened.snapshot);
    let named = Arc::clone(&policy);
    let read = on_a_thread(move || lineages(&named));
    let lineages = Arc::new(read.await?);
    let policy = as_configured(policy, &lineages, &opened.snapshot);
    judge_by(&opened.snapshot, &draft.name, policy, lineages, passwords).await
}

/// The name of a version table as the application's `env.py` has it, where the database does not say another.
fn as_configured(policy: Arc<Policy>, lineages: &Lineages, snapshot: &Snapshot) -> Arc<Policy> {
    let there = |schema: Option<&String>| {
        let schema = schema.and_then(|name| snapshot.catalog.schema_named(name));
        schema.is_some_and(|s| snapshot.versions.0.iter().any(|v| v.schema == s.oid && v.shape && v.plain))
    };
    let mut policy = policy;
    let all = Arc::make_mut(&mut policy).services.iter_mut();
    for service in all.filter(|s| s.version_table.is_some() && !there(s.schemas.first())) {
        let said = lineages.of(&service.name).and_then(|l| l.version_table.clone());
        service.version_table = said.or(service.version_table.take());
    }
    policy
}

/// Judges and plans by a policy, for an instance of that name; these roles get a password.
///
/// # Errors
/// As [`judge`].
pub async fn judge_by(
    snapshot: &Arc<Snapshot>,
    name: &str,
    policy: Arc<Policy>,
    lineages: Arc<Lineages>,
    passwords: Vec<String>,
) -> Result<Judged, Trouble> {
    // Findings name the commands that settle them, with the name that the instance will have.
    let snapshot = Arc::new(Snapshot { instance: name.to_owned(), words: None, ..(**snapshot).clone() });
    on_a_thread(move || judged(snapshot, policy, lineages, passwords)).await?
}

fn judged(
    snapshot: Arc<Snapshot>,
    policy: Arc<Policy>,
    lineages: Arc<Lineages>,
    passwords: Vec<String>,
) -> Result<Judged, Trouble> {
    let here = Arc::new(policy.for_instance(&snapshot.instance, true));
    let judgement = Judgement::new(snapshot, Some(Arc::clone(&here)), Arc::clone(&lineages), None);
    let snapshot = &judgement.snapshot;
    let leaves = |code: &str| here.accepted.iter().any(|a| a.finding.split(':').next() == Some(code));
    // Whoever may connect could make tables where every service looks: taken along, as with one service.
    let first = setup::close_public(snapshot).filter(|_| !passwords.is_empty() && !leaves("public-privilege"));
    let last = passwords.into_iter().map(|role| Change::SetPassword { role }).collect();
    let settles = |_: &Finding| true;
    let plan = build::converge_where(&judgement, &settles, first.into_iter().collect(), last)?;
    let plan = plan.called(format!("Set up {}", snapshot.instance));
    let unread = build::unread(snapshot, &plan.ground);
    if let Some(key) = unread.first() {
        let message = format!("could not plan that: {key} was not read");
        return Err(Trouble::new(Kind::Server, message, "Try again in a moment."));
    }
    let matrix = Matrix::new(&snapshot.catalog, &snapshot.server);
    let lacks = preflight(snapshot, &matrix, &plan);
    let after = predict(snapshot, plan.steps.iter().map(|s| &s.change))?;
    let after = Judgement::new(Arc::new(after), Some(here), lineages, None);
    let open = after.findings.iter().filter(|f| f.severity > Severity::Info);
    let open = open.map(|f| Open::of(f, &plan.left)).collect();
    Ok(Judged { policy, judgement: Arc::new(judgement), plan, lacks, open })
}
