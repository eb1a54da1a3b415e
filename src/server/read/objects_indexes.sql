select
  c.relnamespace,
  pg_catalog.array_agg(i.indrelid) as tables,
  pg_catalog.array_agg(c.relname) as names
from pg_catalog.pg_class as c
join pg_catalog.pg_index as i on i.indexrelid = c.oid
where (c.relkind = 'i' or c.relkind = 'I')
  and @schemas(c.relnamespace)
group by c.relnamespace
