select
  pg_catalog.clock_timestamp(),
  s.xact_commit, s.xact_rollback, s.blks_read, s.blks_hit, s.deadlocks, s.temp_bytes,
  pg_catalog.age(d.datfrozenxid)
from pg_catalog.pg_database as d
left join pg_catalog.pg_stat_database as s on s.datid = d.oid
where d.datname = pg_catalog.current_database()
