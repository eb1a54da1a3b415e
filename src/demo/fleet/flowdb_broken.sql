-- What went wrong in the second cluster; each block names its finding codes.

-- role-overprivileged: as the database's own superuser "it just worked".
alter role langflow_user superuser;
-- version-revision-unknown: a newer release ran once, and was rolled back without its database.
update public.alembic_version set version_num = '6f1c2b3a4d5e';
-- audit-schema-missing
drop schema audit cascade;
-- object-owner: restored from a dump as the administrator
alter table public.variables owner to postgres;
-- grant-missing (and what the restore forgot besides)
revoke select on public.variables from flow_reader;
-- public-privilege
grant create on schema public to public;
