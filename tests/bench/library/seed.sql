-- Fills a library as several years of use would: recordings number "first" (psql variable, from 0) to "rows" - 1 and as many
-- jobs, 100 nodes, 400 schedules, folders by month, every tenth recording part of a split one. The same rows every time.
INSERT INTO nodes (id, alias, hostname, agent_version, status)
	SELECT 'node_' || i, 'Rack ' || i, 'rack-' || i, '0.4.2', 'online' FROM generate_series(0, 99) i
	ON CONFLICT DO NOTHING;
INSERT INTO schedules (id, name, node_id, room, timezone, recurrence, folder_template, title_template, enabled,
		recording_profile_id, watchdog_policy_id)
	SELECT 'sched_' || i, 'Schedule ' || i, 'node_' || i % 100, 'Room', 'UTC', '{"mode":"manual"}', 'F', 'T', false,
		'voice-mp3-vbr', 'scheduled-voice-watchdog' FROM generate_series(0, 399) i ON CONFLICT DO NOTHING;

INSERT INTO recordings (id, name, folder, tags, status, source, recorded_at, duration_seconds, health_status, cache_path,
		checksum, node_id, schedule_id, metadata)
	SELECT 'rec_' || substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-4' || substr(h, 14, 3) || '-a' || substr(h, 18, 3) || '-'
			|| substr(h, 21, 12),
		to_char(at, 'YYYY-MM-DD_HH24MI_') || CASE WHEN ad_hoc THEN 'Ad Hoc' ELSE title END || '_Rack ' || node,
		CASE WHEN ad_hoc THEN 'Ad Hoc/' || to_char(at, 'YYYY/MM') || '/Room ' || node
			ELSE 'Meetings/' || to_char(at, 'YYYY/MM') || '/' || title END,
		CASE WHEN ad_hoc THEN '["ad-hoc","voice"]' ELSE '["' || lower(title) || '","voice"]' END::jsonb,
		(CASE WHEN i < 20 THEN 'recording' WHEN i % 97 = 0 THEN 'failed' WHEN i % 5 = 0 THEN 'uploaded'
			WHEN i % 11 = 0 THEN 'completed' ELSE 'cached' END)::recording_status,
		(CASE WHEN ad_hoc THEN 'ad_hoc' ELSE 'schedule' END)::recording_source,
		at, 60 + i % 7200,
		CASE WHEN i % 97 = 0 THEN 'critical' WHEN i % 31 = 0 THEN 'warning' ELSE 'healthy' END,
		CASE WHEN i >= 20 AND i % 97 <> 0 AND (i % 5 = 0 OR i % 11 <> 0) THEN
			CASE WHEN ad_hoc THEN 'ad-hoc/' ELSE 'scheduled/' END || i || '.mp3' END,
		'sha256:' || h || h, 'node_' || node, CASE WHEN NOT ad_hoc THEN 'sched_' || sched END,
		jsonb_strip_nulls(jsonb_build_object('cached', true, 'recordingProfileId',
			CASE WHEN node % 4 = 0 THEN 'music-flac' ELSE 'voice-mp3-vbr' END,
			'uploadPolicyId', CASE WHEN node % 7 = 0 THEN 'archive' ELSE 'upload-policy-stub' END,
			'notes', CASE WHEN i % 50 = 0 THEN 'Microphone ' || i % 13 || ' was replaced before take ' || i END,
			'transcriptSnippets', CASE WHEN i % 40 = 0 THEN jsonb_build_array('Motion ' || i || ' approved.', 'Roll call') END,
			'trackGroupId', CASE WHEN i % 40 < 4 THEN 'track_' || md5((i / 40)::text) END,
			'trackIndex', CASE WHEN i % 40 < 4 THEN i % 40 + 1 END, 'trackTotal', CASE WHEN i % 40 < 4 THEN 4 END,
			'waveformPreview', CASE WHEN i % 5 = 0 OR i % 11 <> 0 THEN wave.preview END))
	FROM (SELECT i, md5(i::text) AS h, i % 100 AS node, i % 400 AS sched, i % 400 % 3 = 2 AS ad_hoc,
			(ARRAY['Council', 'Planning', 'Budget', 'Hearing', 'Sermon', 'Lecture', 'Rehearsal', 'Podcast'])[1 + i % 8]
				|| ' ' || i % 400 / 100 AS title,
			timestamptz '2026-06-01' - i * interval '100 seconds' AS at
		FROM generate_series(:first, :rows - 1) i) x
	JOIN (SELECT w, jsonb_build_object('channelCount', 2, 'generatedAt', '2026-01-01T00:00:00.000Z', 'sampleCount', 86400000,
				'sampleRate', 48000, 'source', 'ffmpeg_decoded_peak', 'peaks',
				(SELECT jsonb_agg(round(abs(sin(p * w + p))::numeric, 3)) FROM generate_series(1, 96) p)) AS preview
		FROM generate_series(0, 7) w) wave ON wave.w = x.i % 8;

ANALYZE recordings, recording_jobs;

INSERT INTO recording_jobs (id, recording_id, node_id, status, command, claimed_by, created_at, started_at,
		last_heartbeat_at, lease_expires_at, completed_at, failure_reason)
	SELECT 'job_' || md5(id), id, node_id,
		(CASE status WHEN 'recording' THEN 'queued' WHEN 'failed' THEN 'failed' ELSE 'completed' END)::recording_job_status,
		jsonb_build_object('type', 'alsa_capture', 'captureDevice', 'hw:CARD=XUSB,DEV=0', 'captureFormat', 'S16_LE',
			'captureChannels', 2, 'captureSampleRate', 48000, 'durationSeconds', 3600, 'outputCodec', 'mp3',
			'outputBitrateKbps', 128, 'outputVbr', true, 'outputFileName', id || '.mp3', 'captureInterfaceId',
			'iface_' || substr(node_id, 6), 'captureBackend',
			CASE WHEN right(node_id, 1) = '3' THEN 'jack' ELSE 'alsa' END),
		CASE WHEN status <> 'recording' THEN node_id END, recorded_at,
		CASE WHEN status <> 'recording' THEN recorded_at END, CASE WHEN status <> 'recording' THEN recorded_at END, NULL,
		CASE WHEN status <> 'recording' THEN recorded_at + duration_seconds * interval '1 second' END,
		CASE WHEN status = 'failed' THEN 'capture_failed' END
	FROM recordings r WHERE NOT EXISTS (SELECT FROM recording_jobs j WHERE j.recording_id = r.id);

