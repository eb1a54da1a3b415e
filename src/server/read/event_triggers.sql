select
  t.evtname, t.evtowner, n.nspname::pg_catalog.text || '.' || p.proname::pg_catalog.text,
  coalesce(t.evttags, '{}')
from pg_catalog.pg_event_trigger as t
join pg_catalog.pg_proc as p on p.oid = t.evtfoid
join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
where (t.evtenabled = 'O' or t.evtenabled = 'A')
  and t.evtevent in ('ddl_command_start', 'ddl_command_end', 'sql_drop', 'table_rewrite')
