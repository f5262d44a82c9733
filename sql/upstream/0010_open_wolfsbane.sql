-- The next run and the room of a schedule.
ALTER TABLE public.schedules
	ADD COLUMN next_run_at timestamptz,
	ADD COLUMN room varchar(160) DEFAULT 'Unknown Room' NOT NULL;
