-- The tables of the existing controller after its 26 migration steps, and the bookkeeping of its migration tool, so that
-- the tool finds nothing to do in a database that was made here. Names, order, types and defaults are fixed
-- (schema-facts.json; `rakkr-fcgi verify` compares).

CREATE SCHEMA IF NOT EXISTS drizzle;

CREATE TABLE IF NOT EXISTS drizzle.__drizzle_migrations (
	id serial PRIMARY KEY,
	hash text NOT NULL,
	created_at bigint
);

-- ---- enumerations

CREATE TYPE public.access_policy_effect AS ENUM ('allow', 'deny');
CREATE TYPE public.access_policy_subject_type AS ENUM ('user', 'group', 'everyone');
CREATE TYPE public.audit_outcome AS ENUM ('allowed', 'denied', 'failed', 'partial', 'succeeded');
CREATE TYPE public.health_severity AS ENUM ('info', 'warning', 'critical');
CREATE TYPE public.node_status AS ENUM ('online', 'offline', 'degraded', 'recording', 'alerting');
CREATE TYPE public.recording_job_status AS ENUM ('queued', 'running', 'stop_requested', 'cancelled', 'completed', 'failed');
CREATE TYPE public.recording_source AS ENUM ('ad_hoc', 'schedule');
CREATE TYPE public.recording_status AS ENUM ('queued', 'recording', 'completed', 'failed', 'cached', 'uploaded');

-- ---- users and access

CREATE TABLE public.users (
	created_at timestamptz DEFAULT now() NOT NULL,
	email varchar(320) NOT NULL,
	id uuid DEFAULT gen_random_uuid() NOT NULL,
	name varchar(160) NOT NULL,
	password_hash text,
	updated_at timestamptz DEFAULT now() NOT NULL,
	disabled_at timestamptz,
	provider varchar(16) DEFAULT 'local' NOT NULL,
	CONSTRAINT users_pkey PRIMARY KEY (id),
	CONSTRAINT users_email_unique UNIQUE (email)
);
CREATE INDEX users_email_idx ON public.users (email);

CREATE TABLE public.roles (
	description text,
	id varchar(64) NOT NULL,
	name varchar(120) NOT NULL,
	CONSTRAINT roles_pkey PRIMARY KEY (id)
);

CREATE TABLE public.permissions (
	description text,
	id varchar(120) NOT NULL,
	name varchar(160) NOT NULL,
	CONSTRAINT permissions_pkey PRIMARY KEY (id)
);

CREATE TABLE public.role_permissions (
	permission_id varchar(120) NOT NULL,
	role_id varchar(64) NOT NULL,
	CONSTRAINT role_permissions_role_id_permission_id_pk PRIMARY KEY (role_id, permission_id),
	CONSTRAINT role_permissions_permission_id_permissions_id_fk FOREIGN KEY (permission_id)
		REFERENCES public.permissions (id) ON DELETE CASCADE,
	CONSTRAINT role_permissions_role_id_roles_id_fk FOREIGN KEY (role_id)
		REFERENCES public.roles (id) ON DELETE CASCADE
);

CREATE TABLE public.user_roles (
	role_id varchar(64) NOT NULL,
	user_id uuid NOT NULL,
	CONSTRAINT user_roles_user_id_role_id_pk PRIMARY KEY (user_id, role_id),
	CONSTRAINT user_roles_role_id_roles_id_fk FOREIGN KEY (role_id)
		REFERENCES public.roles (id) ON DELETE CASCADE,
	CONSTRAINT user_roles_user_id_users_id_fk FOREIGN KEY (user_id)
		REFERENCES public.users (id) ON DELETE CASCADE
);
CREATE INDEX user_roles_role_idx ON public.user_roles (role_id);

CREATE TABLE public.access_groups (
	created_at timestamptz DEFAULT now() NOT NULL,
	description text,
	id varchar(120) NOT NULL,
	name varchar(160) NOT NULL,
	updated_at timestamptz DEFAULT now() NOT NULL,
	CONSTRAINT access_groups_pkey PRIMARY KEY (id)
);

CREATE TABLE public.user_access_groups (
	group_id varchar(120) NOT NULL,
	user_id uuid NOT NULL,
	CONSTRAINT user_access_groups_user_id_group_id_pk PRIMARY KEY (user_id, group_id),
	CONSTRAINT user_access_groups_group_id_access_groups_id_fk FOREIGN KEY (group_id)
		REFERENCES public.access_groups (id) ON DELETE CASCADE,
	CONSTRAINT user_access_groups_user_id_users_id_fk FOREIGN KEY (user_id)
		REFERENCES public.users (id) ON DELETE CASCADE
);
CREATE INDEX user_access_groups_group_idx ON public.user_access_groups (group_id);

CREATE TABLE public.access_policies (
	created_at timestamptz DEFAULT now() NOT NULL,
	created_by_user_id uuid,
	effect public.access_policy_effect NOT NULL,
	id uuid DEFAULT gen_random_uuid() NOT NULL,
	reason text,
	resource_id varchar(160) NOT NULL,
	resource_type varchar(80) NOT NULL,
	subject_id varchar(160),
	subject_type public.access_policy_subject_type NOT NULL,
	CONSTRAINT access_policies_pkey PRIMARY KEY (id),
	CONSTRAINT access_policies_created_by_user_id_users_id_fk FOREIGN KEY (created_by_user_id)
		REFERENCES public.users (id) ON DELETE SET NULL
);
CREATE INDEX access_policies_resource_idx ON public.access_policies (resource_type, resource_id);
CREATE INDEX access_policies_subject_idx ON public.access_policies (subject_type, subject_id);

CREATE TABLE public.user_resource_grants (
	created_at timestamptz DEFAULT now() NOT NULL,
	granted_by_user_id uuid,
	resource_id varchar(160) NOT NULL,
	resource_type varchar(80) NOT NULL,
	user_id uuid NOT NULL,
	CONSTRAINT user_resource_grants_user_id_resource_type_resource_id_pk PRIMARY KEY (user_id, resource_type, resource_id),
	CONSTRAINT user_resource_grants_granted_by_user_id_users_id_fk FOREIGN KEY (granted_by_user_id)
		REFERENCES public.users (id) ON DELETE SET NULL,
	CONSTRAINT user_resource_grants_user_id_users_id_fk FOREIGN KEY (user_id)
		REFERENCES public.users (id) ON DELETE CASCADE
);
CREATE INDEX user_resource_grants_resource_idx ON public.user_resource_grants (resource_type, resource_id);
CREATE INDEX user_resource_grants_user_idx ON public.user_resource_grants (user_id);

CREATE TABLE public.auth_sessions (
	created_at timestamptz DEFAULT now() NOT NULL,
	expires_at timestamptz NOT NULL,
	id uuid DEFAULT gen_random_uuid() NOT NULL,
	ip_address varchar(120),
	last_seen_at timestamptz DEFAULT now() NOT NULL,
	revoked_at timestamptz,
	token_hash text NOT NULL,
	user_agent text,
	user_id uuid NOT NULL,
	CONSTRAINT auth_sessions_pkey PRIMARY KEY (id),
	CONSTRAINT auth_sessions_token_hash_unique UNIQUE (token_hash),
	CONSTRAINT auth_sessions_user_id_users_id_fk FOREIGN KEY (user_id)
		REFERENCES public.users (id) ON DELETE CASCADE
);
CREATE INDEX auth_sessions_expires_at_idx ON public.auth_sessions (expires_at);
CREATE INDEX auth_sessions_token_hash_idx ON public.auth_sessions (token_hash);
CREATE INDEX auth_sessions_user_idx ON public.auth_sessions (user_id);

CREATE TABLE public.oidc_login_states (
	code_verifier text NOT NULL,
	consumed_at timestamptz,
	created_at timestamptz DEFAULT now() NOT NULL,
	expires_at timestamptz NOT NULL,
	nonce text NOT NULL,
	return_to text,
	state_hash text NOT NULL,
	CONSTRAINT oidc_login_states_pkey PRIMARY KEY (state_hash)
);
CREATE INDEX oidc_login_states_expires_at_idx ON public.oidc_login_states (expires_at);

-- ---- nodes and audio

CREATE TABLE public.nodes (
	agent_version varchar(80) NOT NULL,
	alias varchar(160) NOT NULL,
	created_at timestamptz DEFAULT now() NOT NULL,
	hostname varchar(255) NOT NULL,
	id varchar(160) NOT NULL,
	last_seen_at timestamptz,
	location jsonb DEFAULT '{}' NOT NULL,
	metadata jsonb DEFAULT '{}' NOT NULL,
	network jsonb DEFAULT '{}' NOT NULL,
	notes text,
	status public.node_status DEFAULT 'offline' NOT NULL,
	tags jsonb DEFAULT '[]' NOT NULL,
	updated_at timestamptz DEFAULT now() NOT NULL,
	CONSTRAINT nodes_pkey PRIMARY KEY (id)
);
CREATE INDEX nodes_alias_idx ON public.nodes (alias);
CREATE INDEX nodes_status_idx ON public.nodes (status);

CREATE TABLE public.node_credentials (
	created_at timestamptz DEFAULT now() NOT NULL,
	created_by_user_id uuid,
	id uuid DEFAULT gen_random_uuid() NOT NULL,
	last_used_at timestamptz,
	node_id varchar(160) NOT NULL,
	revoked_at timestamptz,
	token_hash text NOT NULL,
	token_prefix varchar(48) NOT NULL,
	CONSTRAINT node_credentials_pkey PRIMARY KEY (id),
	CONSTRAINT node_credentials_token_hash_unique UNIQUE (token_hash),
	CONSTRAINT node_credentials_created_by_user_id_users_id_fk FOREIGN KEY (created_by_user_id)
		REFERENCES public.users (id) ON DELETE SET NULL,
	CONSTRAINT node_credentials_node_id_nodes_id_fk FOREIGN KEY (node_id)
		REFERENCES public.nodes (id) ON DELETE CASCADE
);
CREATE INDEX node_credentials_node_idx ON public.node_credentials (node_id);
CREATE INDEX node_credentials_token_prefix_idx ON public.node_credentials (token_prefix);

CREATE TABLE public.audio_interfaces (
	alias varchar(160) NOT NULL,
	backend varchar(40) NOT NULL,
	channel_count integer NOT NULL,
	created_at timestamptz DEFAULT now() NOT NULL,
	id uuid DEFAULT gen_random_uuid() NOT NULL,
	node_id varchar(160) NOT NULL,
	sample_rates jsonb DEFAULT '[]' NOT NULL,
	system_name varchar(255) NOT NULL,
	system_ref varchar(255) NOT NULL,
	updated_at timestamptz DEFAULT now() NOT NULL,
	hardware_path varchar(500),
	serial_number varchar(255),
	CONSTRAINT audio_interfaces_pkey PRIMARY KEY (id),
	CONSTRAINT audio_interfaces_node_id_nodes_id_fk FOREIGN KEY (node_id)
		REFERENCES public.nodes (id) ON DELETE CASCADE
);
CREATE INDEX audio_interfaces_node_idx ON public.audio_interfaces (node_id);

CREATE TABLE public.audio_channels (
	alias varchar(160) NOT NULL,
	id uuid DEFAULT gen_random_uuid() NOT NULL,
	channel_index integer NOT NULL,
	interface_id uuid NOT NULL,
	metadata jsonb DEFAULT '{}' NOT NULL,
	CONSTRAINT audio_channels_pkey PRIMARY KEY (id),
	CONSTRAINT audio_channels_interface_id_audio_interfaces_id_fk FOREIGN KEY (interface_id)
		REFERENCES public.audio_interfaces (id) ON DELETE CASCADE
);
CREATE INDEX audio_channels_interface_idx ON public.audio_channels (interface_id);

-- ---- recordings, jobs, schedules

CREATE TABLE public.recordings (
	cache_path text,
	checksum varchar(160),
	created_at timestamptz DEFAULT now() NOT NULL,
	duration_seconds integer DEFAULT 0 NOT NULL,
	folder text NOT NULL,
	health_status varchar(32) DEFAULT 'unknown' NOT NULL,
	id varchar(160) NOT NULL,
	metadata jsonb DEFAULT '{}' NOT NULL,
	name text NOT NULL,
	node_id varchar(160),
	recorded_at timestamptz NOT NULL,
	schedule_id varchar(160),
	source public.recording_source NOT NULL,
	status public.recording_status NOT NULL,
	tags jsonb DEFAULT '[]' NOT NULL,
	CONSTRAINT recordings_pkey PRIMARY KEY (id)
);
CREATE INDEX recordings_recorded_at_idx ON public.recordings (recorded_at);
CREATE INDEX recordings_schedule_idx ON public.recordings (schedule_id);
CREATE INDEX recordings_status_idx ON public.recordings (status);

CREATE TABLE public.recording_jobs (
	claimed_by varchar(160),
	command jsonb NOT NULL,
	completed_at timestamptz,
	created_at timestamptz NOT NULL,
	failure_reason text,
	id varchar(120) NOT NULL,
	last_heartbeat_at timestamptz,
	lease_expires_at timestamptz,
	node_id varchar(160) NOT NULL,
	recording_id varchar(160) NOT NULL,
	started_at timestamptz,
	status public.recording_job_status NOT NULL,
	stop_requested_at timestamptz,
	updated_at timestamptz DEFAULT now() NOT NULL,
	CONSTRAINT recording_jobs_pkey PRIMARY KEY (id)
);
CREATE INDEX recording_jobs_lease_idx ON public.recording_jobs (status, lease_expires_at);
CREATE INDEX recording_jobs_node_status_idx ON public.recording_jobs (node_id, status);
CREATE INDEX recording_jobs_recording_idx ON public.recording_jobs (recording_id);

CREATE TABLE public.schedules (
	created_at timestamptz DEFAULT now() NOT NULL,
	enabled boolean DEFAULT true NOT NULL,
	folder_template text NOT NULL,
	id varchar(160) NOT NULL,
	name varchar(160) NOT NULL,
	node_id varchar(160),
	recurrence jsonb NOT NULL,
	recording_profile_id varchar(160),
	tags jsonb DEFAULT '[]' NOT NULL,
	timezone varchar(80) NOT NULL,
	title_template text NOT NULL,
	watchdog_policy_id varchar(160),
	next_run_at timestamptz,
	room varchar(160) DEFAULT 'Unknown Room' NOT NULL,
	upload_policy_id varchar(160),
	retention_policy_id varchar(160),
	capture_backend varchar(32),
	capture_interface_id varchar(160),
	CONSTRAINT schedules_pkey PRIMARY KEY (id)
);
CREATE INDEX schedules_enabled_idx ON public.schedules (enabled);
CREATE INDEX schedules_node_idx ON public.schedules (node_id);

-- ---- health and audit

CREATE TABLE public.health_events (
	details jsonb DEFAULT '{}' NOT NULL,
	id uuid DEFAULT gen_random_uuid() NOT NULL,
	node_id varchar(160),
	opened_at timestamptz NOT NULL,
	recording_id varchar(160),
	resolved_at timestamptz,
	schedule_id varchar(160),
	severity public.health_severity NOT NULL,
	type varchar(160) NOT NULL,
	acknowledged_at timestamptz,
	acknowledged_by varchar(160),
	resolved_by varchar(160),
	status varchar(32) DEFAULT 'open' NOT NULL,
	suppressed_at timestamptz,
	suppressed_by varchar(160),
	suppressed_until timestamptz,
	CONSTRAINT health_events_pkey PRIMARY KEY (id)
);
CREATE INDEX health_events_node_idx ON public.health_events (node_id);
CREATE INDEX health_events_opened_at_idx ON public.health_events (opened_at);
CREATE INDEX health_events_severity_idx ON public.health_events (severity);
CREATE INDEX health_events_status_idx ON public.health_events (status);

CREATE TABLE public.audit_events (
	action varchar(160) NOT NULL,
	actor_user_id uuid,
	created_at timestamptz DEFAULT now() NOT NULL,
	details jsonb DEFAULT '{}' NOT NULL,
	id uuid DEFAULT gen_random_uuid() NOT NULL,
	target_id varchar(160),
	target_type varchar(160),
	actor_context jsonb DEFAULT '{}' NOT NULL,
	actor_display_name varchar(160),
	actor_roles jsonb DEFAULT '[]' NOT NULL,
	actor_type varchar(40) DEFAULT 'user' NOT NULL,
	after jsonb,
	before jsonb,
	correlation_ids jsonb DEFAULT '{}' NOT NULL,
	outcome public.audit_outcome NOT NULL,
	permission_id varchar(120),
	reason text,
	target_name varchar(160),
	actor_id varchar(160),
	CONSTRAINT audit_events_pkey PRIMARY KEY (id),
	CONSTRAINT audit_events_actor_user_id_users_id_fk FOREIGN KEY (actor_user_id)
		REFERENCES public.users (id) ON DELETE SET NULL
);
CREATE INDEX audit_events_action_idx ON public.audit_events (action);
CREATE INDEX audit_events_actor_idx ON public.audit_events (actor_id);
CREATE INDEX audit_events_created_at_idx ON public.audit_events (created_at);
CREATE INDEX audit_events_outcome_idx ON public.audit_events (outcome);
CREATE INDEX audit_events_permission_idx ON public.audit_events (permission_id);
CREATE INDEX audit_events_target_idx ON public.audit_events (target_type, target_id);

-- ---- settings and uploads

CREATE TABLE public.recording_profiles (
	bitrate_kbps integer NOT NULL,
	channel_mode varchar(64) NOT NULL,
	codec varchar(32) NOT NULL,
	created_at timestamptz DEFAULT now() NOT NULL,
	id varchar(160) NOT NULL,
	name varchar(160) NOT NULL,
	settings jsonb DEFAULT '{}' NOT NULL,
	silence_detection_enabled boolean DEFAULT false NOT NULL,
	silence_skip_enabled boolean DEFAULT false NOT NULL,
	vbr boolean DEFAULT true NOT NULL,
	CONSTRAINT recording_profiles_pkey PRIMARY KEY (id)
);

CREATE TABLE public.watchdog_policies (
	created_at timestamptz DEFAULT now() NOT NULL,
	id varchar(160) NOT NULL,
	name varchar(160) NOT NULL,
	rules jsonb DEFAULT '[]' NOT NULL,
	CONSTRAINT watchdog_policies_pkey PRIMARY KEY (id)
);

CREATE TABLE public.channel_map_templates (
	channel_mode varchar(64) NOT NULL,
	created_at timestamptz DEFAULT now() NOT NULL,
	entries jsonb DEFAULT '[]' NOT NULL,
	id varchar(160) NOT NULL,
	name varchar(160) NOT NULL,
	tags jsonb DEFAULT '[]' NOT NULL,
	updated_at timestamptz DEFAULT now() NOT NULL,
	metadata jsonb DEFAULT '{}' NOT NULL,
	CONSTRAINT channel_map_templates_pkey PRIMARY KEY (id)
);

CREATE TABLE public.template_assignments (
	assigned_at timestamptz DEFAULT now() NOT NULL,
	assigned_by_user_id uuid,
	id uuid DEFAULT gen_random_uuid() NOT NULL,
	metadata jsonb DEFAULT '{}' NOT NULL,
	target_id varchar(160) NOT NULL,
	target_type varchar(40) NOT NULL,
	template_id varchar(160) NOT NULL,
	template_kind varchar(80) NOT NULL,
	CONSTRAINT template_assignments_pkey PRIMARY KEY (id),
	CONSTRAINT template_assignments_assigned_by_user_id_users_id_fk FOREIGN KEY (assigned_by_user_id)
		REFERENCES public.users (id) ON DELETE SET NULL
);
CREATE INDEX template_assignments_target_idx ON public.template_assignments (template_kind, target_type, target_id);
CREATE INDEX template_assignments_template_idx ON public.template_assignments (template_kind, template_id);

CREATE TABLE public.upload_providers (
	credential_ref text,
	display_name varchar(160) NOT NULL,
	enabled boolean DEFAULT false NOT NULL,
	provider varchar(32) NOT NULL,
	target text,
	updated_at timestamptz DEFAULT now() NOT NULL,
	CONSTRAINT upload_providers_pkey PRIMARY KEY (provider)
);

CREATE TABLE public.upload_policies (
	delete_cache_after_upload boolean DEFAULT false NOT NULL,
	enabled boolean DEFAULT false NOT NULL,
	id varchar(160) NOT NULL,
	max_attempts integer DEFAULT 5 NOT NULL,
	name varchar(160) NOT NULL,
	provider varchar(32) NOT NULL,
	target text,
	trigger varchar(40) NOT NULL,
	updated_at timestamptz DEFAULT now() NOT NULL,
	CONSTRAINT upload_policies_pkey PRIMARY KEY (id)
);

CREATE TABLE public.upload_queue_items (
	attempt_count integer DEFAULT 0 NOT NULL,
	cache_path text,
	checksum varchar(160),
	created_at timestamptz NOT NULL,
	file_name text NOT NULL,
	id varchar(160) NOT NULL,
	last_error text,
	max_attempts integer DEFAULT 5 NOT NULL,
	next_attempt_at timestamptz NOT NULL,
	provider varchar(32) NOT NULL,
	recording_id varchar(160) NOT NULL,
	status varchar(32) NOT NULL,
	target text,
	updated_at timestamptz NOT NULL,
	upload_policy_id varchar(160),
	CONSTRAINT upload_queue_items_pkey PRIMARY KEY (id)
);
CREATE INDEX upload_queue_items_due_idx ON public.upload_queue_items (status, next_attempt_at);
CREATE INDEX upload_queue_items_provider_status_idx ON public.upload_queue_items (provider, status);
CREATE INDEX upload_queue_items_recording_idx ON public.upload_queue_items (recording_id);

-- ---- bookkeeping: (SHA-256 of the step's file, planning time of the step in ms)
INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES
	('2957e124926dd24f69eb75834b063583c0316ff2eea2e25be07b961f31bb8974', 1781705740754),
	('c5fee3e3343064ba8daf5e0d7d388f2958c6c4204c4398df8944019ef823d5d2', 1781707762098),
	('beaa6cef7a54180fb4328828b742f030ba926d346fb7550aff31fbfa9f20fa96', 1781708368765),
	('6f8b293dfdcf18957d5f7e34f1d5209abeefbcdc4f297d5c8dae17348f2d8b19', 1781710284299),
	('59007cbd1a987f9129e21065523eda03b64bf3531de71db28acfdc5a02de6c70', 1781711824227),
	('b1b3f8b5860faec93bbac7d464008dac9d6a1603969f17e7819e24111ec6f89c', 1781750061687),
	('b1eb89adf3b5e1546c97e2fd3358fb636a68c4947ac1f2ab86b8dbd2a2d44161', 1781750846230),
	('0cfbc087f816dd0027cfd2db9729886b78225b60aa74cf7a1eb0dd38a2b165d6', 1781752247143),
	('5201e779fbdc5c66125e999d29378f6c485f0776f10059f862c47a15486894eb', 1781763041608),
	('2212722e86f9637c622eaf14ba546032bf0bcbded39173560cd3ee0feba9d0c7', 1781764549553),
	('36c3eaa293a320d9cc91b311001402a3afa5333487a6223c9757c341241fd07e', 1781764761114),
	('6d595b175715db9d95b61189d1a4e4a53cfe89626b98464fd0f1b5bc6bf8d7f2', 1781765569719),
	('917b01aca2d456a5fc63982db29c41d9edf45848b908dc9220e0c4bba4afd63d', 1781770811032),
	('8264c4a53bccc166e24f238a4d07706462e8f3b82c6510c258e07aa26770cb32', 1781772227418),
	('66f7515cf4e0394783f78206c8932da20af63ed8e4d13d832c4bf30abcdf6fa5', 1781772367369),
	('7133d791f42637b79132e6c3529dd671f7f0ac3906c97621b0e00914ce8f38f3', 1781787229499),
	('bb52d1fcc767f4f9d6f3da1993793eb7b24d8e301c43e760c59673b326a1cc14', 1781789745167),
	('1a4547e5002e15cfd009df860768f8f8c8e2ae9bdff7199fbb846b513d91568d', 1781793222005),
	('c75585aa7160d0bf4ed0afe4957fe55c1b3c7ebe0ddb7955f678323cfed8aaa1', 1781795612492),
	('4cf8f28e14cb8257ac0fad77a0d4499dc74c6ef8300bb6f5213623732cd21920', 1781802327974),
	('4e6ca8d8b4188091cec105a990087d0109f014e5944dc89f5deed5839f3d19b0', 1781845563195),
	('c1bf71d9806ee9da3560e446511da343a005274eb0436ad2fef9c1afe8210508', 1781941420876),
	('1da086c68d08bf402b43a61891355cc84b74979bf87fc7d2f5ff7b116c172bb7', 1781950831396),
	('e92454829740b646168de17916343deb2ee4f585bcd9a57c8a7c2c963a7cd0fa', 1781951485850),
	('34429f3497ed3744f55fb02dd9921a07c032369b823a45f657f0cac163271ef1', 1781993242076),
	('cfb72dd5a23a1019681d7c5faef6bf05456634f25acf23db3dc04c0fc23646f3', 1781994170113);
