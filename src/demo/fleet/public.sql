-- The production backend in public: a hundred tables, most of them with a tenant.
set role engarde_user;

create table public.tenants (
  id uuid primary key,
  name text not null,
  settings jsonb not null default '{}',
  created_at timestamptz not null default now()
);
create table public.users (
  id serial primary key,
  tenant_id uuid not null references public.tenants,
  email text not null,
  name text not null,
  last_seen_at timestamptz
);
create table public.brands (
  id serial primary key,
  tenant_id uuid not null references public.tenants,
  name text not null,
  website text
);
create table public.campaigns (
  id serial primary key,
  tenant_id uuid not null references public.tenants,
  brand_id integer not null references public.brands,
  name text not null,
  status text not null,
  budget numeric(12, 2) not null,
  brief text
);
create table public.campaign_runs (
  id serial primary key,
  tenant_id uuid not null references public.tenants,
  campaign_id integer not null references public.campaigns,
  status text not null,
  attempts integer not null default 0,
  log text
);
create index on public.campaign_runs (campaign_id);
create table public.workflows (
  id serial primary key,
  tenant_id uuid not null references public.tenants,
  name text not null,
  definition jsonb not null
);
create table public.ai_agents (
  id serial primary key,
  tenant_id uuid not null references public.tenants,
  name text not null,
  model text not null,
  prompt text
);
create table public.platform_connections (
  id serial primary key,
  tenant_id uuid not null references public.tenants,
  platform text not null,
  account text not null
);
create table public.audience_segments (
  id serial primary key,
  tenant_id uuid not null references public.tenants,
  name text not null,
  filter jsonb not null
);
create table public.plans (code text primary key, name text not null, monthly_price numeric(8, 2) not null);
create table public.platforms (code text primary key, name text not null);
create table public.feature_flags (name text primary key, enabled boolean not null);
create table public.job_queue (
  id serial primary key,
  kind text not null,
  status text not null,
  attempts integer not null default 0
);
create table public.alembic_version (
  version_num varchar(32) not null,
  constraint alembic_version_pkc primary key (version_num)
);

-- The rest of the product has one shape.
do $$
declare table_name text;
begin
  foreach table_name in array regexp_split_to_array(
    'ad_accounts ad_creatives ad_groups ad_sets agent_conversations agent_memories agent_messages agent_runs
     ai_generations api_keys approval_requests asset_folders assets attribution_models attribution_touchpoints
     audience_exports audience_members billing_accounts brand_guidelines brand_users brand_voices budgets
     calendar_events campaign_assets campaign_budgets campaign_channels campaign_goals campaign_metrics campaign_tags
     comments companies consent_records contact_lists contacts content_calendars content_templates conversions
     creative_assets creative_variants credit_transactions csv_imports custom_fields customer_profiles dashboards
     data_exports deals email_templates event_subscriptions experiments experiment_variants feature_usage
     form_submissions insights integrations invoices invoice_items keyword_groups keywords landing_pages
     lead_scores leads media_plans notifications oauth_tokens onboarding_steps organizations payment_methods personas
     reports report_schedules saved_filters scheduled_jobs sms_templates social_accounts social_posts subscriptions
     tasks team_members usage_records webhook_deliveries workflow_runs', '\s+')
  loop
    execute format(
      'create table public.%1$I (
         id serial primary key,
         tenant_id uuid not null references public.tenants,
         name text not null,
         status text not null default ''active'',
         details jsonb not null default ''{}'',
         created_at timestamptz not null default now())', table_name);
  end loop;
end $$;

create function public.current_tenant() returns uuid language sql stable set search_path = ''
  as $$ select nullif(current_setting('app.current_tenant_id', true), '')::uuid $$;

reset role;
-- The rows below are consistent: checking each foreign key once more takes seconds.
set local session_replication_role = replica;

insert into public.tenants (id, name)
  select md5('tenant ' || n)::uuid, 'Tenant ' || n from generate_series(1, 12) n;
insert into public.plans values ('free', 'Free', 0), ('team', 'Team', 49), ('agency', 'Agency', 249);
insert into public.platforms values ('meta', 'Meta'), ('google', 'Google Ads'), ('tiktok', 'TikTok');
insert into public.feature_flags values ('new_editor', true), ('ai_briefs', true), ('bulk_export', false);
insert into public.job_queue (kind, status)
  select (array['sync', 'report', 'import'])[1 + n % 3], (array['done', 'done', 'waiting'])[1 + n % 3] from generate_series(1, 4000) n;
insert into public.users (tenant_id, email, name, last_seen_at)
  select md5('tenant ' || 1 + (n - 1) % 12)::uuid, 'user' || n || '@example.com', 'User ' || n, now() - n * interval '1 minute'
  from generate_series(1, 4000) n;
insert into public.brands (tenant_id, name, website)
  select md5('tenant ' || 1 + (n - 1) % 12)::uuid, 'Brand ' || n, 'https://brand' || n || '.example' from generate_series(1, 240) n;
insert into public.campaigns (tenant_id, brand_id, name, status, budget, brief)
  select md5('tenant ' || 1 + (n - 1) % 12)::uuid, 1 + (n - 1) % 240, 'Campaign ' || n,
    (array['draft', 'active', 'active', 'paused', 'done'])[1 + n % 5], 100 + n % 9000, repeat(md5(n::text) || ' ', 6)
  from generate_series(1, 6000) n;
insert into public.campaign_runs (tenant_id, campaign_id, status, log)
  select md5('tenant ' || 1 + (n - 1) % 12)::uuid, 1 + (n - 1) % 6000,
    (array['done', 'done', 'done', 'failed'])[1 + n % 4], repeat(md5(n::text) || ' ', 9)
  from generate_series(1, 16000) n;
insert into public.workflows (tenant_id, name, definition)
  select md5('tenant ' || 1 + (n - 1) % 12)::uuid, 'Workflow ' || n, jsonb_build_object('steps', n % 9) from generate_series(1, 900) n;
insert into public.ai_agents (tenant_id, name, model, prompt)
  select md5('tenant ' || 1 + (n - 1) % 12)::uuid, 'Agent ' || n, 'large', repeat(md5(n::text) || ' ', 12) from generate_series(1, 300) n;
insert into public.platform_connections (tenant_id, platform, account)
  select md5('tenant ' || 1 + (n - 1) % 12)::uuid, (array['meta', 'google', 'tiktok'])[1 + n % 3], 'account-' || n from generate_series(1, 500) n;
insert into public.audience_segments (tenant_id, name, filter)
  select md5('tenant ' || 1 + (n - 1) % 12)::uuid, 'Segment ' || n, '{"age": "25-34"}' from generate_series(1, 700) n;
insert into public.alembic_version values ('7456be403827'), ('7903a818df74');

do $$
declare table_name name;
begin
  for table_name in
    select a.attrelid::regclass from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
    where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attname = 'details'
  loop
    execute format(
      'insert into %s (tenant_id, name, details)
         select md5(''tenant '' || 1 + (n - 1) %% 12)::uuid, ''entry '' || n, jsonb_build_object(''note'', md5(n::text))
         from generate_series(1, 60) n', table_name);
  end loop;
end $$;
