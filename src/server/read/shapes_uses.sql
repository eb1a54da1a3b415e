with
  members as materialized (
    select d.classid, d.objid
    from pg_catalog.pg_depend as d
    where d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
      and d.refobjid in (select e.oid from pg_catalog.pg_extension as e)
      and d.deptype = 'e'
  ),
  free_sequences as materialized (
    select c.oid, c.relname, c.relnamespace, c.relowner
    from pg_catalog.pg_class as c
    where c.relkind = 'S' and c.oid >= 16384 and c.relpersistence <> 't'
      and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
          and d.objid = c.oid
          and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
          and (d.deptype = 'a' or d.deptype = 'i')
      )
  ),
  candidates as materialized (
    select
      'T'::pg_catalog."char" as kind, 'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid as class, t.oid, a.used,
      t.typname::pg_catalog.text as name, t.typnamespace as namespace, t.typowner as owner
    from pg_catalog.pg_type as t
    cross join lateral (values (t.oid), (t.typarray)) as a (used)
    where t.oid >= 16384
      and (t.typtype = 'e' or t.typtype = 'd' or t.typtype = 'r')
      and a.used <> 0
    union all
    select
      'T', 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid, a.used, t.typname, t.typnamespace, t.typowner
    from pg_catalog.pg_class as c
    join pg_catalog.pg_type as t on t.oid = c.reltype
    cross join lateral (values (t.oid), (t.typarray)) as a (used)
    where c.relkind = 'c' and c.oid >= 16384
    union all
    select 'S', 'pg_catalog.pg_class'::pg_catalog.regclass, s.oid, s.oid, s.relname, s.relnamespace, s.relowner
    from free_sequences as s
    union all
    select
      p.prokind, 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, p.oid,
      pg_catalog.quote_ident(p.proname) || '(' || pg_catalog.oidvectortypes(p.proargtypes) || ')',
      p.pronamespace, p.proowner
    from pg_catalog.pg_proc as p
    where p.oid >= 16384
  )
select
  k.kind, k.namespace, k.name, k.owner,
  pg_catalog.array_agg(distinct u.namespace),
  pg_catalog.min(u.word || ' ' || pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(u.name))
from candidates as k
join pg_catalog.pg_depend as d
  on d.refclassid = k.class and d.refobjid = k.used and (d.deptype = 'n' or d.deptype = 'a')
cross join lateral (
  select
    c.relnamespace as namespace,
    case c.relkind
      when 'v' then 'view' when 'm' then 'materialized view' when 'f' then 'foreign table'
      when 'i' then 'index' when 'I' then 'index' when 'c' then 'type' when 'S' then 'sequence' else 'table'
    end as word,
    c.relname as name
  from pg_catalog.pg_class as c
  where c.oid = case
      when d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass then d.objid
      when d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
        then (select a.adrelid from pg_catalog.pg_attrdef as a where a.oid = d.objid)
      when d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass
        then (select t.tgrelid from pg_catalog.pg_trigger as t where t.oid = d.objid)
      when d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
        then (select r.ev_class from pg_catalog.pg_rewrite as r where r.oid = d.objid)
      when d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass
        then (select p.polrelid from pg_catalog.pg_policy as p where p.oid = d.objid)
      when d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass
        then (select o.conrelid from pg_catalog.pg_constraint as o where o.oid = d.objid)
    end
  union all
  select p.pronamespace, 'function', p.proname
  from pg_catalog.pg_proc as p
  where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and p.oid = d.objid
  union all
  select t.typnamespace, 'type', t.typname
  from pg_catalog.pg_type as t
  where d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and t.oid = d.objid
) as u
join pg_catalog.pg_namespace as n on n.oid = u.namespace
where (k.class, k.oid) not in (select m.classid, m.objid from members as m)
group by k.kind, k.class, k.oid, k.namespace, k.name, k.owner
having not pg_catalog.bool_or(u.namespace = k.namespace)
