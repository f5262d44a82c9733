-- Schedules, profiles and watchdog policies take ids of the controller's own making.
ALTER TABLE public.health_events DROP CONSTRAINT health_events_schedule_id_schedules_id_fk;
ALTER TABLE public.schedules DROP CONSTRAINT schedules_node_id_nodes_id_fk;
ALTER TABLE public.schedules DROP CONSTRAINT schedules_recording_profile_id_recording_profiles_id_fk;
ALTER TABLE public.schedules DROP CONSTRAINT schedules_watchdog_policy_id_watchdog_policies_id_fk;
ALTER TABLE public.health_events ALTER COLUMN schedule_id TYPE varchar(160) USING schedule_id::text;
ALTER TABLE public.recording_profiles ALTER COLUMN id DROP DEFAULT;
ALTER TABLE public.recording_profiles ALTER COLUMN id TYPE varchar(160) USING id::text;
ALTER TABLE public.schedules ALTER COLUMN id DROP DEFAULT;
ALTER TABLE public.schedules ALTER COLUMN id TYPE varchar(160) USING id::text;
ALTER TABLE public.schedules ALTER COLUMN node_id TYPE varchar(160) USING node_id::text;
ALTER TABLE public.schedules ALTER COLUMN recording_profile_id TYPE varchar(160) USING recording_profile_id::text;
ALTER TABLE public.schedules ALTER COLUMN watchdog_policy_id TYPE varchar(160) USING watchdog_policy_id::text;
ALTER TABLE public.watchdog_policies ALTER COLUMN id DROP DEFAULT;
ALTER TABLE public.watchdog_policies ALTER COLUMN id TYPE varchar(160) USING id::text;
