select
  d.defaclrole, d.defaclnamespace, d.defaclobjtype,
  d.defaclacl is null, x.codes, x.grantors
from pg_catalog.pg_default_acl as d
cross join lateral @acl(d.defaclacl, d.defaclrole) as x
