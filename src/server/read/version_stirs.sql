(
    c.relkind <> 'r' or c.relrowsecurity or c.relchecks > 0
    or c.relhastriggers and (select pg_catalog.count(*) > 0 from pg_catalog.pg_trigger as t where t.tgrelid = c.oid)
    or c.relhasrules and (select pg_catalog.count(*) > 0 from pg_catalog.pg_rewrite as r where r.ev_class = c.oid)
    or c.relhassubclass and (select pg_catalog.count(*) > 0 from pg_catalog.pg_inherits as i where i.inhparent = c.oid)
    or c.relhasindex and (
      select pg_catalog.count(*) > 0
      from pg_catalog.pg_index as i
      where i.indrelid = c.oid and (i.indexprs is not null or i.indpred is not null or i.indisexclusion)
    )
  )
