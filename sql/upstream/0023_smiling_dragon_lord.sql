-- Upload policies and the upload queue.
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
