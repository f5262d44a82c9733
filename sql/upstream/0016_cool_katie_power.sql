-- Revisions of channel-map templates.
ALTER TABLE public.channel_map_templates
	ADD COLUMN metadata jsonb DEFAULT '{}' NOT NULL;
