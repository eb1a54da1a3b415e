select n.nspname, c.relname
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where c.relname = any ($1::pg_catalog.name[])
  and (c.relkind = 'r' or c.relkind = 'p' or c.relkind = 'v' or c.relkind = 'm' or c.relkind = 'f' or c.relkind = 'S')
  and c.relpersistence <> 't'
order by n.nspname, c.relname
limit 20
