select
  c.relnamespace, c.oid, c.relowner,
  c.relkind = 'r' and c.relpersistence = 'p'
    and not c.relhastriggers and not c.relhasrules and not c.relrowsecurity and not c.relispartition,
  array(
    select a.attname from pg_catalog.pg_attribute as a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    order by a.attnum
  )
from pg_catalog.pg_class as c
where c.relname = 'cross_schema_access' and c.relkind <> 'c'
