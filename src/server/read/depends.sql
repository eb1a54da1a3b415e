with
  parts as materialized (
    select
      'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid as classid, c.oid as objid,
      case c.relkind when 'c' then 't' else 'r' end as class,
      case c.relkind when 'c' then c.reltype when 'i' then i.indrelid when 'I' then i.indrelid else c.oid end as thing,
      'i' as through
    from pg_catalog.pg_class as c
    left join pg_catalog.pg_index as i on i.indexrelid = c.oid
    where c.oid >= 16384 and c.relkind <> 't' and c.relpersistence <> 't'
    union all
    select 'pg_catalog.pg_attrdef'::pg_catalog.regclass, a.oid, 'r', a.adrelid, 'd'
    from pg_catalog.pg_attrdef as a
    union all
    select 'pg_catalog.pg_rewrite'::pg_catalog.regclass, r.oid, 'r', r.ev_class, 'q'
    from pg_catalog.pg_rewrite as r
    where r.oid >= 16384
    union all
    select 'pg_catalog.pg_trigger'::pg_catalog.regclass, t.oid, 'r', t.tgrelid, 't'
    from pg_catalog.pg_trigger as t
    where not t.tgisinternal
    union all
    select
      'pg_catalog.pg_constraint'::pg_catalog.regclass, o.oid,
      case o.conrelid when 0 then 't' else 'r' end,
      case o.conrelid when 0 then o.contypid else o.conrelid end,
      case o.contype when 'f' then 'f' else 'c' end
    from pg_catalog.pg_constraint as o
    where o.oid >= 16384
    union all
    select 'pg_catalog.pg_policy'::pg_catalog.regclass, p.oid, 'r', p.polrelid, 'p'
    from pg_catalog.pg_policy as p
    union all
    select 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, 'p', p.oid, 'i'
    from pg_catalog.pg_proc as p
    where p.oid >= 16384
    union all
    select
      'pg_catalog.pg_type'::pg_catalog.regclass, t.oid,
      case when c.oid is not null or ec.oid is not null then 'r' else 't' end,
      case
        when c.oid is not null then c.oid
        when t.typelem <> 0 and t.typcategory = 'A' then coalesce(ec.oid, eg.rngtypid, t.typelem)
        when t.typtype = 'm' then g.rngtypid
        else t.oid
      end,
      'i'
    from pg_catalog.pg_type as t
    left join pg_catalog.pg_class as c on c.oid = t.typrelid and c.relkind <> 'c'
    left join pg_catalog.pg_range as g on g.rngmultitypid = t.oid
    left join pg_catalog.pg_type as e on e.oid = t.typelem and t.typcategory = 'A'
    left join pg_catalog.pg_class as ec on ec.oid = e.typrelid and ec.relkind <> 'c'
    left join pg_catalog.pg_range as eg on eg.rngmultitypid = e.oid
    where t.oid >= 16384
  ),
  things as materialized (
    select 'r' as class, c.oid, c.relnamespace as namespace, c.relname::pg_catalog.text as name
    from pg_catalog.pg_class as c
    where c.oid >= 16384 and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    union all
    select
      'p', p.oid, p.pronamespace,
      pg_catalog.quote_ident(p.proname) || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')'
    from pg_catalog.pg_proc as p
    where p.oid >= 16384
    union all
    select 't', t.oid, t.typnamespace, t.typname::pg_catalog.text
    from pg_catalog.pg_type as t
    where t.oid >= 16384
  )
select distinct
  u.class::pg_catalog.text, u.oid, u.namespace, u.name,
  case when a.through = 'i' and a.class = 'r' and b.class = 'r' and d.deptype = 'a' then 'h' else a.through end,
  r.class::pg_catalog.text, coalesce(r.oid, 0), coalesce(r.namespace, 0), r.name,
  x.extname::pg_catalog.text
from pg_catalog.pg_depend as d
join parts as a on a.classid = d.classid and a.objid = d.objid
join things as u on u.class = a.class and u.oid = a.thing
left join parts as b on b.classid = d.refclassid and b.objid = d.refobjid
left join things as r on r.class = b.class and r.oid = b.thing
left join pg_catalog.pg_depend as m
  on m.classid = d.refclassid and m.objid = d.refobjid and m.deptype = 'e'
  and m.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
left join pg_catalog.pg_extension as x on x.oid = m.refobjid
where (d.deptype = 'n' or d.deptype = 'a' or d.deptype = 'i')
  and (u.namespace = any ($1) or r.namespace = any ($1))
  and (r.oid is not null or x.oid is not null)
  and (r.oid is null or r.oid <> u.oid or r.class <> u.class)
