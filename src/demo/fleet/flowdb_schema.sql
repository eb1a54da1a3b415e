-- Langflow's tables in public of its own database, and the reader of its runs.
revoke connect on database "En-Garde-FlowDB" from public;
grant connect on database "En-Garde-FlowDB" to langflow_user, flow_reader;
alter schema public owner to langflow_user;
revoke all on schema public from public;
alter role langflow_user in database "En-Garde-FlowDB" set search_path = public;
grant usage on schema public to flow_reader;
alter default privileges for role langflow_user in schema public grant select on tables to flow_reader;
create schema audit;

set role langflow_user;
create table public."user" (id uuid primary key, username text not null unique, is_active boolean not null default true);
create table public.folder (id uuid primary key, name text not null, user_id uuid references public."user");
create table public.flow (
  id uuid primary key, name text not null, data jsonb not null, folder_id uuid references public.folder,
  user_id uuid references public."user", updated_at timestamptz not null default now()
);
create table public.message (
  id bigserial primary key, flow_id uuid not null, session_id text not null, sender text not null, "text" text not null,
  "timestamp" timestamptz not null default now()
);
create table public.transaction (
  id bigserial primary key, flow_id uuid not null, status text not null, inputs text, outputs text,
  "timestamp" timestamptz not null default now()
);
create table public.variables (id uuid primary key, name text not null, value text, user_id uuid references public."user");
create table public.apikey (id uuid primary key, name text not null, api_key text not null, user_id uuid references public."user");
create table public.alembic_version (
  version_num varchar(32) not null, constraint alembic_version_pkc primary key (version_num)
);
reset role;
-- The rows below are consistent: checking each foreign key once more takes seconds.
set local session_replication_role = replica;

insert into public."user" select md5('user ' || n)::uuid, 'flow-user-' || n from generate_series(1, 25) n;
insert into public.folder select md5('folder ' || n)::uuid, 'Folder ' || n, md5('user ' || 1 + n % 25)::uuid from generate_series(1, 40) n;
insert into public.flow
  select md5('flow ' || n)::uuid, 'Flow ' || n, jsonb_build_object('nodes', n % 20), md5('folder ' || 1 + n % 40)::uuid, md5('user ' || 1 + n % 25)::uuid
  from generate_series(1, 300) n;
insert into public.message (flow_id, session_id, sender, "text")
  select md5('flow ' || 1 + n % 300)::uuid, 'session-' || n % 300, (array['User', 'Machine'])[1 + n % 2], repeat(md5(n::text) || ' ', 10)
  from generate_series(1, 8000) n;
insert into public.transaction (flow_id, status, inputs, outputs)
  select md5('flow ' || 1 + n % 300)::uuid, 'success', repeat(md5(n::text), 8), repeat(md5('out ' || n), 8) from generate_series(1, 5000) n;
insert into public.variables select md5('variable ' || n)::uuid, 'VARIABLE_' || n, 'set', md5('user ' || 1 + n % 25)::uuid from generate_series(1, 60) n;
insert into public.alembic_version values ('e5a7c9b1d3f2');

create table audit.cross_schema_access (
  id serial primary key, "timestamp" timestamptz not null default now(), source_schema text, target_schema text,
  user_role text, query text, tenant_id uuid
);
