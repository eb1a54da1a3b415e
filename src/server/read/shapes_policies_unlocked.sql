select
  p.polrelid, p.polname,
  pg_catalog.pg_get_expr(p.polqual, p.polrelid),
  pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)
from pg_catalog.pg_policy as p
where p.polrelid <> all (
  array(
    select l.relation from pg_catalog.pg_locks as l
    where l.locktype = 'relation'
      and l.mode = 'AccessExclusiveLock'
      and l.pid <> pg_catalog.pg_backend_pid()
      and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
  )
)
