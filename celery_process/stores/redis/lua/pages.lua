#!lua flags=no-writes
-- include: basics
-- Return the state of a run, the numbers of its open pages, and 1 if it has unacknowledged repairs. ARGV: time, epoch, run.
local found = call('HMGET', run_key(ARGV[2]), 'id', 'state', 'freed')
if found[1] ~= ARGV[3] then return {} end
return {found[2], call('ZRANGE', open_key(ARGV[2]), 0, -1), found[3] and 1 or 0}
