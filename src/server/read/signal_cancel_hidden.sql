select pg_catalog.pg_cancel_backend(s.pid)
from pg_catalog.pg_stat_activity as s
where s.pid = (($1)[1])::pg_catalog.int4
  and s.backend_start is null
  and s.usesysid is not null
  and s.datid is not null
  and s.pid <> pg_catalog.pg_backend_pid()
  and s.pid not in (select w.pid from pg_catalog.pg_stat_get_wal_senders() as w where w.pid is not null)
  and exists (
    select from pg_catalog.pg_lock_status() as l
    where l.pid = s.pid and l.granted and l.locktype = 'virtualxid'
      and l.virtualxid = ($1)[2] and l.virtualtransaction = ($1)[2]
  )
  and (
    pg_catalog.current_setting('synchronous_standby_names') = ''
    or exists (select from pg_catalog.pg_lock_status() as l where l.pid = s.pid and not l.granted)
  )
