select
  pg_catalog.pg_is_in_recovery(),
  pg_catalog.pg_current_snapshot()::pg_catalog.text,
  pg_catalog.current_setting('server_version_num')::pg_catalog.int4,
  pg_catalog.current_setting('server_version'),
  current_user,
  (select r.rolsuper from pg_catalog.pg_roles as r where r.rolname = current_user),
  pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'usage'),
  pg_catalog.clock_timestamp(),
  pg_catalog.pg_postmaster_start_time(),
  case
    when pg_catalog.pg_is_in_recovery() then
      case
        when pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn() then 0
        else (extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()) * 1000)
             ::pg_catalog.int8
      end
  end,
  pg_catalog.current_setting('max_connections')::pg_catalog.int4,
  pg_catalog.current_setting('superuser_reserved_connections')::pg_catalog.int4
    + coalesce(pg_catalog.current_setting('reserved_connections', true)::pg_catalog.int4, 0),
  pg_catalog.current_setting('server_encoding')
