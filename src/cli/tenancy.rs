//! `setup-audit`, `setup-rls`: the audit trail and row level security by tenant, shown, confirmed, proven and journalled
//! like every other plan.

use super::{
    apply::{self, Confirmed},
    args::{SetupAudit, SetupRls},
    failure::{Failure, Outcome},
    halt::Halt,
    plan,
    report::Report,
    resolve::Context,
};
use crate::plan::{Refused, audit, choice::Choice, tenancy};

/// The audit trail.
///
/// # Errors
/// See [`Failure`]: nothing was changed.
pub async fn audit(report: &mut Report, context: &Context, args: &SetupAudit, halt: &Halt) -> Outcome {
    let target = context.target(args.target.as_ref())?;
    let refused =
        |why: Refused| Failure::refused(format!("could not set up the audit trail: {why}"), "Nothing was changed.");
    let wanted = audit::Wanted {
        schema: args.schema.clone(),
        owner: args.owner.clone(),
        tables: tables(&args.tables)?,
        append: args.append.clone(),
        read: args.read.clone(),
    };
    let policy = target.policy.clone();
    let schemas = |snapshot: &_| audit::schemas(snapshot, &wanted);
    let make = |snapshot: &_| audit::plan(snapshot, policy.as_deref(), &wanted).map_err(refused);
    let made = plan::from_names(&target, schemas, make).await?;
    apply::by_command(report, context, &target, made, Confirmed::by(args.run), halt).await
}

/// Row level security by tenant.
///
/// # Errors
/// See [`Failure`]: nothing was changed.
pub async fn rls(report: &mut Report, context: &Context, args: &SetupRls, halt: &Halt) -> Outcome {
    let target = context.target(args.target.as_ref())?;
    let refused =
        |why: Refused| Failure::refused(format!("could not set up row level security: {why}"), "Nothing was changed.");
    let wanted = tenancy::Wanted {
        tables: tables(&args.tables)?,
        column: args.column.clone(),
        setting: args.setting.clone(),
        force: args.force,
    };
    let policy = target.policy.clone();
    let columns: Vec<String> = args.column.iter().cloned().collect();
    let schemas = |snapshot: &_| tenancy::schemas(snapshot, &wanted.tables);
    let make = |snapshot: &std::sync::Arc<_>| tenancy::plan(snapshot, policy.as_deref(), &wanted).map_err(refused);
    let made = plan::from_columns(&target, &columns, schemas, make).await?;
    apply::by_command(report, context, &target, made, Confirmed::by(args.run), halt).await
}

fn tables(words: &[String]) -> Result<Choice, Failure> {
    Choice::parse(words).map_err(|why| {
        Failure::usage(format!("could not read --tables: {why}"), "For example --tables 'langflow.*' '!langflow.log'.")
    })
}
