select
  t.tgrelid, c.relnamespace, c.relname, t.tgname, p.pronamespace, t.tgtype, t.tgenabled, t.tgargs
from pg_catalog.pg_proc as p
join pg_catalog.pg_depend as d
  on d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    and d.refobjid = p.oid
    and d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass
join pg_catalog.pg_trigger as t on t.oid = d.objid
join pg_catalog.pg_class as c on c.oid = t.tgrelid
where p.proname = 'log_write_from_elsewhere' and p.pronargs = 0 and not t.tgisinternal
