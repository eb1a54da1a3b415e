//! Who waits for whom, as a forest: blockers above those who wait for them. Knows sessions, nothing of how they are
//! shown except the branches drawn before them.

use std::collections::{HashMap, HashSet};

use crate::domain::snapshot::Session;

/// One session in the forest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Position in the sessions.
    pub session: usize,
    /// `├─ `, `│  └─ ` and so on; empty for a root.
    pub branch: String,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Forest {
    /// Trees of more than one session and those who wait, in order of drawing: the one with most waiters first.
    pub nodes: Vec<Node>,
    /// Positions of all others, in the order of the sessions.
    pub free: Vec<usize>,
}

impl Forest {
    #[must_use]
    pub fn new(sessions: &[Session]) -> Forest {
        let by_pid: HashMap<i32, usize> = sessions.iter().enumerate().map(|(i, s)| (s.pid, i)).collect();
        let mut waiters: HashMap<usize, Vec<usize>> = HashMap::new();
        let mut roots = Vec::new();
        let mut free = Vec::new();
        for (i, session) in sessions.iter().enumerate() {
            let blocker = session.blocked_by.iter().filter(|pid| **pid != session.pid).find_map(|pid| by_pid.get(pid));
            match blocker {
                Some(blocker) => waiters.entry(*blocker).or_default().push(i),
                None if session.blocked_by.is_empty() => free.push(i),
                None => roots.push(i),
            }
        }
        roots.extend(free.iter().copied().filter(|i| waiters.contains_key(i)));
        free.retain(|i| !waiters.contains_key(i));
        let mut seen = HashSet::new();
        let mut trees: Vec<Vec<Node>> = roots.iter().map(|root| grow(*root, &waiters, &mut seen)).collect();
        // a circle has no root: begin anywhere, the server will break it
        for i in 0..sessions.len() {
            if sessions.get(i).is_some_and(|s| !s.blocked_by.is_empty()) && !seen.contains(&i) {
                trees.push(grow(i, &waiters, &mut seen));
            }
        }
        trees.sort_by_key(|tree| std::cmp::Reverse(tree.len()));
        Forest { nodes: trees.into_iter().flatten().collect(), free }
    }
}

/// One tree, depth first, without recursion: a chain can be as long as there are sessions.
fn grow(root: usize, waiters: &HashMap<usize, Vec<usize>>, seen: &mut HashSet<usize>) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut stack = vec![(root, String::new(), String::new())];
    while let Some((session, branch, below)) = stack.pop() {
        if !seen.insert(session) {
            continue;
        }
        nodes.push(Node { session, branch });
        let children: Vec<usize> =
            waiters.get(&session).into_iter().flatten().copied().filter(|c| !seen.contains(c)).collect();
        // beyond a depth the branches would push the number off the screen
        let below = if below.chars().count() > 12 { String::new() } else { below };
        for (i, child) in children.iter().enumerate().rev() {
            let last = i + 1 == children.len();
            let (branch, next) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            stack.push((*child, format!("{below}{branch}"), format!("{below}{next}")));
        }
    }
    nodes
}

/// What becomes of the others when a session ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// Wait for this one alone: go on at once.
    pub at_once: Vec<i32>,
    /// Wait for others too.
    pub still: Vec<i32>,
    /// Wait for one of the above, and so on.
    pub behind: Vec<i32>,
}

/// See [`Freed`].
#[must_use]
pub fn freed(sessions: &[Session], pid: i32) -> Freed {
    let mut freed = Freed::default();
    let mut queue: HashSet<i32> = HashSet::new();
    for session in sessions.iter().filter(|s| s.pid != pid && s.blocked_by.contains(&pid)) {
        queue.insert(session.pid);
        if session.blocked_by.iter().all(|b| *b == pid || *b == session.pid) {
            freed.at_once.push(session.pid);
        } else {
            freed.still.push(session.pid);
        }
    }
    loop {
        let more: Vec<i32> = sessions
            .iter()
            .filter(|s| s.pid != pid && !queue.contains(&s.pid) && s.blocked_by.iter().any(|b| queue.contains(b)))
            .map(|s| s.pid)
            .collect();
        if more.is_empty() {
            return freed;
        }
        queue.extend(&more);
        freed.behind.extend(more);
    }
}

/// Who stands at the front of the queue that a session waits in: everybody up the chain who waits for nobody, those too
/// that are not seen (0 is a prepared transaction). Empty where they wait for each other in a circle.
#[must_use]
pub fn front(sessions: &[Session], pid: i32) -> Vec<i32> {
    let by_pid: HashMap<i32, &Session> = sessions.iter().map(|s| (s.pid, s)).collect();
    let mut front = Vec::new();
    let mut seen = HashSet::from([pid]);
    let mut stack = vec![pid];
    while let Some(at) = stack.pop() {
        let ahead = by_pid.get(&at).map_or(&[][..], |s| s.blocked_by.as_slice());
        if ahead.is_empty() && at != pid {
            front.push(at);
        }
        stack.extend(ahead.iter().rev().copied().filter(|by| seen.insert(*by)));
    }
    front
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(list: &[(i32, &[i32])]) -> Vec<Session> {
        list.iter().map(|(pid, by)| Session { pid: *pid, blocked_by: by.to_vec(), ..Session::default() }).collect()
    }

    fn drawn(list: &[(i32, &[i32])]) -> Vec<String> {
        let sessions = sessions(list);
        let forest = Forest::new(&sessions);
        forest.nodes.iter().map(|n| format!("{}{}", n.branch, sessions[n.session].pid)).collect()
    }

    #[test]
    fn waiters_stand_under_their_blocker() {
        assert_eq!(
            drawn(&[(1, &[]), (2, &[5]), (3, &[2]), (4, &[5]), (5, &[])]),
            ["5", "├─ 2", "│  └─ 3", "└─ 4"],
            "and one who waits for nobody is not in a tree"
        );
        assert_eq!(drawn(&[(1, &[2]), (2, &[]), (3, &[4]), (4, &[]), (5, &[4])])[0], "4", "most waiters first");
    }

    #[test]
    fn unseen_blockers_circles_and_long_chains_end() {
        assert_eq!(drawn(&[(1, &[0]), (2, &[99])]), ["1", "2"], "a prepared transaction has no session");
        assert_eq!(drawn(&[(1, &[2]), (2, &[1])]), ["1", "└─ 2"]);
        assert_eq!(drawn(&[(1, &[1])]), ["1"]);
        let chain: Vec<(i32, Vec<i32>)> = (1..3000).map(|i| (i, if i == 1 { vec![] } else { vec![i - 1] })).collect();
        let chain: Vec<(i32, &[i32])> = chain.iter().map(|(pid, by)| (*pid, by.as_slice())).collect();
        let lines = drawn(&chain);
        assert_eq!(lines.len(), 2999);
        assert!(lines.iter().all(|l| l.chars().count() < 24));
    }

    #[test]
    fn the_front_is_whoever_waits_for_nobody() {
        let queue = sessions(&[(1, &[]), (2, &[1]), (3, &[2]), (4, &[3, 9]), (5, &[0]), (6, &[7]), (7, &[6])]);
        for (pid, ahead) in [(1, vec![]), (2, vec![1]), (3, vec![1]), (4, vec![1, 9]), (5, vec![0]), (6, vec![])] {
            assert_eq!(front(&queue, pid), ahead, "{pid}");
        }
    }

    #[test]
    fn ending_one_frees_those_who_wait_for_it_alone() {
        let sessions = sessions(&[(1, &[]), (2, &[1]), (3, &[1, 9]), (4, &[2]), (5, &[4]), (6, &[])]);
        let freed = freed(&sessions, 1);
        assert_eq!(freed, Freed { at_once: vec![2], still: vec![3], behind: vec![4, 5] });
    }
}
