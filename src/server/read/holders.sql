select a.pid, a.usename, a.application_name, a.state,
  (extract(epoch from pg_catalog.clock_timestamp() - a.xact_start) * 1000)::pg_catalog.int8,
  (extract(epoch from pg_catalog.clock_timestamp() - a.query_start) * 1000)::pg_catalog.int8,
  pg_catalog.left(a.query, 200)
from pg_catalog.pg_stat_activity as a
where a.pid <> pg_catalog.pg_backend_pid()
  and exists (
    select
    from pg_catalog.pg_locks as l
    where l.pid = a.pid and l.granted and l.locktype = 'relation' and l.relation = any ($1)
      and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
  )
