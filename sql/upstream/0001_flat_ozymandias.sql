-- The outcome, the actor and the target of audit events. Events from before count as succeeded.
CREATE TYPE public.audit_outcome AS ENUM ('allowed', 'denied', 'failed', 'partial', 'succeeded');
ALTER TABLE public.audit_events
	ADD COLUMN actor_context jsonb DEFAULT '{}' NOT NULL,
	ADD COLUMN actor_display_name varchar(160),
	ADD COLUMN actor_roles jsonb DEFAULT '[]' NOT NULL,
	ADD COLUMN actor_type varchar(40) DEFAULT 'user' NOT NULL,
	ADD COLUMN after jsonb,
	ADD COLUMN before jsonb,
	ADD COLUMN correlation_ids jsonb DEFAULT '{}' NOT NULL,
	ADD COLUMN outcome public.audit_outcome DEFAULT 'succeeded' NOT NULL,
	ADD COLUMN permission_id varchar(120),
	ADD COLUMN reason text,
	ADD COLUMN target_name varchar(160);
ALTER TABLE public.audit_events ALTER COLUMN outcome DROP DEFAULT;
ALTER TABLE public.audit_events ADD CONSTRAINT audit_events_permission_id_permissions_id_fk FOREIGN KEY (permission_id)
	REFERENCES public.permissions (id) ON DELETE SET NULL;
CREATE INDEX audit_events_action_idx ON public.audit_events (action);
CREATE INDEX audit_events_actor_idx ON public.audit_events (actor_user_id);
CREATE INDEX audit_events_created_at_idx ON public.audit_events (created_at);
CREATE INDEX audit_events_outcome_idx ON public.audit_events (outcome);
CREATE INDEX audit_events_permission_idx ON public.audit_events (permission_id);
CREATE INDEX audit_events_target_idx ON public.audit_events (target_type, target_id);
