#!lua flags=allow-oom
-- include: basics commit
-- As `commit`, of a step that makes room: a server whose memory is out runs it too.
