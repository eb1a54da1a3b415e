select
  s.pid,
  s.backend_type,
  s.backend_start,
  s.query_start,
  s.state,
  s.wait_event,
  case
    when s.backend_start is null then (
      select l.virtualtransaction from pg_catalog.pg_lock_status() as l
      where l.pid = s.pid and l.granted and l.locktype = 'virtualxid' and l.virtualxid = l.virtualtransaction
      limit 1
    )
  end,
  pg_catalog.current_setting('synchronous_standby_names') <> ''
from pg_catalog.pg_stat_activity as s
where s.pid = any ($1)
