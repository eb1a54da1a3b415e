select
  pg_catalog.pg_is_in_recovery(),
  null::pg_catalog.text,
  null::pg_catalog.timestamptz,
  null::pg_catalog.timestamptz,
  pg_catalog.pg_backend_pid(),
  null::pg_catalog.timestamptz,
  pg_catalog.current_database()
