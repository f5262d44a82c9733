-- Audit events name any actor and any permission, not only those that have rows.
ALTER TABLE public.audit_events DROP CONSTRAINT audit_events_permission_id_permissions_id_fk;
DROP INDEX public.audit_events_actor_idx;
ALTER TABLE public.audit_events
	ADD COLUMN actor_id varchar(160);
CREATE INDEX audit_events_actor_idx ON public.audit_events (actor_id);
