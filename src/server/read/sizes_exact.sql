select
  c.oid,
  pg_catalog.pg_total_relation_size(c.oid),
  pg_catalog.pg_indexes_size(c.oid),
  pg_catalog.pg_total_relation_size(nullif(c.reltoastrelid, 0))
from pg_catalog.pg_class as c
where c.oid = any ($1)
  and c.oid <> all (
    array(
      select l.relation from pg_catalog.pg_locks as l
      where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock'
    )
  )
