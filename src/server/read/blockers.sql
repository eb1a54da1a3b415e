select a.pid, a.usename, a.application_name, a.state,
  (extract(epoch from pg_catalog.clock_timestamp() - a.xact_start) * 1000)::pg_catalog.int8,
  (extract(epoch from pg_catalog.clock_timestamp() - a.query_start) * 1000)::pg_catalog.int8,
  pg_catalog.left(a.query, 200)
from pg_catalog.pg_stat_activity as a
where a.pid = any (pg_catalog.pg_blocking_pids(($1)[1]))
