-- Recording jobs.
CREATE TYPE public.recording_job_status AS ENUM ('queued', 'running', 'stop_requested', 'cancelled', 'completed', 'failed');

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
