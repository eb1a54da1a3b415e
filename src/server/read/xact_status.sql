select
  pg_catalog.pg_xact_status((($1)[1])::pg_catalog.xid8),
  (
    select a.wait_event
    from pg_catalog.pg_stat_activity as a
    where a.pid = (($1)[2])::pg_catalog.int4
      and a.backend_start = pg_catalog.to_timestamp(0) + (($1)[3] || ' microseconds')::pg_catalog.interval
  )
