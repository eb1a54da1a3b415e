select
  c.oid,
  (select n.nspname from pg_catalog.pg_namespace as n where n.oid = c.relnamespace),
  c.relname, c.relkind, c.relpersistence, c.relrowsecurity, c.relispartition,
  exists (select from pg_catalog.pg_inherits as i where i.inhrelid = c.oid)
    or c.relhassubclass and exists (select from pg_catalog.pg_inherits as i where i.inhparent = c.oid),
  coalesce(pg_catalog.pg_relation_size(c.oid), 0)
    + coalesce(pg_catalog.pg_relation_size(nullif(c.reltoastrelid, 0)), 0),
  (
    select pg_catalog.count(*) = 1 and pg_catalog.bool_and(a.attname = 'version_num')
    from pg_catalog.pg_attribute as a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  )
from pg_catalog.pg_class as c
where c.oid = any ($1)
