select
  c.relnamespace, c.oid, a.attname,
  n.nspname, s.relname, s.relowner,
  s.relacl is null, x.codes, x.grantors
from pg_catalog.pg_depend as p
join pg_catalog.pg_class as s on s.oid = p.refobjid and s.relkind = 'S'
join pg_catalog.pg_namespace as n on n.oid = s.relnamespace
join pg_catalog.pg_attrdef as d on d.oid = p.objid
join pg_catalog.pg_class as c on c.oid = d.adrelid
join pg_catalog.pg_attribute as a on a.attrelid = d.adrelid and a.attnum = d.adnum
cross join lateral @acl(s.relacl, s.relowner) as x
where p.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
  and p.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  and @schemas(c.relnamespace)
  and not a.attisdropped
  and case
    when s.relkind = 'S' then pg_catalog.strpos(
      d.adbin::pg_catalog.text,
      ':funcid ' || ('pg_catalog.nextval(pg_catalog.regclass)'::pg_catalog.regprocedure)::pg_catalog.oid::pg_catalog.text || ' '
    )
    else 0
  end > 0
