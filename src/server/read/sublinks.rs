//! Where in a stored query (`pg_rewrite.ev_action`, as `nodeToString` writes it) a relation is named: the server checks what
//! stands in FROM and WHERE, but not a subquery of the select list whose column nobody uses, since it is left out of the plan.

use std::collections::BTreeMap;

use crate::domain::{Oid, snapshot::Named};

#[derive(Default)]
struct Node {
    query: bool,
    sublink: bool,
    /// The field that is being written is `:targetList`.
    list: bool,
    relid: Option<u32>,
}

/// The relations that are named, and the surest place of each.
pub(super) fn places(text: &str) -> BTreeMap<Oid, Named> {
    let mut found: BTreeMap<Oid, Named> = BTreeMap::new();
    let mut nodes: Vec<Node> = Vec::new();
    let (mut rest, mut blank) = (text, true);
    while let Some(c) = rest.chars().next() {
        let mut after = rest.get(c.len_utf8()..).unwrap_or_default();
        match c {
            // what a name holds of blanks and braces is written with a backslash
            '\\' => {
                let escaped = after.chars().next().map_or(0, char::len_utf8);
                after = after.get(escaped..).unwrap_or_default();
            }
            '{' => {
                let query = after.starts_with("QUERY ");
                nodes.push(Node { query, sublink: after.starts_with("SUBLINK "), ..Node::default() });
            }
            '}' => drop(nodes.pop()),
            ':' if blank => {
                let label = after.split(' ').next().unwrap_or_default();
                let value = after.get(label.len()..).unwrap_or_default().trim_start().split([' ', '}']).next();
                let number = || value.and_then(|v| v.parse::<u32>().ok());
                if let Some(node) = nodes.last_mut() {
                    node.list = node.query && label == "targetList";
                    if label == "relid" {
                        node.relid = number();
                    }
                }
                let relid = nodes.last().and_then(|node| node.relid);
                if let (Some(relid), "requiredPerms") = (relid, label)
                    && number() != Some(0)
                {
                    let place = place(&nodes);
                    found.entry(Oid(relid)).and_modify(|known| *known = place.min(*known)).or_insert(place);
                }
            }
            _ => {}
        }
        blank = c == ' ';
        rest = after;
    }
    found
}

/// Whether one of the subqueries around stands in a select list, and in which.
fn place(nodes: &[Node]) -> Named {
    let mut place = Named::Always;
    let mut queries = 0;
    let mut listed = false;
    for node in nodes {
        if node.query {
            queries += 1;
            listed = node.list;
        } else if node.sublink && listed {
            place = place.max(if queries == 1 { Named::BySelectList } else { Named::Within });
            listed = false;
        }
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subquery_of_the_select_list_is_told_from_what_is_always_read() {
        let relation =
            |oid: u32| format!("{{RTEPERMISSIONINFO :relid {oid} :inh true :requiredPerms 2 :checkAsUser 0}}");
        let query = |from: &str, quals: &str, list: &str| {
            format!(
                "{{QUERY :hasSubLinks true :rteperminfos ({from}) :jointree {{FROMEXPR :quals {quals}}} :targetList \
                 ({{TARGETENTRY :expr {list} :resname a\\ :relid\\ 9\\{{}}) :rowMarks <>}}"
            )
        };
        let sub = |query: &str| format!("{{SUBLINK :subLinkType 4 :subselect {query}}}");
        let plain = |oid: u32| query(&relation(oid), "<>", "<>");
        let inner = query(&relation(3), "<>", &sub(&plain(4)));
        let all = query(&(relation(1) + &inner), &sub(&plain(2)), &sub(&plain(5)));
        let unasked = all.replace("({RTE", "({RTE :relid 7 :requiredPerms 0} {RTE");
        let places = places(&unasked);
        let expected =
            [(1, Named::Always), (2, Named::Always), (3, Named::Always), (4, Named::Within), (5, Named::BySelectList)];
        assert_eq!(places, expected.map(|(oid, named)| (Oid(oid), named)).into());
    }
}
