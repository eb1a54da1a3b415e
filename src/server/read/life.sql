select
  pg_catalog.pg_is_in_recovery(),
  case
    when not pg_catalog.pg_is_in_recovery()
      then pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8)
  end,
  (select a.backend_start from pg_catalog.pg_stat_activity as a where a.backend_type = 'checkpointer'),
  pg_catalog.pg_postmaster_start_time(),
  pg_catalog.pg_backend_pid(),
  (select a.backend_start from pg_catalog.pg_stat_activity as a where a.pid = pg_catalog.pg_backend_pid()),
  pg_catalog.current_database(),
  case
    when not exists (select from pg_catalog.pg_stat_activity as a where a.backend_type = 'checkpointer')
      then nullif(pg_catalog.pg_stat_get_bgwriter_stat_reset_time(), timestamptz '2000-01-01 00:00:00+00')
  end
