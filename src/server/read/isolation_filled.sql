select pg_catalog.pg_relation_size(c.oid) > 0 or c.relkind = 'p'
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where n.nspname = $1[1] and c.relname = $1[2]
