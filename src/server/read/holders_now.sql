select
  a.pid, a.usename, a.application_name, a.state,
  (extract(epoch from pg_catalog.clock_timestamp() - a.xact_start) * 1000)::pg_catalog.int8,
  (extract(epoch from pg_catalog.clock_timestamp() - a.query_start) * 1000)::pg_catalog.int8,
  pg_catalog.left(a.query, 200),
  pg_catalog.min(r.name), pg_catalog.count(distinct r.name),
  pg_catalog.bool_or(l.mode not in ('AccessShareLock', 'RowShareLock'))
from pg_catalog.unnest($1) as r (name)
join pg_catalog.pg_locks as l
  on l.relation = pg_catalog.to_regclass(r.name) and l.locktype = 'relation' and l.granted
join pg_catalog.pg_stat_activity as a on a.pid = l.pid
where a.pid <> pg_catalog.pg_backend_pid()
  and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
group by a.pid, a.usename, a.application_name, a.state, a.xact_start, a.query_start, a.query
order by a.xact_start nulls last, a.pid
