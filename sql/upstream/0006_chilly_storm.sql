-- Recordings take ids of the controller's own making.
ALTER TABLE public.health_events DROP CONSTRAINT health_events_recording_id_recordings_id_fk;
ALTER TABLE public.recordings DROP CONSTRAINT recordings_node_id_nodes_id_fk;
ALTER TABLE public.recordings DROP CONSTRAINT recordings_schedule_id_schedules_id_fk;
ALTER TABLE public.health_events ALTER COLUMN recording_id TYPE varchar(160) USING recording_id::text;
ALTER TABLE public.recordings ALTER COLUMN id DROP DEFAULT;
ALTER TABLE public.recordings ALTER COLUMN id TYPE varchar(160) USING id::text;
ALTER TABLE public.recordings ALTER COLUMN node_id TYPE varchar(160) USING node_id::text;
ALTER TABLE public.recordings ALTER COLUMN schedule_id TYPE varchar(160) USING schedule_id::text;
