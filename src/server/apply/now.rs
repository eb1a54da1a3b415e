//! Who is in the way of a plan's locks at the moment, before anybody confirms it, and for how long they will be held.
//! Tells and decides nothing: when it runs, the locks are asked for anew, and whoever holds one then is named again.

use super::locks;
use crate::{
    config::Target,
    plan::Plan,
    server::{
        Reader,
        read::{ServerError, life::Holder},
    },
    text,
};

/// Sessions that are named; the rest is counted.
const NAMED: usize = 4;
/// A table with its indexes, sequence and TOAST table takes about so long to move, in milliseconds.
const EACH_MS: u64 = 2;

/// Sentences for a preview; none where the plan locks no table that is there. Asks on a short connection of its own.
pub async fn in_the_way(target: &Target, plan: &Plan) -> Vec<String> {
    if locks(plan).is_empty() {
        return Vec::new();
    }
    match Reader::open(&target.conninfo, &target.name).await {
        Ok(mut reader) => on(&mut reader, plan).await,
        Err(error) => vec![unknown(&error)],
    }
}

/// As [`in_the_way`], on a connection that is open.
pub async fn on(reader: &mut Reader, plan: &Plan) -> Vec<String> {
    let locks = locks(plan);
    if locks.is_empty() {
        return Vec::new();
    }
    let exclusive = locks.exclusive.clone();
    let names = exclusive.iter().chain(&locks.writers).cloned().collect();
    match reader.holders(names).await {
        Ok(mut holders) => {
            // whoever only reads is not in the way of a lock against writers
            holders.retain(|h| h.writes || exclusive.contains(&h.relation));
            sentences(&holders, locks.exclusive.len() + locks.writers.len(), plan.statements().count())
        }
        Err(error) => vec![unknown(&error)],
    }
}

fn unknown(error: &ServerError) -> String {
    format!("Who holds locks there at the moment is not known: {error}")
}

fn sentences(holders: &[Holder], tables: usize, statements: usize) -> Vec<String> {
    let what = match tables {
        1 => "the table".to_owned(),
        n => format!("the {n} tables"),
    };
    let mut all = Vec::new();
    if holders.is_empty() {
        all.push(format!("At the moment nobody holds a lock on {what} that this locks."));
    }
    for holder in holders.iter().take(NAMED) {
        let more = match holder.relations {
            0 | 1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        all.push(format!(
            "In the way at the moment: {}. It holds a lock on {}{more}: until its transaction ends this is tried again, \
             and given up in the end.",
            holder.session, holder.relation
        ));
    }
    if holders.len() > NAMED {
        let more = text::count((holders.len() - NAMED) as u64, "more session is", "more sessions are");
        all.push(format!("{more} in the way."));
    }
    let about = (statements as u64 * EACH_MS).div_ceil(10) * 10;
    all.push(format!(
        "Once taken, the locks on {what} are held to the end: for about {about} ms, by the number of statements. A \
         rehearsal measures it."
    ));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::apply::Blocker;

    fn holder(pid: i32, relations: i64) -> Holder {
        let session = Blocker {
            pid,
            user: "app".to_owned(),
            application: String::new(),
            state: "idle in transaction".to_owned(),
            transaction_ms: Some(660_000),
            query_ms: None,
            query: String::new(),
        };
        Holder { session, relation: "public.users".to_owned(), relations, writes: false }
    }

    #[test]
    fn whoever_is_in_the_way_is_named_and_the_rest_counted() {
        let said = sentences(&[], 1, 1);
        assert_eq!(said.len(), 2);
        assert!(said[0].contains("nobody holds a lock on the table"), "{said:?}");
        let six: Vec<Holder> = (1..=6).map(|pid| holder(pid, i64::from(pid))).collect();
        let said = sentences(&six, 3, 40);
        assert!(said[1].contains("pid 2 of app, idle in transaction, in a transaction for 11 m"), "{said:?}");
        assert!(said[1].contains("public.users and 1 more"), "{said:?}");
        assert_eq!(said[4], "2 more sessions are in the way.");
        assert!(said[5].contains("about 80 ms"), "{said:?}");
    }
}
