//! `init`: a database set up for its services. With `--yes` every answer comes from a flag or a proposal; on a terminal
//! without it the wizard asks.

mod answers;
mod place;

use std::{io::IsTerminal as _, path::PathBuf, sync::Arc};

use secrecy::SecretString;

use self::place::Place;
use super::{
    apply,
    args::{self, Global},
    exit_code::Exit,
    failure::{Failure, Outcome},
    gather::{self, Asking},
    guide,
    halt::Halt,
    plan::{self, Made},
    report::{self, Report},
    resolve,
};
use crate::{
    app::view::Tone,
    config::{Env, Target, entry::Entry, paths},
    policy::{
        self, Policy,
        draft::{Answer, Draft, DraftService, Kept},
    },
    run::{
        self,
        setup::{self, Fresh, Judged, Kind, Login, Open, Opened, Tries, Trouble, Writing},
    },
    text,
};

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Failure {
        let exit = match trouble.kind {
            Kind::PasswordNeeded | Kind::Server => Exit::Server,
            Kind::Wrong => Exit::Usage,
            Kind::Refused => Exit::Refused,
            Kind::Fault => Exit::Panic,
        };
        Failure::new(exit, trouble.message, Some(trouble.remedy))
    }
}

/// Sets up, or opens the wizard.
///
/// # Errors
/// See [`Failure`].
pub async fn run(report: &mut Report, global: &Global, env: Env, args: &args::Init, halt: &Halt) -> Outcome {
    let unattended = args.run.yes || args.run.rehearse || args.save_sql.is_some();
    if !unattended {
        return wizard(global, env, args, halt).await;
    }
    let place = place::find(global, &env, args).await?;
    if place.target.conninfo.read_only && args.save_sql.is_none() {
        let cause = format!("could not set up {}: it is read-only", place.target.name);
        return Err(Failure::refused(cause, "Leave out --read-only, or set read_only = false for this instance."));
    }
    let target = gather::with_password(place.target.clone(), &Asking::default()).await?;
    let opened = setup::open(&target).await?;
    let mut sitting = Sitting { report, env: &env, args, halt, place, opened };
    if sitting.opened.snapshot.server.in_recovery {
        let cause = format!("could not set up {}: it is a standby", sitting.place.target.name);
        return Err(Failure::refused(cause, "Name the primary."));
    }
    Box::pin(sitting.go()).await
}

/// The wizard, on a terminal.
async fn wizard(global: &Global, env: Env, args: &args::Init, halt: &Halt) -> Outcome {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        let cause = "could not ask anything: standard input or output is not a terminal";
        return Err(Failure::usage(cause, "Say --yes and give the answers as flags: `pgmoat init --help` lists them."));
    }
    let answers = args::Init { target: None, dir: None, ..args.clone() };
    if answers != args::Init::default() {
        let cause = "could not combine flags that answer with questions";
        return Err(Failure::usage(cause, "Say --yes to have nothing asked, or leave the flags out to be asked."));
    }
    Box::pin(guide::run(global, env, args.target.as_deref(), args.dir.as_deref(), halt)).await
}

/// One run without questions.
struct Sitting<'a> {
    report: &'a mut Report,
    env: &'a Env,
    args: &'a args::Init,
    halt: &'a Halt,
    place: Place,
    opened: Opened,
}

/// What is set up, before and after it is done.
struct Plans {
    name: String,
    judged: Judged,
    /// What is left stays in the policy.
    policy: Policy,
    /// A policy that was there; nothing is written to it.
    standing: bool,
    policy_path: PathBuf,
    draft: Draft,
}

impl Sitting<'_> {
    async fn go(&mut self) -> Outcome {
        let plans = match self.place.standing()? {
            Some((path, policy)) => self.standing(path, policy).await?,
            None => self.answered().await?,
        };
        self.said(&plans)?;
        self.done(plans).await
    }

    /// From the flags and what is proposed.
    async fn answered(&mut self) -> Result<Plans, Failure> {
        let snapshot = Arc::clone(&self.opened.snapshot);
        let draft = match self.place.kept.take() {
            Some(kept) => {
                let mut draft = kept.draft;
                draft.look(&snapshot);
                draft
            }
            None => Draft::propose(&snapshot, &self.place.neighbours(&snapshot.catalog.database.name)),
        };
        let draft = answers::given(draft, &snapshot, self.args, &self.place)?;
        let problems = draft.problems(&snapshot);
        if let Some((first, rest)) = problems.split_first() {
            let others = rest.iter().map(|p| format!("  {} {}", p.sentence, p.remedy));
            let sentence = first.sentence.trim_end_matches('.');
            let remedy = match first.answer {
                Answer::Services => {
                    let elsewhere = self.place.elsewhere(&snapshot.catalog.database.name);
                    let elsewhere = elsewhere.map(|words| format!(" {words}")).unwrap_or_default();
                    format!("Name each with --service NAME, or --service NAME=SCHEMA:ROLE.{elsewhere}")
                }
                Answer::Name
                | Answer::Service(..)
                | Answer::Access(_)
                | Answer::Reporting
                | Answer::Audit
                | Answer::Accepted(_) => first.remedy.clone(),
            };
            return Err(Failure::usage(format!("could not set that up: {sentence}"), remedy).with(others));
        }
        let judged = setup::judge(&self.opened, &draft).await?;
        let policy_path = self.place.policy_path(&draft.name);
        let (policy, name) = ((*judged.policy).clone(), draft.name.clone());
        Ok(Plans { name, judged, policy, standing: false, policy_path, draft })
    }

    /// A policy is there already: what it wants is what is set up.
    async fn standing(&mut self, path: PathBuf, policy: Policy) -> Result<Plans, Failure> {
        let name = self.place.instance_name(&policy.name);
        self.place.free(&name)?;
        let snapshot = &self.opened.snapshot;
        let proposed = Draft::propose(snapshot, &self.place.neighbours(&snapshot.catalog.database.name));
        answers::declared(&policy, &proposed, self.args, &path)?;
        let here = policy.for_instance(&name, true);
        let lineages = Arc::new(run::lineages(&here));
        // On a server that has not seen it yet, the plan makes the roles: they get passwords, too.
        let logins = here.services.iter().filter(|s| s.login != Some(false)).map(|s| &s.role);
        let logins = logins.chain(here.roles.iter().filter(|r| r.login == Some(true)).map(|r| &r.name));
        let mut new: Vec<String> = logins.filter(|r| snapshot.catalog.role_named(r).is_none()).cloned().collect();
        new.sort_unstable();
        new.dedup();
        let judged = setup::judge_by(snapshot, &name, Arc::new(here.clone()), lineages, new).await?;
        Ok(Plans { name, judged, policy: here, standing: true, policy_path: path, draft: Draft::default() })
    }

    /// What will be done, before it is done.
    fn said(&mut self, plans: &Plans) -> Result<(), Failure> {
        let report = &mut *self.report;
        for sees in &self.opened.sees {
            let tone = if sees.good { Tone::Good } else { Tone::Warning };
            report.paragraph(0, "", &sees.sentence, tone)?;
            if let Some(grant) = &sees.grant {
                report.sql(2, grant)?;
            }
        }
        if plans.standing {
            let words = format!("Its policy is {}.", plans.policy_path.display());
            report.paragraph(0, "", &words, Tone::Text)?;
        }
        report.blank()?;
        for service in &plans.policy.services {
            let schemas = service.schemas.join(", ");
            let words = format!("schema {schemas}, role {}", service.role);
            report.line().tone(&service.name, Tone::Strong).known("  ").text(&words).end()?;
            let why = plans.draft.services.iter().find(|s| s.name == service.name).map(|s| s.why.as_str());
            if let Some(why) = why {
                report.paragraph(2, "", why, Tone::Dim)?;
            }
            let stays = plans.draft.services.iter().find(|s| s.name == service.name).map(DraftService::staying);
            for sentence in stays.into_iter().flatten() {
                report.paragraph(2, "", &sentence, Tone::Warning)?;
            }
            for (to, levels) in &service.access {
                let levels: Vec<&str> = levels.iter().map(|l| l.word()).collect();
                report.paragraph(2, "", &format!("{} in {to}", levels.join(", ")), Tone::Text)?;
            }
        }
        for rule in &plans.policy.roles {
            let places: Vec<String> = rule.access.keys().cloned().collect();
            let words = match places.as_slice() {
                [] => "role".to_owned(),
                places => format!("role, access to {}", text::list(places, 6)),
            };
            report.line().tone(&rule.name, Tone::Strong).known("  ").text(&words).end()?;
        }
        report.blank()
    }

    async fn done(&mut self, mut plans: Plans) -> Outcome {
        if !plans.judged.lacks.is_empty() && self.args.save_sql.is_none() {
            let lacks = plans.judged.lacks.iter().map(|lack| format!("  {lack}"));
            let cause = format!("could not begin: {} lacks rights", self.place.target.conninfo.user);
            let remedy = "Connect as an owner or a superuser, or write the SQL with --save-sql.";
            return Err(Failure::refused(cause, remedy).with(lacks));
        }
        self.left(&mut plans)?;
        let files = self.files(&plans)?;
        let plan = plans.judged.plan.clone();
        if plan.is_empty() && !files.iter().any(Writing::changes) && plans.judged.open.is_empty() {
            let words = format!("There is nothing to do: {} is as its policy says.", plans.name);
            self.report.line().tone(&words, Tone::Good).end()?;
            self.report.flush()?;
            return Ok(Exit::Done);
        }
        if !plan.is_empty() {
            let snapshot = (*plans.judged.judgement.snapshot).clone();
            plan::show(
                self.report,
                &Made { plan: plan.clone(), snapshot, lacks: plans.judged.lacks.clone(), now: Vec::new() },
            )?;
        }
        self.shown(&files)?;
        if let Some(path) = self.args.save_sql.clone() {
            return self.saved(&path, &plans, &files);
        }
        let state = paths::state_dir(self.env).ok_or_else(|| {
            let cause = "could not find a place for journal and passwords: there is no home directory";
            Failure::refused(cause, "Set XDG_STATE_HOME.")
        })?;
        let target = Target { name: plans.name.clone(), ..self.opened.target.clone() };
        let mut kept = self.keeping(&plans);
        let _ = setup::keep(&state, &kept);
        let mut fresh = Vec::new();
        if !plan.is_empty() {
            let steps: Vec<String> = plan.steps.iter().map(|s| format!("{}: {}", s.id, s.title)).collect();
            let mut tell = |progress| apply::tell(&progress, &steps);
            let (stop, rehearse) = (self.halt.acting(), self.args.run.rehearse);
            let applied = setup::apply(&target, &state, plan.approve(), rehearse, stop, &mut tell).await?;
            let exit = apply::ended(self.report, &target, &applied.acted)?;
            fresh = applied.passwords;
            if exit != Exit::Done {
                for made in &fresh {
                    let file = made.file.display();
                    report::note(&format!("pgmoat: the password that {} may have now is in {file}", made.role));
                }
                return Ok(exit);
            }
        }
        if self.args.run.rehearse {
            setup::forget(&state, &kept);
            return Ok(Exit::Done);
        }
        kept.applied = true;
        kept.passwords = fresh.iter().map(|f| (f.role.clone(), f.file.to_string_lossy().into_owned())).collect();
        let _ = setup::keep(&state, &kept);
        let again = self.again(&mut plans).await?;
        let files = self.files(&plans)?;
        self.written(&files)?;
        let in_ = self.logins(&target, &plans, state.clone(), &fresh).await?;
        self.handed(&target, &plans, &fresh)?;
        setup::forget(&state, &kept);
        self.end(&plans, &again, in_)
    }

    /// What the plan leaves open is accepted, or refused before anything is done.
    fn left(&mut self, plans: &mut Plans) -> Result<(), Failure> {
        if plans.judged.open.is_empty() {
            return Ok(());
        }
        if plans.standing {
            return Ok(());
        }
        if !self.args.leave_rest {
            let mut ways: Vec<(String, Vec<String>)> = Vec::new();
            let words = self.opened.snapshot.target();
            for open in &plans.judged.open {
                // the configuration does not know the name yet
                let command = open.command_now(&plans.name, &words, &plans.judged.policy);
                let how = command.map_or_else(|| open.remedy.clone(), |c| format!("`{c}`"));
                let said = format!("    {}: {}", open.id, open.message);
                match ways.iter_mut().find(|(known, _)| *known == how) {
                    Some((_, list)) => list.push(said),
                    None => ways.push((how, vec![said])),
                }
            }
            let lines: Vec<String> =
                ways.into_iter().flat_map(|(how, list)| std::iter::once(format!("  {how}")).chain(list)).collect();
            let n = text::count(plans.judged.open.len() as u64, "finding", "findings");
            let cause = format!("could not settle everything: the plan leaves {n}");
            let remedy = "Settle them first, or say --leave-rest: they become exceptions of the policy that name the \
                          command to begin with. --leave CODE|ID leaves one.";
            return Err(Failure::refused(cause, remedy).with(lines));
        }
        for open in self.accept(plans) {
            let why = open.refused.unwrap_or_default();
            let words = format!("Not in the plan, and no exception: {} ({why}).", open.message.trim_end_matches('.'));
            self.report.paragraph(0, "", &words, Tone::Warning)?;
        }
        Ok(())
    }

    /// What is left becomes exceptions. What has a fix that this login cannot make stays a finding: given back.
    fn accept(&self, plans: &mut Plans) -> Vec<Open> {
        let day = answers::today();
        let open = std::mem::take(&mut plans.judged.open);
        let (refused, accepted): (Vec<Open>, Vec<Open>) = open.into_iter().partition(|open| open.refused.is_some());
        for open in accepted {
            let reason = self.args.reason.clone().unwrap_or_else(|| open.reason(&day));
            plans.draft.leave(&open.id, &reason);
        }
        plans.policy.accepted.clone_from(&plans.draft.accepted);
        refused
    }

    fn files(&self, plans: &Plans) -> Result<Vec<Writing>, Failure> {
        let entry = Entry {
            name: plans.name.clone(),
            url: self.place.url.clone(),
            environment: self.args.environment.map(Into::into),
            policy: None,
        };
        let text = if plans.standing {
            std::fs::read_to_string(&plans.policy_path)
                .map_err(|e| Failure::file("read", &plans.policy_path, &e, "Name another with --policy FILE."))?
        } else {
            setup::policy_text(&plans.policy, &plans.policy_path)
        };
        Ok(setup::files(&self.place.config_path, &entry, &plans.policy_path, &text, self.args.replace)?)
    }

    /// The files as they will be; of one that is there, what is added.
    fn shown(&mut self, files: &[Writing]) -> Result<(), Failure> {
        for file in files.iter().filter(|f| f.changes()) {
            self.report.blank()?;
            self.report.line().known("File ").tone(&file.path.display().to_string(), Tone::Strong).end()?;
            // What is added at the end is enough of a file that is there.
            let added = file.before.as_deref().and_then(|before| file.text.strip_prefix(before));
            for line in added.unwrap_or(&file.text).trim_start_matches('\n').lines() {
                self.report.line().known("  ").known(&text::as_written(line)).end()?;
            }
        }
        self.report.blank()?;
        self.report.flush()
    }

    fn saved(&mut self, path: &std::path::Path, plans: &Plans, files: &[Writing]) -> Outcome {
        let failed = |e: std::io::Error| Failure::file("write", path, &e, "Choose another place with --save-sql.");
        let script = crate::plan::script(&plans.judged.plan, self.opened.snapshot.latest_us());
        std::fs::write(path, script).map_err(failed)?;
        self.written(files)?;
        let words = format!("Written: {}. Nothing was changed in the database.", path.display());
        self.report.paragraph(0, "", &words, Tone::Good)?;
        self.report.flush()?;
        Ok(Exit::Done)
    }

    fn keeping(&self, plans: &Plans) -> Kept {
        let dir = self.place.dir().to_string_lossy().into_owned();
        let environment = self.args.environment.map(crate::config::Environment::from);
        Kept {
            schema_version: 1,
            dir,
            step: "apply".to_owned(),
            url: self.place.url.clone(),
            environment: environment.map_or_else(String::new, |e| e.word().to_owned()),
            policy_file: plans.policy_path.to_string_lossy().into_owned(),
            draft: plans.draft.clone(),
            ..Kept::default()
        }
    }

    /// Reads and judges anew: what is found still, in so many words.
    async fn again(&mut self, plans: &mut Plans) -> Result<Vec<String>, Failure> {
        let opened = setup::open(&self.opened.target).await?;
        let lineages = Arc::clone(&plans.judged.judgement.lineages);
        let policy = Arc::new(plans.policy.clone());
        let judged = setup::judge_by(&opened.snapshot, &plans.name, policy, lineages, Vec::new()).await?;
        let found = &judged.judgement.findings;
        let found: Vec<_> = found.iter().filter(|f| f.severity > policy::Severity::Info).collect();
        if plans.standing || !self.args.leave_rest {
            return Ok(found.iter().map(|f| format!("{}: {}", f.code, f.message)).collect());
        }
        plans.judged.open = judged.open;
        let _ = self.accept(plans);
        let open: Vec<&String> = plans.policy.accepted.iter().map(|a| &a.finding).collect();
        Ok(found.iter().filter(|f| !open.contains(&&f.id)).map(|f| format!("{}: {}", f.code, f.message)).collect())
    }

    fn written(&mut self, files: &[Writing]) -> Result<(), Failure> {
        setup::write(files)?;
        for file in files.iter().filter(|f| f.changes()) {
            let path = file.path.display().to_string();
            self.report.line().tone("Written: ", Tone::Good).tone(&path, Tone::Strong).end()?;
        }
        Ok(())
    }

    /// A login as every service's role; false when one with a new password does not get in.
    async fn logins(
        &mut self,
        target: &Target,
        plans: &Plans,
        state: PathBuf,
        fresh: &[Fresh],
    ) -> Result<bool, Failure> {
        let known: std::collections::BTreeMap<String, SecretString> = self.place.passwords();
        let tries = Tries { state: Some(state), known };
        let mut all = true;
        for test in setup::login_tests(target, &plans.policy, &tries, self.env).await {
            let role = &test.role;
            let (words, tone) = match &test.login {
                Login::In { lands, .. } => (format!("Logged in as {role}: {lands}."), Tone::Good),
                Login::Out(why) => (format!("A login as {role} fails: {why}"), Tone::Error),
                Login::Untried(why) => (format!("No login as {role} was tried: {why}."), Tone::Warning),
            };
            self.report.paragraph(0, "", &words, tone)?;
            if matches!(test.login, Login::In { asked: false, .. }) {
                self.report.paragraph(2, "", crate::run::handover::UNASKED, Tone::Warning)?;
            }
            all &= !matches!(test.login, Login::Out(_)) || !fresh.iter().any(|f| f.role == *role);
        }
        Ok(all)
    }

    /// What the people of each service with a new role need.
    fn handed(&mut self, target: &Target, plans: &Plans, fresh: &[Fresh]) -> Result<(), Failure> {
        let new = plans.policy.services.iter().filter(|s| fresh.iter().any(|f| f.role == s.role));
        let new: Vec<policy::Service> = new.cloned().collect();
        for block in setup::hand_over(target, &new, fresh, self.place.inside()) {
            self.report.blank()?;
            self.report.line().tone(&block.service, Tone::Strong).end()?;
            if let Some(file) = &block.file {
                let file = file.display().to_string();
                self.report.line().known("The URL with its password is in ").tone(&file, Tone::Strong).end()?;
            }
            self.report.blank()?;
            self.report.raw(&block.text)?;
        }
        for other in fresh.iter().filter(|f| !new.iter().any(|s| s.role == f.role)) {
            let words = format!("The URL of {} with its password is in {}.", other.role, other.file.display());
            self.report.paragraph(0, "", &words, Tone::Text)?;
        }
        Ok(())
    }

    fn end(&mut self, plans: &Plans, again: &[String], logins: bool) -> Outcome {
        self.report.blank()?;
        if !plans.policy.accepted.is_empty() {
            let n = text::count(plans.policy.accepted.len() as u64, "finding is", "findings are");
            let words = format!("{n} left: the exceptions of {} say how each is settled.", plans.policy_path.display());
            self.report.paragraph(0, "", &words, Tone::Warning)?;
        }
        for found in again {
            self.report.paragraph(0, "Still found: ", found, Tone::Warning)?;
        }
        if again.is_empty() {
            let name = &plans.name;
            let (words, tone) = match plans.policy.accepted.len() as u64 {
                0 => (format!("{name} is set up: `pgmoat check {name}` finds nothing."), Tone::Good),
                n => {
                    let n = text::count(n, "finding that is", "findings that are");
                    let words = format!("{name} is set up but for what is left: `pgmoat check {name}` lists {n} left.");
                    (words, Tone::Warning)
                }
            };
            self.report.paragraph(0, "", &words, tone)?;
        }
        if self.place.passing(&self.opened.target)
            && let Some(line) = setup::pgpass_line(&self.opened.target.conninfo)
        {
            let user = &self.opened.target.conninfo.user;
            let words = format!(
                "The next command asks for the password of {user}, unless ~/.pgpass has this line, with the password in \
                 place of PASSWORD (and nobody else may read the file: chmod 600), or the instance has a password_command:"
            );
            self.report.paragraph(0, "", &words, Tone::Text)?;
            self.report.line().known("  ").tone(&line, Tone::Strong).end()?;
        }
        self.report.flush()?;
        Ok(if again.is_empty() && logins { Exit::Done } else { Exit::Findings })
    }
}

/// A policy file, for messages as other commands write them.
fn load(path: &std::path::Path) -> Result<Policy, Failure> {
    policy::file::load(path).map_err(|e| resolve::policy_failure(&e))
}
