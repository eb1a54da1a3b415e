select
  pg_catalog.clock_timestamp(),
  s.pid,
  (select d.datname from pg_catalog.pg_database as d where d.oid = s.datid),
  case when s.usesysid is not null then pg_catalog.pg_get_userbyid(s.usesysid) end,
  s.application_name,
  pg_catalog.host(s.client_addr),
  s.client_port,
  s.state,
  s.wait_event_type,
  s.wait_event,
  s.backend_start,
  s.xact_start,
  s.query_start,
  s.state_change,
  pg_catalog.substr(pg_catalog.textsend(s.query), 1, 4000),
  case when s.wait_event_type = 'Lock' then pg_catalog.pg_blocking_pids(s.pid) end,
  s.pid = pg_catalog.pg_backend_pid()
    or s.pid = any ($1)
    or pg_catalog.pg_get_userbyid(s.usesysid) = current_user
      and s.application_name = pg_catalog.current_setting('application_name')
      and s.application_name ^@ 'pgmoat'
from pg_catalog.pg_stat_get_activity(null) as s
where s.backend_type = 'client backend'
  or s.backend_type is null and s.usesysid is not null and s.datid is not null
