select p.polrelid, p.polname, p.polpermissive, p.polcmd, p.polroles
from pg_catalog.pg_policy as p
