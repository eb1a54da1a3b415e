select e.relation, e.name, e.attname, e.expression
from (
  select
    c.oid as relation, c.relname as name, a.attname, n.nspname,
    pg_catalog.pg_get_expr(d.adbin, d.adrelid) as expression
  from pg_catalog.pg_class as c
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  join pg_catalog.pg_attrdef as d on d.adrelid = c.oid
  join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum = d.adnum
  where c.relnamespace = any ($1) and c.relkind in ('r', 'p', 'f')
) as e
where pg_catalog.strpos(e.expression, '::text') > 0
  and (
    pg_catalog.strpos(e.expression, 'regclass') > 0
    or pg_catalog.strpos(e.expression, e.nspname::pg_catalog.text) > 0
  )
order by e.relation, e.attname
