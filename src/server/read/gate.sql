select
  case
    when pg_catalog.pg_is_in_recovery()
      then 'replayed ' || coalesce(pg_catalog.pg_last_wal_replay_lsn()::pg_catalog.text, 'nothing')
    else pg_catalog.pg_current_snapshot()::pg_catalog.text
  end
