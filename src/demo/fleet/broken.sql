-- What went wrong over the months. Each block names the finding codes that it shows; taken away, the fleet is as the
-- policy declares it.

-- version-table-shared, version-behind-head, version-table-empty, version-table-owner:
-- Langflow started once with public in its path, found no version table of its own there, and wrote into the backend's.
insert into public.alembic_version values ('d37bc4322900');
delete from langflow.alembic_version;
alter table langflow.alembic_version owner to postgres;

-- table-overlap, object-owner: the tables it left in public before it failed.
grant create on schema public to langflow_app;
set role langflow_app;
create table public.flow (id uuid primary key, name text not null, data jsonb);
create table public.folder (id uuid primary key, name text not null);
create table public.variables (id uuid primary key, name text not null, value text);
reset role;
revoke create on schema public from langflow_app;

-- version-table-misplaced: Sankore's stands in public, under a name of its own.
alter table sankore.alembic_version rename constraint alembic_version_pkc to alembic_version_sankore_pkc;
alter table sankore.alembic_version rename to alembic_version_sankore;
alter table sankore.alembic_version_sankore set schema public;
revoke select on public.alembic_version_sankore from analytics_readonly;

-- version-behind-head, version-table-duplicate: MadanSara is two revisions behind, and the same row stands twice.
update madansara.alembic_version set version_num = 'a5c7e9b1d3f0';
create table public.alembic_version_madansara (
  version_num varchar(32) not null, constraint alembic_version_madansara_pkc primary key (version_num)
);
insert into public.alembic_version_madansara values ('a5c7e9b1d3f0');
alter table public.alembic_version_madansara owner to engarde_user;

-- version-table-missing
drop table capilytics.alembic_version;

-- Listed, not accused: a copy by hand before an upgrade.
create table public.alembic_version_backup_20261103 as select * from public.alembic_version;
alter table public.alembic_version_backup_20261103 owner to engarde_user;

-- role-search-path, version-table-shadowed: the setting for the database silently beats the role's own.
alter role langflow_app set search_path = langflow, public;
alter role langflow_app in database engarde set search_path = public;
-- search-path-shared: "x, public", as it is often advised.
alter role madansara_user in database engarde set search_path = madansara, public;
alter role onside_user in database engarde set search_path = onside, public;
-- database-search-path: reaches everybody without a setting of their own.
alter role sankore_user in database engarde reset search_path;
alter database engarde set search_path = public, langflow;

-- grant-missing: tables that a restore brought back without their grants; a sequence right of the audit trail.
revoke select on public.campaigns, public.brands, public.budgets, public.assets, public.insights, public.reports, public.tasks
  from langflow_app;
revoke usage on all sequences in schema audit from langflow_app;
revoke select on madansara.ab_tests from analytics_readonly;
-- default-privilege-missing: tomorrow's tables of the backend will not be readable for Langflow.
alter default privileges for role engarde_user in schema public revoke select on tables from langflow_app;
-- default-privilege-excess
alter default privileges for role sankore_user in schema sankore grant select, insert, update, delete on tables to madansara_user;
-- grant-excess
grant usage, create on schema sankore to madansara_user;
grant select, insert, update, delete on sankore.ad_trends to madansara_user;
grant insert on onside.content_items to analytics_readonly;
-- grant-dead: table grants that the schema keeps from working.
revoke usage on schema sankore from analytics_readonly;
-- an owner that took its own schema away from itself
revoke usage on schema onside from onside_user;
-- public-privilege
grant usage, create on schema public to public;
grant usage on schema audit to public;
-- grant-fragile: works only through the grant to PUBLIC.
revoke usage on schema public, audit from audit_user;
-- grant-option-excess
grant select on langflow.flow to engarde_user with grant option;
-- grant-column-excess: invisible in the table's own list.
grant update (settings) on public.tenants to langflow_app;
-- database-privilege-excess, database-connect-missing
grant create on database engarde to sankore_user;
revoke connect on database engarde from audit_user;
-- undeclared-access
create role metabase login connection limit 5;
grant connect on database engarde to metabase;
grant usage on schema madansara, onside to metabase;
grant select on all tables in schema madansara, onside to metabase;
-- the exception that the policy knows
grant usage on schema public to sankore_user;
grant select on public.platform_connections to sankore_user;

-- role-missing, schema-missing, role-cannot-login, schema-unused
drop owned by compliance_reader;
drop role compliance_reader;
drop schema scheduler;
alter role capilytics_user nologin;
create schema production_backend;

-- schema-owner (and with it Langflow may not create)
alter schema langflow owner to postgres;
grant usage on schema langflow to langflow_app;
-- object-owner: made by hand as the administrator
alter table madansara.ab_tests owner to postgres;
alter sequence madansara.response_number owner to postgres;
alter type madansara.outreach_channel owner to postgres;
alter function madansara.touch() owner to postgres;
-- object-misplaced: a type, a routine and a sequence that only another schema uses
alter type onside.content_state set schema public;
alter function onside.touch_content() set schema public;
alter sequence sankore.trend_number set schema public;
-- extension-misplaced
do $$
begin
  if exists (select from pg_catalog.pg_extension where extname = 'pg_trgm') then
    alter extension pg_trgm set schema langflow;
  end if;
end $$;

-- role-overprivileged, role-bypasses-rls
alter role sankore_user bypassrls createrole;
grant pg_write_server_files to sankore_user;
alter role monitor_user createdb;
alter role deploy_bot superuser;
-- membership-excess, membership-missing
grant engarde_user to onside_user;
revoke pg_monitor from monitor_user;
-- role-connection-limit: none at all, and more than the server has
alter role onside_user connection limit -1;
alter role engarde_user connection limit 500;
-- role-password-expiry
do $$
begin
  execute format('alter role audit_user valid until %L', now() - interval '3 days');
  execute format('alter role analytics_readonly valid until %L', now() + interval '5 days');
end $$;

-- foreign-key-crossing, foreign-key-invalid
alter table madansara.outreach_campaigns
  add constraint outreach_campaigns_campaign_id_fkey foreign key (campaign_id) references public.campaigns;
alter table onside.content_items
  add constraint content_items_brand_id_fkey foreign key (brand_id) references public.brands not valid;
alter table sankore.winning_patterns drop constraint winning_patterns_trend_id_fkey;
insert into sankore.winning_patterns (trend_id, pattern) values (999999, 'left over');
alter table sankore.winning_patterns
  add constraint winning_patterns_trend_id_fkey foreign key (trend_id) references sankore.ad_trends not valid;
-- view-crossing
create view public.flow_overview as
  select f.tenant_id, f.name, count(t.id) as runs from langflow.flow f left join langflow.transaction t on t.flow_id = f.id group by 1, 2;
alter view public.flow_overview owner to engarde_user;
create view madansara.trend_overview as select platform, avg(score) as score from sankore.ad_trends group by platform;
alter view madansara.trend_overview owner to madansara_user;
-- function-definer-crossing, definer-search-path
create function sankore.import_campaigns(tenant uuid) returns bigint language plpgsql security definer as $$
begin
  return (select count(*) from public.campaigns where tenant_id = tenant);
end $$;
alter function sankore.import_campaigns(uuid) owner to engarde_user;
create function public.flow_count() returns bigint language sql security definer set search_path = langflow, pg_temp
  as $$ select count(*) from langflow.flow $$;
alter function public.flow_count() owner to langflow_app;

-- rls-missing: eight tables that came after the policies
do $$
declare tenant_table text;
begin
  foreach tenant_table in array array['public.brands', 'public.leads', 'public.invoices', 'public.contacts',
    'public.creative_assets', 'public.landing_pages', 'langflow.message', 'madansara.user_responses']
  loop
    execute format('drop policy tenant_isolation on %s', tenant_table);
    execute format('alter table %s disable row level security, no force row level security', tenant_table);
  end loop;
end $$;
-- rls-no-policy
drop policy tenant_isolation on public.audience_segments;
-- rls-policy-inert: switched off "for a moment"
alter table public.campaigns disable row level security;
-- rls-not-forced
alter table public.ai_agents no force row level security;
-- rls-policy-ignores-tenant: always true, and another setting's name
alter policy tenant_isolation on public.workflows using (true);
alter policy tenant_isolation on public.platform_connections using (tenant_id::text = current_setting('app.tenant', true));
-- rls-bypassed-by-view
create view public.spend_overview as select tenant_id, count(*) as accounts from public.ad_accounts group by tenant_id;
create materialized view public.tenant_usage as select tenant_id, count(*) as entries from public.usage_records group by tenant_id;
-- The readers of public and of madansara got these by hand.
grant select on public.alembic_version_sankore, public.alembic_version_madansara, public.alembic_version_backup_20261103,
  public.flow_overview, public.spend_overview, public.tenant_usage to langflow_app, audit_user;
grant select on madansara.trend_overview to analytics_readonly;

-- dead-tuples: half of a table rewritten, and nobody vacuums it
update sankore.ad_trends set score = score + 1 where id % 2 = 0;
update sankore.ad_trends set score = score - 1 where id % 2 = 0;
