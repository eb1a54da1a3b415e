select m.roleid, m.member, m.grantor, r.rolinherit, true, m.admin_option
from pg_catalog.pg_auth_members as m
join pg_catalog.pg_roles as r on r.oid = m.member
