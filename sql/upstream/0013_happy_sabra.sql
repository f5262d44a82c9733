-- The life of a health event. Events from before read as open, resolved or not.
ALTER TABLE public.health_events
	ADD COLUMN acknowledged_at timestamptz,
	ADD COLUMN acknowledged_by varchar(160),
	ADD COLUMN resolved_by varchar(160),
	ADD COLUMN status varchar(32) DEFAULT 'open' NOT NULL,
	ADD COLUMN suppressed_at timestamptz,
	ADD COLUMN suppressed_by varchar(160),
	ADD COLUMN suppressed_until timestamptz;
CREATE INDEX health_events_status_idx ON public.health_events (status);
