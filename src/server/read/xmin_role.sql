select r.xmin::pg_catalog.text from pg_catalog.pg_authid as r where r.rolname = ($1)[2]
