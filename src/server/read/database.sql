select d.oid, d.datname, d.datdba, d.datconnlimit, d.datacl is null, x.codes, x.grantors
from pg_catalog.pg_database as d
cross join lateral @acl(d.datacl, d.datdba) as x
where d.datname = pg_catalog.current_database()
