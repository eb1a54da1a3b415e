-- Schemas with their owners, who may connect, where each role looks, and the default privileges; they stand before the
-- first table, so that every table is born with the access that the policy declares.
revoke connect on database engarde from public;
grant connect on database engarde to engarde_user, langflow_app, madansara_user, sankore_user, onside_user,
  capilytics_user, analytics_readonly, audit_user, monitor_user, compliance_reader, deploy_bot;

alter schema public owner to engarde_user;
revoke all on schema public from public;
create schema langflow authorization langflow_app;
create schema madansara authorization madansara_user;
create schema sankore authorization sankore_user;
create schema onside authorization onside_user;
create schema capilytics authorization capilytics_user;
create schema audit;
create schema scheduler;
create schema extensions;

alter role engarde_user in database engarde set search_path = public;
alter role langflow_app in database engarde set search_path = langflow;
alter role madansara_user in database engarde set search_path = madansara;
alter role sankore_user in database engarde set search_path = sankore;
alter role onside_user in database engarde set search_path = onside;
alter role capilytics_user in database engarde set search_path = capilytics;

-- engarde_user: reads langflow
grant usage on schema langflow to engarde_user;
alter default privileges for role langflow_app in schema langflow grant select on tables to engarde_user;

-- langflow_app: reads public
grant usage on schema public to langflow_app;
alter default privileges for role engarde_user in schema public grant select on tables to langflow_app;

-- both append to the audit trail, and read it
grant usage on schema audit to engarde_user, langflow_app;
alter default privileges in schema audit grant select, insert on tables to engarde_user, langflow_app;
alter default privileges in schema audit grant usage on sequences to engarde_user, langflow_app;

-- analytics_readonly: the three small services
grant usage on schema madansara, sankore, onside to analytics_readonly;
alter default privileges for role madansara_user in schema madansara grant select on tables to analytics_readonly;
alter default privileges for role sankore_user in schema sankore grant select on tables to analytics_readonly;
alter default privileges for role onside_user in schema onside grant select on tables to analytics_readonly;

-- audit_user: the matrix of the documents
grant usage on schema public, langflow, audit to audit_user;
alter default privileges for role engarde_user in schema public grant select on tables to audit_user;
alter default privileges for role langflow_app in schema langflow grant select on tables to audit_user;
alter default privileges in schema audit grant select on tables to audit_user;

-- the other readers of the audit trail
grant usage on schema audit to monitor_user, compliance_reader;
alter default privileges in schema audit grant select on tables to monitor_user, compliance_reader;

-- an extension where extensions belong; contrib is not part of every installation
do $$
begin
  if exists (select from pg_catalog.pg_available_extensions where name = 'pg_trgm') then
    create extension pg_trgm schema extensions;
  end if;
end $$;
