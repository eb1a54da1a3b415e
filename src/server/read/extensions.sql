select e.oid, e.extname, e.extnamespace, e.extowner, e.extversion, e.extrelocatable
from pg_catalog.pg_extension as e
