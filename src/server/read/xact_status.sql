select
  pg_catalog.pg_xact_status((($1)[1])::pg_catalog.xid8),
  (
    select a.wait_event
    from pg_catalog.pg_stat_activity as a
    where a.pid = (($1)[2])::pg_catalog.int4
      and (extract(epoch from a.backend_start) * 1000000)::pg_catalog.int8 = (($1)[3])::pg_catalog.int8
  )
