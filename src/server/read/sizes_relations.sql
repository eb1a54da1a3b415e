select c.oid, c.relnamespace, greatest(c.reltuples, 0)::pg_catalog.int8
from pg_catalog.pg_class as c
where c.relnamespace = any ($1)
  and (c.relkind = 'r' or c.relkind = 'm')
