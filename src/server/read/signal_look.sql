select
  s.pid,
  s.backend_type,
  s.backend_start,
  s.query_start,
  s.state,
  s.wait_event
from pg_catalog.pg_stat_activity as s
where s.pid = any ($1)
