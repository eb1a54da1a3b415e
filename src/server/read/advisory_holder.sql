select a.pid, a.usename, a.application_name, a.state,
  (extract(epoch from pg_catalog.clock_timestamp() - a.xact_start) * 1000)::pg_catalog.int8,
  (extract(epoch from pg_catalog.clock_timestamp() - a.query_start) * 1000)::pg_catalog.int8,
  pg_catalog.left(a.query, 200)
from pg_catalog.pg_locks as l
join pg_catalog.pg_stat_activity as a on a.pid = l.pid
where l.locktype = 'advisory' and l.classid = 1885826415 and l.objid = 1 and l.objsubid = 2 and l.granted
  and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
  and a.pid <> pg_catalog.pg_backend_pid()
