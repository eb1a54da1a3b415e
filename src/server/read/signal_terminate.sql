select pg_catalog.pg_terminate_backend(s.pid)
from pg_catalog.pg_stat_activity as s
where s.pid = (($1)[1])::pg_catalog.int4
  and (extract(epoch from s.backend_start) * 1000000)::pg_catalog.int8 = (($1)[2])::pg_catalog.int8
  and s.backend_type = 'client backend'
  and s.pid <> pg_catalog.pg_backend_pid()
  and s.wait_event is distinct from 'SyncRep'
