select
  c.relnamespace, c.relkind,
  pg_catalog.count(*),
  pg_catalog.sum(c.relpages::pg_catalog.int8)::pg_catalog.int8,
  pg_catalog.sum(case when c.relkind = 'i' then 0 else greatest(c.reltuples, 0) end)::pg_catalog.int8
from pg_catalog.pg_class as c
where c.relkind = 'r' or c.relkind = 'm' or c.relkind = 'i' or c.relkind = 'p'
group by c.relnamespace, c.relkind
