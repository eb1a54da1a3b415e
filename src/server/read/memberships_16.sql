select m.roleid, m.member, m.grantor, m.inherit_option, m.set_option, m.admin_option
from pg_catalog.pg_auth_members as m
