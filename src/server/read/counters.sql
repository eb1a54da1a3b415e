select
  pg_catalog.clock_timestamp(),
  pg_catalog.pg_stat_get_db_xact_commit(d.oid),
  pg_catalog.pg_stat_get_db_xact_rollback(d.oid),
  pg_catalog.pg_stat_get_db_blocks_fetched(d.oid) - pg_catalog.pg_stat_get_db_blocks_hit(d.oid),
  pg_catalog.pg_stat_get_db_blocks_hit(d.oid),
  pg_catalog.pg_stat_get_db_deadlocks(d.oid),
  pg_catalog.pg_stat_get_db_temp_bytes(d.oid),
  pg_catalog.age(d.datfrozenxid),
  pg_catalog.pg_is_in_recovery(),
  case
    when pg_catalog.pg_is_in_recovery() then
      case
        when pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn() then 0
        else (extract(epoch from pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()) * 1000)
             ::pg_catalog.int8
      end
  end,
  (
    select pg_catalog.sum(
      pg_catalog.pg_stat_get_tuples_inserted(t.oid) + pg_catalog.pg_stat_get_tuples_updated(t.oid)
      + pg_catalog.pg_stat_get_tuples_deleted(t.oid)
    )::pg_catalog.int8
    from pg_catalog.unnest(
      array[
        'pg_catalog.pg_class', 'pg_catalog.pg_namespace', 'pg_catalog.pg_authid', 'pg_catalog.pg_auth_members',
        'pg_catalog.pg_default_acl', 'pg_catalog.pg_policy', 'pg_catalog.pg_proc', 'pg_catalog.pg_type',
        'pg_catalog.pg_db_role_setting', 'pg_catalog.pg_database', 'pg_catalog.pg_extension'
      ]::pg_catalog.regclass[]::pg_catalog.oid[]
    ) as t (oid)
  )
from pg_catalog.pg_database as d
where d.datname = pg_catalog.current_database()
