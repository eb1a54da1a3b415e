#!/usr/bin/env bash
# tests/mutants.sh [TRIPLES] - wrong variants of the matrix engine: the oracle must find a difference for every one.
# Works on a copy; needs servers of 15 and 18 (tests find them as the demo does). About 15 minutes on 2 cores.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
triples=${1:-60000}
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r "$top/Cargo.toml" "$top/Cargo.lock" "$top/src" "$top/tests" "$top/examples" "$top/themes" "$top/benches" "$top"/*.toml "$copy/"
export CARGO_TARGET_DIR=${MUTANTS_TARGET_DIR:-$copy/target}
cd "$copy"
bad=0 caught=0
mutant() { # MAJOR FILE OLD NEW
  cp "$top/$2" "$copy/$2"
  python3 - "$copy/$2" "$3" "$4" <<'PY'
import sys
path, old, new = sys.argv[1:]
text = open(path).read()
assert old in text, 'not in the source: ' + old
open(path, 'w').write(text.replace(old, new, 1))
PY
  touch "$copy/$2"
  cargo build --quiet --example oracle --bin pgmoat 2>/dev/null || { echo "DOES NOT BUILD  $3"; bad=1; cp "$top/$2" "$copy/$2"; return; }
  if "$CARGO_TARGET_DIR/debug/examples/oracle" "$triples" "$1" >/dev/null 2>&1; then echo "MISSED  $3  ->  $4"; bad=1; else echo "caught  $3  ->  $4"; caught=$((caught + 1)); fi
  cp "$top/$2" "$copy/$2"
}
E=src/domain/effective.rs C=src/domain/closure.rs P=src/domain/privilege.rs R=src/server/read/memberships_14.sql
mutant 15 $R 'r.rolinherit' 'true'                                                                 # NOINHERIT
mutant 15 $E '(entry.is_public()' '(false'                                                         # PUBLIC
mutant 15 $E 'counts.add(group.count, held);' 'counts.add(1, held);'                               # all against some
mutant 15 $P 'AclEntry { grantee: owner, grantor: owner, privileges: all, grantable: all }' 'AclEntry { grantee: owner, grantor: owner, privileges: Privileges::NONE, grantable: all }' # NULL ACL
mutant 15 $C 'list.push(Edge { role, inherit, set: true, admin: false, implicit: true });' 'let _ = (list, inherit);' # pg_database_owner
mutant 15 $E 'held = held | Privileges::of(&[Privilege::Insert, Privilege::Update, Privilege::Delete]);' '' # pg_write_all_data, tables
mutant 15 $E 'self.inherits(role, self.read_all) || self.inherits(role, self.write_all)' 'self.inherits(role, self.read_all)' # its USAGE
mutant 15 $E 'held.insert(Privilege::Select);' ''                                                  # pg_read_all_data
mutant 15 $E 'if catalog.roles.get(role).is_some_and(|r| r.superuser) {' 'if false {'              # superuser
mutant 15 src/domain/snapshot.rs 'Kind::Table | Kind::Partitioned | Kind::View | Kind::MaterializedView | Kind::Foreign => ObjectKind::Table,' 'Kind::Table | Kind::Partitioned | Kind::MaterializedView | Kind::Foreign => ObjectKind::Table, Kind::View => ObjectKind::Type,' # views
mutant 15 src/domain/snapshot.rs 'Kind::Sequence => ObjectKind::Sequence,' 'Kind::Sequence => ObjectKind::Table,' # sequences are not tables
mutant 15 src/domain/snapshot.rs 'Kind::MaterializedView | Kind::Foreign => ObjectKind::Table,' 'Kind::MaterializedView => ObjectKind::Table, Kind::Foreign => ObjectKind::Type,' # foreign tables
mutant 18 src/server/read/memberships_16.sql 'm.inherit_option' 'true'                             # INHERIT FALSE of one grant
mutant 18 $E 'held.insert(Privilege::Maintain);' ''                                                # pg_maintain
mutant 15 $P 'Some(entries) => InForce::Listed(entries),' 'Some(entries) => { let all = kind.all(version_num); if entries.is_empty() { return InForce::Default([AclEntry { grantee: owner, grantor: owner, privileges: all, grantable: all }; 2]); } InForce::Listed(entries) }' # a revoked owner
echo "$caught caught"
exit $bad
