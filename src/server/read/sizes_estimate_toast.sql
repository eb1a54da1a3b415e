select t.relnamespace, pg_catalog.sum(c.relpages::pg_catalog.int8)::pg_catalog.int8
from pg_catalog.pg_class as c
join pg_catalog.pg_class as t on t.reltoastrelid = c.oid
where c.relkind = 't' and c.relpages > 0
group by t.relnamespace
