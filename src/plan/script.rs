//! A plan as a script for `psql`, as safe to run as the plan itself: it stops at the first error, all of it or nothing,
//! under the settings that `server::apply` works with; the way back stands at its end, commented out. Names come from the
//! server, so no text of theirs may end a comment. Passwords are no part of it.

use std::fmt::Write as _;

use super::{
    Plan, Step,
    sql::{literal, printable},
};
use crate::{domain::change::Change, text};

/// How the transaction begins: the same text that `server::apply` sends.
const BEGIN: &str = include_str!("../server/read/begin_write.sql");

/// The plan as a script; `at_us` is when its ground was read, in microseconds since 1970.
#[must_use]
pub fn script(plan: &Plan, at_us: i64) -> String {
    let target = &plan.target;
    let mut out = String::new();
    let mut say = |line: &str| {
        let _ = writeln!(out, "-- {}", text::safe(line));
    };
    say(&plan.name());
    say(&format!("instance  {}", target.instance));
    say(&format!("database  {}", target.database));
    if let Some(system) = &target.system_identifier {
        say(&format!("cluster   {system}"));
    }
    say(&format!("plan      {}", plan.plan_id));
    if let Ok(at) = jiff::Timestamp::from_second(at_us.div_euclid(1_000_000)) {
        say(&format!("read at   {at}"));
    }
    say("For psql, on this database: on another it ends at once. One transaction: all of it or nothing.");
    say("A lock that is not to be had within 0.3 s ends it, and nothing was changed: run it again.");
    say("It does not compare what is there now with what the plan was made for; `pgmoat plan` does.");
    out.push_str("\\set ON_ERROR_STOP on\n\n");
    out.push_str(&BEGIN.replace("@lock_ms", "300").replace("@statement_ms", "30000"));
    let _ = writeln!(out, "{}", printable(&right_place(&target.database, target.system_identifier.as_deref())));
    for (i, step) in plan.steps.iter().enumerate() {
        let _ = writeln!(out, "\n-- {}. {}", i + 1, text::safe(&step.title));
        if let Change::SetPassword { role } = &step.change {
            let _ = writeln!(out, "-- no part of a script; afterwards: \\password {}", text::safe(role));
            continue;
        }
        for statement in &step.sql {
            let _ = writeln!(out, "{}", printable(statement));
        }
    }
    out.push_str(
        "\ncommit;\n\n-- The way back, once it was committed: take the two hyphens from each line that follows.\n",
    );
    comment(&mut out, "\\set ON_ERROR_STOP on");
    comment(&mut out, "begin;");
    comment(&mut out, &right_place(&target.database, target.system_identifier.as_deref()));
    for step in plan.steps.iter().rev() {
        back(&mut out, step);
    }
    comment(&mut out, "commit;");
    out
}

/// A statement that fails on a database of another name, and on another cluster's where the login may ask for its identifier.
fn right_place(name: &str, cluster: Option<&str>) -> String {
    let format = format!("this is the database %, and the script was made for {}", name.replace('%', "%%"));
    let mut block = format!(
        "begin if pg_catalog.current_database() <> {} then raise exception {}, pg_catalog.current_database(); end if;",
        literal(name),
        literal(&format)
    );
    if let Some(cluster) = cluster {
        let _ = write!(
            block,
            " if pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') then \
             if (select system_identifier from pg_catalog.pg_control_system())::pg_catalog.text <> {} then \
             raise exception 'this is another cluster than the one the script was made for'; end if; end if;",
            literal(cluster)
        );
    }
    format!("do language plpgsql {};", literal(&format!("{block} end")))
}

fn back(out: &mut String, step: &Step) {
    match &step.undo {
        None => {
            let _ = writeln!(out, "-- -- nothing takes this back: {}", text::safe(&step.title));
        }
        Some(statements) => statements.iter().for_each(|statement| comment(out, statement)),
    }
}

/// Every line of a statement as a comment; psql ends one at a carriage return, too.
fn comment(out: &mut String, statement: &str) {
    for line in printable(statement).split(['\n', '\r']) {
        let _ = writeln!(out, "-- {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::change::{Grantee, On},
        domain::{Privilege, Privileges},
        plan::build,
        policy::checks::fixture::Fixture,
    };

    /// Lines that psql would run, and not take for a comment.
    fn run(script: &str) -> Vec<&str> {
        script.split(['\n', '\r']).filter(|l| !l.is_empty() && !l.starts_with("--")).collect()
    }

    #[test]
    fn it_is_one_transaction_with_its_titles_and_its_way_back() {
        let f = Fixture::new().role("app").role("reader").schema("shop", "app").table("shop", "t", "app");
        let change = Change::Grant {
            privileges: Privileges::of(&[Privilege::Select]),
            on: On::Objects { kind: crate::domain::ObjectKind::Table, schema: "shop".into(), names: vec!["t".into()] },
            to: Grantee::Role("reader".into()),
        };
        let plan = build::of_changes(&f.case().snapshot, [change]).unwrap();
        let script = script(&plan, 1_800_000_000_000_000);
        let run = run(&script);
        assert_eq!(run.first(), Some(&"\\set ON_ERROR_STOP on"));
        assert!(run[1].starts_with("begin") && run.last() == Some(&"commit;"), "{run:#?}");
        assert!(run.contains(&"set local lock_timeout = 300;") && !script.contains('@'), "{script}");
        assert!(run.contains(&"GRANT SELECT ON TABLE shop.t TO reader;"), "{run:#?}");
        let title = script.find(&format!("-- 1. {}", plan.steps[0].title)).unwrap();
        assert!(title < script.find("GRANT SELECT").unwrap(), "{script}");
        let revoke = script.find("-- REVOKE SELECT ON TABLE shop.t FROM reader;").unwrap();
        assert!(revoke > script.find("\ncommit;").unwrap(), "{script}");
        assert!(script.contains("-- read at   2027-01-15T08:00:00Z"), "{script}");
    }

    #[test]
    fn no_name_ends_a_comment() {
        let bad = "x\n\\! touch /tmp/x\r\\! touch /tmp/y\u{2028}drop table t;";
        let f = Fixture::new().role("app").role(bad).schema("shop", "app").table("shop", "t", "app");
        let change = Change::SetSchemaOwner { schema: "shop".into(), owner: bad.into() };
        let mut plan = build::of_changes(&f.case().snapshot, [change]).unwrap();
        plan.target.instance = bad.into();
        plan.target.database = bad.into();
        plan.asked = bad.into();
        let script = script(&plan, 0);
        // it stands as a name in the statement that gives it the schema, in quotes and without a line's end, and nowhere else
        let name = r#"U&"x\+00000A\\! touch /tmp/x\+00000D\\! touch /tmp/y\+002028drop table t;""#;
        assert!(script.contains(&format!("\nALTER SCHEMA shop OWNER TO {name};\n")), "{script}");
        // and the database's name in the block that compares it
        let block = printable(&right_place(bad, plan.target.system_identifier.as_deref()));
        assert!(block.starts_with("do language plpgsql E'begin") && block.ends_with("end if; end';"), "{block}");
        assert!(!block.contains(['\n', '\r', '\u{2028}']) && script.contains(&block), "{script}");
        let rest = script.replacen(name, "", 1).replacen(&block, "", 1);
        assert!(run(&rest).iter().all(|l| !l.contains("touch") && !l.contains("drop")), "{rest}");
    }
}
