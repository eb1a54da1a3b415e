select e.relation, e.name, e.attname, e.expression
from (
  select
    c.oid as relation, c.relname as name, a.attname, n.nspname,
    case
      when pg_catalog.strpos(d.adbin::pg_catalog.text, ':consttype 25 ') > 0
        and (
          pg_catalog.strpos(d.adbin::pg_catalog.text, 'resulttype 2205 ') > 0
          or pg_catalog.strpos(d.adbin::pg_catalog.text, n.spelled) > 0
        )
      then pg_catalog.pg_get_expr(d.adbin, d.adrelid)
    end as expression
  from (
    select
      s.oid, s.nspname,
      ' ' || (
        select pg_catalog.string_agg((case when b.byte > 127 then b.byte - 256 else b.byte end)::pg_catalog.text, ' ' order by b.at)
        from (
          select i.at, pg_catalog.get_byte(w.name, i.at) as byte
          from (select pg_catalog.convert_to(s.nspname::pg_catalog.text, pg_catalog.getdatabaseencoding()) as name) as w,
            pg_catalog.generate_series(0, pg_catalog.length(w.name) - 1) as i (at)
        ) as b
      ) || ' ' as spelled
    from pg_catalog.pg_namespace as s
    where s.oid = any ($1)
  ) as n
  join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relkind in ('r', 'p', 'f')
  join pg_catalog.pg_attrdef as d on d.adrelid = c.oid
  join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum = d.adnum
) as e
where pg_catalog.strpos(e.expression, '::text') > 0
  and (
    pg_catalog.strpos(e.expression, 'regclass') > 0
    or pg_catalog.strpos(e.expression, e.nspname::pg_catalog.text) > 0
  )
order by e.relation, e.attname
